"""Many waits of the same length on one timer."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

__all__ = ["Patience"]

T = TypeVar("T")

_TIDY_AT = 1_024  # waits, most of them over: only then are those swept out


class Patience(Generic[T]):
    """Makes futures that, unless somebody sets them before, become None after ``within`` seconds."""

    def __init__(self, within: float) -> None:
        self._within = within
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[float, asyncio.Future[T | None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._tidy_at = _TIDY_AT

    def future(self) -> asyncio.Future[T | None]:
        """Return a new one."""
        if len(self._waiting) >= self._tidy_at:
            self._waiting = deque(waiting for waiting in self._waiting if not waiting[1].done())
            self._tidy_at = max(_TIDY_AT, 2 * len(self._waiting))
        future: asyncio.Future[T | None] = self._loop.create_future()
        self._waiting.append((self._loop.time() + self._within, future))
        if self._timer is None:
            self._timer = self._loop.call_later(self._within, self._end)
        return future

    def _end(self) -> None:
        now = self._loop.time()
        while self._waiting and (self._waiting[0][0] <= now or self._waiting[0][1].done()):
            future = self._waiting.popleft()[1]
            if not future.done():
                future.set_result(None)
        self._timer = self._loop.call_at(self._waiting[0][0], self._end) if self._waiting else None
