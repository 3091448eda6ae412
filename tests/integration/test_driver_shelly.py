"""What is particular to the Shelly driver: identity, features, pushes, echoes, and devices that lie or misbehave."""

from __future__ import annotations

import asyncio
import copy
import json
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, WSMsgType, web

from gladys_companion.drivers.shelly import Config, ShellyDriver
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Device, Service
from gladys_companion.sim import shelly_gen1, shelly_gen2
from gladys_companion.sim._shelly_rpc import Kind
from gladys_companion.sim.shelly_gen1 import open_shelly_gen1
from gladys_companion.sim.shelly_gen2 import open_shelly_gen2
from tests.shelly_home import QUICK, device_at, open_driver, serving, set_to, take, until, where

MAC = "a8032ab20001"
NONSENSE: tuple[object, ...] = (None, -1, 1e300, "\ud800x", [], [[]], {}, {"a": 1}, 2**63, True)
METERS = {"power", "energy", "voltage", "current"}


@pytest.fixture
async def driver() -> AsyncIterator[ShellyDriver]:
    async with open_driver() as driver:
        yield driver


@pytest.fixture
async def gen1() -> AsyncIterator[shelly_gen1.Shelly]:
    async with open_shelly_gen1() as shelly:
        yield shelly


@pytest.fixture
async def gen2() -> AsyncIterator[shelly_gen2.Shelly]:
    async with open_shelly_gen2() as shelly:
        yield shelly


@pytest.mark.parametrize(
    ("type_", "name", "device_id", "model"),
    [
        ("_shelly._tcp.local.", "shellyplus1pm-a8032ab12345", "shelly:a8032ab12345", "shellyplus1pm"),
        ("_http._tcp.local.", "ShellyPlus1PM-A8032AB12345", "shelly:a8032ab12345", "shellyplus1pm"),
        ("_http._tcp.local.", "shellyplug-s-B32E5D", "shelly:b32e5d", "shellyplug-s"),
        ("_http._tcp.local.", "printer-a8032ab12345", None, None),
        ("_http._tcp.local.", "shelly1-b32e5", None, None),
        ("_http._tcp.local.", "shelly", None, None),
        ("_hap._tcp.local.", "shellyplus1pm-a8032ab12345", None, None),
    ],
)
async def test_a_shelly_is_known_by_its_name(
    driver: ShellyDriver, type_: str, name: str, device_id: str | None, model: str | None
) -> None:
    """The name ends with the MAC, of old ones with half of it; both service types of one device are the same device."""
    service = Service(type=type_, name=f"{name}.{type_}", host="x.local.", addresses=("192.0.2.1",), port=80, txt={})
    device = driver.identify(service)
    assert (device.id if device else None, device.model if device else None) == (device_id, model)
    assert device is None or device.name == name.lower()


@pytest.mark.parametrize(
    ("gen", "kind", "components"),
    [
        (1, "switch", {"switch:0", "switch:0:power", "switch:0:energy", "switch:0:temperature", "input:0"}),
        (
            1,
            "light",
            {
                "light:0",
                "light:0:brightness",
                "light:0:power",
                "light:0:energy",
                "light:0:device-temperature",
                "input:0",
            },
        ),
        (
            1,
            "color",
            {
                *("light:0", "light:0:brightness", "light:0:color", "light:0:temperature"),
                *("light:0:power", "light:0:energy", "input:0"),
            },
        ),
        (
            1,
            "cover",
            {
                *("cover:0", "cover:0:position", "cover:0:power", "cover:0:energy", "cover:0:voltage"),
                *("cover:0:temperature", "input:0", "input:1"),
            },
        ),
        (2, "switch", {"switch:0", "input:0", "switch:0:temperature", *(f"switch:0:{one}" for one in METERS)}),
        (2, "light", {"light:0", "light:0:brightness", "input:0"}),
        (
            2,
            "color",
            {
                *("rgbw:0", "rgbw:0:brightness", "rgbw:0:color", "rgbw:0:device-temperature", "input:0"),
                *(f"rgbw:0:{one}" for one in METERS),
            },
        ),
        (
            2,
            "cover",
            {
                *("cover:0", "cover:0:position", "cover:0:temperature", "input:0", "input:1"),
                *(f"cover:0:{one}" for one in METERS),
            },
        ),
    ],
)
async def test_features_are_what_hangs_on_it(driver: ShellyDriver, gen: int, kind: Kind, components: set[str]) -> None:
    """Each kind of device of both generations has its features, and tells a value of each but buttons."""
    async with open_shelly_gen1(kind=kind) as gen1, open_shelly_gen2(kind=kind) as gen2:
        device = where(gen1 if gen == 1 else gen2)
        assert {one.external_id.removeprefix(f"{device.id}:") for one in await driver.describe(device)} == components
        events = driver.events()
        driver.follow(device)
        hidden = {"light:0:temperature"} if (gen, kind) == (1, "color") else set()  # it shows a colour
        assert {(await take(events))[0] for _ in components - hidden} == components - hidden


