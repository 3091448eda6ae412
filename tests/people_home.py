"""A home as of ``presence_home`` whose sink is the real one, and tells a Gladys of a test of people."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import ClientSession
from msgspec import structs
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.clock import SYSTEM
from gladys_companion.config import Config, Gladys
from gladys_companion.ids import new_id
from gladys_companion.model import Event, RegistrySnapshot
from gladys_companion.ports import Kit
from gladys_companion.resolve import GLADYS_API
from gladys_companion.sim.conformance import MemorySecrets
from gladys_companion.sinks.gladys_api import PLUGIN
from gladys_companion.sinks.gladys_api import Config as SinkConfig
from tests.gladys_server import KEY, GladysServer
from tests.home import SetClock
from tests.presence_home import CONFIG, HOME, Track, open_presence
from tests.rig import until

__all__ = ["LEFT", "PeopleHome", "linked", "open_people", "ready"]

LEFT = "companion-left-home-anna"


def ready(server: GladysServer) -> None:
    """Let Gladys have a house, Anna, and the scene by which she leaves."""
    server.people.add_user("Anna")
    server.people.add_house("Main house", *HOME)
    server.people.add_scene(LEFT, {"type": "user.set-out-of-home", "user": "anna", "house": "main-house"})


class PeopleHome:
    """The home and short words for what tests ask of it."""

    def __init__(self, track: Track) -> None:
        self.track = track
        self.home = track.home

    async def arrive(self) -> None:
        """Let Anna be at home, sure."""
        await self.track.at(HOME)
        await self.track.later(15)

    async def leave(self, where: tuple[float, float]) -> None:
        """Let Anna be elsewhere, sure."""
        for _ in range(2):
            await self.track.at(where)
            await self.track.later(35)

    async def told(self, kind: str, zone: str = "home") -> list[tuple[str, str | None]]:
        """Return states and reasons of what Gladys was to be told of this kind, in order, when all have settled.

        Of a presence only that in this zone.
        """
        sql = (
            "SELECT d.state, d.reason FROM deliveries d JOIN events e ON e.seq = d.event "
            "WHERE d.target = ?1 AND e.kind = ?2 AND (e.kind != 'presence' OR e.body ->> 'zone' IS NULL "
            "OR e.body ->> 'zone' = ?3) ORDER BY e.seq"
        )
        async with asyncio.timeout(20):
            while True:
                arrived = self.home.intake.arrived
                found = await self.home.rows(sql, GLADYS_API, kind, zone)
                if not any(state in {"pending", "sending"} for state, _ in found):
                    return [(state, reason) for state, reason in found]
                await arrived.wait()

    async def waits(self, kind: str) -> str:
        """Return the reason why something of this kind waits, when it does."""
        sql = (
            "SELECT d.reason FROM deliveries d JOIN events e ON e.seq = d.event "
            "WHERE d.target = ? AND e.kind = ? AND d.state = 'pending' AND d.attempts > 0 AND d.reason IS NOT NULL"
        )
        found: list[tuple[str]] = []

        async def waiting() -> bool:
            found[:] = [row[:1] for row in await self.home.rows(sql, GLADYS_API, kind)]
            return bool(found)

        await until(waiting, f"a {kind} waits")
        return found[0][0]

    async def submit(self, kind: str, body: object, **more: Any) -> str:
        """Let an event come in, and return its id."""
        clock = self.home.clock
        members = {
            "id": new_id(),
            "kind": kind,
            "origin": "gateway",
            "at": clock.now(),
            "received_at": clock.now(),
            "deadline": clock.elapsed() + 60,
            "boot": clock.boot,
            "body": msgspec.json.encode(body).decode(),
        }
        event = Event(**{**members, **more})
        await self.home.intake.submit(event)
        return event.id

    async def again(self) -> None:
        """Have what waits for Gladys tried at once, as when it was just seen again."""
        await self.home.dispatch.retry_now(GLADYS_API)


@asynccontextmanager
async def open_people(
    path: Path, server: GladysServer, *, config: Config = CONFIG, clock: SetClock | None = None
) -> AsyncIterator[PeopleHome]:
    """Open such a home; its Gladys has 0.2 s to show what it was told."""
    key = path / "key"
    await asyncio.to_thread(path.mkdir, exist_ok=True)
    if not await asyncio.to_thread(key.exists):
        await asyncio.to_thread(key.write_text, KEY)
    async with AsyncZeroconf(interfaces=["127.0.0.1"]) as zeroconf, ClientSession() as http:
        kit = Kit(
            clock=SYSTEM,
            zeroconf=zeroconf,
            http=http,
            secrets=MemorySecrets(),
            registry=RegistrySnapshot,
            gladys=Gladys(url=server.url, api_key_file=str(key), sync_every=3_600, answer_within=0.3),
        )
        async with (
            PLUGIN.open(SinkConfig(confirm_within=0.2), kit) as sink,
            open_presence(path, config=config, clock=clock, targets={GLADYS_API: sink}) as track,
        ):
            yield PeopleHome(track)


def linked(config: Config, **people: Sequence[str]) -> Config:
    """Return a configuration in which these people are these users of Gladys, perhaps of a house."""
    found = dict(config.people)
    for person, (user, *house) in people.items():
        found[person] = structs.replace(found[person], gladys_user=user, gladys_house=house[0] if house else "")
    return structs.replace(config, people=found)
