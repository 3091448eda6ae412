"""What phones may ask of the gateway, and how each mistake is answered."""

from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
import time
from pathlib import Path
from typing import Any, cast

import pytest

from gladys_companion.gateway.routes import tracks
from tests.gateway_world import LAMP, delivered, open_world
from tests.home import SetClock

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
GOOD = {"device_feature_external_id": LAMP, "state": 1}
TEXT = "x" * 64


async def test_state_reaches_home_and_its_receipt_the_phone(tmp_path: Path) -> None:
    """The home gets the Plus fields and ours, and the phone gets what the home said."""
    async with open_world(tmp_path) as world, world.connected() as home:
        answer = await world.state(1)
        (message,) = await home.came(1)
        companion = message.pop("companion")
        assert message == {
            "version": "1.0",
            "type": "gladys-open-api",
            "action": "create-device-state",
            "instance_id": world.paired.instance.value.id,
            "data": GOOD,
            "sender_id": world.home.user_id,
            "local_user_id": None,
        }
        assert companion["key"]["name"] == "Phone 0"
        assert companion["age_ms"] < 5_000
        assert (answer.status, answer.body) == (
            200,
            {"status": 200, "id": companion["id"], "outcome": "delivered", "duplicate": False},
        )


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer {key}"},
        {"Authorization": "bearer  {key}"},
        {"Authorization": "Basic {basic}"},
    ],
)
async def test_key_may_come_in_a_header(tmp_path: Path, headers: dict[str, str]) -> None:
    """The same path without the key takes it as Bearer, or as the password of Basic."""
    async with open_world(tmp_path) as world:
        basic = base64.b64encode(f"phone:{world.key}".encode()).decode()
        sent = {name: value.format(key=world.key, basic=basic) for name, value in headers.items()}
        answer = await world.ask("POST", "/v1/api/device/state", json=GOOD, headers=sent)
        assert answer.status == 202


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (FORM, "device_feature_external_id=mqtt%3Amy-lamp&state=1"),
        (FORM, json.dumps(GOOD)),
        ({"Content-Type": "text/plain"}, json.dumps(GOOD)),
        ({"Content-Type": "application/json; charset=utf-8"}, json.dumps(GOOD)),
        (FORM, "device_feature_external_id=mqtt:my-lamp&state=true"),
    ],
)
async def test_forms_and_json_by_any_name(tmp_path: Path, headers: dict[str, str], body: str) -> None:
    """A form is taken, and JSON is taken as the JSON it is; a Gladys gets a number."""
    async with open_world(tmp_path) as world, world.connected(companion=False) as home:
        answer = await world.post(data=body, headers=headers)
        assert answer.status == 200
        assert (await home.came(1))[0]["data"] == GOOD


def _with(**changes: Any) -> str:
    members = {**GOOD, **changes}
    return json.dumps({name: value for name, value in members.items() if value is not ...})


def _nested(depth: int) -> str:
    """Return the end of an object with a last member that is so deep."""
    return ',"note":' + "[" * depth + "]" * depth + "}"


