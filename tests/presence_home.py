"""A home that knows two people and two zones, and phones that tell it where they are, at times that the test sets."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Raw

from gladys_companion.config import Config, PersonOptions, PhoneOptions, Presence, ZoneOptions
from gladys_companion.model import Event, Receipt, Sender
from gladys_companion.ports import Target
from gladys_companion.protocol.open_api import Companion, OpenApiMessage, Phone, to_event
from gladys_companion.store import whereabouts
from gladys_companion.store.whereabouts import Decided
from tests.home import Home, SetClock, open_home

__all__ = ["AWAY", "CONFIG", "HOME", "Post", "Track", "open_presence"]

HOME = (48.8566, 2.3522)
AWAY = (48.8666, 2.3522)  # 1.1 km north
CONFIG = Config(
    presence=Presence(timezone="UTC"),
    zones={
        "home": ZoneOptions(latitude=HOME[0], longitude=HOME[1], home=True, networks=("our wifi",)),
        "work": ZoneOptions(latitude=AWAY[0], longitude=AWAY[1], radius=200),
    },
    people={
        "anna": PersonOptions(gladys_user="anna", phones={"iphone": PhoneOptions(user="anna", device="iphone")}),
        "bob": PersonOptions(phones={"pixel": PhoneOptions(user="bob", features=("mqtt:my-phone-presence",))}),
    },
)


class Post(msgspec.Struct, kw_only=True):
    """A post to the gateway as it reaches home: how old it is when it comes, and what it is."""

    body: Any
    app: str = "owntracks"
    user: str | None = "anna"
    device: str | None = "iphone"
    key: str | None = "key-1"
    id: str | None = None


class Track:
    """Posts to a home, by the gateway's clock, which is the home's own unless it is set otherwise."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.gateway_ahead = 0.0

    def now(self) -> int:
        """Return the gateway's time."""
        return int(self.home.clock.now() + self.gateway_ahead)

    def event(self, post: Post) -> Event:
        """Return what home makes of what the gateway relays."""
        clock = self.home.clock
        message = OpenApiMessage(
            action="create-owntracks-location",
            data=Raw(b"{}"),
            companion=Companion(
                id=post.id or str(uuid.uuid4()),
                received_at=float(self.now()),
                raw=Raw(post.body if isinstance(post.body, bytes) else msgspec.json.encode(post.body)),
                phone=Phone(post.app, post.user, post.device),
                key=Sender(post.key, f"named {post.key}") if post.key else None,
            ),
        )
        return to_event(message, new_id="unused", now=clock.now(), elapsed=clock.elapsed(), boot=clock.boot)

    async def post(self, body: Any, **more: Any) -> Receipt:  # noqa: ANN401 - any body, as phones post them
        """Post one body, wait until it was judged, and return the receipt."""
        event = self.event(Post(body=body, **more))
        await self.home.intake.submit(event)
        await self.home.settled(event.id, "presence", "delivered", "rejected")
        return await self.home.intake.submit(event)

    async def reply(self, body: Any, **more: Any) -> list[Any]:  # noqa: ANN401 - any body, as phones post them
        """Post one body, and return what its phone is told in return."""
        event = self.event(Post(body=body, **more))
        await self.home.intake.submit(event)
        await self.home.settled(event.id, "presence", "delivered", "rejected")
        told: list[Any] = msgspec.json.decode(await self.home.presence.reply(event) or b"[]")
        return told

    def location(self, where: tuple[float, float], ago: float = 0.0, **more: Any) -> dict[str, Any]:
        """Return a location of so many seconds ago."""
        return {"_type": "location", "lat": where[0], "lon": where[1], "tst": self.now() - ago, "acc": 10, **more}

    async def at(self, where: tuple[float, float], ago: float = 0.0, **more: Any) -> Receipt:
        """Post a location of so many seconds ago; ``more`` are members of it, or of the post."""
        post = {name: more.pop(name) for name in tuple(more) if name in Post.__struct_fields__}
        return await self.post(self.location(where, ago, **more), **post)

    async def later(self, seconds: float) -> None:
        """Let time pass, and presence look at what that changes."""
        self.home.clock.pass_by(seconds)
        await self.home.presence.watch._look()

    async def decided(self, person: str = "anna", zone: str = "home") -> list[Decided]:
        """Return what was decided, oldest first."""
        rows = await self.home.store.read(
            lambda database: whereabouts.decisions(database, person, zone=zone, limit=999)
        )
        return list(reversed(rows))

    async def states(self, person: str = "anna", zone: str = "home") -> list[str]:
        """Return the same as words."""
        return [one.state for one in await self.decided(person, zone)]

    async def values(self, *external_ids: str) -> list[float | str | None]:
        """Return the last values of features."""
        found: list[float | str | None] = []
        for external_id in external_ids:
            rows = await self.home.rows("SELECT value, text FROM features WHERE external_id = ?", external_id)
            found.append(None if not rows else rows[0][0] if rows[0][0] is not None else rows[0][1])
        return found

    async def reason(self, receipt: Receipt) -> str | None:
        """Return what the trace says of presence."""
        rows = await self.home.rows(
            "SELECT d.reason FROM deliveries d JOIN events e ON e.seq = d.event "
            "WHERE e.id = ? AND d.target = 'presence'",
            receipt.id,
        )
        reason: str | None = rows[0][0]
        return reason

    async def derived(self, kind: str) -> Sequence[Mapping[str, Any]]:
        """Return the bodies of derived events, oldest first."""
        rows = await self.home.rows("SELECT body FROM events WHERE origin = 'presence' AND kind = ? ORDER BY seq", kind)
        return [msgspec.json.decode(row[0]) for row in rows]


@asynccontextmanager
async def open_presence(
    path: Path,
    *,
    config: Config = CONFIG,
    clock: SetClock | None = None,
    sinks: Sequence[str] = (),
    targets: Mapping[str, Target] = MappingProxyType({}),
) -> AsyncIterator[Track]:
    """Open such a home on a directory."""
    async with open_home(path, clock=clock, sinks=sinks, config=config, settle_within=5, targets=targets) as home:
        yield Track(home)
