"""The link at the mercy of a gateway that errs, lies or attacks: it loses nothing, tells why, waits, and never ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from gladys_companion.link import session
from tests.gateway_world import World, open_world
from tests.home import ON, PRESENCE, Home, SetClock, open_home
from tests.linking import Delays, Scripted, linked, until
from tests.odd_gateway import Gateway, Peer, message, open_gateway

DECADE = 10 * 365 * 86_400.0


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with open_home(tmp_path) as home:
        yield home


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with open_gateway() as gateway:
        yield gateway


async def _still_serves(peer: Peer, event_id: str = "event-after") -> None:
    """Assert that the session takes an event, whatever it acks before it."""
    await peer.say(999, message(PRESENCE.external_id, 1, event_id))
    while True:
        number, answer = await peer.heard()
        if number == 999:
            assert answer["status"] == 200
            return


@pytest.mark.parametrize(
    "companion",
    [
        5,
        [],
        {},
        {"id": ""},
        {"id": 5},
        {"id": "x" * 100_000},
        {"id": "a\x00b"},
        {"id": "event-1"},
        {"received_at": "now"},
        {"received_at": 1e300},
        {"received_at": -1e300},
        {"received_at": 10**400},
        {"age_ms": -(10**18)},
        {"age_ms": 10**18},
        {"age_ms": 1e300},
        {"ttl_ms": -1},
        {"ttl_ms": 1e300},
        {"ttl_ms": 10**30},
        {"key": 5},
        {"key": {"id": None}},
        {"raw": [[[]]]},
        {"phone": {"app": 5}},
        {"unknown": "x" * 100_000},
    ],
)
async def test_odd_words_of_our_own(home: Home, gateway: Gateway, companion: object) -> None:
    """What a gateway adds to a message may be anything: the sender is answered, and the link stays."""
    scripted = Scripted(gateway)
    async with linked(home, gateway.url) as link:
        peer = await scripted.peer()
        whole = {"id": "event-1", "received_at": 1_700_000_000.0, "age_ms": 5, "ttl_ms": 60_000}
        odd = {**whole, **companion} if isinstance(companion, dict) and companion else companion
        shape = {**message(PRESENCE.external_id, 1), "companion": odd}
        answer = await peer.ask(1, shape)
        assert answer["status"] in {200, 422}
        assert answer.get("error_code") != "NOT_FOUND"
        await _still_serves(peer)
        assert link.state.state == "connected"
        assert len(gateway.peers) == 1


@pytest.mark.parametrize(
    "data",
    [
        None,
        5,
        "x",
        {"device_feature_external_id": 5, "state": 1},
        {"device_feature_external_id": "", "state": 1},
        {"device_feature_external_id": "x" * 1_000_000, "state": 1},
        {"device_feature_external_id": PRESENCE.external_id, "state": 10**400},
        {"device_feature_external_id": PRESENCE.external_id, "state": {"a": 1}},
        {"device_feature_external_id": PRESENCE.external_id, "state": "1e999"},
        {"device_feature_external_id": PRESENCE.external_id, "state": 1, "created_at": "yesterday"},
        {"device_feature_external_id": PRESENCE.external_id, "state": 1, "created_at": "0000-00-00T99:99:99Z"},
        {"device_feature_external_id": PRESENCE.external_id, "text": "\x00"},
    ],
)
async def test_odd_data(home: Home, gateway: Gateway, data: object) -> None:
    """Whatever a message carries where a state is due, its sender is told what is wrong with it."""
    scripted = Scripted(gateway)
    async with linked(home, gateway.url) as link:
        peer = await scripted.peer()
        answer = await peer.ask(1, {**message("", 1, "event-1"), "data": data})
        assert answer["status"] in {404, 422}
        assert answer["error_code"] not in {"", "NOT_FOUND"}
        await _still_serves(peer)
        assert link.state.state == "connected"


@pytest.mark.parametrize(
    "told",
    [
        "",
        ",5",
        ",null",
        ',"x"',
        ",[]",
        ',{"companion":5}',
        ',{"companion":{"time":1e300}}',
        ',{"companion":{"time":' + "9" * 400 + "}}",
        ',{"companion":{"time":-1e18,"primary":"no"}}',
        ',{"companion":{"time":true,"version":[]}}',
        ',{"companion":' + '{"a":' * 500 + "1" + "}" * 500 + "}",
    ],
)
async def test_odd_welcome(home: Home, gateway: Gateway, told: str) -> None:
    """A gateway may say anything of itself, at the start and later: the link serves, and shows no nonsense."""
    peers: asyncio.Queue[Peer] = asyncio.Queue()

    async def welcome(peer: Peer) -> None:
        await peer.welcome()
        for _ in range(2):
            await peer.socket.send(f'42["instance-authenticated"{told}]')
        peers.put_nowait(peer)
        await peer.socket.wait_closed()

    gateway.serve = welcome
    async with linked(home, gateway.url) as link:
        async with asyncio.timeout(20):
            peer = await peers.get()
        await _still_serves(peer)
        assert link.state.state == "connected"
        assert link.state.primary
        msgspec.json.encode(link.state)
        assert len(gateway.peers) == 1


@pytest.mark.parametrize(
    "ack", ["431[]", "431[5]", "431[null]", '431["x"]', '431[{"status":"odd"}]', "431{}", "4399[1]"]
)
async def test_odd_acks_of_receipts(home: Home, gateway: Gateway, ack: str) -> None:
    """A receipt may be answered by anything: events go on being taken."""
    scripted = Scripted(gateway)
    slow = await home.slow_lamp()
    async with linked(home, gateway.url) as link:
        peer = await scripted.peer()
        assert (await peer.ask(1, message(ON.external_id, 1, "event-1")))["outcome"] == "accepted"
        slow.set()
        assert (await peer.hear()).startswith('421["open-api-receipt"')
        for _ in range(2):
            await peer.socket.send(ack)
        await _still_serves(peer)
        assert link.state.state == "connected"


async def test_receipts_that_are_never_acked(home: Home, gateway: Gateway) -> None:
    """A gateway that acks no receipt is told one and waited for; its events are acked meanwhile."""
    scripted = Scripted(gateway)
    slow = await home.slow_lamp()
    async with linked(home, gateway.url):
        peer = await scripted.peer()
        assert (await peer.ask(1, message(ON.external_id, 1, "event-1")))["outcome"] == "accepted"
        await peer.say(2, message(ON.external_id, 0, "event-2"))  # the first is superseded by it: two to tell
        heard = [await peer.hear() for _ in range(2)]
        slow.set()
        for number in range(100):
            await peer.say(100 + number, message(PRESENCE.external_id, number % 2, f"more-{number}"))
        heard += [await peer.hear() for _ in range(100)]
        assert sum(frame.startswith('421["open-api-receipt"') for frame in heard) == 1
        assert sum(frame.startswith("43") for frame in heard) == 101


@pytest.mark.parametrize(
    "body",
    [
        '{"access_token":' + "[" * 200_000,
        '{"x":' * 200_000,
        '{"access_token":"' + "x" * 2_000_000 + '"}',
        "\udcff",
        "[]",
        "null",
        '{"access_token":null}',
    ],
)
async def test_odd_tokens(home: Home, gateway: Gateway, body: str) -> None:
    """Whatever comes in place of a token is waited out."""
    gateway.token_answer = lambda: (HTTPStatus.OK, body)
    raw = body.encode(errors="surrogateescape")

    def http(connection: ServerConnection, request: Request) -> Response | None:
        gateway.tokens.append(request.path)
        response = connection.respond(HTTPStatus.OK, "")
        response.body = raw
        response.headers["Content-Length"] = str(len(raw))
        return response

    async with serve(gateway.connected, "127.0.0.1", 0, process_request=http) as server:
        (listening,) = server.sockets
        delays = Delays(2)
        async with linked(home, f"http://127.0.0.1:{listening.getsockname()[1]}", delays=delays) as link:
            assert await delays.count(2) == [0, 1]
            assert link.state.state == "waiting"


async def test_a_token_without_end(home: Home) -> None:
    """An answer that goes on for ever is not taken in: it is left as soon as it is too long for a token."""
    sent = 0
    left = asyncio.Event()

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        try:
            while not writer.is_closing():
                writer.write(b" " * 65_536)
                sent += 65_536
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            left.set()
            writer.close()

    server = await asyncio.start_server(flood, "127.0.0.1", 0)
    async with server:
        delays = Delays(1)
        async with linked(home, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", delays=delays) as link:
            async with asyncio.timeout(5):  # less than it would wait for an answer that is under way
                await delays.count(1)
                await left.wait()
            assert link.state.state == "waiting"
    assert sent < 20_000_000


async def test_a_redirect_is_not_followed(home: Home, gateway: Gateway) -> None:
    """The token of this home is shown to its gateway alone, wherever that points."""
    elsewhere: list[str] = []

    def note(connection: ServerConnection, request: Request) -> Response | None:
        elsewhere.append(request.path)
        return connection.respond(HTTPStatus.NOT_FOUND, "")

    async with serve(gateway.connected, "127.0.0.1", 0, process_request=note) as other:
        (listening,) = other.sockets
        target = f"ws://127.0.0.1:{listening.getsockname()[1]}/"

        def http(connection: ServerConnection, request: Request) -> Response | None:
            if request.path == "/instances/access-token":
                return connection.respond(HTTPStatus.OK, '{"access_token":"jwt"}')
            response = connection.respond(HTTPStatus.TEMPORARY_REDIRECT, "")
            response.headers["Location"] = target
            return response

        async with serve(gateway.connected, "127.0.0.1", 0, process_request=http) as server:
            (redirecting,) = server.sockets
            delays = Delays(2)
            async with linked(home, f"http://127.0.0.1:{redirecting.getsockname()[1]}", delays=delays) as link:
                await delays.count(2)
                assert link.state.state == "waiting"
                assert "307" in (link.state.reason or "")
    assert elsewhere == []


@pytest.mark.parametrize(
    "raw",
    [
        b"\x81\x02\xff\xff",  # text that is no UTF-8
        b"\x83\x01x",  # an opcode that there is not
        b"\xc1\x01x",  # a bit that nobody asked for
        b"\x80\x01x",  # the end of a message that never began
        b"\x01\x01x\x81\x01x",  # a message that begins within another
        b"\x81\x7f" + b"\xff" * 8,  # longer than anything can be
        b"\x81\x7f\x00\x00\x00\x00\x10\x00\x00\x00",  # longer than agreed
        b"\x81\x84\x00\x00\x00\x00abcd",  # masked, as only a client may
        b"\x89\x7e\x00\x7e" + b"x" * 126,  # a ping too large
        b"\x88\x01x",  # a goodbye that is none
        b"\x88\x02\x03\xe8",  # a goodbye
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00" * 64,
    ],
)
async def test_frames_that_are_none(home: Home, gateway: Gateway, raw: bytes) -> None:
    """What is no websocket ends that connection only, with a reason; the next one is as good as new."""
    scripted = Scripted(gateway)
    delays = Delays()
    async with linked(home, gateway.url, delays=delays) as link:
        peer = await scripted.peer()
        await until(lambda: link.state.state == "connected")
        peer.socket.transport.write(raw)
        await peer.socket.wait_closed()
        await delays.count(1)
        peer = await scripted.peer()
        await _still_serves(peer)
        assert len(delays.asked) == 1


async def test_a_message_that_never_ends(home: Home, gateway: Gateway) -> None:
    """Pieces of a message, and pings of the websocket itself, are no sign of life."""
    scripted = Scripted(gateway)
    delays = Delays(1)
    async with linked(home, gateway.url, delays=delays, dead_after=0.3) as link:
        peer = await scripted.peer()
        peer.socket.transport.write(b"\x01\x01x")
        with suppress(ConnectionClosed):
            while not delays.asked:
                peer.socket.transport.write(b"\x00\x01x\x89\x00")
                await asyncio.sleep(0.02)
        assert link.state.reason == "the gateway fell silent"


async def test_ten_thousand_at_once(home: Home, gateway: Gateway) -> None:
    """Ten thousand events in one go are taken in order over one connection: the gateway is held up, never refused."""
    scripted = Scripted(gateway)
    count = 10_000
    async with linked(home, gateway.url) as link:
        peer = await scripted.peer()

        async def send() -> None:
            for number in range(count):
                await peer.say(number, message(PRESENCE.external_id, number % 2, f"event-{number}"))

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            acks = dict([await peer.heard() for _ in range(count)])
        assert [(acks[number]["status"], acks[number]["id"]) for number in range(count)] == [
            (200, f"event-{number}") for number in range(count)
        ]
        assert link.state.state == "connected"
    rows = await home.rows("SELECT id FROM events ORDER BY seq")
    assert [row[0] for row in rows] == [f"event-{number}" for number in range(count)]


async def test_more_bytes_than_it_takes(tmp_path: Path, gateway: Gateway) -> None:
    """Few events that are huge are too many as well: memory is bounded in bytes, and what came is kept."""
    scripted = Scripted(gateway)
    async with open_home(tmp_path, sinks=["gladys"], settle_within=3_600) as home, linked(home, gateway.url):
        home.gladys.answer = lambda _: asyncio.get_running_loop().create_future()  # so no event is done with
        peer = await scripted.peer()
        huge = "x" * (session.MOST_BYTES_UNDER_WAY // 3 - 1_000)
        with suppress(ConnectionClosed):
            for number in range(6):
                await peer.say(number, message(PRESENCE.external_id, number % 2, f"event-{number}", unknown=huge))
        await peer.socket.wait_closed()
        assert peer.socket.close_code == 1013
        rows = await home.rows("SELECT id FROM events ORDER BY seq")
        assert [row[0] for row in rows] == [f"event-{number}" for number in range(len(rows))]
        assert len(rows) == 3


async def test_a_gateway_that_does_not_read(home: Home, gateway: Gateway) -> None:
    """Who asks without reading the answers is read no further, and left when it is taken for dead."""
    scripted = Scripted(gateway)
    delays = Delays(1)
    async with linked(home, gateway.url, delays=delays, dead_after=1.0) as link:
        peer = await scripted.peer()
        peer.socket.transport.pause_reading()
        frames = b'\x81\x08421["n"]' * 10_000  # each is answered with a sentence
        while not delays.asked:
            peer.socket.transport.write(frames)
            with suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(0.5):  # it is read no further: nobody says so
                    await peer.socket.drain()
        await delays.count(1)
        peer.socket.transport.abort()
        assert link.state.reason == "the gateway fell silent"


@pytest.mark.parametrize("skew", [-DECADE, -7_200.0, 7_200.0, DECADE])
async def test_clocks_apart(tmp_path: Path, skew: float) -> None:
    """However far both clocks are apart, the home connects by one token, and is served; the difference is told."""
    clock = SetClock()
    async with open_world(tmp_path / "gateway", clock) as world, open_home(tmp_path / "home") as home:
        home.clock.wall = clock.wall + skew
        async with _home_of(world, home) as link:
            await until(lambda: link.state.state == "connected")
            assert link.state.clock_offset == pytest.approx(-skew, abs=1)
            assert (await world.state(1, PRESENCE.external_id)).body["outcome"] == "delivered"


async def test_a_clock_that_jumps_beyond_the_token(tmp_path: Path) -> None:
    """A token that has run out by the gateway's clock alone is replaced at the next attempt, and nothing parks."""
    clock = SetClock()
    async with open_world(tmp_path / "gateway", clock) as world, open_home(tmp_path / "home") as home:
        delays = Delays()
        async with _home_of(world, home, delays) as link:
            await until(lambda: link.state.state == "connected")
            clock.wall += 2 * 3_600
            await world.gateway.sockets.close()
            await delays.count(2)
            await until(lambda: link.state.state == "connected")
            assert (await world.state(1, PRESENCE.external_id)).status == 200
            assert len(delays.asked) == 2


async def test_revoked_while_connected(tmp_path: Path) -> None:
    """A home whose instance is revoked asks no more than twice, parks, and says what to do."""
    async with open_world(tmp_path / "gateway") as world, open_home(tmp_path / "home") as home:
        delays = Delays()
        async with _home_of(world, home, delays) as link:
            await until(lambda: link.state.state == "connected")
            with capture_logs() as logs:
                await world.gateway.accounts.revoke_instance(None, world.paired.instance.value.id)
                await until(lambda: link.state.state == "parked")
            assert "pair again" in (link.state.reason or "")
            assert len(delays.asked) <= 2
            assert world.paired.instance.secret not in repr(logs)
            assert (await world.state(1)).status == 202


def _home_of(world: World, home: Home, delays: Delays | None = None) -> Any:  # noqa: ANN401 - a context manager of a link
    return linked(home, world.gateway.url, delays=delays, refresh_token=world.paired.instance.secret)
