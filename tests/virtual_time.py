"""An event loop whose time jumps to the next timer as soon as nothing else is to be done: an hour passes in seconds.

Sockets between parts that run on this loop are served at once; a thread, or another process, must be quicker than
``patience`` to be in time.
"""

from __future__ import annotations

import asyncio
import random
import selectors

from gladys_companion.backoff import delay
from tests.home import SetClock

__all__ = ["LoopClock", "VirtualLoop", "waits"]


class _Selector(selectors.DefaultSelector):
    """Waits for ``patience`` where it is to wait for longer, and counts the rest as waited for."""

    def __init__(self, patience: float) -> None:
        super().__init__()
        self.skipped = 0.0
        self._patience = patience

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= self._patience:
            return super().select(timeout)
        ready = super().select(self._patience)
        if not ready:
            self.skipped += timeout - self._patience
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Give it to ``asyncio.Runner(loop_factory=...)``. ``patience``: real seconds until nothing more is expected."""

    def __init__(self, patience: float = 0.002) -> None:
        self._skipping = _Selector(patience)
        super().__init__(self._skipping)

    def time(self) -> float:
        """Return the seconds that passed, or were skipped."""
        return super().time() + self._skipping.skipped


class LoopClock(SetClock):
    """The clocks of a home that lives in the time of the running loop."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()

    def now(self) -> float:
        """Return the wall time."""
        return self.wall + self._loop.time()

    def elapsed(self) -> float:
        """Return the boot time."""
        return self.up + self._loop.time()


def waits(attempt: int, first: float, most: float) -> float:
    """Return the delays that users get, the same ones in each run."""
    return delay(attempt, first, most, random=random.Random(attempt * 7_919).random)
