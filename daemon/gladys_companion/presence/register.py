"""Who there is, what they carry, and the zones: from the configuration, the user and Gladys, and judged by at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import NoReturn, TypeVar

import structlog
from msgspec import structs
from sqlite_utils import Database

from gladys_companion.clock import SYSTEM, Clock
from gladys_companion.config import Config, Presence
from gladys_companion.errors import RequestError, StoreError
from gladys_companion.presence import derived
from gladys_companion.presence.again import adopt, read_again, read_all_again
from gladys_companion.presence.desk import Desk
from gladys_companion.presence.ledger import Books, Ledger
from gladys_companion.presence.rulebook import Rulebook, configured, machine_timezone
from gladys_companion.presence.timekeeping import Timekeeper
from gladys_companion.presence.watch import Watch
from gladys_companion.resolve import GLADYS_API
from gladys_companion.store import people
from gladys_companion.store.people import Person, StoredZone
from gladys_companion.store.registry import Registry
from gladys_companion.store.secrets import StoredSecrets
from gladys_companion.store.writer import Store

__all__ = ["Register"]

T = TypeVar("T")

STORE_RETRY = 1.0

log = structlog.get_logger(__name__)


class Register:
    """People, phones, their passphrases, and zones; ``open`` it before anything is delivered, and ``run`` it in a task.

    Args:
        store, registry: the daemon's.
        config: of the daemon: ``[presence]``, ``[people]``, ``[zones]``.
        wake: told the lanes in which something new waits.
        clock: wall and boot time.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        config: Config,
        *,
        wake: Callable[[Iterable[str]], None],
        clock: Clock = SYSTEM,
    ) -> None:
        self.secrets = StoredSecrets(store, people.PASSPHRASES)
        self.desk = Desk(
            store,
            registry.plan,
            Rulebook(config.presence, config.presence.timezone or "UTC"),
            wake=wake,
            clock=clock,
            time_to_live=config.commands.time_to_live,
        )
        self._store = store
        self._registry = registry
        self._config = config
        self._clock = clock
        self._opened = False
        self.watch = Watch(self.desk, registry)

    @property
    def time(self) -> Timekeeper:
        """The time by which is judged; the link sets it."""
        return self.desk.time

    @property
    def books(self) -> Books:
        """People, phones and zones, as of the last commit."""
        return self.desk.books

    @property
    def rulebook(self) -> Rulebook:
        """By what is judged."""
        return self.desk.rulebook

    def use(self, options: Presence) -> None:
        """Judge by other options from now on."""
        self.desk.rulebook = self.rulebook._replace(options=options)

    async def prepare(self) -> None:
        """Learn in which time zone reasons are written."""
        if not self._config.presence.timezone:
            self.desk.rulebook = self.rulebook._replace(timezone=await asyncio.to_thread(machine_timezone))

    async def open(self) -> None:
        """Take the configuration, and judge everybody by what is known and the time of now.

        Raises:
            StoreError: nothing was changed.
        """
        await self.prepare()
        wanted = configured(self._config, self._clock.now())

        def job(database: Database) -> None:
            for person in wanted.people:
                people.put_person(database, person)
            for phone in wanted.phones:
                people.put_phone(database, phone)
            for zone in wanted.zones:
                people.put_zone(database, zone)
            for table, rows in (("people", wanted.people), ("phones", wanted.phones), ("zones", wanted.zones)):
                people.keep_only(database, "toml", [row.id for row in rows], table)
            if GLADYS_API not in self._config.sinks:  # nothing keeps them in step any more
                people.let_go(database)

        await self.change(job)
        self._opened = True

    async def run(self) -> NoReturn:
        """Look at what changes by itself, for ever; first open, if that could not be done before."""
        while not self._opened:
            try:
                await self.open()
            except StoreError as error:
                log.warning("presence waits for the database", reason=str(error))
                await asyncio.sleep(STORE_RETRY)
        await self.watch.run()

    async def change(self, job: Callable[[Database], T]) -> T:
        """Change people, phones or zones by a job on the writer, and then judge everybody anew.

        What was kept for a phone that is somebody's now, or whose names somebody announced, is read again.

        Raises:
            RequestError: of the job; nothing was changed.
            StoreError: nothing was changed; or it was, and is judged by at the next start or change.
        """
        before = await self.desk.read(lambda ledger: ledger.books)
        renamed: dict[str, str] = {}

        def changed(ledger: Ledger) -> T:
            result = job(ledger.database)
            renamed.clear()
            renamed.update(adopt(ledger))
            self._registry.reload(ledger.database)
            return result

        def judged(ledger: Ledger) -> None:
            for source, to in renamed.items():
                person = ledger.books.people.get(ledger.books.phones[to].person or "")
                if person is not None:
                    ledger.rename(person, source, to)
            ledger.advance(ledger.books.people)
            read_all_again(ledger)

        try:
            result = await self.desk.write(changed)
        except StoreError:  # the snapshot may be ahead of the tables
            await self._store.read(self._registry.reload)
            raise
        await self._describe(before)
        await self.desk.write(judged)
        return result

    async def _describe(self, before: Books) -> None:
        """Keep a device in the registry for each person, and none for people and phones that are gone."""
        for person in self.books.people.values():
            device, features = derived.described_person(person)
            known = self._registry.snapshot.devices.get(device.id)
            if known is None or known.name != device.name:
                await self._registry.put_device(device, features)
        gone = [derived.person_device_id(one) for one in before.people.keys() - self.books.people.keys()]
        gone += [phone.device_id for one, phone in before.phones.items() if one not in self.books.phones]
        for device_id in gone:
            with suppress(RequestError):
                await self._registry.forget(device_id)

    async def keep_in_step(self, others: Sequence[Person], zones: Sequence[StoredZone]) -> None:
        """Make the rows that come from Gladys be these.

        Raises:
            StoreError: nothing was changed.
        """

        def job(database: Database) -> None:
            for person in others:
                people.put_person(database, structs.replace(person, origin="gladys"))
            for zone in zones:
                people.put_zone(database, structs.replace(zone, origin="gladys"))
            people.keep_only(database, "gladys", [one.id for one in others], "people")
            people.keep_only(database, "gladys", [one.id for one in zones], "zones")

        await self.change(job)

    async def passphrase(self, phone_id: str) -> str | None:
        """Return what a phone's messages are sealed with; None where that is not known."""
        stored = await self.secrets.get(phone_id)
        return stored.decode() if stored else None

    async def set_passphrase(self, phone_id: str, passphrase: str | None) -> int:
        """Keep a phone's passphrase, or with None forget it; return how many kept messages are read again with it.

        Raises:
            RequestError: 404 when there is no such phone.
        """
        await self._store.read(lambda database: people.phone(database, phone_id))
        await self.secrets.set(phone_id, passphrase.encode() if passphrase else None)
        if not passphrase:
            return 0
        return await self.desk.write(lambda ledger: read_again(ledger, phone_id, "sealed"))
