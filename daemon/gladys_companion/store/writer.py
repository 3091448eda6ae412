"""One SQLite file, one thread that writes it, group commit, ``synchronous=FULL``: what ``write`` returned is on disk.

Jobs are functions on the connection. Those that wait together share one transaction, so that a commit costs a phone the
less the more phones there are. Reads run on connections of their own and never wait for the writer.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from msgspec import Struct
from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from gladys_companion.errors import StoreError
from gladys_companion.store.files import connect_readonly, is_of_the_file, locked, open_database, translate

__all__ = ["Chain", "SqliteStore", "Store", "open_store"]

T = TypeVar("T")

MOST_JOBS = 256  # of one transaction: bounds how long the first of them waits for the last


class Store(Protocol):
    """What the rest of the program knows of the database."""

    async def write(
        self, job: Callable[[Database], T], then: Callable[[T], None] | None = None, chain: Chain | None = None
    ) -> T:
        """Run the job on the writer and return its result after the COMMIT that holds it.

        A job changes nothing but the database: when another job of its transaction fails, it is run a second time.
        ``then`` is called on the loop with the result once it is committed, even if who awaits this was cancelled.
        A job of a ``chain`` in which an earlier one could not be stored is not run.

        Raises:
            StoreError: nothing of this job was stored.
        """

    async def read(self, query: Callable[[Database], T]) -> T:
        """Run the query on a read-only connection and return its result."""


class Chain:
    """Jobs that must be committed in the order of their calls: once one was not, none of those behind it is."""

    def __init__(self) -> None:
        self.broken = False


class _Job(Struct, eq=False):
    """A job, and who waits for it; ``result`` is filled by the writer before ``future`` is told."""

    run: Callable[[Database], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    then: Callable[[Any], None] | None = None
    chain: Chain | None = None
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

    async def write(
        self, job: Callable[[Database], T], then: Callable[[T], None] | None = None, chain: Chain | None = None
    ) -> T:
        """Run the job on the writer and return its result after the COMMIT that holds it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(job, loop, future, then, chain))
        return await future

    async def read(self, query: Callable[[Database], T]) -> T:
        """Run the query on a read-only connection and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, query)

    def _read(self, query: Callable[[Database], T]) -> T:
        try:
            database = getattr(self._local, "database", None)
            if database is None:
                database = self._local.database = connect_readonly(self.path)
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
        except BaseException as error:  # noqa: BLE001 - given to whoever waits for it
            if isinstance(error, sqlite3.Error) and is_of_the_file(error):
                self._fail(batch, translate(error, self.path))
            elif len(batch) == 1:
                self._fail(batch, error)
            else:  # one of the jobs is to blame: each on its own, so that it fails alone
                for job in batch:
                    self._commit([job])

    @staticmethod
    def _fail(batch: list[_Job], error: BaseException) -> None:
        for job in batch:
            job.error = error
            if job.chain is not None and isinstance(error, StoreError):
                job.chain.broken = True

    def _transact(self, batch: list[_Job]) -> None:
        connection = self._database.conn
        connection.execute("BEGIN IMMEDIATE")
        try:
            for job in batch:
                if job.chain is not None and job.chain.broken:
                    job.error = StoreError("What came before it could not be stored: it waits behind that.")
                else:
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
        database = await asyncio.to_thread(open_database, path, migrations)
        store = SqliteStore(path, database, read_threads)
        try:
            yield store
        finally:
            await asyncio.shield(asyncio.to_thread(store.close))
