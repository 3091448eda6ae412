"""The 32 cases of the public test suite of Socket.IO 5 against our gateway; ``CASES`` says what becomes of each.

Source: https://github.com/socketio/socket.io/tree/main/docs/socket.io-protocol/v5-test-suite. Where the suite has its
server echo an event of the test's own, the gateway's own events stand in: ``latency`` is echoed in its ack, and what a
phone posts comes out as ``open-api-message``. docs/reference/socket-io.md is the table for readers.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from msgspec import Struct
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gladys_companion.gateway.server import Times
from gladys_companion.protocol import socketio
from tests.gateway_world import World, open_world
from tests.wire import SEPARATOR

TIMES = Times(look=0.05, goodbye=0.1, ping_interval=1, ping_timeout=0.5)
SENT = '[1,"2",{"3":[true]}]'


class Case(Struct, frozen=True):
    """What becomes of a case: it passes, or is refused because the gateway does not offer what it is about."""

    name: str
    outcome: Literal["passes", "refused"]
    tests: str


CASES = (
    Case("handshake, HTTP long-polling: should successfully open a session", "passes", "test_session_by_polling"),
    Case("handshake, HTTP long-polling: should fail with an invalid 'EIO' query parameter", "passes", "test_bad_query"),
    Case(
        "handshake, HTTP long-polling: should fail with an invalid 'transport' query parameter",
        "passes",
        "test_bad_query",
    ),
    Case("handshake, HTTP long-polling: should fail with an invalid request method", "passes", "test_bad_method"),
    Case("handshake, WebSocket: should successfully open a session", "passes", "test_session_by_websocket"),
    Case("handshake, WebSocket: should fail with an invalid 'EIO' query parameter", "passes", "test_bad_query"),
    Case("handshake, WebSocket: should fail with an invalid 'transport' query parameter", "passes", "test_bad_query"),
    Case("heartbeat, HTTP long-polling: should send ping/pong packets", "passes", "test_pings_by_polling"),
    Case("heartbeat, HTTP long-polling: should close the session upon ping timeout", "passes", "test_silent_poller"),
    Case("heartbeat, WebSocket: should send ping/pong packets", "passes", "test_pings_by_websocket"),
    Case("heartbeat, WebSocket: should close the session upon ping timeout", "passes", "test_silent_websocket"),
    Case("close, HTTP long-polling: should forcefully close the session", "passes", "test_poller_closes"),
    Case("close, WebSocket: should forcefully close the session", "passes", "test_websocket_closes"),
    Case("upgrade: should successfully upgrade from HTTP long-polling to WebSocket", "passes", "test_upgrade"),
    Case("upgrade: should ignore HTTP requests with same sid after upgrade", "passes", "test_once_upgraded"),
    Case("upgrade: should ignore WebSocket connection with same sid after upgrade", "passes", "test_once_upgraded"),
    Case("connect: should allow connection to the main namespace", "passes", "test_main_namespace"),
    Case("connect: should allow connection to the main namespace with a payload", "passes", "test_connect_payload"),
    Case("connect: should allow connection to a custom namespace", "refused", "test_other_namespaces"),
    Case("connect: should allow connection to a custom namespace with a payload", "refused", "test_other_namespaces"),
    Case("connect: should disallow connection to an unknown namespace", "passes", "test_other_namespaces"),
    Case("connect: should disallow connection with an invalid handshake", "passes", "test_no_packet_before_connect"),
    Case("connect: should close the connection if no handshake is received", "passes", "test_nobody"),
    Case("disconnect: should disconnect from the main namespace", "passes", "test_leave_and_come_back"),
    Case(
        "disconnect: should connect then disconnect from a custom namespace", "refused", "test_leave_another_namespace"
    ),
    Case("message: should send a plain-text packet", "passes", "test_event_out"),
    Case("message: should send a packet with binary attachments", "refused", "test_no_packet"),
    Case("message: should send a plain-text packet with an ack", "passes", "test_event_in_with_ack"),
    Case("message: should send a packet with binary attachments and an ack", "refused", "test_no_packet"),
    Case("message: should close the connection upon invalid format (unknown packet type)", "passes", "test_no_packet"),
    Case(
        "message: should close the connection upon invalid format (invalid payload format)", "passes", "test_no_packet"
    ),
    Case("message: should close the connection upon invalid format (invalid ack id)", "passes", "test_no_packet"),
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, times=TIMES) as world:
        yield world


def _polling(world: World, sid: str | None = None) -> str:
    return f"{world.gateway.url}/socket.io/?EIO=4&transport=polling" + (f"&sid={sid}" if sid else "")


def _websocket(world: World, sid: str | None = None, query: str = "EIO=4&transport=websocket") -> str:
    uri = f"{world.gateway.url.replace('http', 'ws', 1)}/socket.io/?{query}"
    return f"{uri}&sid={sid}" if sid else uri


async def _poll(world: World, sid: str) -> tuple[int, str]:
    async with asyncio.timeout(10), world.http.get(_polling(world, sid)) as answer:
        return answer.status, await answer.text()


async def _push(world: World, sid: str, body: str) -> tuple[int, str]:
    async with asyncio.timeout(10), world.http.post(_polling(world, sid), data=body) as answer:
        return answer.status, await answer.text()


async def _open_polling(world: World) -> str:
    async with world.http.get(_polling(world)) as answer:
        return str(msgspec.json.decode((await answer.text())[1:])["sid"])


@asynccontextmanager
async def _raw(world: World, sid: str | None = None) -> AsyncIterator[ClientConnection]:
    """Open a websocket that has heard nothing yet."""
    async with (
        asyncio.timeout(20),
        connect(_websocket(world, sid), compression=None, ping_interval=None, close_timeout=0.1, proxy=None) as socket,
    ):
        yield socket


@asynccontextmanager
async def _opened(world: World) -> AsyncIterator[ClientConnection]:
    """Open a websocket as far as Engine.IO's handshake."""
    async with _raw(world) as socket:
        assert isinstance(socketio.decode(await socket.recv()), socketio.Open)
        yield socket


