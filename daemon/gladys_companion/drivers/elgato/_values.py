"""What an Elgato light's state means as feature values, and what commands one: pure."""

from __future__ import annotations

import colorsys
from typing import NamedTuple

from elgato import Info, Settings, State
from msgspec import Struct

from gladys_companion.errors import Rejected
from gladys_companion.model import Device, Feature

__all__ = ["Chosen", "Command", "command", "features", "ranges", "values"]

WHITE = 0xFFFFFF
PANEL = (143, 344)  # mireds, 7000 K to 2900 K
STRIP = (153, 285)  # 6500 K to 3500 K
STRIPS = frozenset({"Elgato Light Strip", "Elgato Light Strip Pro"})
CLOSE = 1.0  # degrees of hue and percent of saturation by which a light may round
TYPES = {"on": "binary", "brightness": "brightness", "temperature": "temperature", "color": "color"}

Ranges = dict[str, tuple[int, int]]


class Command(Struct, frozen=True, omit_defaults=True):
    """What ``Elgato.light`` takes, None for what stays."""

    on: bool
    brightness: int | None = None
    temperature: int | None = None
    hue: float | None = None
    saturation: float | None = None


class Chosen(NamedTuple):
    """A colour as it was commanded, and what became of it at the light, which has no brightness in its colours."""

    color: int
    hue: float
    saturation: float


def ranges(info: Info, settings: Settings, state: State) -> Ranges:
    """Return least and most of each component that a light has: ``color`` only where its LEDs have any.

    A strip that shines white tells no hue, so that its product's name and its settings count too; its range of
    temperatures is smaller than a panel's.
    """
    colored = info.product_name in STRIPS or settings.power_on_hue is not None or state.hue is not None
    found = {"on": (0, 1), "brightness": (0, 100), "temperature": STRIP if colored else PANEL}
    return found | {"color": (0, WHITE)} if colored else found


def features(device: Device, found: Ranges) -> tuple[Feature, ...]:
    """Return the features of a light; temperature is in mireds (a million divided by kelvins), as in Gladys."""
    return tuple(
        Feature(
            external_id=f"{device.id}:{component}",
            device=device.id,
            name=component.capitalize(),
            category="light",
            type=TYPES[component],
            unit="percent" if component == "brightness" else None,
            min=least,
            max=most,
            writable=True,
        )
        for component, (least, most) in found.items()
    )


def values(state: State, chosen: Chosen | None = None) -> dict[str, float]:
    """Return ``on`` as 0 or 1, ``brightness`` in percent, and while on either ``temperature`` or ``color`` 0xRRGGBB.

    A light that is off shines with brightness 0, whatever it will have when turned on, so that what was commanded and
    what is told are the same; so is a colour that was ``chosen``.

    Raises:
        ValueError: a value is none that a light can have.
    """
    if not 0 <= state.brightness <= 100:  # noqa: PLR2004 - percent
        msg = f"a brightness of {state.brightness}"
        raise ValueError(msg)
    if not state.on:
        return {"on": 0, "brightness": 0}
    told: dict[str, float] = {"on": 1, "brightness": state.brightness}
    if state.hue is not None and state.saturation is not None:
        told["color"] = _color(state.hue, state.saturation, chosen)
    elif state.temperature is not None and PANEL[0] <= state.temperature <= PANEL[1]:
        told["temperature"] = state.temperature
    return told


def command(component: str, wanted: float, found: Ranges) -> tuple[Command, Chosen | None]:
    """Return what gives a component this value, and for a colour what it will be at the light.

    Brightness, temperature and colour turn the light on; brightness 0 and black turn it off.

    Raises:
        Rejected: the light has no such component, or it can not have this value.
    """
    if component not in found:
        raise Rejected(f"This Elgato light has no {component!r} that could be set.")
    least, most = found[component]
    if not least <= wanted <= most or wanted != int(wanted):
        raise Rejected(f"The {component} of this Elgato light is a whole number from {least} to {most}.")
    number = int(wanted)
    if component == "on" or (not number and component != "temperature"):
        return Command(on=bool(number)), None
    if component == "color":
        hue, saturation, _ = colorsys.rgb_to_hsv(*(channel / 255 for channel in number.to_bytes(3, "big")))
        chosen = Chosen(number, round(hue * 360, 1), round(saturation * 100, 1))
        return Command(on=True, hue=chosen.hue, saturation=chosen.saturation), chosen
    if component == "brightness":
        return Command(on=True, brightness=number), None
    return Command(on=True, temperature=number), None


def _color(hue: float, saturation: float, chosen: Chosen | None) -> int:
    if not (0 <= hue <= 360 and 0 <= saturation <= 100):  # noqa: PLR2004 - degrees and percent
        msg = f"a hue of {hue} with a saturation of {saturation}"
        raise ValueError(msg)
    if chosen is not None and abs(saturation - chosen.saturation) <= CLOSE:
        turn = abs(hue - chosen.hue)
        if min(turn, 360 - turn) <= CLOSE or saturation <= CLOSE:  # white has any hue
            return chosen.color
    return int.from_bytes(
        bytes(round(255 * channel) for channel in colorsys.hsv_to_rgb(hue / 360, saturation / 100, 1)), "big"
    )
