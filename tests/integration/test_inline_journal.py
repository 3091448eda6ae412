"""What phones tell by Gladys Plus, in in-line mode: journaled, given to Gladys in order, and answered truly."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gladys_companion.config import Commands, Link
from tests.inline import Living, heard, open_gladys, open_living, open_plus
from tests.npm_modules import Node
from tests.odd_gateway import message

pytestmark = pytest.mark.timeout(360)  # the first of them waits for npm

QUICK = {"link": Link(settle_within=0.2)}
STATES = "SELECT d.state, count(*) FROM deliveries d WHERE d.target = 'inline' GROUP BY 1 ORDER BY 1"


@pytest.fixture
async def plus(npm_modules: Path) -> AsyncIterator[tuple[Node, str]]:
    """Gladys Plus, and where it is."""
    async with open_plus(npm_modules) as running:
        yield running


async def told(plus: Node, *messages: dict[str, Any]) -> list[dict[str, Any]]:
    """Send messages of phones, and return the answers."""
    for one in messages:
        await plus.say({"say": ["open-api-message", one]})
    return [(await heard(plus, "answered"))["answered"] for _ in messages]


async def values(gladys: Node, count: int) -> list[int]:
    """Return the states that Gladys is given next."""
    return [(await heard(gladys, "message"))["message"]["data"]["state"] for _ in range(count)]


async def away(living: Living, npm_modules: Path) -> None:
    """Let Gladys come, so that its token is known, and leave."""
    async with open_gladys(npm_modules, living.url):
        await living.until_gladys()
    await living.until_gladys(there=False)


async def test_gladys_is_given_what_came(npm_modules: Path, plus: tuple[Node, str], tmp_path: Path) -> None:
    """A message of an id that only Gladys knows reaches it as it came, and nothing of it is kept beyond need."""
    peer, upstream = plus
    wanted = message("mqtt:of-gladys", 21.5)
    async with open_living(tmp_path, upstream) as living, open_gladys(npm_modules, living.url) as (gladys, _):
        await living.until_gladys()
        (answer,) = await told(peer, wanted)
        assert (answer["status"], answer["outcome"]) == (200, "delivered")
        assert "only passed on to Gladys" in answer["warning"]
        assert (await heard(gladys, "message"))["message"] == wanted
        assert await living.rows("SELECT state, relayed FROM events") == [("planned", None)]


async def test_gladys_is_given_later_what_came_while_it_was_away(
    npm_modules: Path, plus: tuple[Node, str], tmp_path: Path
) -> None:
    """Phones are told that it was accepted; Gladys gets all of it in order as soon as it is back."""
    peer, upstream = plus
    async with open_living(tmp_path, upstream, **QUICK) as living:
        await away(living, npm_modules)
        answers = await told(peer, *(message("mqtt:of-gladys", number) for number in range(40)))
        assert {(one["status"], one["outcome"]) for one in answers} == {(202, "accepted")}
        async with open_gladys(npm_modules, living.url) as (gladys, _):
            assert await values(gladys, 40) == list(range(40))
            await living.until_rows(STATES, ("delivered", 40))


async def test_a_restart_of_the_daemon_loses_nothing(npm_modules: Path, plus: tuple[Node, str], tmp_path: Path) -> None:
    """What waited for Gladys when the daemon ended is given to it once both are there again."""
    peer, upstream = plus
    async with open_living(tmp_path, upstream, **QUICK) as living:
        await away(living, npm_modules)
        await told(peer, *(message("mqtt:of-gladys", number) for number in range(5)))
    async with open_living(tmp_path, upstream, **QUICK) as living, open_gladys(npm_modules, living.url) as (gladys, _):
        assert await values(gladys, 5) == list(range(5))
        await living.until_rows(STATES, ("delivered", 5))


async def test_what_is_late_is_history(npm_modules: Path, plus: tuple[Node, str], tmp_path: Path) -> None:
    """A number is told with its time, so that no scene runs; what Gladys has no history of is not told."""
    peer, upstream = plus
    place = {"user_id": "anna", "latitude": 48.1, "longitude": 2.1, "accuracy": 10}
    options = {**QUICK, "commands": Commands(time_to_live=0.5)}
    async with open_living(tmp_path, upstream, **options) as living:
        await away(living, npm_modules)
        before = time.time()
        await told(
            peer,
            message("mqtt:of-gladys", 7),
            message("mqtt:of-gladys", "a text"),
            message("", 0, action="create-owntracks-location", data=place),
            message("", 0, action="create-event", data={"event": "nfc:door"}),
        )
        ((last,),) = await living.rows("SELECT max(deadline) FROM events")
        await living.until_late(last)
        async with open_gladys(npm_modules, living.url) as (gladys, _):
            data = (await heard(gladys, "message"))["message"]["data"]
            assert data.pop("created_at") >= time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(before))
            assert data == {"device_feature_external_id": "mqtt:of-gladys", "state": 7}
            await living.until_rows(STATES, ("delivered", 1), ("expired", 3))


async def test_a_frozen_gladys_is_given_everything_once(
    npm_modules: Path, plus: tuple[Node, str], tmp_path: Path
) -> None:
    """While it hangs, phones are told so in time; when it goes on, it has each event once, however long that took."""
    peer, upstream = plus
    async with open_living(tmp_path, upstream, **QUICK) as living, open_gladys(npm_modules, living.url) as (gladys, _):
        await living.until_gladys()
        os.kill(gladys.pid, signal.SIGSTOP)
        answers = await told(peer, *(message("mqtt:of-gladys", number) for number in range(20)))
        assert {one["outcome"] for one in answers} == {"accepted"}
        await living.until_rows("SELECT max(attempts) FROM deliveries", (2,))
        os.kill(gladys.pid, signal.SIGCONT)
        assert await values(gladys, 20) == list(range(20))
        await living.until_rows(STATES, ("delivered", 20))
        await told(peer, message("mqtt:of-gladys", 20))
        assert await values(gladys, 1) == [20]


async def test_a_gladys_that_is_killed_misses_nothing(
    npm_modules: Path, plus: tuple[Node, str], tmp_path: Path
) -> None:
    """Killed in the middle of a burst, it is given the rest at its next start; at most one event comes again."""
    peer, upstream = plus
    burst = [message("mqtt:of-gladys", number) for number in range(200)]
    async with open_living(tmp_path, upstream, **QUICK) as living:
        async with open_gladys(npm_modules, living.url) as (gladys, _):
            await living.until_gladys()
            for one in burst:
                await peer.say({"say": ["open-api-message", one]})
            first = await values(gladys, 20)
            os.kill(gladys.pid, signal.SIGKILL)
        await living.until_gladys(there=False)
        for _ in burst:
            assert (await heard(peer, "answered"))["answered"]["status"] in {200, 202}
        known = (await living.rows("SELECT count(*) FROM deliveries WHERE state = 'delivered'"))[0][0]
        async with open_gladys(npm_modules, living.url) as (gladys, _):
            assert await values(gladys, 200 - known) == list(range(known, 200))
        assert first == list(range(20))
        await living.until_rows(STATES, ("delivered", 200))


async def test_what_gladys_refuses_is_told_to_the_phone(
    npm_modules: Path, plus: tuple[Node, str], tmp_path: Path
) -> None:
    """An error of Gladys comes back, under a code that Gladys Plus does not take for a home that is away."""
    peer, upstream = plus
    async with open_living(tmp_path, upstream) as living, open_gladys(npm_modules, living.url) as (gladys, _):
        await living.until_gladys()
        await gladys.say({"ack": {"status": 404, "error_code": "NOT_FOUND", "error_message": "No such feature."}})
        (answer,) = await told(peer, message("mqtt:of-gladys", 1))
        assert (answer["status"], answer["error_code"]) == (502, "DELIVERY_FAILED")
        assert "No such feature." in answer["error_message"]


async def test_what_gladys_never_acks_is_answered(npm_modules: Path, plus: tuple[Node, str], tmp_path: Path) -> None:
    """Gladys 4 has no handler for events: the phone is answered all the same, and what follows is not held up."""
    peer, upstream = plus
    async with open_living(tmp_path, upstream, **QUICK) as living, open_gladys(npm_modules, living.url) as (gladys, _):
        await living.until_gladys()
        await gladys.say({"ack": "never"})
        (answer,) = await told(peer, message("", 0, action="create-event", data={"event": "nfc:door"}))
        assert answer["outcome"] == "accepted"
        assert (await heard(gladys, "message"))["message"]["data"] == {"event": "nfc:door"}
        await living.until_rows(STATES, ("delivered", 1))
        await gladys.say({"ack": "ok"})
        assert (await told(peer, message("mqtt:of-gladys", 1)))[0]["outcome"] == "delivered"
