"""A simulated lamp, found by mDNS and driven by the real plug-in through its entry point."""

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
from gladys_companion.model import Delivery, Feature, report
from gladys_companion.ports import Kit
from gladys_companion.sim.wled import open_wled
from gladys_companion.store.registry import open_registry
from gladys_companion.store.schema import MIGRATIONS
from gladys_companion.store.secrets import StoredSecrets
from gladys_companion.store.writer import open_store

QUICK = Pace(rest=0.01, again=0.05, contested=0.02, away_after=0.05, first_retry=0.05)


async def test_a_lamp_is_found_commanded_followed_to_its_new_place_and_marked_away(tmp_path: Path) -> None:
    """From the announcement to a command that reaches the lamp where it is now, and to its goodbye."""
    mac = f"02{uuid.uuid4().hex[:10]}"
    lamp_id = f"wled:{mac}"
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

        drivers = await plugins.load("drivers", {"virtual": {}, "wled": {}}, kit, stack)
        assert {name: record.status for name, record in drivers.items()} == {"virtual": "open", "wled": "open"}
        discovery = Discovery(mdns, registry, drivers, pace=QUICK)
        task = group.create_task(discovery.run())

        async def until(condition: Callable[[], object]) -> None:
            while not condition():
                await discovery.changed.wait()

        async def command(feature: Feature, value: float) -> None:
            device = registry.snapshot.devices[lamp_id]
            event = report(
                origin="test",
                external_id=feature.external_id,
                now=SYSTEM.now(),
                elapsed=SYSTEM.elapsed(),
                boot=SYSTEM.boot,
                value=value,
            )
            delivery = Delivery(seq=1, event=event, target="wled", lane=lamp_id, feature=feature, device=device)
            async with plugins.contained(drivers["wled"]):
                await drivers["wled"].target.deliver(delivery)

        async with open_wled(mac=mac, zeroconf=theirs) as lamp:
            await until(lambda: lamp_id in registry.snapshot.devices)
            switch = next(
                one for one in registry.snapshot.features.values() if one.device == lamp_id and one.type == "binary"
            )
            await command(switch, 0)
            assert not lamp.state["on"]
            await lamp.until(lambda lamp: lamp.listeners == 1)
            before = lamp.port
            await lamp.move()
            assert lamp.port != before
            await until(lambda: registry.snapshot.devices[lamp_id].port == lamp.port)
            await command(switch, 1)
            assert lamp.state["on"]
            lamp.refuse(503)
            await lamp.move(port=lamp.port)
            while discovery.trouble(lamp_id) is None:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)
            [seen] = [one for one in discovery.scan() if one.device == lamp_id]
            trouble = discovery.trouble(lamp_id)
            assert trouble is not None
            assert (seen.state, seen.says) == ("silent", trouble.says)
        await until(lambda: registry.snapshot.devices[lamp_id].away_since is not None)
        assert drivers["wled"].status == "open"
        task.cancel()
