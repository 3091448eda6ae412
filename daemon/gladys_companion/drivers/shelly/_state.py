"""What a Shelly says of its components, reduced to what is used: never more of it than there are fields. Pure.

The words are those of Gen2 (shelly-api-docs.shelly.cloud/gen2/ComponentsAndServices): a component has a key such as
``switch:0``; a field is a member of its status, or a member of a member (``aenergy.total``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

from msgspec import Struct

from gladys_companion.drivers._json import at, number

__all__ = ["KELVIN", "Field", "Setting", "State", "merged", "settings_of", "state_of"]

Field: TypeAlias = float | str | tuple[float, ...] | None
State: TypeAlias = Mapping[str, Mapping[str, Field]]
"""By key of component and name of field: a number (true is 1), a short text, the three numbers of a colour, or None."""

KELVIN = (2700, 6500)
MOST_COMPONENTS = 64
LONGEST_TEXT = 64

_METERS = ("apower", "voltage", "current", "aenergy.total", "temperature.tC")
_LIGHT = ("output", "brightness", "rgb", "ct", "mode", *_METERS)
_PHASES = tuple(f"{phase}_{what}" for phase in "abc" for what in ("act_power", "voltage", "current"))
_FIELDS: dict[str, tuple[str, ...]] = {
    "switch": ("output", *_METERS),
    "light": _LIGHT,
    "rgb": _LIGHT,
    "rgbw": _LIGHT,
    "cct": _LIGHT,
    "cover": ("state", "pos_control", "current_pos", *_METERS),
    "input": ("state", "percent"),
    "pm1": _METERS,
    "em": ("total_act_power", *_PHASES),
    "em1": ("act_power", "voltage", "current"),
    "emdata": ("total_act",),
    "em1data": ("total_act_energy",),
    "temperature": ("tC",),
    "humidity": ("rh",),
    "illuminance": ("lux",),
    "voltmeter": ("voltage",),
    "flood": ("alarm",),
    "smoke": ("alarm",),
    "devicepower": ("battery.percent",),
}


class Setting(Struct, frozen=True):
    """What the configuration says of a component: its owner's name for it, what an input is, a light's whites."""

    name: str = ""
    type: str = ""
    kelvin: tuple[int, int] = KELVIN


def state_of(told: object) -> State:
    """Return what a status says, of the components and fields that are known; others, and nonsense, are left out."""
    members = told.items() if isinstance(told, Mapping) else ()
    known = [(key, status) for key, status in members if isinstance(key, str) and _kind(key) in _FIELDS]
    return {key: _fields(_kind(key), status) for key, status in known[:MOST_COMPONENTS]}


def merged(state: State, told: object) -> State:
    """Return the state with what a notification says in it, of the components and fields that it has."""
    news = {key: fields for key, fields in state_of(told).items() if key in state}
    return {
        **state,
        **{
            key: {**state[key], **{name: field for name, field in fields.items() if name in state[key]}}
            for key, fields in news.items()
        },
    }


def settings_of(told: object) -> dict[str, Setting]:
    """Return what a configuration says, by key of component."""
    members = told.items() if isinstance(told, Mapping) else ()
    known = [(key, config) for key, config in members if isinstance(key, str) and _kind(key) in _FIELDS]
    return {
        key: Setting(_text(at(config, ("name",))), _text(at(config, ("type",))), _kelvin(at(config, ("ct_range",))))
        for key, config in known[:MOST_COMPONENTS]
    }


def _kind(key: str) -> str:
    """Return the kind of component, and nothing for a key of another shape."""
    found = re.fullmatch(r"([a-z0-9]+):\d{1,3}", key)
    return found[1] if found else ""


def _fields(kind: str, status: object) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    for name in _FIELDS[kind]:
        *inner, last = name.split(".")
        around = at(status, tuple(inner))
        if isinstance(around, Mapping) and last in around:
            fields[name] = _field(around[last])
    return fields


def _field(told: object) -> Field:
    if isinstance(told, bool):
        return int(told)
    if isinstance(told, str):
        return _text(told)
    if isinstance(told, list) and len(told) == 3:  # noqa: PLR2004 - red, green, blue
        parts = [number(part) for part in told]
        return tuple(part for part in parts if part is not None)
    return number(told)


def _text(told: object) -> str:
    text = told[:LONGEST_TEXT] if isinstance(told, str) else ""
    return "".join(one for one in text if one.isprintable()).strip()


def _kelvin(told: object) -> tuple[int, int]:
    least, most = number(at(told, (0,))), number(at(told, (1,)))
    if least is None or most is None or not 1000 <= least < most <= 20_000:  # noqa: PLR2004 - no lamp is beyond
        return KELVIN
    return int(least), int(most)
