"""What is particular to the WLED driver: identity, colour, echoes, and devices that lie or misbehave."""

from __future__ import annotations

import asyncio
import copy
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, web
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.clock import SYSTEM
from gladys_companion.drivers.wled import PLUGIN, Config, WledDriver
from gladys_companion.drivers.wled._lamp import open_lamp
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Delivery, Device, Event, Feature, RegistrySnapshot, report
from gladys_companion.ports import Kit
from gladys_companion.sim.wled import Lamp, open_wled

MAC = "a8032ab12345"
NONSENSE: tuple[object, ...] = (None, -1, 1e300, "\ud800x", [], [[]], {}, {"a": 1}, 2**63)


class NoSecrets:
    async def get(self, name: str) -> bytes | None:
        raise AssertionError(name)

    async def set(self, name: str, value: bytes | None) -> None:
        raise AssertionError(name, value)


@pytest.fixture
async def driver() -> AsyncIterator[WledDriver]:
    async with AsyncZeroconf(interfaces=["127.0.0.1"]) as zeroconf, ClientSession() as http:
        kit = Kit(clock=SYSTEM, zeroconf=zeroconf, http=http, secrets=NoSecrets(), registry=RegistrySnapshot)
        async with PLUGIN.open(Config(answer_within=0.7, reconnect_most=0.6), kit) as driver:
            assert isinstance(driver, WledDriver)
            yield driver


@pytest.fixture
async def lamp() -> AsyncIterator[Lamp]:
    async with open_wled(mac=MAC) as lamp:
        yield lamp


def device_at(address: str, port: int, mac: str = MAC) -> Device:
    return Device(id=f"wled:{mac}", driver="wled", name="salon", address=address, port=port)


def where(lamp: Lamp) -> Device:
    return device_at(lamp.address, lamp.port, lamp.mac)


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
    return Delivery(seq=1, event=event, target="wled", lane=device.id, feature=feature, device=device)


async def take(events: AsyncIterator[Event], count: int) -> dict[str, float | None]:
    async with asyncio.timeout(10):
        seen = [await anext(events) for _ in range(count)]
    return {(event.external_id or "").rpartition(":")[2]: event.value for event in seen}


async def test_features_are_gladys_lights(lamp: Lamp, driver: WledDriver) -> None:
    """A lamp with colours has features that Gladys knows, each with its range, and its owner's presets."""
    features = await driver.describe(where(lamp))
    assert [(feature.external_id, feature.category, feature.type, feature.max) for feature in features] == [
        (f"wled:{MAC}:on", "light", "binary", 1),
        (f"wled:{MAC}:brightness", "light", "brightness", 255),
        (f"wled:{MAC}:color", "light", "color", 0xFFFFFF),
        (f"wled:{MAC}:effect", "light", "effect-mode", 9),
        (f"wled:{MAC}:preset", "unknown", "unknown", 2),
    ]


async def test_a_lamp_without_colours(lamp: Lamp, driver: WledDriver) -> None:
    """White LEDs have no feature for a colour, though the firmware tells one."""
    answer = await everything(lamp)
    answer["info"]["leds"] |= {"lc": 2, "seglc": [2]}
    lamp.refuse(200, json.dumps(answer))
    assert [feature.type for feature in await driver.describe(where(lamp))] == [
        "binary",
        "brightness",
        "effect-mode",
    ]


async def test_a_preset_changes_more_than_itself(lamp: Lamp, driver: WledDriver) -> None:
    """What a preset sets is told beside it; changed by hand the lamp shows no preset; one that is not there is told."""
    events = driver.events()
    driver.follow(where(lamp))
    assert await take(events, 5) == {"on": 1, "brightness": 128, "color": 0xFFA000, "effect": 0, "preset": 0}
    await lamp.until(lambda lamp: lamp.listeners == 1)
    await lamp.set(bri=7)
    assert await take(events, 1) == {"brightness": 7}  # all that was told before has arrived
    await driver.deliver(delivery(where(lamp), "preset", 2))
    assert await take(events, 2) == {"brightness": 8, "color": 0xFF3C00}
    await lamp.set(bri=9)
    assert await take(events, 2) == {"brightness": 9, "preset": 0}
    for number, says in ((0, "Choose one"), (9, "has no preset 9")):
        with pytest.raises(Rejected, match=says):
            await driver.deliver(delivery(where(lamp), "preset", number))


