"""The two clocks: wall time for what people read, and boot time for how long something has waited.

A Raspberry Pi has no clock of its own, and time servers set clocks forward and back. So an age is never the difference
of two wall times: it is counted on ``CLOCK_BOOTTIME``, which goes on over a restart of the process and while the
machine sleeps, and which means nothing after a reboot (``boot`` tells one boot from another).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

__all__ = ["SYSTEM", "Clock", "SystemClock"]


class Clock(Protocol):
    """What code takes instead of calling ``time`` so that tests can set a clock forward and back."""

    @property
    def boot(self) -> str:
        """Identity of this boot; ages of another boot can not be compared."""
        ...

    def now(self) -> float:
        """Return wall time in seconds since the epoch."""
        ...

    def elapsed(self) -> float:
        """Return seconds since boot; never goes back."""
        ...


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:  # not Linux: take the hour of boot, which survives a restart of the process
        return f"boot-{round((time.time() - time.monotonic()) / 3600)}"


class SystemClock:
    """The machine's own clocks."""

    def __init__(self) -> None:
        self.boot = _boot_id()

    now = staticmethod(time.time)

    if hasattr(time, "CLOCK_BOOTTIME"):

        @staticmethod
        def elapsed() -> float:
            """Return seconds since boot, sleep included."""
            return time.clock_gettime(time.CLOCK_BOOTTIME)
    else:  # not Linux
        elapsed = staticmethod(time.monotonic)


SYSTEM = SystemClock()
