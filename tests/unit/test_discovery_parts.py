"""The parts of discovery that decide without asking: bounded values, the bounded table, where to look, interfaces."""

from __future__ import annotations

import importlib
import math
import socket
import struct
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any, cast

import ifaddr
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from zeroconf.asyncio import AsyncServiceInfo

from gladys_companion.config import Discovery as Options
from gladys_companion.discovery import Pace, open_mdns
from gladys_companion.discovery.claims import Claim, admitted, check, elsewhere, is_due, places, view_of, wait_for
from gladys_companion.discovery.hints import KINDS, Kind, hint, kinds_without
from gladys_companion.discovery.links import Links, carriers, open_links
from gladys_companion.discovery.network import select
from gladys_companion.discovery.services import bounded, clean, is_gladys, label, read_txt
from gladys_companion.discovery.sightings import Key, Sighting, Sightings
from gladys_companion.errors import ProtocolError, Rejected
from gladys_companion.model import Device, Feature, Service

ODD = ["fe80::1%3", "127.0.0.1", "::"]
WLED = "_wled._tcp.local."


def shown(text: str) -> bool:
    return all(c.isprintable() or c == "\u200d" for c in text)


@given(st.binary(max_size=9_000))
@example(b"\xff")
@example(b"\x00" * 9_000)
@example(b"\x02a=" * 3_000)
def test_every_txt_is_read_and_bounded(raw: bytes) -> None:
    """Whatever bytes come: at most 64 entries, each at most 255 characters that can be shown, keys in lower case."""
    entries = read_txt(raw)
    assert len(entries) <= 64
    assert all(key and key == key.lower() for key in entries)
    assert all(shown(text) and len(text) <= 255 for pair in entries.items() for text in pair)


@given(
    st.dictionaries(st.from_regex(r"[a-z][a-z0-9#]{0,8}", fullmatch=True), st.text("abc é=Ω", max_size=60), max_size=20)
)
def test_a_proper_txt_is_read_as_zeroconf_wrote_it(entries: dict[str, str]) -> None:
    """Key and value come back, with ``=`` and text of any language in the value."""
    info = AsyncServiceInfo(WLED, f"x.{WLED}", properties=entries)
    assert read_txt(info.text) == {key: value.strip() for key, value in entries.items()}


def test_of_a_key_the_first_entry_counts_and_one_without_a_name_does_not() -> None:
    """RFC 6763, 6.4: keys are compared without case, and strings that begin with ``=`` are ignored."""
    assert read_txt(b"\x05Mac=1\x05mac=2\x02=3\x04flag") == {"mac": "1", "flag": ""}


@given(
    name=st.text(max_size=300),
    host=st.none() | st.text(max_size=400),
    addresses=st.lists(
        st.ip_addresses().map(str) | st.text(max_size=20) | st.sampled_from(["fe80::1%3", "127.0.0.1", "::"]),
        max_size=30,
    ),
    port=st.none() | st.integers(-1, 70_000),
    txt=st.binary(max_size=600),
    loopback=st.booleans(),
)
def test_every_announcement_is_bounded_or_refused(
    name: str, host: str | None, addresses: list[str], port: int | None, txt: bytes, *, loopback: bool
) -> None:
    """Nothing but a bounded service or a ProtocolError comes of any records."""
    try:
        service = bounded(
            service_type=WLED, name=name, host=host, addresses=addresses, port=port, txt=txt, loopback=loopback
        )
    except ProtocolError:
        return
    assert 0 < len(service.addresses) <= 8
    assert set(service.addresses) <= set(addresses)
    assert 0 < service.port < 65_536
    assert shown(service.name)
    assert shown(service.host)
    assert len(service.name) <= 200
    assert loopback or not {"127.0.0.1", "::1"} & set(service.addresses)


