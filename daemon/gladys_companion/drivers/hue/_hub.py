"""One connection to each bridge, shared by all that follow a device of it; it ends when the last of them leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from gladys_companion.drivers.hue._bridge import Bridge, Spot
from gladys_companion.errors import Rejected, Unavailable

__all__ = ["Connect", "Hub", "Link"]

Connect = Callable[[Spot], AbstractAsyncContextManager[Bridge]]


class Link:
    """One connection, from its first attempt to its end. ``bridge`` is there once ``Hub.joined`` yielded it."""

    bridge: Bridge

    def __init__(self, spot: Spot) -> None:
        self.spot = spot
        self.users = 0
        self.arrived = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()
        self._why: Unavailable | Rejected | None = None

    async def end(self) -> None:
        """Wait for its end, and raise why.

        Raises:
            Unavailable, Rejected: always.
        """
        await self._ended.wait()
        self.check()

    def check(self) -> None:
        """Raise why it ended, if it did; an error of its own for each who asks."""
        if self._why is not None:
            raise type(self._why)(str(self._why))

    def ends(self, why: Unavailable | Rejected) -> None:
        """Take note of its end; the first reason stands."""
        if self._why is None:
            self._why = why
        self.arrived.set()
        self._ended.set()


class Hub:
    """All connections, by the MAC of the bridge.

    Args:
        group: for their tasks.
        connect: opens one.
        run: keeps it until it ends, with ``Unavailable`` or ``Rejected``.
        contained: of the kit.
    """

    def __init__(
        self,
        group: asyncio.TaskGroup,
        connect: Connect,
        run: Callable[[Bridge], Awaitable[object]],
        contained: Callable[[], AbstractAsyncContextManager[None]],
    ) -> None:
        self._group = group
        self._connect = connect
        self._run = run
        self._contained = contained
        self._links: dict[str, Link] = {}

    @asynccontextmanager
    async def joined(self, spot: Spot) -> AsyncIterator[Link]:
        """Yield the connection to a bridge, the one that there is or a new one. If it is elsewhere, that one ends.

        Raises:
            Unavailable, Rejected: there is none.
        """
        link = self._links.get(spot.mac)
        if link is not None and link.spot.where != spot.where:
            self.drop(spot.mac, Unavailable(f"{link.spot} is elsewhere now."))
            link = None
        if link is None:
            link = self._links[spot.mac] = Link(spot)
            link.task = self._group.create_task(self._keep(link), name=f"hue bridge {spot.mac}")
        link.users += 1
        try:
            await link.arrived.wait()
            link.check()
            yield link
        finally:
            link.users -= 1
            if link.users == 0:
                self._end(link, Unavailable(f"{spot} is not listened to."))

    def drop(self, mac: str, why: Unavailable | Rejected) -> None:
        """End the connection to a bridge, and tell its users why."""
        link = self._links.get(mac)
        if link is not None:
            self._end(link, why)

    def _end(self, link: Link, why: Unavailable | Rejected) -> None:
        link.ends(why)
        if self._links.get(link.spot.mac) is link:
            del self._links[link.spot.mac]
        if link.task is not None:
            link.task.cancel()

    async def _keep(self, link: Link) -> None:
        why: Unavailable | Rejected = Unavailable(f"{link.spot} ended the connection.")
        try:
            async with self._contained(), self._connect(link.spot) as link.bridge:
                link.arrived.set()
                await self._run(link.bridge)
        except (Unavailable, Rejected) as error:
            why = error
        finally:
            link.ends(why)
            if self._links.get(link.spot.mac) is link:
                del self._links[link.spot.mac]
