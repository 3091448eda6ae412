"""A whole home in a network of its own: real processes of daemon and lamps, and cables that move, fail and return."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gladys_companion.cli.client import Client, connect
from tests.needs import needs
from tests.networks import Network, own_network
from tests.processes import PROGRAM, Process

pytestmark = [needs("ip", "nsenter"), pytest.mark.may_block("starts processes, and the program ip")]

MAC, OTHER = "a8032ab10001", "a8032ab10002"
SECONDS = 25.0  # "within seconds": on an idle machine a fifth of it; sooner than any look that is made by the clock
ANNOUNCEMENTS = 3  # of a service that zeroconf registers

HOME = """\
state_directory = "{path}"
runtime_directory = "{path}"
log_level = "info"
[local]
listen = "127.0.0.1:0"
[drivers.wled]
[discovery]
"""


class Lamp:
    """A process ``sim wled`` and what it prints."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def says(self, words: str) -> None:
        """Return when it prints these words; what it printed before that is passed over."""
        assert self.process.stdout is not None
        said = ""
        async with asyncio.timeout(SECONDS):
            while words not in said:
                line = await self.process.stdout.readline()
                assert line, said
                said = line.decode()


@asynccontextmanager
async def open_lamp(network: Network, host: str, mac: str = MAC, *, port: int = 0) -> AsyncIterator[Lamp]:
    """Run a lamp at an address of a network; in the end its power is cut: it says no goodbye."""
    command = network.inside(str(PROGRAM), "sim", "wled", "--host", host, "--port", str(port), "--mac", mac)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        lamp = Lamp(process)
        await lamp.says(" is a lamp ")
        yield lamp
    finally:
        process.kill()
        await process.communicate()


class Home:
    """A running daemon, asked through its socket; ``heard`` are the events that it streams."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._heard: list[dict[str, Any]] = []
        self._news = asyncio.Condition()

    async def listen(self) -> None:
        """Note what it streams, for ever."""
        async for event in self._client.follow("/api/events/stream"):
            async with self._news:
                self._heard.append(event)
                self._news.notify_all()

    async def heard(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first event that it streamed of this kind, as soon as there is one."""

        def found() -> list[dict[str, Any]]:
            return [event for event in self._heard if condition(event)]

        async with asyncio.timeout(SECONDS), self._news:
            return (await self._news.wait_for(found))[0]

    async def reports(self, mac: str = MAC) -> None:
        """Return when the lamp told by itself whether it is on."""
        await self.heard(lambda event: event["external_id"] == f"wled:{mac}:on" and event["origin"] == "wled")

    async def switch(self, on: int, mac: str = MAC) -> str:
        """Command a lamp and return the id of the command, wherever it is by now."""
        wish = {"external_id": f"wled:{mac}:on", "value": on}
        receipt = await self._client.ask("POST", f"/api/devices/wled:{mac}/set", wish)
        return str(receipt["id"])

    async def delivered(self, event_id: str) -> None:
        """Return when a command is known to have reached its device."""
        await self.heard(lambda event: event["id"] == event_id and event["outcome"] == "delivered")

    async def device(self, mac: str = MAC) -> dict[str, Any]:
        """Return what it knows of a lamp."""
        device: dict[str, Any] = await self._client.ask("GET", f"/api/devices/wled:{mac}")
        return device


@asynccontextmanager
async def open_home(path: Path, network: Network, discovery: str = "") -> AsyncIterator[Home]:
    """Run a daemon in a network; ``discovery`` are lines for that table."""
    config = path / "home.toml"
    config.write_text(HOME.format(path=path) + discovery, encoding="utf-8")
    network.ip("link", "set", "lo", "up")
    process = await network.call(Process, config, "run")
    try:
        await process.ready()
        async with connect(path / "daemon.sock") as client, asyncio.TaskGroup() as group:
            assert client is not None, process.said()
            home = Home(client)
            listening = group.create_task(home.listen())
            yield home
            listening.cancel()
    finally:
        print(process.said())  # noqa: T201 - shown where the test fails
        process.close()


def ear(interface: str) -> socket.socket:
    """Return a socket that hears what is said by mDNS at one end of a cable, also by who is at that end."""
    heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    heard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    heard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    group = socket.inet_aton("224.0.0.251") + bytes(4) + struct.pack("@i", socket.if_nametoindex(interface))
    heard.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
    heard.bind(("224.0.0.251", 5353))
    return heard


async def announced(heard: socket.socket, mac: str = MAC) -> None:
    """Return when a lamp has said all that it says by itself: its announcement, three times."""
    loop, times = asyncio.get_running_loop(), 0
    async with asyncio.timeout(SECONDS):
        while times < ANNOUNCEMENTS:
            message = await loop.sock_recv(heard, 9_000)
            answers = int.from_bytes(message[6:8])  # one to a question, and all at once where nobody asked
            times += answers > 1 and f"wled-{mac[-6:]}".encode() in message