@pytest.mark.parametrize(
    ("address", "usable"),
    [
        ("192.168.1.7", True),
        ("169.254.3.4", True),
        ("fd00::7", True),
        ("fe80::1%3", True),
        ("fe80::1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("224.0.0.251", False),
        ("ff02::fb%3", False),
        ("255.255.255.255", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:192.168.1.7", False),
        ("127.0.0.1", False),
        ("::1", False),
    ],
)
def test_only_addresses_of_devices_are_taken(address: str, *, usable: bool) -> None:
    """Not this machine itself, nobody, everybody, nor a link-local one that does not say on which link."""

    def taken(*, loopback: bool) -> bool:
        try:
            bounded(service_type=WLED, name="x", host="", addresses=[address], port=80, txt=b"", loopback=loopback)
        except ProtocolError:
            return False
        return True

    assert taken(loopback=False) == usable
    assert taken(loopback=True) == (usable or address in {"127.0.0.1", "::1"})


def test_texts_are_fit_to_be_shown() -> None:
    """Escapes, directions and line ends are replaced, spaces of any kind become spaces, languages and emoji stay."""
    assert clean("\x1b[31mred\u202e\n\u00a0é 👩\u200d🚀 ") == "\ufffd[31mred\ufffd\ufffd é 👩\u200d🚀"
    assert clean("x" * 500) == "x" * 200
    assert label(WLED, f"Sal.on.{WLED}") == "Sal.on"


@pytest.mark.parametrize(
    ("kind", "txt", "found"),
    [
        ("_http._tcp.local.", {"product": "Gladys"}, True),
        ("_http._tcp.local.", {"product": "printer"}, False),
        ("_http._tcp.local.", {}, False),
        (WLED, {"product": "gladys"}, False),
    ],
)
def test_gladys_is_told_by_its_txt(kind: str, txt: Mapping[str, str], *, found: bool) -> None:
    """``product=gladys`` on ``_http._tcp``, nothing else."""
    service = Service(type=kind, name="x", host="x.local", addresses=("10.0.0.1",), port=80, txt=txt)
    assert is_gladys(service) == found


# --- the table ---


def table(*, most: int, most_per_type: int) -> tuple[Sightings, list[Key]]:
    evicted: list[Key] = []
    return Sightings(lambda key, _: evicted.append(key), most=most, most_per_type=most_per_type), evicted


def test_the_oldest_that_was_not_verified_makes_room() -> None:
    """Within its own type when that is full, else in the most crowded one; verified ones are never dropped."""
    sightings, evicted = table(most=5, most_per_type=3)
    for number in range(3):
        assert sightings.admit(("a", str(number)), "x")
    sightings.keep(("a", "0"))
    assert sightings.admit(("a", "3"), "x")
    assert evicted == [("a", "1")]
    assert sightings.admit(("b", "0"), "x")
    assert sightings.admit(("b", "1"), "x")
    assert sightings.admit(("c", "0"), "x")
    assert evicted == [("a", "1"), ("a", "2")]
    assert (len(sightings), sightings.dropped) == (5, 2)
    assert sightings.admit(("c", "0"), "y")
    assert sightings.get(("c", "0")) == Sighting(name="x")


def test_a_table_full_of_verified_ones_takes_no_more() -> None:
    """A newcomer is refused and counted; when a verified one turns out to be elsewhere, it makes room again."""
    sightings, evicted = table(most=2, most_per_type=9)
    for key in (("a", "0"), ("b", "0")):
        sightings.admit(key, "x")
        sightings.keep(key)
    assert not sightings.admit(("a", "1"), "x")
    assert (sightings.dropped, evicted) == (1, [])
    sightings.release(("b", "0"))
    assert sightings.admit(("a", "1"), "x")
    assert evicted == [("b", "0")]


@given(st.lists(st.tuples(st.sampled_from("ark"), st.sampled_from("abc"), st.integers(0, 20)), max_size=200))
def test_the_table_never_grows_over_its_bounds(steps: list[tuple[str, str, int]]) -> None:
    """Whatever is admitted, removed and kept, in whatever order."""
    sightings, _ = table(most=7, most_per_type=4)
    for what, kind, number in steps:
        key = (kind, str(number))
        if what == "a":
            sightings.admit(key, "x")
        elif what == "r":
            sightings.remove(key)
        else:
            sightings.keep(key)
        assert len(sightings) <= 7
        for type_ in "abc":
            assert sum(key[0] == type_ for key, _ in sightings) <= 4


def test_a_flood_costs_time_in_proportion() -> None:
    """Of a hundred thousand names two thousand remain at any time, and the newest of them at the end."""
    sightings, evicted = table(most=2_000, most_per_type=500)
    for number in range(100_000):
        sightings.admit((f"_{number % 10}._tcp.local.", str(number)), "x")
    assert len(sightings) == 2_000
    assert len(evicted) == sightings.dropped == 98_000
    assert min(int(key[1]) for key, _ in sightings) >= 97_000


# --- where to look ---


def at(address: str | None, port: int | None = 80) -> Device:
    return Device(id="wled:1", driver="wled", name="Lamp", address=address, port=port)


def claim(*addresses: str, port: int = 80, **txt: str) -> Claim:
    return Claim(at(addresses[0], port), addresses, txt)


def looks(verified: Device | None, *claims: Claim) -> list[tuple[str | None, int | None, bool]]:
    return [(place.device.address, place.device.port, place.verified) for place in places(verified, claims)]


def test_where_a_device_was_verified_is_looked_at_first() -> None:
    """Then where it is announced, the newest announcement first, each place once, at most eight."""
    assert looks(None, claim("10.0.0.1"), claim("10.0.0.2")) == [("10.0.0.2", 80, False), ("10.0.0.1", 80, False)]
    assert looks(at("10.0.0.1"), claim("10.0.0.2")) == [("10.0.0.1", 80, True), ("10.0.0.2", 80, False)]
    assert looks(at("10.0.0.1"), claim("10.0.0.1"), claim("10.0.0.1")) == [("10.0.0.1", 80, True)]
    assert looks(at("10.0.0.1"), claim("10.0.0.1", port=81))[1:] == [("10.0.0.1", 81, False)]
    assert looks(at(None, None), claim("10.0.0.1")) == [("10.0.0.1", 80, False)]
    assert len(looks(at("10.0.0.1"), *(claim(f"10.0.1.{n}") for n in range(100)))) == 8


def test_a_second_address_of_one_announcement_is_no_second_place_of_conflict() -> None:
    """A device on Wi-Fi and cable stays where it was found, and is tried at its other address when that fails."""
    both = claim("10.0.0.2", "10.0.0.1")
    assert looks(at("10.0.0.1"), both) == [("10.0.0.1", 80, True), ("10.0.0.2", 80, False)]
    key = (WLED, "x")
    assert elsewhere(at("10.0.0.1"), {key: both}) == frozenset()
    assert elsewhere(at("10.0.0.3"), {key: both}) == {key}
    assert elsewhere(at("10.0.0.1", 81), {key: both}) == {key}


def test_what_is_announced_is_compared_as_a_whole() -> None:
    """Addresses, port and TXT; not the order of announcements nor of entries."""
    assert view_of([claim("10.0.0.1", a="1", b="2")]) == view_of([claim("10.0.0.1", b="2", a="1")])
    assert view_of([claim("10.0.0.1"), claim("10.0.0.2")]) == view_of([claim("10.0.0.2"), claim("10.0.0.1")])
    for other in (claim("10.0.0.1", "10.0.0.2"), claim("10.0.0.1", port=1), claim("10.0.0.1", a="2")):
        assert view_of([claim("10.0.0.1", a="1")]) != view_of([other])


def test_a_changed_device_is_asked_again_after_a_while_and_a_moved_one_soon() -> None:
    """So that flapping costs a question in half a minute, and a move is followed within seconds."""
    assert wait_for(Pace(), 100.0, moved=False, now=110.0) == 20.0
    assert wait_for(Pace(), 100.0, moved=True, now=102.0) == 1.0
    assert wait_for(Pace(), 100.0, moved=True, now=200.0) == 0.0
    assert wait_for(Pace(), float("-inf"), moved=False, now=0.0) == 0.0


@pytest.mark.parametrize("id_", ["", " x", "x\n", "x\x1b", "x" * 201])
def test_a_device_has_an_identity_that_can_be_one(id_: str) -> None:
    """Empty, padded, of control characters or endless: refused."""
    with pytest.raises(Rejected, match="gave it an id that can not be one"):
        admitted(Device(id=id_, driver="wled", name="x"), "wled")


def test_what_a_driver_makes_of_texts_is_fit_to_be_shown() -> None:
    """Name, model and host are cleaned, a device without a name has its id for one."""
    device = admitted(Device(id="wled:1", driver="wled", name="\x1b", model="m\x07" * 300, host="h\n"), "wled")
    assert (device.name, device.host) == ("\ufffd", "h\ufffd")
    assert len(device.model) == 200
    assert admitted(Device(id="wled:1", driver="wled", name="  "), "wled").name == "wled:1"


def test_features_belong_to_their_device() -> None:
    """A feature of another device is refused, and so are more than 256."""
    own = [Feature(external_id=f"{n}", device="wled:1", name="x", category="light", type="binary") for n in range(257)]
    assert check(at("10.0.0.1"), own[:256]) == tuple(own[:256])
    with pytest.raises(Rejected, match="257 features"):
        check(at("10.0.0.1"), own)
    other = Feature(external_id="x", device="lock:1", name="x", category="lock", type="binary")
    with pytest.raises(Rejected, match="'lock:1'"):
        check(at("10.0.0.1"), [*own[:3], other])


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": {}},
        {"name": None},
        {"min": [1]},
        {"min": "0"},
        {"max": math.nan},
        {"writable": "yes"},
        {"external_id": "wled:1:\ud800"},
        {"external_id": "x" * 401},
        {"external_id": ""},
    ],
)
def test_what_can_not_be_a_feature_is_refused(wrong: dict[str, Any]) -> None:
    """A driver of a third party may say anything: it is refused before the database or the planner stumbles over it."""
    one = Feature(external_id="wled:1:on", device="wled:1", name="x", category="light", type="binary")
    with pytest.raises(Rejected, match="driver wled told"):
        check(at("10.0.0.1"), [msgspec.structs.replace(one, **wrong)])
    with pytest.raises(Rejected, match="no Feature"):
        check(at("10.0.0.1"), cast("list[Feature]", [1]))


