"""Discovery of what Debian's Avahi announces: a responder nobody here wrote, at the other end of a cable."""

from __future__ import annotations

import socket
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gladys_companion.config import Discovery as Options
from tests.avahi import open_avahi
from tests.discovering import discovering
from tests.needs import needs
from tests.networks import Network
from tests.plug import plug

pytestmark = [
    needs("avahi-daemon", "dbus-daemon", "ip", "nsenter", "unshare"),
    pytest.mark.may_block("starts the program ip"),
]

TYPE = "_plug._tcp"


def test_a_service_of_avahi_appears_changes_moves_leaves_and_returns(
    tmp_path: Path, near: Network, far: Network
) -> None:
    """Followed through each change of its file and of its interface's address, under the name that the user gave."""
    far.cable("far", near, "near")
    far.up("far", "10.9.0.2/24")
    near.up("near", "10.9.0.1/24")

    async def home() -> None:
        async with (
            open_avahi(tmp_path, far, "far") as avahi,
            discovering(tmp_path, f"{TYPE}.local.", options=Options(interfaces=("near",))) as here,
        ):
            async with plug("1", listener=await far.call(socket.create_server, ("0.0.0.0", 0))) as port:
                avahi.announce("Kettle é", TYPE, port, {"serial": "1", "model": "v1", "empty": "", "odd": "a=b <&>"})
                device = await here.at("1", port, "10.9.0.2")
                assert (device.name, device.model, device.host) == ("Kettle é", "v1", "avahi.local")
                [seen] = here.seen("followed")
                assert seen.service is not None
                assert seen.service.txt == {"serial": "1", "model": "v1", "empty": "", "odd": "a=b <&>"}
                await here.registry.rename("plug:1", "My kettle")

                avahi.announce("Kettle é", TYPE, port, {"serial": "1", "model": "v2"})
                await here.until(lambda: here.device("1").model == "v2")  # type: ignore[union-attr]

            async with plug("1", listener=await far.call(socket.create_server, ("0.0.0.0", 0))) as port:
                avahi.announce("Kettle é", TYPE, port, {"serial": "1", "model": "v2"})
                await here.at("1", port, "10.9.0.2")

                far.ip("address", "del", "10.9.0.2/24", "dev", "far")
                far.add("far", "10.9.0.77/24")
                await here.at("1", port, "10.9.0.77")

                avahi.withdraw("Kettle é")
                await here.until(lambda: here.driver.followed[-1].away_since)
                assert here.seen() == []

                avahi.announce("Kettle é", TYPE, port, {"serial": "1"})
                device = await here.at("1", port, "10.9.0.77")
                assert (device.name, device.away_since) == ("My kettle", None)

    near.run(home())


def test_what_programs_announced_before_we_listened_is_found_by_asking(
    tmp_path: Path, near: Network, far: Network
) -> None:
    """Two services over Avahi's bus, on IPv6 alone; one whose program ends is away, and the other is not."""
    far.cable("far", near, "near")
    far.up("far", "fe80::2/64")
    near.up("near", "fe80::1/64")

    async def home() -> None:
        sockets = [await far.call(socket.create_server, ("::", 0), family=socket.AF_INET6) for _ in range(2)]
        async with (
            plug("1", listener=sockets[0]) as first,
            plug("2", listener=sockets[1]) as second,
            open_avahi(tmp_path, far, "far", ipv6=True) as avahi,
            avahi.published("Lamp", TYPE, first, "serial=1"),
            AsyncExitStack() as fan,
        ):
            await fan.enter_async_context(avahi.published("Fan", TYPE, second, "serial=2"))
            async with discovering(tmp_path, f"{TYPE}.local.", options=Options(interfaces=("near",))) as here:
                await here.until(lambda: here.device("1") and here.device("2"))
                scope = socket.if_nametoindex("near")
                found = {(one.name, one.address, one.port) for one in here.registry.snapshot.devices.values()}
                assert found == {("Lamp", f"fe80::2%{scope}", first), ("Fan", f"fe80::2%{scope}", second)}
                await fan.aclose()
                await here.until(lambda: here.device("2").away_since)  # type: ignore[union-attr]
                assert [(one.name, one.state) for one in here.seen()] == [("Lamp", "followed")]

    near.run(home())
