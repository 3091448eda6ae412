"""Back up a database while it is in use, and restore one that was checked first."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from gladys_companion.errors import StoreCorrupt, StoreError, StoreLocked, StoreNewer
from gladys_companion.store.files import locked, translate

__all__ = ["backup", "check", "restore"]


def backup(database: Database, path: Path) -> None:
    """Write a compact, checked copy to a new file of mode 0600; works while others write. A query for ``Store.read``.

    Raises:
        StoreError: the file exists already, can not be written, or the copy is damaged; nothing is left behind.
    """
    if path.exists():
        raise StoreError(f"{path} exists already; it was left as it is. Name a new file.")
    part = path.with_name(path.name + ".part")
    try:
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
        database.conn.execute("VACUUM INTO ?", (str(part),))
        check(part)
        with part.open("rb") as copy:
            os.fsync(copy.fileno())
        os.link(part, path)  # unlike a rename, never over a file that came meanwhile
    except OSError as error:
        raise StoreError(f"The backup {path} could not be written: {error.strerror}.") from error
    except sqlite3.Error as error:
        raise translate(error, path) from error
    finally:
        part.unlink(missing_ok=True)


def check(path: Path) -> list[str]:
    """Return the names of the applied migrations of a sound database.

    Raises:
        StoreCorrupt: it is not one, or is damaged.
    """
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
            if verdict != "ok":
                raise StoreCorrupt(f"{path} is damaged ({verdict}); it was left as it is.")
            rows = connection.execute("SELECT name FROM _sqlite_migrations ORDER BY id").fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreCorrupt(f"{path} is not a backup of this program ({error}); it was left as it is.") from error
    return [row[0] for row in rows]


def restore(source: Path, path: Path, migrations: Migrations) -> Path | None:
    """Put a backup in the place of a database that no process uses; return where the former one was moved.

    Raises:
        StoreLocked: a process uses it: stop it first.
        StoreCorrupt, StoreNewer: the backup can not be used; nothing was changed.
    """
    if not source.is_file():
        raise StoreError(f"There is no backup {source}.")
    known = {migration.name for migration in migrations._migrations}  # noqa: SLF001 - it offers no list of all
    if foreign := sorted(set(check(source)) - known):
        raise StoreNewer(f"{source} was written by a newer version of this program ({foreign[-1]}).")
    with locked(path):
        part = path.with_name(path.name + ".restoring")
        part.unlink(missing_ok=True)
        copy = sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)
        try:
            os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            copy.execute("VACUUM INTO ?", (str(part),))
        except sqlite3.Error as error:
            part.unlink(missing_ok=True)
            raise translate(error, part) from error
        finally:
            copy.close()
        with part.open("rb") as restored:  # SQLite does not sync what VACUUM wrote
            os.fsync(restored.fileno())
        try:
            former = _put_aside(path) if path.exists() else None
        except StoreLocked:
            part.unlink()
            raise
        part.replace(path)  # at each moment before, the former database is in its place
        directory = os.open(path.parent, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
        return former


def _put_aside(path: Path) -> Path:
    """Give the database, its log brought in, a second name that is free; return that.

    Raises:
        StoreLocked: another program reads it, so that its log can not be brought in.
    """
    sound = _checkpoint(path)
    former, number = path.with_name(f"{path.name}.before-restore"), 1
    while former.exists():
        number += 1
        former = path.with_name(f"{path.name}.before-restore-{number}")
    os.link(path, former)
    log, shared = (path.with_name(path.name + ending) for ending in ("-wal", "-shm"))
    if log.exists() and not sound:
        os.link(log, former.with_name(former.name + "-wal"))
    for leftover in (log, shared):
        leftover.unlink(missing_ok=True)
    return former


def _checkpoint(path: Path) -> bool:
    """Bring the write-ahead log into the file; False if the file is damaged, and is kept as it is, log and all.

    Raises:
        StoreLocked: another program reads it.
    """
    connection = sqlite3.connect(path, timeout=1)
    try:
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.DatabaseError:
        return False
    finally:
        connection.close()
    if busy:
        raise StoreLocked(f"Another program reads {path}. Close it, then try again; nothing was changed.")
    return True
