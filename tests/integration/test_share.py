"""`devices share`: what Gladys is given, both ways it can be, and that values and commands then travel both ways."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.config import Discovery
from gladys_companion.model import Device, Feature
from gladys_companion.sim.wled import open_wled
from tests.gladys_home import Home, open_home
from tests.gladys_mqtt import GladysMqtt, open_gladys_mqtt
from tests.gladys_server import MQTT, ZIGBEE, GladysServer, feature, open_gladys
from tests.mosquitto import Broker, open_broker
from tests.rig import until

pytestmark = pytest.mark.needs("mosquitto", "mosquitto_passwd")

DEVICE = Device(id="virtual:den", driver="virtual", name="Den")


def ours(component: str, category: str, type_: str, **more: Any) -> Feature:
    return Feature(
        external_id=f"{DEVICE.id}:{component}", device=DEVICE.id, name=component, category=category, type=type_, **more
    )


ON = ours("lamp:on", "light", "binary", writable=True, min=0, max=1)
BRIGHTNESS = ours("lamp:brightness", "light", "brightness", writable=True, min=0, max=100)
WARMTH = ours("lamp:temperature", "light", "temperature", writable=True, min=200, max=400)
COLOR = ours("lamp:color", "light", "color", writable=True, min=0, max=0xFFFFFF)
PLUG = ours("plug", "switch", "binary", writable=True, min=0, max=1)
BOLT = ours("bolt", "lock", "binary", writable=True, min=0, max=1)
BLIND = ours("blind:state", "shutter", "state", writable=True, min=-1, max=1)
POSITION = ours("blind:position", "shutter", "position", writable=True, min=0, max=100)
HEAT = ours("heat", "thermostat", "target-temperature", writable=True, min=7, max=30, unit="celsius")
WARM = ours("warm", "temperature-sensor", "decimal", unit="celsius")
MOVES = ours("moves", "motion-sensor", "binary")
NOTE = ours("note", "text", "text", writable=True)
DOOR = ours("door", "garage-door", "binary", writable=True)
BELL = ours("bell", "button", "click", min=0, max=3)
ALL = [ON, BRIGHTNESS, WARMTH, COLOR, PLUG, BOLT, BLIND, POSITION, HEAT, WARM, MOVES, NOTE, DOOR, BELL]


@pytest.fixture
async def server() -> AsyncIterator[GladysServer]:
    async with open_gladys() as server:
        yield server


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with open_broker(tmp_path) as broker:
        yield broker


@pytest.fixture
async def home(tmp_path: Path, server: GladysServer, broker: Broker) -> AsyncIterator[Home]:
    async with open_home(tmp_path, server, broker=broker.port) as home:
        await connected(home)
        await home.daemon.registry.put_device(DEVICE, ALL)
        yield home


@pytest.fixture
async def gladys(server: GladysServer, broker: Broker) -> AsyncIterator[GladysMqtt]:
    async with open_gladys_mqtt(server, broker) as gladys:
        yield gladys


async def connected(home: Home) -> None:
    await until(home.told_all, "the broker is reached")


async def shared(home: Home, *more: str) -> Any:  # noqa: ANN401 - JSON
    ended = await home.command("devices", "share", DEVICE.id, *more, "--json")
    assert ended.code == 0, ended.err
    return ended.json()


async def test_it_is_created_by_rest(home: Home, server: GladysServer, gladys: GladysMqtt) -> None:
    """Gladys gets a device of its MQTT integration with our external ids, and the values that there are already."""
    await home.post(ON.external_id, 1.0)
    await home.post(NOTE.external_id, text="hello")
    told = await shared(home)
    assert (told["by"], told["left_out"]) == ("rest", [])
    assert told["says"].startswith(f"Den is a device of Gladys at {server.url} now")
    made = server.devices[DEVICE.id]
    assert (made["name"], made["service_id"], made["selector"]) == ("Den", MQTT, "virtual-den")
    kinds = {one["external_id"]: (one["category"], one["type"], one["read_only"]) for one in made["features"]}
    assert kinds == {
        one.external_id: (
            "switch" if one is DOOR else one.category,
            one.type,
            not one.writable,
        )
        for one in ALL
    }
    heat = server.feature(HEAT.external_id)
    assert (heat["min"], heat["max"], heat["unit"], heat["has_feedback"]) == (7, 30, "celsius", True)
    await gladys.until_told(ON.external_id, 1.0)
    await gladys.until_told(NOTE.external_id, "hello")
    shown = (await home.command("devices", "show", DEVICE.id, "--json")).json()
    assert shown["shared"] == "rest"
    assert "Shared with Gladys by rest." in (await home.command("devices", "show", DEVICE.id)).out


async def test_values_and_commands_travel_after_sharing(home: Home, server: GladysServer, gladys: GladysMqtt) -> None:
    """What happens here is told to Gladys; what Gladys commands is done, and only then so at Gladys."""
    await shared(home)
    await home.post(WARM.external_id, 21.5)
    await gladys.until_told(WARM.external_id, 21.5)
    await server.set_value(server.feature(PLUG.external_id)["selector"], 1)
    await gladys.until_told(PLUG.external_id, 1.0)
    assert await home.history(PLUG.external_id, 1) == [1.0]
    assert server.feature(PLUG.external_id)["last_value"] == 1.0
    assert gladys.unknown == []
    assert [value for external_id, value in gladys.told if external_id == PLUG.external_id] == [1.0]


async def test_once_more_is_harmless_and_adds_what_is_new(home: Home, server: GladysServer) -> None:
    """What its user changed in Gladys stays: its name, its room, features that are not ours, parameters, values."""
    await shared(home)
    made = server.devices[DEVICE.id]
    before = [{**one} for one in made["features"]]
    await shared(home)
    assert server.asked.count("POST /api/v1/device") == 1
    made |= {"name": "Theirs", "room_id": "3", "params": [{"id": "p", "name": "mqtt_custom", "value": "x"}]}
    made["features"].append(server._feature(made, None, feature("mqtt:own", min=0, max=9)))
    server.feature(ON.external_id).update(name="Licht", has_feedback=False)
    server.save_state(ON.external_id, 1.0)
    await home.daemon.registry.put_device(DEVICE, [ours("late", "switch", "binary")])
    await shared(home)
    again = server.devices[DEVICE.id]
    assert (again["name"], again["room_id"], again["id"]) == ("Theirs", "3", made["id"])
    assert [(one["name"], one["value"]) for one in again["params"]] == [("mqtt_custom", "x")]
    ids = [one["external_id"] for one in again["features"]]
    assert ids == [*(one["external_id"] for one in before), "mqtt:own", f"{DEVICE.id}:late"]
    on = server.feature(ON.external_id)
    assert (on["name"], on["has_feedback"], on["last_value"]) == ("Licht", True, 1.0)
    assert [one["id"] for one in again["features"]][: len(before)] == [one["id"] for one in before]


async def test_it_is_taken_back(home: Home, server: GladysServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked first, for Gladys' history goes too; while Gladys does not want to, it stays shared."""
    await shared(home)
    server.too_many_states = {DEVICE.id}
    ended = await home.command("devices", "share", "Den", "--remove", "--yes")
    assert (ended.code, "Too much states" in ended.err) == (65, True)
    assert home.daemon.registry.snapshot.shared == {DEVICE.id: "rest"}
    server.too_many_states = set()
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    ended = await home.command("devices", "share", "Den", "--remove")
    assert (ended.code, "with the history that Gladys has of it?" in ended.err) == (130, True)
    assert DEVICE.id in server.devices
    told = await shared(home, "--remove", "--yes")
    assert told == {"device": DEVICE.id, "by": None, "says": "Gladys has Den no more.", "left_out": []}
    assert server.devices == {}
    ended = await home.command("devices", "share", "Den", "--remove")
    assert (ended.code, "[NOT_SHARED]" in ended.err) == (65, True)