@pytest.mark.parametrize("presets", ["[]", '{"1": {"n": "a"}, "x": {"n": "b"}, "-1": 1, "999": {"n": "c"}}'])
async def test_a_file_of_presets_may_hold_anything(presets: str) -> None:
    """Only entries that the firmware could have written count."""
    async with open_wled(mac=MAC) as lamp, open_lamp(where(lamp), 1.0) as connection:
        lamp.refuse(200, presets)
        assert await connection.presets() == (frozenset({1}) if "999" in presets else frozenset())


async def test_a_colour_ends_the_effect_that_would_hide_it(lamp: Lamp, driver: WledDriver) -> None:
    """The 24-bit colour of Gladys becomes the main segment's, and that is what shows."""
    await lamp.set(seg={"id": 0, "fx": 6})
    await driver.deliver(delivery(where(lamp), "color", 0x0A0B0C))
    assert lamp.state["seg"][0]["col"][0] == [10, 11, 12]
    assert lamp.state["seg"][0]["fx"] == 0


@pytest.mark.parametrize(("component", "value"), [("on", 2), ("brightness", 256), ("brightness", 0.5), ("color", -1)])
async def test_values_out_of_range_never_reach_it(lamp: Lamp, driver: WledDriver, component: str, value: float) -> None:
    """What a lamp can not be is rejected with the range, and nothing is sent."""
    with pytest.raises(Rejected, match="whole number from 0 to"):
        await driver.deliver(delivery(where(lamp), component, value))
    assert lamp.commands == ()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
async def test_no_number_is_no_brightness(lamp: Lamp, driver: WledDriver, value: float) -> None:
    """NaN and infinity are rejected like any other value out of range."""
    with pytest.raises(Rejected):
        await driver.deliver(delivery(where(lamp), "brightness", value))


async def test_another_lamp_is_neither_described_nor_commanded(driver: WledDriver) -> None:
    """Where another MAC answers, the sentence says so; the command may still find its lamp elsewhere."""
    async with open_wled(mac="020000000001") as other:
        device = device_at(other.address, other.port)
        with pytest.raises(Rejected, match=r"Another device answers at salon \(127.0.0.1:\d+\).*'020000000001'"):
            await driver.describe(device)
        with pytest.raises(Unavailable, match="Another device answers"):
            await driver.deliver(delivery(device, "on", 0))
        assert other.commands == ()


async def test_events_are_news_only(lamp: Lamp, driver: WledDriver) -> None:
    """First all values are told; then what a hand changes, and what a command changed beside what it commanded."""
    events = driver.events()
    driver.follow(where(lamp))
    assert await take(events, 5) == {"on": 1, "brightness": 128, "color": 0xFFA000, "effect": 0, "preset": 0}
    await lamp.until(lambda lamp: lamp.listeners == 1)
    await lamp.set(seg={"col": [[0, 0, 255]]})
    assert await take(events, 1) == {"color": 0x0000FF}
    await driver.deliver(delivery(where(lamp), "color", 0x00FF00))
    await lamp.set(on=False)
    assert await take(events, 2) == {"on": 0, "brightness": 0}


async def test_it_listens_again_after_a_restart(lamp: Lamp, driver: WledDriver) -> None:
    """A lamp that comes back where it was is connected to again, and what changed meanwhile is told."""
    events = driver.events()
    driver.follow(where(lamp))
    await take(events, 3)
    await lamp.until(lambda lamp: lamp.listeners == 1)
    lamp.refuse(503)
    await lamp.move(port=lamp.port)
    await lamp.press()
    lamp.accept()
    seen: dict[str, float | None] = {}
    while seen.get("on") != 0:
        seen |= await take(events, 1)


