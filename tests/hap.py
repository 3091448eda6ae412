"""What all real HomeKit accessories of the tests have in common, whoever wrote them, and how they are announced.

A test reads the truth from them, changes it by hand, and lets them lose their pairing. Nothing is announced but by
``announced``, on loopback.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from gladys_companion.model import Device, Service
from tests.hap_gate import Gate

__all__ = ["PIN", "Hap", "announced", "any_mac", "device_of", "id_text", "service_of"]

PIN = "031-45-154"
TYPE = "_hap._tcp.local."


class Hap(ABC):
    """An accessory and the gate to it. ``mac`` is its id as 12 hex digits."""

    def __init__(self, mac: str, name: str, port: int) -> None:
        self.mac = mac
        self.name = name
        self.port = port
        self.gate: Gate

    @abstractmethod
    async def id_of(self, service: str, characteristic: str) -> tuple[int, int]:
        """Return the ids of the first such characteristic."""

    @abstractmethod
    async def truth(self, aid: int, iid: int) -> dict[str, Any]:
        """Return the values of all characteristics of the service that has this one, by name (``CurrentPosition``)."""

    @abstractmethod
    async def set(self, service: str, characteristic: str, value: object) -> None:
        """Change the first such characteristic, as a hand at the device does."""

    @abstractmethod
    async def press(self, presses: int) -> None:
        """Press its first button: 0 is once, 1 is twice, 2 is long."""

    @abstractmethod
    async def behave(self, how: str) -> None:
        """Have locks, doors and covers be ``prompt``, ``slow`` (they begin to move and go on) or ``jammed``."""

    @abstractmethod
    async def flood(self, number: int) -> int:
        """Tell so many changes of a lamp's brightness as fast as it can; return the last one."""

    @abstractmethod
    async def forget(self) -> None:
        """Lose every pairing, as a reset does."""

    @abstractmethod
    async def txt(self) -> dict[str, str]:
        """Return what it wants to be announced now."""


def any_mac() -> str:
    """Return 12 hex digits that are nobody else's on this machine."""
    return f"02{secrets.token_hex(5)}"


def id_text(mac: str) -> str:
    """Return 12 hex digits as HomeKit writes them."""
    return ":".join(mac[start : start + 2] for start in range(0, 12, 2)).upper()


def label(hap: Hap) -> str:
    """Return a name of its own for mDNS."""
    return f"{hap.name} {hap.mac[-6:]}"


def device_of(hap: Hap) -> Device:
    """Return the device, where its gate is now."""
    device_id = f"homekit:{hap.mac}"
    return Device(id=device_id, driver="homekit", name=hap.name, address="127.0.0.1", port=hap.gate.port)


async def service_of(hap: Hap) -> Service:
    """Return its announcement as discovery sees it."""
    host = f"{hap.mac}.local."
    addresses = ("127.0.0.1",)
    return Service(type=TYPE, name=hap.name, host=host, addresses=addresses, port=hap.gate.port, txt=await hap.txt())


@asynccontextmanager
async def announced(hap: Hap, zeroconf: AsyncZeroconf) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Announce it, where and what it is now; yields what announces it anew, and withdraws it in the end."""

    async def info() -> AsyncServiceInfo:
        return AsyncServiceInfo(
            TYPE,
            f"{label(hap)}.{TYPE}",
            parsed_addresses=["127.0.0.1"],
            port=hap.gate.port,
            properties=await hap.txt(),
            server=f"{hap.mac}.local.",
        )

    async def update() -> None:
        await (await zeroconf.async_update_service(await info()))

    await (await zeroconf.async_register_service(await info()))
    try:
        yield update
    finally:
        await (await zeroconf.async_unregister_service(await info()))