@pytest.mark.parametrize(
    ("headers", "body", "status", "code", "field"),
    [
        (JSON, "{", 400, "BAD_REQUEST", None),
        (JSON, "", 400, "BAD_REQUEST", None),
        (JSON, '"abc"', 400, "BAD_REQUEST", None),
        (JSON, "[1]", 400, "BAD_REQUEST", None),
        (JSON, "null", 400, "BAD_REQUEST", None),
        (JSON, '{"device_feature_external_id":"a","state":NaN}', 400, "BAD_REQUEST", None),
        (JSON, "[" * 5_000, 400, "BAD_REQUEST", None),
        (JSON, '{"device_feature_external_id":"a","state":1e400}', 400, "BAD_REQUEST", None),
        (JSON, "\xff\xfe", 400, "BAD_REQUEST", None),
        (FORM, "state=%FF&device_feature_external_id=a", 400, "BAD_REQUEST", None),
        (FORM, "nonsense", 400, "BAD_REQUEST", None),
        ({"Content-Type": "multipart/form-data; boundary=x"}, "--x", 400, "BAD_REQUEST", None),
        (JSON, _with(device_feature_external_id=...), 422, "INVALID_FIELD", "device_feature_external_id"),
        (JSON, _with(device_feature_external_id=7), 422, "INVALID_FIELD", "device_feature_external_id"),
        (JSON, _with(device_feature_external_id=" "), 422, "INVALID_FIELD", "device_feature_external_id"),
        (JSON, _with(device_feature_external_id="x" * 65_537), 422, "INVALID_FIELD", "device_feature_external_id"),
        (JSON, _with(state=...), 422, "INVALID_STATE", "state"),
        (JSON, _with(text="on"), 422, "INVALID_STATE", "state"),
        (JSON, _with(state=[1]), 422, "INVALID_STATE", "state"),
        (FORM, "device_feature_external_id=a&state=NaN", 422, "INVALID_STATE", "state"),
        (FORM, "device_feature_external_id=a&state=-inf", 422, "INVALID_STATE", "state"),
        (JSON, _with(state=..., text=5), 422, "INVALID_FIELD", "text"),
        (JSON, _with(created_at="yesterday"), 422, "INVALID_FIELD", "created_at"),
        (JSON, _with(created_at="2999-01-01T00:00:00Z"), 422, "INVALID_FIELD", "created_at"),
    ],
)
async def test_bad_state(
    tmp_path: Path, headers: dict[str, str], body: str, status: int, code: str, field: str | None
) -> None:
    """Each mistake in a state has its status, its code and the field's name, and nothing is stored."""
    async with open_world(tmp_path) as world:
        answer = await world.post(data=body.encode("latin-1"), headers=headers)
        assert (answer.status, answer.body["status"], answer.body["error_code"]) == (status, status, code)
        assert answer.body.get("field") == field
        assert answer.body["error_message"].endswith((".", "!"))
        assert await world.gateway.storage.held_totals() == []


@pytest.mark.parametrize("route", ["device/state", "event", "owntracks"])
async def test_what_is_nested_deeply_is_refused_or_arrives(tmp_path: Path, route: str) -> None:
    """No depth is committed that can not be sent: 64 levels arrive, more are refused beforehand."""
    start = json.dumps({**GOOD, "_type": "lwt"})[:-1]
    async with open_world(tmp_path) as world, world.connected() as home:
        for depth in (63, 64, *range(960, 1_000, 3), 5_000):
            answer = await world.post(route, data=start + _nested(depth), headers=JSON)
            refused = 200 if route == "owntracks" else 400
            assert answer.status == (200 if depth == 63 else refused)
        await home.came(1)
        assert sum(total.events for total in await world.gateway.storage.held_totals()) <= 1


async def test_large_and_odd_external_ids_arrive(tmp_path: Path) -> None:
    """An id of 64 KiB, and ids with unicode and the signs of MQTT, arrive as they are."""
    ids = ["x" * 65_536, "küche/+/#:💡", 'a"\\b']
    async with open_world(tmp_path) as world, world.connected() as home:
        for external_id in ids:
            assert (await world.state(1, external_id)).status == 200
        assert [message["data"]["device_feature_external_id"] for message in home.messages] == ids


async def test_messages_and_events(tmp_path: Path) -> None:
    """An event is any object, a message has a text; both tell the user."""
    async with open_world(tmp_path) as world, world.connected() as home:
        await world.gateway.accounts.link_user(None, "gladys-user")
        assert (await world.post("event", json={"tag": "door", "n": [1]})).status == 200
        assert (await world.post("message", json={"text": "Hello", "other": 1})).status == 200
        assert [(message["action"], message["data"]) for message in home.messages] == [
            ("create-event", {"tag": "door", "n": [1], "user": "gladys-user"}),
            ("create-message", {"text": "Hello", "user": "gladys-user"}),
        ]
        assert home.messages[0]["local_user_id"] == "gladys-user"
        refused = await world.post("message", json={"text": 5})
        assert (refused.status, refused.body["field"]) == (422, "text")
        assert (await world.post("event", json=[1])).status == 400


async def test_key_that_opens_nothing(tmp_path: Path) -> None:
    """Unknown, missing, revoked, expired and replaced keys are told apart, and never repeated."""
    clock = SetClock()
    async with open_world(tmp_path, clock, wrong_keys_per_minute=100) as world:
        accounts = world.gateway.accounts
        expiring = await accounts.create_key(None, "short", expires_at=clock.now() + 60)
        revoked = await accounts.create_key(None, "lost")
        await accounts.revoke_key(None, "lost")
        clock.wall += 61
        wrong = "f" * 80
        for key, code in (
            (wrong, "UNAUTHORIZED"),
            ("k%FF%00é", "UNAUTHORIZED"),
            (revoked.secret, "KEY_REVOKED"),
            (expiring.secret, "KEY_EXPIRED"),
        ):
            answer = await world.post(key=key, json=GOOD)
            assert (answer.status, answer.body["error_code"]) == (401, code)
            assert key not in json.dumps(answer.body)
        for headers in ({}, {"Authorization": "Basic !!"}, {"Authorization": "Bearer"}):
            answer = await world.ask("POST", "/v1/api/device/state", json=GOOD, headers=headers)
            assert (answer.status, answer.body["error_code"]) == (401, "UNAUTHORIZED")


