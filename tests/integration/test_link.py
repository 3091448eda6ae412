"""The link against the official npm server playing Gladys Plus, and against a gateway that does what none should."""

from __future__ import annotations

import asyncio
import sqlite3
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed

from gladys_companion.link.session import MOST_UNDER_WAY
from tests.home import ON, PRESENCE, Home, open_home
from tests.linking import Delays, Scripted, linked, until
from tests.mosquitto import certificate
from tests.npm_modules import node
from tests.odd_gateway import Gateway, Peer, message, open_gateway


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with open_home(tmp_path) as home:
        yield home


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with open_gateway() as gateway:
        yield gateway


async def test_it_announces_itself(home: Home, gateway: Gateway) -> None:
    """The token is fetched by the refresh token, shown with our version, and the clocks are compared."""
    scripted = Scripted(gateway)
    home.clock.wall = 1_700_000_007.5
    async with linked(home, gateway.url) as link:
        peer = await scripted.peer()
        await until(lambda: link.state.state == "connected")
        assert peer.auth == {"auth_type": "instance", "access_token": "jwt-1", "companion": {"version": 1}}
        assert gateway.tokens == ["refresh"]
        assert link.state.clock_offset == -7.5
        assert link.attempted.is_set()


async def test_a_message_is_committed_and_acked(home: Home, gateway: Gateway) -> None:
    """The ack is the receipt, and the same event again is acked as what it is."""
    scripted = Scripted(gateway)
    async with linked(home, gateway.url):
        peer = await scripted.peer()
        for number, duplicate in ((7, False), (8, True)):
            answer = await peer.ask(number, message(PRESENCE.external_id, 1, "event-1"))
            assert (answer["status"], answer["id"], answer["duplicate"]) == (200, "event-1", duplicate)
            assert [target["target"] for target in answer["targets"]] == ["virtual"]
        assert await home.rows("SELECT id, value FROM events") == [("event-1", 1)]


async def test_a_thousand_at_once_keep_their_order(home: Home, gateway: Gateway) -> None:
    """What comes in one go is committed in the order in which it came, and each is acked."""
    scripted = Scripted(gateway)
    async with linked(home, gateway.url) as link:
        peer = await scripted.peer()
        for number in range(1_000):
            await peer.say(number, message(PRESENCE.external_id, number % 2, f"event-{number}"))
        acks = dict([await peer.heard() for _ in range(1_000)])
        assert {ack["status"] for ack in acks.values()} == {200}
        assert [acks[number]["id"] for number in range(1_000)] == [f"event-{number}" for number in range(1_000)]
        rows = await home.rows("SELECT id FROM events ORDER BY seq")
        assert [row[0] for row in rows] == [f"event-{number}" for number in range(1_000)]
        assert link.state.state == "connected"


async def test_more_than_it_takes(tmp_path: Path, gateway: Gateway) -> None:
    """Where none of as many as it takes ends, it closes and says why; what comes again is taken, and nothing twice."""
    scripted = Scripted(gateway)
    async with (
        open_home(tmp_path, sinks=["gladys"], settle_within=3_600) as home,
        linked(home, gateway.url),
    ):
        home.gladys.answer = lambda _: asyncio.get_running_loop().create_future()  # so no event is done with
        peer = await scripted.peer()
        with suppress(ConnectionClosed):
            for number in range(10_000):
                await peer.say(number, message(PRESENCE.external_id, number % 2, f"event-{number}"))
        await peer.socket.wait_closed()
        assert peer.socket.close_code == 1013
        assert f"{MOST_UNDER_WAY} events are under way, and none ends" in (peer.socket.close_reason or "")
        peer = await scripted.peer()
        home.gladys.answer = None
        for number in range(100):
            await peer.say(number, message(PRESENCE.external_id, number % 2, f"event-{number}"))
        acks = [await peer.heard() for _ in range(100)]
        assert {(number, ack["id"], ack["duplicate"]) for number, ack in acks} == {
            (number, f"event-{number}", True) for number in range(100)
        }
        ids = [row[0] for row in await home.rows("SELECT id FROM events ORDER BY seq")]
        assert ids == [f"event-{number}" for number in range(len(ids))]


