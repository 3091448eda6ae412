"""The registry: devices, features, aliases, exposure; in SQLite, and as one frozen snapshot for who plans.

The snapshot is replaced on the writer thread, inside the job that changes the tables, so that every event is planned by
what was committed before it. What a change lets through (``unbound`` events of an id) is delivered in the same job.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from sqlite_utils import Database

from gladys_companion.clock import SYSTEM, Clock
from gladys_companion.errors import RequestError, StoreError
from gladys_companion.model import ANY_KEY, Device, Event, Feature, Plan, RegistrySnapshot, Way
from gladys_companion.resolve import plan
from gladys_companion.store import lanes
from gladys_companion.store.binding import release
from gladys_companion.store.snapshot import DEVICES, load_snapshot, read_device
from gladys_companion.store.writer import Store

__all__ = ["Registry", "load_snapshot", "open_registry"]

T = TypeVar("T")


class Registry:
    """Holds the snapshot and makes the changes; made by ``open_registry``."""

    def __init__(
        self, store: Store, snapshot: RegistrySnapshot, clock: Clock, wake: Callable[[Iterable[str]], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._wake = wake
        self.snapshot = snapshot

    def plan(self, event: Event) -> Plan:
        """Plan by the snapshot of now."""
        return plan(event, self.snapshot)

    def reload(self, database: Database) -> None:
        """Take the snapshot from the tables; on the writer, in the job that changed them by another way."""
        self.snapshot = self._loaded(database)

    def _loaded(self, database: Database) -> RegistrySnapshot:
        return load_snapshot(database, self.snapshot.targets, self.snapshot.signals)

    async def use_targets(self, targets: Iterable[str]) -> None:
        """Take note of the sinks that are open: events planned from now on go there."""
        names = tuple(targets)

        def job(_: Database) -> None:
            self.snapshot = msgspec.structs.replace(self.snapshot, targets=names)

        await self._store.write(job)

    async def use_signals(self, signals: Mapping[str, frozenset[str]]) -> None:
        """Take note of which signals do something, and which keys may send each; what was kept of them is planned anew.

        Raises:
            StoreError: what was kept is planned when this is called next.
        """

        def job(_: Database) -> None:
            self.snapshot = msgspec.structs.replace(self.snapshot, signals=signals)

        await self._store.write(job)
        await self._change(lambda _: set(signals))

    async def put_device(self, device: Device, features: Sequence[Feature]) -> None:
        """Add a device or update it. A name that the user gave, aliases, and features it no longer tells, are kept."""

        def job(database: Database) -> set[str]:
            lanes.retry_now(database, device.id)
            return self._put(database, device, features)

        await self._change(job)
        self._wake([device.id])

    def _put(self, database: Database, device: Device, features: Sequence[Feature]) -> set[str]:
        connection = database.conn
        connection.execute(
            "INSERT INTO devices (id, driver, name, model, host, address, port, seen_at, away_since, created_at) "
            "VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO UPDATE SET driver = excluded.driver, "
            "name = iif(named_by_user, name, excluded.name), model = excluded.model, host = excluded.host, "
            "address = excluded.address, port = excluded.port, seen_at = excluded.seen_at, "
            "away_since = excluded.away_since",
            (*msgspec.structs.astuple(device), self._clock.now()),
        )
        known = self.snapshot.features
        for feature in features:
            owner = known.get(feature.external_id)
            if owner is not None and owner.device != device.id:
                raise RequestError(
                    409,
                    "EXTERNAL_ID_TAKEN",
                    f"{feature.external_id!r} already belongs to {owner.device!r}.",
                    field="external_id",
                )
            connection.execute(
                "INSERT INTO features "
                "(external_id, device, name, category, type, unit, min, max, writable, keep_history) "
                "VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT (external_id) DO UPDATE SET name = excluded.name, "
                "category = excluded.category, type = excluded.type, unit = excluded.unit, min = excluded.min, "
                "max = excluded.max, writable = excluded.writable, keep_history = excluded.keep_history",
                msgspec.structs.astuple(feature),
            )
        stored = read_device(connection.execute(f"{DEVICES} WHERE id = ?", (device.id,)).fetchone())
        self.snapshot = msgspec.structs.replace(
            self.snapshot,
            devices={**self.snapshot.devices, device.id: stored},
            features={**known, **{feature.external_id: feature for feature in features}} if features else known,
        )
        return {feature.external_id for feature in features}

    async def seen(self, device_id: str, *, host: str | None, address: str | None, port: int | None, at: float) -> None:
        """Take note of where a device is now, and that it is there: what waits for it is tried at once."""
        await self._attributes(device_id, host=host, address=address, port=port, seen_at=at, away_since=None)

    async def away(self, device_id: str, since: float | None) -> None:
        """Take note that a device left the network at that time (epoch), or with None that it is back."""
        await self._attributes(device_id, away_since=since)

    async def rename(self, device_id: str, name: str) -> None:
        """Give a device a name of the user's, which discovery never overwrites.

        Raises:
            RequestError: 404 when there is no such device, 422 when the name is empty or longer than 200 characters.
        """
        if not name.strip() or len(name) > 200:  # noqa: PLR2004 - said in the sentence
            raise RequestError(422, "INVALID_FIELD", "A name has 1 to 200 characters.", field="name")
        await self._attributes(device_id, name=name, named_by_user=True)

    async def _attributes(self, device_id: str, **changed: Any) -> None:
        def job(database: Database) -> set[str]:
            device = self._known_device(device_id)
            columns = ", ".join(f"{column} = ?" for column in changed)
            database.conn.execute(f"UPDATE devices SET {columns} WHERE id = ?", (*changed.values(), device_id))
            fields = {name: value for name, value in changed.items() if name in Device.__struct_fields__}
            devices = {**self.snapshot.devices, device_id: msgspec.structs.replace(device, **fields)}
            self.snapshot = msgspec.structs.replace(self.snapshot, devices=devices)
            if "away_since" in changed and changed["away_since"] is None:
                lanes.retry_now(database, device_id)
            return set()

        await self._change(job)
        self._wake([device_id])

    def _known_device(self, device_id: str) -> Device:
        device = self.snapshot.devices.get(device_id)
        if device is None:
            raise RequestError(404, "DEVICE_NOT_FOUND", f"No device {device_id!r} is known here.", field="id")
        return device

    def _known_feature(self, external_id: str) -> Feature:
        feature = self.snapshot.feature(external_id)
        if feature is None:
            raise RequestError(
                404,
                "DEVICE_FEATURE_NOT_FOUND",
                f"No device feature {external_id!r} is known here.",
                field="external_id",
            )
        return feature

    async def forget(self, device_id: str) -> None:
        """Forget a device with its features, their history, aliases and exposure.

        Raises:
            RequestError: 404 when there is no such device.
        """

        def job(database: Database) -> set[str]:
            self._known_device(device_id)
            of_it = "(SELECT external_id FROM features WHERE device = ?)"
            database.conn.execute(
                "UPDATE deliveries SET state = 'rejected', reason = 'its device was forgotten', settled_at = ? "
                f"WHERE state = 'pending' AND under_way = 0 AND feature IN {of_it}",
                (self._clock.now(), device_id),
            )
            for table in ("aliases", "exposures"):
                database.conn.execute(f"DELETE FROM {table} WHERE external_id IN {of_it}", (device_id,))
            database.conn.execute("DELETE FROM devices WHERE id = ?", (device_id,))
            self.snapshot = self._loaded(database)
            return set()

        await self._change(job)

    async def alias(self, alias: str, external_id: str) -> None:
        """Make another external id mean a feature; events kept for it are delivered by the rule for late ones.

        Raises:
            RequestError: 404: no such feature; 409: the alias is a feature's own id; 422: it is empty.
        """
        if not alias.strip():
            raise RequestError(422, "INVALID_FIELD", "An alias can not be empty.", field="alias")

        def job(database: Database) -> set[str]:
            feature = self._known_feature(external_id)
            if alias in self.snapshot.features:
                raise RequestError(409, "EXTERNAL_ID_TAKEN", f"{alias!r} is the own id of a feature.", field="alias")
            database.conn.execute(
                "INSERT INTO aliases VALUES (?,?,?) "
                "ON CONFLICT (alias) DO UPDATE SET external_id = excluded.external_id",
                (alias, feature.external_id, self._clock.now()),
            )
            aliases = {**self.snapshot.aliases, alias: feature.external_id}
            self.snapshot = msgspec.structs.replace(self.snapshot, aliases=aliases)
            return {alias}

        await self._change(job)

    async def unalias(self, alias: str) -> None:
        """Take an alias back.

        Raises:
            RequestError: 404 when there is no such alias.
        """

        def job(database: Database) -> set[str]:
            if alias not in self.snapshot.aliases:
                raise RequestError(404, "ALIAS_NOT_FOUND", f"There is no alias {alias!r}.", field="alias")
            database.conn.execute("DELETE FROM aliases WHERE alias = ?", (alias,))
            aliases = {name: target for name, target in self.snapshot.aliases.items() if name != alias}
            self.snapshot = msgspec.structs.replace(self.snapshot, aliases=aliases)
            return set()

        await self._change(job)

    async def expose(self, external_id: str, key_ids: Iterable[str] = ()) -> None:
        """Let a feature be commanded from outside: by the given keys, or by every key if none is given.

        What they sent before was refused, and is not carried out now.

        Raises:
            RequestError: 404 when there is no such feature; 422 when a lock, garage door, alarm or cover names no key.
        """
        keys = frozenset(key_ids)

        def job(database: Database) -> set[str]:
            feature = self._known_feature(external_id)
            if feature.sensitive and not keys:
                raise RequestError(
                    422,
                    "KEY_REQUIRED",
                    f"{feature.external_id!r} is a {feature.category}: name the key ids that may command it.",
                    field="key_ids",
                )
            allowed = self.snapshot.exposed.get(feature.external_id, frozenset()) | (keys or {ANY_KEY})
            database.conn.executemany(
                "INSERT OR IGNORE INTO exposures VALUES (?,?)", [(feature.external_id, key) for key in allowed]
            )
            exposed = {**self.snapshot.exposed, feature.external_id: allowed}
            self.snapshot = msgspec.structs.replace(self.snapshot, exposed=exposed)
            aliases = {alias for alias, own in self.snapshot.aliases.items() if own == feature.external_id}
            return {feature.external_id, *aliases}

        await self._change(job, elapsed=float("inf"))

    async def unexpose(self, external_id: str) -> None:
        """Take back every exposure of a feature.

        Raises:
            RequestError: 404 when there is no such feature.
        """

        def job(database: Database) -> set[str]:
            own = self._known_feature(external_id).external_id
            database.conn.execute("DELETE FROM exposures WHERE external_id = ?", (own,))
            exposed = {name: keys for name, keys in self.snapshot.exposed.items() if name != own}
            self.snapshot = msgspec.structs.replace(self.snapshot, exposed=exposed)
            return set()

        await self._change(job)

    async def share(self, device_id: str, way: Way | None) -> None:
        """Take note that Gladys was given a device; with None, that it has it no more.

        Raises:
            RequestError: 404 when there is no such device.
        """

        def job(database: Database) -> set[str]:
            self._known_device(device_id)
            shared = {one: known for one, known in self.snapshot.shared.items() if one != device_id}
            if way is None:
                database.conn.execute("DELETE FROM shares WHERE device = ?", (device_id,))
            else:
                database.conn.execute(
                    "INSERT INTO shares VALUES (?,?,?) ON CONFLICT (device) DO UPDATE SET way = excluded.way",
                    (device_id, way, self._clock.now()),
                )
                shared[device_id] = way
            self.snapshot = msgspec.structs.replace(self.snapshot, shared=shared)
            return set()

        await self._change(job)

    async def _change(self, change: Callable[[Database], set[str]], elapsed: float | None = None) -> None:
        """Run one change; ``change`` returns the external ids that mean something now and did not before."""
        runs = 0

        def job(database: Database) -> set[str]:
            nonlocal runs
            if runs:  # its first transaction was rolled back, and the snapshot is ahead of the tables
                self.snapshot = self._loaded(database)
            runs += 1
            external_ids = change(database)
            clock = self._clock
            moment = clock.elapsed() if elapsed is None else elapsed
            return release(database, external_ids, self.plan, clock.now(), moment, clock.boot)

        try:
            released = await self._store.write(job)
        except (StoreError, sqlite3.Error):  # the snapshot may be ahead of the tables: take theirs
            self.snapshot = await self._store.read(self._loaded)
            raise
        self._wake(released)


async def open_registry(store: Store, *, wake: Callable[[Iterable[str]], None], clock: Clock = SYSTEM) -> Registry:
    """Return the registry of a store; ``wake`` is told the lanes in which a change let something through."""
    return Registry(store, await store.read(load_snapshot), clock, wake)
