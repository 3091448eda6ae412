"""The storage over one SQLite file: an event costs one insert, what became of it is written behind, many at a time.

A kill loses nothing but what was noted in the last tenth of a second: such events are sent again, which home knows.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import structlog
from msgspec.structs import replace
from sqlite_utils import Database

from gladys_companion.backoff import backoff
from gladys_companion.clock import SYSTEM, Clock
from gladys_companion.errors import RequestError, StoreError
from gladys_companion.gateway import _events, _tables
from gladys_companion.gateway._directory import SqliteDirectory
from gladys_companion.gateway.schema import MIGRATIONS
from gladys_companion.gateway.storage import Accepted, HeldTotal, NewEvent, Quarantined, Settlement, StoredEvent
from gladys_companion.store.writer import Store, open_store

__all__ = ["SqliteStorage", "open_storage"]

_WRITE_AFTER = 0.1  # seconds that settlements gather: a few commits a second, whatever the load
_PROVEN_FOR = 5.0  # seconds that the outcome of a proof holds
_USES_EVERY = 10.0  # seconds between writes of last uses

_log = structlog.get_logger()


class SqliteStorage(SqliteDirectory):
    """Made by ``open_storage``. See ``storage.Storage`` for what each method promises."""

    def __init__(self, store: Store, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._proving = asyncio.Lock()
        self._proved_at: float | None = None
        self._unproved: StoreError | None = None
        super().__init__(store, clock)
        self._path = path
        self._settled: dict[str, Settlement] = {}  # not committed yet, the last one of each event
        self._flushing = asyncio.Lock()

    async def accept(self, event: NewEvent) -> Accepted:
        """Commit the event, unless its id, or its key with its idempotency key, was there before."""
        if event.key_id in self._unsaved_secrets:  # its key's old secret has ended: that is committed with it
            await self.flush()
        accepted = await self._store.write(lambda db: _events.insert(db.conn, event))
        first = accepted.duplicate
        if first is None:
            return accepted
        if (
            first.id != event.id
            and None not in {event.body_hash, first.body_hash}
            and event.body_hash != first.body_hash
        ):
            raise RequestError(
                422,
                "IDEMPOTENCY_MISMATCH",
                "This Idempotency-Key came before with another body: send a new one with a new event.",
                id=first.id,
            )
        return Accepted(first.seq, self._current(first))

    def settle(self, settlement: Settlement) -> None:
        """Note what became of an event."""
        self._settled[settlement.id] = settlement
        self._noted.set()

    async def flush(self) -> None:
        """Return when everything noted so far is committed."""
        async with self._flushing:
            settled, notes = list(self._settled.values()), self._unsaved()
            if not (settled or notes.used or notes.seen or notes.secrets):
                return

            def job(database: Database) -> None:
                _events.settle(database.conn, settled)
                _tables.write_notes(database.conn, notes)

            await self._store.write(job)
            for settlement in settled:
                if self._settled.get(settlement.id) is settlement:
                    del self._settled[settlement.id]
            self._saved(notes)

    async def write_behind(self) -> None:
        """Commit what is noted, for ever: soon after a settlement, now and then the last uses."""
        delays = backoff(1.0, 30.0)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_USES_EVERY):  # wait_for of Python 3.11 may swallow a cancellation
                    await self._noted.wait()
            await asyncio.sleep(_WRITE_AFTER)
            self._noted.clear()
            try:
                await self.flush()
            except StoreError as error:
                _log.error("gateway.write_behind_failed", error=str(error), code=error.code)
                await asyncio.sleep(next(delays))
                self._noted.set()
            else:
                delays = backoff(1.0, 30.0)

    async def held(
        self, home_id: str, after_seq: int, limit: int, most_bytes: int = 4_194_304
    ) -> Sequence[StoredEvent]:
        """Return the home's oldest events that have not settled."""
        # On the writer, so that what is committed as settled while this waits is either gone or still noted here.
        page = await self._store.write(lambda db: _events.held(db.conn, home_id, after_seq, limit, most_bytes))
        waiting = [event for event in page if event.id not in self._settled]
        if page and not waiting:
            return await self.held(home_id, page[-1].seq, limit, most_bytes)
        return waiting

    async def held_totals(self) -> Sequence[HeldTotal]:
        """Return what is held, by home and key."""
        return await self._store.read(lambda db: _events.totals(db.conn))

    async def held_orders(self) -> Sequence[tuple[str, str, int]]:
        """Return home, order key and how many events of it are held."""
        return await self._store.read(lambda db: _events.orders(db.conn))

    async def event(self, event_id: str) -> StoredEvent | None:
        """Return an event as it is now."""
        found = await self._store.write(lambda db: _events.one(db.conn, event_id))
        return self._current(found) if found else None

    async def newest_of(self, key_id: str) -> StoredEvent | None:
        """Return the event that a key posted last, as it is now."""
        found = await self._store.read(lambda db: _events.newest(db.conn, key_id))
        return self._current(found) if found else None

    async def expire(self, received_before: float, now: float, limit: int = 500) -> Sequence[StoredEvent]:
        """Settle the oldest held events as expired and erase their bodies; return them."""
        await self.flush()
        homes = list(self._homes)
        return await self._store.write(lambda db: _events.expire(db.conn, homes, received_before, now, limit))

    async def prune(self, settled_before: float, limit: int = 500) -> int:
        """Forget what settled before then, and what a removed home left; at the end also what the log still shows."""

        def job(database: Database) -> int:
            return _events.prune(database.conn, settled_before, limit) + _events.prune_orphans(database.conn, limit)

        pruned = await self._store.write(job)
        if not pruned:
            await self._store.read(lambda _: _empty_log(self._path))
        return pruned

    async def prove(self) -> None:
        """Return if something as large as an ordinary event could be committed, and nothing of it left, a moment ago.

        Whoever asks within that moment shares its outcome, so that asking often writes no more.
        """
        async with self._proving:
            if self._proved_at is None or self._clock.elapsed() - self._proved_at >= _PROVEN_FOR:
                self._unproved = None
                try:
                    await self._store.write(lambda db: _events.prove(db.conn))
                except StoreError as error:
                    self._unproved = error
                self._proved_at = self._clock.elapsed()
        if self._unproved is not None:
            raise type(self._unproved)(str(self._unproved))

    async def quarantine(self, body: Quarantined) -> None:
        """Keep what could not be used."""
        await self._store.write(lambda db: _events.quarantine(db.conn, body))

    def _current(self, event: StoredEvent) -> StoredEvent:
        """Return the event with what is noted of it and not committed yet."""
        noted = self._settled.get(event.id)
        if noted is None:
            return event
        return replace(
            event,
            body=None,
            receipt=noted.receipt,
            settled_at=noted.settled_at if event.settled_at is None else event.settled_at,
            sent_at=noted.sent_at if noted.sent_at is not None else event.sent_at,
        )


def _empty_log(path: Path) -> None:
    """Truncate the write-ahead log, which holds bodies for a while after they were erased; later if it is in use."""
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(path, timeout=0.1)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@asynccontextmanager
async def open_storage(path: Path, clock: Clock = SYSTEM) -> AsyncIterator[SqliteStorage]:
    """Open (or make) the gateway's database, alone, with its tables in memory. Who serves runs ``write_behind`` too.

    Raises:
        StoreError: as ``store.writer.open_store``.
    """
    async with open_store(path, MIGRATIONS) as store:
        storage = SqliteStorage(store, path, clock)
        await storage.load()
        try:
            yield storage
        finally:
            with suppress(StoreError):  # else it is sent again, and an unmodified Gladys takes that for a new event
                await storage.flush()
