"""What is particular to the Hue driver: pairing, the certificate, one connection for all, bridges that misbehave."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.clock import SYSTEM
from gladys_companion.drivers.hue import PLUGIN, Config, HueDriver
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Delivery, Device, Event, Feature, RegistrySnapshot, report
from gladys_companion.ports import Kit, Pairable
from gladys_companion.sim.conformance import MemorySecrets
from gladys_companion.sim.hue import HueBridge, open_hue

MAC = "0017880a1b2c"
NONSENSE: tuple[object, ...] = (None, float("nan"), "\ud800x", [[]], 2**63)


class Home:
    """A driver, its secrets, and what it asked of the daemon."""

    driver: HueDriver

    def __init__(self) -> None:
        self.secrets = MemorySecrets()
        self.registry = RegistrySnapshot()
        self.retried: list[str] = []

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)

    async def says(self, device: Device, part: str) -> str:
        """Return the trouble of a device, as soon as it has this in it."""
        await self.until(lambda: part in self.trouble(device))
        return self.trouble(device)

    def trouble(self, device: Device) -> str:
        found = self.driver.trouble(device.id)
        return found.says if found is not None else ""

    async def pair(self, bridge: HueBridge) -> Device:
        bridge.press_link_button()
        device = where(bridge)
        await self.driver.pair(device, None)
        return device

    async def found(self, count: int) -> dict[str, Device]:
        """Return so many devices that the driver found, by name."""
        found = self.driver.discover()
        async with asyncio.timeout(10):
            devices = [await anext(found) for _ in range(count)]
        await found.aclose()  # type: ignore[attr-defined]  # an async generator
        return {device.name: device for device in devices}


@pytest.fixture
async def home() -> AsyncIterator[Home]:
    home = Home()
    async with AsyncZeroconf(interfaces=["127.0.0.1"]) as zeroconf, ClientSession() as http:
        kit = Kit(
            clock=SYSTEM,
            zeroconf=zeroconf,
            http=http,
            secrets=home.secrets,
            registry=lambda: home.registry,
            retry=home.retried.append,
        )
        async with PLUGIN.open(Config(answer_within=0.8, check_every=0.3, reconnect_most=0.5), kit) as driver:
            assert isinstance(driver, HueDriver)
            home.driver = driver
            yield home


@pytest.fixture
async def bridge() -> AsyncIterator[HueBridge]:
    async with open_hue(mac=MAC) as bridge:
        yield bridge


def where(bridge: HueBridge, mac: str = MAC) -> Device:
    return Device(id=f"hue:{mac}", driver="hue", name="Bridge", address=bridge.address, port=bridge.port)


def delivery(device: Device, component: str, value: float | None) -> Delivery:
    external_id = f"{device.id}:{component}"
    event = report(
        origin="gateway",
        external_id=external_id,
        value=value,
        now=SYSTEM.now(),
        elapsed=SYSTEM.elapsed(),
        boot=SYSTEM.boot,
    )
    feature = Feature(external_id=external_id, device=device.id, name=component, category="light", type=component)
    return Delivery(seq=1, event=event, target="hue", lane=device.id, feature=feature, device=device)


async def take(events: AsyncIterator[Event], count: int) -> dict[str, float | None]:
    async with asyncio.timeout(10):
        seen = [await anext(events) for _ in range(count)]
    return {(event.external_id or "").rpartition(":")[2]: event.value for event in seen}


# Pairing.


async def test_a_bridge_that_is_not_paired_says_what_to_do(bridge: HueBridge, home: Home) -> None:
    """The sentence names the button and the command, and the bridge was shown no key."""
    assert isinstance(home.driver, Pairable)
    with pytest.raises(Rejected, match=rf"press its round button and run `gladys-companion devices pair hue:{MAC}`\."):
        await home.driver.describe(where(bridge))
    wanted = home.driver.wants(where(bridge))
    assert not wanted.code
    assert "Press the round button on the Hue bridge" in wanted.says
    assert bridge.keys_seen == set()


async def test_pairing_wants_the_button(bridge: HueBridge, home: Home) -> None:
    """Not pressed, it says so and keeps nothing; pressed, the bridge can be driven, and the key is kept apart."""
    with pytest.raises(Rejected, match="was not pressed within the last 30 seconds: press it and try again"):
        await home.driver.pair(where(bridge), None)
    assert await home.secrets.get(MAC) is None
    device = await home.pair(bridge)
    kept = json.loads(await home.secrets.get(MAC) or b"")
    assert {kept["key"]} == bridge.keys
    assert len(bytes.fromhex(kept["certificate"])) == 32
    features = await home.driver.describe(device)
    assert [(one.external_id, one.category, one.type, one.max) for one in features] == [
        (f"hue:{MAC}:on", "light", "binary", 1),
        (f"hue:{MAC}:brightness", "light", "brightness", 100),
    ]


async def test_another_bridge_is_not_paired_in_its_place(home: Home) -> None:
    """Where another id answers nothing is gained, and the press of its button is not used."""
    async with open_hue(mac="001788000001") as other:
        other.press_link_button()
        for attempt in (home.driver.pair(where(other), None), home.driver.describe(where(other))):
            with pytest.raises(Rejected, match=r"Another bridge answers at Bridge \(127.0.0.1:\d+\): its id is"):
                await attempt
        assert other.keys == set()


@pytest.mark.parametrize(
    ("model", "software", "says"), [("BSB001", "1", "first generation"), ("BSB002", "1", "Hue app")]
)
async def test_old_bridges_are_refused(bridge: HueBridge, home: Home, model: str, software: str, says: str) -> None:
    """What can not push is not driven, and the sentence says what it is."""
    bridge.model, bridge.software = model, software
    bridge.press_link_button()
    with pytest.raises(Rejected, match=says):
        await home.driver.pair(where(bridge), None)
    assert bridge.keys == set()


async def test_another_certificate_gets_no_key(bridge: HueBridge, home: Home) -> None:
    """Who answers with another certificate is told nothing, and the user what to do if it was a reset."""
    device = await home.pair(bridge)
    assert await home.driver.describe(device)
    bridge.keys_seen.clear()
    await bridge.renew()
    sentence = rf"another certificate than when it was paired.*`gladys-companion devices pair hue:{MAC}`"
    for attempt in (home.driver.describe(device), home.driver.deliver(delivery(device, "on", 0))):
        with pytest.raises(Rejected, match=sentence):
            await attempt
    assert (bridge.keys_seen, bridge.commands) == (set(), ())
    await home.pair(bridge)
    await home.driver.deliver(delivery(device, "on", 0))
    assert len(bridge.commands) == 1


async def test_a_key_that_was_taken_back_is_noticed(bridge: HueBridge, home: Home) -> None:
    """Though the stream of events stays open; the trouble says to pair again, and pairing again ends it at once."""
    device = await home.pair(bridge)
    home.registry = RegistrySnapshot(devices={device.id: device})
    home.driver.follow(device)
    await bridge.until(lambda one: one.listeners == 1)
    bridge.revoke()
    assert "press its round button" in (await home.says(device, "does not take our key any more")).lower()
    with pytest.raises(Rejected, match="does not take our key any more"):
        await home.driver.deliver(delivery(device, "on", 0))
    await home.pair(bridge)
    await home.until(lambda: home.driver.trouble(device.id) is None)


async def test_unpairing_says_what_is_left_to_do(bridge: HueBridge, home: Home) -> None:
    """The key is forgotten and the connection ends; that the bridge still lists us only its owner can change."""
    device = await home.pair(bridge)
    home.driver.follow(device)
    await bridge.until(lambda one: one.listeners == 1)
    with pytest.raises(Rejected, match=r"forgotten here.*account\.meethue\.com"):
        await home.driver.unpair(msgspec.structs.replace(device, address=None))
    assert await home.secrets.get(MAC) is None
    async with asyncio.timeout(10):
        await bridge.until(lambda one: one.listeners == 0)
    await home.says(device, "is not paired")


# What is behind it.


async def test_each_device_and_room_is_a_device(bridge: HueBridge, home: Home) -> None:
    """With the categories, types, units and bounds that Gladys knows, and ids that stay."""
    device = await home.pair(bridge)
    home.driver.follow(device)
    found = await home.found(8)
    sofa = bridge.find("Sofa", "zigbee_connectivity")["mac_address"].replace(":", "")
    assert found["Sofa"].id == f"hue:{MAC}-{sofa}"
    assert found["Sofa"].model == "Hue color lamp"
    assert (found["Kitchen"].address, found["Kitchen"].port) == (bridge.address, bridge.port)
    told = {
        name: [
            (one.external_id.rpartition(":")[2], one.category, one.type, one.unit, one.min, one.max, one.writable)
            for one in await home.driver.describe(device)
        ]
        for name, device in found.items()
    }
    battery = ("battery", "battery", "integer", "percent", 0, 100, False)
    on = ("on", "light", "binary", None, 0, 1, True)
    brightness = ("brightness", "light", "brightness", "percent", 0, 100, True)
    assert told == {
        "Sofa": [
            on,
            brightness,
            ("temperature", "light", "temperature", None, 153, 500, True),
            ("color", "light", "color", None, 0, 0xFFFFFF, True),
        ],
        "Reading": [on, brightness, ("temperature", "light", "temperature", None, 153, 454, True)],
        "Coffee": [("on", "switch", "binary", None, 0, 1, True)],
        "Stairs": [
            ("motion", "motion-sensor", "binary", None, 0, 1, False),
            ("temperature", "temperature-sensor", "decimal", "celsius", -50, 100, False),
            ("light-level", "light-sensor", "decimal", "lux", 0, 100_000, False),
            battery,
        ],
        "Door": [("contact", "opening-sensor", "binary", None, 0, 1, False), battery],
        "Wall switch": [*((f"button-{at}", "button", "click", None, 1, 4, False) for at in range(1, 5)), battery],
        "Living room": [on, brightness],
        "Kitchen": [on, brightness],
    }


async def test_all_share_one_connection(bridge: HueBridge, home: Home) -> None:
    """However many are followed; the last one that is forgotten ends it."""
    device = await home.pair(bridge)
    home.driver.follow(device)
    devices = (device, *(await home.found(8)).values())
    for one in devices:
        home.driver.follow(one)
    await home.until(lambda: all(home.driver.connection(one.id) is not None for one in devices))
    assert bridge.listeners == 1
    for one in devices[:-1]:
        home.driver.forget(one.id)
    await home.driver.deliver(delivery(devices[-1], "on", 0))
    assert bridge.listeners == 1
    home.driver.forget(devices[-1].id)
    async with asyncio.timeout(10):
        await bridge.until(lambda one: one.listeners == 0)


async def test_what_is_added_and_removed_is_found_and_gone(bridge: HueBridge, home: Home) -> None:
    """Without a restart; also what was removed while the companion was down."""
    ghost = Device(id=f"hue:{MAC}-0017880100000000", driver="hue", name="Ghost", address="127.0.0.1", port=1)
    other = Device(id="hue:001788000001-0017880100000000", driver="hue", name="Other", address="127.0.0.1", port=1)
    home.registry = RegistrySnapshot(devices={one.id: one for one in (ghost, other)})
    home.driver.follow(await home.pair(bridge))
    found = await home.found(9)
    assert found["Ghost"].away_since is not None
    assert "Other" not in found
    home.registry = RegistrySnapshot()
    await bridge.add("Shelf", "ambiance")
    shelf = (await home.found(1))["Shelf"]
    assert shelf.away_since is None
    home.driver.follow(shelf)
    await bridge.remove("Shelf")
    gone = (await home.found(1))["Shelf"]
    assert (gone.id, gone.away_since is not None) == (shelf.id, True)
    await home.says(shelf, "removed in the Hue app")
    with pytest.raises(Rejected, match="does not know Shelf"):
        await home.driver.deliver(delivery(shelf, "on", 0))


async def test_a_new_name_is_told(bridge: HueBridge, home: Home) -> None:
    """A lamp that was renamed in the app of its maker is the same one with another name, and described again."""
    home.driver.follow(await home.pair(bridge))
    before = (await home.found(8))["Coffee"]
    plug = bridge.resources[bridge.find("Coffee", "light")["owner"]["rid"]]
    await bridge.change(plug["id"], metadata={"name": "Tea"})
    renamed = (await home.found(1))["Tea"]
    assert renamed.id == before.id
    assert renamed.seen_at is not None


async def test_hands_and_sensors_are_told(bridge: HueBridge, home: Home) -> None:
    """What people and the weather do is pushed, in the words of Gladys: an open door is 0, a closed one 1."""
    home.driver.follow(await home.pair(bridge))
    found = await home.found(8)
    events = home.driver.events()
    await take(events, 2)
    for name in ("Stairs", "Door"):
        home.driver.follow(found[name])
    assert await take(events, 6) == {
        "motion": 0,
        "temperature": 21.5,
        "light-level": 15.85,
        "battery": 87,
        "contact": 1,
    }
    report = {"changed": "2024-05-01T10:00:00Z"}
    await bridge.change(bridge.find("Stairs", "motion")["id"], motion={"motion_report": report | {"motion": True}})
    assert await take(events, 1) == {"motion": 1}
    await bridge.change(bridge.find("Door", "contact")["id"], contact_report=report | {"state": "no_contact"})
    assert await take(events, 1) == {"contact": 0}
    await bridge.change(bridge.find("Door", "device_power")["id"], power_state={"battery_level": 12})
    assert await take(events, 1) == {"battery": 12}


async def test_each_click_is_told(bridge: HueBridge, home: Home) -> None:
    """Twice the same is two events, and what lies before the first is none."""
    home.driver.follow(await home.pair(bridge))
    switch = (await home.found(8))["Wall switch"]
    events = home.driver.events()
    await take(events, 2)
    home.driver.follow(switch)
    assert await take(events, 1) == {"battery": 87}
    for number, event in ((1, "initial_press"), (1, "short_release"), (1, "short_release"), (4, "long_press")):
        await bridge.press("Wall switch", number, event)
    async with asyncio.timeout(10):
        seen = [await anext(events) for _ in range(3)]
    assert [((one.external_id or "").rpartition(":")[2], one.value) for one in seen] == [
        ("button-1", 1),
        ("button-1", 1),
        ("button-4", 3),
    ]


async def test_a_command_is_no_news_and_what_it_changes_beside_is(bridge: HueBridge, home: Home) -> None:
    """Dimmed by a lamp's steps, a percentage is still the one that was commanded."""
    home.driver.follow(await home.pair(bridge))
    lamp = (await home.found(8))["Reading"]
    home.driver.forget(f"hue:{MAC}")
    home.driver.follow(lamp)
    events = home.driver.events()
    while (await take(events, 1)).keys() != {"temperature"}:
        pass
    await home.driver.deliver(delivery(lamp, "brightness", 40))
    assert bridge.find("Reading", "light")["dimming"]["brightness"] == 40.16
    await home.driver.deliver(delivery(lamp, "brightness", 0))
    assert not bridge.find("Reading", "light")["on"]["on"]
    assert await take(events, 1) == {"on": 0}
    await home.driver.deliver(delivery(lamp, "temperature", 200))
    assert await take(events, 2) == {"on": 1, "brightness": 40}
    await bridge.change(bridge.find("Reading", "light")["id"], color_temperature={"mirek": 300})
    assert await take(events, 1) == {"temperature": 300}


