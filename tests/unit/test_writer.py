"""The writer: durable, grouped, alone; and a clear error for each way in which a disk can fail."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from gladys_companion.errors import StoreCorrupt, StoreError, StoreFull, StoreLocked, StoreNewer, StoreReadOnly
from gladys_companion.store.backup import backup, check, restore
from gladys_companion.store.schema import MIGRATIONS
from gladys_companion.store.writer import Chain, open_store

FIRST = Migrations("test")


@FIRST(name="0001")
def _one(database: Database) -> None:
    database.execute("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT)")


SECOND = Migrations("test")
SECOND(name="0001")(_one)


@SECOND(name="0002")
def _two(database: Database) -> None:
    database.execute("ALTER TABLE things ADD COLUMN size INTEGER")


def add(name: str, size: int = 0) -> Callable[[Database], int | None]:
    return lambda database: (
        database.conn.execute("INSERT INTO things (name) VALUES (?)", (name + "x" * size,)).lastrowid
    )


def names(database: Database) -> list[str]:
    return [row[0] for row in database.conn.execute("SELECT name FROM things ORDER BY id")]


async def test_what_write_returned_another_process_reads(tmp_path: Path) -> None:
    """A write is committed when it returns, with synchronous=FULL, in a WAL file of mode 0600."""
    async with open_store(tmp_path / "a.db", FIRST) as store:
        assert await store.write(add("one")) == 1
        other = sqlite3.connect(tmp_path / "a.db")
        assert other.execute("SELECT name FROM things").fetchall() == [("one",)]
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        other.close()
        assert await store.write(lambda database: database.conn.execute("PRAGMA synchronous").fetchone()) == (2,)
        assert stat.S_IMODE((tmp_path / "a.db").stat().st_mode) == 0o600


async def test_jobs_run_in_the_order_of_the_calls(tmp_path: Path) -> None:
    """Writes begun in an order are committed in it."""
    async with open_store(tmp_path / "a.db", FIRST) as store:
        await asyncio.gather(*(store.write(add(f"{number:04}")) for number in range(1_000)))
        found = await store.read(names)
    assert found == sorted(found)
    assert len(found) == 1_000


async def test_a_failing_job_fails_alone(tmp_path: Path) -> None:
    """Jobs of one transaction do not share their errors, and a failed one leaves no trace."""

    def bad(database: Database) -> None:
        database.conn.execute("INSERT INTO things (name) VALUES ('bad')")
        raise ValueError("bad")

    async with open_store(tmp_path / "a.db", FIRST) as store:
        jobs = [store.write(add("good")), store.write(bad), store.write(add("too"))]
        results = await asyncio.gather(*jobs, return_exceptions=True)
        assert isinstance(results[1], ValueError)
        assert await store.read(names) == ["good", "too"]


async def test_a_second_process_is_told_who_owns_the_file(tmp_path: Path) -> None:
    """Two daemons on one database: the second says so and touches nothing."""
    async with open_store(tmp_path / "a.db", FIRST):
        script = (
            "import asyncio, sys, pathlib\n"
            "from gladys_companion.errors import StoreLocked\n"
            "from gladys_companion.store.schema import MIGRATIONS\n"
            "from gladys_companion.store.writer import open_store\n"
            "async def main():\n"
            "    try:\n"
            "        async with open_store(pathlib.Path(sys.argv[1]), MIGRATIONS): pass\n"
            "    except StoreLocked as error:\n"
            "        print(error); sys.exit(error.exit_code)\n"
            "asyncio.run(main())\n"
        )
        command = [sys.executable, "-c", script, str(tmp_path / "a.db")]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
        assert done.returncode == 74
        assert f"pid {os.getpid()}" in done.stdout


async def test_a_disk_that_is_full_loses_nothing_and_goes_on(tmp_path: Path) -> None:
    """Full: StoreFull for that job, none of it stored; with space again the next one is."""
    async with open_store(tmp_path / "a.db", FIRST) as store:

        def limit(pages: int) -> Callable[[Database], object]:
            return lambda database: database.conn.execute(f"PRAGMA max_page_count = {pages}").fetchone()

        await store.write(limit(1))
        with pytest.raises(StoreFull, match="full"):
            await store.write(add("big", 100_000))
        await store.write(limit(1_000_000))
        await store.write(add("small"))
        assert await store.read(names) == ["small"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB; only root may mount one."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(path)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    yield path
    subprocess.run(["umount", str(path)], check=True)


async def test_a_real_full_disk(small_disk: Path) -> None:
    """On a file system that is full, what was committed stays, what was not is refused, and space brings it back."""
    async with open_store(small_disk / "a.db", FIRST) as store:
        stored, refused = 0, None
        while refused is None:
            try:
                await store.write(add(f"{stored:04}", 2_000))
                stored += 1
            except StoreFull as error:
                refused = error
        assert "full" in str(refused)
        assert len(await store.read(names)) == stored > 0
        remount = ["mount", "-o", "remount,size=4m", str(small_disk)]
        await asyncio.to_thread(subprocess.run, remount, check=True)
        await store.write(add("after"))
        assert (await store.read(names))[-1] == "after"


async def test_a_directory_that_can_not_be_written(tmp_path: Path) -> None:
    """Read-only or not a directory: a sentence, and nothing made."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreReadOnly, match="can not be written"):
        async with open_store(tmp_path / "file" / "a.db", FIRST):
            pass
    with pytest.raises(StoreReadOnly):
        async with open_store(Path("/proc/nowhere/a.db"), FIRST):
            pass


