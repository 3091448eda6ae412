"""What is particular to the MQTT driver: availability, presses, faults, a broker that goes, mistakes in tables."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.clock import SYSTEM
from gladys_companion.config import Mqtt, load
from gladys_companion.drivers.mqtt import PLUGIN, Config, MqttDriver
from gladys_companion.errors import ConfigError, Rejected, Unavailable
from gladys_companion.model import Delivery, Device, Feature, RegistrySnapshot, report
from gladys_companion.plugins import configure
from gladys_companion.ports import Kit
from gladys_companion.sim.conformance import MemorySecrets
from tests.command_line import run_here
from tests.kettle import DESCRIBED, Kettle, kettle
from tests.mosquitto import Broker, open_broker
from tests.needs import needs

DEVICE = Device(id="mqtt:kettle", driver="mqtt", name="Kettle", model="MQTT")
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "driver-mqtt.md"


@asynccontextmanager
async def driving(broker: Broker) -> AsyncIterator[MqttDriver]:
    config = msgspec.convert({"answer_within": 0.7, "reconnect_most": 0.6, "devices": [DESCRIBED]}, Config)
    async with AsyncZeroconf(interfaces=["127.0.0.1"]) as zeroconf, ClientSession() as http:
        kit = Kit(
            clock=SYSTEM,
            zeroconf=zeroconf,
            http=http,
            secrets=MemorySecrets(),
            registry=RegistrySnapshot,
            mqtt=Mqtt(port=broker.port, reconnect_most=0.5),
        )
        async with PLUGIN.open(config, kit) as driver:
            assert isinstance(driver, MqttDriver)
            yield driver


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with open_broker(tmp_path) as broker:
        yield broker


@pytest.fixture
async def there(broker: Broker) -> AsyncIterator[tuple[Kettle, MqttDriver]]:
    async with kettle(broker) as one, driving(broker) as driver:
        yield one, driver


async def deliver(driver: MqttDriver, component: str, value: float) -> None:
    features = {one.external_id: one for one in await driver.describe(DEVICE)}
    unknown = Feature(external_id="", device=DEVICE.id, name="", category="", type="")
    feature = features.get(f"mqtt:kettle:{component}", msgspec.structs.replace(unknown, external_id=component))
    event = report(
        origin="gateway",
        external_id=feature.external_id,
        value=value,
        now=SYSTEM.now(),
        elapsed=SYSTEM.elapsed(),
        boot=SYSTEM.boot,
    )
    await driver.deliver(Delivery(seq=1, event=event, target="mqtt", lane=DEVICE.id, feature=feature, device=DEVICE))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


@needs("mosquitto")
async def test_one_that_is_offline_is_away_and_its_commands_wait(there: tuple[Kettle, MqttDriver]) -> None:
    """Its own word makes it away with since when; commands are unavailable, not sent; and its word brings it back."""
    one, driver = there
    found = driver.discover()
    assert await anext(found) == DEVICE
    driver.follow(DEVICE)
    await until(lambda: driver.connection(DEVICE.id) is not None)
    await one.there("offline")
    async with asyncio.timeout(20):
        away = await anext(found)
    assert away.away_since is not None
    with pytest.raises(Unavailable, match="says that it is offline"):
        await deliver(driver, "on", 1)
    trouble = driver.trouble(DEVICE.id)
    assert trouble is not None
    assert "offline" in trouble.says
    assert [topic for topic, _ in one.told] == []
    await one.there("online")
    async with asyncio.timeout(20):
        assert await anext(found) == DEVICE
    assert driver.trouble(DEVICE.id) is None
    await deliver(driver, "on", 1)
    assert one.told == [("kettle/set", b'{"on": "ON"}')]


@needs("mosquitto")
async def test_presses_are_told_each_time_and_sent_once(there: tuple[Kettle, MqttDriver]) -> None:
    """Two presses of its button are two events; its beep is sent to the broker, which is all that can be known."""
    one, driver = there
    driver.follow(DEVICE)
    await until(lambda: driver.connection(DEVICE.id) is not None)
    events = driver.events()
    await one.press()
    await one.press()
    seen: list[str | None] = []
    async with asyncio.timeout(20):
        while seen.count("mqtt:kettle:button") < 2:
            seen.append((await anext(events)).external_id)
    await deliver(driver, "beep", 1)
    await until(lambda: one.beeps == 1)
    assert one.told == [("kettle/beep", b"1")]


@needs("mosquitto")
async def test_what_the_broker_kept_is_no_press_and_no_answer(there: tuple[Kettle, MqttDriver], broker: Broker) -> None:
    """A retained press is one of yesterday; a retained state is the last one known, and confirms no command."""
    one, driver = there
    async with broker.client("yesterday") as yesterday:
        await yesterday.publish("kettle/button", b"1", qos=1, retain=True)
    one.on, one.deaf = "ON", True
    await one.tell()
    driver.follow(DEVICE)
    await until(lambda: driver.connection(DEVICE.id) is not None)
    with pytest.raises(Unavailable, match="said nothing on kettle/state"):
        await deliver(driver, "on", 1)
    await one.press()
    one.note = "the last"
    await one.tell()
    events, seen = driver.events(), []
    async with asyncio.timeout(20):
        while (event := await anext(events)).text != "the last":
            seen.append(event.external_id)
    assert seen.count("mqtt:kettle:button") == 1
    assert "mqtt:kettle:on" in seen


@needs("mosquitto")
async def test_one_that_says_nothing_where_nothing_changes(there: tuple[Kettle, MqttDriver]) -> None:
    """What it said before holds: a command for what it is already is delivered, another one is not."""
    one, driver = there
    driver.follow(DEVICE)
    await until(lambda: driver.connection(DEVICE.id) is not None)
    await deliver(driver, "on", 1)
    one.deaf = True
    await deliver(driver, "on", 1)
    with pytest.raises(Unavailable, match="said nothing on kettle/state"):
        await deliver(driver, "on", 0)


@needs("mosquitto")
async def test_what_can_not_be_read_is_shown_and_passes(there: tuple[Kettle, MqttDriver]) -> None:
    """Nonsense is a trouble that names topic and place, with the device reached all the same."""
    one, driver = there
    driver.follow(DEVICE)
    await until(lambda: driver.connection(DEVICE.id) is not None)
    one.mad = True
    await one.tell()
    await until(lambda: driver.trouble(DEVICE.id) is not None)
    trouble = driver.trouble(DEVICE.id)
    assert trouble is not None
    assert re.search(r"says on kettle/state can not be read\. It is not JSON\. See \[drivers\.mqtt\]", trouble.says)
    assert trouble.reached
    one.mad = False
    await one.tell()
    await until(lambda: driver.trouble(DEVICE.id) is None)


@needs("mosquitto")
async def test_a_broker_that_goes_is_the_trouble_of_all_and_comes_back(tmp_path: Path) -> None:
    """While it is away the sentence says so; back, the device is heard and commanded again."""
    async with open_broker(tmp_path) as broker, driving(broker) as driver:
        async with kettle(broker):
            driver.follow(DEVICE)
            await until(lambda: driver.connection(DEVICE.id) is not None)
        await broker.stop()
        await until(lambda: driver.trouble(DEVICE.id) is not None)
        trouble = driver.trouble(DEVICE.id)
        assert trouble is not None
        assert "broker" in trouble.says
        with pytest.raises(Unavailable, match="broker"):
            await deliver(driver, "on", 1)
        await broker.start()
        async with kettle(broker) as one:
            await until(lambda: driver.connection(DEVICE.id) is not None)
            await deliver(driver, "on", 1)
            assert one.on == "ON"


@needs("mosquitto")
async def test_what_can_not_be_commanded_is_rejected(there: tuple[Kettle, MqttDriver]) -> None:
    """A value without a word, and a feature without a topic, never leave."""
    one, driver = there
    with pytest.raises(Rejected, match=r"on can not be 0\.5: it is one of 1 \(ON\), 0 \(OFF\)"):
        await deliver(driver, "on", 0.5)
    with pytest.raises(Rejected, match="no topic to command 'button'"):
        await deliver(driver, "button", 1)
    assert one.told == []


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"availability_topic": "kettle/+"}, "availability_topic: 'kettle/+' is a wildcard"),
    ({"availability_topic": "a", "online": "x", "offline": "x"}, "online and offline are the same word"),
    ({"features": [{"component": "a", "state_topic": "a"}] * 2}, "two features are called 'a'"),
    ({"features": [{"component": "a"}]}, "neither state_topic nor command_topic"),
    ({"features": [{"component": "a", "state_topic": "#"}]}, "state_topic: '#' is a wildcard"),
    ({"features": [{"component": "a", "state_topic": "\x00"}]}, "what MQTT does not allow"),
    ({"features": [{"component": "a", "command_topic": "a", "payload": "{vlaue}"}]}, "{vlaue} is no placeholder"),
]


@pytest.mark.parametrize(("more", "says"), MISTAKES)
def test_a_mistake_in_the_table_is_told_with_its_place(more: dict[str, Any], says: str) -> None:
    """`config check` and the start find each, and say in which device."""
    config = msgspec.convert({"devices": [{**DESCRIBED, **more}]}, Config)
    with pytest.raises(ConfigError, match=re.escape(says)) as wrong:
        PLUGIN.check(config)
    assert "[drivers.mqtt] devices[0] 'kettle'" in str(wrong.value)


def test_two_devices_of_one_id_are_told() -> None:
    """The second is named by its number."""
    config = msgspec.convert({"devices": [DESCRIBED, DESCRIBED]}, Config)
    with pytest.raises(ConfigError, match=r"devices\[1\] 'kettle': another device has this id"):
        PLUGIN.check(config)


def test_the_example_of_the_page_is_a_configuration(tmp_path: Path) -> None:
    """What the reference shows decodes, and `config check` is content."""
    (example,) = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    path = tmp_path / "config.toml"
    path.write_text(example)
    record = configure("drivers", load(path).drivers)["mqtt"]
    assert [feature.component for feature in record.config.devices[0].features] == ["on", "temperature"]
    assert run_here(f"--config={path}", "config", "check").code == 0
