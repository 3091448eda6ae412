"""A whole home with a lamp and a person, for the tests of its pages."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from gladys_companion.app import open_daemon
from gladys_companion.app.daemon import Daemon
from gladys_companion.config import Config, Discovery, Local, PersonOptions, PhoneOptions, ZoneOptions
from gladys_companion.ids import new_id
from gladys_companion.model import Device, Event, Feature

__all__ = ["FEATURES", "FRENCH", "LAMP", "Home", "home_config", "open_whole_home"]

LAMP = Device(id="virtual:lamp", driver="virtual", name="Lamp <b>&</b>")
FEATURES = [
    Feature(
        external_id="mqtt:lamp/on?x=1",
        device=LAMP.id,
        name="On",
        category="light",
        type="binary",
        min=0,
        max=1,
        writable=True,
    ),
    Feature(
        external_id="mqtt:heat", device=LAMP.id, name="Heat", category="temperature-sensor", type="decimal", unit="°C"
    ),
]
FRENCH: dict[str, Any] = {"locale": "fr-FR"}


class Home(Struct):
    daemon: Daemon
    url: str

    async def post(self, external_id: str, value: float, ago: float = 0.0) -> str:
        """Take an event in, as if it had happened so many seconds ago; return its id."""
        clock, event_id = self.daemon.clock, new_id()
        await self.daemon.intake.submit(
            Event(
                id=event_id,
                origin="gateway",
                at=clock.now() - ago,
                received_at=clock.now(),
                deadline=clock.elapsed() + 60 - ago,
                boot=clock.boot,
                external_id=external_id,
                value=value,
                dated=ago > 0,
            )
        )
        return event_id

    async def locate(self, latitude: float, longitude: float, user: str = "anna", ago: float = 0.0) -> None:
        """Have somebody's phone tell where it is, or was so many seconds ago."""
        position = {"_type": "location", "tst": int(time.time() - ago), "lat": latitude, "lon": longitude, "acc": 12}
        await self.tell_position(position, user)

    async def tell_position(self, message: dict[str, Any], user: str) -> None:
        """Have somebody's OwnTracks send a message."""
        clock = self.daemon.clock
        told = {"app": "owntracks", "user": user, "device": None, "gateway_at": clock.now(), "raw": message}
        await self.daemon.intake.submit(
            Event(
                id=new_id(),
                kind="location",
                origin="gateway",
                at=clock.now(),
                received_at=clock.now(),
                deadline=clock.elapsed() + 60,
                boot=clock.boot,
                body=json.dumps(told),
            )
        )


def home_config(directory: Path, **more: Any) -> Config:
    """Return the configuration of that home."""
    given: dict[str, Any] = {
        "state_directory": str(directory),
        "runtime_directory": str(directory),
        "local": Local(listen="127.0.0.1:0"),
        "discovery": Discovery(enabled=False),
        "drivers": {"virtual": {}},
        "people": {"anna": PersonOptions(name="Anna", phones={"anna": PhoneOptions(user="anna")})},
        "zones": {"home": ZoneOptions(name="Home", latitude=48.85, longitude=2.35, radius=100, home=True)},
    }
    return Config(**{**given, **more})


@asynccontextmanager
async def open_whole_home(config: Config) -> AsyncIterator[Home]:
    """Run a home."""
    async with open_daemon(config) as daemon:
        await daemon.opened.wait()
        await daemon.registry.put_device(LAMP, FEATURES)
        assert daemon.local is not None
        yield Home(daemon, f"http://{daemon.local[0]}:{daemon.local[1]}")
