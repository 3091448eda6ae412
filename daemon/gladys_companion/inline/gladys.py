"""What the rest of the daemon sees of a Gladys that has the companion for its gateway: a way to tell it something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec import Raw

__all__ = ["GladysSide"]


class GladysSide(Protocol):
    """The local connection to Gladys.

    ``connected`` says whether it is there and authenticated, and ``back`` is called each time that it became so.
    """

    connected: bool
    back: Callable[[], None]

    async def emit(self, name: str, argument: bytes, within: float) -> Raw | None:
        """Send an event and want an ack; return the ack's first argument (JSON), None when none came in time.

        Args:
            name: of the event, such as ``open-api-message``.
            argument: its one argument, JSON.
            within: seconds to wait for the ack.

        Raises:
            Unavailable: Gladys is not connected, so nothing was sent.
            Unanswered: it was sent, and the connection ended before the ack: Gladys may have taken it.
        """