@pytest.mark.parametrize(
    "content", [b"this is no database, but text that is long enough" * 100, b"SQLite format 3\0junk"]
)
async def test_a_damaged_file_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    """Corrupt: a sentence, and not a byte changed."""
    path = tmp_path / "a.db"
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt):
        async with open_store(path, FIRST):
            pass
    assert path.read_bytes() == content


async def test_a_database_of_another_program_is_left_as_it_is(tmp_path: Path) -> None:
    """A sound database that is not ours gets no tables of ours."""
    other = sqlite3.connect(tmp_path / "a.db")
    other.execute("CREATE TABLE theirs (id)")
    other.close()
    with pytest.raises(StoreCorrupt, match="not one of this program"):
        async with open_store(tmp_path / "a.db", FIRST):
            pass


async def test_a_newer_file_is_refused_untouched_and_an_older_one_backed_up(tmp_path: Path) -> None:
    """A migration makes a backup first; the older program then refuses the newer file."""
    path = tmp_path / "a.db"
    async with open_store(path, FIRST) as store:
        await store.write(add("one"))
    async with open_store(path, SECOND) as store:
        assert await store.read(names) == ["one"]
    before = path.with_name("a.db.before-0002")
    assert await asyncio.to_thread(check, before) == ["0001"]
    assert stat.S_IMODE(before.stat().st_mode) == 0o600
    content = path.read_bytes()
    with pytest.raises(StoreNewer, match="newer version"):
        async with open_store(path, FIRST):
            pass
    assert path.read_bytes() == content


async def test_backup_and_restore(tmp_path: Path) -> None:
    """A backup is made while others write, is 0600 and checked; a restore keeps the file it replaces."""
    path, copy = tmp_path / "a.db", tmp_path / "copy.db"
    async with open_store(path, FIRST) as store:
        await store.write(add("one"))
        await asyncio.gather(
            store.read(lambda database: backup(database, copy)),
            *(store.write(add(str(number))) for number in range(50)),
        )
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        with pytest.raises(StoreError, match="exists already"):
            await store.read(lambda database: backup(database, copy))
        with pytest.raises(StoreLocked):
            await asyncio.to_thread(restore, copy, path, FIRST)
        await store.write(add("later"))
    former = await asyncio.to_thread(restore, copy, path, FIRST)
    assert former is not None
    async with open_store(path, FIRST) as store:
        found = await store.read(names)
        assert "one" in found
        assert "later" not in found
    async with open_store(former, FIRST) as store:
        assert "later" in await store.read(names)


async def test_a_damaged_backup_restores_nothing(tmp_path: Path) -> None:
    """What is not a sound backup is refused before anything is touched."""
    path, copy = tmp_path / "a.db", tmp_path / "copy.db"
    async with open_store(path, FIRST) as store:
        await store.write(add("one"))
    content = path.read_bytes()
    copy.write_bytes(b"no backup" * 1_000)
    with pytest.raises(StoreCorrupt):
        await asyncio.to_thread(restore, copy, path, FIRST)
    assert path.read_bytes() == content


async def test_chain_keeps_its_order_when_the_database_fails_for_a_moment(tmp_path: Path) -> None:
    """While another program holds the lock nothing of a chain is stored, and nothing behind it is either, ever."""
    async with open_store(tmp_path / "a.db", FIRST) as store:
        chain = Chain()
        other = sqlite3.connect(tmp_path / "a.db", isolation_level=None, check_same_thread=False)
        await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
        waiting = [asyncio.ensure_future(store.write(add(name), chain=chain)) for name in ("first", "second")]
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.to_thread(other.execute, "ROLLBACK")
        await asyncio.to_thread(other.close)
        assert all(isinstance(one.exception(), StoreError) for one in done)
        with pytest.raises(StoreError, match="waits behind"):
            await store.write(add("third"), chain=chain)
        await store.write(add("of another chain"), chain=Chain())
        await asyncio.wait(waiting)
        assert await store.read(names) == ["of another chain"]


async def test_kill_at_any_statement_of_the_first_start_leaves_a_file_that_opens(tmp_path: Path) -> None:
    """However far a first start came, the next one finds a file of ours."""
    kill = (
        "import os, pathlib, sys\n"
        "from gladys_companion.store import files\n"
        "from gladys_companion.store.schema import MIGRATIONS\n"
        "left = int(sys.argv[2])\n"
        "connect = files._connect\n"
        "def watched(path, mode):\n"
        "    connection = connect(path, mode)\n"
        "    def count(_):\n"
        "        global left\n"
        "        left -= 1\n"
        "        if left < 0: os.kill(os.getpid(), 9)\n"
        "    connection.set_trace_callback(count)\n"
        "    return connection\n"
        "files._connect = watched\n"
        "files.open_database(pathlib.Path(sys.argv[1]), MIGRATIONS)\n"
    )
    killed = 0
    for statements in range(0, 200, 4):
        path = tmp_path / f"{statements}.db"
        command = [sys.executable, "-c", kill, str(path), str(statements)]
        done = await asyncio.to_thread(subprocess.run, command, check=False, capture_output=True)
        async with open_store(path, MIGRATIONS) as store:
            assert await store.read(lambda database: database["events"].exists())
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        killed += 1
    assert killed > 5


async def test_foreign_database_is_left_byte_for_byte(tmp_path: Path) -> None:
    """Looking whether a file is ours changes nothing of it."""
    path = tmp_path / "a.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (id)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreCorrupt):
        async with open_store(path, FIRST):
            pass
    assert path.read_bytes() == before
