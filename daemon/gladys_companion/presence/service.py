"""Takes what phones tell of where they are, decides where people are, and tells it as events. A ``ports.Target``.

All that it knows is in the database, and one message is one commit: to stop is to cancel, to start is to read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import NoReturn, TypeVar

import structlog
from msgspec import structs
from sqlite_utils import Database

from gladys_companion.clock import SYSTEM, Clock
from gladys_companion.config import Config
from gladys_companion.errors import ProtocolError, Rejected, RequestError, StoreError
from gladys_companion.model import Delivery, Event, Feature
from gladys_companion.presence import derived, phones
from gladys_companion.presence.again import adopt, read_again, read_all_again
from gladys_companion.presence.desk import Desk
from gladys_companion.presence.ledger import Books, Ledger, load
from gladys_companion.presence.phones import Names
from gladys_companion.presence.posted import Taken, take_message, take_state
from gladys_companion.presence.rulebook import Rulebook, configured, machine_timezone
from gladys_companion.presence.timekeeping import Timekeeper
from gladys_companion.presence.told import Told, read_told, reported
from gladys_companion.presence.watch import Watch
from gladys_companion.store import people, whereabouts
from gladys_companion.store.people import Person, Phone, StoredZone
from gladys_companion.store.registry import Registry
from gladys_companion.store.secrets import StoredSecrets
from gladys_companion.store.writer import Store

__all__ = ["PresenceService"]

T = TypeVar("T")

STORE_RETRY = 1.0


log = structlog.get_logger(__name__)


class PresenceService:
    """Where people are; ``open`` it before anything is delivered, and ``run`` it in a task.

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

    async def deliver(self, delivery: Delivery) -> str | None:
        """Write down what an event says of where somebody is, and what that comes to; see ``ports.Target``.

        Returns what was not used of it, and why.

        Raises:
            Rejected: it can not be used, or not yet; the sentence says why.
            Unavailable: the database can not take it now.
        """
        event = delivery.event
        if event.kind == "state":
            return await self._state(event, delivery.feature)
        try:
            message = reported(event)
            phone, told, names = await self._read(event)
        except ProtocolError as error:
            raise Rejected(str(error)) from error

        def job(ledger: Ledger) -> Taken:
            current = ledger.books.phones.get(phone.id, phone)
            return take_message(ledger, event, current, told, message.gateway_at, names.shown())

        taken = await self.desk.write(job)
        if taken.refusal is not None:
            raise Rejected(taken.refusal)
        return taken.note

    async def _read(self, event: Event) -> tuple[Phone, Told, Names]:
        """Return which phone a message is of, and what it says.

        Raises:
            ProtocolError: it can never be used.
        """
        message = reported(event)
        key = event.key
        names = Names(
            message.app, message.user, message.device, key.id if key else None, key.name if key and key.name else None
        )
        phone = phones.find(self.books.phones.values(), names)
        told = read_told(message, None)
        passphrase = await self.passphrase(phone.id) if told.sealed and phone is not None else None
        if phone is not None and passphrase is not None:
            try:
                told = read_told(message, passphrase)
            except ProtocolError as error:
                if error.data.get("keep"):
                    await self._keep(event, phone)
                raise
        if told.device is not None and message.device is None:
            names = names._replace(device=told.device)
            phone = phones.find(self.books.phones.values(), names)
        if phone is None:
            phone = await self._make(names)
        device, features = derived.described_phone(phone)
        if device.id not in self._registry.snapshot.devices:
            await self._registry.put_device(device, features)
        return phone, told, names

    async def _keep(self, event: Event, phone: Phone) -> None:
        root = event.cause or event.id
        await self._store.write(lambda database: whereabouts.keep(database, root, phone.id, "sealed"))

    async def _make(self, names: Names) -> Phone:
        """Make a phone of names that were not heard before."""

        def job(ledger: Ledger) -> Phone:
            known = ledger.books
            found = phones.find(known.phones.values(), names)
            if found is not None:
                return found
            made = phones.make(names, tuple(known.people.values()), tuple(known.phones.values()), self._clock.now())
            people.put_phone(ledger.database, made)
            ledger.books = load(ledger.database)
            return made

        return await self.desk.write(job)

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

    async def _state(self, event: Event, feature: Feature | None) -> str | None:
        textual = feature is not None and feature.textual
        present = (event.text or "") if textual else event.value
        if present is None:
            raise Rejected("It is no value that says where anybody is.")
        ids = frozenset({event.external_id or "", feature.external_id if feature is not None else ""}) - {""}
        ahead = self.time.ahead()
        return await self.desk.write(lambda ledger: take_state(ledger, event, present, ids=ids, ahead=ahead))
