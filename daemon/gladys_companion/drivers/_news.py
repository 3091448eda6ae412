"""What devices tell, on its way out as events: where one tells too much, only the newest of each value.

A device that floods costs the home a trickle, and nobody else anything.
"""

from __future__ import annotations

import asyncio
from collections import deque

from msgspec import Struct, field

from gladys_companion.clock import Clock
from gladys_companion.model import Event, report
from gladys_companion.ports import Trouble

__all__ = ["News", "Value"]

Value = float | str
"""A number, or the text of a feature that takes texts."""

AT_ONCE = 100.0  # events of one device that may come together; a bridge tells all its lamps when a scene begins
A_SECOND = 20.0  # and how fast such a credit grows again: a meter tells five values a second
MOST_MOMENTS = 50  # presses that wait; more of them are no person's
SHOWN_FOR = 60.0  # seconds for which a flood is shown after it ended


class _Source(Struct):
    """One device: its credit, and what waits for some; ``values`` the newest of each component."""

    credit: float
    counted_at: float
    values: dict[str, Value] = {}
    moments: deque[tuple[str, Value]] = field(default_factory=lambda: deque(maxlen=MOST_MOMENTS))
    timer: asyncio.TimerHandle | None = None
    flooded: tuple[float, float, float] | None = None  # when it began: on the wall; when it was last: boot clock; count


class News:
    """A queue of events between the drivers' connections and ``events()``; for one loop."""

    def __init__(self, origin: str, clock: Clock) -> None:
        self._origin = origin
        self._clock = clock
        self._sources: dict[str, _Source] = {}
        self._values: dict[str, Event] = {}  # by external id: where nobody takes them, the newest replaces the older
        self._moments: deque[Event] = deque(maxlen=1_024)
        self._some = asyncio.Event()

    async def get(self) -> Event:
        """Return the next event, waiting for it."""
        while not (self._moments or self._values):
            self._some.clear()
            await self._some.wait()
        return self._moments.popleft() if self._moments else self._values.pop(next(iter(self._values)))

    def put(self, device_id: str, component: str, value: Value, *, momentary: bool) -> None:
        """Take what a device tells. A ``momentary`` one is never replaced by a newer."""
        source = self._sources.get(device_id)
        if source is None:
            source = self._sources[device_id] = _Source(AT_ONCE, self._clock.elapsed())
        self._refill(source)
        if source.timer is None and source.credit >= 1:
            source.credit -= 1
            self._out(device_id, component, value, momentary=momentary)
            return
        if momentary:
            source.moments.append((component, value))
        else:
            source.values[component] = value
        began, _, count = source.flooded or (self._clock.now(), 0.0, 0.0)
        source.flooded = began, self._clock.elapsed(), count + 1
        if source.timer is None:
            source.timer = asyncio.get_running_loop().call_later(1 / A_SECOND, self._trickle, device_id)

    def forget(self, device_id: str) -> None:
        """Drop what waits of a device."""
        source = self._sources.pop(device_id, None)
        if source is not None and source.timer is not None:
            source.timer.cancel()

    def trouble(self, device_id: str) -> Trouble | None:
        """Return that the device tells more than can be followed, while that is so and for a minute after."""
        source = self._sources.get(device_id)
        if source is None or source.flooded is None or self._clock.elapsed() - source.flooded[1] > SHOWN_FOR:
            return None
        says = f"It tells more than {A_SECOND:g} changes a second: only the newest of each value is kept. Restart it."
        return Trouble(says, source.flooded[0], reached=True)

    def _refill(self, source: _Source) -> None:
        now = self._clock.elapsed()
        source.credit = min(AT_ONCE, source.credit + (now - source.counted_at) * A_SECOND)
        source.counted_at = now
        if source.flooded is not None and now - source.flooded[1] > SHOWN_FOR:
            source.flooded = None

    def _trickle(self, device_id: str) -> None:
        """Let out one value and one moment of what waits, and see to the next."""
        source = self._sources[device_id]
        source.credit, source.counted_at = 0.0, self._clock.elapsed()
        if source.moments:
            self._out(device_id, *source.moments.popleft(), momentary=True)
        if source.values:
            component = next(iter(source.values))
            self._out(device_id, component, source.values.pop(component), momentary=False)
        waits = bool(source.moments or source.values)
        source.timer = asyncio.get_running_loop().call_later(1 / A_SECOND, self._trickle, device_id) if waits else None

    def _out(self, device_id: str, component: str, value: Value, *, momentary: bool) -> None:
        external_id = f"{device_id}:{component}"
        text = isinstance(value, str)
        event = report(
            origin=self._origin,
            external_id=external_id,
            value=None if text else float(value),
            text=str(value) if text else None,
            now=self._clock.now(),
            elapsed=self._clock.elapsed(),
            boot=self._clock.boot,
        )
        if momentary:
            self._moments.append(event)
        else:
            self._values.pop(external_id, None)
            self._values[external_id] = event
        self._some.set()