def test_what_a_driver_calls_features_is_fit_to_be_shown() -> None:
    """Texts of a feature are cleaned, and a bound that is too large for the database is a number all the same."""
    one = Feature(external_id="wled:1:on", device="wled:1", name="\ud800\n", category="light", type="binary", max=2**70)
    (found,) = check(at("10.0.0.1"), [one])
    assert (found.name, found.max) == ("\ufffd\ufffd", float(2**70))
    assert isinstance(found.max, float)


@pytest.mark.parametrize("wrong", [{"address": [1]}, {"name": 3}, {"port": 2**70}, {"port": 0}, {"id": "wled:\ud800"}])
def test_what_can_not_be_a_device_is_refused(wrong: dict[str, Any]) -> None:
    """Likewise of the device itself, which a driver may find without mDNS."""
    with pytest.raises(Rejected, match="driver wled"):
        admitted(msgspec.structs.replace(Device(id="wled:1", driver="wled", name="x"), **wrong), "wled")


# --- interfaces ---


def adapter(name: str, index: int | None, *ips: str) -> ifaddr.Adapter:
    def ip(text: str) -> ifaddr.IP:
        return ifaddr.IP(((text, 0, index or 0) if ":" in text else text), 24, name)

    return ifaddr.Adapter(name, name, [ip(text) for text in ips], index)