async def test_a_lamp_that_changes_its_address_is_followed_and_commanded_there(
    tmp_path: Path, near: Network, far: Network
) -> None:
    """A new lease and a restart without a goodbye: seconds later a command reaches the lamp at its new address."""
    far.cable("far", near, "near")
    far.up("far", "10.9.0.2/24")
    near.up("near", "10.9.0.1/24")
    async with open_home(tmp_path, near) as home:
        async with open_lamp(far, "10.9.0.2"):
            await home.reports()
            far.ip("address", "del", "10.9.0.2/24", "dev", "far")
        far.add("far", "10.9.0.77/24")
        async with open_lamp(far, "10.9.0.77") as lamp:
            command = await home.switch(0)
            await lamp.says("off")
            await home.delivered(command)
            assert (await home.device())["address"] == "10.9.0.77"


async def test_two_lamps_that_swap_their_addresses_are_not_taken_for_each_other(
    tmp_path: Path, near: Network, far: Network
) -> None:
    """After a power cut each has the other's lease; commands of both reach the right one, and only that one."""
    far.cable("far", near, "near")
    far.up("far", "10.9.0.2/24", "10.9.0.3/24")
    near.up("near", "10.9.0.1/24")
    async with open_home(tmp_path, near) as home:
        async with open_lamp(far, "10.9.0.2", port=80), open_lamp(far, "10.9.0.3", OTHER, port=80):
            await asyncio.gather(home.reports(), home.reports(OTHER))
        async with open_lamp(far, "10.9.0.3", port=80) as lamp, open_lamp(far, "10.9.0.2", OTHER, port=80) as other:
            await home.switch(0)
            await asyncio.gather(lamp.says("off"), other.says("on"))
            await home.switch(0, OTHER)
            await other.says("off")
            assert [(await home.device(mac))["address"] for mac in (MAC, OTHER)] == ["10.9.0.3", "10.9.0.2"]


async def test_devices_on_two_interfaces_are_both_found_and_commanded(
    tmp_path: Path, near: Network, far: Network
) -> None:
    """One network for people and one for things: with no interface named, both are listened on."""
    with own_network() as things:
        far.cable("far", near, "near")
        things.cable("far", near, "things")
        far.up("far", "10.9.0.2/24")
        near.up("near", "10.9.0.1/24")
        things.up("far", "10.10.0.2/24")
        near.up("things", "10.10.0.1/24")
        async with (
            open_home(tmp_path, near) as home,
            open_lamp(far, "10.9.0.2") as lamp,
            open_lamp(things, "10.10.0.2", OTHER) as other,
        ):
            await asyncio.gather(home.reports(), home.reports(OTHER))
            await asyncio.gather(home.switch(0), home.switch(0, OTHER))
            await asyncio.gather(lamp.says("off"), other.says("off"))
            assert [(await home.device(mac))["address"] for mac in (MAC, OTHER)] == ["10.9.0.2", "10.10.0.2"]


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        pytest.param(("fe80::1/64",), "fe80::2", "fe80::2%", id="link-local"),
        pytest.param(("fe80::1/64", "2001:db8::1/64"), "2001:db8::2", "2001:db8::2", id="global"),
    ],
)
async def test_a_network_without_ipv4_is_as_good(
    tmp_path: Path, near: Network, far: Network, ours: tuple[str, ...], theirs: str, told: str
) -> None:
    """Found, listened to and commanded over IPv6, link-local or global, whatever is lacking beside it."""
    far.cable("far", near, "near")
    far.up("far", *{f"{theirs}/64", "fe80::2/64"})
    near.up("near", *ours)
    host = f"{theirs}%far" if theirs.startswith("fe80") else theirs
    async with open_home(tmp_path, near) as home, open_lamp(far, host) as lamp:
        await home.reports()
        command = await home.switch(0)
        await lamp.says("off")
        await home.delivered(command)
        assert (await home.device())["address"].startswith(told)


async def test_a_lamp_that_moved_while_the_cable_was_out_is_found_when_it_is_back_in(
    tmp_path: Path, near: Network, far: Network
) -> None:
    """Nobody heard its announcement: as soon as there is a carrier again, it is asked for."""
    far.cable("far", near, "near")
    far.up("far", "10.9.0.2/24")
    near.up("near", "10.9.0.1/24")
    async with open_home(tmp_path, near) as home:
        async with open_lamp(far, "10.9.0.2"):
            await home.reports()
            near.ip("link", "set", "near", "down")
        far.ip("address", "del", "10.9.0.2/24", "dev", "far")
        far.add("far", "10.9.0.77/24")
        with await far.call(ear, "far") as heard:
            async with open_lamp(far, "10.9.0.77") as lamp:
                await announced(heard)
                near.ip("link", "set", "near", "up")
                await home.switch(0)
                await lamp.says("off")
                assert (await home.device())["address"] == "10.9.0.77"


async def test_an_interface_that_is_taken_out_and_put_in_again_is_used_again(
    tmp_path: Path, near: Network, far: Network
) -> None:
    """As a USB adapter that falls off the bus: the one that comes has another number, and the lamp is found by it."""
    far.cable("far", near, "near")
    far.up("far", "10.9.0.2/24")
    near.up("near", "10.9.0.1/24")
    async with open_home(tmp_path, near, 'interfaces = ["near"]') as home:
        async with open_lamp(far, "10.9.0.2"):
            await home.reports()
        near.ip("link", "del", "near")
        far.cable("far", near, "near")
        far.up("far", "10.9.0.77/24")
        near.up("near", "10.9.0.1/24")
        async with open_lamp(far, "10.9.0.77") as lamp:
            await home.switch(0)
            await lamp.says("off")
            assert (await home.device())["address"] == "10.9.0.77"