@pytest.mark.parametrize(
    ("kind", "component", "value", "told"),
    [
        ("light", "light:0:brightness", 40, {"turn": "on", "brightness": "40"}),
        ("light", "light:0", 0, {"turn": "off"}),
        ("color", "light:0:color", 0x0A0B0C, {"mode": "color", "red": "10", "green": "11", "blue": "12"}),
        ("color", "light:0:brightness", 40, {"turn": "on", "gain": "40"}),
        ("cover", "cover:0", -1, {"go": "close"}),
        ("cover", "cover:0:position", 30, {"go": "to_pos", "roller_pos": "30"}),
    ],
)
async def test_gen1_is_commanded(
    driver: ShellyDriver, kind: Kind, component: str, value: float, told: dict[str, str]
) -> None:
    """Lights and covers of Gen1 get what they understand, followed or not."""
    async with open_shelly_gen1(kind=kind) as shelly:
        await set_to(driver, where(shelly), component, value)
        events = driver.events()
        driver.follow(where(shelly))
        await take(events)
        await set_to(driver, where(shelly), component, value)
        assert shelly.commands == (told, told)


async def test_an_old_shelly_is_known_by_half_of_its_mac(driver: ShellyDriver) -> None:
    """One that announces six digits is driven under them, and another whose MAC ends otherwise is not it."""
    async with open_shelly_gen1(short_id=True) as shelly:
        device = device_at(shelly.address, shelly.port, "b10001")
        await set_to(driver, device, "switch:0", 1)
        assert shelly.state["ison"] is True
        with pytest.raises(Rejected, match="Another device answers at kitchen"):
            await driver.describe(device_at(shelly.address, shelly.port, "b10002"))


@pytest.mark.parametrize("gen", [1, 2])
async def test_another_shelly_is_not_commanded(
    driver: ShellyDriver, gen1: shelly_gen1.Shelly, gen2: shelly_gen2.Shelly, gen: int
) -> None:
    """Where another MAC answers, the sentence says so; the command may still find its device elsewhere."""
    shelly = gen1 if gen == 1 else gen2
    device = device_at(shelly.address, shelly.port, "020000000001")
    with pytest.raises(Unavailable, match=r"Another device answers at kitchen \(127\.0\.0\.1:\d+\)"):
        await set_to(driver, device, "switch:0", 1)
    assert shelly.commands == ()


async def test_identity_is_asked_of_the_websocket_too(driver: ShellyDriver, gen2: shelly_gen2.Shelly) -> None:
    """Who answers HTTP right, and then calls itself another on the websocket, is not commanded."""

    async def two_faced(request: web.Request) -> web.StreamResponse:
        if request.path == "/shelly":
            return web.json_response(gen2.info() | {"mac": "020000000001"})
        return await gen2._websocket(request)

    async with serving(two_faced) as (address, port):
        with pytest.raises(Unavailable, match="Another device answers"):
            await set_to(driver, device_at(address, port, "020000000001"), "switch:0", 1)
    assert gen2.commands == ()


