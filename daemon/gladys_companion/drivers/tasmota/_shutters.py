"""The parts of Tasmota shutters. Pure. Source: tasmota.github.io/docs/Blinds-and-Shutters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gladys_companion.drivers._json import at, number
from gladys_companion.drivers.tasmota._parts import Command, Part

__all__ = ["CLOSE", "OPEN", "ShutterPosition", "ShutterState"]

OPEN, STOP, CLOSE = 1, 0, -1
OPENED, CLOSED = 100, 0


class _Shutter(Part, frozen=True, kw_only=True):
    """``index`` counts from 1; position 0 is closed and 100 open, unless the device is ``inverted``."""

    index: int
    inverted: bool

    writable = True

    def position(self, seen: Mapping[str, Any], member: str = "Position") -> float | None:
        told = number(at(seen, (f"Shutter{self.index}", member)))
        return 100 - told if told is not None and self.inverted else told

    def direction(self, seen: Mapping[str, Any]) -> float | None:
        told = number(at(seen, (f"Shutter{self.index}", "Direction")))
        return -told if told is not None and self.inverted else told


class ShutterState(_Shutter, frozen=True, kw_only=True):
    """Opens (1), stands between (0) or closes (-1); at rest, whether it is open or closed."""

    def value(self, seen: Mapping[str, Any]) -> float | None:
        """See ``Part``."""
        moving, position = self.direction(seen), self.position(seen)
        if moving is None or position is None:
            return None
        if moving:
            return OPEN if moving > 0 else CLOSE
        return OPEN if position == OPENED else CLOSE if position == CLOSED else STOP

    def commands(self, wanted: float) -> tuple[Command, ...]:
        """See ``Part``."""
        verb = "Stop" if wanted == STOP else "Open" if wanted == OPEN else "Close"
        return ((f"Shutter{verb}{self.index}", ""),)

    def reached(self, wanted: float, seen: Mapping[str, Any]) -> bool:
        """See ``Part``."""
        return self.direction(seen) == 0 if wanted == STOP else self.value(seen) == wanted


class ShutterPosition(_Shutter, frozen=True, kw_only=True):
    """How far it is open, 0 to 100."""

    def value(self, seen: Mapping[str, Any]) -> float | None:
        """See ``Part``."""
        return self.position(seen)

    def commands(self, wanted: float) -> tuple[Command, ...]:
        """See ``Part``."""
        return ((f"ShutterPosition{self.index}", f"{100 - wanted if self.inverted else wanted:g}"),)

    def reached(self, wanted: float, seen: Mapping[str, Any]) -> bool:
        """See ``Part``; it has understood when it is on its way, which takes as long as shutters take."""
        return wanted in (self.position(seen), self.position(seen, "Target"))