ADAPTERS = (
    adapter("lo", 1, "127.0.0.1", "::1"),
    adapter("eth0", 2, "192.168.1.5", "192.168.1.6", "fe80::5", "fd00::5"),
    adapter("eth0.7", 4, "192.168.7.5", "fe80::5"),
    adapter("wlan0", 3, "10.0.0.5"),
)


@pytest.mark.parametrize(
    ("names", "ipv6", "expected"),
    [
        (("eth0",), True, ["192.168.1.5", "192.168.1.6", 2, "fd00::5"]),
        (("eth0",), False, ["192.168.1.5", "192.168.1.6"]),
        (("wlan0", "192.168.1.6"), True, ["10.0.0.5", "192.168.1.6"]),
        (("fe80::5", "fd00::5"), True, [2, 4, "fd00::5"]),
        (("FD00:0::5",), False, ["fd00::5"]),
        (("127.0.0.1",), True, ["127.0.0.1"]),
        ((), True, ["192.168.1.5", "192.168.1.6", 2, "fd00::5", "192.168.7.5", 4, "10.0.0.5"]),
        ((), False, ["192.168.1.5", "192.168.1.6", "192.168.7.5", "10.0.0.5"]),
        (("eth1", "wlan0"), True, ["10.0.0.5"]),
    ],
)
def test_interfaces_are_named_by_name_or_address(
    names: tuple[str, ...], *, ipv6: bool, expected: list[str | int]
) -> None:
    """A name means all its addresses, IPv6 if that is wanted; an address means itself; none means all but loopback.

    An address of several interfaces, as link-local ones of VLANs are, is told by the interface's index.
    """
    found, missing = select(Options(interfaces=names, ipv6=ipv6), ADAPTERS)
    assert found == expected
    assert bool(missing) == ("eth1" in names)