async def test_a_lamp_that_does_not_answer_is_told(lamp: Lamp, driver: WledDriver) -> None:
    """While a lamp that is followed can not be listened to, the driver says why; it says nothing of others."""
    lamp.refuse(503)
    driver.follow(where(lamp))
    async with asyncio.timeout(10):
        while driver.trouble(f"wled:{MAC}") is None:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
    trouble = driver.trouble(f"wled:{MAC}")
    assert trouble is not None
    assert "503" in trouble.says
    assert not trouble.reached
    assert driver.trouble("wled:000000000000") is None
    lamp.accept()
    await take(driver.events(), 3)
    assert driver.trouble(f"wled:{MAC}") is None


async def test_a_forgotten_lamp_is_left_alone(lamp: Lamp, driver: WledDriver) -> None:
    """After forget() the connection ends."""
    driver.follow(where(lamp))
    async with asyncio.timeout(10):
        await lamp.until(lambda lamp: lamp.listeners == 1)
        driver.forget(f"wled:{MAC}")
        await lamp.until(lambda lamp: lamp.listeners == 0)


@pytest.mark.parametrize(
    ("status", "error"), [(400, Rejected), (404, Rejected), (429, Unavailable), (500, Unavailable), (503, Unavailable)]
)
async def test_statuses(lamp: Lamp, driver: WledDriver, status: int, error: type[Exception]) -> None:
    """What the lamp blames on us is never repeated, what it blames on itself is tried again."""
    lamp.refuse(status)
    with pytest.raises(error, match=f"HTTP status {status}"):
        await driver.deliver(delivery(where(lamp), "on", 0))


async def test_an_old_firmware_is_rejected_with_what_to_do(lamp: Lamp, driver: WledDriver) -> None:
    """The sentence names both versions."""
    answer = await everything(lamp)
    answer["info"]["ver"] = "0.13.1"
    lamp.refuse(200, json.dumps(answer))
    with pytest.raises(Rejected, match=r"too old.*0\.13\.1.*0\.14\.0"):
        await driver.describe(where(lamp))


async def test_any_member_may_be_nonsense(lamp: Lamp, driver: WledDriver) -> None:
    """Whatever a lamp answers in place of one member, the driver describes it or says why not, and nothing else."""
    device, answer = where(lamp), await everything(lamp)
    outcomes: set[type[Exception] | None] = set()
    for path in paths(answer):
        for value in NONSENSE:
            lamp.refuse(200, json.dumps(replaced(answer, path, value)))
            try:
                await driver.describe(device)
            except Unavailable:
                outcomes.add(Unavailable)
            except Rejected:
                outcomes.add(Rejected)
            else:
                outcomes.add(None)
    assert outcomes == {None, Unavailable, Rejected}


