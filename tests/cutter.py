"""A wire that can be cut: a TCP relay on loopback whose connections a test breaks, freezes or lets fall silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["Cutter", "open_cutter"]


class _Side(asyncio.Protocol):
    """One end of a relayed connection; what it receives goes to the other one."""

    def __init__(self, cutter: Cutter) -> None:
        self.cutter = cutter
        self.other: _Side | None = None
        self.transport: asyncio.Transport
        self.swallows = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.cutter.sides.add(self)
        if self.cutter.frozen:
            transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        if not self.swallows and self.other is not None:
            self.other.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.cutter.sides.discard(self)
        if self.other is not None and not self.swallows:
            self.other.transport.close()


class _Accepted(_Side):
    """The end that called; it is read only once the other one is reached."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.pause_reading()
        self.cutter.accepted.put_nowait(self)


class Cutter:
    """The relay; made by ``open_cutter``."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self.frozen = False
        self.sides: set[_Side] = set()
        self.accepted: asyncio.Queue[_Accepted] = asyncio.Queue()
        self._to = port

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> int:
        """Break every connection at once, as a pulled plug and a reset do; return how many ends broke."""
        broken = len(self.sides)
        for side in list(self.sides):
            side.transport.abort()
        return broken

    def freeze(self) -> None:
        """Let nothing through, on old and new connections, but lose nothing either."""
        self.frozen = True
        for side in self.sides:
            side.transport.pause_reading()

    def thaw(self) -> None:
        """Let everything through that was frozen."""
        self.frozen = False
        for side in self.sides:
            if side.other is not None:
                side.transport.resume_reading()

    def swallow(self) -> None:
        """Lose from now on what comes on present connections, and say nothing: as a router that forgot them."""
        for side in self.sides:
            side.swallows = True

    async def relay(self) -> None:
        """Connect whoever called with the other side, for ever."""
        while True:
            caller = await self.accepted.get()
            try:
                _, reached = await asyncio.get_running_loop().create_connection(
                    lambda: _Side(self), "127.0.0.1", self._to
                )
            except OSError:
                caller.transport.abort()
                continue
            caller.other, reached.other = reached, caller
            if not self.frozen and not caller.transport.is_closing():
                caller.transport.resume_reading()
            if caller.transport.is_closing():
                reached.transport.abort()


@asynccontextmanager
async def open_cutter(port: int) -> AsyncIterator[Cutter]:
    """Give a wire to that port of this machine; whether somebody listens there may change."""
    cutter = Cutter(port)
    server = await asyncio.get_running_loop().create_server(lambda: _Accepted(cutter), "127.0.0.1", 0)
    cutter.port = server.sockets[0].getsockname()[1]
    async with server, asyncio.TaskGroup() as group:
        relaying = group.create_task(cutter.relay())
        try:
            yield cutter
        finally:
            relaying.cancel()
            server.close()
            cutter.cut()
