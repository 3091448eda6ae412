"""The client of Gladys' own API: bounded, timed, typed, and its key leaves for nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from gladys_companion.config import Gladys
from gladys_companion.errors import AuthError, CompanionError, ConfigError, Rejected, Unavailable, Unsure
from gladys_companion.gladys_api import GladysApi, check, moment, open_api
from tests.gladys_server import KEY, MQTT, GladysServer, feature, open_gladys

SENTENCE = r"^[A-Z][^\n]+\.$"


@pytest.fixture
async def server() -> AsyncIterator[GladysServer]:
    async with open_gladys() as server:
        yield server


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n", encoding="utf-8")
    return file


@pytest.fixture
async def api(server: GladysServer, key: Path) -> AsyncIterator[GladysApi]:
    async with open_api(Gladys(url=f"{server.url}/", api_key_file=str(key), answer_within=0.5)) as api:
        yield api


Call = Callable[[GladysApi], Awaitable[object]]
CALLS: dict[str, Call] = {
    "devices": lambda api: api.devices(),
    "find": lambda api: api.find("mqtt:lamp"),
    "device": lambda api: api.device("mqtt:lamp"),
    "feature": lambda api: api.feature("mqtt-lamp-on"),
    "set_value": lambda api: api.set_value("mqtt-lamp-on", 1.0),
    "service_id": lambda api: api.service_id("mqtt"),
    "create_device": lambda api: api.create_device({"external_id": "mqtt:x", "name": "x", "service_id": MQTT}),
    "delete_device": lambda api: api.delete_device("mqtt-lamp"),
    "users": lambda api: api.people.users(),
    "houses": lambda api: api.people.houses(),
    "areas": lambda api: api.people.areas(),
    "messages": lambda api: api.people.messages(),
    "scenes": lambda api: api.scenes.all(),
    "scene": lambda api: api.scenes.get("cinema"),
    "locate": lambda api: api.people.locate("tony", 48.0, 2.0),
    "seen": lambda api: api.people.seen("home", "tony"),
    "say": lambda api: api.people.say("hello", "0d1c2e8e-7a62-4d7b-9a3e-4f7e8f0f6a11"),
    "start_scene": lambda api: api.scenes.start("cinema"),
    "create_scene": lambda api: api.scenes.create({"name": "x", "selector": "x", "icon": "bell", "actions": [[]]}),
    "change_scene": lambda api: api.scenes.change("cinema", {"name": "y"}),
    "delete_scene": lambda api: api.scenes.delete("cinema"),
}
ASKING = (
    "devices",
    "find",
    "device",
    "feature",
    "service_id",
    "users",
    "houses",
    "areas",
    "messages",
    "scenes",
    "scene",
)


def lamp(server: GladysServer, **more: Any) -> None:
    server.add("mqtt:lamp", feature("mqtt:lamp:on", "light", **more), selector="mqtt:lamp", name="Lämp")


async def test_devices_are_read_as_gladys_has_them(server: GladysServer, api: GladysApi) -> None:
    """Features come with selector, range, unit and last value; what we do not use is left out."""
    lamp(server, unit="percent", max=100)
    server.save_state("mqtt:lamp:on", 40.5, at=1_700_000_000.25)
    (one,) = (await api.devices()).devices
    (found,) = one.features
    assert (one.external_id, one.selector, one.name, one.service_id) == ("mqtt:lamp", "mqtt-lamp", "Lämp", MQTT)
    assert (found.external_id, found.selector, found.unit, found.max) == (
        "mqtt:lamp:on",
        "mqtt-lamp-on",
        "percent",
        100,
    )
    assert (found.last_value, moment(found.last_value_changed), found.read_only) == (40.5, 1_700_000_000.25, False)
    assert await api.device("mqtt:lamp") == one
    assert await api.device("mqtt:lam") is None
    assert await api.feature("mqtt-lamp-on") == found
    assert await api.feature("mqtt-lamp-off") is None


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2023-11-14T22:13:20.250Z", 1_700_000_000.25),
        ("2023-11-14 22:13:20.250 +00:00", 1_700_000_000.25),
        ("2023-11-14T22:13:20", 1_700_000_000.0),
        (None, None),
        ("", None),
        ("yesterday", None),
        ("9999-99-99T00:00:00Z", None),
    ],
)
def test_times_are_read_or_are_none(written: str | None, read: float | None) -> None:
    """A time that makes no sense is no time, and no error."""
    assert moment(written) == read


@pytest.mark.parametrize("number", [0, 1, 99, 100, 101, 250])
async def test_devices_come_part_by_part(server: GladysServer, api: GladysApi, number: int) -> None:
    """However many there are, each comes once, and a Gladys that knows of no parts is not asked for ever."""
    for index in range(number):
        server.add(f"mqtt:{index}", feature(f"mqtt:{index}:on"))
    for server.paged in (True, False):
        listing = await api.devices()
        assert sorted(one.external_id for one in listing.devices) == sorted(server.devices), server.paged
        assert listing.pages == 1 + number // 100 if server.paged else True


async def test_an_odd_device_costs_no_other(server: GladysServer, api: GladysApi) -> None:
    """A device that can not be read is named, and the others are there."""
    lamp(server)
    server.add("mqtt:odd", feature("mqtt:odd:on"))["features"][0]["min"] = "least"
    server.devices["mqtt:none"] = {**server.devices["mqtt:odd"], "external_id": 7}
    listing = await api.devices()
    assert [one.external_id for one in listing.devices] == ["mqtt:lamp"]
    assert sorted(listing.odd) == ["", "mqtt:odd"]


async def test_numbers_that_are_texts_are_numbers(server: GladysServer, api: GladysApi) -> None:
    """SQLite does not mind which it keeps, and neither do we."""
    lamp(server)
    server.feature("mqtt:lamp:on").update(min="0", max="1", read_only=0, last_value="1")
    (one,) = (await api.devices()).devices
    assert (one.features[0].max, one.features[0].read_only, one.features[0].last_value) == (1.0, False, 1.0)


async def test_a_value_is_set_by_the_selector(server: GladysServer, api: GladysApi) -> None:
    """Whole numbers arrive as such, and the key as Gladys wants it: raw."""
    lamp(server)
    for value in (1.0, 0.5, "text"):
        await api.set_value("mqtt-lamp-on", value)
    async with asyncio.timeout(10), server.changed:
        await server.changed.wait_for(lambda: len(server.commanded) == 3)
    assert server.commanded == [("mqtt:lamp:on", 1), ("mqtt:lamp:on", 0.5), ("mqtt:lamp:on", "text")]
    assert set(server.keys_seen) == {KEY}


async def test_devices_are_created_and_deleted(server: GladysServer, api: GladysApi) -> None:
    """As the fake of Gladys' source takes them; what it refuses is said in its words."""
    service = await api.service_id("mqtt")
    members = {"name": "Mine", "external_id": "wled:a1", "service_id": service, "selector": "wled:a1"}
    await api.create_device({**members, "features": [feature("wled:a1:on", "light")], "params": []})
    found = await api.find("wled:a1")
    assert found is not None
    assert found["service_id"] == MQTT
    with pytest.raises(Rejected, match=r"category"):
        await api.create_device({**members, "features": [feature("wled:a1:on", "disco")]})
    with pytest.raises(Rejected, match=r"selector must be unique"):
        await api.create_device({**members, "external_id": "wled:a2"})
    await api.delete_device(found["selector"])
    assert server.devices == {}
    with pytest.raises(Rejected, match=r"Device not found"):
        await api.delete_device("wled-a1")
    with pytest.raises(Rejected, match=r"SERVICE_NOT_FOUND"):
        await api.service_id("telegram")


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        ("hang", Unavailable, "did not answer within 0.5 s"),
        ("slow", Unavailable, "did not answer within 0.5 s"),
        ("close", Unavailable, "did not answer as it should"),
        (500, Unavailable, "failed: SQLITE_BUSY: database is locked"),
        (429, Unavailable, "failed"),
        ("redirect", Rejected, r"sends us elsewhere to http://127.0.0.1:1/api/v1/device: set \[gladys\] url"),
        (400, Rejected, "refused it"),
        (403, AuthError, "refuses the API key"),
    ],
)
async def test_what_goes_wrong_is_said(
    server: GladysServer, api: GladysApi, name: str, fault: str | int, kind: type[CompanionError], says: str
) -> None:
    """Every call ends, in one of three errors, with a sentence, and without the key."""
    lamp(server)
    server.fault = fault
    with capture_logs() as logs, pytest.raises(CompanionError, match=says) as raised:
        await CALLS[name](api)
    assert isinstance(raised.value, kind)
    if kind is Unavailable and isinstance(fault, str):
        assert isinstance(raised.value, Unsure) == (name not in ASKING)
    assert KEY not in f"{raised.value!r} {raised.value.__cause__!r} {logs}"


