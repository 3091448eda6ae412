"""The same promises for any order of commands, outages, pauses, repetitions and ends of the program."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from gladys_companion.errors import Unavailable
from gladys_companion.model import Delivery, Event
from tests.home import BELL, BRIGHTNESS, ON, PRESENCE, Home, SetClock, open_home

FEATURES = (ON.external_id, BRIGHTNESS.external_id, BELL.external_id, PRESENCE.external_id)


class Post(Struct, frozen=True):
    """An event for a feature, so many seconds old; ``again`` posts the one before once more."""

    feature: str
    age: float = 0.0
    again: bool = False


Step = Post | Literal["lamp away", "lamp back", "time passes", "restart", "crash"]

steps = st.lists(
    st.builds(Post, st.sampled_from(FEATURES), st.sampled_from([0.0, 0.0, 0.0, 30.0, 61.0]), st.booleans())
    | st.sampled_from(["lamp away", "lamp back", "time passes", "restart", "crash"]),
    max_size=25,
)


class World:
    """What was posted, and what arrived, over all runs of the program."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = SetClock()
        self.away = False
        self.posted: list[Event] = []
        self.tried: list[tuple[Delivery, float]] = []
        self.done: list[str] = []
        self.value = 0.0

    async def answer(self, delivery: Delivery) -> None:
        self.tried.append((delivery, self.clock.elapsed()))
        if self.away:
            raise Unavailable("away")
        self.done.append(delivery.event.id)

    async def run(self, script: Sequence[Step]) -> None:
        script = list(script)
        while True:
            async with open_home(self.path, clock=self.clock, settle_within=0.01) as home:
                home.lamp.answer = self.answer
                ended = await self.live(home, script)
            if ended is None:
                return
            if ended == "crash":  # as a kill in the middle of an attempt leaves what waits
                database = sqlite3.connect(self.path / "companion.db")
                with database:
                    database.execute("UPDATE deliveries SET under_way = 1 WHERE state IN ('pending', 'sending')")
                database.close()

    async def live(self, home: Home, script: list[Step]) -> str | None:
        while script:
            match script.pop(0):
                case Post(again=True) if self.posted:
                    await home.intake.submit(self.posted[-1])
                case Post(feature=feature, age=age):
                    self.value += 1
                    value = self.value if feature == BRIGHTNESS.external_id else self.value % 2
                    event = home.event(feature, value, age=age, origin="local")
                    self.posted.append(event)
                    await home.intake.submit(event)
                case "lamp away":
                    self.away = True
                case "lamp back":
                    self.away = False
                    await home.dispatch.retry_now("lamp:a1")
                case "time passes":
                    self.clock.pass_by(20)
                    home.dispatch.wake(["lamp:a1"])
                case "restart" | "crash" as end:
                    return str(end)
        self.clock.pass_by(120)  # everything that waits settles: delivered, or too late
        home.dispatch.wake(["lamp:a1"])
        async with asyncio.timeout(20):
            while True:
                arrived = home.intake.arrived
                if not await home.rows("SELECT 1 FROM deliveries WHERE state IN ('pending', 'sending') LIMIT 1"):
                    return None
                home.dispatch.wake(["lamp:a1"])
                await arrived.wait()


async def _check(world: World) -> None:
    async with open_home(world.path, clock=world.clock) as home:
        journal = await home.rows("SELECT id, feature, seq FROM events ORDER BY seq")
        states = dict(await home.rows("SELECT e.id, d.state FROM deliveries d JOIN events e ON e.seq = d.event"))
        history = await home.rows(
            "SELECT count(*) FROM history h JOIN features f ON f.id = h.feature WHERE f.type = ?", "binary"
        )
    ids = [event.id for event in world.posted]
    assert [row[0] for row in journal] == ids, "each event once, in the order it came"
    tried = [(delivery.event, at) for delivery, at in world.tried]
    assert all(at < event.deadline for event, at in tried), "late is not now"
    for feature in FEATURES:
        order = [ids.index(event.id) for event, _ in tried if event.external_id == feature]
        assert order == sorted(order), "commands of a feature in the order they came"
    clicks = {event.id for event in world.posted if event.external_id == BELL.external_id}
    assert all(world.done.count(event_id) <= 1 for event_id in clicks), "what does it twice is sent once"
    for event in world.posted:
        state = states[event.id]
        if event.external_id == PRESENCE.external_id:
            assert state == "verified", "a virtual feature is settled with its event"
        elif state == "superseded":
            later = [one for one in world.posted[ids.index(event.id) + 1 :] if one.external_id == event.external_id]
            assert later, "only a newer command of the same feature supersedes"
        else:
            assert state in {"delivered", "expired", "rejected", "unknown"}
    assert history[0][0] >= sum(event.external_id == PRESENCE.external_id for event in world.posted)


@settings(max_examples=60)
@given(steps)
def test_promises_hold_for_any_script(script: Sequence[Step]) -> None:
    """Once, in order, never late, nothing left hanging - whatever happens in between."""

    async def go() -> None:
        with tempfile.TemporaryDirectory() as directory:
            world = World(Path(directory))
            await world.run(script)
            await _check(world)

    asyncio.run(go())
