"""Events that were kept because their id meant nothing, or nothing that their sender may address: let through."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import msgspec
from sqlite_utils import Database

from gladys_companion.model import Feature
from gladys_companion.store.journal import Planner, follow, plan_safely
from gladys_companion.store.receipts import EVENT_COLUMNS, read_event

__all__ = ["release"]


def release(
    database: Database, external_ids: Iterable[str], planner: Planner, now: float, elapsed: float, boot: str
) -> set[str]:
    """Plan again what was kept for ids that can be addressed now, oldest first; return the lanes to wake.

    What is late by then goes by the rule for late events, and so does what a newer event of the feature has overtaken.
    With ``elapsed`` infinite all of it is late: what was refused when it came is never carried out by an exposure.
    """
    lanes: set[str] = set()
    for external_id in external_ids:
        rows = database.conn.execute(
            f"SELECT seq, {EVENT_COLUMNS} FROM events e WHERE external_id = ? AND state = 'unbound' ORDER BY seq",
            (external_id,),
        ).fetchall()
        for seq, *columns in rows:
            event = read_event(columns)
            plan = plan_safely(event, planner)
            if plan.state == "unbound":
                continue
            overtaken = plan.feature is not None and _overtaken(database.conn, seq, plan.feature)
            refusal = msgspec.json.encode(plan.refusal).decode() if plan.refusal else None
            database.conn.execute(
                "UPDATE events SET state = ?, feature = ?, refusal = ?, warning = ?, dated = dated OR ?, "
                "untold = untold + (origin = 'gateway') WHERE seq = ?",
                (
                    plan.state,
                    plan.feature.external_id if plan.feature else None,
                    refusal,
                    plan.warning,
                    overtaken,
                    seq,
                ),
            )
            when = elapsed if event.boot == boot and not overtaken else float("inf")
            lanes.update(follow(database.conn, seq, event, plan, _nobody, now, when).lanes)
    return lanes


def _overtaken(connection: sqlite3.Connection, seq: int, feature: Feature) -> bool:
    """Return whether something newer made the feature's value, or is on its way to make it."""
    row = connection.execute(
        "SELECT 1 FROM features WHERE external_id = ?1 AND value_event > ?2 UNION ALL "
        "SELECT 1 FROM deliveries WHERE lane = ?3 AND feature = ?1 AND event > ?2 AND state IN ('pending', 'sending') "
        "LIMIT 1",
        (feature.external_id, seq, feature.device),
    ).fetchone()
    return row is not None


def _nobody(_: int) -> bool:
    return False