def test_a_machine_with_nothing_but_loopback_uses_that() -> None:
    """So that it works without any network too."""
    assert select(Options(), ADAPTERS[:1]) == (["127.0.0.1", "::1"], ())
    assert select(Options(), ()) == ([], ())


def test_a_name_that_is_not_there_is_told_with_the_nearest() -> None:
    """It may come later, so it is a status and no error."""
    assert select(Options(interfaces=("eht0",)), ADAPTERS)[1] == (
        "There is no interface or address 'eht0' now; there is eth0.",
    )


async def test_without_multicast_discovery_says_why_and_all_else_works() -> None:
    """Switched off, or on an interface that is not there: zeroconf exists and port 5353 may be anybody's."""
    async with open_mdns(Options(enabled=False)) as mdns:
        assert (mdns.state, mdns.reason) == ("off", None)
        await mdns.rescan()
        assert mdns.state == "off"
    async with open_mdns(Options(interfaces=("nosuch0",))) as mdns:
        assert mdns.state == "failed"
        assert mdns.reason is not None
        assert mdns.reason.startswith("There is no interface or address 'nosuch0' now")
        assert not mdns.loopback
        await mdns.rescan()
        assert mdns.state == "failed"
    async with open_mdns(Options(interfaces=("127.0.0.1", "nosuch0"))) as mdns:
        assert mdns.state == "running"
        assert mdns.loopback
        assert mdns.reason is not None


async def test_an_interface_that_comes_is_used() -> None:
    """A rescan with an interface that was not there when the process started finds it."""
    options = Options(interfaces=("nosuch0",))
    async with open_mdns(options) as mdns:
        assert mdns.state == "failed"
        mdns._options = Options(interfaces=("127.0.0.1",))  # as if nosuch0 had come with that address
        await mdns.rescan()
        assert (mdns.state, mdns.reason) == ("running", None)
        senders = [str(transport.sock_name) for transport in mdns.zeroconf.zeroconf.engine.senders]
        assert any("127.0.0.1" in sender for sender in senders)


