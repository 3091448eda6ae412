"""A HomeKit accessory as the daemon meets it: announced, found, paired on request, followed when it moves, unpaired."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import ClientSession
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.clock import SYSTEM
from gladys_companion.discovery import Discovery, Seen, open_mdns
from gladys_companion.drivers.homekit import PLUGIN, HomekitDriver
from gladys_companion.errors import Rejected
from gladys_companion.model import RegistrySnapshot
from gladys_companion.plugins import PluginRecord
from gladys_companion.ports import Kit
from gladys_companion.sim.conformance import MemorySecrets
from gladys_companion.store.registry import open_registry
from gladys_companion.store.schema import MIGRATIONS
from gladys_companion.store.writer import open_store
from tests.discovering import HERE
from tests.discovering import QUICK as PACE
from tests.hap import PIN, announced
from tests.hap_accessories import open_hap_python
from tests.hap_home import QUICK, HapHome


async def again_and_again(update: Callable[[], Awaitable[None]]) -> None:
    """Announce until it is heard: who hears a record twice within a second keeps both (RFC 6762, 10.2)."""
    while True:
        await update()
        await asyncio.sleep(0.5)


async def test_it_is_found_paired_followed_and_let_go(tmp_path: Path) -> None:
    """Each step says what the next one is; the address is nothing but where it is today."""
    async with (
        open_hap_python(tmp_path) as lamp,
        open_store(tmp_path / "companion.db", MIGRATIONS) as store,
        open_mdns(HERE) as mdns,
        ClientSession() as http,
        AsyncZeroconf(interfaces=["127.0.0.1"]) as announcer,
        asyncio.TaskGroup() as group,
    ):
        kit = Kit(clock=SYSTEM, zeroconf=mdns.zeroconf, http=http, secrets=MemorySecrets(), registry=RegistrySnapshot)
        async with PLUGIN.open(QUICK, kit) as driver:
            assert isinstance(driver, HomekitDriver)
            home = HapHome(driver, MemorySecrets(), mdns.zeroconf)
            registry = await open_registry(store, wake=lambda _: None)
            record = PluginRecord(name="homekit", group="drivers", target=driver, status="open")
            discovery = Discovery(mdns, registry, {"homekit": record}, pace=PACE)
            running = group.create_task(discovery.run())

            async def until(state: str, says: str = "") -> Seen:
                async with asyncio.timeout(20):
                    while True:
                        changed = discovery.changed
                        for one in discovery.scan():
                            if one.driver == "homekit" and one.state == state and says in one.says:
                                return one
                        await changed.wait()

            async with announced(lamp, announcer) as update:
                device_id = f"homekit:{lamp.mac}"
                seen = await until("refused", "is not paired")
                assert f"`gladys-companion devices pair {device_id}`" in seen.says
                assert discovery.wants(device_id).code
                with pytest.raises(Rejected, match="PIN is wrong"):
                    await discovery.pair(device_id, "111-11-111")
                assert registry.snapshot.devices == {}
                paired = await discovery.pair(device_id, PIN)
                assert (paired.state, paired.device) == ("followed", device_id)
                assert f"{device_id}:1.9" in registry.snapshot.features
                await home.until("1.9", 0)
                await lamp.gate.move()
                await update()
                await lamp.set("Lightbulb", "On", value=True)
                await home.until("1.9", 1)
                assert registry.snapshot.devices[device_id].port == lamp.gate.port
                await discovery.unpair(device_id)
                assert (await lamp.txt())["sf"] == "1"
                announcing = group.create_task(again_and_again(update))
                await until("refused", "is not paired")
                announcing.cancel()
                assert driver.connection(device_id) is None
            running.cancel()