async def test_scope_and_allowed_ids(tmp_path: Path) -> None:
    """A key may do what it is for, and no more."""
    async with open_world(tmp_path) as world:
        key = (await world.gateway.accounts.create_key(None, "door", scopes=["state"], allowed_ids=["a"])).secret
        assert (await world.post(key=key, json={**GOOD, "device_feature_external_id": "a"})).status == 202
        for route, body, code in (
            ("device/state", GOOD, "EXTERNAL_ID_NOT_ALLOWED"),
            ("message", {"text": "x"}, "SCOPE_NOT_ALLOWED"),
            ("event", {}, "SCOPE_NOT_ALLOWED"),
            ("owntracks", {}, "SCOPE_NOT_ALLOWED"),
        ):
            answer = await world.post(route, key=key, json=body)
            assert (answer.status, answer.body["error_code"]) == (403, code)


async def test_unknown_route_and_method(tmp_path: Path) -> None:
    """What there is not is 404 or 405, without an echo of the path."""
    async with open_world(tmp_path) as world:
        for path in (f"/v1/api/state/{world.key}", f"/{world.key}", f"/v1/api/event/{world.key}/x", "/v1/api/", "//"):
            answer = await world.ask("POST", path, json=GOOD)
            assert (answer.status, answer.body["error_code"]) == (404, "ROUTE_NOT_FOUND")
            assert world.key not in json.dumps(answer.body)
        answer = await world.ask("GET", f"/v1/api/device/state/{world.key}")
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        answer = await world.ask("DELETE", "/healthz")
        assert (answer.status, answer.headers["Allow"]) == (405, "GET")


async def test_slash_after_the_key(tmp_path: Path) -> None:
    """What some apps append to a path is no part of the key."""
    async with open_world(tmp_path) as world:
        for path in (f"device/state/{world.key}/", f"owntracks/{world.key}/"):
            body = {**GOOD, "_type": "lwt"}
            assert (await world.ask("POST", f"/v1/api/{path}", json=body)).status in {200, 202}
        sent = {"Authorization": f"Bearer {world.key}"}
        assert (await world.ask("POST", "/v1/api/device/state/", json=GOOD, headers=sent)).status == 202
        assert (await world.ask("POST", f"/v1/api/device/state/{world.key}//", json=GOOD)).status == 404


async def test_sentences_say_what_would_be_right(tmp_path: Path) -> None:
    """Where the same code has several reasons, the sentence tells them apart."""
    async with open_world(tmp_path) as world:
        for headers, body, word in (
            ({"Content-Type": "multipart/form-data; boundary=x"}, "--x\r\n", "Multipart"),
            (JSON, '{"state":1e400}', "number that is too large"),
            (JSON, "[" * 5_000, "64 levels"),
        ):
            assert word in (await world.post(data=body, headers=headers)).body["error_message"]
        assert "Basic" in (await world.ask("POST", "/v1/api/device/state", json=GOOD)).body["error_message"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_owntracks_is_never_told_that_its_request_is_wrong(tmp_path: Path, method: str) -> None:
    """An iPhone deletes what is refused with 4xx: another method or path is 503."""
    async with open_world(tmp_path) as world:
        for path in ("owntracks", f"owntracks/{world.key}", f"owntracks/{world.key}/x"):
            answer = await world.ask(method, f"/v1/api/{path}", json={"_type": "lwt"})
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) > 0
        assert (await world.ask("POST", f"/v1/api/owntracks/{world.key}/x", json={"_type": "lwt"})).status == 503


async def test_too_large(tmp_path: Path) -> None:
    """A body over the limit is 413, whether it says so beforehand or not."""
    async with open_world(tmp_path, body_limit_kib=4) as world:
        large = json.dumps({**GOOD, "note": "x" * 5_000}).encode()

        async def parts() -> Any:  # noqa: ANN401
            yield large[:2_000]
            yield large[2_000:]

        for data in (large, parts()):
            answer = await world.post(data=data, headers=JSON)
            assert (answer.status, answer.body["error_code"], answer.body["most"]) == (413, "BODY_TOO_LARGE", 4096)
        assert (await world.post(data=large[:4_000], headers=JSON)).status == 400


