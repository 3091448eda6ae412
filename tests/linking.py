"""A link as the daemon runs it, with its backoff in the hands of a test, and a gateway that the test speaks as."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientSession

from gladys_companion import config
from gladys_companion.link import Link, Pairing, tls_context
from tests.home import Home
from tests.odd_gateway import Gateway, Peer

__all__ = ["FOREVER", "Delays", "Scripted", "linked", "until"]

FOREVER = 1_000_000


class Delays:
    """Notes what is asked of the backoff, and waits for nothing, or for ever from the `most`-th on."""

    def __init__(self, most: int = FOREVER) -> None:
        self.asked: list[tuple[int, float, float]] = []
        self._most = most
        self._changed = asyncio.Event()

    def __call__(self, attempt: int, first: float, most: float) -> float:
        self.asked.append((attempt, first, most))
        self._changed.set()
        return 0.0 if len(self.asked) < self._most else float(FOREVER)

    async def count(self, number: int) -> Sequence[int]:
        """Return the attempts that were counted, when there are so many."""
        async with asyncio.timeout(20):
            while len(self.asked) < number:
                self._changed.clear()
                await self._changed.wait()
        return [attempt for attempt, _, _ in self.asked]


@asynccontextmanager
async def linked(
    home: Home,
    url: str,
    *,
    delays: Callable[[int, float, float], float] | None = None,
    own: bool = True,
    ca_certificate: str = "",
    refresh_token: str = "refresh",  # noqa: S107 - no secret
    **options: Any,
) -> AsyncIterator[Link]:
    pairing = Pairing(
        url=url, instance_id="instance", home_id="home", home_name="Home", refresh_token=refresh_token, own=own
    )
    context = await asyncio.to_thread(tls_context, ca_certificate)
    async with ClientSession() as http:
        link = Link(
            pairing,
            home.intake,
            options=config.Link(**options),
            http=http,
            context=context,
            clock=home.clock,
            delays=delays or Delays(),
        )
        async with asyncio.TaskGroup() as group:
            running = group.create_task(link.run())
            yield link
            running.cancel()


async def until(happened: Callable[[], object]) -> None:
    """Wait for a status, which is there to be looked at."""
    async with asyncio.timeout(20):
        while not happened():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


class Scripted:
    """Lets a test speak as the gateway, one connection at a time."""

    def __init__(self, gateway: Gateway) -> None:
        self._peers: asyncio.Queue[Peer] = asyncio.Queue()
        gateway.serve = self.serve

    async def serve(self, peer: Peer) -> None:
        """Join, and leave the rest to the test."""
        await peer.join()
        self._peers.put_nowait(peer)
        await peer.socket.wait_closed()

    async def peer(self) -> Peer:
        """Return the next home that joined."""
        async with asyncio.timeout(20):
            return await self._peers.get()