@pytest.mark.parametrize(
    ("frame", "status"),
    [
        ("429[", 422),
        ("429[]", 422),
        ('429["connect"]', 422),
        ('429["open-api-message"]', 422),
        ('429["open-api-message",[]]', 422),
        ('429["open-api-message",{"action":"create-device-state"}]', 422),
        ('429["open-api-message",{"action":"create-device-state","data":3}]', 422),
        ('429["open-api-message",{"action":"create-device-state","data":{}}]', 422),
        ('429["open-api-message",{"action":"mcp-webhook","data":{}}]', 501),
        ('429["open-api-message",' + "[" * 100_000 + "]" * 100_000 + "]", 422),
        ('429["clear-key-cache"]', 501),
        ('429["message",{"encrypted":"x"}]', 501),
    ],
)
async def test_what_it_can_not_take_is_answered(home: Home, gateway: Gateway, frame: str, status: int) -> None:
    """Whoever waits for an ack gets an object with status, code and sentence, and the link stays."""
    scripted = Scripted(gateway)
    async with linked(home, gateway.url) as link:
        peer = await scripted.peer()
        await peer.socket.send(frame)
        number, answer = await peer.heard()
        assert number == 9
        assert answer["status"] == status
        assert answer["error_code"] not in {"", "NOT_FOUND"}
        assert answer["error_message"].endswith(".")
        assert (await peer.ask(10, message(PRESENCE.external_id, 1, "event-1")))["status"] == 200
        assert len(gateway.peers) == 1
        assert link.state.state == "connected"


@pytest.mark.parametrize("frame", ["", "9", "4", "42", "42{}", "42/other,[]", b"\x00\x01", "451-[]", "43[]", "437[]"])
async def test_frames_of_no_use_are_dropped(home: Home, gateway: Gateway, frame: str | bytes) -> None:
    """Frames that are none, binary ones and answers to nothing harm nobody."""
    scripted = Scripted(gateway)
    async with linked(home, gateway.url) as link:
        peer = await scripted.peer()
        await peer.socket.send(frame)
        assert (await peer.ask(10, message(PRESENCE.external_id, 1, "event-1")))["status"] == 200
        assert link.state.malformed == (frame != "437[]")


async def test_an_unknown_id_is_a_404_with_the_nearest(home: Home, gateway: Gateway) -> None:
    """The ack tells what the phone is to read, and the event is kept."""
    scripted = Scripted(gateway)
    async with linked(home, gateway.url):
        answer = await (await scripted.peer()).ask(1, message("mqtt:my-fone-presence", 1, "event-1"))
        assert (answer["status"], answer["error_code"]) == (404, "DEVICE_FEATURE_NOT_FOUND")
        assert answer["nearest"] == [PRESENCE.external_id]
        assert await home.rows("SELECT state FROM events") == [("unbound",)]


async def test_a_full_disk_is_told(home: Home, gateway: Gateway) -> None:
    """What could not be committed, and what came behind it, is acked 503 and sent again over a link of its own."""
    scripted = Scripted(gateway)
    size = "PRAGMA max_page_count = {}".format
    async with linked(home, gateway.url) as link:
        peer = await scripted.peer()
        await home.store.write(lambda database: database.conn.execute(size(1)).fetchone())
        bulky = message(PRESENCE.external_id, 1, "event-1", action="create-event", data={"x": "y" * 100_000})
        answer = await peer.ask(1, bulky)
        assert (answer["status"], answer["error_code"]) == (503, "STORE_FULL")
        peer = await scripted.peer()
        await home.store.write(lambda database: database.conn.execute(size(1_000_000)).fetchone())
        assert (await peer.ask(2, bulky))["duplicate"] is False
        assert link.state.state == "connected"


async def test_nothing_is_stored_ahead_of_what_could_not_be(home: Home, gateway: Gateway) -> None:
    """What the gateway sent before it read the 503 is not stored either, whenever it arrives: order is kept."""
    scripted = Scripted(gateway)
    other = sqlite3.connect(home.store.path, isolation_level=None, check_same_thread=False, timeout=0)
    async with linked(home, gateway.url):
        peer = await scripted.peer()
        await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
        await peer.say(1, message(PRESENCE.external_id, 1, "event-1"))
        answered, answer = await peer.heard()
        assert (answered, answer["status"]) == (1, 503)
        await asyncio.to_thread(other.execute, "ROLLBACK")
        with suppress(ConnectionClosed):
            await peer.say(2, message(PRESENCE.external_id, 0, "event-2"))
        peer = await scripted.peer()
        for number in (1, 2):
            await peer.ask(number, message(PRESENCE.external_id, 2 - number, f"event-{number}"))
    await asyncio.to_thread(other.close)
    assert await home.rows("SELECT id FROM events ORDER BY seq") == [("event-1",), ("event-2",)]


