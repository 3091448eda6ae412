"""A whole day of people with phones, through a gateway and a home as they run, with everything that goes wrong on one.

Its hours are skipped (see ``tests/warp``), its timers are not: dwells, backoffs, heartbeats and what is too late are as
on any day. Who is where is known at every moment.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from msgspec import structs

from gladys_companion.sim.phone import APPS, Phone, Tried, Who
from tests.cutter import Cutter, open_cutter
from tests.mosquitto import Broker, open_broker
from tests.rig import Rig, free_port, open_rig, until
from tests.tracks import HOME, HOUR, START, WORK, Message, Truth, Walk, make
from tests.warp import Warp, warped

PEOPLE = {"anna": "commute", "bob": "flush at home", "carla": "iphone sparse"}
BEGINS, ENDS = START + 6 * HOUR, START + 20 * HOUR
LINK_CUT = (START + 7.5 * HOUR, START + 10.5 * HOUR)  # everybody leaves home meanwhile, and comes to work
GATEWAY_DOWN = (START + 12 * HOUR, START + 13 * HOUR)
FLIGHT_MODE = (START + 9 * HOUR, START + 17.3 * HOUR + 1_200)  # of Bob's phone, until after he is home
TAPS = (START + 9.5 * HOUR, START + 18 * HOUR)  # at a tag, of which the first is told when the link is back
SURE_WITHIN = 300.0  # seconds: iPhones tell each five minutes
NEWEST_FIRST = 1_200.0  # by so much later may seem what is first told by the newest messages of a queue


class Heard(NamedTuple):
    """What Gladys' broker was told of a feature, and when: ``how`` is state, historical or text."""

    at: float
    feature: str
    how: str
    value: Any


class Day:
    """The phones, their people, and who listens."""

    def __init__(self, rig: Rig, cutter: Cutter, warp: Warp, http: aiohttp.ClientSession) -> None:
        self.rig, self.cutter, self.warp, self.http = rig, cutter, warp, http
        self.walks = {name: make(track) for name, track in PEOPLE.items()}
        self.phones: dict[str, Phone] = {}
        self.tries: list[Tried] = []
        self.heard: list[Heard] = []
        self.linked = True

    def sent(self) -> list[tuple[str, Message]]:
        """Return who sent what, in the order in which it leaves the phones; the battery loses 4 % an hour."""
        found = []
        for name, walk in self.walks.items():
            for one in walk.messages:
                hours = (one.payload["tst"] - BEGINS) // HOUR
                payload = {**one.payload, "batt": 90 - 4 * hours} if "batt" in one.payload else one.payload
                found.append((name, structs.replace(one, payload=payload)))
        return sorted((one for one in found if one[1].received_at < ENDS), key=lambda one: one[1].received_at)

    async def listen(self, broker: Broker) -> None:
        """Note what Gladys is told, for ever."""
        async with broker.client("gladys") as client:
            await client.subscribe("gladys/master/#", qos=1)
            async for message in client.messages:
                *_, feature, how = message.topic.value.split("/")
                payload = bytes(message.payload)
                value = payload.decode() if how == "text" else json.loads(payload)
                self.heard.append(Heard(self.warp.now(), feature, how, value))

    def told(self, feature: str, how: str) -> list[tuple[float, Any]]:
        """Return when Gladys was told what of a feature."""
        return [(one.at, one.value) for one in self.heard if (one.feature, one.how) == (feature, how)]

    async def play(self) -> None:
        """Let everybody's phone say what it says, when it does, and everything go wrong at its hour."""
        happens: list[tuple[float, Callable[[], Awaitable[object]]]] = [
            (LINK_CUT[0], self._cut),
            (LINK_CUT[1], self._heal),
            (GATEWAY_DOWN[0], self._stop_gateway),
            (GATEWAY_DOWN[1], self._start_gateway),
            *((at, self._tap) for at in TAPS),
            *((message.received_at, partial(self._say, name, message)) for name, message in self.sent()),
            (ENDS, self.rig.drained),
        ]
        for at, happen in sorted(happens, key=lambda one: one[0]):
            await self.warp.until(at, self.settled)
            await happen()

    async def settled(self) -> None:
        """Return when everybody was told all that can be known: nothing may turn late only because time is skipped."""

        async def told() -> bool:
            await self.rig.status()
            waiting = "SELECT 1 FROM deliveries WHERE state IN ('pending', 'sending') LIMIT 1"
            return not self.rig.rows(self.rig.journal, waiting)

        if self.linked:
            await self.rig.drained()
        await until(told, "everything is told")

    async def _say(self, name: str, message: Message) -> None:
        await self.phones[name].keep(message.payload)
        if not within(self.warp.now(), GATEWAY_DOWN):
            await self.phones[name].sent()

    async def _tap(self) -> None:
        async with self.http.post(f"{self.rig.url}/v1/api/event/{self.rig.key}", json={"tag": "nfc:door"}) as answer:
            assert answer.status in {200, 202}, await answer.text()

    async def _cut(self) -> None:
        self.linked = False
        self.cutter.freeze()
        self.cutter.cut()

    async def _heal(self) -> None:
        self.cutter.thaw()
        await self.rig.connected(after=LINK_CUT[1])
        self.linked = True
        await self.rig.drained()

    async def _stop_gateway(self) -> None:
        self.linked = False
        assert await self.rig.gateway.stop() == 0

    async def _start_gateway(self) -> None:
        await self.rig.start("gateway").ready()
        await self.rig.connected(after=GATEWAY_DOWN[1])
        self.linked = True


