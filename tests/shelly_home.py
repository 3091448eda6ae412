"""A Shelly driver that is open, devices as it is told of them, and what tests say to both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientSession, web
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.clock import SYSTEM
from gladys_companion.drivers.shelly import PLUGIN, Config, ShellyDriver
from gladys_companion.model import Delivery, Device, Event, Feature, RegistrySnapshot, report
from gladys_companion.ports import Kit
from gladys_companion.sim import shelly_gen1, shelly_gen2
from gladys_companion.sim.conformance import MemorySecrets

__all__ = ["QUICK", "Shelly", "device_at", "open_driver", "serving", "set_to", "take", "until", "where"]

Shelly = shelly_gen1.Shelly | shelly_gen2.Shelly

QUICK = Config(answer_within=0.7, poll_least=0.1, poll_most=0.1, check_every=0.2, reconnect_most=0.6)


@asynccontextmanager
async def open_driver(config: Config = QUICK, secrets: MemorySecrets | None = None) -> AsyncIterator[ShellyDriver]:
    async with AsyncZeroconf(interfaces=["127.0.0.1"]) as zeroconf, ClientSession() as http:
        kit = Kit(
            clock=SYSTEM, zeroconf=zeroconf, http=http, secrets=secrets or MemorySecrets(), registry=RegistrySnapshot
        )
        async with PLUGIN.open(config, kit) as driver:
            assert isinstance(driver, ShellyDriver)
            yield driver


def device_at(address: str, port: int, mac: str) -> Device:
    return Device(id=f"shelly:{mac}", driver="shelly", name="kitchen", address=address, port=port)


def where(shelly: Shelly) -> Device:
    return device_at(shelly.address, shelly.port, shelly.mac)


async def set_to(driver: ShellyDriver, device: Device, component: str, value: float | None) -> None:
    external_id = f"{device.id}:{component}"
    event = report(
        origin="gateway",
        external_id=external_id,
        value=value,
        now=SYSTEM.now(),
        elapsed=SYSTEM.elapsed(),
        boot=SYSTEM.boot,
    )
    feature = Feature(external_id=external_id, device=device.id, name=component, category="switch", type="binary")
    await driver.deliver(Delivery(seq=1, event=event, target="shelly", lane=device.id, feature=feature, device=device))


async def take(events: AsyncIterator[Event]) -> tuple[str, float | None]:
    async with asyncio.timeout(10):
        event = await anext(events)
    return (event.external_id or "").split(":", 2)[2], event.value


async def until(events: AsyncIterator[Event], component: str, value: float) -> list[tuple[str, float | None]]:
    """All that is told, up to this."""
    seen = [await take(events)]
    while seen[-1] != (component, value):
        seen.append(await take(events))
    return seen


@asynccontextmanager
async def serving(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[tuple[str, int]]:
    """A device that is none: `answer` takes every request."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address: Any = runner.addresses[0]
        yield address[0], address[1]
    finally:
        await runner.cleanup()