async def test_a_press_that_push_and_poll_both_see_is_told_once(gen2: shelly_gen2.Shelly) -> None:
    """Asked ever so often, what was notified is no news; what was not notified is."""
    config = msgspec.structs.replace(QUICK, check_every=0.1)
    async with open_driver(config) as driver:
        events = driver.events()
        driver.follow(where(gen2))
        await until(events, "input:0", 0)
        await gen2.until(lambda one: one.listeners == 1)
        await gen2.press()
        await until(events, "switch:0", 1)
        gen2._status = {**gen2.status, "input:0": {"id": 0, "state": True}}  # and nobody is told
        seen = await until(events, "input:0", 1)
        assert ("switch:0", 1) not in seen
        assert [component for component, _ in seen].count("input:0") == 1


async def test_news_of_a_push_is_quick(gen2: shelly_gen2.Shelly) -> None:
    """What a hand does is told within a tenth of a second, without a question asked."""
    took = []
    async with open_driver(Config()) as driver:
        events = driver.events()
        driver.follow(where(gen2))
        await until(events, "input:0", 0)
        await gen2.until(lambda one: one.listeners == 1)
        for number in range(5):
            began = asyncio.get_running_loop().time()
            await gen2.press()
            await until(events, "switch:0", 1 - number % 2)
            took.append(asyncio.get_running_loop().time() - began)
    assert min(took) < 0.1


@pytest.mark.parametrize(
    ("event", "value"), [("single_push", 1), ("double_push", 2), ("long_push", 3), ("triple_push", 18)]
)
async def test_pushes_of_gen2_are_clicks(driver: ShellyDriver, event: str, value: float) -> None:
    """Each push is told, the same ones too, and what is none is not."""
    async with open_shelly_gen2(buttons="button") as shelly:
        features = await driver.describe(where(shelly))
        assert [(one.category, one.type) for one in features if ":input:" in one.external_id] == [("button", "click")]
        events = driver.events()
        driver.follow(where(shelly))
        await until(events, "switch:0:temperature", 41.5)
        await shelly.until(lambda one: one.listeners == 1)
        for _ in range(2):
            await shelly.push("btn_down")
            await shelly.push(event)
            assert await take(events) == ("input:0", value)


async def test_pushes_of_gen1_are_clicks(driver: ShellyDriver) -> None:
    """They are found by their count; what was pushed before it was followed is not told."""
    async with open_shelly_gen1(buttons="momentary") as shelly:
        await shelly.push("L")
        events = driver.events()
        driver.follow(where(shelly))
        await until(events, "switch:0:temperature", 41.5)
        for event, value in (("S", 1), ("S", 1), ("SS", 2), ("SL", None), ("L", 3)):
            await shelly.push(event)
            if value is not None:
                assert await take(events) == ("input:0", value)


async def test_a_switch_on_an_input_of_gen1_has_a_state(driver: ShellyDriver, gen1: shelly_gen1.Shelly) -> None:
    """It is told when it is flipped."""
    events = driver.events()
    driver.follow(where(gen1))
    await until(events, "input:0", 0)
    await gen1.flip()
    await until(events, "input:0", 1)


@pytest.mark.parametrize("gen", [1, 2])
async def test_a_cover_on_its_way_does_not_echo(gen: int) -> None:
    """Of a commanded position nothing but the movement is told; of one by hand also where it came to rest."""
    async with (
        open_shelly_gen1(kind="cover", travel=0.5) as gen1,
        open_shelly_gen2(kind="cover", travel=0.5) as gen2,
        open_driver() as driver,
    ):
        shelly = gen1 if gen == 1 else gen2
        events = driver.events()
        driver.follow(where(shelly))
        await until(events, "input:1", 0)
        await set_to(driver, where(shelly), "cover:0:position", 80)
        seen = await until(events, "cover:0", 1) + await until(events, "cover:0", 0)
        assert [component for component, _ in seen if component == "cover:0:position"] == []
        await shelly.press()
        assert ("cover:0", -1) in await until(events, "cover:0:position", 0)