async def test_a_colour_is_told_as_it_was_chosen(bridge: HueBridge, home: Home) -> None:
    """What the lamp makes of it does not come back as another colour; what a hand chooses does."""
    home.driver.follow(await home.pair(bridge))
    lamp = (await home.found(8))["Sofa"]
    home.driver.forget(f"hue:{MAC}")
    home.driver.follow(lamp)
    events = home.driver.events()
    while (await take(events, 1)).keys() != {"temperature"}:
        pass
    await home.driver.deliver(delivery(lamp, "color", 0x003000))
    rid = bridge.find("Sofa", "light")["id"]
    xy = bridge.resources[rid]["color"]["xy"]
    assert (xy["x"], xy["y"]) == (0.3, 0.6)
    await bridge.change(rid, color={"xy": {"x": xy["x"] + 0.001, "y": xy["y"]}})
    await bridge.change(rid, color={"xy": {"x": 0.3127, "y": 0.329}})
    assert await take(events, 1) == {"color": 0xFFFFFF}


@pytest.mark.parametrize(
    ("name", "component", "value"),
    [
        ("Sofa", "on", 2),
        ("Sofa", "brightness", 0.5),
        ("Sofa", "temperature", 100),
        ("Sofa", "color", float("nan")),
        ("Reading", "color", 1),
        ("Stairs", "motion", 1),
        ("Sofa", "on", None),
    ],
)
async def test_what_can_not_be_is_refused(
    bridge: HueBridge, home: Home, name: str, component: str, value: float | None
) -> None:
    """With a sentence, and nothing is sent."""
    home.driver.follow(await home.pair(bridge))
    device = (await home.found(8))[name]
    with pytest.raises(Rejected, match=r"\w+ .+\.$"):
        await home.driver.deliver(delivery(device, component, value))
    assert bridge.commands == ()