async def test_an_address_on_an_interface_that_was_replaced_is_listened_on_anew() -> None:
    """The socket of before would be bound to an interface that is no more, and hear nothing."""
    async with open_mdns(Options(interfaces=("127.0.0.1",))) as mdns:
        before = tuple(mdns.zeroconf.zeroconf.engine.senders)
        assert not await mdns.rescan()
        mdns._addresses = frozenset((address, 99) for address, _ in mdns._addresses)
        assert await mdns.rescan()
        after = tuple(mdns.zeroconf.zeroconf.engine.senders)
        assert (len(before), len(after)) == (1, 1)
        assert before != after


def link(kind: int, index: int, flags: int, *, more: bytes = b"") -> bytes:
    """Return a message of the kernel about an interface."""
    body = struct.pack("=BxHiII", 0, 1, index, flags, 0) + more
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body + bytes(-len(body) % 4)


def test_carriers_are_read_from_the_words_of_the_kernel() -> None:
    """A link with and without, one that is gone, and other messages, in one reading."""
    other = struct.pack("=IHHII", 20, 20, 0, 0, 0) + bytes(4)
    messages = link(16, 2, 0x11043, more=b"odd") + other + link(16, 3, 0x1003) + link(17, 2, 0x11043)
    assert list(carriers(messages)) == [(2, True), (3, False), (2, False)]


@given(st.binary(max_size=200))
def test_words_that_are_none_are_read_to_their_end(messages: bytes) -> None:
    """Lengths that lie end the reading, and nothing else."""
    assert all(isinstance(running, bool) for _, running in carriers(messages))


async def test_who_waits_for_a_change_waits_no_longer_than_he_said() -> None:
    """With the kernel's word or without it."""
    with open_links() as links:
        assert not await links.changed(0.01)
    assert not await Links(None).changed(0.01)


async def test_a_carrier_that_comes_back_is_told_and_one_that_stays_is_not() -> None:
    """Kernels repeat themselves; where more happened than they keep, anything may have come."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.settimeout(0)
    with ours, theirs:
        links = Links(ours)
        for flags, came in ((0x40, True), (0x40, False), (0, False), (0x40, True)):
            theirs.send(link(16, 2, flags))
            assert await links.changed(5) is came
        theirs.send(link(16, 2, 0))
        theirs.send(link(16, 2, 0x40))
        assert await links.changed(5)


def test_what_is_lost_is_asked_for_ever_more_seldom() -> None:
    """At 1, 2, 4, 8... times the interval; a clock that was set back is no reason to hurry."""
    asked = [number for number in range(40) if is_due(number * 30 + 1.0, 30)]
    assert asked == [1, 2, 4, 8, 16, 32]
    assert not is_due(-1e9, 30)


@pytest.mark.parametrize("kind", [pytest.param(one, id=one.driver) for one in dict.fromkeys(KINDS.values())])
def test_a_kind_of_device_is_told_by_what_its_driver_browses(kind: Kind) -> None:
    """The table, which exists so that no driver is imported, says what the driver would say."""
    module = importlib.import_module(f"gladys_companion.drivers.{kind.driver}._driver")
    browsed = {type_ for one in vars(module).values() for type_ in getattr(one, "services", ())}
    assert browsed & {type_ for type_, one in KINDS.items() if one is kind}
    assert [entry.name for entry in entry_points(group="gladys_companion.drivers") if entry.name == kind.driver]


def test_only_kinds_without_a_driver_are_hinted_at() -> None:
    """The sentence names the table that switches it on."""
    assert kinds_without([one.driver for one in KINDS.values()]) == {}
    kinds = kinds_without(["wled", "homekit"])
    assert "_wled._tcp.local." not in kinds
    assert not any(type_.startswith("_hap") for type_ in kinds)
    assert hint(kinds["_esphomelib._tcp.local."]) == (
        "This is an ESPHome device: switch its driver on with [drivers.esphome] in the configuration."
    )
