"""In-line mode between two sides of which one errs, attacks or hangs: the other is answered, and nothing hammers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gladys_companion.inline.local import MOST_SESSIONS
from tests.home import PRESENCE
from tests.inline import RawGladys, World, joined, open_world
from tests.linking import Scripted, until
from tests.odd_gateway import Gateway, Peer, message, open_gateway

QUICK = 0.5  # seconds that a side has for an ack
FLOOD = 10_000


@asynccontextmanager
async def both(directory: Path, gateway: Gateway, **more: Any) -> AsyncIterator[tuple[World, RawGladys, Peer]]:
    """Give in-line mode, an authenticated Gladys, and the upstream's end of the link."""
    scripted = Scripted(gateway)
    async with open_world(directory, gateway.url, **more) as world, joined(world.url) as gladys:
        peer = await scripted.peer()
        assert await gladys.authenticate()
        await world.until_up()
        yield world, gladys, peer


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with open_gateway() as gateway:
        yield gateway


def told(frame: str) -> tuple[int, Any]:
    """Return the number of an ack, and what it holds."""
    assert frame.startswith("43"), frame
    head, bracket, rest = frame[2:].partition("[")
    return int(head), json.loads(bracket + rest)[0]


async def passes(gladys: RawGladys, peer: Peer) -> None:
    """Assert that an event with an ack passes from upstream to Gladys and back."""
    await peer.socket.send('42777["message",{"a":1}]')
    while not (frame := await gladys.hear()).startswith("42"):
        pass
    number = frame[2 : frame.index("[")]
    assert frame == f'42{number}["message",{{"a":1}}]'
    await gladys.socket.send_str(f'43{number}[{{"b":2}}]')
    while not (answer := await peer.hear()).startswith("43777["):
        pass
    assert answer == '43777[{"b":2}]'


@pytest.mark.parametrize(
    "frame",
    ["42", "42[", "42[]", "42{}", "42[5]", '42["', "43", "43[]", '431[{"nobody":"asked"}]', "44", "45",
     '451-["x"]', "6", '42/other,["message",{}]', '42["\\ud800",{}]', '4299999999999999999["message"]', "4" * 1_000,
     '42["connect"]'],
)  # fmt: skip
async def test_odd_frames_of_the_upstream(gateway: Gateway, tmp_path: Path, frame: str) -> None:
    """What makes no sense is dropped; the link stays, and what follows passes."""
    async with both(tmp_path, gateway) as (_, gladys, peer):
        await peer.socket.send(frame)
        await passes(gladys, peer)
        assert len(gateway.peers) == 1


@pytest.mark.parametrize(
    "frame",
    ["", "42", "42[", "42[]", "42[5]", "43", "43[]", "45", '451-["x"]', '42/other,["x"]', '42["connect"]', "40", "44",
     '420["instance-authentication"]', '420["instance-authentication",5]', '42["instance-authentication",[]]', "x",
     '4312345[{"nobody":"asked"}]', '42["unasked",' + "[" * 5_000],
)  # fmt: skip
async def test_odd_frames_of_a_gladys(gateway: Gateway, tmp_path: Path, frame: str) -> None:
    """The connection may be ended for it; Gladys Plus stays connected, and the next one works."""
    async with both(tmp_path, gateway) as (world, gladys, peer):
        await gladys.socket.send_str(frame)
        async with joined(world.url) as another:
            assert await another.authenticate()
            await passes(another, peer)
        assert len(gateway.peers) == 1


async def test_a_gladys_that_says_too_much(gateway: Gateway, tmp_path: Path) -> None:
    """A frame beyond what Gladys Plus takes ends that connection, and nothing else."""
    async with both(tmp_path, gateway) as (world, gladys, peer):
        with suppress(ConnectionError):  # it may be cut while it still talks
            await gladys.socket.send_str('420["message","' + "x" * 27_000_000 + '"]')
        await gladys.ended()
        async with joined(world.url) as another:
            assert await another.authenticate()
            await passes(another, peer)


@pytest.mark.parametrize("frame", [b"\x04binary", "42" + "x" * 40_000_000], ids=["binary", "oversized"])
async def test_frames_that_no_gateway_sends(gateway: Gateway, tmp_path: Path, frame: str | bytes) -> None:
    """What is binary is dropped, and what is too large ends that connection to Gladys Plus: the next one works."""
    async with both(tmp_path, gateway) as (world, gladys, peer):
        scripted = Scripted(gateway)
        await peer.socket.send(frame)
        again = await scripted.peer() if isinstance(frame, str) else peer
        await world.until_up()
        await passes(gladys, again)


async def test_nobody_waits_for_who_never_acks(gateway: Gateway, tmp_path: Path) -> None:
    """Both sides get an error for what the other never answers, and its late answer is dropped."""
    async with both(tmp_path, gateway, answer_within=QUICK) as (_, gladys, peer):
        await peer.socket.send('425["message",{}]')
        asked = await gladys.hear()
        number, answer = told(await peer.hear())
        assert (number, answer["status"], answer["error_code"]) == (5, 504, "GLADYS_TIMEOUT")
        await gladys.socket.send_str('426["message",{}]')
        await peer.hear()
        number, answer = told(await gladys.hear())
        assert (number, answer["status"], answer["error_code"]) == (6, 504, "UPSTREAM_UNREACHABLE")
        await gladys.socket.send_str(f"43{asked[2 : asked.index('[')]}[{{}}]")
        await passes(gladys, peer)