@asynccontextmanager
async def _joined(world: World, auth: str = "") -> AsyncIterator[ClientConnection]:
    """Open a websocket as far as the main namespace."""
    async with _opened(world) as socket:
        await socket.send(f"40{auth}")
        assert isinstance(socketio.decode(await socket.recv()), socketio.Connected)
        yield socket


async def _next(socket: ClientConnection) -> str:
    """Return the next frame that is more than a ping or nothing."""
    while (frame := await socket.recv()) in {"2", "6"}:
        await socket.send("3")
    assert isinstance(frame, str)
    return frame


async def _closes(socket: ClientConnection) -> list[str | bytes]:
    """Return what still comes until the server has closed, without waiting for a time-out of its own."""
    return [frame async for frame in socket]  # ends where the server closed well, and raises where it did not


def test_every_case_is_told() -> None:
    """All 32 cases are here, each with a test that exists, and the reference tells of each as it is."""
    assert len({case.name for case in CASES}) == 32
    assert {case.tests for case in CASES} <= set(globals())
    page = Path(__file__).parents[2] / "docs" / "reference" / "socket-io.md"
    told = dict(re.findall(r"^\| (.+?) \| (passes|refused)\b", page.read_text(), re.MULTILINE))
    assert told == {case.name: case.outcome for case in CASES}


def _check_handshake(text: str, upgrades: list[str]) -> None:
    assert text.startswith("0")
    told = msgspec.json.decode(text[1:])
    assert isinstance(told.pop("sid"), str)
    assert told == {"upgrades": upgrades, "pingInterval": 1_000, "pingTimeout": 500, "maxPayload": 1_000_000}


async def test_session_by_polling(world: World) -> None:
    """A session opens by long-polling, with its timings, the largest payload, and websocket to upgrade to."""
    async with world.http.get(_polling(world)) as answer:
        assert answer.status == 200
        _check_handshake(await answer.text(), ["websocket"])


async def test_session_by_websocket(world: World) -> None:
    """A session opens by websocket, with nothing to upgrade to."""
    async with _raw(world) as socket:
        _check_handshake(str(await socket.recv()), [])