async def test_a_room_is_commanded_as_one(bridge: HueBridge, home: Home) -> None:
    """One command, both lamps, and their own news."""
    home.driver.follow(await home.pair(bridge))
    room = (await home.found(8))["Living room"]
    await home.driver.deliver(delivery(room, "brightness", 10))
    assert [bridge.find(name, "light")["dimming"]["brightness"] for name in ("Sofa", "Reading")] == [9.84, 9.84]
    assert [kind for kind, _, _ in bridge.commands] == ["grouped_light"]


async def test_a_lamp_without_power_is_told_and_retried_when_it_is_back(bridge: HueBridge, home: Home) -> None:
    """Its trouble is its own, a command for it waits, and one for another lamp does not."""
    home.driver.follow(await home.pair(bridge))
    found = await home.found(8)
    for name in ("Sofa", "Reading"):
        home.driver.follow(found[name])
    await home.until(lambda: home.driver.connection(found["Sofa"].id) is not None)
    radio = bridge.find("Sofa", "zigbee_connectivity")["id"]
    await bridge.change(radio, status="connectivity_issue")
    await home.says(found["Sofa"], "Sofa does not answer its bridge: does it have power?")
    with pytest.raises(Unavailable, match=r"Sofa does not answer its bridge.*communication issues"):
        await home.driver.deliver(delivery(found["Sofa"], "on", 0))
    await home.driver.deliver(delivery(found["Reading"], "on", 0))
    assert home.driver.trouble(found["Reading"].id) is None
    home.retried.clear()
    await bridge.change(radio, status="connected")
    await home.until(lambda: home.driver.trouble(found["Sofa"].id) is None)
    assert home.retried == [found["Sofa"].id]


