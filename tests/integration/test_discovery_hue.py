"""A simulated bridge, found by mDNS, paired by its button, and its lamps found and driven through it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from aiohttp import ClientSession
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion import plugins
from gladys_companion.clock import SYSTEM
from gladys_companion.config import Discovery as Options
from gladys_companion.discovery import Discovery, Pace, open_mdns
from gladys_companion.model import Delivery, Device, report
from gladys_companion.ports import Kit
from gladys_companion.sim.hue import open_hue
from gladys_companion.store.registry import open_registry
from gladys_companion.store.schema import MIGRATIONS
from gladys_companion.store.secrets import StoredSecrets
from gladys_companion.store.writer import open_store

QUICK = Pace(rest=0.01, again=0.05, contested=0.02, away_after=0.05, first_retry=0.05)


async def test_a_bridge_is_found_paired_and_its_lamps_follow_it(tmp_path: Path) -> None:
    """From the announcement to the button, the lamps, their new address, and a lamp that is thrown out."""
    mac = f"02{uuid.uuid4().hex[:10]}"
    async with (
        asyncio.timeout(40),
        AsyncZeroconf(interfaces=["127.0.0.1"]) as theirs,
        ClientSession() as http,
        open_store(tmp_path / "companion.db", MIGRATIONS) as store,
        open_mdns(Options(interfaces=("127.0.0.1",))) as mdns,
        AsyncExitStack() as stack,
        asyncio.TaskGroup() as group,
    ):
        registry = await open_registry(store, wake=lambda _: None)

        def kit(name: str) -> Kit:
            return Kit(
                clock=SYSTEM,
                zeroconf=mdns.zeroconf,
                http=http,
                secrets=StoredSecrets(store, name),
                registry=lambda: registry.snapshot,
            )

        drivers = await plugins.load("drivers", {"hue": {"reconnect_most": 0.5}}, kit, stack)
        discovery = Discovery(mdns, registry, drivers, pace=QUICK)
        task = group.create_task(discovery.run())

        async def until(condition: Callable[[], object]) -> None:
            while not condition():
                await discovery.changed.wait()

        def named(name: str) -> Device | None:
            devices = registry.snapshot.devices.values()
            return next((one for one in devices if one.name == name and one.away_since is None), None)

        async with open_hue(mac=mac, zeroconf=theirs) as bridge:
            await until(lambda: any("is not paired: press its round button" in one.says for one in discovery.scan()))
            assert registry.snapshot.devices == {}
            assert not discovery.wants(f"hue:{mac}").code
            bridge.press_link_button()
            await discovery.pair(f"hue:{mac}", None)
            names = ("Sofa", "Reading", "Coffee", "Stairs", "Door", "Wall switch", "Living room", "Kitchen")
            await until(lambda: all(named(name) for name in names))
            await bridge.move()
            await until(lambda: all((one := named(name)) and one.port == bridge.port for name in names))
            lamp = named("Coffee")
            assert lamp is not None
            (switch,) = (one for one in registry.snapshot.features.values() if one.device == lamp.id)
            event = report(
                origin="test",
                external_id=switch.external_id,
                now=SYSTEM.now(),
                elapsed=SYSTEM.elapsed(),
                boot=SYSTEM.boot,
                value=0,
            )
            delivery = Delivery(seq=1, event=event, target="hue", lane=lamp.id, feature=switch, device=lamp)
            await drivers["hue"].target.deliver(delivery)
            assert not bridge.find("Coffee", "light")["on"]["on"]
            await bridge.remove("Coffee")
            await until(lambda: registry.snapshot.devices[lamp.id].away_since is not None)
            assert bridge.listeners == 1
        task.cancel()
        assert drivers["hue"].status == "open"