@pytest.mark.parametrize(
    "query", ["transport={}", "EIO=abc&transport={}", "EIO=3&transport={}", "EIO=4", "EIO=4&transport=abc"]
)
async def test_bad_query(world: World, query: str) -> None:
    """Another version, or a transport that there is not, opens no session, by either transport."""
    async with world.http.get(f"{world.gateway.url}/socket.io/?{query.format('polling')}") as answer:
        assert answer.status == 400
    with pytest.raises(InvalidStatus) as refused:
        await connect(_websocket(world, query=query.format("websocket")), proxy=None)
    assert refused.value.response.status_code == 400
    assert not world.gateway.sockets._server.eio.sockets


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_bad_method(world: World, method: str) -> None:
    """Only GET opens a session."""
    async with world.http.request(method, _polling(world)) as answer:
        assert answer.status == 400


async def test_pings_by_polling(world: World) -> None:
    """A poller is pinged again each time it answered."""
    sid = await _open_polling(world)
    for _ in range(3):
        assert await _poll(world, sid) == (200, "2")
        assert (await _push(world, sid, "3"))[0] == 200


async def test_silent_poller(world: World) -> None:
    """A poller that does not answer its ping has no session any more."""
    sid = await _open_polling(world)
    assert await _poll(world, sid) == (200, "2")
    status = 200
    async with asyncio.timeout(10):
        while status == 200:
            status, _ = await _poll(world, sid)
    assert status == 400
    assert not world.gateway.sockets._server.eio.sockets


async def test_pings_by_websocket(world: World) -> None:
    """A websocket is pinged again each time it answered."""
    async with _opened(world) as socket:
        for _ in range(3):
            assert await socket.recv() == "2"
            await socket.send("3")


async def test_silent_websocket(world: World) -> None:
    """A websocket that does not answer its ping is closed."""
    async with _opened(world) as socket:
        assert "2" in await _closes(socket)


async def test_poller_closes(world: World) -> None:
    """Who closes the session while a poll waits gets that answered, by nothing, and has no session any more."""
    sid = await _open_polling(world)
    polled, _ = await asyncio.gather(_poll(world, sid), _push(world, sid, "1"))
    assert polled == (200, "6")
    assert (await _poll(world, sid))[0] == 400


async def test_websocket_closes(world: World) -> None:
    """Who closes the session has its websocket closed, at once."""
    async with asyncio.timeout(1), _opened(world) as socket:
        await socket.send("1")
        assert await _closes(socket) == []


async def test_upgrade(world: World) -> None:
    """A session moves from polling to websocket: the poll that waits is ended, and what comes takes the new way."""
    sid = await _open_polling(world)
    async with _raw(world, sid) as socket:
        waiting = asyncio.create_task(_poll(world, sid))
        await socket.send("2probe")
        assert await socket.recv() == "3probe"
        assert await waiting == (200, "6")
        await socket.send("5")
        await socket.send("40")
        assert isinstance(socketio.decode(await _next(socket)), socketio.Connected)


async def test_once_upgraded(world: World) -> None:
    """Neither a poll, nor a post, nor a second websocket may use a session that moved, or is about to."""
    sid = await _open_polling(world)
    async with _raw(world, sid) as socket:
        await socket.send("2probe")
        assert await socket.recv() == "3probe"
        with pytest.raises(InvalidStatus):
            await connect(_websocket(world, sid), proxy=None)
        await socket.send("5")
        assert await socket.recv() == "6"
        assert (await _poll(world, sid))[0] == 400
        assert (await _push(world, sid, "41"))[0] == 400
        with pytest.raises(InvalidStatus):
            await connect(_websocket(world, sid), proxy=None)
        await socket.send("40")
        assert isinstance(socketio.decode(await _next(socket)), socketio.Connected)


@pytest.mark.parametrize("said", [None, "2probe", "garbage", b"\x00", "40", "2"])
async def test_upgrade_that_comes_to_nothing(tmp_path: Path, said: str | bytes | None) -> None:
    """Whoever opens a websocket and does not move to it goes on polling, not too fast, and loses nothing."""
    times = msgspec.structs.replace(TIMES, upgrade=0.5, ping_interval=30, ping_timeout=30)
    async with open_world(tmp_path, times=times) as world:
        sid = await _open_polling(world)
        assert (await _push(world, sid, "40"))[0] == 200
        async with _raw(world, sid) as socket:
            if said is not None:
                await socket.send(said)
            polls, came = 0, ""
            while not came.startswith("40{"):
                status, came = await _poll(world, sid)
                polls += 1
                assert status == 200
            assert polls <= 12
            assert (await _push(world, sid, '423["latency",1]'))[0] == 200
            while came != "433[1]":
                _, came = await _poll(world, sid)


