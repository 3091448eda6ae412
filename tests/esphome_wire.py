"""A device that speaks ESPHome's plain API as no firmware does: what it lists, tells and answers is the test's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aioesphomeapi import api_pb2
from aioesphomeapi.core import MESSAGE_TYPE_TO_PROTO

from tests.esphome import MAC, open_server
from tests.rig import free_port

__all__ = ["Message", "Wire", "message", "open_wire"]

Message = Any
"""One of protobuf's."""

_TYPES = {kind: number for number, kind in MESSAGE_TYPE_TO_PROTO.items()}


def message(kind: str, /, **fields: Any) -> Message:
    """Return a message of the API, by the name that api.proto gives it."""
    return getattr(api_pb2, kind)(**fields)


class Wire:
    """The device. ``entities`` and ``states`` are what it lists and tells; ``heard`` is what it was told.

    ``answer`` may take a request, and returns what is answered, or None for what an honest device answers.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.entities: Iterable[Message] = (
            message("ListEntitiesSwitchResponse", object_id="pump", key=1, name="Pump"),
        )
        self.states: Sequence[Message] = (message("SwitchStateResponse", key=1, state=False),)
        self.heard: list[Message] = []
        self.answer: Callable[[Message], Iterable[Message] | None] = lambda _: None
        self._writers: set[asyncio.StreamWriter] = set()
        self._some = asyncio.Condition()

    async def until(self, condition: Callable[[Wire], bool]) -> None:
        """Return as soon as ``condition(wire)`` holds; it is asked again after everything that it was told."""
        async with asyncio.timeout(20), self._some:
            await self._some.wait_for(lambda: condition(self))

    def was_told(self, name: str) -> int:
        """Return how often it was told that."""
        return sum(type(one).__name__ == name for one in self.heard)

    async def push(self, *messages: Message) -> None:
        """Tell whoever listens."""
        for writer in tuple(self._writers):
            writer.write(b"".join(map(_frame, messages)))
            await writer.drain()

    def hang_up(self) -> None:
        """End all connections, as a device does that restarts."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk to one client."""
        try:
            while (request := await _read(reader)) is not None:
                answers = self.answer(request)
                for answer in self._honest(request, writer) if answers is None else answers:
                    writer.write(_frame(answer))
                    await writer.drain()
                    await asyncio.sleep(0)  # or an endless answer would keep the loop from whom it is for
                async with self._some:
                    self.heard.append(request)
                    self._some.notify_all()
        finally:
            self._writers.discard(writer)

    def _honest(self, request: Message, writer: asyncio.StreamWriter) -> Iterable[Message]:
        match type(request).__name__:
            case "HelloRequest":
                yield message("HelloResponse", api_version_major=1, api_version_minor=10, name="wire")
            case "DeviceInfoRequest":
                yield message("DeviceInfoResponse", name="wire", mac_address=MAC)
            case "ListEntitiesRequest":
                yield from self.entities
                yield message("ListEntitiesDoneResponse")
            case "SubscribeStatesRequest":
                self._writers.add(writer)
                yield from self.states
            case "PingRequest":
                yield message("PingResponse")
            case "DisconnectRequest":
                yield message("DisconnectResponse")


def _frame(said: Message) -> bytes:
    content: bytes = said.SerializeToString()
    return b"\x00" + _varint(len(content)) + _varint(_TYPES[type(said)]) + content


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


async def _read(reader: asyncio.StreamReader) -> Message | None:
    try:
        assert await reader.readexactly(1) == b"\x00"
        length, kind = await _read_varint(reader), await _read_varint(reader)
        return MESSAGE_TYPE_TO_PROTO[kind].FromString(await reader.readexactly(length))
    except asyncio.IncompleteReadError:
        return None


async def _read_varint(reader: asyncio.StreamReader) -> int:
    number = shift = 0
    while (byte := (await reader.readexactly(1))[0]) & 0x80:
        number, shift = number | (byte & 0x7F) << shift, shift + 7
    return number | byte << shift


@asynccontextmanager
async def open_wire() -> AsyncIterator[Wire]:
    """Run such a device."""
    wire = Wire()
    async with open_server(wire.port, wire.take):
        yield wire