async def test_a_receipt_that_changes_is_told_until_it_is_heard(home: Home, gateway: Gateway) -> None:
    """What settles after its ack is told with its id, again after a cut, and not again once it was acked."""
    scripted = Scripted(gateway)
    slow = await home.slow_lamp()
    async with linked(home, gateway.url):
        peer = await scripted.peer()
        assert (await peer.ask(1, message(ON.external_id, 1, "event-1")))["outcome"] == "accepted"
        slow.set()
        told = await receipt(peer)
        assert (told["id"], told["outcome"], told["targets"][0]["state"]) == ("event-1", "delivered", "delivered")
        await peer.socket.close()
        peer = await scripted.peer()
        assert await receipt(peer) == told
        await peer.socket.send('431[{"status":200}]')
        assert (await peer.ask(2, message(PRESENCE.external_id, 1, "event-2")))["status"] == 200
        await peer.socket.close()
        peer = await scripted.peer()
        assert (await peer.ask(3, message(PRESENCE.external_id, 1, "event-3")))["status"] == 200


async def receipt(peer: Peer) -> Any:  # noqa: ANN401 - JSON
    """Return the first receipt of a connection."""
    frame = await peer.hear()
    assert frame.startswith('421["open-api-receipt",'), frame
    return msgspec.json.decode(frame[3:])[1]


async def test_a_stranger_is_told_no_receipts(home: Home, gateway: Gateway) -> None:
    """A gateway that did not announce itself as ours hears only acks, also of what settles late."""
    slow = await home.slow_lamp()
    done = asyncio.Event()

    async def plus(peer: Peer) -> None:
        await peer.welcome()
        await peer.accept()
        assert (await peer.ask(1, message(ON.external_id, 1)))["outcome"] == "accepted"
        slow.set()
        (row,) = await home.rows("SELECT id FROM events")
        await home.settled(row[0], "lamp", "delivered")
        assert (await peer.ask(2, message(PRESENCE.external_id, 1)))["status"] == 200
        done.set()
        await peer.socket.wait_closed()

    gateway.serve = plus
    async with linked(home, gateway.url), asyncio.timeout(20):
        await done.wait()


@pytest.mark.parametrize("own", [True, False])
async def test_it_never_hammers(home: Home, gateway: Gateway, *, own: bool) -> None:
    """A gateway that accepts and at once hangs up is asked ever more slowly; only a stable minute starts anew."""
    stable = False

    async def hang_up(peer: Peer) -> None:
        await peer.join()
        if stable:
            assert (await peer.ask(1, message(PRESENCE.external_id, 1, "event-1")))["status"] == 200
            home.clock.pass_by(61)

    gateway.serve = hang_up
    delays = Delays()
    async with linked(home, gateway.url, delays=delays, own=own):
        assert list(await delays.count(5))[:5] == [0, 1, 2, 3, 4]
        assert set(delays.asked) == {(attempt, 0.5, 5.0 if own else 30.0) for attempt, _, _ in delays.asked}
        assert len(gateway.tokens) == 1
        stable = True
        before = len(delays.asked)
        asked = await delays.count(before + 4)
        assert 0 in asked[before:]
        assert asked[asked.index(0, before) + 1] == 0


async def test_silence_is_noticed(home: Home, gateway: Gateway) -> None:
    """A gateway that says nothing for longer than it announced is left, and told of as silent."""

    async def fall_silent(peer: Peer) -> None:
        await peer.welcome(ping_interval=100, ping_timeout=100)
        await peer.accept(version=1)
        await peer.socket.wait_closed()

    gateway.serve = fall_silent
    delays = Delays(2)
    async with linked(home, gateway.url, delays=delays) as link:
        assert await delays.count(2) == [0, 1]
        assert link.state.reason == "the gateway fell silent"


async def test_dead_after_bounds_what_the_gateway_announces(home: Home, gateway: Gateway) -> None:
    """However patient the gateway is, silence beyond the configured bound is death."""

    async def fall_silent(peer: Peer) -> None:
        await peer.welcome(ping_interval=900_000, ping_timeout=900_000)
        await peer.accept(version=1)
        await peer.socket.wait_closed()

    gateway.serve = fall_silent
    delays = Delays(1)
    async with linked(home, gateway.url, delays=delays, dead_after=0.2) as link:
        await delays.count(1)
        assert link.state.reason == "the gateway fell silent"


async def test_pings_are_answered(home: Home, gateway: Gateway) -> None:
    """A ping gets its pong, with what it carried, before and after authentication."""
    done = asyncio.Event()

    async def ping(peer: Peer) -> None:
        await peer.welcome()
        for data in ("", "probe"):
            await peer.socket.send(f"2{data}")
            assert await peer.hear() == f"3{data}"
            await peer.accept(version=1)
        done.set()
        await peer.socket.wait_closed()

    gateway.serve = ping
    async with linked(home, gateway.url), asyncio.timeout(20):
        await done.wait()