async def test_rate_of_a_key(tmp_path: Path) -> None:
    """A key that sends too much waits, the others do not, and it may go on when it has waited."""
    clock = SetClock()
    async with open_world(tmp_path, clock, rate_per_key=2, burst_per_key=3) as world:
        other = (await world.gateway.accounts.create_key(None, "other")).secret
        assert [(await world.state(1)).status for _ in range(4)] == [202, 202, 202, 429]
        answer = await world.state(1)
        assert (answer.body["error_code"], answer.headers["Retry-After"]) == ("TOO_MANY_REQUESTS", "1")
        tracks = await world.post("owntracks", json={"_type": "lwt", "tst": 1})
        assert (tracks.status, tracks.headers["Retry-After"]) == (503, "1")
        assert (await world.post(key=other, json=GOOD)).status == 202
        clock.up += 0.5
        assert [(await world.state(1)).status for _ in range(2)] == [202, 429]


async def test_rate_of_an_address_and_of_wrong_keys(tmp_path: Path) -> None:
    """Wrong keys are limited sooner than right ones, and an address at last altogether."""
    clock = SetClock()
    async with open_world(tmp_path, clock, wrong_keys_per_minute=2, rate_per_address=1, burst_per_address=9) as world:
        statuses = [(await world.post(key=f"{number:080x}", json=GOOD)).status for number in range(4)]
        assert statuses == [401, 401, 429, 429]
        assert (await world.state(1)).status == 202
        tracks = await world.post("owntracks", key="f" * 80, json={"_type": "lwt"})
        assert tracks.status == 503
        assert [(await world.state(1)).status for _ in range(4)] == [202, 202, 202, 429]
        assert (await world.ask("GET", "/healthz")).status == 429
        clock.up += 60
        assert (await world.post(key="f" * 80, json=GOOD)).status == 401


async def test_idempotency_key(tmp_path: Path) -> None:
    """The same key is the same event, answered with its present receipt; with another body it is a mistake."""
    async with open_world(tmp_path) as world:
        first = await world.state(1, once="a")
        again = await world.state(1, once="a")
        assert first.body["duplicate"] is False
        assert (again.status, again.body) == (202, {**first.body, "duplicate": True})
        other = await world.state(0, once="a")
        assert (other.status, other.body["error_code"]) == (422, "IDEMPOTENCY_MISMATCH")
        async with world.connected() as home:
            await home.came(1)
            await world.settled(first.body["id"])
            again = await world.state(1, once="a")
            assert (again.status, again.body["outcome"], again.body["duplicate"]) == (200, "delivered", True)
            assert len(home.messages) == 1
        bad = await world.post(json=GOOD, headers={"Idempotency-Key": "x" * 256})
        assert (bad.status, bad.body["field"]) == (422, "Idempotency-Key")


async def test_trace(tmp_path: Path) -> None:
    """The key that posted an event sees its way, no other key does."""
    async with open_world(tmp_path) as world:
        event_id = (await world.state(1)).body["id"]
        trace = await world.receipt(event_id)
        assert (trace["state"], trace["receipt"]) == ("held", None)
        async with world.connected():
            await world.settled(event_id)
        trace = await world.receipt(event_id)
        assert [(hop["hop"], hop["what"]) for hop in trace["hops"]] == [
            ("gateway", "committed"),
            ("home", "sent"),
            ("home", "settled"),
        ]
        assert [hop["at"] for hop in trace["hops"]] == sorted(hop["at"] for hop in trace["hops"])
        assert trace["receipt"]["outcome"] == "delivered"
        other = (await world.gateway.accounts.create_key(None, "other")).secret
        for key, asked in ((other, event_id), (world.key, "nothing"), (world.key, "%00")):
            answer = await world.ask("GET", f"/v1/api/events/{asked}", headers={"Authorization": f"Bearer {key}"})
            assert (answer.status, answer.body["error_code"]) == (404, "EVENT_NOT_FOUND")
        assert (await world.ask("GET", f"/v1/api/events/{event_id}")).status == 401


def _quarantine(directory: Path) -> list[tuple[Any, ...]]:
    with sqlite3.connect(directory / "gateway.db") as connection:
        return connection.execute("SELECT reason, size, length(head), length(sha256) FROM quarantine").fetchall()


