"""What HomeKit accessories do and tell: moving things, buttons, colours, echoes, and what is told late."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pyhap.accessory import Accessory

from gladys_companion.drivers.homekit import Config
from gladys_companion.errors import Rejected, Unavailable
from tests.hap import Hap
from tests.hap_accessories import HapPython, bridge, open_hap_python
from tests.hap_home import HapHome, open_hap_home
from tests.hap_nodejs import open_hap_nodejs


@pytest.fixture
async def home() -> AsyncIterator[HapHome]:
    async with open_hap_home() as home:
        yield home


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[HapPython]:
    async with open_hap_python(tmp_path) as one:
        yield one


@pytest.fixture(params=["HAP-python", pytest.param("hap-nodejs", marks=pytest.mark.needs("node", "npm"))])
async def either(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Hap]:
    if request.param == "HAP-python":
        async with open_hap_python(tmp_path) as hap:
            yield hap
    else:
        async with open_hap_nodejs(request.getfixturevalue("npm_modules"), tmp_path) as hap:
            yield hap


async def component(hap: Hap, service: str, characteristic: str) -> str:
    aid, iid = await hap.id_of(service, characteristic)
    return f"{aid}.{iid}"


async def truth(hap: Hap, component: str) -> dict[str, object]:
    aid, iid = component.split(".")[:2]
    return await hap.truth(int(aid), int(iid))


async def test_a_press_is_told_at_once_each_time(home: HapHome, either: Hap) -> None:
    """Once, twice and long are 1, 2 and 3; the same press again is one more, and it takes less than 100 ms."""
    await home.follow(either)
    button = await component(either, "StatelessProgrammableSwitch", "ProgrammableSwitchEvent")
    took = []
    for presses, told in ((0, 1), (1, 2), (2, 3), (2, 3), (0, 1)):
        began = time.monotonic()
        await either.press(presses)
        assert await home.next() == (button, told)
        took.append(time.monotonic() - began)
    assert min(took) < 0.1  # the least, for a loaded machine is slow without being wrong


async def test_changes_by_hand_are_told_without_asking(home: HapHome, either: Hap) -> None:
    """Everything that moves or measures tells its changes; what Gladys has the other way round is turned."""
    await home.follow(either)
    cases = [
        ("ContactSensor", "ContactSensorState", 1, 0),  # no contact: Gladys' 0 is open
        ("MotionSensor", "MotionDetected", True, 1),
        ("OccupancySensor", "OccupancyDetected", 1, 1),
        ("TemperatureSensor", "CurrentTemperature", 21.5, 21.5),
        ("HumiditySensor", "CurrentRelativeHumidity", 55.0, 55),
        ("Thermostat", "CurrentHeatingCoolingState", 1, 1),
        ("Thermostat", "TargetTemperature", 19.5, 19.5),
        ("Lightbulb", "ColorTemperature", 250, 250),
        ("Outlet", "On", True, 1),
        ("GarageDoorOpener", "CurrentDoorState", 4, 0),
    ]
    for service, characteristic, value, told in cases:
        await either.set(service, characteristic, value)
        where = await component(either, service, characteristic)
        if characteristic == "CurrentDoorState":
            where = await component(either, service, "TargetDoorState")
        await home.until(where, told)


async def test_a_lamp_that_is_off_is_dark_and_black(home: HapHome, either: Hap) -> None:
    """Brightness and colour turn it on, 0 and black turn it off, and what changes beside the command is told."""
    device = await home.follow(either)
    on, dim = [await component(either, "Lightbulb", name) for name in ("On", "Brightness")]
    color = f"{await component(either, 'Lightbulb', 'Hue')}.color"
    await home.command(device, color, 0x336699)
    state = await truth(either, on)
    assert (state["On"], state["Hue"], state["Saturation"]) == (True, 210, 67)
    await home.until(on, 1)
    await home.command(device, dim, 40)
    assert (await truth(either, on))["Brightness"] == 40
    await home.command(device, color, 0)
    state = await truth(either, on)
    assert (state["On"], state["Brightness"], state["Hue"]) == (False, 40, 210)
    seen = dict(await home.until(dim, 0))
    assert seen == {on: 0, dim: 0} or dict([*seen.items(), await home.next()]) == {on: 0, dim: 0}
    await home.command(device, dim, 0.4)  # rounds to nothing
    assert (await truth(either, on))["On"] is False
    await home.command(device, on, 1)
    told: dict[str, float | None] = {}
    while told.keys() < {dim, color}:
        told |= dict([await home.next()])
    assert told == {dim: 40, color: 0x336699}  # as it was meant, though HomeKit can not say it exactly


async def test_a_color_by_hand_is_the_nearest(home: HapHome, one: HapPython) -> None:
    """What was not commanded is told as hue and saturation say it."""
    device = await home.follow(one)
    color = f"{await component(one, 'Lightbulb', 'Hue')}.color"
    await home.command(device, color, 0xFF0000)
    await one.set("Lightbulb", "Hue", 120)
    await home.until(color, 0x00FF00)


async def test_values_beyond_what_it_says_never_reach_it(home: HapHome, either: Hap) -> None:
    """Each is rejected with the name of the feature and what it can be."""
    device = await home.follow(either)
    heat = await component(either, "Thermostat", "TargetTemperature")
    cases = [
        (await component(either, "Lightbulb", "On"), 2, "On of .*: It can be from 0 to 1, not 2"),
        (await component(either, "Lightbulb", "On"), 0.5, "It can be 0 or 1, not 0.5"),
        (await component(either, "Lightbulb", "Brightness"), 101, "Brightness of .*: It can be from 0 to 100"),
        (f"{await component(either, 'Lightbulb', 'Hue')}.color", 0.5, "whole number from 0 to 16777215"),
        (heat, 5, "Target temperature of .*: It can be from 10 to 38, not 5"),
        (heat, float("nan"), "It can be from 10 to 38, not nan"),
        (await component(either, "GarageDoorOpener", "TargetDoorState"), 0, r"opened \(1\) and closed \(-1\), not 0"),
        (f"{await component(either, 'WindowCovering', 'TargetPosition')}.state", 2, r"stopped \(0\)"),
        (await component(either, "MotionSensor", "MotionDetected"), 1, "has no '.*' that could be set"),
    ]
    before = [await truth(either, where) for where, _, _ in cases]
    for where, value, says in cases:
        with pytest.raises(Rejected, match=says):
            await home.command(device, where, value)
    assert [await truth(either, where) for where, _, _ in cases] == before


async def test_a_value_between_steps_becomes_the_nearest_and_is_told(home: HapHome, either: Hap) -> None:
    """A thermostat of tenths takes 19.96 as 20, and that it has 20 is news."""
    device = await home.follow(either)
    heat = await component(either, "Thermostat", "TargetTemperature")
    await home.command(device, heat, 19.96)
    assert (await truth(either, heat))["TargetTemperature"] == 20
    await home.until(heat, 20)


async def test_a_lock_is_delivered_when_it_is_there(home: HapHome, either: Hap) -> None:
    """While the bolt moves nothing is said; then it is delivered, and does not come back as news."""
    device = await home.follow(either)
    lock = await component(either, "LockMechanism", "LockTargetState")
    await either.set("LockMechanism", "LockCurrentState", 1)
    await either.behave("slow")
    await home.until(lock, 1)
    opening = asyncio.ensure_future(home.command(device, lock, 0))
    async with asyncio.timeout(5):
        while (await truth(either, lock))["LockTargetState"] != 0:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
    assert not opening.done()
    await either.set("LockMechanism", "LockCurrentState", 0)
    await opening
    await either.set("Outlet", "On", value=True)
    assert lock not in dict(await home.until(await component(either, "Outlet", "On"), 1))


async def test_a_lock_that_does_not_move_is_not_delivered(home: HapHome, either: Hap) -> None:
    """Jammed, or still where it was after a while: rejected, because to lock again and again helps nobody."""
    device = await home.follow(either)
    lock = await component(either, "LockMechanism", "LockTargetState")
    await either.set("LockMechanism", "LockCurrentState", 0)
    await either.behave("slow")
    with pytest.raises(
        Rejected, match=r"Lock of .* took the command, but it is not there after 1\.5 s: look after it\."
    ):
        await home.command(device, lock, 1)
    await either.behave("jammed")
    with pytest.raises(Rejected, match="but it says that it is jammed"):
        await home.command(device, lock, 1)
    await either.set("LockMechanism", "LockCurrentState", 1)
    await home.until(lock, 1)


@pytest.mark.parametrize("followed", [True, False])
async def test_a_garage_door_is_delivered_when_it_moves(home: HapHome, either: Hap, *, followed: bool) -> None:
    """It closes as soon as it was told to; that it is really closed is told by the other feature, when it is."""
    device = await (home.follow(either) if followed else home.pair(either))
    door = await component(either, "GarageDoorOpener", "TargetDoorState")
    closed = await component(either, "GarageDoorOpener", "CurrentDoorState")
    await either.set("GarageDoorOpener", "CurrentDoorState", 0)
    await either.behave("slow")
    await home.command(device, door, -1)
    assert (await truth(either, door))["CurrentDoorState"] == 3
    if followed:
        await either.set("GarageDoorOpener", "CurrentDoorState", 1)
        seen = await home.until(closed, 1)
        assert (door, 1) not in seen


async def test_a_cover_is_told_where_it_goes(home: HapHome, either: Hap) -> None:
    """While it moves its position is where it goes; where somebody stops it, that is told."""
    device = await home.follow(either)
    position = await component(either, "WindowCovering", "TargetPosition")
    for name, value in (("CurrentPosition", 0), ("TargetPosition", 0), ("PositionState", 2)):
        await either.set("WindowCovering", name, value)
    await either.behave("slow")
    await home.command(device, position, 80)
    assert (await truth(either, position))["TargetPosition"] == 80
    assert dict(await home.until(f"{position}.state")) == {f"{position}.state": 1}
    await either.set("WindowCovering", "CurrentPosition", 35)
    await either.set("WindowCovering", "PositionState", 2)
    seen = await home.until(position)
    assert dict(seen)[position] == 35
    await home.command(device, f"{position}.state", -1)
    assert (await truth(either, position))["TargetPosition"] == 0
    await home.until(position, 0)


async def test_a_cover_is_stopped_where_it_is(home: HapHome, one: HapPython) -> None:
    """Without a way to hold, it is sent to where it says to be."""
    device = await home.follow(one)
    position = await component(one, "WindowCovering", "TargetPosition")
    await one.set("WindowCovering", "PositionState", 2)
    await one.set("WindowCovering", "CurrentPosition", 40)
    await home.until(position, 40)
    await one.behave("slow")
    await home.command(device, f"{position}.state", 1)
    await home.command(device, f"{position}.state", 0)
    assert (await truth(one, position))["TargetPosition"] == 40


async def test_what_was_held_back_from_before_a_command_is_no_news(home: HapHome, one: HapPython) -> None:
    """HAP-python tells changes half a second late: an old one that comes after a command does not undo it here."""
    device = await home.follow(one)
    outlet = await component(one, "Outlet", "On")
    await home.command(device, outlet, 1)
    await one.set("Outlet", "On", value=False)
    await home.command(device, outlet, 1)
    assert (await truth(one, outlet))["On"]
    await asyncio.sleep(0.7)  # until the accessory has told it
    await one.set("MotionSensor", "MotionDetected", value=True)
    seen = await home.until(await component(one, "MotionSensor", "MotionDetected"), 1)
    assert (outlet, 0) not in seen


async def test_a_change_right_after_a_command_is_told(home: HapHome, either: Hap) -> None:
    """What contradicts a command is asked for, and told if it is so."""
    device = await home.follow(either)
    outlet = await component(either, "Outlet", "On")
    await home.command(device, outlet, 1)
    await either.set("Outlet", "On", value=False)
    await home.until(outlet, 0)


async def test_what_refuses_is_told_with_its_reason(home: HapHome, one: HapPython) -> None:
    """What may pass is tried again, with what the accessory said."""

    def fail(_: object) -> None:
        raise OSError

    device = await home.follow(one)
    outlet = await component(one, "Outlet", "On")
    characteristic = one._services("Outlet")[0].get_characteristic("On")
    await one.call(lambda: setattr(characteristic, "setter_callback", fail))
    with pytest.raises(Unavailable, match=r"did not do it: Unable to communicate .* \(status -70402\)\."):
        await home.command(device, outlet, 1)
    assert home.driver.connection(device.id) is not None


async def test_what_is_added_to_a_bridge_is_described_and_heard(tmp_path: Path, home: HapHome) -> None:
    """When a bridge announces that it changed, it is asked again on the same connection, and tells of what is new."""
    async with open_hap_python(tmp_path, build=bridge, name="Loft") as loft:
        device = await home.follow(loft)
        before = await home.driver.describe(device)

        def add() -> None:
            accessory = Accessory(loft._driver, "Attic", aid=9)
            accessory.add_preload_service("MotionSensor")
            loft._driver.accessory.add_accessory(accessory)

        await loft.call(add)
        (added,) = [one for one in await home.driver.describe(device) if one not in before]
        assert (added.name, added.category) == ("Attic Motion", "motion-sensor")
        await loft.set("MotionSensor", "MotionDetected", value=True)
        await home.until(added.external_id.removeprefix(f"{device.id}:"), 1)
        assert await loft.call(lambda: len(loft._driver.http_server.connections)) == 1


async def test_what_tells_no_changes_is_asked(one: HapPython) -> None:
    """A characteristic without events is looked at now and then."""
    characteristic = one._services("TemperatureSensor")[0].get_characteristic("CurrentTemperature")
    await one.call(lambda: characteristic.override_properties({"Permissions": ["pr"]}))
    async with open_hap_home(config=Config(answer_within=1, poll_every=1)) as home:
        await home.follow(one)
        await one.call(lambda: setattr(characteristic, "value", 31))
        await home.until(await component(one, "TemperatureSensor", "CurrentTemperature"), 31)


def test_it_works_on_the_loop_of_the_daemon(tmp_path: Path) -> None:
    """The daemon runs on uvloop, whose connections are not those of asyncio."""
    uvloop = pytest.importorskip("uvloop")

    async def live() -> None:
        async with open_hap_python(tmp_path) as one, open_hap_home() as home:
            device = await home.follow(one)
            await home.command(device, "1.9", 1)
            assert (await one.truth(1, 9))["On"]
            await one.set("Lightbulb", "On", value=False)
            await home.until("1.9", 0)
            one.gate.cut()
            await home.trouble(device, "ended the connection")
            await home.listening(device)
            await home.driver.unpair(device)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(live())
