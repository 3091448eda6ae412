"""What kinds of devices announce themselves by which service type, so that one whose driver is off is not unknown.

A table of constants: a driver that is not switched on is not imported to ask it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from msgspec import Struct

__all__ = ["KINDS", "Kind", "hint", "kinds_without"]


class Kind(Struct, frozen=True):
    """A kind of device: the driver's name in the configuration, and what one and several of it are called."""

    driver: str
    one: str
    many: str


_HOMEKIT = Kind("homekit", "a HomeKit accessory", "HomeKit accessories")

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "_elg._tcp.local.": Kind("elgato", "an Elgato light", "Elgato lights"),
        "_esphomelib._tcp.local.": Kind("esphome", "an ESPHome device", "ESPHome devices"),
        "_hap._tcp.local.": _HOMEKIT,
        "_hap._udp.local.": _HOMEKIT,
        "_hue._tcp.local.": Kind("hue", "a Hue bridge", "Hue bridges"),
        "_shelly._tcp.local.": Kind("shelly", "a Shelly", "Shellies"),
        "_wled._tcp.local.": Kind("wled", "a WLED lamp", "WLED lamps"),
    }
)
"""By service type, as drivers have it in their ``services``."""


def kinds_without(drivers: Collection[str]) -> dict[str, Kind]:
    """Return the kinds whose driver is not one of these, by service type."""
    return {type_: kind for type_, kind in KINDS.items() if kind.driver not in drivers}


def hint(kind: Kind) -> str:
    """Return what a user can do to have such a device driven."""
    return f"This is {kind.one}: switch its driver on with [drivers.{kind.driver}] in the configuration."
