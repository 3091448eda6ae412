"""Looks at what Gladys has, at once and every so often, sooner again where that failed; for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import NoReturn

from gladys_companion.backoff import backoff
from gladys_companion.errors import Rejected, Unavailable

__all__ = ["keep_looking"]

FIRST_RETRY, LAST_RETRY = 1.0, 60.0


async def keep_looking(
    look: Callable[[], Awaitable[None]],
    *,
    seconds: float,
    every: Callable[[float, Callable[[], None]], Callable[[], None]],
    contained: Callable[[], AbstractAsyncContextManager[None]],
    troubled: Callable[[str], None],
    well: Callable[[], None],
) -> NoReturn:
    """Look for ever.

    Args:
        look: looks once; raises ``Unavailable`` or ``Rejected``.
        seconds: between two looks.
        every: of the ``Kit``.
        contained: of the ``Kit``.
        troubled: told why a look failed.
        well: told that one did not.
    """
    due = asyncio.Event()
    end = every(seconds, due.set)
    first = min(FIRST_RETRY, seconds)
    last = max(first, min(LAST_RETRY, seconds))
    delays = backoff(first, last)
    try:
        while True:
            wait = None
            try:
                async with contained():
                    await look()
            except (Unavailable, Rejected) as error:
                troubled(str(error))
                wait = next(delays)
            else:
                well()
                delays = backoff(first, last)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await due.wait()
            due.clear()
    finally:
        end()