@pytest.mark.parametrize("name", ASKING)
@pytest.mark.parametrize("fault", ["garbage", "huge"])
async def test_garbage_is_no_gladys(server: GladysServer, api: GladysApi, name: str, fault: str) -> None:
    """Another program at that address, and an answer without end, end as unavailable; what was read is bounded."""
    server.fault = fault
    with pytest.raises(Unavailable, match=SENTENCE):
        await CALLS[name](api)


@pytest.mark.parametrize("answer", ["{}", "[1]", '[{"a": 1}]', "null", "[[[[", '{"id": 1}', ""])
async def test_other_json_is_no_gladys(key: Path, answer: str) -> None:
    """JSON of another shape is told like garbage, or is a list of odd devices, and never a bug of ours."""

    async def other(_: web.Request) -> web.Response:
        return web.Response(text=answer, content_type="application/json")

    async with serving(other) as url, open_api(Gladys(url=url, api_key_file=str(key))) as api:
        for call in CALLS.values():
            with suppress(Unavailable):
                await call(api)
        with pytest.raises(Unavailable, match=r"check \[gladys\] url\."):
            await api.service_id("mqtt")


async def test_a_refused_key_says_what_to_do(api: GladysApi, key: Path) -> None:
    """It is read again for each request, so that a mended file is enough."""
    await asyncio.to_thread(key.write_text, "not-the-key")
    with pytest.raises(AuthError, match=r"refuses the API key \(Api key not found\): make a new one"):
        await api.devices()
    await asyncio.to_thread(key.write_text, KEY)
    assert (await api.devices()).devices == ()


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"two\nlines", b"\xff\xfe", b"k\xc3\xa9y", b"x" * 5_000])
async def test_a_file_without_a_key_is_told(server: GladysServer, api: GladysApi, key: Path, content: bytes) -> None:
    """Nothing is asked with what can not be a key, and the file's content is in no sentence."""
    await asyncio.to_thread(key.write_bytes, content)
    with pytest.raises(AuthError, match=SENTENCE) as raised:
        await api.devices()
    assert server.asked == []
    assert "words" not in str(raised.value)


