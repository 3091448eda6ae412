"""An event loop whose time jumps to the next timer as soon as nothing else is to be done: an hour passes in seconds.

Sockets between parts that run on this loop are served at once, and no time passes while somebody waits for a thread or
for the store. Another process must be quicker than ``PATIENCE`` to be in time.
"""

from __future__ import annotations

import asyncio
import random
import selectors
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from gladys_companion.backoff import delay
from gladys_companion.store.writer import SqliteStore
from tests.home import SetClock

__all__ = ["LoopClock", "VirtualLoop", "waits"]


PATIENCE = 0.002  # real seconds without a word, after which nothing more is expected


class _Selector(selectors.DefaultSelector):
    """Waits for ``PATIENCE`` where it is to wait for longer, and counts the rest as waited for."""

    def __init__(self, busy: Callable[[], bool]) -> None:
        super().__init__()
        self.skipped = 0.0
        self._busy = busy

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= PATIENCE:
            return super().select(timeout)
        if self._busy():
            began = time.monotonic()
            ready = super().select(None)
            self.skipped -= time.monotonic() - began
            return ready
        ready = super().select(PATIENCE)
        if not ready:
            self.skipped += timeout - PATIENCE
        return ready


def _waits_for_the_store(awaited: object) -> bool:
    """Whether this coroutine's innermost await is a write that the store has not committed yet."""
    while awaited is not None:
        if getattr(awaited, "cr_code", None) is SqliteStore.write.__code__:
            return True
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
    return False


class VirtualLoop(asyncio.SelectorEventLoop):
    """Give it to ``asyncio.Runner(loop_factory=...)``."""

    def __init__(self) -> None:
        self._in_threads = 0
        self._skipping = _Selector(self._busy)
        super().__init__(self._skipping)

    def _busy(self) -> bool:
        return self._in_threads > 0 or any(_waits_for_the_store(task.get_coro()) for task in asyncio.all_tasks(self))

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Run it in a thread, while no time passes."""
        self._in_threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._left_a_thread)
        return future

    def _left_a_thread(self, _: asyncio.Future[Any]) -> None:
        self._in_threads -= 1

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