async def test_taken_back_after_its_user_deleted_it(home: Home, server: GladysServer) -> None:
    """What Gladys has no more is no error."""
    await shared(home)
    server.remove(DEVICE.id)
    await shared(home, "--remove", "--yes")
    assert home.daemon.registry.snapshot.shared == {}


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        (500, 69, "SQLITE_BUSY"),
        ("hang", 69, "did not answer"),
        ("garbage", 69, "check [gladys] url"),
        (401, 77, "API key"),
    ],
)
async def test_what_goes_wrong_is_said(
    home: Home, server: GladysServer, fault: str | int, code: int, says: str
) -> None:
    """Gladys that is away, broken or does not let us in: a sentence, an exit code, and nothing is shared."""
    server.fault = fault
    ended = await home.command("devices", "share", DEVICE.id)
    assert (ended.code, says in ended.err) == (code, True), ended.err
    assert home.daemon.registry.snapshot.shared == {}


async def test_what_can_not_be_shared(home: Home, server: GladysServer) -> None:
    """Gladys' own devices, ids of other integrations, ids that MQTT does not carry, and what is shared already."""
    server.add("zigbee2mqtt:x", feature("zigbee2mqtt:x:y"), name="Theirs")
    server.add(DEVICE.id, feature("mqtt:else"), service_id=ZIGBEE)
    await home.there("zigbee2mqtt:x")
    odd = Device(id="virtual:a/b", driver="virtual", name="Odd")
    await home.daemon.registry.put_device(odd, [])
    for device, code in (
        ("zigbee2mqtt:x", "ALREADY_IN_GLADYS"),
        (DEVICE.id, "EXTERNAL_ID_TAKEN"),
        (odd.id, "REJECTED"),
        ("none", "DEVICE_NOT_FOUND"),
    ):
        ended = await home.command("devices", "share", device)
        assert (ended.code, f"[{code}]" in ended.err) == (65, True), ended.err
    server.remove(DEVICE.id)
    await shared(home)
    ended = await home.command("devices", "share", DEVICE.id, "--by", "mqtt")
    assert (ended.code, "[ALREADY_IN_GLADYS]" in ended.err) == (65, True)
    ended = await home.command("devices", "share", DEVICE.id, "--by", "mqtt", "--remove")
    assert ended.code == 64


