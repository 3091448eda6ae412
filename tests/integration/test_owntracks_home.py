"""OwnTracks from the phone to who is home: gateway and home as they run, and everything that a phone may send."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gladys_companion.protocol.owntracks.box import seal
from tests.cutter import open_cutter
from tests.owntracks import AWAY, HOME, PEOPLE, OwnTracks, quarantined, reasons
from tests.phones import QUICK, SOON
from tests.rig import Rig, free_port, open_rig, until


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path, home={"link": SOON, **PEOPLE}) as rig:
        yield rig


def states(rig: Rig) -> list[str]:
    """Return what was decided of Anna and her home, oldest first."""
    found = rig.rows(rig.journal, "SELECT state FROM decisions WHERE person = 'anna' ORDER BY known_at, since")
    return [row[0] for row in found]


async def decided(rig: Rig, *expected: str) -> None:
    """Return when this was decided, and nothing else."""

    async def so() -> bool:
        return states(rig) == list(expected)

    await until(so, f"it is decided {expected}")


def bad_posts() -> dict[str, tuple[Any, str]]:
    """Return what phones should not send, and what must be said of it somewhere."""
    good: dict[str, Any] = {"_type": "location", "lat": AWAY[0], "lon": AWAY[1], "tst": time.time(), "acc": 10}

    def with_(**more: Any) -> dict[str, Any]:
        return {name: value for name, value in {**good, **more}.items() if value is not ...}

    return {
        "no latitude": (with_(lat=...), "has no lat"),
        "no longitude": (with_(lon=None), "has no lon"),
        "latitude out of range": (with_(lat=90.5), "lat of 90.5"),
        "longitude out of range": (with_(lon=-180.5), "lon of -180.5"),
        "latitude beyond floats": (b'{"_type":"location","lat":1e400,"lon":1,"tst":1}', "JSON"),
        "latitude that is none": (with_(lat="NaN"), "no finite number"),
        "no time": (with_(tst=...), "has no tst"),
        "time zero": (with_(tst=0), "did not know the time"),
        "time in the future": (with_(tst=time.time() + 7_200), "in the future"),
        "time years ago": (with_(tst=time.time() - 5 * 365 * 86_400), "in the past"),
        "negative accuracy": (with_(acc=-1), "negative acc"),
        "unknown type": (with_(_type="moon"), "unknown _type"),
        "type that is none": (with_(_type=3), "_type"),
        "an array": ([good], "not an object"),
        "a text": (b'"home"', "not an object"),
        "no JSON": (b"home sweet home", "not JSON"),
        "half a body": (b'{"_type": "location", "lat": 1', "not JSON"),
        "a megabyte": (b'{"_type":"location","x":"' + b"x" * 1_048_576 + b'"}', "larger than"),
        "a deep body": (b'{"a":' * 100 + b"1" + b"}" * 100, "nested"),
        "a transition nowhere": ({"_type": "transition", "event": "enter", "tst": time.time()}, "has no desc"),
        "an envelope without a passphrase": (seal(b"{}", "secret"), "passphrase"),
        "an envelope that is none": ({"_type": "encrypted", "data": 5}, "has no data"),
        "2 km": (with_(acc=2_000, tst=time.time() - 1), "accurate to 2000 m only"),
    }


async def test_bad_input_is_told_moves_nobody_and_blocks_nobody(rig: Rig, http: aiohttp.ClientSession) -> None:
    """Each is answered so that the phone's queue goes on, and said why; the next position counts as ever."""
    phone = OwnTracks(rig, http)
    await phone.at(HOME)
    await decided(rig, "in")
    bad = bad_posts()
    for body, _ in bad.values():
        assert await phone.post(body) == []
    assert await phone.post(b"") == []
    told = [reason or "" for _, reason in reasons(rig)] + quarantined(rig)
    for name, (_, expected) in bad.items():
        assert any(expected in one for one in told), (name, expected, told)
    assert len(told) == 1 + len(bad)
    await asyncio.sleep(0.7)  # a dwell, within which a false leave would be decided
    assert states(rig) == ["in"]
    await phone.at(AWAY)
    await decided(rig, "in", "out")


