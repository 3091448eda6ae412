"""The parts of Tasmota lights: brightness, colour and colour temperature. Pure.

Source: tasmota.github.io/docs/Lights.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from typing import Any

from gladys_companion.drivers._json import number
from gladys_companion.drivers.following import Value
from gladys_companion.drivers.tasmota._parts import Command, Part, Power

__all__ = ["Color", "Dimmer", "Temperature"]

NEAR = 4  # of 255: what a colour loses on its way through whole degrees and percents of hue and saturation


class Dimmer(Part, frozen=True, kw_only=True):
    """A light's brightness, 0 to 100. A light that is off shines with 0, whatever it will have when turned on.

    ``key`` is what tells it, ``command`` what sets it; ``unlinked`` says that setting it does not turn the light on.
    """

    power: Power
    key: str
    command: str
    unlinked: bool

    writable = True

    def value(self, seen: Mapping[str, Any]) -> float | None:
        """See ``Part``."""
        if self.power.value(seen) == 0:
            return 0
        return number(seen.get(self.key))

    def commands(self, wanted: float) -> tuple[Command, ...]:
        """See ``Part``."""
        if not wanted:
            return self.power.commands(0)
        dim = (self.command, f"{wanted:g}")
        return (dim, *self.power.commands(1)) if self.unlinked else (dim,)


class Color(Part, frozen=True, kw_only=True):
    """A light's colour as 0xRRGGBB at full brightness, which is another feature; black turns the light off."""

    power: Power
    suffix: str

    writable = True

    def value(self, seen: Mapping[str, Any]) -> float | None:
        """See ``Part``."""
        hue, saturation = _hue_saturation(seen.get("HSBColor"))
        if hue is None or saturation is None:
            return None
        return _packed(colorsys.hsv_to_rgb(hue / 360 % 1, saturation / 100, 1))

    def commands(self, wanted: float) -> tuple[Command, ...]:
        """See ``Part``."""
        if not wanted:
            return self.power.commands(0)
        red, green, blue = _channels(wanted)
        return (("Color2", f"{red},{green},{blue}{self.suffix}"),)

    def reached(self, wanted: float, seen: Mapping[str, Any]) -> bool:
        """See ``Part``."""
        told = self.value(seen)
        return self.power.value(seen) == 0 if not wanted else told is not None and self.same(wanted, told)

    def same(self, wanted: float, told: Value) -> bool:
        """See ``Part``; what is lost by rounding is no difference, and brightness is none of colour."""
        channels = _channels(wanted)
        if isinstance(told, str) or not any(channels):
            return False
        bright = [channel * 255 / max(channels) for channel in channels]
        return all(abs(one - other) <= NEAR for one, other in zip(_channels(told), bright, strict=True))


class Temperature(Part, frozen=True, kw_only=True):
    """A light's colour temperature in mired."""

    writable = True

    def value(self, seen: Mapping[str, Any]) -> float | None:
        """See ``Part``."""
        return number(seen.get("CT"))

    def commands(self, wanted: float) -> tuple[Command, ...]:
        """See ``Part``."""
        return (("CT", f"{wanted:g}"),)


def _hue_saturation(told: object) -> tuple[float | None, float | None]:
    """Return degrees and percent of ``"30,100,50"``."""
    parts = told.split(",") if isinstance(told, str) else ()
    if len(parts) != 3 or not all(part.isdecimal() and len(part) <= 3 for part in parts):  # noqa: PLR2004
        return None, None
    return min(float(parts[0]), 360), min(float(parts[1]), 100)


def _channels(color: float) -> tuple[int, int, int]:
    whole = int(color)
    return whole >> 16 & 255, whole >> 8 & 255, whole & 255


def _packed(channels: tuple[float, float, float]) -> int:
    red, green, blue = (round(channel * 255) for channel in channels)
    return red << 16 | green << 8 | blue
