"""In-line mode in a test: a real home between a server that plays Gladys Plus and the official client as Gladys."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse
from msgspec import Struct, structs

from gladys_companion import config
from gladys_companion.app import open_daemon
from gladys_companion.app.daemon import Daemon
from gladys_companion.inline import Inline, Relay, open_inline
from gladys_companion.link import Link, Pairing
from tests.home import Home, open_home
from tests.linking import Delays
from tests.npm_modules import Node, node
from tests.processes import Process
from tests.rig import free_port

__all__ = [
    "TOKEN",
    "Living",
    "RawGladys",
    "World",
    "heard",
    "joined",
    "open_gladys",
    "open_living",
    "open_plus",
    "open_process",
    "open_world",
    "until_said",
]

TOKEN = "the-refresh-token"


class World(Struct):
    """The parts: ``url`` is where Gladys connects, ``upstream`` where Gladys Plus is."""

    home: Home
    inline: Inline
    url: str
    upstream: str

    async def until_up(self) -> None:
        """Wait until Gladys Plus is connected."""
        await _until(lambda: _connected(self.inline))

    async def until_gladys(self, there: bool = True) -> None:  # noqa: FBT001, FBT002 - it reads as a sentence
        """Wait until Gladys is connected, or is not."""
        await _until(lambda: self.inline.relay.connected is there)


class Living(Struct):
    """A daemon in in-line mode."""

    daemon: Daemon
    inline: Inline

    @property
    def url(self) -> str:
        """Where Gladys connects."""
        assert self.inline.address is not None
        return f"http://127.0.0.1:{self.inline.address[1]}"

    async def until_gladys(self, there: bool = True) -> None:  # noqa: FBT001, FBT002 - it reads as a sentence
        """Wait until Gladys and Gladys Plus are connected, or Gladys is not."""
        up = self.inline
        await _until(lambda: up.relay.connected is there and (not there or _connected(up)))

    async def until_late(self, deadline: float) -> None:
        """Wait until an event of this deadline is late."""
        await _until(lambda: self.daemon.clock.elapsed() >= deadline)

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Read the journal."""
        return await self.daemon.store.read(lambda database: database.conn.execute(sql).fetchall())

    async def until_rows(self, sql: str, *rows: tuple[Any, ...]) -> None:
        """Wait until the journal says so."""
        async with asyncio.timeout(30):
            while await self.rows(sql) != list(rows):  # noqa: ASYNC110 - a status, which is there to be looked at
                await asyncio.sleep(0.01)


def _connected(inline: Inline) -> bool:
    return inline.link is not None and inline.link.state.state == "connected"


async def _until(happened: Any) -> None:  # noqa: ANN401 - a question
    async with asyncio.timeout(30):
        while not happened():  # noqa: ASYNC110 - a status, which is there to be looked at
            await asyncio.sleep(0.005)


@asynccontextmanager
async def open_world(
    directory: Path,
    upstream: str,
    *,
    link: config.Link | None = None,
    delays: Callable[[int, float, float], float] | None = None,
    **more: Any,
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
                delays=delays or Delays(),
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
async def open_living(directory: Path, upstream: str, **options: Any) -> AsyncIterator[Living]:
    """Run a whole daemon in in-line mode; ``options`` are tables of its configuration."""
    settings = structs.replace(
        config.Config(),
        state_directory=str(directory),
        runtime_directory=str(directory),
        local=config.Local(listen="127.0.0.1:0"),
        discovery=config.Discovery(enabled=False),
        drivers={"virtual": {}},
        inline=config.Inline(enabled=True, listen="127.0.0.1:0", upstream=upstream),
        **options,
    )
    async with open_daemon(settings) as daemon:
        assert daemon.inline is not None
        await daemon.opened.wait()
        yield Living(daemon, daemon.inline)


@asynccontextmanager
async def open_process(
    directory: Path, upstream: str, log_level: str = "warning"
) -> AsyncIterator[tuple[Process, str]]:
    """Run the daemon as a process in in-line mode; gives it and the URL where Gladys connects."""
    port = free_port()
    file = directory / "home.toml"
    own = f'state_directory = "{directory}/state"\nruntime_directory = "{directory}"\nlog_level = "{log_level}"\n'
    local = f'[discovery]\nenabled = false\n[local]\nlisten = "127.0.0.1:{free_port()}"\n'
    inline = f'[inline]\nenabled = true\nlisten = "127.0.0.1:{port}"\nupstream = "{upstream}"\n'
    await asyncio.to_thread(file.write_text, own + local + inline, "utf-8")
    daemon = Process(file, "run")
    try:
        await daemon.ready()
        yield daemon, f"http://127.0.0.1:{port}"
    finally:
        daemon.close()


@asynccontextmanager
async def open_gladys(npm_modules: Path, url: str, token: str = TOKEN) -> AsyncIterator[tuple[Node, dict[str, Any]]]:
    """Run Gladys; gives it and its public keys, once it said whether it connected: ``keys["connected"]``."""
    async with node(npm_modules, "gladys-inline.cjs", url, token) as gladys:
        keys = (await gladys.hear())["keys"]
        keys["connected"] = (await gladys.hear())["connected"]
        yield gladys, keys


@asynccontextmanager
async def open_plus(npm_modules: Path) -> AsyncIterator[tuple[Node, str]]:
    """Run a server that plays Gladys Plus; gives it and its URL."""
    async with node(npm_modules, "plus-inline.cjs") as plus:
        yield plus, f"http://127.0.0.1:{(await plus.hear())['port']}"


class RawGladys:
    """One connection in Gladys' place, frame by frame."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket

    async def hear(self, *, within: float | None = 20) -> str:
        """Return the next frame that is no ping."""
        async with asyncio.timeout(within):
            while (frame := await self.socket.receive_str()) == "2":
                await self.socket.send_str("3")
            return frame

    async def authenticate(self) -> bool:
        """Do it, and return whether it was believed."""
        await self.socket.send_str('42900["instance-authentication",{"access_token":"jwt"}]')
        frame = await self.hear()
        assert frame.startswith("43900")
        return bool(json.loads(frame[5:])[0]["authenticated"])

    async def ended(self) -> None:
        """Wait until the companion has ended it."""
        async with asyncio.timeout(20):
            while not self.socket.closed:
                await self.socket.receive()


@asynccontextmanager
async def joined(url: str, token: str = TOKEN) -> AsyncIterator[RawGladys]:
    """Connect as Gladys does, up to the authentication."""
    async with ClientSession(url) as http:
        async with http.get("/instances/access-token", headers={"Authorization": token}):
            pass
        async with http.ws_connect("/socket.io/?EIO=4&transport=websocket", max_msg_size=0) as socket:
            gladys = RawGladys(socket)
            assert (await gladys.hear()).startswith("0{")
            await socket.send_str("40")
            assert (await gladys.hear()).startswith("40{")
            yield gladys


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
