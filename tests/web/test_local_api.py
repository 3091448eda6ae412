"""The local API: everything on the socket, only reading on loopback, errors as Gladys' body."""

import asyncio
import io
import json
import re
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from gladys_companion.config import Local
from gladys_companion.errors import AddressInUse, ConfigError
from gladys_companion.model import Event
from gladys_companion.web import views
from gladys_companion.web.routes import ROUTES
from gladys_companion.web.server import local_app, open_local, open_socket, socket_app, socket_path
from gladys_companion.web.service import Service
from tests.web.home import QuietHost, open_home

KEY = "01912d68-783e-7a01-8ea6-2f5b7a0f3c5d"
LAMP = {
    "name": "My <b>phone</b>",
    "features": [{"external_id": "mqtt:my/phone?x=1", "category": "presence-sensor", "type": "push", "max": 5}],
}


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with open_home(tmp_path) as service:
        yield service


@pytest.fixture
async def client(service: Service) -> AsyncIterator[aiohttp.ClientSession]:
    """Talk to the Unix socket."""
    path = socket_path(service.config)
    async with (
        open_socket(service, path),
        aiohttp.ClientSession("http://daemon", connector=aiohttp.UnixConnector(str(path))) as client,
    ):
        assert path.stat().st_mode & 0o777 == 0o660
        yield client
    assert not path.exists()


@pytest.fixture
async def visitor(service: Service) -> AsyncIterator[aiohttp.ClientSession]:
    """Talk to the loopback address."""
    async with open_local(service) as (host, port), aiohttp.ClientSession(f"http://{host}:{port}") as client:
        yield client


async def ask(client: aiohttp.ClientSession, method: str, path: str, body: object = None) -> tuple[int, Any]:
    async with client.request(method, path, json=body) as response:
        return response.status, await response.json()


async def test_devices_are_made_named_set_and_forgotten(client: aiohttp.ClientSession) -> None:
    """A virtual device lives its whole life over the socket."""
    status, made = await ask(client, "POST", "/api/devices", LAMP)
    assert (status, made["id"], made["features"][0]["writable"]) == (200, "virtual:my-b-phone-b", False)
    path = "/api/devices/virtual%3Amy-b-phone-b"
    assert (await ask(client, "PATCH", path, {"name": "Phone"}))[1]["name"] == "Phone"
    status, receipt = await ask(client, "POST", f"{path}/set", {"external_id": "mqtt:my/phone?x=1", "value": 3})
    assert (status, receipt["outcome"]) == (200, "delivered")
    [device] = (await ask(client, "GET", "/api/devices"))[1]
    assert device["features"][0]["value"] == 3
    msgspec.convert(device, views.DeviceView)
    assert await ask(client, "DELETE", path) == (200, {})
    assert (await ask(client, "GET", path))[1]["error_code"] == "DEVICE_NOT_FOUND"


async def test_events_are_listed_traced_and_replayed(client: aiohttp.ClientSession) -> None:
    """What happened can be looked up hop by hop, and sent again as an event of its own."""
    await ask(client, "POST", "/api/devices", LAMP)
    wish = {"external_id": "mqtt:my/phone?x=1", "value": True}
    _, receipt = await ask(client, "POST", "/api/devices/virtual:my-b-phone-b/set", wish)
    _, trace = await ask(client, "GET", f"/api/events/{receipt['id']}")
    assert [hop["hop"] for hop in trace["hops"]] == ["happened", "journal", "virtual"]
    msgspec.convert(trace, views.TraceView)
    status, again = await ask(client, "POST", f"/api/events/{receipt['id']}/replay")
    assert status == 200
    assert again["id"] != receipt["id"]
    assert (await ask(client, "GET", f"/api/events/{again['id']}"))[1]["cause"] == receipt["id"]
    _, listed = await ask(client, "GET", "/api/events?limit=1&external_id=mqtt:my/phone%3Fx=1")
    assert [row["id"] for row in listed] == [again["id"]]
    msgspec.convert(listed, tuple[views.EventView, ...])
    assert (await ask(client, "GET", "/api/events/none"))[1]["error_code"] == "EVENT_NOT_FOUND"
    assert (await ask(client, "GET", "/api/events?limit=x"))[1]["field"] == "limit"


