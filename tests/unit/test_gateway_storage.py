"""The gateway's events: committed once, held in order, erased when settled, forgotten in time, safe from kill -9."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from gladys_companion.errors import RequestError, StoreFull, StoreNewer
from gladys_companion.gateway.sqlite import open_storage
from gladys_companion.gateway.storage import Accepted, HeldTotal, Quarantined, Settlement, Storage, StoredEvent
from gladys_companion.store.writer import SqliteStore
from tests.gateway_storage import BODY, new_event, open_gateway, settlement
from tests.home import SetClock

ROOT = Path(__file__).parents[2]
DAY = 86_400.0


async def test_accepted_event_is_held_with_all_that_it_came_with(tmp_path: Path) -> None:
    """What is committed comes back member for member, and stays held until it is settled."""
    async with open_gateway(tmp_path) as gateway:
        storage: Storage = gateway.storage
        event = new_event(idempotency_key="once", body_hash=b"hash")
        accepted = await storage.accept(event)
        (held,) = await storage.held("home", 0, 10)
        assert accepted == Accepted(held.seq)
        assert held.settled_at is None
        for name in set(event.__struct_fields__) - {"idempotency_key"}:
            assert getattr(held, name) == getattr(event, name)


async def test_events_are_held_in_order_of_arrival_by_home_and_page(tmp_path: Path) -> None:
    """A page goes on where the last one ended, and never shows another home's."""
    async with open_gateway(tmp_path) as gateway:
        events = [new_event("home" if number % 2 else "other") for number in range(20)]
        await asyncio.gather(*(gateway.storage.accept(event) for event in events))
        first = await gateway.storage.held("home", 0, 6)
        rest = await gateway.storage.held("home", first[-1].seq, 6)
        assert [event.id for event in (*first, *rest)] == [event.id for event in events if event.home_id == "home"]


async def test_page_of_held_events_is_bounded_in_bytes(tmp_path: Path) -> None:
    """Large bodies make small pages, but never an empty one."""
    async with open_gateway(tmp_path) as gateway:
        for _ in range(4):
            await gateway.storage.accept(new_event(body=b"x" * 200_000))
        assert len(await gateway.storage.held("home", 0, 64, most_bytes=400_000)) == 2
        assert len(await gateway.storage.held("home", 0, 64, most_bytes=1)) == 1


async def test_duplicate_returns_the_first_ones_receipt(tmp_path: Path) -> None:
    """The same idempotency key, or the same id, is stored once; the receipt is today's, committed or not."""
    async with open_gateway(tmp_path) as gateway:
        first = new_event(idempotency_key="once", body_hash=b"hash")
        accepted = await gateway.storage.accept(first)
        again = await gateway.storage.accept(new_event(idempotency_key="once", body_hash=b"hash"))
        assert again.seq == accepted.seq
        assert again.duplicate is not None
        assert (again.duplicate.id, again.duplicate.receipt) == (first.id, None)

        gateway.storage.settle(settlement(first.id))
        noted = (await gateway.storage.accept(new_event(idempotency_key="once", body_hash=b"hash"))).duplicate
        await gateway.storage.flush()
        committed = (await gateway.storage.accept(first)).duplicate
        assert noted == committed
        assert noted is not None
        assert json.loads(noted.receipt or b"")["outcome"] == "delivered"
        assert len(await gateway.storage.held("home", 0, 10)) == 0


async def test_idempotency_counts_per_key_and_only_where_it_was_asked_for(tmp_path: Path) -> None:
    """Another phone may use the same word, and without one every event is new."""
    async with open_gateway(tmp_path) as gateway:
        for event in (
            new_event(key_id="a", idempotency_key="1"),
            new_event(key_id="b", idempotency_key="1"),
            new_event(key_id="a"),
            new_event(key_id="a"),
        ):
            assert (await gateway.storage.accept(event)).duplicate is None