@pytest.mark.parametrize("gen", [1, 2])
async def test_it_listens_again_after_a_restart(
    driver: ShellyDriver, gen1: shelly_gen1.Shelly, gen2: shelly_gen2.Shelly, gen: int
) -> None:
    """While it can not be reached the driver says why; back where it was, what changed meanwhile is told."""
    shelly = gen1 if gen == 1 else gen2
    events = driver.events()
    driver.follow(where(shelly))
    await until(events, "switch:0", 0)
    shelly.refuse(503)
    await shelly.move(port=shelly.port)
    await shelly.press()
    async with asyncio.timeout(10):
        while (trouble := driver.trouble(where(shelly).id)) is None:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
        while "503" not in trouble.says:
            await asyncio.sleep(0.01)
            trouble = driver.trouble(where(shelly).id)
            assert trouble is not None
    shelly.accept()
    await until(events, "switch:0", 1)
    assert driver.trouble(where(shelly).id) is None


async def test_a_silent_websocket_is_noticed(driver: ShellyDriver, gen2: shelly_gen2.Shelly) -> None:
    """A device that hangs with its connection open is found out by asking, and listened to again when it is back."""
    events = driver.events()
    driver.follow(where(gen2))
    await until(events, "switch:0", 0)
    gen2.freeze()
    async with asyncio.timeout(10):
        while driver.trouble(where(gen2).id) is None:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
        with pytest.raises(Unavailable, match="did not answer within"):
            await set_to(driver, where(gen2), "switch:0", 1)
    gen2.thaw()
    await gen2.press()
    await until(events, "switch:0", 1)


async def test_a_forgotten_shelly_is_left_alone(driver: ShellyDriver, gen2: shelly_gen2.Shelly) -> None:
    """After forget() the connection ends."""
    driver.follow(where(gen2))
    async with asyncio.timeout(10):
        await gen2.until(lambda one: one.listeners == 1)
        driver.forget(where(gen2).id)
        await gen2.until(lambda one: one.listeners == 0)


@pytest.mark.parametrize("gen", [1, 2])
@pytest.mark.parametrize(
    ("status", "error"), [(400, Rejected), (404, Rejected), (429, Unavailable), (500, Unavailable), (503, Unavailable)]
)
async def test_statuses(
    driver: ShellyDriver,
    gen1: shelly_gen1.Shelly,
    gen2: shelly_gen2.Shelly,
    gen: int,
    status: int,
    error: type[Exception],
) -> None:
    """What the device blames on us is never repeated, what it blames on itself is tried again."""
    shelly = gen1 if gen == 1 else gen2
    shelly.refuse(status)
    with pytest.raises(error, match=f"HTTP status {status}"):
        await set_to(driver, where(shelly), "switch:0", 1)


@pytest.mark.parametrize(
    ("code", "error"), [(-103, Rejected), (-109, Rejected), (-108, Unavailable), (500, Unavailable)]
)
async def test_errors_of_the_rpc(
    driver: ShellyDriver, gen2: shelly_gen2.Shelly, code: int, error: type[Exception]
) -> None:
    """The device's own words are told; what can not be is never repeated."""

    async def refusing(request: web.Request) -> web.StreamResponse:
        if request.path == "/shelly":
            return web.json_response(gen2.info())
        return await answering(request, gen2, {"Switch.Set": {"error": {"code": code, "message": "Too hot!"}}})

    async with serving(refusing) as (address, port):
        with pytest.raises(error, match="refused it: Too hot\\."):
            await set_to(driver, device_at(address, port, gen2.mac), "switch:0", 1)


async def test_a_relay_that_protects_itself_was_not_turned_on(driver: ShellyDriver, gen1: shelly_gen1.Shelly) -> None:
    """The answer of Gen1 is looked at."""

    async def protected(request: web.Request) -> web.StreamResponse:
        if request.path == "/relay/0":
            return web.json_response({"ison": False, "overpower": True})
        return web.json_response(await answer_of(gen1, request.path))

    async with serving(protected) as (address, port):
        with pytest.raises(Unavailable, match="took the command, but did not do it"):
            await set_to(driver, device_at(address, port, gen1.mac), "switch:0", 1)


