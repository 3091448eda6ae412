"""One SQLite file, one thread that writes it, group commit, ``synchronous=FULL``: what ``write`` returned is on disk.

Jobs are functions on the connection. Those that wait together share one transaction, so that a commit costs a phone the
less the more phones there are. Reads run on connections of their own and never wait for the writer.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from msgspec import Struct
from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from gladys_companion.errors import (
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreNewer,
    StoreReadOnly,
)

__all__ = ["SqliteStore", "Store", "locked", "open_store", "translate"]

T = TypeVar("T")

MOST_JOBS = 256  # of one transaction: bounds how long the first of them waits for the last


class Store(Protocol):
    """What the rest of the program knows of the database."""

    async def write(self, job: Callable[[Database], T], then: Callable[[T], None] | None = None) -> T:
        """Run the job on the writer and return its result after the COMMIT that holds it.

        A job changes nothing but the database: when another job of its transaction fails, it is run a second time.
        ``then`` is called on the loop with the result once it is committed, even if who awaits this was cancelled.

        Raises:
            StoreError: nothing of this job was stored.
        """

    async def read(self, query: Callable[[Database], T]) -> T:
        """Run the query on a read-only connection and return its result."""


class _Job(Struct, eq=False):
    """A job, and who waits for it; ``result`` is filled by the writer before ``future`` is told."""

    run: Callable[[Database], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    then: Callable[[Any], None] | None = None
    result: Any = None
    error: BaseException | None = None


def _tell(done: list[_Job]) -> None:
    for job in done:
        if not job.future.done():  # its waiter may have been cancelled; what it wrote stays
            if job.error is None:
                job.future.set_result(job.result)
            else:
                job.future.set_exception(job.error)
        if job.then is not None and job.error is None:
            job.then(job.result)


def translate(error: sqlite3.Error, path: Path) -> StoreError:
    """Return our error for one of SQLite's, with a sentence that says what to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StoreFull(
            f"The disk that holds {path} is full; nothing was stored. Free some space: it goes on by itself."
        )
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}:
        return StoreReadOnly(
            f"{path} or its directory can not be written. Give them to the user that runs this program."
        )
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return StoreCorrupt(
            f"{path} is damaged or not a database; it was left as it is. Move it away and restore a backup."
        )
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return StoreLocked(f"Another program holds {path}. Stop it, then try again.")
    return StoreError(f"The database {path} failed: {error}.")