async def test_stream_tells_what_comes(client: aiohttp.ClientSession) -> None:
    """Whoever follows the stream hears of each event, once it is committed."""
    await ask(client, "POST", "/api/devices", LAMP)
    async with client.get("/api/events/stream") as stream:
        assert stream.content_type == "text/event-stream"
        wish = {"external_id": "mqtt:my/phone?x=1", "value": 2}
        _, receipt = await ask(client, "POST", "/api/devices/virtual:my-b-phone-b/set", wish)
        row = json.loads((await stream.content.readuntil(b"\n\n")).removeprefix(b"data: "))
        assert (row["id"], row["outcome"]) == (receipt["id"], "delivered")
        msgspec.convert(row, views.EventView)


async def test_aliases_and_exposure(client: aiohttp.ClientSession) -> None:
    """A feature gets and loses other ids, and keys that may command it."""
    await ask(client, "POST", "/api/devices", LAMP)
    own, alias = "mqtt:my/phone?x=1", "mqtt:ä/ö"
    assert await ask(client, "POST", "/api/aliases", {"alias": alias, "external_id": own}) == (200, {})
    exposed = {"external_id": own, "key_ids": [KEY]}
    assert await ask(client, "POST", "/api/expose", {**exposed, "external_id": alias}) == (200, exposed)
    status, refused = await ask(client, "POST", "/api/expose", {"external_id": own, "key_ids": ["My phone"]})
    assert (status, refused["field"], "gateway key list" in refused["error_message"]) == (422, "key_ids", True)
    [listed] = (await ask(client, "GET", "/api/aliases"))[1]
    assert listed == {"alias": alias, "external_id": own, "device": "My <b>phone</b>"}
    [device] = (await ask(client, "GET", "/api/devices"))[1]
    assert (device["features"][0]["exposed"], device["features"][0]["aliases"]) == ([KEY], [alias])
    assert await ask(client, "DELETE", "/api/expose?external_id=mqtt:my/phone%3Fx=1") == (200, {})
    assert await ask(client, "DELETE", "/api/aliases/mqtt:%C3%A4%2F%C3%B6") == (200, {})
    assert (await ask(client, "DELETE", "/api/aliases/x"))[1]["error_code"] == "ALIAS_NOT_FOUND"
    assert (await ask(client, "DELETE", "/api/expose"))[1]["field"] == "external_id"


async def test_pairing_is_the_hosts(client: aiohttp.ClientSession) -> None:
    """A refused code is told with its status, a good one with the home's name."""
    status, refused = await ask(client, "POST", "/api/pair", {"url": "https://g.example", "code": "x"})
    assert (status, refused["error_code"]) == (403, "PAIRING_REFUSED")
    assert (await ask(client, "POST", "/api/pair", {"url": "https://g.example", "code": "ABCDEFGH"}))[0] == 200
    assert (await ask(client, "GET", "/api/status"))[1]["link"]["state"] == "connected"
    assert await ask(client, "POST", "/api/unpair") == (200, {"warning": None})


async def test_backup_is_a_sound_copy(client: aiohttp.ClientSession, tmp_path: Path) -> None:
    """The backup arrives whole, and nothing of it stays behind."""
    await ask(client, "POST", "/api/devices", LAMP)
    async with client.post("/api/backup") as response:
        (tmp_path / "copy.db").write_bytes(await response.read())
    with sqlite3.connect(tmp_path / "copy.db") as copy:
        assert copy.execute("SELECT name FROM devices").fetchall() == [("My <b>phone</b>",)]
    copy.close()
    assert not await asyncio.to_thread(lambda: list((tmp_path / "state").glob("backup-*")))


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/api/devices", {"name": "x"}, 422, "INVALID_FIELD"),
        ("POST", "/api/devices", {**LAMP, "nmae": 1}, 422, "INVALID_FIELD"),
        ("POST", "/api/devices", {"name": "", "features": LAMP["features"]}, 422, "INVALID_FIELD"),
        ("POST", "/api/aliases", {"alias": "a", "external_id": "none"}, 404, "DEVICE_FEATURE_NOT_FOUND"),
        ("POST", "/api/devices/none/set", {"external_id": "none", "value": 1}, 404, "DEVICE_FEATURE_NOT_FOUND"),
        ("POST", "/api/devices/none/set", {"external_id": "none", "value": []}, 422, "INVALID_FIELD"),
        ("PUT", "/api/devices", {}, 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/api/nothing", None, 404, "ROUTE_NOT_FOUND"),
    ],
)
async def test_mistakes_are_told(
    client: aiohttp.ClientSession, method: str, path: str, body: object, status: int, code: str
) -> None:
    """Each mistake is answered with its status and stable code."""
    got, answer = await ask(client, method, path, body)
    assert (got, answer["error_code"], answer["status"]) == (status, code, status)


