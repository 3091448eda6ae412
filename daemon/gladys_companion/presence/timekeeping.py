"""The time by which presence is judged: the gateway's, as soon as it is known, counted on by the boot clock.

Phones' times are judged by the gateway's clock; a machine at home may have none that is right, and may set it any time.
"""

from __future__ import annotations

from gladys_companion.clock import Clock

__all__ = ["Timekeeper"]


class Timekeeper:
    """Tells the time; ``set`` is called when the gateway says what it is."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: tuple[float, float] | None = None

    def set(self, now: float) -> None:
        """Take note of the gateway's time, in seconds since the epoch."""
        self._known = now, self._clock.elapsed()

    def now(self) -> float:
        """Return the gateway's time, or this machine's where that was never told."""
        if self._known is None:
            return self._clock.now()
        at, elapsed = self._known
        return at + self._clock.elapsed() - elapsed

    def ahead(self) -> float:
        """Return by how many seconds it is ahead of this machine's clock."""
        return self.now() - self._clock.now()
