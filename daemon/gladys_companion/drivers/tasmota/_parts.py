"""What one part of a Tasmota device (a relay, a sensor, a button) is in Gladys, tells and is told: pure.

``seen`` is what the device told last, by the keys of its JSON (``POWER1``, ``Dimmer``, ``Shutter1``, ``ENERGY``).
Source: tasmota.github.io/docs/Commands and /docs/MQTT.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gladys_companion.drivers._json import Path, at, number
from gladys_companion.drivers.following import Value
from gladys_companion.errors import Rejected
from gladys_companion.model import Device, Feature

__all__ = [
    "Binary",
    "Button",
    "Command",
    "Part",
    "Power",
    "Sensor",
]

Command = tuple[str, str]
"""A command and its argument: ``("Power1", "ON")``."""


class Part(Struct, frozen=True, kw_only=True):
    """One feature. ``keys`` are the members of the device's JSON that it is read from."""

    component: str
    name: str
    category: str
    type: str
    keys: tuple[str, ...] = ()
    unit: str | None = None
    min: float | None = None
    max: float | None = None

    writable = False

    def feature(self, device: Device) -> Feature:
        """Return it as Gladys knows it."""
        return Feature(
            external_id=f"{device.id}:{self.component}",
            device=device.id,
            name=self.name,
            category=self.category,
            type=self.type,
            unit=self.unit,
            min=self.min,
            max=self.max,
            writable=self.writable,
        )

    def value(self, seen: Mapping[str, Any]) -> Value | None:
        """Return its value; None where the device did not tell one."""
        raise NotImplementedError

    def happened(self, told: Mapping[str, Any]) -> float | None:  # noqa: ARG002 - for those that override it
        """Return what happens and passes, if this one message tells it."""
        return None

    def commands(self, wanted: float) -> tuple[Command, ...]:
        """Return what gives it this value, which ``checked`` let pass."""
        raise NotImplementedError

    def reached(self, wanted: float, seen: Mapping[str, Any]) -> bool:
        """Return whether the device says that it has this value, or goes there."""
        return self.value(seen) == wanted

    def same(self, wanted: float, told: Value) -> bool:
        """Return whether a value that it tells is the one that it was given."""
        return wanted == told

    def checked(self, wanted: float) -> float:
        """Return a value that it may be given.

        Raises:
            Rejected: it can not have this one.
        """
        if not self.writable or self.min is None or self.max is None:
            raise Rejected(f"{self.name} tells its value, and can not be given one.")
        if not self.min <= wanted <= self.max or wanted != int(wanted):
            raise Rejected(f"{self.name} is a whole number from {self.min:g} to {self.max:g}.")
        return int(wanted)


class Power(Part, frozen=True, kw_only=True):
    """A relay, or the power of a light; 0 or 1. ``index`` counts from 1."""

    index: int
    on: str
    off: str

    writable = True

    def value(self, seen: Mapping[str, Any]) -> float | None:
        """See ``Part``. A device that has one relay only calls it ``POWER``."""
        word = seen.get(f"POWER{self.index}", seen.get("POWER") if self.index == 1 else None)
        return 1 if word == self.on else 0 if word == self.off else None

    def commands(self, wanted: float) -> tuple[Command, ...]:
        """See ``Part``."""
        return ((f"Power{self.index}", self.on if wanted else self.off),)


class Sensor(Part, frozen=True, kw_only=True):
    """A number at a path of the device's JSON: ``("ENERGY", "Power")``, or of an array ``("ENERGY", "Power", 0)``."""

    path: Path

    def value(self, seen: Mapping[str, Any]) -> float | None:
        """See ``Part``. Devices announce more phases than they tell, and tell one as a number instead of an array."""
        found = at(seen, self.path)
        if found is None and self.path[-1] == 0:
            found = at(seen, self.path[:-1])
        return number(found)


class Binary(Part, frozen=True, kw_only=True):
    """A switch at the device that is on or off: ``{"Switch1": "ON"}`` or ``{"Switch1": {"Action": "ON"}}``."""

    on: str
    off: str

    def value(self, seen: Mapping[str, Any]) -> float | None:
        """See ``Part``."""
        told = seen.get(self.keys[0])
        word = told.get("Action") if isinstance(told, Mapping) else told
        return 1 if word == self.on else 0 if word == self.off else None


class Button(Part, frozen=True, kw_only=True):
    """What is pressed: ``{"Button1": {"Action": "SINGLE"}}``; ``actions`` are Gladys' numbers for its words."""

    actions: Mapping[str, int]

    def value(self, seen: Mapping[str, Any]) -> None:
        """See ``Part``: it has none, it is pressed."""

    def happened(self, told: Mapping[str, Any]) -> float | None:
        """See ``Part``."""
        word = at(told, (self.keys[0], "Action"))
        return self.actions.get(word) if isinstance(word, str) else None