async def test_idempotency_key_with_another_body_is_refused(tmp_path: Path) -> None:
    """422 says so; OwnTracks, which is never told 4xx, compares nothing; and nothing is stored."""
    async with open_gateway(tmp_path) as gateway:
        await gateway.storage.accept(new_event(idempotency_key="once", body_hash=b"one"))
        with pytest.raises(RequestError) as refused:
            await gateway.storage.accept(new_event(idempotency_key="once", body_hash=b"other"))
        assert (refused.value.status, refused.value.code) == (422, "IDEMPOTENCY_MISMATCH")
        assert (await gateway.storage.accept(new_event(idempotency_key="once"))).duplicate is not None
        assert len(await gateway.storage.held("home", 0, 10)) == 1


async def test_settled_event_keeps_its_times_and_later_receipts(tmp_path: Path) -> None:
    """The first settlement sets the time; a later receipt replaces the first; an unknown id does no harm."""
    async with open_gateway(tmp_path) as gateway:
        event = new_event()
        await gateway.storage.accept(event)
        gateway.storage.settle(settlement(event.id, "accepted", at=10.0))
        await gateway.storage.flush()
        later = settlement(event.id, "delivered", at=20.0)
        gateway.storage.settle(Settlement(id=later.id, receipt=later.receipt, settled_at=20.0))
        gateway.storage.settle(settlement("unknown"))
        noted = await gateway.storage.event(event.id)
        await gateway.storage.flush()
        committed = await gateway.storage.event(event.id)
        assert noted == committed
        assert committed is not None
        assert (committed.sent_at, committed.settled_at, committed.body) == (9.5, 10.0, None)
        assert json.loads(committed.receipt or b"")["outcome"] == "delivered"
        assert await gateway.storage.event("unknown") is None


async def test_settled_events_are_not_held_before_they_are_committed(tmp_path: Path) -> None:
    """A page skips what was settled in memory, even a page full of it."""
    async with open_gateway(tmp_path) as gateway:
        events = [new_event() for _ in range(6)]
        for event in events:
            await gateway.storage.accept(event)
        for event in events[:5]:
            gateway.storage.settle(settlement(event.id))
        assert [event.id for event in await gateway.storage.held("home", 0, 2)] == [events[5].id]


async def test_write_behind_commits_by_itself(tmp_path: Path) -> None:
    """What is settled reaches the file without anybody asking."""
    async with open_gateway(tmp_path) as gateway, asyncio.timeout(10), asyncio.TaskGroup() as group:
        behind = group.create_task(gateway.storage.write_behind())
        event = new_event()
        await gateway.storage.accept(event)
        gateway.storage.settle(settlement(event.id))
        while await gateway.storage.held_totals():
            pass
        behind.cancel()


async def test_write_behind_survives_a_full_disk(tmp_path: Path) -> None:
    """A settlement that can not be committed stays noted, and is committed once there is space."""
    async with open_gateway(tmp_path) as gateway:
        event = new_event()
        await gateway.storage.accept(event)
        size = "PRAGMA max_page_count = {}".format
        assert isinstance(gateway.storage._store, SqliteStore)
        connection = gateway.storage._store._database.conn
        connection.execute(size(1))  # never under what is used: nothing more fits
        gateway.storage.settle(Settlement(id=event.id, receipt=b'{"x":"' + b"x" * 50_000 + b'"}', settled_at=1.0))
        with pytest.raises(StoreFull):
            await gateway.storage.flush()
        with pytest.raises(StoreFull):
            await gateway.storage.accept(new_event(body=b"x" * 50_000))
        connection.execute(size(1_000_000))
        await gateway.storage.flush()
        assert await gateway.storage.held_totals() == []


