"""A home in a test: a real store, registry, intake and dispatch in a directory, with a clock that the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from gladys_companion.config import Config
from gladys_companion.dispatch import Dispatch
from gladys_companion.ids import new_id
from gladys_companion.intake import Intake
from gladys_companion.model import Delivery, Device, Event, Feature, Sender
from gladys_companion.plugins import PluginRecord
from gladys_companion.ports import Target
from gladys_companion.presence.service import PresenceService
from gladys_companion.resolve import PRESENCE as PRESENCE_TARGET
from gladys_companion.resolve import SIGNALS
from gladys_companion.signals import SignalService
from gladys_companion.store.registry import Registry, open_registry
from gladys_companion.store.schema import MIGRATIONS
from gladys_companion.store.writer import SqliteStore, open_store

PHONE = Device(id="mqtt:phone", driver="virtual", name="Phone")
PRESENCE = Feature(
    external_id="mqtt:my-phone-presence",
    device=PHONE.id,
    name="Presence",
    category="presence-sensor",
    type="binary",
    min=0,
    max=1,
)
NOTE = Feature(external_id="mqtt:note", device=PHONE.id, name="Note", category="text", type="text")
LAMP = Device(id="lamp:a1", driver="lamp", name="Lamp", address="127.0.0.1", port=80)
ON = Feature(
    external_id="lamp:a1:on", device=LAMP.id, name="On", category="light", type="binary", min=0, max=1, writable=True
)
BRIGHTNESS = Feature(
    external_id="lamp:a1:bri",
    device=LAMP.id,
    name="Brightness",
    category="light",
    type="brightness",
    min=0,
    max=255,
    writable=True,
)
BELL = Feature(external_id="lamp:a1:bell", device=LAMP.id, name="Bell", category="button", type="click", writable=True)
LOCK = Feature(
    external_id="lamp:a1:lock", device=LAMP.id, name="Lock", category="lock", type="binary", min=0, max=1, writable=True
)


class SetClock:
    """Clocks that stand still until they are set."""

    def __init__(self, now: float = 1_700_000_000.0, elapsed: float = 1_000.0, boot: str = "boot-1") -> None:
        self.wall, self.up, self.boot = now, elapsed, boot

    def now(self) -> float:
        return self.wall

    def elapsed(self) -> float:
        return self.up

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.up += seconds


class Recorder:
    """A target that notes what it is given; ``answer`` may raise, or wait."""

    def __init__(self) -> None:
        self.got: list[Delivery] = []
        self.came = asyncio.Condition()
        self.answer: Callable[[Delivery], Awaitable[None]] | None = None

    async def deliver(self, delivery: Delivery) -> None:
        async with self.came:
            self.got.append(delivery)
            self.came.notify_all()
        if self.answer:
            await self.answer(delivery)

    async def count(self, number: int) -> Sequence[Delivery]:
        """Return what came, when it is at least so many."""
        async with asyncio.timeout(10), self.came:
            await self.came.wait_for(lambda: len(self.got) >= number)
            return tuple(self.got)

    @property
    def values(self) -> list[float | None]:
        return [delivery.event.value for delivery in self.got]


class Home(Struct):
    """The parts, and short words for what tests do."""

    store: SqliteStore
    registry: Registry
    intake: Intake
    dispatch: Dispatch
    clock: SetClock
    lamp: Recorder
    gladys: Recorder
    presence: PresenceService

    def event(self, external_id: str, value: float | None = None, *, age: float = 0.0, **more: Any) -> Event:
        """Return an event as it comes from the gateway, so many seconds old."""
        return Event(
            **{
                "id": new_id(),
                "origin": "gateway",
                "at": self.clock.now() - age,
                "received_at": self.clock.now(),
                "deadline": self.clock.elapsed() + 60 - age,
                "boot": self.clock.boot,
                "external_id": external_id,
                "value": value,
                "key": Sender("key-1", "phone"),
                **more,
            }
        )

    async def slow_lamp(self) -> asyncio.Event:
        """Let everybody command the lamp, which does so only when the event is set that is returned."""
        slow = asyncio.Event()

        async def answer(_: object) -> None:
            await slow.wait()

        self.lamp.answer = answer
        await self.registry.expose(ON.external_id, ["*"])
        return slow

    async def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read the database as a user would."""
        return await self.store.read(lambda database: database.conn.execute(sql, values).fetchall())

    async def states(self, target: str) -> list[str]:
        """Return the states of all deliveries to a target, in the order of their events."""
        found = await self.rows("SELECT state FROM deliveries WHERE target = ? ORDER BY event", target)
        return [row[0] for row in found]

    async def settled(self, event_id: str, target: str, *states: str) -> str:
        """Return the state of a delivery when it is one of these."""
        async with asyncio.timeout(10):
            while True:
                arrived = self.intake.arrived
                found = await self.rows(
                    "SELECT d.state FROM deliveries d JOIN events e ON e.seq = d.event WHERE e.id = ? AND d.target = ?",
                    event_id,
                    target,
                )
                if found and found[0][0] in states:
                    return str(found[0][0])
                await arrived.wait()


@asynccontextmanager
async def open_home(
    path: Path,
    *,
    clock: SetClock | None = None,
    sinks: Sequence[str] = (),
    settle_within: float = 0.05,
    config: Config | None = None,
    targets: Mapping[str, Target] = MappingProxyType({}),
) -> AsyncIterator[Home]:
    """Open a home on a directory; what it was told before is still there when it is opened again.

    Presence takes what it is told, and by itself looks at nothing: a test says when that is due. ``targets`` are real
    sinks by name, where ``sinks`` only note what they are told.
    """
    clock = clock or SetClock()
    lamp, gladys = Recorder(), Recorder()
    records = {
        "lamp": PluginRecord(name="lamp", group="drivers", target=lamp, status="open"),
        **{name: PluginRecord(name=name, group="sinks", target=gladys, status="open") for name in sinks},
        **{name: PluginRecord(name=name, group="sinks", target=one, status="open") for name, one in targets.items()},
    }
    woken: list[Callable[[Iterable[str]], None]] = []

    def wake(lanes: Iterable[str]) -> None:
        for one in woken:
            one(lanes)

    async with open_store(path / "companion.db", MIGRATIONS) as store:
        registry = await open_registry(store, wake=wake, clock=clock)
        intake = Intake(
            store, registry.plan, lambda: registry.snapshot, wake=wake, settle_within=settle_within, clock=clock
        )
        presence = PresenceService(store, registry, config or Config(), wake=wake, clock=clock)
        records[PRESENCE_TARGET] = PluginRecord(name=PRESENCE_TARGET, group="sinks", target=presence, status="open")
        signals = SignalService(
            store, registry, config.signals if config else {}, waits=intake.waits, wake=wake, clock=clock
        )
        records[SIGNALS] = PluginRecord(name=SIGNALS, group="sinks", target=signals, status="open")
        dispatch = Dispatch(store, registry, intake, records, attempt_time_out=0.5, clock=clock)
        woken += [dispatch.wake, lambda _: intake.changed()]
        await registry.use_targets([*sinks, *targets])
        await registry.put_device(PHONE, [PRESENCE, NOTE])
        await registry.put_device(LAMP, [ON, BRIGHTNESS, BELL, LOCK])
        if config is not None:
            await presence.open()
            await signals.open()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(dispatch.run())
            yield Home(store, registry, intake, dispatch, clock, lamp, gladys, presence)
            task.cancel()