async def test_main_namespace(world: World) -> None:
    """The main namespace is joined bare, under a session id of its own; joining again changes nothing."""
    async with _opened(world) as socket:
        await socket.send("40")
        frame = await socket.recv()
        assert msgspec.json.decode(frame[2:]).keys() == {"sid"}
        await socket.send("40")
        await socket.send('420["latency"]')
        assert await _next(socket) == "430[{}]"


async def test_connect_payload(world: World) -> None:
    """What came with the join is read: here a token that is none is told so."""
    async with _joined(world, '{"auth_type":"instance","access_token":"123"}') as socket:
        assert await _next(socket) == '42["instance-authentication-failed",{"reason":"invalid token"}]'


@pytest.mark.parametrize("join", ["40/custom,", '40/custom,{"token":"abc"}', "40/random", "40/random?a=b,"])
async def test_other_namespaces(world: World, join: str) -> None:
    """There is no namespace but the main one; who wants another is told, and may still join that."""
    async with _opened(world) as socket:
        await socket.send(join)
        name = "custom" if "custom" in join else "random"
        told = await _next(socket)
        assert told.replace("random?a=b", "random") == f'44/{name},{{"message":"Invalid namespace"}}'
        await socket.send("40")
        assert isinstance(socketio.decode(await _next(socket)), socketio.Connected)


async def test_no_packet_before_connect(world: World) -> None:
    """Whoever begins with what is no packet is closed, at once."""
    async with asyncio.timeout(1), _opened(world) as socket:
        await socket.send("4abc")
        assert await _closes(socket) == []


async def test_nobody(tmp_path: Path) -> None:
    """Whoever does not join is closed after a while, however well it answers pings."""
    times = msgspec.structs.replace(TIMES, authenticate=1.5)
    async with open_world(tmp_path, times=times) as world, _opened(world) as socket:
        with pytest.raises(ConnectionClosed):
            await _next(socket)


async def test_leave_and_come_back(world: World) -> None:
    """Who leaves the namespace keeps the connection, with its pings, and may join again."""
    async with _joined(world) as socket:
        await socket.send("41")
        assert await socket.recv() == "2"
        await socket.send("3")
        await socket.send("40")
        assert isinstance(socketio.decode(await _next(socket)), socketio.Connected)


async def test_leave_another_namespace(world: World) -> None:
    """To leave a namespace that could not be joined harms the main one not."""
    async with _joined(world) as socket:
        await socket.send("40/custom")
        assert (await _next(socket)).startswith("44/custom,")
        await socket.send("41/custom")
        await socket.send('427["latency",{"to":"main"}]')
        assert await _next(socket) == '437[{"to":"main"}]'


async def test_event_out(world: World) -> None:
    """An event of the server carries its JSON as it was given."""
    auth = msgspec.json.encode({"auth_type": "instance", "access_token": world.token()}).decode()
    async with _joined(world, auth) as socket:
        assert await _next(socket) == '42["instance-authenticated"]'
        posting = asyncio.create_task(world.post("event", json=msgspec.json.decode('{"sent":' + SENT + "}")))
        frame = await _next(socket)
        assert re.match(r'42\d+\["open-api-message",\{', frame)
        assert f'"sent":{SENT}' in frame
        await socket.send("43" + frame[2 : frame.index("[")] + '[{"status":200}]')
        assert (await posting).status == 200


async def test_event_in_with_ack(world: World) -> None:
    """An event of the client is answered under its id; one without an id is not."""
    async with _joined(world) as socket:
        await socket.send('42["latency",1]')
        await socket.send(f'42456["latency",{SENT}]')
        assert await _next(socket) == f"43456[{SENT}]"


