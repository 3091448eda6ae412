"""Discovery over IPv6: a device at the other end of a cable, in networks of the test's own."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path

import pytest
from zeroconf import IPVersion
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from gladys_companion.config import Discovery as Options
from gladys_companion.discovery import Discovery, Pace, open_mdns
from gladys_companion.plugins import PluginRecord
from gladys_companion.store.registry import open_registry
from gladys_companion.store.schema import MIGRATIONS
from gladys_companion.store.writer import open_store
from tests.needs import needs
from tests.networks import Network
from tests.plug import PlugDriver, plug

pytestmark = [needs("ip", "nsenter"), pytest.mark.may_block("starts the program ip")]

TYPE = "_plug._tcp.local."


def test_a_device_is_found_at_its_link_local_address_on_an_interface_that_comes_late(
    tmp_path: Path, near: Network, far: Network
) -> None:
    """Announced on IPv6 alone, before we listened; the address keeps its scope, and the driver reaches it there."""
    announced, done = threading.Event(), threading.Event()

    async def device() -> None:
        far.up("far", "fe80::2/64")
        async with (
            plug("1", "fe80::2%far") as port,
            AsyncZeroconf(interfaces=[socket.if_nametoindex("far")], ip_version=IPVersion.V6Only) as zeroconf,
        ):
            info = AsyncServiceInfo(
                TYPE,
                f"x.{TYPE}",
                parsed_addresses=["fe80::2"],
                port=port,
                properties={"serial": "1"},
                server="x.local.",
            )
            await (await zeroconf.async_register_service(info, cooperating_responders=True))
            announced.set()
            await asyncio.to_thread(done.wait, 40)

    async def home() -> None:
        driver = PlugDriver(TYPE)
        record = PluginRecord(name="plug", group="drivers", target=driver, status="open")
        async with (
            asyncio.timeout(30),
            open_store(tmp_path / "companion.db", MIGRATIONS) as store,
            open_mdns(Options(interfaces=("near",))) as mdns,
            asyncio.TaskGroup() as group,
        ):
            assert (mdns.state, mdns.reason is None) == ("failed", False)
            registry = await open_registry(store, wake=lambda _: None)
            discovery = Discovery(mdns, registry, {"plug": record}, pace=Pace(rescan=0.1, rest=0.01, first_retry=0.1))
            task = group.create_task(discovery.run())
            near.cable("near", far, "far")
            elsewhere = group.create_task(far.call(asyncio.run, device()))
            await asyncio.to_thread(announced.wait, 20)
            near.up("near", "fe80::1/64")
            await driver.following.wait()
            found = registry.snapshot.devices["plug:1"]
            assert found.address == f"fe80::2%{socket.if_nametoindex('near')}"
            assert (mdns.state, mdns.reason) == ("running", None)
            assert [one.state for one in discovery.scan()] == ["followed"]
            done.set()
            await elsewhere
            task.cancel()

    try:
        near.run(home())
    finally:
        done.set()


def test_every_interface_is_used_when_none_is_named_and_ipv6_can_be_switched_off(near: Network) -> None:
    """With IPv6 there are senders of both versions; without, of IPv4 alone."""

    async def main() -> None:
        near.ip("link", "set", "lo", "up")
        for ipv6, versions in ((True, {True, False}), (False, {False})):
            async with open_mdns(Options(ipv6=ipv6)) as mdns:
                senders = mdns.zeroconf.zeroconf.engine.senders
                assert (mdns.state, {sender.is_ipv6 for sender in senders}) == ("running", versions)

    near.run(main())