@pytest.mark.may_block("reads the database's file itself")
async def test_owntracks_that_can_not_be_used_is_quarantined(tmp_path: Path) -> None:
    """The phone is told that all is well, or it would send the same for ever; what it was is kept in small."""
    async with open_world(tmp_path, body_limit_kib=2) as world:
        bodies: list[tuple[bytes, str]] = [
            (b"{", "not JSON"),
            (b"[1]", "not an object with a _type"),
            (b'{"_type": 5}', "not an object with a _type"),
            (b"x" * 70_000, "larger than 2048 bytes"),
        ]
        for body, _ in bodies:
            answer = await world.post("owntracks", data=body)
            assert (answer.status, answer.body) == (200, [])
        assert _quarantine(tmp_path) == [(reason, len(body), min(len(body), 1024), 32) for body, reason in bodies]
        assert (await world.post("owntracks", data=b"")).body == []
        assert len(_quarantine(tmp_path)) == len(bodies)
        assert (await world.post("owntracks", key="f" * 80, json={})).status == 401


async def test_owntracks_reaches_home(tmp_path: Path) -> None:
    """A position has the Plus fields, with latitude 0 too, and all of them come raw, once."""
    position = {"_type": "location", "lat": 0, "lon": 2.5, "acc": 5, "batt": -1, "tst": int(time.time()) - 5, "t": "u"}
    enter = {"_type": "transition", "event": "enter", "desc": "Home", "tst": int(time.time()), "_id": "abc"}
    async with open_world(tmp_path) as world, world.connected() as home:
        await world.gateway.accounts.link_user(None, "gladys-user")
        for body in (position, position, enter, {**enter, "acc": 3}):
            answer = await world.post("owntracks", json=body, headers={"X-Limit-D": "pixel"})
            assert (answer.status, answer.body) == (200, [])
        await world.state(1)
        await home.came(3)
        assert [message["action"] for message in home.messages] == [
            "create-owntracks-location",
            "create-owntracks-location",
            "create-device-state",
        ]
        assert home.messages[0]["data"] == {
            "user_id": "gladys-user",
            "latitude": 0,
            "longitude": 2.5,
            "accuracy": 5,
            "device_selector": "pixel",
        }
        assert [message["companion"]["raw"] for message in home.messages[:2]] == [position, enter]
        assert home.messages[0]["companion"]["phone"] == {"app": "owntracks", "device": "pixel"}
        assert home.messages[1]["data"] == {}
        assert home.messages[0]["companion"]["age_ms"] >= 5_000


async def test_home_answers_the_phone(tmp_path: Path) -> None:
    """What home wants the app to have travels with its ack and is kept nowhere; other apps get what they know."""
    order = {"_type": "cmd", "action": "reportLocation"}
    fix = {"_type": "location", "lat": 1, "lon": 2, "tst": int(time.time())}

    def ack(message: dict[str, Any]) -> object:
        return {**cast("dict[str, Any]", delivered(message)), "reply": [order]}

    async with open_world(tmp_path) as world, world.connected(ack) as home:
        assert (await world.post("owntracks", json=fix)).body == [order]
        assert (await world.post("owntracks", json=fix)).body == []
        assert (await world.post("overland", json={"locations": []})).body == {"result": "ok"}
        await home.came(2)
        event_id = home.messages[0]["companion"]["id"]
        trace = (
            await world.ask("GET", f"/v1/api/events/{event_id}", headers={"Authorization": f"Bearer {world.key}"})
        ).body
        assert "reply" not in trace["receipt"]


async def test_a_phone_is_answered_while_home_is_away(tmp_path: Path) -> None:
    """Stored is enough: its queue goes on, and what it holds comes home later."""
    async with open_world(tmp_path) as world:
        answer = await world.post("owntracks", json={"_type": "location", "lat": 1, "lon": 2, "tst": int(time.time())})
        assert (answer.status, answer.body) == (200, [])
        async with world.connected() as home:
            (message,) = await home.came(1)
    assert message["data"] == {"user_id": None, "latitude": 1, "longitude": 2}