def test_config_check_reads_the_key(tmp_path: Path) -> None:
    """`config check` says what is wrong with the file, where Gladys is used at all."""
    check(Gladys(api_key_file=str(tmp_path / "none")))
    with pytest.raises(ConfigError, match=r"can not be read"):
        check(Gladys(url="http://127.0.0.1", api_key_file=str(tmp_path / "none")))


async def test_the_key_comes_from_the_environment(server: GladysServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file, as for every other secret."""
    monkeypatch.setenv("GLADYS_API_KEY", KEY)
    async with open_api(Gladys(url=server.url)) as api:
        assert (await api.devices()).devices == ()


async def test_nobody_listens(server: GladysServer, api: GladysApi) -> None:
    """A Gladys that is down is told with its address; a command to it was not sent, and that is sure."""
    await server.stop()
    with pytest.raises(
        Unavailable, match=rf"Gladys at {server.url} can not be reached: connection refused\."
    ) as raised:
        await api.set_value("x", 1.0)
    assert not isinstance(raised.value, Unsure)
    async with open_api(Gladys(url="http://gladys.invalid", api_key_file="/dev/null")) as nowhere:
        with pytest.raises(AuthError, match=r"no API key"):
            await nowhere.devices()


@asynccontextmanager
async def serving(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """Answer everything so."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
