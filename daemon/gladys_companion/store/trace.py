"""What people ask of the journal: one event hop by hop, the latest events, what waits to be told to the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlite_utils import Database

from gladys_companion.model import Event, Receipt
from gladys_companion.protocol.people import presentable
from gladys_companion.store.receipts import EVENT_COLUMNS, read_event, receipt

__all__ = ["counts", "events", "find_event", "told", "trace", "untold", "values", "waiting"]

_MOST_NAMED = 5

_LISTED = ("id", "kind", "state", "origin", "external_id", "feature", "value", "text", "at", "received_at", "warning")


def trace(database: Database, event_id: str) -> dict[str, Any]:
    """Return an event, its receipt, and its hops at home in order of time.

    ``{"id", "kind", "state", ..., "receipt": {...}, "hops": [{"hop", "at", "ms", "state", "reason"}]}``; ``at`` in
    seconds since the epoch, ``ms`` since the commit at home.

    Raises:
        KeyError: no such event.
    """
    row = database.conn.execute(
        f"SELECT {', '.join(_LISTED)}, seq, dated, key_id, key_name, cause, body FROM events WHERE id = ?", (event_id,)
    ).fetchone()
    if row is None:
        raise KeyError(event_id)
    told = dict(zip((*_LISTED, "seq", "dated", "key_id", "key_name", "cause", "body"), row, strict=True))
    told["body"] = presentable(told["body"])
    received_at = told["received_at"]
    hops: list[dict[str, Any]] = [
        {"hop": "happened", "at": told["at"], "ms": round((told["at"] - received_at) * 1000, 3)},
        {"hop": "journal", "at": received_at, "ms": 0.0, "state": told["state"]},
    ]
    deliveries = database.conn.execute(
        "SELECT target, state, reason, attempts, settled_at FROM deliveries WHERE event = ? "
        "ORDER BY settled_at IS NULL, settled_at",
        (told.pop("seq"),),
    )
    for target, state, reason, attempts, settled_at in deliveries:
        ms = None if settled_at is None else round((settled_at - received_at) * 1000, 3)
        hops.append({"hop": target, "at": settled_at, "ms": ms, "state": state, "reason": reason, "attempts": attempts})
    return {**told, "receipt": receipt(database, event_id).body(), "hops": hops}


def events(
    database: Database,
    *,
    limit: int = 50,
    before: int | None = None,
    after: int | None = None,
    state: str | None = None,
    external_id: str | None = None,
) -> list[dict[str, Any]]:
    """Return the latest events, newest first, each with ``seq`` (to page by) and its ``outcome``.

    ``before`` and ``after`` are exclusive seqs; ``after`` alone returns the oldest of what came since, newest first.
    """
    wheres, values = ["1"], list[Any]()
    for clause, value in (
        ("seq < ?", before),
        ("seq > ?", after),
        ("state = ?", state),
        ("external_id = ?", external_id),
    ):
        if value is not None:
            wheres.append(clause)
            values.append(value)
    order = "ASC" if after is not None and before is None else "DESC"
    rows = database.conn.execute(
        f"SELECT seq, {', '.join(_LISTED)} FROM events WHERE {' AND '.join(wheres)} ORDER BY seq {order} LIMIT ?",
        (*values, limit),
    ).fetchall()
    listed = [dict(zip(("seq", *_LISTED), row, strict=True)) for row in rows]
    for one in listed:
        one["outcome"] = receipt(database, one["id"]).outcome
    return sorted(listed, key=lambda one: -one["seq"])


def find_event(database: Database, event_id: str) -> Event:
    """Return an event as it came in.

    Raises:
        KeyError: no such event.
    """
    row = database.conn.execute(f"SELECT {EVENT_COLUMNS} FROM events e WHERE e.id = ?", (event_id,)).fetchone()
    if row is None:
        raise KeyError(event_id)
    return read_event(row)


def untold(database: Database, after: int, limit: int = 64) -> list[tuple[int, int, Receipt]]:
    """Return (seq, change, receipt) of events whose receipt changed since the gateway was told, oldest first."""
    rows = database.conn.execute(
        "SELECT seq, untold, id FROM events WHERE untold > 0 AND seq > ? ORDER BY seq LIMIT ?", (after, limit)
    ).fetchall()
    return [(seq, change, receipt(database, event_id)) for seq, change, event_id in rows]


def told(database: Database, tellings: Sequence[tuple[int, int]]) -> None:
    """Take note that the gateway was told (seq, change); what changed since stays untold."""
    database.conn.executemany("UPDATE events SET untold = 0 WHERE seq = ? AND untold = ?", tellings)


def counts(database: Database) -> dict[str, Any]:
    """Return how much there is: ``{"events", "unbound", "pending", "newest_at", "signals"}``.

    ``signals`` are names of signals that nothing is said of, the first few; ``unbound`` are the other events that wait.
    """
    one = database.conn.execute
    return {
        "events": one("SELECT coalesce(max(seq), 0) - coalesce(min(seq), 1) + 1 FROM events").fetchone()[0],
        "unbound": one("SELECT count(*) FROM events WHERE state = 'unbound' AND kind != 'signal'").fetchone()[0],
        "pending": one("SELECT count(*) FROM deliveries WHERE state IN ('pending', 'sending')").fetchone()[0],
        "newest_at": one(
            "SELECT max(received_at) FROM (SELECT received_at FROM events ORDER BY seq DESC LIMIT 1)"
        ).fetchone()[0],
        "signals": [
            row[0]
            for row in one(
                "SELECT DISTINCT external_id FROM events WHERE state = 'unbound' AND kind = 'signal' "
                "ORDER BY external_id LIMIT ?",
                (_MOST_NAMED,),
            )
        ],
    }


def waiting(database: Database, most: int) -> list[dict[str, Any]]:
    """Return ids that states were sent to and that mean nothing here, the newest first.

    ``{"external_id", "events", "id", "at"}``: how many wait, and the newest of them.
    """
    rows = database.conn.execute(  # beside max(), SQLite takes the other columns from the row that has it
        "SELECT external_id, count(*), id, at, max(seq) AS newest FROM events WHERE state = 'unbound' "
        "AND kind = 'state' AND external_id IS NOT NULL GROUP BY external_id ORDER BY newest DESC LIMIT ?",
        (most,),
    )
    return [{"external_id": name, "events": n, "id": id_, "at": at} for name, n, id_, at, _ in rows]


def values(database: Database, external_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the last value of features: ``{external_id: {"value", "text", "at"}}``."""
    rows = database.conn.execute(
        "SELECT external_id, value, text, value_at FROM features WHERE external_id IN (SELECT value FROM json_each(?))",
        (msgspec.json.encode(external_ids).decode(),),
    )
    return {row[0]: {"value": row[1], "text": row[2], "at": row[3]} for row in rows}
