"""Values by when they happened, and how long everything is kept."""

from __future__ import annotations

from typing import Any

from sqlite_utils import Database

from gladys_companion.config import Retention

__all__ = ["history", "prune"]

DAY = 86_400.0


def history(
    database: Database, external_id: str, since: float, until: float, limit: int = 10_000
) -> list[dict[str, Any]]:
    """Return ``{"at", "value", "text"}`` of a feature, oldest first; times in seconds since the epoch."""
    rows = database.conn.execute(
        "SELECT h.at, h.value, h.text FROM history h JOIN features f ON f.id = h.feature "
        "WHERE f.external_id = ? AND h.at >= ? AND h.at < ? ORDER BY h.at, h.event LIMIT ?",
        (external_id, since, until, limit),
    )
    return [dict(zip(("at", "value", "text"), row, strict=True)) for row in rows]


def prune(database: Database, keep: Retention, now: float, most: int = 2_000) -> int:
    """Delete what is older than it is kept, at most so many rows of each kind; return how many were deleted.

    Called again until it returns 0, so that no transaction is long. What is still on its way to a device is young; what
    still waits for a sink is given up with its event.
    """
    execute = database.conn.execute
    # events are in order of arrival: their oldest have the lowest seq, so both ends of the range are index look-ups
    deleted = execute(
        "DELETE FROM events WHERE seq IN (SELECT seq FROM (SELECT seq, received_at FROM events ORDER BY seq LIMIT ?) "
        "WHERE received_at < ? AND seq < (SELECT max(seq) FROM events))",  # the newest stays: numbers only grow
        (most, now - keep.events_days * DAY),
    ).rowcount
    deleted += execute(
        "DELETE FROM events WHERE seq IN (SELECT seq FROM events INDEXED BY events_waiting "
        "WHERE state = 'unbound' AND received_at < ? AND seq < (SELECT max(seq) FROM events) LIMIT ?)",
        (now - keep.unbound_days * DAY, most),
    ).rowcount
    deleted += execute(
        "DELETE FROM events WHERE seq IN (SELECT seq FROM (SELECT seq, row_number() OVER "
        "(PARTITION BY external_id ORDER BY seq DESC) AS nth FROM events WHERE state = 'unbound') "
        "WHERE nth > ? AND seq < (SELECT max(seq) FROM events) LIMIT ?)",
        (keep.unbound_per_id, most),
    ).rowcount
    deleted += execute(
        "DELETE FROM history WHERE (feature, at, event) IN (SELECT h.feature, h.at, h.event "
        "FROM features f CROSS JOIN history h ON h.feature = f.id AND h.at < ? LIMIT ?)",
        (now - keep.history_days * DAY, most),
    ).rowcount
    return deleted