async def test_body_that_is_not_json_is_told(client: aiohttp.ClientSession) -> None:
    """Not JSON, not UTF-8 and too much are 400 and 413, not 500."""
    for body, code in (
        (b"{", "BAD_REQUEST"),
        (b"\xff", "BAD_REQUEST"),
        (io.BytesIO(b"x" * 1_048_577), "BODY_TOO_LARGE"),
    ):
        async with client.post("/api/aliases", data=body) as response:
            assert (await response.json())["error_code"] == code


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"name": "x"}, "features", "features is missing."),
        ({**LAMP, "nmae": 1}, "nmae", "There is no field 'nmae'."),
        ({**LAMP, "name": ""}, "name", "name is empty."),
        ({**LAMP, "name": "x" * 201}, "name", "name has more than 200 characters."),
        ({**LAMP, "name": 1}, "name", "name: expected str, got int."),
        ({"name": "x", "features": [{}]}, "features[0].external_id", "features[0].external_id is missing."),
    ],
)
async def test_field_that_is_wrong_is_named(client: aiohttp.ClientSession, body: object, field: str, says: str) -> None:
    """The sentence names the field, and what is wrong with it."""
    status, answer = await ask(client, "POST", "/api/devices", body)
    assert (status, answer["field"], answer["error_message"]) == (422, field, says)


async def test_state_that_there_is_not(client: aiohttp.ClientSession) -> None:
    """A list of events in a state that does not exist is a mistake, and not empty."""
    assert (await ask(client, "GET", "/api/events?state=unbound"))[0] == 200
    status, answer = await ask(client, "GET", "/api/events?state=foo")
    assert (status, answer["field"]) == (422, "state")


async def test_stream_tells_what_was_bound(client: aiohttp.ClientSession, service: Service) -> None:
    """An event that waited for a meaning is told again when it has got one."""
    async with client.get("/api/events/stream") as stream:
        await service.intake.submit(
            Event(
                id="e",
                origin="gateway",
                at=1.0,
                received_at=1.0,
                external_id="nfc:door",
                value=1.0,
                deadline=0.0,
                boot="b",
            )
        )
        rows = [json.loads((await stream.content.readuntil(b"\n\n")).removeprefix(b"data: "))]
        await service.add_device(msgspec.convert({**LAMP, "features": [{"external_id": "nfc:door"}]}, views.AddDevice))
        rows.append(json.loads((await stream.content.readuntil(b"\n\n")).removeprefix(b"data: ")))
    assert [(row["id"], row["state"]) for row in rows] == [("e", "unbound"), ("e", "planned")]


async def test_device_that_does_not_answer_says_why(client: aiohttp.ClientSession, service: Service) -> None:
    """What its driver says of a device stands beside it."""
    await ask(client, "POST", "/api/devices", LAMP)
    assert (await ask(client, "GET", "/api/devices"))[1][0]["trouble"] is None
    assert isinstance(service.host, QuietHost)
    service.host.silent.add("virtual:my-b-phone-b")
    assert (await ask(client, "GET", "/api/devices"))[1][0]["trouble"] == {
        "says": "It does not answer.",
        "since": 1.0,
        "reached": False,
    }


async def test_same_id_twice_is_refused(client: aiohttp.ClientSession) -> None:
    """Neither a device nor an external id is taken over by another."""
    await ask(client, "POST", "/api/devices", LAMP)
    assert (await ask(client, "POST", "/api/devices", LAMP))[1]["error_code"] == "DEVICE_EXISTS"
    assert (await ask(client, "POST", "/api/devices", {**LAMP, "id": "other"}))[1]["error_code"] == "EXTERNAL_ID_TAKEN"


