"""What a part of an accessory is: one feature, read from and written to characteristics; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from msgspec import Struct

from gladys_companion.drivers.homekit._accessories import Characteristic, Id, number
from gladys_companion.errors import Rejected
from gladys_companion.model import Device, Feature

__all__ = ["Command", "Names", "Part", "Range", "State", "Values", "feature", "fitting", "range_of", "readers"]

Values = Mapping[Id, Any]
"""What characteristics have, as the accessory last said it."""

Range = tuple[float, float]

Names = Callable[[str], str]
"""Makes the name of a part from what it is (``On``), so that it tells whose it is."""

State = Callable[[Values], Literal["there", "moving", "failed"]]
"""Says whether what takes a while to move is where it was told to be."""

SENSIBLE: Range = (-1e9, 1e9)


class Command(Struct, frozen=True):
    """What gives a part a value: what is written, and what is taken for so until the accessory says otherwise.

    Where there is a ``state``, it is delivered only when it is there.
    """

    writes: Mapping[Id, bool | float]
    presumed: Values = {}
    state: State | None = None


class Part(Struct, frozen=True, kw_only=True):
    """One feature. ``reads`` is what ``value`` looks at; ``command`` raises ``Rejected``.

    ``press`` is there in place of ``value`` where something happens and passes.
    """

    component: str
    name: str
    category: str
    type: str
    range: Range
    unit: str | None = None
    reads: tuple[Id, ...]
    value: Callable[[Values], float | None] = lambda _: None
    command: Callable[[float, Values], Command] | None = None
    press: Callable[[Any], float | None] | None = None


def feature(device: Device, part: Part) -> Feature:
    """Return a part as a feature of its device."""
    least, most = part.range
    return Feature(
        external_id=f"{device.id}:{part.component}",
        device=device.id,
        name=part.name,
        category=part.category,
        type=part.type,
        unit=part.unit,
        min=least,
        max=most,
        writable=part.command is not None,
    )


def readers(parts: Iterable[Part]) -> dict[Id, list[Part]]:
    """Return which parts look at a characteristic."""
    found: dict[Id, list[Part]] = {}
    for part in parts:
        for id_ in part.reads:
            found.setdefault(id_, []).append(part)
    return found


def range_of(one: Characteristic, otherwise: Range) -> Range:
    """Return the least and most that a characteristic says it can have; the usual where it says nothing sensible."""
    if one.format == "bool":
        return 0, 1
    if valid := _valid(one):
        return min(valid), max(valid)
    least, most = number(one.least), number(one.most)
    least = otherwise[0] if least is None else least
    most = otherwise[1] if most is None else most
    return (least, most) if SENSIBLE[0] <= least <= most <= SENSIBLE[1] else otherwise


def fitting(one: Characteristic, wanted: float, limits: Range) -> bool | float:
    """Return what is written to give a characteristic a value: the nearest that it can have.

    Raises:
        Rejected: it is beyond the range, or none of the values that it knows.
    """
    least, most = limits
    if not least <= wanted <= most:
        raise Rejected(f"It can be from {least:g} to {most:g}, not {wanted:g}.")
    if one.format == "bool":
        if wanted not in {0, 1}:
            raise Rejected(f"It can be 0 or 1, not {wanted:g}.")
        return bool(wanted)
    valid = _valid(one)
    if valid and wanted not in valid:
        raise Rejected(f"It can be {', '.join(f'{value:g}' for value in sorted(valid))}, not {wanted:g}.")
    step = number(one.step) or 0
    if step > 0:
        wanted = least + round((wanted - least) / step) * step
        wanted = round(min(max(wanted, least), most), 6)
    return wanted if one.format == "float" else round(wanted)


def _valid(one: Characteristic) -> frozenset[float]:
    listed = one.valid if isinstance(one.valid, list) else []
    return frozenset(value for raw in listed if (value := number(raw)) is not None)