async def test_health_is_that_of_a_write(tmp_path: Path) -> None:
    """What proves that events can be stored fails where they could not, and leaves nothing behind."""
    async with open_gateway(tmp_path) as gateway:
        assert isinstance(gateway.storage._store, SqliteStore)
        connection = gateway.storage._store._database.conn
        connection.execute("PRAGMA max_page_count = 1")
        with pytest.raises(StoreFull):
            await gateway.storage.prove()
        connection.execute("PRAGMA max_page_count = 1000000")
        with pytest.raises(StoreFull):  # shared for a moment, so that asking often writes no more
            await gateway.storage.prove()
        gateway.clock.pass_by(5)
        await gateway.storage.prove()
        assert await gateway.storage._store.read(lambda db: db["quarantine"].count) == 0


async def test_body_is_erased_from_the_disk(tmp_path: Path) -> None:
    """After home has acked and the sweep came by, no file of the database holds the body or a large one's pages."""
    async with open_gateway(tmp_path) as gateway:
        small, large = new_event(), new_event(body=b"large body " * 20_000)
        for event in (small, large):
            await gateway.storage.accept(event)
        files = [gateway.path, gateway.path.with_name("gateway.db-wal")]
        assert any(BODY in file.read_bytes() for file in files)
        for event in (small, large):
            gateway.storage.settle(settlement(event.id))
        await gateway.storage.flush()
        assert await gateway.storage.prune(0.0) == 0
        for file in files:
            assert b"to be erased" not in file.read_bytes()
            assert b"large body" not in file.read_bytes()
        kept = await gateway.storage.event(small.id)
        assert kept is not None
        assert kept.receipt is not None


async def test_totals_count_what_is_held_by_home_and_key(tmp_path: Path) -> None:
    """The quotas begin with what was held at start, and nothing that settled."""
    async with open_gateway(tmp_path) as gateway:
        events = [
            new_event("h1", "a", body=b"12345"),
            new_event("h1", "b", body=b"1"),
            new_event("h2", "c", body=b"123"),
        ]
        for event in [*events, gone := new_event("h1", "a", body=b"gone"), new_event("h1", "a", body=b"1234567")]:
            await gateway.storage.accept(event)
        gateway.storage.settle(settlement(gone.id))
    async with open_gateway(tmp_path) as gateway:
        assert sorted(await gateway.storage.held_totals(), key=lambda one: one.key_id) == [
            HeldTotal("h1", "a", 2, 12),
            HeldTotal("h1", "b", 1, 1),
            HeldTotal("h2", "c", 1, 3),
        ]


async def test_old_events_expire_in_batches_with_a_receipt_that_says_so(tmp_path: Path) -> None:
    """What home did not fetch in time settles as expired, its body erased; what is younger stays."""
    async with open_gateway(tmp_path) as gateway:
        now = gateway.clock.now()
        home = await gateway.accounts.create_home("Home")
        old = [new_event(home.id, received_at=now - 8 * DAY) for _ in range(5)]
        young = new_event(home.id, received_at=now - 6 * DAY)
        for event in [*old, young]:
            await gateway.storage.accept(event)
        expired: list[StoredEvent] = []
        while batch := await gateway.storage.expire(now - 7 * DAY, now, limit=2):
            assert len(batch) <= 2
            expired += batch
        assert [event.id for event in expired] == [event.id for event in old]
        assert {(event.body, event.settled_at, event.size) for event in expired} == {(None, now, len(BODY))}
        receipt = json.loads(expired[0].receipt or b"")
        assert (receipt["outcome"], receipt["targets"][0]["state"]) == ("expired", "expired")
        assert [event.id for event in await gateway.storage.held(home.id, 0, 10)] == [young.id]


async def test_receipts_are_forgotten_in_batches_and_no_seq_is_given_twice(tmp_path: Path) -> None:
    """Pruning takes what settled long ago, never what is held, and the order of arrival goes on growing."""
    async with open_gateway(tmp_path) as gateway:
        home = await gateway.accounts.create_home("Home")
        events = [new_event(home.id) for _ in range(7)]
        seqs = [(await gateway.storage.accept(event)).seq for event in events]
        for event in (*events[:4], events[6]):
            gateway.storage.settle(settlement(event.id, at=100.0))
        gateway.storage.settle(settlement(events[4].id, at=200.0))
        await gateway.storage.flush()
        assert [await gateway.storage.prune(150.0, limit=3) for _ in range(3)] == [3, 1, 0]
        assert await gateway.storage.event(events[0].id) is None
        assert [event.id for event in await gateway.storage.held(home.id, 0, 10)] == [events[5].id]
        assert (await gateway.storage.accept(new_event(home.id))).seq > seqs[-1]