@pytest.mark.parametrize("status", [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN])
async def test_a_refused_home_parks(home: Home, gateway: Gateway, status: HTTPStatus) -> None:
    """A gateway that does not know the refresh token is asked once, and the state says what to do."""
    gateway.token_answer = lambda: (status, '{"status":0,"error_code":"X","error_message":"no"}')
    with capture_logs() as logs:
        async with linked(home, gateway.url) as link:
            await until(lambda: link.state.state == "parked")
            assert "pair again" in (link.state.reason or "")
            assert link.attempted.is_set()
    assert gateway.tokens == ["refresh"]
    assert gateway.peers == []
    assert "jwt" not in repr(logs)
    assert "'refresh'" not in repr(logs)


async def test_a_refused_fresh_token_parks(home: Home, gateway: Gateway) -> None:
    """A token refused as soon as it was made is not made again."""

    async def refuse(peer: Peer) -> None:
        await peer.welcome()
        await peer.socket.send('42["instance-authentication-failed",{"reason":"no"}]')
        await peer.socket.send("41")

    gateway.serve = refuse
    async with linked(home, gateway.url) as link:
        await until(lambda: link.state.state == "parked")
    assert (len(gateway.tokens), len(gateway.peers)) == (1, 1)


async def test_a_token_that_ran_out_is_made_anew(home: Home, gateway: Gateway) -> None:
    """A token is used for fifty minutes; one refused before that is replaced at the next attempt, without parking."""
    scripted = Scripted(gateway)
    async with linked(home, gateway.url) as link:
        peer = await scripted.peer()
        assert peer.auth["access_token"] == "jwt-1"
        await peer.socket.close()
        peer = await scripted.peer()
        assert peer.auth["access_token"] == "jwt-1"
        home.clock.pass_by(51 * 60)
        await peer.socket.close()
        peer = await scripted.peer()
        assert peer.auth["access_token"] == "jwt-2"

        async def refuse_once(refused: Peer) -> None:
            await refused.welcome()
            await refused.socket.send('42["instance-authentication-failed",{"reason":"jwt expired"}]')
            gateway.serve = scripted.serve

        gateway.serve = refuse_once
        await peer.socket.close()
        peer = await scripted.peer()
        assert peer.auth["access_token"] == "jwt-3"
        await until(lambda: link.state.state == "connected")


@pytest.mark.parametrize(
    "answer",
    [
        (HTTPStatus.INTERNAL_SERVER_ERROR, "oops"),
        (HTTPStatus.OK, "<html>"),
        (HTTPStatus.OK, "{}"),
        (HTTPStatus.OK, '{"access_token":5}'),
        (HTTPStatus.FORBIDDEN, "<html>blocked by a proxy</html>"),
        (HTTPStatus.FOUND, ""),
    ],
)
async def test_an_answer_that_holds_no_token(home: Home, gateway: Gateway, answer: tuple[HTTPStatus, str]) -> None:
    """Whatever stands between may answer nonsense: it is tried again, and never taken for a refusal."""
    gateway.token_answer = lambda: answer
    delays = Delays(3)
    async with linked(home, gateway.url, delays=delays) as link:
        assert await delays.count(3) == [0, 1, 2]
        assert link.state.state == "waiting"
        assert str(answer[0].value) in (link.state.reason or "")


@pytest.mark.parametrize("first", ["", "2", "nonsense", '40{"sid":"b"}', '44{"message":"no"}', "1", b"\x00"])
async def test_a_handshake_that_is_none(home: Home, gateway: Gateway, first: str | bytes) -> None:
    """Whatever comes instead of the handshake, or the welcome, leads to another attempt."""

    async def greet(peer: Peer) -> None:
        if len(gateway.peers) % 2:
            await peer.welcome()
        await peer.socket.send(first)
        if first != '44{"message":"no"}':
            await peer.socket.send("1")
        await peer.socket.wait_closed()

    gateway.serve = greet
    delays = Delays(3)
    async with linked(home, gateway.url, delays=delays) as link:
        assert await delays.count(3) == [0, 1, 2]
        assert link.state.reason


async def test_nobody_there(home: Home) -> None:
    """A gateway that can not be reached is tried again, and the state says which."""
    async with open_gateway() as gateway:
        url = gateway.url
    delays = Delays(3)
    async with linked(home, url, delays=delays) as link:
        assert await delays.count(3) == [0, 1, 2]
        assert url in (link.state.reason or "")


