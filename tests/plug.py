"""A third party's driver, and the device it drives: a smart plug that says its id to whoever connects."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Delivery, Device, Event, Feature, Service
from gladys_companion.ports import Trouble

__all__ = ["PlugDriver", "plug"]


@asynccontextmanager
async def plug(
    serial: str, host: str = "127.0.0.1", port: int = 0, *, listener: socket.socket | None = None
) -> AsyncIterator[int]:
    """Run a plug, at a port or a free one, or on a socket of another network; yield the port."""

    def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{serial}\n".encode())
        writer.close()

    where: dict[str, Any] = {"sock": listener} if listener else {"host": host, "port": port}
    server = await asyncio.start_server(answer, **where)
    async with server:
        yield server.sockets[0].getsockname()[1]


class PlugDriver:
    """Implements ``ports.Driver``, and notes what it was told."""

    def __init__(self, service_type: str) -> None:
        self.services: Sequence[str] = (service_type,)
        self.followed: list[Device] = []
        self.forgotten: list[str] = []
        self.described: list[Device] = []
        self.found: asyncio.Queue[Device] = asyncio.Queue()
        self.following = asyncio.Event()
        self.hook: Callable[[Device], Sequence[Feature] | None] = lambda _: None
        self.troubles: dict[str, Trouble] = {}

    def identify(self, service: Service) -> Device | None:
        serial = service.txt.get("serial")
        if serial is None:
            return None
        if serial == "bomb":
            raise KeyError(serial)
        return Device(
            id=f"plug:{serial}",
            driver=service.txt.get("driver", "plug"),
            name=service.name,
            model=service.txt.get("model", ""),
            host=service.host,
            address=service.addresses[0],
            port=service.port,
        )

    async def describe(self, device: Device) -> Sequence[Feature]:
        self.described.append(device)
        try:
            reader, writer = await asyncio.open_connection(device.address, device.port)
            try:
                serial = (await reader.readline()).decode().strip()
            finally:
                writer.close()
                await writer.wait_closed()
        except OSError as error:
            raise Unavailable(f"No plug at {device.address}.") from error
        if device.id != f"plug:{serial}":
            raise Rejected(f"At {device.address} is plug {serial}.")
        switch = Feature(  # one that can be commanded
            external_id=f"{device.id}:switch",
            device=device.id,
            name="Switch",
            category="switch",
            type="binary",
            writable=True,
        )
        return self.hook(device) or [switch]

    def follow(self, device: Device) -> None:
        self.followed.append(device)
        self.following.set()

    def forget(self, device_id: str) -> None:
        self.forgotten.append(device_id)

    async def discover(self) -> AsyncIterator[Device]:
        while True:
            device = await self.found.get()
            if device.id == "bomb":
                raise KeyError(device.id)
            yield device

    def trouble(self, device_id: str) -> Trouble | None:
        return self.troubles.get(device_id)

    async def deliver(self, delivery: Delivery) -> None:
        raise Unavailable(f"{delivery.target} only shows itself.")

    async def events(self) -> AsyncIterator[Event]:
        return
        yield
