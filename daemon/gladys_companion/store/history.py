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


def prune(database: Database, keep: Retention, *, now: float, elapsed: float, boot: str, most: int = 2_000) -> int:
    """Delete what is older than it is kept, at most so many rows of each kind; return how many were deleted.

    Called again until it returns 0, so that no transaction is long. What came since the machine was started (``boot``)
    is as old as the boot clock (``elapsed``) says; the rest as old as ``now`` says, which must not jump. What still
    waits for a sink is given up with its event.
    """
    execute = database.conn.execute
    # events are in order of arrival: their oldest have the lowest seq. The newest stays, so that numbers only grow.
    old = "received_at < :before AND (boot != :boot OR deadline < :up) AND seq < (SELECT max(seq) FROM events)"

    def age(days: float) -> dict[str, float | str]:
        return {
            "before": now - days * DAY,
            "up": elapsed - days * DAY,
            "boot": boot,
            "most": most,
        }

    deleted = execute(
        "DELETE FROM events WHERE seq IN (SELECT seq FROM "
        f"(SELECT seq, received_at, boot, deadline FROM events ORDER BY seq LIMIT :most) WHERE {old})",
        age(keep.events_days),
    ).rowcount
    deleted += execute(
        "DELETE FROM events WHERE seq IN "
        f"(SELECT seq FROM events INDEXED BY events_waiting WHERE state = 'unbound' AND {old} LIMIT :most)",
        age(keep.unbound_days),
    ).rowcount
    crowded = execute(
        "SELECT external_id, count(*) FROM events WHERE state = 'unbound' GROUP BY 1 HAVING count(*) > ?",
        (keep.unbound_per_id,),
    ).fetchall()
    for external_id, number in crowded:
        deleted += execute(
            "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE state = 'unbound' AND external_id = ? "
            "AND seq < (SELECT max(seq) FROM events) ORDER BY seq LIMIT ?)",
            (external_id, min(most, number - keep.unbound_per_id)),
        ).rowcount
    deleted += execute(
        "DELETE FROM history WHERE (feature, at, event) IN (SELECT h.feature, h.at, h.event "
        "FROM features f CROSS JOIN history h ON h.feature = f.id AND h.at < ? LIMIT ?)",
        (now - keep.history_days * DAY, most),
    ).rowcount
    deleted += execute(
        "DELETE FROM positions WHERE (phone, key, at) IN (SELECT phone, key, at FROM positions WHERE at < ? LIMIT ?)",
        (now - keep.positions_days * DAY, most),
    ).rowcount
    deleted += execute(
        "DELETE FROM decisions WHERE event IN (SELECT event FROM decisions WHERE known_at < ? LIMIT ?)",
        (now - keep.history_days * DAY, most),
    ).rowcount
    return deleted