async def test_a_frame_too_large(home: Home, gateway: Gateway) -> None:
    """A frame beyond what a gateway may send ends the connection, and the next one is as good as new."""
    scripted = Scripted(gateway)
    async with linked(home, gateway.url) as link:
        peer = await scripted.peer()
        with suppress(ConnectionClosed):
            await peer.socket.send("x" * 27_000_000)
        await peer.socket.wait_closed()
        assert peer.socket.close_code == 1009
        peer = await scripted.peer()
        assert (await peer.ask(1, message(PRESENCE.external_id, 1, "event-1")))["status"] == 200
        assert link.state.state == "connected"


@pytest.mark.needs("openssl")
async def test_tls(home: Home, tmp_path: Path) -> None:
    """A gateway with a certificate of one's own authority is trusted with that authority, and not without."""
    cert, key = await asyncio.to_thread(certificate, tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    await asyncio.to_thread(context.load_cert_chain, cert, key)
    async with open_gateway(context) as gateway:
        scripted = Scripted(gateway)
        async with linked(home, gateway.url, ca_certificate=str(cert)):
            peer = await scripted.peer()
            assert (await peer.ask(1, message(PRESENCE.external_id, 1, "event-1")))["status"] == 200
        delays = Delays(1)
        async with linked(home, gateway.url, delays=delays) as link:
            await delays.count(1)
            assert "certificate" in (link.state.reason or "").lower()


async def test_to_stop_is_to_cancel(home: Home, gateway: Gateway) -> None:
    """Cancelled with events under way it ends at once; what was committed stays, and nothing goes on."""
    scripted = Scripted(gateway)
    before = asyncio.all_tasks()
    async with asyncio.timeout(20):
        async with linked(home, gateway.url):
            peer = await scripted.peer()
            for number in range(100):
                await peer.say(number, message(PRESENCE.external_id, 1, f"event-{number}"))
            await peer.heard()
        with suppress(ConnectionClosed):  # read what came: a peer that does not read never sees the end
            while await peer.hear():
                pass
        while asyncio.all_tasks() - before:  # noqa: ASYNC110 - the server's own
            await asyncio.sleep(0.01)
    ids = [row[0] for row in await home.rows("SELECT id FROM events ORDER BY seq")]
    assert ids == [f"event-{number}" for number in range(len(ids))]
    assert ids


@pytest.mark.timeout(360)  # the first of them waits for npm
async def test_gladys_plus(home: Home, npm_modules: Path) -> None:
    """With the official server and the shapes of Gladys Plus: authenticated, acked, pinged, dropped, refused, back."""
    async with node(npm_modules, "plus.cjs", "50", "20000") as plus:
        url = f"http://127.0.0.1:{(await plus.hear())['port']}"
        async with linked(home, url, own=False) as link:
            assert (await plus.hear())["auth"] == {
                "auth_type": "instance",
                "access_token": "jwt-1",
                "companion": {"version": 1},
            }
            await until(lambda: link.state.state == "connected")
            for value in (1, "0", True):
                await plus.say({"say": ["open-api-message", message(PRESENCE.external_id, value)]})
                answered = (await plus.hear())["answered"]
                assert (answered["status"], answered["outcome"]) == (200, "delivered")
            await plus.say({"say": ["message", {"encrypted": "x"}]})
            assert (await plus.hear())["answered"]["status"] == 501
            values = await home.rows("SELECT value FROM events ORDER BY seq")
            assert [row[0] for row in values] == [1, 0, 1]
            await plus.say({"refuse": True})
            await plus.say({"drop": True})
            assert "disconnected" in await plus.hear()
            assert (await plus.hear())["auth"]["access_token"] == "jwt-1"
            assert (await plus.hear())["auth"]["access_token"] == "jwt-2"
            await plus.say({"say": ["open-api-message", message(PRESENCE.external_id, 1)]})
            assert (await plus.hear())["answered"]["status"] == 200


async def test_who_gets_the_messages_is_known_and_followed(home: Home, gateway: Gateway) -> None:
    """The gateway says at the start, and again when a person changes it, whether the home's messages come here."""
    changed = asyncio.Event()

    async def demote(peer: Peer) -> None:
        await peer.welcome()
        await peer.accept(version=1)
        await changed.wait()
        told = '42["instance-authenticated",{"companion":{"version":1,"time":0,"primary":false}}]'
        await peer.socket.send(told)
        await peer.socket.wait_closed()

    gateway.serve = demote
    async with linked(home, gateway.url) as link:
        await until(lambda: link.state.state == "connected")
        assert link.state.primary
        changed.set()
        await until(lambda: not link.state.primary)
        assert link.state.state == "connected"