# Bridges that move and misbehave.


async def test_its_lamps_go_where_it_goes(bridge: HueBridge, home: Home) -> None:
    """A bridge at a new address takes its lamps along: they are found there, heard and commanded."""
    home.driver.follow(await home.pair(bridge))
    lamp = (await home.found(8))["Coffee"]
    home.driver.follow(lamp)
    await home.until(lambda: home.driver.connection(lamp.id) is not None)
    await bridge.move()
    moved = where(bridge)
    assert await home.driver.describe(moved)
    home.driver.follow(moved)
    with pytest.raises(Unavailable, match="is where its bridge is"):
        await home.driver.describe(lamp)
    await home.driver.deliver(delivery(lamp, "on", 0))
    assert not bridge.find("Coffee", "light")["on"]["on"]
    found = (await home.found(8))["Coffee"]
    assert (found.id, found.port) == (lamp.id, bridge.port)
    assert await home.driver.describe(found)


async def test_a_bridge_that_hangs_is_noticed_though_its_stream_is_open(bridge: HueBridge, home: Home) -> None:
    """Silence is not taken for quiet, and what changed meanwhile is told when it is back."""
    device = await home.pair(bridge)
    home.driver.follow(device)
    events = home.driver.events()
    await take(events, 2)
    bridge.freeze()
    await home.says(device, "did not answer within 0.8 s")
    for name in ("Sofa", "Reading", "Coffee"):
        await bridge.change(bridge.find(name, "light")["id"], on={"on": False})
    bridge.thaw()
    seen: dict[str, float | None] = {}
    while seen.get("on") != 0:
        seen |= await take(events, 1)