@pytest.mark.parametrize(
    ("headers", "query", "topic", "user", "device"),
    [
        ({"X-Limit-U": "jane", "X-Limit-D": "pixel"}, "?u=x&d=y", "owntracks/a/b", "jane", "pixel"),
        ({"X-Limit-U": "user", "X-Limit-D": "device"}, "?u=x&d=y", "owntracks/a/b", "a", "b"),
        ({}, "?u=x&d=y", None, "x", "y"),
        ({}, "", None, None, None),
    ],
)
async def test_home_is_told_who_posted(
    tmp_path: Path, headers: dict[str, str], query: str, topic: str | None, user: str | None, device: str | None
) -> None:
    """From header, topic or query, in this order; the words that an iPhone sends when it was told no names are none."""
    fix = {"_type": "location", "lat": 1, "lon": 2, "tst": int(time.time())} | ({"topic": topic} if topic else {})
    async with open_world(tmp_path) as world, world.connected() as home:
        assert (
            await world.ask("POST", f"/v1/api/owntracks/{world.key}{query}", json=fix, headers=headers)
        ).status == 200
        (message,) = await home.came(1)
    named = {"app": "owntracks", "user": user, "device": device}
    assert message["companion"]["phone"] == {name: value for name, value in named.items() if value is not None}


async def test_other_apps_reach_home_too(tmp_path: Path) -> None:
    """Overland, the OsmAnd protocol by GET and POST, and Traccar Client come raw, with their last place beside."""
    now = int(time.time())
    place = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [2, 1]}}
    overland = {"locations": [{**place, "properties": {"timestamp": now, "device_id": "iphone"}}]}
    traccar = {"device_id": "t", "location": {"timestamp": now, "coords": {"latitude": 1, "longitude": 2}}}
    path = f"/v1/api/osmand/{{key}}?id=logger&lat=1&lon=2&timestamp={now}"
    async with open_world(tmp_path) as world, world.connected() as home:
        assert (await world.post("overland", json=overland)).body == {"result": "ok"}
        for method in ("GET", "POST"):
            assert (await world.ask(method, path.replace("{key}", world.key))).status == 200
        assert (await world.ask("POST", f"/v1/api/osmand/{world.key}", json=traccar)).status == 200
        messages = await home.came(3)
    assert [(one["companion"]["phone"]["app"], one["companion"]["phone"]["device"]) for one in messages] == [
        ("overland", "iphone"),
        ("osmand", "logger"),
        ("traccar", "t"),
    ]
    assert {(one["data"]["latitude"], one["data"]["longitude"]) for one in messages} == {(1, 2)}
    assert messages[1]["companion"]["raw"]["id"] == "logger"


async def test_owntracks_and_an_unmodified_gladys(tmp_path: Path) -> None:
    """A Gladys gets positions, and nothing that it would take for one."""
    async with open_world(tmp_path) as world, world.connected(companion=False) as home:
        for body in (
            {"_type": "waypoint", "lat": 1, "lon": 1, "tst": 1},
            {"_type": "location", "lat": 1, "lon": 2, "tst": time.time()},
        ):
            assert (await world.post("owntracks", json=body)).status == 200
        assert (await home.came(1))[0]["data"] == {"user_id": None, "latitude": 1, "longitude": 2}


async def test_health(tmp_path: Path) -> None:
    """It is healthy when it can store, and HEAD may ask as well."""
    async with open_world(tmp_path) as world:
        assert (await world.ask("GET", "/healthz")).body == {"status": 200}
        assert (await world.ask("HEAD", "/healthz")).status == 200


async def test_openapi_document_is_held_to_the_routes(tmp_path: Path) -> None:
    """Each documented path answers its methods, no other, and nothing but documented statuses."""
    async with open_world(tmp_path) as world:
        document = (await world.ask("GET", "/openapi.json")).body
        assert document["openapi"].startswith("3.1")
        for path, operations in document["paths"].items():
            asked = path.replace("{key}", world.key).replace("{id}", "x")
            for method in ("get", "post"):
                answer = await world.ask(method.upper(), asked, headers={"Authorization": f"Bearer {world.key}"})
                if method in operations:
                    assert str(answer.status) in operations[method]["responses"], (path, answer)
                else:
                    assert answer.status == (503 if tracks(path) else 405)
            for name in {"{key}", "{id}"} & set(path.split("/")):
                assert name.strip("{}") in [one["name"] for one in next(iter(operations.values()))["parameters"]]


async def test_posts_at_once_are_all_answered(tmp_path: Path) -> None:
    """A crowd of phones gets as many receipts, each its own."""
    async with open_world(tmp_path) as world, world.connected(delivered) as home:
        answers = await asyncio.gather(*(world.state(number, f"id:{number % 7}") for number in range(200)))
        assert {answer.status for answer in answers} == {200}
        assert len({answer.body["id"] for answer in answers}) == 200
        assert {*home.states()} == {*range(200)}
        assert len(home.messages) == 200