async def test_what_is_no_position_moves_nobody_either(rig: Rig, http: aiohttp.ClientSession) -> None:
    """Every other type is taken, and the trace says what it was."""
    phone = OwnTracks(rig, http)
    for body in (
        {"_type": "lwt", "tst": 1},
        {"_type": "card", "name": "Anna"},
        {"_type": "status", "android": {"hib": 0}},
        {"_type": "waypoint", "desc": "Home", "lat": 1, "lon": 2, "rad": 50, "tst": 5},
        {"_type": "waypoints", "waypoints": []},
        {"_type": "steps", "tst": time.time(), "steps": 5},
        {"_type": "cmd", "action": "dump"},
        {"_type": "configuration", "password": "hush"},
        {"_type": "request", "request": "tours"},
        {"_type": "beacon", "tst": time.time(), "uuid": "u", "major": 1, "minor": 2},
    ):
        assert await phone.post(body) == []
    assert [state for state, _ in reasons(rig)] == ["delivered"] * 10
    assert all("says nothing of where" in (reason or "") for _, reason in reasons(rig))
    assert states(rig) == []


async def test_the_same_again_counts_once(rig: Rig, http: aiohttp.ClientSession) -> None:
    """The same `_id`, and the same place and time with another battery, are one position; other places are others."""
    phone, tst = OwnTracks(rig, http), time.time()
    for more in ({"_id": "a1"}, {"_id": "a1"}, {"batt": 50}, {"batt": 49}):
        await phone.at(HOME, tst=tst, **more)
    await phone.at((HOME[0] + 1e-5, HOME[1]), tst=tst)
    assert rig.rows(rig.journal, "SELECT count(*) FROM positions") == [(3,)]


async def test_a_link_that_is_cut_for_a_while_loses_nothing(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    """What is posted meanwhile is answered at once, comes in order, and is judged by when it was."""
    port = free_port()
    async with open_cutter(port) as cutter:
        home = {"link": SOON, **PEOPLE}
        async with open_rig(tmp_path, gateway=QUICK, home=home, port=port, pair_at=cutter.url) as rig:
            phone = OwnTracks(rig, http)
            await phone.at(HOME)
            await decided(rig, "in")
            cutter.freeze()
            cutter.cut()
            for ago in range(6, 0, -1):
                await phone.at(AWAY if 2 < ago < 6 else HOME, ago / 2)
            assert states(rig) == ["in"]
            cutter.thaw()
            await rig.connected()
            await rig.drained()
            await decided(rig, "in", "out", "in")
            times = [row[0] for row in rig.rows(rig.journal, "SELECT at FROM positions ORDER BY at")]
            assert len(times) == 7


async def test_killed_at_any_moment_everything_is_there_once(rig: Rig, http: aiohttp.ClientSession) -> None:
    """Between the commit of a position and what comes of it the home is killed: after its start nothing is missing."""
    phone, posted = OwnTracks(rig, http), 0
    for number in range(6):
        where = AWAY if number % 2 else HOME
        for step in range(5):
            await phone.at((where[0] + step / 1e5, where[1]))
            posted += 1
        await asyncio.sleep(0.02 * number)
        await rig.home.kill()
        await rig.start("home").ready()
        await rig.connected()
    await rig.drained()

    async def settled() -> bool:
        waiting = "SELECT 1 FROM deliveries WHERE target = 'presence' AND state IN ('pending', 'sending')"
        return not rig.rows(rig.journal, waiting)

    await until(settled, "every position is judged")
    assert rig.rows(rig.journal, "SELECT count(*), count(DISTINCT at) FROM positions") == [(posted, posted)]

    async def away() -> bool:
        return states(rig)[-1:] == ["out"]

    await until(away, "the last leave is decided")
    # In the order in which they were told: a stay that was too short may be taken back once the next place is known.
    found = rig.rows(rig.journal, "SELECT since, state FROM decisions ORDER BY known_at, since")
    assert all(one[1] != other[1] for one, other in pairwise(found)), found
    derived = rig.rows(rig.journal, "SELECT count(*) FROM events WHERE origin = 'presence' AND kind = 'presence'")
    assert derived == [(len(found),)]


async def test_the_answer_to_the_phone_carries_friends_and_zones(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    """What home wants the app to have comes back in the answer to its own post, through the gateway."""
    sharing = {**PEOPLE["presence"], "share_friends": True, "share_zones": True}
    home = {"link": SOON, **PEOPLE, "presence": sharing, "people.bob": {}, "people.bob.phones.pixel": {"user": "bob"}}
    async with open_rig(tmp_path, home=home) as rig:
        anna, bob = OwnTracks(rig, http), OwnTracks(rig, http, "bob", "pixel")
        assert [one["_type"] for one in await anna.at(HOME)] == ["cmd"]
        told = await bob.at(AWAY)
        assert [one["_type"] for one in told] == ["location", "card", "cmd"]
        assert (told[0]["lat"], told[0]["tid"]) == (HOME[0], "AN")
        receipts = rig.rows(rig.held_journal, "SELECT receipt FROM events")
        assert not any("setWaypoints" in (row[0] or b"").decode() for row in receipts)  # the gateway keeps none of it