@pytest.mark.parametrize(
    "frame",
    [
        "4abc",
        "42{}",
        '42abc["latency",1]',
        "4",
        "42",
        "42[]",
        "42[[1]]",
        '42[""]',
        '42["connect",{},{"auth_type":"instance"}]',
        '42["disconnect","x"]',
        "42" + "9" * 101 + '["latency"]',
        "42²[]",
        "42[" + "[" * 9_000,
        "43",
        "43[]",
        "439[1",
        "439{}",
        "40[]",
        "40{",
        '41{"a":1}',
        '44{"message":"no"}',
        "49[]",
        "9",
        "abc",
        "",
        "7",
        "0{}",
        "4" + "[" * 100_000,
        "2" + "[" * 100_000,
        "3" + "x" * 100,
        b"binary",
        '452-["latency",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
        '452-789["latency",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
        '462-789[{"_placeholder":true,"num":0}]',
        '421-["latency"]',
    ],
)
async def test_no_packet(world: World, frame: str | bytes) -> None:
    """What is no packet, binary ones included, ends the connection at once, and nothing else; our log stays clean."""
    with capture_logs() as logs:
        async with asyncio.timeout(5), world.connected() as home:
            async with _joined(world) as socket:
                await socket.send(frame)
                assert await _closes(socket) == []
            assert await home.ask("latency") == {}
            assert not home.ended.is_set()
    assert [log["event"] for log in logs] == ["gateway.home_connected"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x1e",
        b"abc",
        b"\xff\xfe",
        b"bAAAA",
        b"d=40",
        b"2",
        b"2probe",
        b"0{}",
        b"\x1e".join([b"6"] * 300),
        b"4" + b"[" * 100_000,
    ],
)
async def test_posts_that_are_no_packets(world: World, body: bytes) -> None:
    """What is no packet ends the session of a poller too: at once, with a 400, and without a word in our log."""
    with capture_logs() as logs:
        sid = await _open_polling(world)
        async with asyncio.timeout(1), world.http.post(_polling(world, sid), data=body) as answer:
            assert answer.status == 400
        assert (await _poll(world, sid))[0] == 400
        assert (await _push(world, sid, "40"))[0] == 400
    assert logs == []


async def test_post_too_large(world: World) -> None:
    """A post larger than announced is refused as such, chunked or not, and the session goes on."""
    sid = await _open_polling(world)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"6" * 100_000

    for body in (b"6" * 1_000_001, chunks()):
        async with world.http.post(_polling(world, sid), data=body) as answer:
            assert answer.status == 413
    assert await _push(world, sid, "40") == (200, "ok")


async def test_a_poller_may_say_much_at_once(world: World) -> None:
    """A post may hold a whole window of packets, and some of Socket.IO's own; each is taken."""
    sid = await _open_polling(world)
    packets = ["40", *(f'42{number}["latency",{number}]' for number in range(200)), "6", "3"]
    assert await _push(world, sid, SEPARATOR.join(packets)) == (200, "ok")
    answers: list[str] = []
    while len(answers) < 201:
        answers += (await _poll(world, sid))[1].split(SEPARATOR)
    assert answers[1:201] == [f"43{number}[{number}]" for number in range(200)]


@pytest.mark.parametrize(
    "frame", ["43999[]", '42["nonsense",1]', "6", "3", "40/admin,", "41/admin,", '42/admin,["a"]', "42[5]"]
)
async def test_packets_of_no_use(world: World, frame: str) -> None:
    """Packets that are some, and mean nothing here, harm nobody, their sender included."""
    async with _joined(world) as socket:
        await socket.send(frame)
        await socket.send('421["latency",2]')
        frame = await _next(socket)
        assert (await _next(socket) if frame.startswith("44/") else frame) == "431[2]"


@pytest.mark.parametrize("size", [10_000, 500_000])
async def test_a_client_that_does_not_read(world: World, size: int) -> None:
    """Who asks without reading the answers is read no further, and cut; no more than a little is kept for it."""
    async with world.connected() as home, _joined(world) as socket:
        socket.transport.pause_reading()
        frame = socketio.event("latency", "x" * size, ack_id=1)
        said = 0
        with pytest.raises((ConnectionClosed, ConnectionError)):  # noqa: PT012 - it is to come in between
            while said < 1_000_000_000:
                await socket.send(frame)
                said += len(frame)
                socket.transport.write(b"\x81\x811234\x02")  # the answer to each ping there may be
        assert said < 200_000_000
        assert await home.ask("latency") == {}