def _connect(path: Path, *, readonly: bool) -> Database:
    mode = "ro" if readonly else "rwc"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=5,
        check_same_thread=False,
        cached_statements=512,
    )
    try:
        if not readonly:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute("PRAGMA wal_autocheckpoint=2000")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA cache_size=-1000")
        return Database(connection, recursive_triggers=False, execute_plugins=False)
    except BaseException:
        connection.close()
        raise


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Own the database, or say who does; the kernel gives the lock back when the process ends, however it ends.

    Raises:
        StoreLocked: another process owns it.
        StoreReadOnly: its directory can not be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreReadOnly(
            f"{path.parent} can not be written ({error.strerror}). Give it to this program's user."
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise StoreLocked(
                f"Another process (pid {owner}) already uses {path}. "
                "Stop it first, or give this one a state directory of its own.",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _migrate(database: Database, migrations: Migrations, path: Path) -> None:
    known = {migration.name for migration in migrations._migrations}  # noqa: SLF001 - it offers no list of all
    applied = {migration.name for migration in migrations.applied(database)}
    if foreign := sorted(applied - known):
        raise StoreNewer(
            f"{path} was written by a newer version of this program ({foreign[-1]}); it was left as it is. "
            "Install that version, or restore a backup of before.",
        )
    if not migrations.pending(database):
        return
    if applied:
        backup = path.with_name(f"{path.name}.before-{migrations.pending(database)[0].name}")
        backup.unlink(missing_ok=True)
        database.conn.execute("VACUUM INTO ?", [str(backup)])
        backup.chmod(0o600)
    elif database.table_names():
        raise StoreCorrupt(
            f"{path} is a database, but not one of this program; it was left as it is. Name another file."
        )
    migrations.apply(database)


class SqliteStore:
    """The store over one file; made by ``open_store``."""

    def __init__(self, path: Path, database: Database, read_threads: int) -> None:
        self.path = path
        self._database = database
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"writer {path.name}", daemon=True)
        self._local = threading.local()
        self._readers: list[Database] = []
        self._pool = ThreadPoolExecutor(read_threads, thread_name_prefix=f"reader {path.name}")
        self._thread.start()

    async def write(self, job: Callable[[Database], T], then: Callable[[T], None] | None = None) -> T:
        """Run the job on the writer and return its result after the COMMIT that holds it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(job, loop, future, then))
        return await future

    async def read(self, query: Callable[[Database], T]) -> T:
        """Run the query on a read-only connection and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, query)

    def _read(self, query: Callable[[Database], T]) -> T:
        try:
            database = getattr(self._local, "database", None)
            if database is None:
                database = self._local.database = _connect(self.path, readonly=True)
                self._readers.append(database)
            return query(database)
        except sqlite3.Error as error:
            raise translate(error, self.path) from error

    def close(self) -> None:
        """Commit what is queued, then let go of the file."""
        self._jobs.put(None)
        self._thread.join()
        self._pool.shutdown()
        for reader in self._readers:
            reader.conn.close()
        self._database.conn.close()

    def _run(self) -> None:
        """Take what waits, commit it together, tell the loop once; the whole life of the writer thread."""
        open_ = True
        while open_:
            batch: list[_Job] = []
            job = self._jobs.get()
            while job is not None:
                batch.append(job)
                if len(batch) == MOST_JOBS:
                    break
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
            open_ = job is not None
            if batch:
                self._commit(batch)
                self._answer(batch)

    def _commit(self, batch: list[_Job]) -> None:
        try:
            self._transact(batch)
        except BaseException as error:  # noqa: BLE001 - given to whoever waits, below or after the second run
            if len(batch) == 1:
                batch[0].error = self._translated(error)
                return
            for job in batch:  # one of them failed: each on its own, so that it fails alone
                try:
                    self._transact([job])
                except BaseException as own:  # noqa: BLE001
                    job.error = self._translated(own)

    def _translated(self, error: BaseException) -> BaseException:
        return translate(error, self.path) if isinstance(error, sqlite3.Error) else error

    def _transact(self, batch: list[_Job]) -> None:
        connection = self._database.conn
        connection.execute("BEGIN IMMEDIATE")
        try:
            for job in batch:
                job.result = job.run(self._database)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk may have rolled it back already
                connection.execute("ROLLBACK")
            raise

    @staticmethod
    def _answer(batch: list[_Job]) -> None:
        loops: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
        for job in batch:
            loops.setdefault(job.loop, []).append(job)
        for loop, done in loops.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_tell, done)


@asynccontextmanager
async def open_store(path: Path, migrations: Migrations, *, read_threads: int = 2) -> AsyncIterator[SqliteStore]:
    """Open (or make) the database, alone, migrated, file mode 0600.

    Raises:
        StoreLocked, StoreReadOnly, StoreCorrupt, StoreNewer, StoreFull: with what to do; nothing was overwritten.
    """
    with ExitStack() as stack:
        await asyncio.to_thread(stack.enter_context, locked(path))
        database = await asyncio.to_thread(_open, path, migrations)
        store = SqliteStore(path, database, read_threads)
        try:
            yield store
        finally:
            await asyncio.shield(asyncio.to_thread(store.close))


def _open(path: Path, migrations: Migrations) -> Database:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        database = _connect(path, readonly=False)
        try:
            _migrate(database, migrations, path)
        except BaseException:
            database.conn.close()
            raise
    except OSError as error:
        raise StoreReadOnly(f"{path} can not be written ({error.strerror}). Give it to this program's user.") from error
    except sqlite3.Error as error:
        raise translate(error, path) from error
    return database