@asynccontextmanager
async def serving(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[Device]:
    """A device that is none: `answer` takes every request."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield device_at(*runner.addresses[0])
    finally:
        await runner.cleanup()


async def test_it_can_not_lead_us_elsewhere(lamp: Lamp, driver: WledDriver) -> None:
    """A redirect, which could turn a command against anything on the network, is not followed."""

    async def redirect(request: web.Request) -> web.Response:
        location = f"http://{lamp.address}:{lamp.port}{request.path}"
        return web.Response(status=307, headers={"Location": location})

    async with serving(redirect) as device:
        with pytest.raises(Unavailable, match="sends us elsewhere"):
            await driver.deliver(delivery(device, "on", 0))
    assert lamp.commands == ()
    assert lamp.state["on"]


async def test_an_endless_answer_is_cut(driver: WledDriver) -> None:
    """More than a lamp could have to say is not read."""
    sent = 0

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while True:
            await response.write(b" " * 65_536)
            sent += 65_536

    async with serving(flood) as device:
        with pytest.raises(Unavailable):
            await driver.describe(device)
    assert sent < 64 << 20


async def test_nonsense_pushed_does_not_end_the_driver(lamp: Lamp, driver: WledDriver) -> None:
    """After a push that is no state, or another device's, it connects again, and tells the next change."""
    truth = await everything(lamp)
    stranger = replaced(truth, ("info", "mac"), "020000000002")
    pushes = [
        "[]",
        "{",
        "1",
        "[" * 100_000,
        '{"state": 3, "info": {}}',
        '{"state": {"seg": [1]}}',
        json.dumps(stranger),
    ]

    async def relay(request: web.Request) -> web.StreamResponse:
        if request.path != "/ws":
            return web.json_response({"/presets.json": {}, "/json/cfg": {}}.get(request.path, truth))
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.send_str(pushes.pop(0) if pushes else json.dumps(replaced(truth, ("state", "on"), value=False)))
        await ws.receive()
        return ws

    async with serving(relay) as device:
        events = driver.events()
        driver.follow(device)
        seen: dict[str, float | None] = {}
        while seen.get("on") != 0:
            seen |= await take(events, 1)
    assert pushes == []


async def test_any_member_pushed_may_be_nonsense(lamp: Lamp) -> None:
    """As of answers, so of pushes: they are taken, or the connection ends with a sentence, and nothing else happens."""
    truth = await everything(lamp)
    every = [(path, value) for path in paths(truth) for value in NONSENSE]
    pushes = [json.dumps(replaced(truth, path, value)) for path, value in random.Random(7).sample(every, 150)]

    async def relay(request: web.Request) -> web.StreamResponse:
        if request.path != "/ws":
            return web.json_response({"/presets.json": {}, "/json/cfg": {}}.get(request.path, truth))
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.send_str(pushes.pop())
        await ws.close(drain=False)
        return ws

    async with serving(relay) as device:
        while pushes:
            async with open_lamp(device, 5.0) as connection:
                with pytest.raises((Unavailable, Rejected)):
                    await connection.listen(lambda _values: None)


async def test_little_is_asked_of_a_lamp_and_of_a_busy_one_only_once(lamp: Lamp, driver: WledDriver) -> None:
    """State and information, and no long lists; one that says twice that it is busy is not asked twice."""
    truth = await everything(lamp)
    asked, said = [], []

    async def relay(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        if request.path != "/ws":
            return web.json_response(truth)
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        for number in range(2):
            await ws.send_str('{"error": 3}')
            if not number:
                said.append(await ws.receive_json())
        await ws.send_json(replaced(truth, ("state", "on"), value=False))
        said.extend([message.json() async for message in ws])
        return ws

    async with serving(relay) as device:
        events = driver.events()
        driver.follow(device)
        seen: dict[str, float | None] = {}
        while seen.get("on") != 0:
            seen |= await take(events, 1)
        driver.forget(device.id)
    assert asked == ["/json/si", "/ws"]
    assert said == [{"v": True}]


async def everything(lamp: Lamp) -> dict[str, Any]:
    async with ClientSession() as session, session.get(f"http://{lamp.address}:{lamp.port}/json/si") as response:
        answer: dict[str, Any] = await response.json()
        return answer


def paths(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield from paths(member, (*path, key))


def replaced(answer: object, path: tuple[str | int, ...], value: object) -> object:
    if not path:
        return value
    changed: Any = copy.deepcopy(answer)
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    return changed


@pytest.mark.parametrize("table", [{"answer_within": "soon"}, {"answer_within": 0}, {"reconnect_most": 0.1}])
def test_the_table_is_checked(table: dict[str, object]) -> None:
    """A time-out that is no number, or that would never wait, is an error of the configuration."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, Config)