@pytest.mark.parametrize(
    "text",
    [
        "data: nonsense\n\n",
        'data: [{"type":"update","data":[{"type":"light"}]}]\n\n',
        'data: [{"type":"update","data":[3]}]\n\n',
        f"data: {'[' * 100_000}\n\n",
        "data: " + "x" * 2_000_000,
    ],
)
async def test_nonsense_among_events_is_not_believed(bridge: HueBridge, home: Home, text: str) -> None:
    """The connection is made anew, and everything read again."""
    device = await home.pair(bridge)
    home.driver.follow(device)
    events = home.driver.events()
    await take(events, 2)
    await bridge.say(text)
    await home.says(device, "Hue bridge does")
    for name in ("Sofa", "Reading", "Coffee"):
        await bridge.change(bridge.find(name, "light")["id"], on={"on": False})
    seen: dict[str, float | None] = {}
    while seen.get("on") != 0:
        seen |= await take(events, 1)


async def test_what_is_of_tomorrow_is_let_pass(bridge: HueBridge, home: Home) -> None:
    """Kinds of events and resources that are not known harm nothing."""
    device = await home.pair(bridge)
    home.driver.follow(device)
    await take(home.driver.events(), 2)
    for event in (
        {"type": "error", "data": [{"id": "a", "type": "light"}]},
        {"type": "update", "data": [{"id": "a", "type": "holodeck"}, {"id": "nobody", "type": "light"}]},
        {"type": "delete", "data": [{"id": "nobody", "type": "light"}]},
    ):
        await bridge.say(f"data: {json.dumps([event])}\n\n")
    await bridge.change(bridge.find("Coffee", "light")["id"], on={"on": False})
    room = (await home.found(8))["Kitchen"]
    home.driver.follow(room)
    await home.until(lambda: home.driver.connection(room.id) is not None)
    assert home.driver.trouble(device.id) is None
    assert bridge.listeners == 1


