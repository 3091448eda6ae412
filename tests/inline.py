"""In-line mode in a test: a real home between a server that plays Gladys Plus and the official client as Gladys."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from msgspec import Struct

from gladys_companion import config
from gladys_companion.inline import Inline, Relay, open_inline
from gladys_companion.link import Link, Pairing
from tests.home import Home, open_home
from tests.linking import Delays
from tests.npm_modules import Node, node

__all__ = ["TOKEN", "World", "heard", "open_gladys", "open_world", "until_said"]

TOKEN = "the-refresh-token"


class World(Struct):
    """The parts: ``url`` is where Gladys connects, ``upstream`` where Gladys Plus is."""

    home: Home
    inline: Inline
    url: str
    upstream: str

    async def until_up(self) -> None:
        """Wait until Gladys Plus is connected."""
        await _until(lambda: self.inline.link is not None and self.inline.link.state.state == "connected")

    async def until_gladys(self, there: bool = True) -> None:  # noqa: FBT001, FBT002 - it reads as a sentence
        """Wait until Gladys is connected, or is not."""
        await _until(lambda: self.inline.relay.connected is there)


async def _until(happened: Any) -> None:  # noqa: ANN401 - a question
    async with asyncio.timeout(30):
        while not happened():  # noqa: ASYNC110 - a status, which is there to be looked at
            await asyncio.sleep(0.005)


@asynccontextmanager
async def open_world(
    directory: Path, upstream: str, *, link: config.Link | None = None, **more: Any
) -> AsyncIterator[World]:
    """Run in-line mode towards an upstream; ``more`` are options of ``open_inline``."""
    context = ssl.create_default_context()
    async with AsyncExitStack() as stack:
        home = await stack.enter_async_context(open_home(directory))
        http = await stack.enter_async_context(ClientSession())

        def make(pairing: Pairing, relay: Relay) -> Link:
            options = link or config.Link()
            return Link(
                pairing,
                home.intake,
                options=options,
                http=http,
                context=context,
                clock=home.clock,
                delays=Delays(),
                passing=relay,
            )

        options = config.Inline(enabled=True, listen="127.0.0.1:0", upstream=upstream)
        inline = await stack.enter_async_context(open_inline(options, context, make, **more))
        assert inline.address is not None
        async with asyncio.TaskGroup() as group:
            running = group.create_task(inline.run())
            yield World(home, inline, f"http://127.0.0.1:{inline.address[1]}", upstream)
            running.cancel()


@asynccontextmanager
async def open_gladys(npm_modules: Path, url: str, token: str = TOKEN) -> AsyncIterator[tuple[Node, dict[str, Any]]]:
    """Run Gladys; gives it and its public keys, once it said whether it connected: ``keys["connected"]``."""
    async with node(npm_modules, "gladys-inline.cjs", url, token) as gladys:
        keys = (await gladys.hear())["keys"]
        keys["connected"] = (await gladys.hear())["connected"]
        yield gladys, keys


async def heard(peer: Node, *names: str) -> dict[str, Any]:
    """Return the next thing of these names that a script says."""
    while True:
        said: dict[str, Any] = await peer.hear()
        if any(name in said for name in names):
            return said


async def until_said(peer: Node, name: str, value: object) -> None:
    """Wait until a script says just that."""
    while (await heard(peer, name))[name] != value:
        pass
