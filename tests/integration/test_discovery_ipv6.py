"""Discovery over IPv6: a device at the other end of a cable, in networks of the test's own."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
from tests.needs import needs, program
from tests.plug import PlugDriver, plug

pytestmark = [needs("ip"), pytest.mark.may_block("starts the program ip")]

CLONE_NEWNET = 0x40000000
TYPE = "_plug._tcp.local."


def unshare() -> str:
    """Give this thread a network with nothing but a loopback that is down; return why not, if not."""
    failed = ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET)
    return os.strerror(ctypes.get_errno()) if failed else ""


@pytest.fixture
def near() -> Iterator[ThreadPoolExecutor]:
    yield from own_network()


@pytest.fixture
def far() -> Iterator[ThreadPoolExecutor]:
    yield from own_network()


def own_network() -> Iterator[ThreadPoolExecutor]:
    """Yield a thread in a network of its own; what it starts is there too."""
    with ThreadPoolExecutor(1) as thread:
        if error := thread.submit(unshare).result():
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs a network namespace: {error}")
        yield thread


def ip(*arguments: str) -> None:
    subprocess.run([program("ip"), *arguments], check=True, capture_output=True)


def plug_in(name: str, address: str) -> None:
    """Bring one end of the cable up; without waiting for duplicate address detection."""
    ip("link", "set", name, "addrgenmode", "none", "up")
    ip("-6", "address", "add", f"{address}/64", "dev", name, "nodad")


def test_a_device_is_found_at_its_link_local_address_on_an_interface_that_comes_late(
    tmp_path: Path, near: ThreadPoolExecutor, far: ThreadPoolExecutor
) -> None:
    """Announced on IPv6 alone, before we listened; the address keeps its scope, and the driver reaches it there."""
    far_thread = far.submit(threading.get_native_id).result()
    announced, done = threading.Event(), threading.Event()

    async def device() -> None:
        plug_in("far", "fe80::2")
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
            ip("link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(far_thread))
            elsewhere = far.submit(asyncio.run, device())
            await asyncio.to_thread(announced.wait, 20)
            plug_in("near", "fe80::1")
            await driver.following.wait()
            found = registry.snapshot.devices["plug:1"]
            assert found.address == f"fe80::2%{socket.if_nametoindex('near')}"
            assert (mdns.state, mdns.reason) == ("running", None)
            assert [one.state for one in discovery.scan()] == ["followed"]
            done.set()
            await asyncio.wrap_future(elsewhere)
            task.cancel()

    try:
        near.submit(asyncio.run, home()).result()
    finally:
        done.set()


def test_every_interface_is_used_when_none_is_named_and_ipv6_can_be_switched_off(near: ThreadPoolExecutor) -> None:
    """With IPv6 there are senders of both versions; without, of IPv4 alone."""

    async def main() -> None:
        ip("link", "set", "lo", "up")
        for ipv6, versions in ((True, {True, False}), (False, {False})):
            async with open_mdns(Options(ipv6=ipv6)) as mdns:
                senders = mdns.zeroconf.zeroconf.engine.senders
                assert (mdns.state, {sender.is_ipv6 for sender in senders}) == ("running", versions)

    near.submit(asyncio.run, main()).result()
