"""The door to an accessory that somebody else wrote: it can move, fall silent, babble or dawdle without knowing it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

__all__ = ["Gate", "open_gate", "stop_accepting"]

NONSENSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/pairing+tlv8\r\nContent-Length: 3\r\n\r\n\x06\x09\x02"


class Gate:
    """A TCP relay on 127.0.0.1; ``port`` is where it listens now. Made by ``open_gate``.

    ``mode``: ``open`` lets everything through; ``silent`` takes everything and gives nothing; ``babbling`` answers
    nonsense; ``dawdling`` gives one byte at a time.
    """

    def __init__(self, port: int) -> None:
        self.port = 0
        self.mode: Literal["open", "silent", "babbling", "dawdling"] = "open"
        self.accepted = 0
        self._to = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def move(self, to: int | None = None) -> None:
        """Listen on another port, leading to another accessory if ``to`` is given; connections break."""
        await self.close()
        self._to = to or self._to
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def lead(self, to: int) -> None:
        """Lead to another accessory from the next connection on, in the same place."""
        self._to = to

    def open(self) -> None:
        """End silence and all else; connections that were waiting for an answer break."""
        self.mode = "open"
        self.cut()

    def cut(self) -> None:
        """Break every connection."""
        for writer in self._writers:
            writer.transport.abort()

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            await stop_accepting(self._server)
            self._server.close()
            self._server = None
        self.cut()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.add(writer)
        beyond: asyncio.StreamWriter | None = None
        try:
            answers, beyond = await asyncio.open_connection("127.0.0.1", self._to)
            self._writers.add(beyond)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._ask(reader, writer, beyond))
                group.create_task(self._answer(answers, writer))
        except* (OSError, EOFError):
            pass
        finally:
            for one in (writer, beyond):
                if one is not None:
                    self._writers.discard(one)
                    one.transport.abort()

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, beyond: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(1 << 16):
            if self.mode == "babbling":
                writer.write(NONSENSE)
            elif self.mode != "silent":
                beyond.write(data)
                await beyond.drain()
        raise EOFError

    async def _answer(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await answers.read(1 << 16):
            if self.mode == "dawdling":
                for byte in data:
                    writer.write(bytes((byte,)))
                    await writer.drain()
                    await asyncio.sleep(0.02)
            elif self.mode == "open":
                writer.write(data)
                await writer.drain()
        raise EOFError


async def stop_accepting(server: asyncio.Server) -> None:
    """Return when nothing is on its way into a server, which is closed then.

    Python 3.11 loses a connection, unclosed, that was accepted just before its server is closed.
    """
    loop = asyncio.get_running_loop()
    for listener in server.sockets if isinstance(loop, asyncio.SelectorEventLoop) else ():
        loop.remove_reader(listener.fileno())
    for _ in range(5):
        await asyncio.sleep(0)


@asynccontextmanager
async def open_gate(port: int) -> AsyncIterator[Gate]:
    """Give a door to that port of this machine."""
    gate = Gate(port)
    await gate.move()
    try:
        yield gate
    finally:
        await gate.close()
        async with asyncio.timeout(10):
            while gate._writers:  # noqa: ASYNC110 - the relays end by themselves
                await asyncio.sleep(0.01)