@pytest.mark.parametrize(("gen", "member"), [(1, "fw"), (2, "fw_id")])
async def test_an_old_firmware_is_rejected_with_what_to_do(driver: ShellyDriver, gen: int, member: str) -> None:
    """The sentence says which, and where to update it."""
    async with open_shelly_gen1() as gen1, open_shelly_gen2() as gen2:
        shelly = gen1 if gen == 1 else gen2
        answer = (await answer_of(shelly, "/shelly")) | {member: "20190531-075812/v1.5.0"}
        shelly.refuse(200, json.dumps(answer))
        with pytest.raises(Rejected, match=r"firmware of 20190531.*too old.*Update it on its web page"):
            await driver.describe(where(shelly))


async def test_it_can_not_lead_us_elsewhere(driver: ShellyDriver, gen1: shelly_gen1.Shelly) -> None:
    """A redirect, which could turn a command against anything on the network, is not followed."""

    async def redirect(request: web.Request) -> web.Response:
        location = f"http://{gen1.address}:{gen1.port}{request.path_qs}"
        return web.Response(status=307, headers={"Location": location})

    async with serving(redirect) as (address, port):
        with pytest.raises(Unavailable, match="sends us elsewhere"):
            await set_to(driver, device_at(address, port, gen1.mac), "switch:0", 1)
    assert gen1.commands == ()


async def test_an_endless_answer_is_cut(driver: ShellyDriver) -> None:
    """More than a Shelly could have to say is not read."""
    sent = 0

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while True:
            await response.write(b" " * 65_536)
            sent += 65_536

    async with serving(flood) as (address, port):
        with pytest.raises(Unavailable):
            await driver.describe(device_at(address, port, MAC))
    assert sent < 64 << 20


@pytest.mark.parametrize("gen", [1, 2])
async def test_any_member_may_be_nonsense(gen: int) -> None:
    """Whatever a device says in place of one member, it is described or the driver says why not, and nothing else."""
    outcomes: set[type[Exception] | None] = set()
    config = msgspec.structs.replace(QUICK, answer_within=0.2)  # an answer that is no JSON at all is waited for
    async with (
        open_shelly_gen1(kind="color") as gen1,
        open_shelly_gen2(kind="color") as gen2,
        open_driver(config) as driver,
    ):
        shelly = gen1 if gen == 1 else gen2
        truth: dict[str, object] = {path: await answer_of(shelly, path) for path in PATHS[gen]}
        answers = truth

        async def lying(request: web.Request) -> web.StreamResponse:
            if request.path == "/rpc":
                results = {method: {"result": answers[method]} for method in PATHS[2][1:]}
                return await answering(request, gen2, results)
            return web.json_response(answers[request.path])

        every = [(path, inner, value) for path in truth for inner in paths(truth[path]) for value in NONSENSE]
        async with serving(lying) as (address, port):
            device = device_at(address, port, shelly.mac)
            for path, inner, value in random.Random(7).sample(every, 250):
                answers = truth | {path: replaced(truth[path], inner, value)}
                outcomes.add(await outcome(driver, device))
    assert {None, Unavailable} <= outcomes <= {None, Unavailable, Rejected}  # it may say that it wants a password


