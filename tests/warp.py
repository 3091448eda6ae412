"""A clock that a test turns on for itself and for the processes that it starts: a day passes in half a minute."""

from __future__ import annotations

import asyncio
import mmap
import os
import struct
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["Warp", "warped"]

STEP = 20.0  # seconds that are skipped at once: less than what a link may be silent for
REAL_STEP = 0.005  # seconds that processes get to notice it


class Warp:
    """The time of the processes; made by ``warped``."""

    def __init__(self, shared: mmap.mmap, day: float) -> None:
        self._shared = shared
        self._day = day
        self._skipped = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> float:
        """Return what they take for the time."""
        return time.time() + self._day + self._skipped

    def skip(self, seconds: float) -> None:
        """Set all clocks ahead at once."""
        self._skipped += seconds
        self._shared[:] = struct.pack("dd", self._day, self._skipped)
        due = [one for one in self._sleepers if one[0] <= self.now()]
        for one in due:
            self._sleepers.remove(one)
            if not one[1].done():
                one[1].set_result(None)

    async def until(self, at: float, done: Callable[[], Awaitable[object]]) -> None:
        """Let time pass, in steps; at each wait until ``done``, so that a slow machine does what becomes due, too."""
        while (left := at - self.now()) > 0:
            self.skip(min(left, STEP))
            await asyncio.sleep(REAL_STEP)
            await done()

    async def sleep(self, seconds: float) -> None:
        """Return when somebody else has let so much time pass."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now() + seconds, over))
        await over


@contextmanager
def warped(directory: Path, monkeypatch: pytest.MonkeyPatch, began: float) -> Iterator[Warp]:
    """Let every Python process that is started meanwhile live in a time that is ``began`` now (epoch)."""
    path = directory / "warp"
    day = began - time.time()
    path.write_bytes(struct.pack("dd", day, 0.0))
    own = str(Path(__file__).with_name("warped"))
    monkeypatch.setenv("WARPED_BY", str(path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (own, os.environ.get("PYTHONPATH")))))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 16) as shared:
        yield Warp(shared, day)