def within(at: float, span: tuple[float, float]) -> bool:
    """Return whether a time is in a span."""
    return span[0] <= at < span[1]


def held(person: str, at: float) -> bool:
    """Return whether what a person's phone says then comes home much later."""
    return within(at, LINK_CUT) or within(at, GATEWAY_DOWN) or (person == "bob" and within(at, FLIGHT_MODE))


@asynccontextmanager
async def open_day(directory: Path, warp: Warp) -> AsyncIterator[Day]:
    """Open gateway, home, broker and phones."""
    port = free_port()
    tables: dict[str, dict[str, Any]] = {
        f"zones.{zone.id}": {"name": zone.name, "latitude": zone.latitude, "longitude": zone.longitude,
                             "radius": zone.radius, "home": zone.home}
        for zone in (HOME, WORK)
    }  # fmt: skip
    for name in PEOPLE:
        tables |= {f"people.{name}": {"name": name.title()}, f"people.{name}.phones.{name}": {"user": name}}
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        broker = await enter(open_broker(directory))
        cutter = await enter(open_cutter(port))
        tables |= {
            "presence": {"timezone": "UTC"},
            "mqtt": {"port": broker.port},
            "sinks.gladys": {},
            'signals."nfc:door"': {"external_id": "phone:0", "value": 1},
        }
        rig = await enter(open_rig(directory, home=tables, port=port, pair_at=cutter.url))
        http = await enter(aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)))
        day = Day(rig, cutter, warp, http)
        group = await enter(asyncio.TaskGroup())
        tasks = [group.create_task(day.listen(broker))]
        for name in PEOPLE:
            who = Who(name, name, rig.key)
            phone = Phone(http, rig.url, APPS["owntracks"], who, told=day.tries.append, sleep=warp.sleep)
            day.phones[name] = phone
            tasks.append(group.create_task(phone.run()))
        yield day
        for task in tasks:
            task.cancel()


