"""Lets a Python process live in a time that a test sets, by a file of two numbers (see ``tests/warp``).

On the path of a process, it is imported before anything else. The first number is by how many seconds the day of its
wall clock is another one; by the second all clocks are ahead, also the loop's own, so that what was to be in an hour is
now when an hour was skipped.
"""

# ruff: noqa: INP001 - the directory is no package, but stands on the path of a process

from __future__ import annotations

import mmap
import os
import selectors
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LONGEST_WAIT = 0.002  # seconds that a loop sleeps before it looks at the clock again


def warp(path: Path) -> None:
    """Set every clock of this process by the file."""
    with path.open("rb") as file:
        shared = mmap.mmap(file.fileno(), 16, access=mmap.ACCESS_READ)

    def ahead() -> tuple[float, float]:
        day, skipped = struct.unpack("dd", shared)
        return float(day), float(skipped)

    def warped(clock: Callable[..., float]) -> Callable[..., float]:
        return lambda *which: clock(*which) + ahead()[1]

    wall = time.time
    time.time = lambda: wall() + sum(ahead())
    time.monotonic = warped(time.monotonic)
    time.clock_gettime = warped(time.clock_gettime)  # the boot clock is all that anybody asks here

    select = selectors.EpollSelector.select

    def look_often(self: selectors.EpollSelector, timeout: float | None = None) -> Any:  # noqa: ANN401 - as it is
        return select(self, LONGEST_WAIT if timeout is None else min(timeout, LONGEST_WAIT))

    selectors.EpollSelector.select = look_often  # type: ignore[method-assign,assignment]  # that is what this is for
    sys.modules["uvloop"] = None  # type: ignore[assignment]  # its loop has a clock of its own


if "WARPED_BY" in os.environ:
    warp(Path(os.environ["WARPED_BY"]))