async def test_nonsense_that_is_pushed_harms_nobody(driver: ShellyDriver, gen2: shelly_gen2.Shelly) -> None:
    """Frames that are none, calls to us, answers to nothing, and wrong members are dropped; the next change is told."""
    frames: list[str | bytes] = [
        *("[]", "{", "3", "null", "{}", b"\x00\xff", '{"id": [1], "result": 1}', '{"id": {}, "error": []}'),
        *('{"id": 99, "result": {}}', '{"id": 7, "src": "x", "method": "Shelly.GetStatus"}', '{"method": 3}'),
        *('{"method": "NotifyStatus"}', '{"method": "NotifyStatus", "params": [1]}', "[" * 100_000),
        *('{"method": "NotifyEvent", "params": {"events": {"a": 1}}}', '{"method": "NotifyEvent", "params": 3}'),
        '{"method": "NotifyEvent", "params": {"events": [3, {"component": ["input:0"], "event": "single_push"}]}}',
        *(
            json.dumps({"method": "NotifyStatus", "params": {"switch:0": {"output": value, "apower": value}}})
            for value in NONSENSE
            if value is not True
        ),
        json.dumps({"method": "NotifyStatus", "params": {"switch:0": {"output": True}, "switch:1": {"output": True}}}),
    ]

    async def relay(request: web.Request) -> web.StreamResponse:
        if request.path == "/shelly":
            return web.json_response(gen2.info())
        return await answering(request, gen2, {}, after="Shelly.GetStatus", frames=frames)

    async with serving(relay) as (address, port):
        events = driver.events()
        driver.follow(device_at(address, port, gen2.mac))
        seen = await until(events, "switch:0", 1)
    assert {component for component, _ in seen} <= {
        "switch:0",
        "input:0",
        *(f"switch:0:{one}" for one in METERS),
        "switch:0:temperature",
    }


async def test_a_device_that_calls_us_without_end_gets_no_work_done(gen2: shelly_gen2.Shelly) -> None:
    """Ten thousand calls are neither answered nor remembered, and a command gets through."""
    heard: list[str] = []

    async def relay(request: web.Request) -> web.StreamResponse:
        if request.path == "/shelly":
            return web.json_response(gen2.info())
        frames = ['{"id": 7, "src": "x", "method": "Sys.GetStatus"}'] * 10_000
        return await answering(request, gen2, {}, after="Shelly.GetStatus", frames=frames, heard=heard)

    async with open_driver(Config()) as driver, serving(relay) as (address, port):
        device = device_at(address, port, gen2.mac)
        events = driver.events()
        driver.follow(device)
        await until(events, "switch:0", 0)
        before = len(asyncio.all_tasks())
        await set_to(driver, device, "switch:0", 1)
        assert len(asyncio.all_tasks()) <= before
    assert "Switch.Set" in heard
    assert len(heard) < 10


@pytest.mark.parametrize(
    "table",
    [{"answer_within": "soon"}, {"answer_within": 0}, {"poll_most": 0}, {"reconnect_most": 0.1}, {"username": "a:b"}],
)
def test_the_table_is_checked(table: dict[str, object]) -> None:
    """A time-out that is no number, or that would never wait, is an error of the configuration."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, Config)


PATHS = {
    1: ("/shelly", "/settings", "/status"),
    2: ("/shelly", "Shelly.GetDeviceInfo", "Shelly.GetConfig", "Shelly.GetStatus"),
}


async def answer_of(shelly: shelly_gen1.Shelly | shelly_gen2.Shelly, path: str) -> dict[str, Any]:
    """What the device answers to a GET of a path, or a method."""
    url = f"http://{shelly.address}:{shelly.port}/{path.strip('/') if path[0] == '/' else 'rpc/' + path}"
    async with ClientSession() as session, session.get(url) as response:
        answer: dict[str, Any] = await response.json()
        return answer


async def answering(
    request: web.Request,
    shelly: shelly_gen2.Shelly,
    instead: dict[str, dict[str, Any]],
    *,
    after: str = "",
    frames: list[Any] | None = None,
    heard: list[str] | None = None,
) -> web.WebSocketResponse:
    """A websocket that answers as the device does, or something `instead`, and sends `frames` once `after` a method."""
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        if message.type is not WSMsgType.TEXT:
            continue
        frame = json.loads(message.data)
        if heard is not None:
            heard.append(frame.get("method", ""))
        answer = instead.get(frame["method"]) or await shelly._answer(frame, trusted=True)
        await ws.send_str(json.dumps({**answer, "id": frame["id"]}))
        if frame["method"] == after and frames is not None:
            for one in frames:
                await (ws.send_bytes(one) if isinstance(one, bytes) else ws.send_str(one))
            frames.clear()
    return ws


async def outcome(driver: ShellyDriver, device: Device) -> type[Exception] | None:
    try:
        await driver.describe(device)
    except Unavailable:
        return Unavailable
    except Rejected:
        return Rejected
    return None


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