async def test_quarantine_is_bounded_per_home(tmp_path: Path) -> None:
    """A phone that sends nothing but nonsense fills a thousand rows, not the disk; they go with the receipts."""
    async with open_gateway(tmp_path) as gateway:
        for number in range(1_003):
            body = Quarantined(
                home_id="home",
                key_id="key",
                route="owntracks",
                reason="not JSON",
                received_at=float(number),
                size=9,
                sha256=b"",
                head=b"nonsense",
            )
            await gateway.storage.quarantine(body)
        count = "SELECT COUNT(*), MIN(received_at) FROM quarantine"
        assert await gateway.storage._store.read(lambda db: db.conn.execute(count).fetchone()) == (1_000, 3.0)
        while await gateway.storage.prune(2_000.0):
            pass
        assert await gateway.storage._store.read(lambda db: db.conn.execute(count).fetchone()) == (0, None)


async def test_newer_database_is_left_alone(tmp_path: Path) -> None:
    """A migration that this program does not know is a refusal, not a guess."""
    async with open_gateway(tmp_path) as gateway:
        path = gateway.path
        await gateway.storage._store.write(
            lambda db: db.conn.execute(
                "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES (?, ?, ?)",
                ("gladys-companion-gateway", "9999-later", "2030-01-01"),
            )
        )
    with pytest.raises(StoreNewer):
        async with open_storage(path, SetClock()):
            pass


_WRITER = """
import asyncio, sys
from pathlib import Path
from gladys_companion.gateway.sqlite import open_storage
from gladys_companion.store.writer import SqliteStore
from tests.gateway_storage import new_event, settlement

async def main():
    async with open_storage(Path(sys.argv[1])) as storage, asyncio.TaskGroup() as group:
        group.create_task(storage.write_behind())
        async def one(lane):
            number = 0
            while True:
                event = new_event(key_id=str(lane), idempotency_key=str(number))
                await storage.accept(event)
                print("accepted", event.id, flush=True)
                if number % 2:
                    storage.settle(settlement(event.id))
                    print("settled", event.id, flush=True)
                number += 1
        for lane in range(8):
            group.create_task(one(lane))

asyncio.run(main())
"""


@pytest.mark.may_block("it writes a script and reads the file that a killed process left")
async def test_kill_at_any_moment_loses_no_accepted_event(tmp_path: Path) -> None:
    """After kill -9 every event that was accepted is there: held with its body, or settled with its receipt."""
    path = tmp_path / "gateway.db"
    for round_ in range(3):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _WRITER,
            str(path),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'daemon'}"},
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        accepted: list[str] = []
        try:
            async with asyncio.timeout(30):
                while len(accepted) < 400 * (round_ + 1):
                    word, event_id = (await process.stdout.readline()).decode().split()
                    if word == "accepted":
                        accepted.append(event_id)
        finally:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            await process.wait()
        rest = (await process.stdout.read()).decode().split("\n")[:-1]
        accepted += [line.split()[1] for line in rest if line.startswith("accepted ") and len(line) == 45]
        connection = sqlite3.connect(path)
        rows = dict(
            connection.execute(
                "SELECT id, settled_at IS NULL AND body IS NOT NULL AND receipt IS NULL OR "
                "settled_at IS NOT NULL AND body IS NULL AND receipt IS NOT NULL FROM events"
            )
        )
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.execute("DELETE FROM events")
        connection.commit()
        connection.close()
        assert [event_id for event_id in accepted if not rows.get(event_id)] == []