async def test_what_has_to_be_switched_on(tmp_path: Path, broker: Broker) -> None:
    """Without the sink, without the API's address, and without the daemon: each says which."""
    async with open_home(tmp_path, None) as home:
        await home.daemon.registry.put_device(DEVICE, [ON])
        ended = await home.command("devices", "share", DEVICE.id)
        assert (ended.code, "[sinks.gladys] is not switched on" in ended.err) == (65, True)
    async with open_home(tmp_path, None, broker=broker.port) as home:
        await connected(home)
        ended = await home.command("devices", "share", DEVICE.id, "--by", "rest")
        assert (ended.code, "name it in [gladys] url" in ended.err) == (65, True)
        assert (await home.command("devices", "share", DEVICE.id)).out.startswith("Den is announced to Gladys now.")


@pytest.mark.may_block("without a daemon the command opens the database itself, in a loop of its own")
async def test_only_a_running_daemon_shares(tmp_path: Path) -> None:
    """Values would not travel without it: it is said that it has to run."""
    async with open_home(tmp_path, None) as home:
        await home.daemon.registry.put_device(DEVICE, [ON])
    ended = await home.command("devices", "share", DEVICE.id)
    assert (ended.code, "The daemon does not run" in ended.err) == (69, True)


async def test_it_is_announced_by_mqtt(home: Home, gladys: GladysMqtt) -> None:
    """It is among what Gladys discovered; added with one click, each feature has the right kind, and its value."""
    await home.post(BRIGHTNESS.external_id, 40.0)
    await home.post(COLOR.external_id, float(0x102030))
    told = await shared(home, "--by", "mqtt")
    assert told["left_out"] == [NOTE.external_id, BELL.external_id]
    ended = await home.command("devices", "share", DEVICE.id, "--by", "mqtt")
    assert f"Gladys can not show: {NOTE.external_id}, {BELL.external_id}" in ended.err
    (found,) = await gladys.until_discovered()
    assert (found["name"], found["external_id"]) == ("Den", "homeassistant:gladys-companion-virtual-den")
    device = await gladys.add_discovered()
    kinds = sorted((one["category"], one["type"], one["min"], one["max"]) for one in device["features"])
    assert kinds == [
        ("light", "binary", 0, 1),
        ("light", "brightness", 0, 100),
        ("light", "color", 0, 0xFFFFFF),
        ("light", "temperature", 200, 400),
        ("lock", "binary", 0, 1),
        ("motion-sensor", "binary", 0, 1),
        ("shutter", "position", 0, 100),
        ("shutter", "state", -1, 1),
        ("switch", "binary", 0, 1),
        ("switch", "binary", 0, 1),
        ("temperature-sensor", "decimal", -100_000, 100_000),
        ("thermostat", "target-temperature", 7, 30),
    ]
    base = f"{device['external_id']}:light:gladys-companion-virtual-den:lamp-on"
    await gladys.until_told(f"{base}:brightness", 40.0)
    await gladys.until_told(f"{base}:color", float(0x102030))


