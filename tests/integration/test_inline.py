"""In-line mode between the official client as Gladys and a server that plays Gladys Plus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gladys_companion.inline.token import SeenToken
from tests.home import PRESENCE
from tests.inline import TOKEN, heard, open_gladys, open_plus, open_process, open_world
from tests.npm_modules import Node
from tests.odd_gateway import message

pytestmark = pytest.mark.timeout(360)  # the first of them waits for npm


@pytest.fixture
async def plus(npm_modules: Path) -> AsyncIterator[tuple[Node, str]]:
    """Gladys Plus, and where it is."""
    async with open_plus(npm_modules) as running:
        yield running


def _everything_in(directory: Path) -> bytes:
    return b"".join(file.read_bytes() for file in directory.rglob("*") if file.is_file())


async def test_gladys_connects_by_the_companion(npm_modules: Path, plus: tuple[Node, str], tmp_path: Path) -> None:
    """Gladys is in, the companion is with Gladys Plus in its name, and latency is measured over both."""
    peer, upstream = plus
    async with open_world(tmp_path, upstream) as world, open_gladys(npm_modules, world.url) as (gladys, keys):
        assert keys["connected"]
        assert (await heard(peer, "auth"))["auth"]["auth_type"] == "instance"
        await world.until_up()
        await gladys.say({"latency": True})
        assert (await heard(gladys, "latency"))["latency"] >= 0


async def test_dashboard_calls_pass(npm_modules: Path, plus: tuple[Node, str], tmp_path: Path) -> None:
    """An encrypted call of the dashboard reaches Gladys, and its answer the dashboard, up to some megabytes."""
    peer, upstream = plus
    async with open_world(tmp_path, upstream) as world, open_gladys(npm_modules, world.url) as (gladys, keys):
        await world.until_up()
        for size in (0, 5_000_000):
            await peer.say({"call": {"type": "gladys-api-call", "size": size}, "keys": keys})
            assert (await heard(gladys, "call"))["call"]["type"] == "gladys-api-call"
            said = await heard(peer, "reply", "error")
            assert (said["reply"]["status"], len(said["reply"]["text"])) == (200, size)


async def test_gladys_tells_the_dashboard(npm_modules: Path, plus: tuple[Node, str], tmp_path: Path) -> None:
    """What Gladys sends to everybody reaches Gladys Plus, with and without an ack."""
    peer, upstream = plus
    async with open_world(tmp_path, upstream) as world, open_gladys(npm_modules, world.url) as (gladys, _):
        await world.until_up()
        await gladys.say({"tell": {"type": "gladys-event", "event": "device.new-state"}})
        told = (await heard(peer, "heard"))["heard"]
        assert told[0] == "message"
        await gladys.say({"emit": ["ask", {"x": "é"}]})
        assert (await heard(gladys, "acked"))["acked"] == {"status": 200, "got": 9}


async def test_without_gladys_the_dashboard_gets_an_error(
    npm_modules: Path, plus: tuple[Node, str], tmp_path: Path
) -> None:
    """While Gladys is away, the connection to Gladys Plus stays, and the dashboard is told at once what is wrong."""
    peer, upstream = plus
    async with open_world(tmp_path, upstream) as world:
        async with open_gladys(npm_modules, world.url) as (_, keys):
            await world.until_up()
        await world.until_gladys(there=False)
        await peer.say({"call": {"type": "gladys-api-call"}, "keys": keys})
        assert (await heard(peer, "reply", "error"))["error"]["error_code"] == "NO_INSTANCE_FOUND"
        assert world.inline.link is not None
        assert world.inline.link.state.state == "connected"
        async with open_gladys(npm_modules, world.url) as (_, again):
            assert again["connected"]
            await peer.say({"call": {"type": "gladys-api-call"}, "keys": again})
            assert (await heard(peer, "reply", "error"))["reply"]["status"] == 200


async def test_messages_of_phones_are_taken(npm_modules: Path, plus: tuple[Node, str], tmp_path: Path) -> None:
    """A phone's message goes through the journal and is answered by what became of it."""
    peer, upstream = plus
    async with open_world(tmp_path, upstream) as world, open_gladys(npm_modules, world.url):
        await world.until_up()
        await peer.say({"say": ["open-api-message", message(PRESENCE.external_id, 1)]})
        answered: dict[str, Any] = (await heard(peer, "answered"))["answered"]
        assert (answered["status"], answered["outcome"]) == (200, "delivered")
        assert await world.home.rows("SELECT value FROM events") == [(1,)]


async def test_unknown_kinds_are_passed_on(npm_modules: Path, plus: tuple[Node, str], tmp_path: Path) -> None:
    """A kind that the companion does not know is Gladys' to answer, and answered by an error while that is away."""
    peer, upstream = plus
    webhook = message("x", 1) | {"action": "mcp-webhook"}
    async with open_world(tmp_path, upstream) as world:
        async with open_gladys(npm_modules, world.url) as (gladys, _):
            await world.until_up()
            await gladys.say({"ack": {"status": 207, "body": "yes"}})
            await peer.say({"say": ["open-api-message", webhook]})
            assert (await heard(gladys, "message"))["message"] == webhook
            assert (await heard(peer, "answered"))["answered"] == {"status": 207, "body": "yes"}
        await world.until_gladys(there=False)
        await peer.say({"say": ["open-api-message", webhook]})
        assert (await heard(peer, "answered"))["answered"]["error_code"] == "NO_INSTANCE_FOUND"


async def test_the_tokens_are_nowhere(npm_modules: Path, plus: tuple[Node, str], tmp_path: Path) -> None:
    """Gladys' tokens are in no log, however much is logged, and in no file of a daemon that runs with them."""
    peer, upstream = plus
    async with open_process(tmp_path, upstream, "debug") as (daemon, url), open_gladys(npm_modules, url) as (gladys, _):
        assert (await heard(peer, "auth"))["auth"]["auth_type"] == "instance"
        await peer.say({"say": ["open-api-message", message("mqtt:of-gladys", 1)]})
        await heard(peer, "answered")
        await peer.say({"drop": True})
        assert (await heard(peer, "auth"))["auth"]["auth_type"] == "instance"
        await peer.say({"say": ["open-api-message", message("mqtt:of-gladys", 0)]})
        await heard(peer, "answered")  # the connection is whole again
        await gladys.say({"latency": True})
        assert (await heard(gladys, "latency"))["latency"] >= 0
        log = await asyncio.to_thread(daemon.log.read_text, "utf-8")
    files = await asyncio.to_thread(_everything_in, tmp_path)
    assert "link connected" in log
    assert b"mqtt:of-gladys" in files
    for secret in (TOKEN, "jwt-"):
        assert secret.encode() not in files


def test_nothing_shows_the_token() -> None:
    """Who keeps it has it not in its representation, and lets it go once it is refused."""
    seen = SeenToken()
    seen.answered(TOKEN, 200)
    assert seen.value == TOKEN
    assert TOKEN not in repr(seen)
    seen.answered(TOKEN, 403)
    assert seen.value is None
