"""What is particular to the Tasmota driver, at a real Mosquitto: hatasmota's word, last wills, and what misbehaves."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from aiomqtt import Client
from hatasmota import discovery
from hatasmota.mqtt import ReceiveMessage, TasmotaMQTTClient
from msgspec import structs
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.app import open_daemon
from gladys_companion.clock import SYSTEM
from gladys_companion.config import Config as Settings
from gladys_companion.config import Discovery, Local, Mqtt, load
from gladys_companion.drivers.tasmota import PLUGIN, Config, TasmotaDriver
from gladys_companion.errors import ConfigError, Rejected, Unavailable
from gladys_companion.model import Delivery, Device, Event, Feature, RegistrySnapshot, report
from gladys_companion.plugins import configure
from gladys_companion.ports import Kit
from gladys_companion.sim.conformance import MemorySecrets
from gladys_companion.sim.tasmota import Shape, Tasmota, open_tasmota
from tests.command_line import run_here
from tests.mosquitto import Broker, open_broker, open_listener

pytestmark = pytest.mark.needs("mosquitto")

MAC = "a8032ab12345"
ALL = {"battery": 87, "sensor:ENERGY.Power": 12}  # the last that a device tells when it is asked
EVERYTHING = Shape(
    relays=1,
    shutters=1,
    light=5,
    switches=1,
    buttons=1,
    battery=True,
    sensors={"AM2301": {"Temperature": 20.5, "Humidity": 40.0}, "ENERGY": {"Total": 1.5, "Power": 12}},
)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with open_broker(tmp_path) as broker:
        yield broker


@asynccontextmanager
async def open_driver(broker: Broker, **config: Any) -> AsyncIterator[TasmotaDriver]:
    async with AsyncZeroconf(interfaces=["127.0.0.1"]) as zeroconf, ClientSession() as http:
        kit = Kit(
            clock=SYSTEM,
            zeroconf=zeroconf,
            http=http,
            secrets=MemorySecrets(),
            registry=RegistrySnapshot,
            mqtt=Mqtt(port=broker.port, reconnect_most=0.5),
        )
        settings = Config(**{"answer_within": 0.7, "reconnect_most": 0.6, **config})
        async with PLUGIN.open(settings, kit) as driver:
            assert isinstance(driver, TasmotaDriver)
            yield driver


@asynccontextmanager
async def open_device(broker: Broker, shape: Shape = EVERYTHING, **options: Any) -> AsyncIterator[Tasmota]:
    async with open_tasmota(broker=("127.0.0.1", broker.port), mac=MAC, name="salon", shape=shape, **options) as device:
        await device.until(lambda one: one.connected)
        yield device


def delivery(component: str, value: float) -> Delivery:
    device, external_id = found(), f"tasmota:{MAC}:{component}"
    event = report(
        origin="gateway",
        external_id=external_id,
        value=value,
        now=SYSTEM.now(),
        elapsed=SYSTEM.elapsed(),
        boot=SYSTEM.boot,
    )
    feature = Feature(external_id=external_id, device=device.id, name=component, category="light", type="binary")
    return Delivery(seq=1, event=event, target="tasmota", lane=device.id, feature=feature, device=device)


def found() -> Device:
    return Device(id=f"tasmota:{MAC}", driver="tasmota", name="salon", address="192.0.2.10", port=80)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - a status is to be looked at
            await asyncio.sleep(0.01)


async def take(events: AsyncIterator[Event], wanted: Mapping[str, float]) -> dict[str, float | None]:
    """Return what is told, by component, when it is as wanted."""
    seen: dict[str, float | None] = {}
    async with asyncio.timeout(20):
        while any(seen.get(component) != value for component, value in wanted.items()):
            event = await anext(events)
            assert event.origin == "tasmota"
            seen[(event.external_id or "").removeprefix(f"tasmota:{MAC}:")] = event.value
    return seen


async def next_found(found_devices: AsyncIterator[Device]) -> Device:
    async with asyncio.timeout(20):
        return await anext(found_devices)


class Hatasmota:
    """Home Assistant's own library at the broker: what it makes of what it hears, and commands."""

    def __init__(self, client: Client) -> None:
        self.told: dict[str, tuple[Any, dict[str, Any]]] = {}
        self.entities: dict[str, Any] = {}
        self.heard: dict[str, str] = {}
        self._client = client
        self._mqtt = TasmotaMQTTClient(self._publish, self._subscribe, self._subscribe)
        self._callbacks: dict[str, list[Callable[[ReceiveMessage], object]]] = {}

    async def _publish(self, topic: str, payload: Any, *_: object) -> None:  # noqa: ANN401 - the library's
        await self._client.publish(topic, payload)

    async def _subscribe(self, _: dict[str, Any] | None, wanted: dict[str, Any] | None = None) -> dict[str, Any]:
        for name, one in (wanted or {}).items():
            if name != "availability_topic":
                self._callbacks.setdefault(one["topic"], []).append(one["msg_callback"])
        return {}

    async def hear(self, enough: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            async for message in self._client.messages:
                topic, payload = message.topic.value, bytes(message.payload).decode()
                self.heard[topic] = payload
                for callback in self._callbacks.get(topic, ()):
                    callback(ReceiveMessage(topic, payload, 1, bool(message.retain)))
                if enough():
                    return

    async def discover(self, about: str, sensed: str) -> None:
        message = discovery.TasmotaDiscoveryMsg(json.loads(about))
        found = [one for one, _ in discovery.get_sensor_entities(json.loads(sensed), message)]
        for platform in ("switch", "light", "cover", "binary_sensor"):
            found += [one for one, _ in discovery.get_entities_for_platform(message, platform)]
        for config in found:
            if config is not None:
                entity = discovery.get_entity(config, self._mqtt)
                self.entities[entity.unique_id.removeprefix(f"{MAC.upper()}_")] = entity
        for name, entity in self.entities.items():
            entity.set_on_state_callback(lambda *told, name=name, **more: self.told.__setitem__(name, (told[0], more)))
            await entity.subscribe_topics()


async def test_hatasmota_takes_the_simulated_device_for_real(broker: Broker) -> None:
    """It finds, reads and commands it, and what it makes of it is what this driver makes of it."""
    prefix = f"tasmota/discovery/{MAC.upper()}"
    async with open_device(broker) as device, broker.client("hatasmota") as client, open_driver(broker) as driver:
        events, hers = driver.events(), Hatasmota(client)
        driver.follow(found())
        ours = await take(events, ALL)
        await client.subscribe("#", qos=1)
        await hers.hear(lambda: {f"{prefix}/config", f"{prefix}/sensors"} <= hers.heard.keys())
        await hers.discover(hers.heard[f"{prefix}/config"], hers.heard[f"{prefix}/sensors"])
        await client.publish(f"cmnd/{device.topic}/STATE", "")
        await client.publish(f"cmnd/{device.topic}/STATUS", "10")
        await hers.hear(lambda: hers.told.keys() == hers.entities.keys())
        light = {"brightness": 100, "color": [255, 128, 0], "color_hs": [30, 100], "color_temp": 153}
        assert hers.told == {
            "switch_relay_0": (False, {}),
            "light_light_3": (False, {"attributes": light}),
            "cover_shutter_0": (None, {"direction": 0, "position": 0, "tilt": None}),
            "binary_sensor_switch_0": (False, {}),
            "sensor_sensor_AM2301_Temperature": (20.5, {}),
            "sensor_sensor_AM2301_Humidity": (40, {}),
            "sensor_sensor_ENERGY_Total": (1.5, {}),
            "sensor_sensor_ENERGY_Power": (12, {}),
        }
        assert ours == {
            "power:1": 0,
            "power:4": 0,
            "dimmer:4": 0,
            "color:4": 0xFF8000,
            "ct:4": 153,
            "switch:1": 0,
            "shutter-state:1": -1,
            "shutter-position:1": 0,
            "battery": 87,
            "sensor:AM2301.Temperature": 20.5,
            "sensor:AM2301.Humidity": 40,
            "sensor:ENERGY.Total": 1.5,
            "sensor:ENERGY.Power": 12,
        }
        await hers.entities["switch_relay_0"].set_state(True)
        await hers.entities["light_light_3"].set_state(True, {"brightness": 40, "color": (0, 0, 255)})  # noqa: FBT003
        await hers.entities["cover_shutter_0"].set_position(100)
        news = await take(events, {"shutter-state:1": 1})
        assert news == {"power:1": 1, "power:4": 1, "dimmer:4": 40, "color:4": 0x0000FF, "shutter-state:1": 1}


async def test_what_hands_do(broker: Broker) -> None:
    """Buttons, switches, sensors and shutters at the device are told, and presses each time."""
    async with open_device(broker) as device, open_driver(broker) as driver:
        events = driver.events()
        driver.follow(found())
        await take(events, ALL)
        await device.flip(1, on=True)
        await device.measure(AM2301={"Temperature": 21.25, "Humidity": 40.0})
        await take(events, {"switch:1": 1, "sensor:AM2301.Temperature": 21.25})
        for action, value in (("SINGLE", 1), ("SINGLE", 1), ("DOUBLE", 2), ("HOLD", 3)):
            await device.click(1, action)
            assert await take(events, {"button-click:1": value}) == {"button-click:1": value}
        await driver.deliver(delivery("shutter-position:1", 100))
        await take(events, {"shutter-state:1": 1})
        await device.arrive()
        assert await take(events, {"shutter-position:1": 100}) == {"shutter-position:1": 100}


async def test_a_colour_that_loses_on_its_way_is_no_news(broker: Broker) -> None:
    """Tasmota tells whole degrees and percents: what it makes of a colour that it was given does not come back."""
    async with open_device(broker) as device, open_driver(broker) as driver:
        events = driver.events()
        driver.follow(found())
        await take(events, {"battery": 87})
        await driver.deliver(delivery("color:4", 0x123456))
        await device.do("Dimmer", "30")
        news = await take(events, {"dimmer:4": 30})
        assert "color:4" not in news
        await device.do("Color2", "255,0,0")
        assert (await take(events, {"color:4": 0xFF0000}))["color:4"] == 0xFF0000


async def test_it_goes_offline_and_comes_back(broker: Broker) -> None:
    """Its last will is told with the time, at once; back it is listened to at once, and its lane is tried again."""
    async with open_device(broker) as device, open_driver(broker, reconnect_most=60.0) as driver:
        events, devices = driver.events(), driver.discover()
        assert (await next_found(devices)).away_since is None
        driver.follow(found())
        await take(events, {"battery": 87})
        before = SYSTEM.now()
        await device.vanish()
        assert before - 1 <= ((await next_found(devices)).away_since or 0) <= SYSTEM.now()
        trouble = driver.trouble(f"tasmota:{MAC}")
        assert trouble is not None
        assert (trouble.says, trouble.reached) == ("salon is offline: it has no power, or no network.", False)
        assert before - 1 <= trouble.since <= SYSTEM.now()
        with pytest.raises(Unavailable, match="salon is offline"):
            await driver.deliver(delivery("power:1", 1))
        device.return_()
        assert (await next_found(devices)).away_since is None
        await until(lambda: driver.trouble(f"tasmota:{MAC}") is None)
        await driver.deliver(delivery("power:1", 1))
        assert device.state.powers[0]


async def test_the_broker_goes_and_comes_back(broker: Broker) -> None:
    """Its absence is the plug-in's hindrance and the device's trouble; back, what changed meanwhile is told."""
    async with open_device(broker) as device, open_driver(broker) as driver:
        events = driver.events()
        driver.follow(found())
        await take(events, {"battery": 87})
        await broker.stop()
        await until(lambda: driver.hindrance is not None)
        with pytest.raises(Unavailable, match=r"The broker at 127\.0\.0\.1"):
            await driver.deliver(delivery("power:1", 1))
        await until(lambda: "broker" in getattr(driver.trouble(f"tasmota:{MAC}"), "says", ""))
        await device.press(1)
        await broker.start()
        await take(events, {"power:1": 1})
        assert (driver.hindrance, driver.trouble(f"tasmota:{MAC}")) == (None, None)


async def test_what_the_broker_kept_is_not_now(broker: Broker) -> None:
    """Retained states of yesterday are not told as if they were so; and no command of ours is kept for tomorrow."""
    async with (
        broker.client("yesterday") as yesterday,
        open_listener(broker, "cmnd/#") as commands,
        open_driver(broker) as driver,
    ):
        for topic in ("tele/tasmota_B12345/STATE", "stat/tasmota_B12345/RESULT"):
            await yesterday.publish(topic, b'{"POWER1":"ON","Dimmer":77}', qos=1, retain=True)
        async with open_device(broker):
            events = driver.events()
            driver.follow(found())
            assert (await take(events, {"battery": 87}))["power:1"] == 0
            await driver.deliver(delivery("power:1", 1))
        assert (await commands.last(b"ON"))[-1] == b"ON"
        assert not any(message.retain for message in commands.heard)
        async with open_listener(broker, "cmnd/+/Power1") as kept, broker.client("marker") as marker:
            await marker.publish("cmnd/marker/Power1", b"last", qos=1)
            assert await kept.last(b"last") == [b"last"]


async def test_garbage_is_ignored(broker: Broker) -> None:
    """Announcements and states that make no sense change nothing, and what makes sense is told all the same."""
    nonsense = (b"", b"{", b"[]", b"\xff\x00", b"[" * 60_000, b"null", b'{"mac": {}}', b'"' + b"x" * 70_000 + b'"')
    async with open_device(broker) as device, open_driver(broker) as driver:
        events = driver.events()
        driver.follow(found())
        await take(events, ALL)
        for payload in nonsense:
            for topic in ("tasmota/discovery/020000000001/config", "tasmota/discovery/x/y/sensors"):
                await device.publish(topic, payload)
            for topic in ("stat/{}/RESULT", "stat/{}/STATUS5", "stat/{}/STATUS10", "tele/{}/LWT", "tele/{}/SENSOR"):
                await device.publish(topic.format(device.topic), payload)
        await device.publish("tasmota/discovery/020000000001/config", b'{"mac": "020000000001", "ver": 1}')
        await device.press(1)
        assert await take(events, {"power:1": 1}) == {"power:1": 1}
        with pytest.raises(Rejected, match="Nothing announces itself"):
            await driver.describe(Device(id="tasmota:020000000001", driver="tasmota", name="x"))


async def test_two_devices_with_one_topic(broker: Broker) -> None:
    """A device on whose topics another answers too is commanded no more, and the sentence says what to do."""
    async with open_device(broker) as device, open_driver(broker) as driver:
        events = driver.events()
        driver.follow(found())
        await take(events, {"battery": 87})
        await device.vanish()
        async with open_tasmota(
            broker=("127.0.0.1", broker.port), mac="020000000002", shape=EVERYTHING, topic=device.topic
        ) as other:
            await until(lambda: "Another device" in getattr(driver.trouble(f"tasmota:{MAC}"), "says", ""))
            with pytest.raises(Rejected, match=r"Another device answers .*020000000002.* a Topic of its own"):
                await driver.describe(found())
            with pytest.raises(Unavailable, match="Another device answers"):
                await driver.deliver(delivery("power:1", 1))
            assert not other.state.powers[0]


async def test_it_is_built_of_other_things(broker: Broker) -> None:
    """A device that announces itself anew is found again, described as it is now, and listened to."""
    async with open_device(broker, Shape(relays=1)) as device, open_driver(broker) as driver:
        events, devices = driver.events(), driver.discover()
        first = await next_found(devices)
        driver.follow(found())
        await take(events, {"power:1": 0})
        await device.rebuild(Shape(relays=2))
        second = await next_found(devices)
        assert first.seen_at != second.seen_at  # which has it described again
        await device.announce()
        third = await next_found(devices)
        assert (third.id, third.seen_at != second.seen_at) == (first.id, True)
        assert [feature.name for feature in await driver.describe(found())] == ["Power", "salon 2"]
        await take(events, {"power:2": 0})
        await device.publish(f"tasmota/discovery/{MAC.upper()}/config", b"", retain=True)
        while (await next_found(devices)).away_since is None:
            pass
        await until(lambda: "does not announce itself" in getattr(driver.trouble(f"tasmota:{MAC}"), "says", ""))


async def test_settings_that_can_not_work(broker: Broker) -> None:
    """A device that answers elsewhere is refused with the command that mends it; one without discovery with another."""
    async with open_device(broker, Shape(settings={"4": 1})), open_driver(broker) as driver:
        with pytest.raises(Rejected, match="SetOption4 0"):
            await driver.describe(found())
        with pytest.raises(Rejected, match="SetOption19"):
            await driver.describe(Device(id="tasmota:020000000003", driver="tasmota", name="x"))
        with pytest.raises(Rejected, match="no 'dimmer:1' any more"):
            await driver.deliver(delivery("dimmer:1", 1))


async def test_a_command_that_it_does_not_know(broker: Broker) -> None:
    """It is refused, and not tried again for a minute."""
    async with open_device(broker) as device, open_driver(broker) as driver:
        await driver.describe(found())
        await device.rebuild(Shape(relays=1), settled=False)
        with pytest.raises(Rejected, match="does not know how"):
            await driver.deliver(delivery("ct:4", 200))


async def test_a_device_that_sleeps(broker: Broker) -> None:
    """One in deep sleep is described without an answer, and listened to though its last will says offline."""
    shape = Shape(relays=0, sensors={"AM2301": {"Temperature": 20.5}}, deep_sleep=True, battery=True)
    async with open_device(broker, shape) as device, open_driver(broker) as driver:
        await device.vanish()
        assert len(await driver.describe(found())) == 2
        events = driver.events()
        driver.follow(found())
        await until(lambda: driver.connection(f"tasmota:{MAC}"))
        device.return_()
        await take(events, {"battery": 87})
        await device.measure(AM2301={"Temperature": 19.0})
        await take(events, {"sensor:AM2301.Temperature": 19})


async def test_a_discovery_prefix_of_ones_own(broker: Broker) -> None:
    """A broker that is bridged has the announcements elsewhere; a wildcard is no prefix."""
    async with open_device(broker) as device, open_driver(broker, discovery_prefix="cabin/discovery") as driver:
        await device.publish(f"cabin/discovery/{MAC.upper()}/config", b"{}", retain=True)
        with pytest.raises(Rejected, match="Nothing announces"):
            await driver.describe(found())


async def test_files_of_the_broker_are_read_at_the_start(tmp_path: Path) -> None:
    """A file that `[mqtt]` names and that is not there ends the start with a sentence."""
    async with AsyncZeroconf(interfaces=["127.0.0.1"]) as zeroconf, ClientSession() as http:
        mqtt = Mqtt(username="u", password_file=str(tmp_path / "none"))
        kit = Kit(
            clock=SYSTEM, zeroconf=zeroconf, http=http, secrets=MemorySecrets(), registry=RegistrySnapshot, mqtt=mqtt
        )
        with pytest.raises(ConfigError, match="can not be read"):
            async with PLUGIN.open(Config(), kit):
                pass


async def test_the_whole_way(broker: Broker, tmp_path: Path) -> None:
    """A home finds it without mDNS, commands it, is told its changes, and marks it away and back."""
    settings = Settings(
        state_directory=str(tmp_path),
        runtime_directory=str(tmp_path),
        local=Local(listen="127.0.0.1:0"),
        discovery=Discovery(enabled=False),
        mqtt=Mqtt(port=broker.port, reconnect_most=0.5),
        drivers={"tasmota": {"answer_within": 1.0}},
    )
    async with open_device(broker) as device, open_daemon(settings) as daemon:
        devices = daemon.registry
        await until(lambda: f"tasmota:{MAC}" in devices.snapshot.devices)
        here = devices.snapshot.devices[f"tasmota:{MAC}"]
        assert (here.name, here.model, here.address) == ("salon", "Tasmota Generic", "192.0.2.10")
        event = structs.replace(delivery("power:1", 1).event, origin="local")
        receipt = await daemon.intake.submit(event)
        assert [target.state for target in receipt.targets] == ["delivered"]
        assert device.state.powers[0]
        await device.vanish()
        await until(lambda: devices.snapshot.devices[f"tasmota:{MAC}"].away_since is not None)
        device.return_()
        await until(lambda: devices.snapshot.devices[f"tasmota:{MAC}"].away_since is None)
        await broker.stop()
        await until(lambda: any(one.reason and "broker" in one.reason for one in daemon.vitals().plugins))


def test_the_example_of_the_page_is_a_configuration(tmp_path: Path) -> None:
    """What the reference shows decodes."""
    page = Path(__file__).parents[2] / "docs" / "reference" / "driver-tasmota.md"
    (example,) = re.findall(r"^```toml\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    path = tmp_path / "config.toml"
    path.write_text(example)
    settings = load(path)
    assert settings.mqtt.username == "companion"
    assert configure("drivers", settings.drivers)["tasmota"].config == Config()


@pytest.mark.parametrize("wrong", [("--broker", "here"), ("--mac", "here"), ("--kind", "car")])
def test_a_simulated_one_that_can_not_be(wrong: tuple[str, str]) -> None:
    """The command says which option is wrong, and ends as one that was typed wrongly."""
    ended = run_here("sim", "tasmota", *wrong)
    assert (ended.code, wrong[1] in ended.err) == (64, True), ended.err
