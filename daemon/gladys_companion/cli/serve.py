"""Runs a service until a signal: to stop is to cancel, and it is no error."""

from __future__ import annotations

import asyncio
import resource
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from gladys_companion.errors import CompanionError

__all__ = ["serve"]

ENOUGH_FILES = 65_536


def serve(service: Coroutine[Any, Any, object]) -> None:
    """Run it to its end, or until SIGTERM or SIGINT.

    Raises:
        CompanionError: what it failed with, out of whatever group of tasks it came in.
    """
    _allow_files()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_until_told(service))
    except BaseExceptionGroup as group:
        raise _expected(group) or group from None


def _allow_files() -> None:
    """Have as many open as this user may: there is a connection to each device, home and phone, and 1,024 are few."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH_FILES if most == resource.RLIM_INFINITY else min(ENOUGH_FILES, most)
    if now != resource.RLIM_INFINITY and now < wanted:
        with suppress(OSError, ValueError):  # forbidden: then it works with fewer
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's where it is installed (the extra ``speed``): the bench shows what it is worth."""
    try:
        import uvloop  # noqa: PLC0415 - it may be missing
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _until_told(service: Coroutine[Any, Any, object]) -> None:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    told = asyncio.Event()

    def stop() -> None:
        told.set()
        if task is not None:
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        await service
    except asyncio.CancelledError:
        if not told.is_set():
            raise


def _expected(group: BaseExceptionGroup[BaseException]) -> CompanionError | None:
    """Return our own error if that is all there is: everything else is a bug and is shown whole."""
    for error in group.exceptions:
        found = _expected(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(found, CompanionError) and len(group.exceptions) == 1:
            return found
    return None
