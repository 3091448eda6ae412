"""Discovery by real mDNS on 127.0.0.1, with a driver and devices as a third party would make them."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec import structs
from sqlite_utils import Database
from structlog.testing import capture_logs
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from gladys_companion.config import Discovery as Options
from gladys_companion.discovery import Pace, Seen
from gladys_companion.discovery.limits import MOST_PER_TYPE
from gladys_companion.model import Device, Feature
from gladys_companion.ports import Trouble
from gladys_companion.store.registry import open_registry
from gladys_companion.store.schema import MIGRATIONS
from gladys_companion.store.writer import open_store
from tests.discovering import HERE, QUICK, Discovering, discovering
from tests.plug import plug


@pytest.fixture
def service_type() -> str:
    """A service type that no other test on this machine uses."""
    return f"_p{uuid.uuid4().hex[:8]}._tcp.local."


@pytest.fixture
async def network(tmp_path: Path, service_type: str) -> AsyncIterator[Discovering]:
    async with discovering(tmp_path, service_type) as network:
        yield network


@pytest.fixture
async def announcer() -> AsyncIterator[AsyncZeroconf]:
    async with AsyncZeroconf(interfaces=["127.0.0.1"]) as zeroconf:
        yield zeroconf


def service(
    service_type: str, port: int, *, name: str = "Plug é", address: str = "127.0.0.1", **txt: str
) -> AsyncServiceInfo:
    return AsyncServiceInfo(
        service_type,
        f"{name}.{service_type}",
        parsed_addresses=[address],
        port=port,
        properties=txt,
        server=f"{name.encode().hex()[:40]}-{service_type[1:10]}.local.",
    )


async def announce(zeroconf: AsyncZeroconf, info: AsyncServiceInfo) -> None:
    await (await zeroconf.async_register_service(info, cooperating_responders=True))


async def withdraw(zeroconf: AsyncZeroconf, info: AsyncServiceInfo) -> None:
    await (await zeroconf.async_unregister_service(info))


async def test_a_device_appears_moves_leaves_and_returns_under_its_name(
    network: Discovering, announcer: AsyncZeroconf
) -> None:
    """Its driver is told each time; the name and the alias that the user gave, and the features, stay."""
    async with plug("1") as first, plug("1", "127.0.0.2") as second:
        await announce(announcer, service(network.type, first, serial="1"))
        device = await network.at("1", first)
        assert (device.name, device.driver) == ("Plug é", "plug")
        assert device.seen_at is not None
        assert network.registry.snapshot.features.keys() == {"plug:1:switch"}
        await network.registry.rename("plug:1", "Kettle")
        await network.registry.alias("mqtt:kettle", "plug:1:switch")
        assert [one.state for one in network.seen()] == ["followed"]
        last = network.driver.followed[-1]
        assert (last.id, last.port) == ("plug:1", first)

        async with plug("1") as elsewhere:
            pass  # nobody answers there any more
        await (await announcer.async_update_service(service(network.type, elsewhere, serial="1")))
        await network.until(lambda: network.driver.described[-1].port == first)  # it is looked for where it was

        await (await announcer.async_update_service(service(network.type, second, address="127.0.0.2", serial="1")))
        await network.until(lambda: network.seen()[0].service.port == second)  # type: ignore[union-attr]
        assert network.device("1").port == first  # type: ignore[union-attr]  # which still answers

    async with plug("1", "127.0.0.2") as third:
        await (await announcer.async_update_service(service(network.type, third, address="127.0.0.2", serial="1")))
        await network.at("1", third, "127.0.0.2")
        assert (network.driver.followed[-1].address, network.driver.followed[-1].port) == ("127.0.0.2", third)

        await withdraw(announcer, service(network.type, third, address="127.0.0.2", serial="1"))
        away = await network.until(lambda: network.driver.followed[-1].away_since)
        assert network.device("1").away_since == away  # type: ignore[union-attr]
        assert network.seen() == []

        await announce(announcer, service(network.type, third, address="127.0.0.2", serial="1"))
        device = await network.at("1", third, "127.0.0.2")
        assert device.name == "Kettle"
        assert network.registry.snapshot.feature("mqtt:kettle") is not None


async def test_a_device_that_moved_is_followed_when_its_old_place_is_dead(
    network: Discovering, announcer: AsyncZeroconf
) -> None:
    """A second registration with another port, while the first one was never taken back."""
    async with plug("1") as first:
        await announce(announcer, service(network.type, first, name="one", serial="1"))
        await network.at("1", first)
    async with plug("1") as second:
        await announce(announcer, service(network.type, second, name="two", serial="1"))
        await network.at("1", second)
        assert {one.name: one.state for one in network.seen()} == {"one": "conflict", "two": "followed"}


async def test_a_device_that_moved_unheard_is_asked_for_when_it_is_out_of_reach(
    tmp_path: Path, service_type: str, announcer: AsyncZeroconf
) -> None:
    """Multicast gets lost: who does not answer where it was is looked for, long before its records end."""
    async with (
        discovering(tmp_path, service_type, pace=structs.replace(QUICK, rescan=0.1)) as network,
        plug("1", "127.0.0.2") as second,
    ):
        async with plug("1") as first:
            await announce(announcer, service(service_type, first, serial="1"))
            await network.at("1", first)
        announcer.zeroconf.registry.async_update(service(service_type, second, address="127.0.0.2", serial="1"))
        assert network.device("1").port == first  # type: ignore[union-attr]
        network.driver.troubles["plug:1"] = Trouble("It does not answer.", since=time.time())
        await network.at("1", second, "127.0.0.2")


async def test_known_devices_are_followed_before_anything_is_announced(tmp_path: Path, service_type: str) -> None:
    """After a restart the driver is told at once, where the device was last, whether there is mDNS or not."""
    device = Device(id="plug:1", driver="plug", name="Old", address="127.0.0.1", port=4)
    async with open_store(tmp_path / "companion.db", MIGRATIONS) as store:
        registry = await open_registry(store, wake=lambda _: None)
        await registry.put_device(device, [])
        await registry.put_device(Device(id="lamp:1", driver="lamp", name="Not its own"), [])
    for options in (HERE, Options(enabled=False), Options(interfaces=("nosuch0",))):
        async with discovering(tmp_path, service_type, options=options) as network, asyncio.timeout(5):
            await network.driver.following.wait()
            assert network.driver.followed == [device]
            assert network.driver.described == []


async def test_a_device_is_asked_until_it_answers(network: Discovering, announcer: AsyncZeroconf) -> None:
    """One that is announced before it can answer is found when it does, and keeps no other waiting."""
    async with plug("9") as other:
        async with plug("1") as port:
            pass
        await announce(announcer, service(network.type, port, serial="1"))
        await network.until(lambda: network.seen("silent"))
        await announce(announcer, service(network.type, other, name="other", serial="9"))
        await network.at("9", other)
        assert network.device("1") is None
        assert network.seen("silent")[0].says == "No plug at 127.0.0.1."
        async with plug("1", port=port):
            await network.at("1", port)


async def test_gladys_is_found_by_its_txt(network: Discovering, announcer: AsyncZeroconf) -> None:
    """``product=gladys`` on ``_http._tcp``; other web servers are not, and with its goodbye it is gone."""
    mine = f"gladys-{uuid.uuid4().hex[:8]}"

    def states() -> dict[str, str]:
        return {one.name: one.state for one in network.discovery.scan() if one.name.startswith(mine)}

    home = service("_http._tcp.local.", 80, name=mine, product="gladys")
    await announce(announcer, home)
    await announce(announcer, service("_http._tcp.local.", 81, name=f"{mine}-printer", product="printer"))
    await network.until(lambda: states() == {mine: "gladys", f"{mine}-printer": "unrecognised"})
    assert network.discovery.gladys is not None
    assert network.discovery.gladys.txt["product"] == "gladys"
    await withdraw(announcer, home)
    await network.until(lambda: mine not in states())


async def test_a_device_whose_driver_is_off_is_told_with_what_switches_it_on(
    network: Discovering, announcer: AsyncZeroconf
) -> None:
    """Its type is browsed although nobody drives it, counted for the doctor, and gone with its goodbye."""
    mine = f"kettle-{uuid.uuid4().hex[:8]}"

    def states() -> list[tuple[str, str]]:
        return [(one.state, one.says) for one in network.discovery.scan() if one.name == mine]

    info = service("_esphomelib._tcp.local.", 6053, name=mine, mac="a8032ab12345")
    await announce(announcer, info)
    says = "This is an ESPHome device: switch its driver on with [drivers.esphome] in the configuration."
    await network.until(lambda: states() == [("unrecognised", says)])
    assert network.discovery.unused()["esphome"] >= 1
    await withdraw(announcer, info)
    await network.until(lambda: not states())


async def test_who_was_verified_keeps_the_identity(network: Discovering, announcer: AsyncZeroconf) -> None:
    """An impostor that answers as the device is a conflict, never followed; also after a goodbye in its name."""
    async with plug("1") as real, plug("1", "127.0.0.2") as false:
        genuine = service(network.type, real, name="genuine", serial="1")
        await announce(announcer, genuine)
        await network.at("1", real)
        await announce(announcer, service(network.type, false, name="impostor", address="127.0.0.2", serial="1"))
        [conflict] = await network.until(lambda: network.seen("conflict"))
        assert (conflict.name, conflict.device) == ("impostor", "plug:1")
        assert conflict.says.startswith("plug:1 is announced here too")
        await withdraw(announcer, genuine)
        await network.until(lambda: [one.name for one in network.seen()] == ["impostor"])
        described = len(network.driver.described)
        await network.until(lambda: len(network.driver.described) > described)
        assert {device.port for device in network.driver.described} == {real}
        assert network.device("1").port == real  # type: ignore[union-attr]
        assert {device.port for device in network.driver.followed} == {real}


async def test_what_is_not_what_it_says_is_refused(network: Discovering, announcer: AsyncZeroconf) -> None:
    """Announced as one plug and answering as another, as another driver's, with another's features, or too many."""
    async with plug("2") as port:
        await announce(announcer, service(network.type, port, name="liar", serial="1"))
        await announce(announcer, service(network.type, port, name="thief", serial="3", driver="wled"))
        await announce(announcer, service(network.type, port, name="bomb", serial="bomb"))
        await network.until(lambda: len(network.seen("refused")) == 3)
        says = {one.name: one.says for one in network.seen()}
        assert says["liar"] == "At 127.0.0.1 is plug 2."
        assert says["thief"] == "The driver plug identified it as a device of 'wled'."
        assert says["bomb"] == "plug-in failed: plug raised KeyError"
        assert network.record.status == "failing"

        strange = Feature(external_id="x", device="lamp:1", name="x", category="switch", type="binary")
        network.driver.hook = lambda _: [strange]
        await announce(announcer, service(network.type, port, name="two", serial="2"))
        await network.until(lambda: any("feature of another device" in one.says for one in network.seen("refused")))
        network.driver.hook = lambda device: [
            Feature(external_id=f"{number}", device=device.id, name="x", category="switch", type="binary")
            for number in range(300)
        ]
        await network.until(lambda: any("300 features" in one.says for one in network.seen("refused")))
        assert network.registry.snapshot.devices == {}
        assert network.driver.followed == []
        network.driver.hook = lambda _: None
        await network.at("2", port)


async def test_a_driver_that_hangs_on_one_device_keeps_no_other_waiting(tmp_path: Path, service_type: str) -> None:
    """A device that accepts and never answers is given up after a while, in a task of its own."""
    pace = Pace(describe_within=0.1, rest=0.01, first_retry=0.05, last_retry=0.1)
    async with (
        AsyncZeroconf(interfaces=["127.0.0.1"]) as announcer,
        discovering(tmp_path, service_type, pace=pace) as network,
        plug("2") as port,
    ):
        with socket.create_server(("127.0.0.1", 0)) as hung:
            await announce(announcer, service(service_type, hung.getsockname()[1], name="hung", serial="1"))
            await announce(announcer, service(service_type, port, name="fine", serial="2"))
            await network.at("2", port)
            await network.until(lambda: network.seen("silent"))
            assert "did not answer within 0.1 s" in network.seen("silent")[0].says
            assert network.record.status == "open"


async def test_devices_without_mdns_come_by_the_drivers_own_search(network: Discovering) -> None:
    """What ``discover`` yields is verified, followed, marked away, and outlives the failure of the search."""
    async with plug("1") as port:
        found = Device(id="plug:1", driver="plug", name="By hand", address="127.0.0.1", port=port)
        network.driver.found.put_nowait(found)
        await network.at("1", port)
        assert [(one.type, one.name, one.state) for one in network.seen()] == [("discover", "By hand", "followed")]
        network.driver.found.put_nowait(Device(id="plug:1", driver="plug", name="", away_since=1.0))
        await network.until(lambda: network.device("1").away_since)  # type: ignore[union-attr]
        network.driver.found.put_nowait(found)
        await network.at("1", port)
        network.driver.found.put_nowait(Device(id="plug:2", driver="lamp", name="strange"))
        await network.until(lambda: network.seen("refused"))
        with capture_logs() as logs:
            network.driver.found.put_nowait(Device(id="bomb", driver="plug", name=""))
            await network.until(lambda: network.record.status == "failing")
            await network.until(lambda: len(logs) == 2)
        assert [entry["event"] for entry in logs] == ["plug-in failed", "a driver looks for devices no more"]
        assert network.device("1") is not None


async def test_what_the_user_forgets_is_forgotten_and_new_when_announced_again(
    network: Discovering, announcer: AsyncZeroconf
) -> None:
    """The driver is told; a later change of the announcement makes it a new device."""
    async with plug("1") as port:
        await announce(announcer, service(network.type, port, serial="1"))
        await network.at("1", port)
        await network.registry.rename("plug:1", "Kettle")
        await network.registry.forget("plug:1")
        network.discovery.forget("plug:1")
        assert network.driver.forgotten == ["plug:1"]
        await (await announcer.async_update_service(service(network.type, port, serial="1", model="v2")))
        device = await network.at("1", port)
        assert (device.name, device.model) == ("Plug é", "v2")


async def test_a_device_that_the_registry_refuses_is_taken_when_it_can_be(
    network: Discovering, announcer: AsyncZeroconf
) -> None:
    """An external id that another device has is the reason shown, until that device is gone."""
    async with plug("1") as port:
        taken = Feature(external_id="plug:1:switch", device="lamp:1", name="x", category="switch", type="binary")
        await network.registry.put_device(Device(id="lamp:1", driver="lamp", name="Lamp"), [taken])
        await announce(announcer, service(network.type, port, serial="1"))
        await network.until(lambda: any("already belongs to 'lamp:1'" in one.says for one in network.seen("refused")))
        assert network.driver.followed == []
        await network.registry.forget("lamp:1")
        await network.at("1", port)


async def test_a_full_disk_is_waited_out(network: Discovering, announcer: AsyncZeroconf) -> None:
    """A device that can not be written down is not followed, discovery goes on, and later it is."""

    async def limit(spare: int) -> None:
        def job(database: Database) -> None:
            [used] = database.conn.execute("PRAGMA page_count").fetchone()
            database.conn.execute(f"PRAGMA max_page_count = {used + spare}")

        await network.registry._store.write(job)

    def many(device: Device) -> list[Feature]:
        return [
            Feature(external_id=f"{device.id}:{n}", device=device.id, name="x" * 2000, category="switch", type="binary")
            for n in range(200)
        ]

    async with plug("1") as port:
        network.driver.hook = many
        await limit(0)
        with capture_logs() as logs:
            await announce(announcer, service(network.type, port, serial="1"))
            await network.until(lambda: any(one["event"] == "a device waits for the database" for one in logs))
        assert (network.driver.followed, network.device("1")) == ([], None)
        await limit(10_000)
        await network.at("1", port)
        assert len(network.registry.snapshot.features) == 200


# --- hostile announcements, byte by byte -----------------------------------------------------------------------------


def wire_name(*labels: bytes) -> bytes:
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def record(name: bytes, kind: int, data: bytes, *, ttl: int = 120, flush: bool = False) -> bytes:
    return name + struct.pack("!HHIH", kind, 0x8001 if flush else 1, ttl, len(data)) + data


def packet(*records: bytes) -> bytes:
    return struct.pack("!HHHHHH", 0, 0x8400, 0, len(records), 0, 0) + b"".join(records)


class Liar:
    """Says anything to the multicast group of the loopback interface."""

    def __init__(self, sender: socket.socket, service_type: str) -> None:
        self._sender = sender
        self._type = (*(part.encode() for part in service_type.split(".")[:2]), b"local")

    def say(self, *records: bytes) -> None:
        self._sender.sendto(packet(*records), ("224.0.0.251", 5353))

    def pointer(self, label: bytes, *, ttl: int = 4500) -> bytes:
        return record(wire_name(*self._type), 12, wire_name(label, *self._type), ttl=ttl)

    def whole(
        self, label: bytes, txt: bytes, *, addresses: tuple[str, ...] = ("127.0.0.1",), port: int = 9, ttl: int = 120
    ) -> tuple[bytes, ...]:
        """Return all records of one service; ``port`` and ``ttl`` as wished."""
        name, host = wire_name(label, *self._type), wire_name(uuid.uuid4().hex.encode(), b"local")
        return (
            self.pointer(label, ttl=ttl),
            record(name, 33, struct.pack("!HHH", 0, 0, port) + host, ttl=ttl, flush=True),
            record(name, 16, txt or b"\0", ttl=ttl, flush=True),
            *(record(host, 1, socket.inet_aton(address), ttl=ttl) for address in addresses),
        )


@contextmanager
def lying(service_type: str) -> Iterator[Liar]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        yield Liar(sender, service_type)


def entry(text: bytes) -> bytes:
    return bytes([len(text)]) + text


async def heard(network: Discovering, number: int) -> list[Seen]:
    """Return what is announced, when so many services were looked at."""

    def looked_at() -> list[Seen] | None:
        seen = network.seen()
        return seen if len(seen) == number and all("not resolved yet" not in one.says for one in seen) else None

    return await network.until(looked_at)


async def test_absurd_names_are_shown_harmlessly(network: Discovering) -> None:
    """Control characters, escapes, directions, paths, 63 bytes, dots and bytes that are no text."""
    names = [
        b"a\x1b[31mred",
        b"\xe2\x80\xaetxt.exe",
        b"../../etc/passwd",
        b"'; DROP TABLE devices; --",
        b"x" * 63,
        b"\xff\xfe\xfd",
        b"a.b.c",
        "Été 👩‍🚀".encode(),
    ]
    with lying(network.type) as liar:
        for name in names:
            liar.say(*liar.whole(name, entry(b"serial=" + name[:40].hex().encode())))
        seen = await heard(network, len(names))
        assert all(one.name.isprintable() or "👩‍🚀" in one.name for one in seen)
        assert {"../../etc/passwd", "x" * 63, "Été 👩‍🚀", "a.b.c"} <= {one.name for one in seen}
        assert "\ufffd[31mred" not in {one.name for one in seen}
        assert network.registry.snapshot.devices == {}


async def test_a_huge_txt_is_cut_and_the_next_device_is_found(network: Discovering, announcer: AsyncZeroconf) -> None:
    """Eight kilobytes of TXT with thousands of entries become at most 64; lengths that lie are no matter."""
    with lying(network.type) as liar:
        liar.say(*liar.whole(b"wide", b"".join(entry(b"k%d=%s" % (n, b"v" * 240)) for n in range(34))))
        liar.say(*liar.whole(b"many", b"".join(entry(b"%d=" % n) for n in range(1500))))
        liar.say(*liar.whole(b"short", b"\xffserial=1"))
        liar.say(*liar.whole(b"zeros", bytes(8000)))
        seen = {one.name: one for one in await heard(network, 4)}
        assert all(len(one.service.txt) <= 64 for one in seen.values() if one.service)
        assert {one.state for one in seen.values()} <= {"unrecognised", "asking", "silent"}
    async with plug("1") as port:
        await announce(announcer, service(network.type, port, name="real", serial="1"))
        await network.at("1", port)


async def test_addresses_that_lead_nowhere_are_not_asked(network: Discovering) -> None:
    """Broadcast, multicast, unspecified, no port: nothing is sent there; of 40 addresses 8 are looked at."""
    with lying(network.type) as liar:
        txt = entry(b"serial=1")
        liar.say(*liar.whole(b"a", txt, addresses=("255.255.255.255", "0.0.0.0", "224.0.0.1", "240.0.0.1")))
        liar.say(*liar.whole(b"b", txt, port=0))
        liar.say(*liar.whole(b"c", b"", addresses=tuple(f"127.1.0.{n}" for n in range(40))))
        seen = {one.name: one for one in await heard(network, 3)}
        says = {name: one.says for name, one in seen.items()}
        assert says["a"] == "It announces no address that a device could have."
        assert says["b"] == "It announces no port."
        assert seen["c"].service is not None
        assert len(seen["c"].service.addresses) == 8
    assert network.driver.described == []


async def test_thousands_of_services_are_bounded_and_the_real_ones_stay(
    network: Discovering, announcer: AsyncZeroconf
) -> None:
    """Of a type 1,500 are noted, the oldest unknown ones are dropped and that is logged once; a verified one stays."""
    async with plug("1") as port, plug("2") as second:
        await announce(announcer, service(network.type, port, name="real", serial="1"))
        await network.at("1", port)
        with lying(network.type) as liar, capture_logs() as logs:
            for batch in range(30):
                liar.say(*(liar.pointer(b"%d" % (batch * 60 + n)) for n in range(60)))
                least = min(batch * 60 + 61, MOST_PER_TYPE)
                await network.until(lambda: len(network.seen()) >= least)  # noqa: B023 - asked before the next batch
            await network.until(lambda: network.discovery.dropped >= 1801 - MOST_PER_TYPE)
            assert len(network.seen()) == MOST_PER_TYPE
            assert [one.state for one in network.seen() if one.name == "real"] == ["followed"]
            await announce(announcer, service(network.type, second, name="late", serial="2"))
            await network.at("2", second)
            assert len(network.seen()) == MOST_PER_TYPE
        assert [entry["event"] for entry in logs if "too many" in entry["event"]] != []
        assert len([entry for entry in logs if "too many" in entry["event"]]) == 1


async def test_flapping_and_games_with_ttl_cost_little(network: Discovering) -> None:
    """A hundred goodbyes and returns with a TTL of 0 and 1 are a handful of writes and questions."""
    async with plug("1") as port:
        with lying(network.type) as liar:
            txt = entry(b"serial=1")
            liar.say(*liar.whole(b"flapping", txt, port=port))
            await network.at("1", port)
            for number in range(100):
                liar.say(*liar.whole(b"flapping", txt, port=port, ttl=number % 2))
                await asyncio.sleep(0)
            liar.say(*liar.whole(b"flapping", txt + entry(b"n=1"), port=port, ttl=4_000_000_000))
            await network.until(lambda: network.seen("followed") and "n" in network.seen()[0].service.txt)  # type: ignore[union-attr]
            await network.at("1", port)
        assert len(network.driver.followed) < 40
        assert network.record.status == "open"


async def test_nonsense_on_the_wire_is_ignored(network: Discovering, announcer: AsyncZeroconf) -> None:
    """Packets that are no DNS, names that point into themselves, and pointers to other types end nothing."""
    with lying(network.type) as liar:
        for raw in (b"", b"\0", bytes(12), b"\xff" * 512, packet(b"\xc0\x0c" * 20), packet()[:6], b"\0" * 9000):
            liar._sender.sendto(raw, ("224.0.0.251", 5353))
        liar.say(record(wire_name(*liar._type), 12, wire_name(b"x", b"_elsewhere", b"_tcp", b"local")))
        liar.say(record(wire_name(*liar._type), 12, wire_name(b"example", b"com")))
        liar.say(record(wire_name(*liar._type), 12, wire_name(*[b"y" * 60] * 4)))
        liar.say(record(wire_name(*liar._type), 12, wire_name(b"s", b"_sub", *liar._type)))
    async with plug("1") as port:
        await announce(announcer, service(network.type, port, serial="1"))
        await network.at("1", port)
        assert {one.state for one in network.seen()} <= {"followed", "unresolved"}


async def test_a_forgotten_device_that_is_still_there_comes_back_as_new(
    network: Discovering, announcer: AsyncZeroconf
) -> None:
    """Without waiting for another announcement, and without the name that its owner had given it."""
    async with plug("1") as port:
        await announce(announcer, service(network.type, port, serial="1"))
        await network.at("1", port)
        await network.registry.rename("plug:1", "Kettle")
        await network.registry.forget("plug:1")
        network.discovery.forget("plug:1")
        device = await network.until(lambda: network.device("1"))
        assert device.name == "Plug é"
        await network.until(lambda: network.seen("followed"))
