"""The SQL of the gateway's events, as functions on a connection: each is run inside one job of the writer."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from gladys_companion.gateway.storage import Accepted, HeldTotal, NewEvent, Quarantined, Settlement, StoredEvent
from gladys_companion.model import Receipt, TargetReceipt

__all__ = [
    "expire",
    "held",
    "insert",
    "newest",
    "one",
    "orders",
    "prove",
    "prune",
    "prune_orphans",
    "quarantine",
    "settle",
    "totals",
]

_MOST_QUARANTINED = 1_000

_NEW = NewEvent.__struct_fields__
_STORED = StoredEvent.__struct_fields__
_INSERT = f"INSERT INTO events ({', '.join(_NEW)}) VALUES ({', '.join('?' * len(_NEW))}) ON CONFLICT DO NOTHING"  # noqa: S608
_SELECT = f"SELECT {', '.join(_STORED).replace('receipt', 'CAST(receipt AS BLOB)')} FROM events"  # noqa: S608
_SELECT_FIRST = f"{_SELECT} WHERE id = ? OR (key_id = ? AND idempotency_key = ?) LIMIT 1"
_SELECT_ONE = f"{_SELECT} WHERE id = ?"
_SELECT_HELD = f"{_SELECT} WHERE home_id = ? AND seq > ? AND settled_at IS NULL ORDER BY seq LIMIT ?"
_SETTLE = """
UPDATE events SET body = NULL, receipt = ?, settled_at = COALESCE(settled_at, ?), sent_at = COALESCE(?, sent_at)
WHERE id = ?"""


def _stored(row: Sequence[object]) -> StoredEvent:
    return StoredEvent(**dict(zip(_STORED, row, strict=True)))  # type: ignore[arg-type]  # the columns are its fields


def insert(connection: sqlite3.Connection, event: NewEvent) -> Accepted:
    """Insert the event, or return the one that was there."""
    cursor = connection.execute(_INSERT, msgspec.structs.astuple(event))
    if cursor.rowcount:
        return Accepted(cursor.lastrowid or 0)
    first = _stored(connection.execute(_SELECT_FIRST, (event.id, event.key_id, event.idempotency_key)).fetchone())
    return Accepted(first.seq, first)


def settle(connection: sqlite3.Connection, settlements: Iterable[Settlement]) -> None:
    """Erase bodies and write receipts; ids that are not known any more are no error."""
    connection.executemany(
        _SETTLE, [(done.receipt.decode(), done.settled_at, done.sent_at, done.id) for done in settlements]
    )


def held(
    connection: sqlite3.Connection, home_id: str, after_seq: int, limit: int, most_bytes: int
) -> list[StoredEvent]:
    """Return a page of held events, which ends early when it gets too large."""
    page: list[StoredEvent] = []
    for row in connection.execute(_SELECT_HELD, (home_id, after_seq, limit)):
        page.append(_stored(row))
        most_bytes -= page[-1].size
        if most_bytes <= 0:
            break
    return page


def totals(connection: sqlite3.Connection) -> list[HeldTotal]:
    """Return what is held, by home and key."""
    rows = connection.execute(
        "SELECT home_id, key_id, COUNT(*), SUM(size) FROM events WHERE settled_at IS NULL GROUP BY home_id, key_id"
    )
    return [HeldTotal(*row) for row in rows]


def orders(connection: sqlite3.Connection) -> list[tuple[str, str, int]]:
    """Return how many events are held, by home and order key."""
    return connection.execute(
        "SELECT home_id, order_key, COUNT(*) FROM events WHERE settled_at IS NULL GROUP BY home_id, order_key"
    ).fetchall()


def one(connection: sqlite3.Connection, event_id: str) -> StoredEvent | None:
    """Return an event."""
    row = connection.execute(_SELECT_ONE, (event_id,)).fetchone()
    return _stored(row) if row else None


def newest(connection: sqlite3.Connection, key_id: str) -> StoredEvent | None:
    """Return the last event of a key."""
    row = connection.execute(f"{_SELECT} WHERE key_id = ? ORDER BY seq DESC LIMIT 1", (key_id,)).fetchone()
    return _stored(row) if row else None


def expire(
    connection: sqlite3.Connection, homes: Iterable[str], received_before: float, now: float, limit: int
) -> list[StoredEvent]:
    """Settle what is too old among the first ``limit`` held events of each home, and return it without bodies."""
    expired: list[StoredEvent] = []
    for home_id in homes:
        head = connection.execute(
            "SELECT id, received_at FROM events WHERE home_id = ? AND settled_at IS NULL ORDER BY seq LIMIT ?",
            (home_id, limit),
        ).fetchall()
        old = [event_id for event_id, received_at in head if received_at < received_before]
        old = old[: limit - len(expired)]
        settle(connection, [_expiry(event_id, now) for event_id in old])
        expired += [event for event_id in old if (event := one(connection, event_id))]
        if len(expired) >= limit:
            break
    return expired


def _expiry(event_id: str, now: float) -> Settlement:
    target = TargetReceipt(target="home", state="expired", reason="home did not connect while it was held")
    receipt = Receipt(status=202, id=event_id, outcome="expired", targets=(target,))
    return Settlement(id=event_id, receipt=msgspec.json.encode(receipt.body()), settled_at=now)


def prune(connection: sqlite3.Connection, settled_before: float, limit: int) -> int:
    """Forget receipts and quarantined bodies. The newest event stays, so that ``seq`` is never given twice."""
    receipts = connection.execute(
        "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE settled_at < ? ORDER BY settled_at LIMIT ?) "
        "AND seq < (SELECT MAX(seq) FROM events)",
        (settled_before, limit),
    ).rowcount
    bodies = connection.execute(
        "DELETE FROM quarantine WHERE id IN (SELECT id FROM quarantine WHERE received_at < ? LIMIT ?)",
        (settled_before, limit),
    ).rowcount
    return receipts + bodies


def prune_orphans(connection: sqlite3.Connection, limit: int) -> int:
    """Delete held events of homes that were removed."""
    return connection.execute(
        "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE settled_at IS NULL "
        "AND home_id NOT IN (SELECT id FROM homes) LIMIT ?)",
        (limit,),
    ).rowcount


def prove(connection: sqlite3.Connection) -> None:
    """Write several pages; a write of one could still fit into the log where the disk has no room for an event."""
    row = connection.execute(
        "INSERT INTO quarantine (home_id, key_id, route, reason, received_at, size, sha256, head) "
        "VALUES ('', '', '', '', 0, 0, x'', zeroblob(32768))"
    )
    connection.execute("DELETE FROM quarantine WHERE id = ?", (row.lastrowid,))


def quarantine(connection: sqlite3.Connection, body: Quarantined) -> None:
    """Keep a body that could not be used, and of its home only the last ones."""
    connection.execute(
        "INSERT INTO quarantine (home_id, key_id, route, reason, received_at, size, sha256, head) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        msgspec.structs.astuple(body),
    )
    connection.execute(
        "DELETE FROM quarantine WHERE home_id = ?1 AND id <= "
        "(SELECT id FROM quarantine WHERE home_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        (body.home_id, _MOST_QUARANTINED),
    )