async def test_loopback_only_reads(visitor: aiohttp.ClientSession, service: Service) -> None:
    """What changes something is not on TCP at all."""
    for route in ROUTES:
        path = route.path.replace("{id}", "none").replace("{alias}", "none")
        if not route.reads:
            status, answer = await ask(visitor, route.method, path, {})
            assert (status, answer["error_code"]) in {(404, "ROUTE_NOT_FOUND"), (405, "METHOD_NOT_ALLOWED")}, path
    assert service.registry.snapshot.devices == {}
    assert str(socket_path(service.config)) in (await ask(visitor, "POST", "/api/devices", {}))[1]["error_message"]
    assert (await ask(visitor, "GET", "/api/doctor"))[1][0]["name"] == "store"


async def test_page_escapes_and_needs_nothing_from_elsewhere(visitor: aiohttp.ClientSession, service: Service) -> None:
    """The pages show devices and events, escaped, and nothing from elsewhere, under a strict policy."""
    await service.add_device(msgspec.convert(LAMP, views.AddDevice))
    await service.set_value("virtual:my-b-phone-b", views.SetValue(external_id="mqtt:my/phone?x=1", value=4.0))
    text = ""
    for path in ("/", "/devices", "/events", "/people"):
        async with visitor.get(path) as response:
            assert response.status == 200
            text += await response.text()
            policy = response.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
            assert "unsafe" not in policy
    assert "My &lt;b&gt;phone&lt;/b&gt;" in text
    assert "<b>" not in text
    assert "done" in text
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", text)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8480", 200),
        ("localhost", 200),
        ("[::1]:1", 200),
        ("127.0.0.1.evil.example", 421),
        ("evil.example:8480", 421),
        ("", 421),
    ],
)
async def test_names_that_were_rebound_are_refused(visitor: aiohttp.ClientSession, host: str, status: int) -> None:
    """Only the names of this machine's own loopback open the page."""
    async with visitor.get("/api/status", headers={"Host": host}) as response:
        assert response.status == status
        if status == 421:
            assert f"127.0.0.1:{visitor._base_url.port}/" in (await response.json())["error_message"]  # type: ignore[union-attr]  # aiohttp tells it nowhere else


async def test_other_addresses_are_refused(service: Service) -> None:
    """An address that others can reach is an error of the configuration, not an open page."""
    config = msgspec.structs.replace(service.config, local=Local(listen="0.0.0.0:0"))
    with pytest.raises(ConfigError, match="First set a password"):
        async with open_local(msgspec.structs.replace(service, config=config)):
            pass


async def test_address_that_is_taken(service: Service) -> None:
    """Another program on our port is no mistake in the file: a later start may go well."""
    async with open_local(service) as (host, port):
        config = msgspec.structs.replace(service.config, local=Local(listen=f"{host}:{port}"))
        with pytest.raises(AddressInUse, match="another program") as refused:
            async with open_local(msgspec.structs.replace(service, config=config)):
                pass
        assert refused.value.exit_code == 75


async def test_socket_of_a_dead_process_is_replaced(service: Service, tmp_path: Path) -> None:
    """What a killed daemon left does not stop the next; a path that the system can not take is told."""
    path = tmp_path / "run" / "daemon.sock"
    path.parent.mkdir()
    path.touch()
    async with open_socket(service, path):
        assert path.is_socket()
    with pytest.raises(ConfigError, match="too long"):
        async with open_socket(service, tmp_path / ("x" * 120)):
            pass
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="can not be made"):
        async with open_socket(service, tmp_path / "file" / "daemon.sock"):
            pass


PAGES = (
    "/device",
    "/events",
    "/history",
    "/people",
    "/phones",
    "/settings",
    "/static/",
    "/login",
    "/logout",
    "/aliases",
)


def served(app: web.Application) -> set[tuple[str, str]]:
    """Return (method, path) of everything that an application serves but its pages."""
    found = {(route.method, (route.resource.canonical if route.resource else "")) for route in app.router.routes()}
    return {(method, path) for method, path in found if method != "HEAD" and path != "/" and not path.startswith(PAGES)}


async def test_document_tells_the_routes(client: aiohttp.ClientSession, service: Service) -> None:
    """The OpenAPI document holds exactly what is served, and every reference in it leads somewhere."""
    document = (await ask(client, "GET", "/api/openapi.json"))[1]
    told = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert told == served(socket_app(service))
    on_tcp = {
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if operation["x-tcp"]
    }
    assert on_tcp == served(local_app(service))
    for name in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)):
        assert name in document["components"]["schemas"]
