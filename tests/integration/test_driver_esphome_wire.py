"""The ESPHome driver against a device that speaks its protocol, and is no honest one."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable

import pytest
from aiohttp import ClientSession
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.clock import SYSTEM
from gladys_companion.drivers.esphome import PLUGIN, Config, EsphomeDriver
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Delivery, Device, Event, Feature, RegistrySnapshot, report
from gladys_companion.ports import Kit
from gladys_companion.sim.conformance import MemorySecrets
from tests.esphome import MAC
from tests.esphome_wire import Message, Wire, message, open_wire

ID = f"esphome:{MAC}"
PRESS = Feature(
    external_id=f"{ID}:button:press",
    device=ID,
    name="Press",
    category="button",
    type="push",
    min=1,
    max=1,
    writable=True,
)


@pytest.fixture
async def driver() -> AsyncIterator[EsphomeDriver]:
    async with AsyncZeroconf(interfaces=["127.0.0.1"]) as zeroconf, ClientSession() as http:
        kit = Kit(clock=SYSTEM, zeroconf=zeroconf, http=http, secrets=MemorySecrets(), registry=RegistrySnapshot)
        async with PLUGIN.open(Config(answer_within=1.0, ping_every=1.0, reconnect_most=0.5), kit) as driver:
            assert isinstance(driver, EsphomeDriver)
            yield driver


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with open_wire() as wire:
        yield wire


def where(wire: Wire) -> Device:
    return Device(id=ID, driver="esphome", name="shed", address="127.0.0.1", port=wire.port)


def delivery(feature: Feature, device: Device, value: float) -> Delivery:
    event = report(
        origin="gateway",
        external_id=feature.external_id,
        value=value,
        now=SYSTEM.now(),
        elapsed=SYSTEM.elapsed(),
        boot=SYSTEM.boot,
    )
    return Delivery(seq=1, event=event, target="esphome", lane=device.id, feature=feature, device=device)


async def until(events: AsyncIterator[Event], component: str, value: float) -> list[Event]:
    seen: list[Event] = []
    async with asyncio.timeout(20):
        while not seen or (seen[-1].external_id, seen[-1].value) != (f"{ID}:{component}", value):
            seen.append(await anext(events))
    return seen


async def test_a_legacy_password_is_said(wire: Wire, driver: EsphomeDriver) -> None:
    """Firmware that wants a password is refused with what to put in its place."""

    def answer(request: Message) -> Iterable[Message] | None:
        if type(request).__name__ == "AuthenticationRequest":
            return [message("AuthenticationResponse", invalid_password=True)]
        return None

    wire.answer = answer
    with pytest.raises(Rejected, match=rf"API password.*`encryption` with a `key`.*pair {ID}`\.$"):
        await driver.describe(where(wire))


async def test_a_list_without_end_is_cut(wire: Wire, driver: EsphomeDriver) -> None:
    """One that lists for ever is hung up on long before it fills the memory, in number and in bytes."""
    for name in ("x", "x" * 60_000):
        wire.entities = (
            message("ListEntitiesSensorResponse", object_id=f"s{key}", key=key, name=name) for key in itertools.count()
        )
        with pytest.raises(Unavailable, match="lists more than any such device has"):
            await driver.describe(where(wire))
        assert next(iter(wire.entities)).key < 20_000


async def test_only_as_many_features_as_fit_are_taken(wire: Wire, driver: EsphomeDriver) -> None:
    """A device with more parts than discovery takes is driven all the same, with the first of them."""
    wire.entities = [
        message("ListEntitiesSensorResponse", object_id=f"s{key}", key=key, name=f"S{key}") for key in range(300)
    ]
    features = await driver.describe(where(wire))
    assert len(features) == 256
    assert features[0].name == "S0"


async def test_what_it_calls_its_parts_is_cut_to_size(wire: Wire, driver: EsphomeDriver) -> None:
    """Names and ids of any characters and length make ids that MQTT can carry, each its own, and names of one line."""
    wire.entities = [
        message("ListEntitiesSwitchResponse", object_id="a/b+#c", key=1, name="Up\n\x1b[31m  Down"),
        message("ListEntitiesSwitchResponse", object_id="same", key=2, name="x" * 10_000),
        message("ListEntitiesSwitchResponse", object_id="same", key=3),
        message("ListEntitiesSwitchResponse", object_id="y" * 10_000, key=4, name="Y"),
        message("ListEntitiesTextResponse", object_id="wifi", key=5, name="Password", mode=1),
        message("ListEntitiesSwitchResponse", object_id="off", key=6, name="Off", disabled_by_default=True),
        message("ListEntitiesNumberResponse", object_id="odd", key=7, name="Odd", min_value=float("nan"), max_value=1),
        message("ListEntitiesLockResponse", object_id="safe", key=8, name="Safe", requires_code=True),
    ]
    features = {one.external_id.removeprefix(f"{ID}:"): one for one in await driver.describe(where(wire))}
    assert list(features) == [
        "switch:a_b__c",
        "switch:same-00000002",
        "switch:same-00000003",
        f"switch:{'y' * 60}",
        "number:odd",
        "lock:safe",
    ]
    assert features["switch:a_b__c"].name == "Up[31m Down"
    assert len(features["switch:same-00000002"].name) == 100
    assert features["switch:same-00000003"].name == "shed"
    assert (features["number:odd"].min, features["number:odd"].max) == (None, None)
    assert not features["lock:safe"].writable


async def test_what_it_tells_that_is_no_value_is_not_told_on(wire: Wire, driver: EsphomeDriver) -> None:
    """NaN, infinity, what it does not know yet and what it never listed are no event, and endless texts a short one."""
    wire.entities = [
        message("ListEntitiesSensorResponse", object_id="level", key=1, name="Level", accuracy_decimals=1),
        message("ListEntitiesTextSensorResponse", object_id="log", key=2, name="Log"),
    ]
    wire.states = [
        message("SensorStateResponse", key=1, state=float("nan")),
        message("SensorStateResponse", key=1, state=float("inf")),
        message("SensorStateResponse", key=1, state=3.0, missing_state=True),
        message("SensorStateResponse", key=99, state=3.0),
        message("SwitchStateResponse", key=1, state=True),
        message("TextSensorStateResponse", key=2, state="x" * 60_000),
        message("SensorStateResponse", key=1, state=-0.01),
    ]
    events = driver.events()
    driver.follow(where(wire))
    first, second = await until(events, "sensor:level", 0)
    assert (first.external_id, first.text) == (f"{ID}:text_sensor:log", "x" * 1024)
    assert second.value == 0


async def test_a_press_that_was_lost_is_not_pressed_once_more(wire: Wire, driver: EsphomeDriver) -> None:
    """Where the connection ends just after the press, nobody knows; it settles as that, and is not tried again."""
    wire.entities = [message("ListEntitiesButtonResponse", object_id="press", key=1, name="Press")]
    await driver.deliver(delivery(PRESS, where(wire), 1))
    assert wire.was_told("ButtonCommandRequest") == 1

    def answer(request: Message) -> Iterable[Message] | None:
        if type(request).__name__ != "ButtonCommandRequest":
            return None
        wire.hang_up()
        return []

    driver.follow(where(wire))
    await wire.until(lambda wire: wire.was_told("SubscribeStatesRequest") == 2)
    wire.answer = answer
    with pytest.raises(Rejected, match=r"whether it was pressed is not known, and it is not pressed once more\.$"):
        await driver.deliver(delivery(PRESS, where(wire), 1))
    assert wire.was_told("ButtonCommandRequest") == 2


async def test_a_command_whose_connection_ends_is_tried_again(wire: Wire, driver: EsphomeDriver) -> None:
    """A switch can be told twice: what was lost on the way is unavailable, at once and not after the time-out."""

    def answer(request: Message) -> Iterable[Message] | None:
        if type(request).__name__ != "SwitchCommandRequest":
            return None
        wire.hang_up()
        return []

    wire.answer = answer
    events = driver.events()
    driver.follow(where(wire))
    await until(events, "switch:pump", 0)
    pump = Feature(external_id=f"{ID}:switch:pump", device=ID, name="Pump", category="switch", type="binary")
    async with asyncio.timeout(0.9):
        with pytest.raises(Unavailable, match="ended the connection"):
            await driver.deliver(delivery(pump, where(wire), 1))
    await until(events, "switch:pump", 0)  # connected anew, and it is what it was: the command was not carried out


async def test_ten_thousand_pushes_a_second_cost_a_trickle(wire: Wire, driver: EsphomeDriver) -> None:
    """The newest is told and few before it; the loop stays free, and the flood is shown."""
    wire.entities = [message("ListEntitiesSensorResponse", object_id="level", key=1, name="Level")]
    wire.states = [message("SensorStateResponse", key=1, state=-1)]
    events = driver.events()
    driver.follow(where(wire))
    await until(events, "sensor:level", -1)
    for start in range(0, 10_000, 1_000):
        await wire.push(*(message("SensorStateResponse", key=1, state=start + one) for one in range(1_000)))
    seen = await until(events, "sensor:level", 9_999)
    assert len(seen) < 200
    found = driver.trouble(ID)
    assert found is not None
    assert found.reached
