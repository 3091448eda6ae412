"""Signals from the tap to what they do: gateway and home as they run, asked as a user does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.phones import QUICK, SOON
from tests.rig import HOME, Rig, open_rig, until

TABLES: Mapping[str, Mapping[str, Any]] = {
    'signals."nfc:door"': {"external_id": "phone:0", "value": 1},
    'signals."button"': {"external_id": "phone:0", "value": 2, "debounce": 0},
}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def post(rig: Rig, http: aiohttp.ClientSession, body: Mapping[str, Any], route: str = "event") -> Any:  # noqa: ANN401 - JSON
    """Post a signal, or a message, and return the status with the receipt."""
    async with http.post(f"{rig.url}/v1/api/{route}/{rig.key}", json=body) as answer:
        told = await answer.json()
        assert told["status"] == answer.status
        return told


async def test_from_the_first_tap_to_what_it_does(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    """A tag that nobody named is told so to the phone and by doctor; with its table, the tap just made is done."""
    async with open_rig(tmp_path, home={"link": SOON}) as rig:
        told = await post(rig, http, {"tag": "nfc:door"})
        assert (told["status"], told["error_code"]) == (404, "SIGNAL_NOT_FOUND")
        assert "[signals]" in told["error_message"]
        (waiting,) = await rig.command("home", "events", "list", "--state", "unbound")
        assert (waiting["external_id"], waiting["kind"]) == ("nfc:door", "signal")
        status = await rig.status()
        assert status is not None
        assert status["counts"]["signals"] == ["nfc:door"]
        nameless = await post(rig, http, {"color": "red"})
        assert (nameless["status"], nameless["field"]) == (422, "event")
        assert await rig.home.stop() == 0
        rig.configure({}, {"link": SOON, **TABLES})
        await rig.start("home").ready()
        await rig.connected()

        async def done() -> bool:
            return rig.rows(rig.journal, "SELECT value FROM features WHERE external_id = 'phone:0'") == [(1.0,)]

        await until(done, "the tap of before is done")
        again = await post(rig, http, {"event": "nfc:door"})
        assert (again["status"], again["outcome"]) == (200, "delivered")
        ((target,)) = again["targets"]
        assert "nothing was done" in target["reason"]
        first = await rig.command("home", "events", "show", waiting["id"])
        made = first["hops"][-1]["reason"].split("event ")[1].rstrip(")")
        derived = await rig.command("home", "events", "show", made)
        assert (derived["cause"], derived["value"], derived["origin"]) == (waiting["id"], 1.0, "signals")


async def test_a_message_that_nobody_gets_is_refused(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    """Its sender hears so, and what to switch on; home keeps it where it can be read."""
    async with open_rig(tmp_path, home={"link": SOON}) as rig:
        told = await post(rig, http, {"text": "Dinner!"}, "message")
        assert (told["status"], told["error_code"]) == (501, "UNSUPPORTED_ACTION")
        assert "[sinks.gladys_api]" in told["error_message"]
        kept = await rig.command("home", "events", "show", told["id"])
        assert "Dinner!" in kept["body"]


async def test_killed_at_any_moment_each_tap_is_done_once(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    """Between the commit of a tap and what it does the home is killed; after its start none is lost, none double."""
    async with open_rig(tmp_path, gateway=QUICK, home={**HOME, "link": SOON, **TABLES}) as rig:
        taps = 0
        for number in range(5):
            answers = await asyncio.gather(*(post(rig, http, {"event": "button"}) for _ in range(8)))
            taps += len(answers)
            assert {one["status"] for one in answers} <= {200, 202}
            posts = [asyncio.create_task(post(rig, http, {"event": "button"})) for _ in range(8)]
            taps += len(posts)
            await asyncio.sleep(0.004 * number)
            await rig.home.kill()
            await asyncio.gather(*posts)
            await rig.start("home").ready()
            await rig.connected()
        await rig.drained()

        async def settled() -> bool:
            return not rig.rows(rig.journal, "SELECT 1 FROM deliveries WHERE state IN ('pending', 'sending')")

        await until(settled, "every tap is settled")
        assert rig.rows(rig.journal, "SELECT state, count(*) FROM deliveries WHERE target = 'signals'") == [
            ("delivered", taps)
        ]
        causes = rig.rows(rig.journal, "SELECT count(*), count(DISTINCT cause) FROM events WHERE origin = 'signals'")
        assert causes == [(taps, taps)]
        history = rig.rows(rig.journal, "SELECT count(*) FROM history")
        assert history == [(taps,)]