@pytest.mark.parametrize(
    ("one", "suffix", "value"),
    [
        (ON, "light:{}:lamp-on:state", 1),
        (BRIGHTNESS, "light:{}:lamp-on:brightness", 55),
        (WARMTH, "light:{}:lamp-on:color_temp", 300),
        (COLOR, "light:{}:lamp-on:color", 0x0A0B0C),
        (PLUG, "switch:{}:plug", 1),
        (BOLT, "lock:{}:bolt", 1),
        (BLIND, "cover:{}:blind-state:state", -1),
        (POSITION, "cover:{}:blind-state:position", 30),
        (HEAT, "climate:{}:heat:target_temperature", 19.5),
    ],
)
async def test_announced_ones_are_commanded_and_told(
    home: Home, server: GladysServer, gladys: GladysMqtt, one: Feature, suffix: str, value: float
) -> None:
    """Whatever kind it is: a command of Gladys is done here and shown there, and what happens here is shown too."""
    await shared(home, "--by", "mqtt")
    device = await gladys.add_discovered()
    external_id = f"{device['external_id']}:{suffix.format('gladys-companion-virtual-den')}"
    await server.set_value(server.feature(external_id)["selector"], value)
    assert await home.history(one.external_id, 1) == [value]
    await gladys.until_told(external_id, float(value))
    await home.post(one.external_id, 0.0 if one.min == 0 else one.max)
    await gladys.until_told(external_id, 0.0 if one.min == 0 else float(one.max or 0))
    assert gladys.unknown == []
    assert "zigbee" not in str(home.daemon.registry.snapshot.devices)
    assert device["external_id"] not in home.daemon.registry.snapshot.devices


async def test_it_is_announced_no_more(home: Home, broker: Broker, gladys: GladysMqtt) -> None:
    """Taken back or forgotten, the broker keeps nothing of it: neither what announces it nor its values."""
    for take_back in (
        ("devices", "share", DEVICE.id, "--remove"),
        ("devices", "forget", DEVICE.id, "--yes"),
    ):
        await home.post(BRIGHTNESS.external_id, 40.0)
        await shared(home, "--by", "mqtt")
        await gladys.until_discovered()
        assert (await home.command(*take_back)).code == 0
        await gladys.until_discovered(0)
        assert home.daemon.registry.snapshot.shared == {}
        async with broker.client("late") as late:
            await late.subscribe("gladys-companion/device/#")
            await late.subscribe("homeassistant/#")
            await late.publish("gladys-companion/device/end", b"", qos=1)
            async with asyncio.timeout(10):
                assert (await anext(late.messages)).topic.value == "gladys-companion/device/end"


async def test_a_broker_that_forgot_is_told_again(
    tmp_path: Path, home: Home, broker: Broker, server: GladysServer
) -> None:
    """What was announced is announced anew when the broker comes back without its memory."""
    await shared(home, "--by", "mqtt")
    await broker.stop()
    (tmp_path / "mosquitto.db").unlink()
    await broker.start()
    async with open_gladys_mqtt(server, broker) as gladys:
        (found,) = await gladys.until_discovered()
        assert found["name"] == "Den"


async def test_the_past_is_not_told_of_what_is_announced(home: Home) -> None:
    """Home Assistant discovery has no history: it is said that Gladys was not told, and kept here."""
    await shared(home, "--by", "mqtt")
    receipt = await home.post(WARM.external_id, 20.0, at=home.daemon.clock.now() - 3_600, dated=True)
    state, reason = await home.settled(receipt.id, "gladys")
    assert (state, reason) == (
        "rejected",
        "A value of the past can not be told to Gladys of a device that was shared by MQTT.",
    )
    assert await home.history(WARM.external_id, 1) == [20.0]


async def test_a_real_driver_s_lamp(tmp_path: Path, server: GladysServer, broker: Broker) -> None:
    """A WLED lamp that was shared is switched by Gladys, and shown as on when it is."""
    mac = "0200000000a7"
    async with (
        AsyncZeroconf(interfaces=["127.0.0.1"]) as theirs,
        open_wled(mac=mac, zeroconf=theirs) as lamp,
        open_gladys_mqtt(server, broker) as gladys,
        open_home(
            tmp_path,
            server,
            broker=broker.port,
            drivers={"wled": {}, "virtual": {}, "gladys_devices": {}},
            discovery=Discovery(interfaces=("127.0.0.1",)),
        ) as home,
    ):
        await home.there(f"wled:{mac}")
        await connected(home)
        assert (await home.command("devices", "share", f"wled:{mac}")).code == 0
        on = next(one for one in server.devices[f"wled:{mac}"]["features"] if one["type"] == "binary")
        was = float(lamp.state["on"])
        await gladys.until_told(on["external_id"], was)
        await server.set_value(on["selector"], int(1 - was))
        await gladys.until_told(on["external_id"], 1 - was)
        assert lamp.state["on"] is not bool(was)
        await server.seen("GET /api/v1/device", server.asked.count("GET /api/v1/device") + 2)
        assert (one := home.device(f"wled:{mac}")) is not None
        assert one.driver == "wled"
