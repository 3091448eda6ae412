"""A discovery at work on a real database and real mDNS, with the driver of a third party, as tests watch it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from gladys_companion.config import Discovery as Options
from gladys_companion.discovery import Discovery, Pace, Seen, open_mdns
from gladys_companion.model import Device
from gladys_companion.plugins import PluginRecord
from gladys_companion.store.registry import Registry, open_registry
from gladys_companion.store.schema import MIGRATIONS
from gladys_companion.store.writer import open_store
from tests.plug import PlugDriver

__all__ = ["HERE", "QUICK", "Discovering", "discovering"]

HERE = Options(interfaces=("127.0.0.1",))
QUICK = Pace(
    resolve_within=1.0,
    describe_within=5.0,
    check_within=2.0,
    rest=0.01,
    again=0.02,
    contested=0.02,
    recheck=0.1,
    away_after=0.05,
    first_retry=0.05,
    last_retry=0.1,
    refused_retry=0.05,
    calm=0.05,
)


T = TypeVar("T")


class Discovering(Struct):
    """A running discovery and what it works on."""

    type: str
    discovery: Discovery
    registry: Registry
    driver: PlugDriver
    record: PluginRecord

    async def until(self, condition: Callable[[], T | None]) -> T:
        """Return what the condition gives as soon as that is true."""
        async with asyncio.timeout(20):
            while True:
                changed = self.discovery.changed
                if found := condition():
                    return found
                await changed.wait()

    def device(self, serial: str) -> Device | None:
        return self.registry.snapshot.devices.get(f"plug:{serial}")

    def seen(self, state: str = "") -> list[Seen]:
        """Return what is announced in the test's own service type."""
        return [
            one for one in self.discovery.scan() if one.type in {self.type, "discover"} and state in {"", one.state}
        ]

    async def at(self, serial: str, port: int, address: str = "127.0.0.1") -> Device:
        """Return a device when it is known to be present at this place, and its driver was told."""

        def there() -> Device | None:
            told = self.driver.followed[-1] if self.driver.followed else None
            here = told is not None and (told.address, told.port, told.away_since) == (address, port, None)
            return self.device(serial) if here and told == self.device(serial) else None

        return await self.until(there)


@asynccontextmanager
async def discovering(
    path: Path,
    service_type: str,
    driver: PlugDriver | None = None,
    *,
    pace: Pace = QUICK,
    options: Options = HERE,
) -> AsyncIterator[Discovering]:
    """Run a discovery on a database; what an earlier one left is known to it."""
    driver = driver or PlugDriver(service_type)
    record = PluginRecord(name="plug", group="drivers", target=driver, status="open")
    async with (
        open_store(path / "companion.db", MIGRATIONS) as store,
        open_mdns(options) as mdns,
        asyncio.TaskGroup() as group,
    ):
        registry = await open_registry(store, wake=lambda _: None)
        discovery = Discovery(mdns, registry, {"plug": record}, pace=pace)
        task = group.create_task(discovery.run())
        yield Discovering(service_type, discovery, registry, driver, record)
        task.cancel()
