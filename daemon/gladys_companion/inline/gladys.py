"""What the rest of the daemon sees of a Gladys that has the companion for its gateway: a way to tell it something."""

from __future__ import annotations

import asyncio
from typing import Protocol

from msgspec import Raw

__all__ = ["GladysSide"]


class GladysSide(Protocol):
    """The local connection to Gladys."""

    async def ask(self, name: str, argument: str) -> asyncio.Future[Raw | None]:
        """Send an event and want an ack; return what becomes the ack's first argument (JSON).

        That becomes None when no ack came for as long as anybody waits for one, and raises ``Unanswered`` when the
        connection ended before: Gladys may have taken it.

        Args:
            name: of the event, such as ``open-api-message``.
            argument: its one argument, JSON.

        Raises:
            Unavailable: Gladys is not connected, so nothing was sent.
        """