async def test_nonsense_about_one_lamp_is_no_other_lamps_trouble(bridge: HueBridge, home: Home) -> None:
    """A colour that there is not, and everybody else goes on."""
    home.driver.follow(await home.pair(bridge))
    found = await home.found(8)
    for name in ("Sofa", "Coffee"):
        home.driver.follow(found[name])
    await home.until(lambda: home.driver.connection(found["Sofa"].id) is not None)
    sofa = bridge.find("Sofa", "light")["id"]
    await bridge.change(sofa, color={"xy": {"x": 5.0, "y": 0.0}})
    await home.says(found["Sofa"], "Hue bridge does")
    await home.driver.deliver(delivery(found["Coffee"], "on", 0))
    assert home.driver.trouble(found["Coffee"].id) is None
    await bridge.change(sofa, color={"xy": {"x": 0.3, "y": 0.3}})
    await home.until(lambda: home.driver.trouble(found["Sofa"].id) is None)


@pytest.mark.parametrize(
    ("status", "error"), [(404, Rejected), (429, Unavailable), (500, Unavailable), (503, Unavailable)]
)
async def test_statuses(bridge: HueBridge, home: Home, status: int, error: type[Exception]) -> None:
    """What the bridge blames on itself is tried again; software that has no stream is too old."""
    device = await home.pair(bridge)
    bridge.refuse(status)
    with pytest.raises(error, match=rf"HTTP status {status}|too old"):
        await home.driver.deliver(delivery(device, "on", 0))


async def test_a_busy_bridge_is_left_in_peace(bridge: HueBridge, home: Home) -> None:
    """One that is asked whether it is there and says that it has no time is there, and is not read anew."""
    device = await home.pair(bridge)
    home.driver.follow(device)
    await take(home.driver.events(), 2)
    bridge.refuse(503)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0):  # three times check_every
            await bridge.until(lambda one: one.listeners == 0)
    assert home.driver.trouble(device.id) is None
    with pytest.raises(Unavailable, match="HTTP status 503"):
        await home.driver.deliver(delivery(device, "on", 0))


async def test_any_member_may_be_nonsense(bridge: HueBridge, home: Home) -> None:
    """Whatever a bridge answers in place of one member, the driver drives the lamp or says why not, nothing else."""
    home.driver.follow(await home.pair(bridge))
    lamp = (await home.found(8))["Sofa"]
    home.driver.forget(f"hue:{MAC}")
    light, radio = (bridge.find("Sofa", kind) for kind in ("light", "zigbee_connectivity"))
    outcomes: set[type[Exception] | None] = set()
    for right in (light, radio, bridge.resources[light["owner"]["rid"]]):
        for path in paths(right):
            for value in NONSENSE:
                bridge.resources[right["id"]] = replaced(right, path, value)
                try:
                    await home.driver.describe(lamp)
                except Unavailable:
                    outcomes.add(Unavailable)
                except Rejected:
                    outcomes.add(Rejected)
                else:
                    outcomes.add(None)
                home.driver.follow(lamp)
                await home.until(lambda: home.driver.connection(lamp.id) or home.driver.trouble(lamp.id))
                home.driver.forget(lamp.id)
        bridge.resources[right["id"]] = right
    home.driver.follow(lamp)
    await home.until(lambda: home.driver.connection(lamp.id))
    assert home.driver.trouble(lamp.id) is None
    assert outcomes == {None, Unavailable, Rejected}


Path = tuple[str | int, ...]


def paths(value: object, path: Path = ()) -> Iterator[Path]:
    if path not in {(), ("id",), ("type",), ("owner",), ("owner", "rid")}:  # by which the simulator finds it
        yield path
    if isinstance(value, dict):
        for key, member in value.items():
            yield from paths(member, (*path, key))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from paths(member, (*path, index))


def replaced(value: dict[str, Any], path: Path, by: object) -> dict[str, Any]:
    changed = copy.deepcopy(value)
    place: Any = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = by
    return changed