async def test_ten_thousand_at_once(gateway: Gateway, tmp_path: Path) -> None:
    """Each of them is answered once, by Gladys or with an error, and the link is still the same."""
    async with both(tmp_path, gateway) as (_, gladys, peer):

        async def answer() -> None:
            while True:
                frame = await gladys.hear()
                await gladys.socket.send_str(f"43{frame[2 : frame.index('[')]}[{{}}]")

        answering = asyncio.create_task(answer())
        answers: dict[int, Any] = {}

        async def listen() -> None:
            while len(answers) < FLOOD:
                number, value = told(await peer.hear())
                assert number not in answers
                answers[number] = value

        async with asyncio.TaskGroup() as group:
            group.create_task(listen())
            for number in range(FLOOD):
                await peer.socket.send(f'42{number}["message",{{}}]')
        answering.cancel()
        assert {value.get("status") for value in answers.values()} <= {None, 503}
        assert sum("status" not in value for value in answers.values()) > 1_000
        assert len(gateway.peers) == 1


async def test_a_gladys_that_does_not_read(gateway: Gateway, tmp_path: Path) -> None:
    """It is cut, and whoever asked is told so; Gladys Plus stays connected."""
    async with both(tmp_path, gateway, answer_within=QUICK) as (world, _, peer):
        text = "x" * 1_000_000

        async def ask() -> None:
            for number in range(100):
                await peer.socket.send(f'42{number}["message","{text}"]')

        async with asyncio.TaskGroup() as group:
            group.create_task(ask())
            codes = {told(await peer.hear())[1]["error_code"] for _ in range(100)}
        assert codes <= {"GLADYS_TIMEOUT", "NO_INSTANCE_FOUND"}
        async with joined(world.url) as another:
            assert await another.authenticate()
            await passes(another, peer)


async def test_the_newest_connection_is_gladys(gateway: Gateway, tmp_path: Path) -> None:
    """A Gladys that connects twice is talked to by its newest connection, and by the other when that has ended."""
    async with both(tmp_path, gateway) as (world, gladys, peer):
        local = world.inline.relay.local
        first = local.working
        async with joined(world.url) as another:
            assert await another.authenticate()
            await passes(another, peer)
            await gladys.socket.send_str('428["latency",1]')
            assert (await peer.hear()).endswith('["latency",1]')
        await until(lambda: local.working == first)
        await passes(gladys, peer)
        assert len(gateway.peers) == 1


async def test_too_many_connections(gateway: Gateway, tmp_path: Path) -> None:
    """More than Gladys ever needs are refused, and those that there are go on."""
    async with both(tmp_path, gateway) as (world, gladys, peer), AsyncExitStack() as stack:
        for _ in range(MOST_SESSIONS - 1):
            await stack.enter_async_context(joined(world.url))
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await stack.enter_async_context(joined(world.url))
        assert refused.value.status == HTTPStatus.SERVICE_UNAVAILABLE
        await passes(gladys, peer)


async def refuse(peer: Peer) -> None:
    """Let nobody in any more."""
    await peer.welcome()
    await peer.socket.send('42["instance-authentication-failed",{"reason":"revoked"}]')
    await peer.socket.send("41")
    await peer.socket.wait_closed()


async def test_an_upstream_that_accepts_and_refuses(gateway: Gateway, tmp_path: Path) -> None:
    """The link parks, Gladys is told by being cut, and another token of Gladys begins another link."""
    async with both(tmp_path, gateway) as (world, gladys, peer):
        gateway.token_answer = lambda: (
            HTTPStatus.FORBIDDEN,
            '{"status":403,"error_code":"FORBIDDEN","error_message":""}',
        )
        gateway.serve = refuse
        await peer.socket.close()
        await gladys.ended()
        assert world.inline.link is not None
        assert world.inline.link.state.state == "parked"
        asked = len(gateway.tokens)
        gateway.token_answer = lambda: (HTTPStatus.OK, '{"access_token":"jwt-0"}')
        scripted = Scripted(gateway)
        async with joined(world.url, "another-token") as again:
            await scripted.peer()
            assert await again.authenticate()
            await world.until_up()
        assert gateway.tokens[asked:] == ["another-token", "another-token"]


async def test_a_token_that_is_not_believed(gateway: Gateway, tmp_path: Path) -> None:
    """Gladys is told no, and is not dismissed: its client would come back at once, for ever."""
    async with both(tmp_path, gateway) as (world, _, peer), joined(world.url) as another:
        gateway.users = HTTPStatus.UNAUTHORIZED
        assert not await another.authenticate()
        assert not another.socket.closed
        await another.socket.send_str('421["message",{}]')
        assert told(await another.hear())[1]["error_code"] == "UNAUTHORIZED"
        assert (await peer.ask(7, message(PRESENCE.external_id, 1)))["status"] == 200


async def test_who_is_refused_for_ever_is_held_up(
    gateway: Gateway, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Gladys' own client asks anew at once, for ever, where it gets 401; and that holds up no end of the daemon."""
    gateway.users = HTTPStatus.UNAUTHORIZED
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        async with open_world(tmp_path, gateway.url) as world:

            async def storm() -> None:
                with suppress(aiohttp.ClientError):
                    while True:
                        async with http.get(f"{world.url}/instances/users") as answer:
                            assert answer.status == HTTPStatus.UNAUTHORIZED

            began = asyncio.get_running_loop().time()
            asking = group.create_task(storm())
            await until(lambda: gateway.asked_for_users >= 7)
            assert asyncio.get_running_loop().time() - began > 1.0
        await asking
    assert gateway.asked_for_users < 10
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
