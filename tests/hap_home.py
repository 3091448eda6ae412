"""A HomeKit driver at work on real accessories, as tests watch and command it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import ClientSession
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.clock import SYSTEM
from gladys_companion.drivers.homekit import PLUGIN, Config, HomekitDriver
from gladys_companion.model import Delivery, Device, Event, Feature, RegistrySnapshot, report
from gladys_companion.ports import Kit
from gladys_companion.sim.conformance import MemorySecrets
from tests.hap import PIN, Hap, device_of

__all__ = ["QUICK", "HapHome", "open_hap_home"]

QUICK = Config(answer_within=1.0, pair_within=5.0, moves_within=1.5, poll_every=3600, reconnect_most=0.6)


class HapHome:
    """The open driver, what it keeps, and the events that it told."""

    def __init__(self, driver: HomekitDriver, secrets: MemorySecrets, zeroconf: AsyncZeroconf) -> None:
        self.driver = driver
        self.secrets = secrets
        self.zeroconf = zeroconf
        self.events = driver.events()

    async def pair(self, hap: Hap) -> Device:
        """Pair with an accessory, and return it."""
        device = device_of(hap)
        await self.driver.pair(device, PIN)
        return device

    async def follow(self, hap: Hap) -> Device:
        """Pair with an accessory and follow it; return it when it is listened to, and what it told was taken."""
        device = await self.pair(hap)
        self.driver.follow(device)
        aid, iid = await hap.id_of("Lightbulb", "On")
        await self.until(f"{aid}.{iid}")
        await self.listening(device)
        while (await self.soon()) is not None:
            pass
        return device

    async def listening(self, device: Device) -> None:
        """Return when the device is listened to."""
        async with asyncio.timeout(20):
            while self.driver.connection(device.id) is None:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)

    async def next(self) -> tuple[str, float | None]:
        """Return component and value of the next event."""
        async with asyncio.timeout(20):
            return _short(await anext(self.events))

    async def soon(self) -> tuple[str, float | None] | None:
        """Return the next event, None if there is none within a moment."""
        waiting = asyncio.ensure_future(self.driver._news.get())
        await asyncio.wait([waiting], timeout=0.3)
        if waiting.done():
            return _short(waiting.result())
        waiting.cancel()
        return None

    async def until(self, component: str, value: float | None = None) -> list[tuple[str, float | None]]:
        """Return what was told until a component told a value; any value if that is None."""
        seen: list[tuple[str, float | None]] = []
        while not seen or seen[-1][0] != component or value not in {None, seen[-1][1]}:
            seen.append(await self.next())
        return seen

    async def command(self, device: Device, component: str, value: float | None) -> None:
        """Deliver a value."""
        await self.driver.deliver(delivery(device, component, value))

    async def trouble(self, device: Device, says: str) -> str:
        """Return what is wrong with a device, when that is this."""
        async with asyncio.timeout(20):
            while (trouble := self.driver.trouble(device.id)) is None or says not in trouble.says:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return trouble.says


def delivery(device: Device, component: str, value: float | None) -> Delivery:
    """Return a value on its way to a component."""
    external_id = f"{device.id}:{component}"
    event = report(
        origin="gateway",
        external_id=external_id,
        value=value,
        now=SYSTEM.now(),
        elapsed=SYSTEM.elapsed(),
        boot=SYSTEM.boot,
    )
    feature = Feature(external_id=external_id, device=device.id, name=component, category="light", type="binary")
    return Delivery(seq=1, event=event, target="homekit", lane=device.id, feature=feature, device=device)


def _short(event: Event) -> tuple[str, float | None]:
    return (event.external_id or "").split(":", 2)[2], event.value


@asynccontextmanager
async def open_hap_home(
    *, config: Config = QUICK, secrets: MemorySecrets | None = None, zeroconf: AsyncZeroconf | None = None
) -> AsyncIterator[HapHome]:
    """Open the driver, on a zeroconf of its own unless one is given."""
    secrets = secrets or MemorySecrets()
    async with AsyncZeroconf(interfaces=["127.0.0.1"]) as own, ClientSession() as http:
        kit = Kit(clock=SYSTEM, zeroconf=zeroconf or own, http=http, secrets=secrets, registry=RegistrySnapshot)
        async with PLUGIN.open(config, kit) as driver:
            assert isinstance(driver, HomekitDriver)
            yield HapHome(driver, secrets, kit.zeroconf)
