"""The database file: who owns it, whether it is ours, what is to be migrated, and a sentence for each way to fail."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from gladys_companion.errors import StoreCorrupt, StoreError, StoreFull, StoreLocked, StoreNewer, StoreReadOnly

__all__ = ["connect_readonly", "is_of_the_file", "locked", "open_database", "translate"]

OF_THE_FILE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_READONLY,
    }
)
BUSY_WITHIN = 5.0  # seconds that a write waits for a lock which another program holds
BOOKKEEPING = "_sqlite_migrations"  # made by sqlite-utils before the first migration, and outside of it


def is_of_the_file(error: sqlite3.Error) -> bool:
    """Return whether any job would meet this error now, because it is the file's or the disk's and not the job's."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in OF_THE_FILE


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


def connect_readonly(path: Path) -> Database:
    """Return a connection that can only read."""
    return _ours(_connect(path, "ro"))


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_WITHIN,
        check_same_thread=False,
        cached_statements=512,
    )


def _ours(connection: sqlite3.Connection) -> Database:
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA cache_size=-1000")
    return Database(connection, recursive_triggers=False, execute_plugins=False)


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


def open_database(path: Path, migrations: Migrations) -> Database:
    """Open or make the file, see that it is ours before anything of it is changed, and bring it up to date.

    Raises:
        StoreError: each with what to do; what is not ours, or newer, was not touched.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = _connect(path, "rw")
        try:
            database = _ours(connection)
            _examine(database, migrations, path)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA secure_delete=ON")
            connection.execute("PRAGMA wal_autocheckpoint=2000")
            _migrate(database, migrations, path)
        except BaseException:
            connection.close()
            raise
    except OSError as error:
        raise StoreReadOnly(f"{path} can not be written ({error.strerror}). Give it to this program's user.") from error
    except sqlite3.Error as error:
        raise translate(error, path) from error
    return database


def _examine(database: Database, migrations: Migrations, path: Path) -> None:
    """Read whether the file is ours and not newer than we are."""
    known = {migration.name for migration in migrations._migrations}  # noqa: SLF001 - it offers no list of all
    applied = {migration.name for migration in migrations.applied(database)}
    if foreign := sorted(applied - known):
        raise StoreNewer(
            f"{path} was written by a newer version of this program ({foreign[-1]}); it was left as it is. "
            "Install that version, or restore a backup of before.",
        )
    if not applied and set(database.table_names()) - {BOOKKEEPING}:
        raise StoreCorrupt(
            f"{path} is a database, but not one of this program; it was left as it is. Name another file."
        )


def _migrate(database: Database, migrations: Migrations, path: Path) -> None:
    """Apply what is pending; on a file in use, after a copy of it was made."""
    pending = migrations.pending(database)
    if pending and migrations.applied(database):
        backup = path.with_name(f"{path.name}.before-{pending[0].name}")
        backup.unlink(missing_ok=True)
        database.conn.execute("VACUUM INTO ?", [str(backup)])
        backup.chmod(0o600)
    if pending:
        migrations.apply(database)
