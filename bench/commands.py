"""``python -m bench.commands``: what our drivers add to a command over the bare library of its maker, as JSON.

Each simulated device runs in a process of its own. A command by the library alone, and one by ``deliver()`` of our
driver while it follows the device, take turns; both return when the device said that it is done.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from statistics import median
from typing import Any

import msgspec
from aiohttp import ClientSession, TCPConnector
from aioshelly.common import ConnectionOptions
from aioshelly.rpc_device import RpcDevice, WsServer
from elgato import Elgato
from tests.processes import PROGRAM
from wled import WLED
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.clock import SYSTEM
from gladys_companion.drivers import elgato, shelly, wled
from gladys_companion.drivers._resolver import EndpointResolver
from gladys_companion.model import Delivery, Device, Feature, RegistrySnapshot, report
from gladys_companion.ports import Driver, Kit, Plugin
from gladys_companion.sim.conformance import MemorySecrets

ROUNDS = 600
WARM = 50
AIM = 0.3  # ms at the median

Command = Callable[[int], Awaitable[object]]


@asynccontextmanager
async def device(kind: str, device_id: str) -> AsyncIterator[Device]:
    """Run a simulated device in a process of its own."""
    process = await asyncio.create_subprocess_exec(PROGRAM, "sim", kind, stdout=asyncio.subprocess.PIPE)
    try:
        if process.stdout is None:
            raise SystemExit("the simulated device has no output")
        greeting = (await process.stdout.readline()).decode()
        found = re.search(r"//([\d.]+):(\d+)", greeting)
        if found is None:
            raise SystemExit(f"sim {kind} said {greeting!r}")
        reading = asyncio.ensure_future(process.stdout.read())  # its pipe must not fill
        yield Device(id=device_id, driver=device_id.partition(":")[0], name=kind, address=found[1], port=int(found[2]))
        process.terminate()
        await reading
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def bare_wled(at: Device) -> AsyncIterator[Command]:
    """Command a lamp by python-wled alone, on a connection that it keeps open."""
    host = "lamp.local"
    connector = TCPConnector(resolver=EndpointResolver({host: (at.address or "", at.port or 0)}.get))
    async with ClientSession(connector=connector) as session:
        lamp = WLED(host, session=session)
        yield lambda on: lamp.request("/json/state", method="POST", data={"on": bool(on), "v": True})


@asynccontextmanager
async def bare_elgato(at: Device) -> AsyncIterator[Command]:
    """Command a light by python-elgato alone."""
    async with ClientSession() as session:
        light = Elgato(at.address or "", port=at.port or 0, session=session)
        yield lambda on: light.light(on=bool(on))


@asynccontextmanager
async def bare_shelly(at: Device) -> AsyncIterator[Command]:
    """Command a plug by aioshelly alone, over its websocket."""
    async with ClientSession() as session:
        options = ConnectionOptions(at.address or "", port=at.port or 0)
        plug = await RpcDevice.create(session, WsServer(), options)
        await plug.initialize()
        try:
            yield lambda on: plug.call_rpc("Switch.Set", {"id": 0, "on": bool(on)})
        finally:
            await plug.shutdown()


@asynccontextmanager
async def ours(plugin: Plugin, at: Device, component: str) -> AsyncIterator[Command]:
    """Command it by the driver that follows it."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        kit = Kit(
            clock=SYSTEM,
            zeroconf=await enter(AsyncZeroconf(interfaces=["127.0.0.1"])),
            http=await enter(ClientSession()),
            secrets=MemorySecrets(),
            registry=RegistrySnapshot,
        )
        driver = await enter(plugin.open(plugin.config(), kit))
        if not isinstance(driver, Driver):
            raise SystemExit("it opens no driver")
        features = await driver.describe(at)
        feature = next(one for one in features if one.external_id == f"{at.id}:{component}")
        driver.follow(at)
        await anext(driver.events())  # it told its first value, so it is listened to
        yield partial(_deliver, driver, at, feature)


async def _deliver(driver: Driver, at: Device, feature: Feature, value: int) -> None:
    event = report(
        origin="gateway",
        external_id=feature.external_id,
        value=value,
        now=SYSTEM.now(),
        elapsed=SYSTEM.elapsed(),
        boot=SYSTEM.boot,
    )
    await driver.deliver(Delivery(seq=1, event=event, target=at.driver, lane=at.id, feature=feature, device=at))


CONTENDERS = (
    ("wled", "wled:a8032ab12345", "on", wled.PLUGIN, bare_wled),
    ("shelly-gen2", "shelly:a8032ab20001", "switch:0", shelly.PLUGIN, bare_shelly),
    ("elgato", "elgato:3c6a9d14d765", "on", elgato.PLUGIN, bare_elgato),
)


async def compare(bare: Command, driver: Command) -> dict[str, Any]:
    """Return the milliseconds of each, and what ours adds: the median of the differences of neighbours."""
    took: list[tuple[float, float]] = []
    for number in range(ROUNDS + WARM):
        pair = []
        for command, value in ((bare, 1), (driver, 0)):
            began = time.perf_counter()
            await command(value)
            pair.append((time.perf_counter() - began) * 1000)
        if number >= WARM:
            took.append((pair[0], pair[1]))
    added = median(mine - theirs for theirs, mine in took)
    return {
        "library_p50_ms": round(median(theirs for theirs, _ in took), 3),
        "ours_p50_ms": round(median(mine for _, mine in took), 3),
        "ours_to_library": round(median(mine / theirs for theirs, mine in took), 2),
        "added_p50_ms": {"value": round(added, 3), "aim": f"at most {AIM:g}", "met": added <= AIM},
    }


async def measure() -> dict[str, Any]:
    """Measure one kind after the other."""
    told = {}
    for kind, device_id, component, plugin, bare in CONTENDERS:
        async with device(kind, device_id) as at, bare(at) as theirs, ours(plugin, at, component) as mine:
            told[kind] = await compare(theirs, mine)
    return told


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(asyncio.run(measure())).decode(), indent=2) + "\n")