@pytest.mark.timeout(240)
async def test_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every message is at home once, everybody is where they were, and nobody is now where they were once."""
    with warped(tmp_path, monkeypatch, BEGINS - 60) as warp:
        async with open_day(tmp_path, warp) as day:
            await day.play()
            await day.settled()
            assert {one.status for one in day.tries} == {200, None}
            everything_came_once(day)
            for name, walk in day.walks.items():
                decided_right(day, name, walk)
                gladys_was_told_right(day, name, walk)
                positions_only_went_on(day, name)
            taps_were_done_when_they_were_made(day)
            status = await day.rig.status()
            assert status is not None
            assert status["troubles"] == []


def everything_came_once(day: Day) -> None:
    """Each message is one event, and each position one row."""
    sent = day.sent()
    rows = day.rig.rows
    kinds = dict(rows(day.rig.journal, "SELECT kind, count(*) FROM events WHERE origin = 'gateway' GROUP BY kind"))
    assert kinds.pop("signal") == len(TAPS)
    assert kinds == Counter(message.payload["_type"] for _, message in sent)
    fixes = Counter(
        (name, message.payload["tst"], message.payload["lat"], message.payload["lon"])
        for name, message in sent
        if message.payload["_type"] == "location"
    )
    found = rows(day.rig.journal, "SELECT phone, at, latitude, longitude FROM positions")
    assert Counter(found) == Counter(dict.fromkeys(fixes, 1))


def decided_right(day: Day, person: str, walk: Walk) -> None:
    """Each real coming and going is decided once, at its time, and known at once unless what shows it was held."""
    for zone in (HOME, WORK):
        rows = day.rig.rows(
            day.rig.journal,
            "SELECT state, since, known_at, late FROM decisions WHERE person = ? AND zone = ? ORDER BY known_at, since",
            person, zone.id,
        )  # fmt: skip
        turns = [turn for turn in Truth(walk).turns(zone) if turn.at < ENDS]
        assert [state for state, *_ in rows[1:]] == ["in" if turn.inside else "out" for turn in turns], (person, rows)
        for (_, since, known_at, late), turn in zip(rows[1:], turns, strict=True):
            most = NEWEST_FIRST if person == "bob" and late else SURE_WITHIN
            assert -SURE_WITHIN < since - turn.at < most, (person, zone.id, since - turn.at)
            assert bool(late) is held(person, turn.at), (person, zone.id)
            assert late or known_at - turn.at < SURE_WITHIN, (person, zone.id, known_at - turn.at)


def gladys_was_told_right(day: Day, person: str, walk: Walk) -> None:
    """What is told as now is so now; what was learnt late is told as history, of the time when it was so."""
    truth = Truth(walk)
    comes = [turn for turn in truth.turns(HOME) if turn.at < ENDS]
    home = f"person:{person}:home"
    for at, value in day.told(home, "state"):
        assert {truth.whereabouts(HOME, at - ago) for ago in (0, SURE_WITHIN)} & {"in" if value else "out", "edge"}
    live = [value for _, value in day.told(home, "state")]
    assert live == [1, *(int(turn.inside) for turn in comes if not held(person, turn.at))], person
    past = day.told(home, "historical")
    late = [turn for turn in comes if held(person, turn.at)]
    assert [value["state"] for _, value in past] == [int(turn.inside) for turn in late], person
    for (at, value), turn in zip(past, late, strict=True):
        so_at = datetime.fromisoformat(value["created_at"]).timestamp()
        assert abs(so_at - turn.at) < SURE_WITHIN
        assert at - so_at > SURE_WITHIN
    where = {"Home": (HOME, "in"), "Work": (WORK, "in"), "away": (HOME, "out")}
    for at, word in day.told(f"person:{person}:zone", "text"):
        zone, state = where[word]
        assert state in {truth.whereabouts(zone, at - ago) for ago in (0, SURE_WITHIN)}, (person, word, at - START)


def positions_only_went_on(day: Day, person: str) -> None:
    """Each newest position of a person is newer than the one before it; the last is the last that was sent."""
    rows = day.rig.rows(
        day.rig.journal,
        "SELECT at FROM events WHERE kind = 'location' AND origin = 'presence' "
        "AND json_extract(body, '$.person') = ? ORDER BY seq",
        person,
    )
    times = [row[0] for row in rows]
    assert all(one < other for one, other in pairwise(times))
    last = max(one.payload["tst"] for name, one in day.sent() if name == person and one.payload["_type"] == "location")
    assert times[-1] == last
    battery = [row[0] for row in day.rig.rows(
        day.rig.journal,
        "SELECT h.value FROM history h JOIN features f ON f.id = h.feature WHERE f.external_id = ? ORDER BY h.at",
        f"phone:{person}:battery",
    )]  # fmt: skip
    assert all(one >= other for one, other in pairwise(battery))
    assert (battery[0], battery[-1]) == (90, 90 - 4 * ((last - BEGINS) // HOUR))


def taps_were_done_when_they_were_made(day: Day) -> None:
    """The tap of the morning came too late to do anything; the one of the evening did, and Gladys was told at once."""
    rows = day.rig.rows(day.rig.journal, "SELECT state FROM deliveries WHERE target = 'signals' ORDER BY event")
    assert rows == [("expired",), ("delivered",)]
    ((at, value),) = day.told("phone:0", "state")
    assert value == 1
    assert 0 <= at - TAPS[1] < SURE_WITHIN
    assert day.told("phone:0", "historical") == []
