"""A running home whose Gladys is that of a test, and short words for what tests ask of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from msgspec import structs
from sqlite_utils import Database

from gladys_companion.app import open_daemon
from gladys_companion.app.daemon import Daemon
from gladys_companion.config import Commands, Config, Discovery, Gladys, Local, Mqtt
from gladys_companion.ids import new_id
from gladys_companion.model import Device, Event, Feature, Receipt
from tests.command_line import Ended, run
from tests.gladys_server import KEY, GladysServer
from tests.rig import until

__all__ = ["Home", "open_home"]

T = TypeVar("T")


class Home:
    """A running daemon, and short words for what tests ask of it."""

    def __init__(self, daemon: Daemon, path: Path) -> None:
        self.daemon = daemon
        self._config = path / "cli.toml"

    async def command(self, *arguments: str) -> Ended:
        """Run a command of the program, as the owner does."""
        config = self.daemon.config
        directories = (
            f'state_directory = "{config.state_directory}"\nruntime_directory = "{config.runtime_directory}"\n'
        )
        await asyncio.to_thread(self._config.write_text, directories)
        return await run("--config", str(self._config), *arguments)

    async def until(self, condition: Callable[[], T | None]) -> T:
        """Return what the condition gives as soon as that is true: looked at whenever something changed."""
        assert self.daemon.discovery is not None
        async with asyncio.timeout(30):
            while True:
                pulses = (self.daemon.discovery.changed, self.daemon.intake.arrived)
                if found := condition():
                    return found
                waiting = [asyncio.create_task(pulse.wait()) for pulse in pulses]
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for one in waiting:
                    one.cancel()

    def device(self, device_id: str) -> Device | None:
        return self.daemon.registry.snapshot.devices.get(device_id)

    def feature(self, external_id: str) -> Feature | None:
        return self.daemon.registry.snapshot.features.get(external_id)

    async def there(self, *device_ids: str) -> None:
        """Return when these devices are known."""
        await self.until(lambda: all(self.device(one) for one in device_ids))

    async def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        def read(database: Database) -> list[tuple[Any, ...]]:
            return database.conn.execute(sql, values).fetchall()

        return await self.daemon.store.read(read)

    async def history(self, external_id: str, number: int) -> list[Any]:
        """Return the values of a feature, oldest first, when there are so many."""
        sql = (
            "SELECT coalesce(h.text, h.value) FROM history h JOIN features f ON f.id = h.feature "
            "WHERE f.external_id = ? ORDER BY h.at"
        )
        async with asyncio.timeout(20):
            while True:
                arrived = self.daemon.intake.arrived
                found = [row[0] for row in await self.rows(sql, external_id)]
                if len(found) >= number:
                    return found
                await arrived.wait()

    def event(self, external_id: str, value: float | None = None, **more: Any) -> Event:
        clock = self.daemon.clock
        members = {"id": new_id(), "origin": "local", "at": clock.now(), "received_at": clock.now(), "boot": clock.boot}
        return Event(
            **{**members, "deadline": clock.elapsed() + 60, "external_id": external_id, "value": value, **more}
        )

    async def post(self, external_id: str, value: float | None = None, **more: Any) -> Receipt:
        """Send a state as the owner at home does; with ``origin="gateway"`` as a phone does."""
        return await self.daemon.intake.submit(self.event(external_id, value, **more))

    async def settled(self, event_id: str, target: str = "gladys_devices") -> tuple[str, str | None]:
        """Return the state and reason of a delivery when it has settled."""
        sql = (
            "SELECT d.state, d.reason FROM deliveries d JOIN events e ON e.seq = d.event WHERE e.id = ? AND target = ?"
        )
        async with asyncio.timeout(20):
            while True:
                arrived = self.daemon.intake.arrived
                ((state, reason),) = await self.rows(sql, event_id, target)
                if state not in {"pending", "sending"}:
                    return state, reason
                await arrived.wait()

    def hindrance(self) -> str | None:
        (one,) = [one for one in self.daemon.vitals().plugins if one.name == "gladys_devices"]
        return one.reason

    async def told_all(self) -> bool:
        """Return whether nothing keeps a plug-in from working."""
        return {one.reason for one in self.daemon.vitals().plugins} == {None}

    async def hindered(self) -> None:
        """Return when it is said that Gladys can not be asked."""

        async def said() -> bool:
            return self.hindrance() is not None

        await until(said, "the driver says what is wrong")

    def seen(self, device_id: str) -> tuple[str, str]:
        """Return the state and the sentence of a device as `scan` has them."""
        found = [(one.state, one.says) for one in self.daemon.scan() if one.device == device_id]
        return found[0] if found else ("", "")


@asynccontextmanager
async def open_home(
    path: Path,
    server: GladysServer | None,
    *,
    sync_every: float = 0.2,
    broker: int | None = None,
    drivers: Mapping[str, Any] | None = None,
    sinks: Mapping[str, Any] = MappingProxyType({}),
    discovery: Discovery = Discovery(enabled=False),  # noqa: B008 - frozen
    config: Config = Config(),  # noqa: B008 - frozen
    **options: Any,
) -> AsyncIterator[Home]:
    """Run a home whose Gladys this is; ``broker`` is the port of Gladys' broker, ``options`` are of the driver.

    ``config`` gives what is not about Gladys, such as people.
    """
    key = path / "key"
    if not await asyncio.to_thread(key.exists):
        await asyncio.to_thread(key.write_text, KEY)
    gladys = Gladys()
    if server is None:
        drivers = {"virtual": {}}
    else:
        gladys = Gladys(url=server.url, api_key_file=str(key), sync_every=sync_every, answer_within=2.0)
    config = structs.replace(
        config,
        state_directory=str(path),
        runtime_directory=str(path),
        local=Local(listen="127.0.0.1:0"),
        discovery=discovery,
        drivers=dict(drivers or {"virtual": {}, "gladys_devices": {"confirm_within": 1.0, **options}}),
        gladys=gladys,
        mqtt=Mqtt(port=broker or 1883, reconnect_most=0.5),
        sinks={**sinks, **({"gladys": {}} if broker else {})},
        commands=Commands(time_to_live=5.0),
    )
    async with open_daemon(config) as daemon:
        await daemon.opened.wait()
        yield Home(daemon, path)
