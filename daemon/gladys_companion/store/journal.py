"""The journal: what came in, and what became of it at each target. Every function is one job on the writer.

An event and its deliveries are written together or not at all. A delivery settles once; only ``delivered`` may still
become ``verified``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence

import msgspec
import structlog
from msgspec import Struct
from sqlite_utils import Database

from gladys_companion.model import (
    DeliveryState,
    Event,
    Feature,
    Plan,
    PlannedDelivery,
    Receipt,
    TargetReceipt,
)
from gladys_companion.resolve import INLINE, late_reason
from gladys_companion.store.receipts import OPEN, make_receipt, receipt
from gladys_companion.store.settlement import OVERTAKEN, SENT, Settled, Settlement, overtaken

__all__ = [
    "SENT",
    "Planner",
    "Recorded",
    "Settled",
    "Settlement",
    "Waits",
    "follow",
    "overtaken",
    "plan_safely",
    "record",
    "settle",
]


COMMANDING = frozenset(
    {"gateway", "local", "gladys", "signals"}
)  # their states are wishes, not what a device tells of itself
UNDONE = "the device did not do it"
CHANGED = "the device told another state since"
UNSURE = "it is not known whether the device did it"

log = structlog.get_logger(__name__)

Planner = Callable[[Event], Plan]
Waits = Callable[[int], bool]


class Recorded(Struct, frozen=True, kw_only=True):
    """What ``record`` wrote. ``lanes`` are to be woken; ``superseded`` are (event, target) that settled on the way."""

    seq: int
    receipt: Receipt
    lanes: tuple[str, ...] = ()
    superseded: tuple[Settlement, ...] = ()


_INSERT = """
INSERT INTO events (id, kind, state, origin, external_id, feature, value, text, at, received_at, dated, deadline, boot,
  key_id, key_name, cause, body, relayed, refusal, warning) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
ON CONFLICT (id) DO NOTHING"""
_INSERT_DELIVERY = (
    "INSERT INTO deliveries (event, target, lane, feature, state, reason, settled_at) VALUES (?,?,?,?,?,?,?)"
)
_APPLY = """
UPDATE features SET value = ?, text = ?, value_at = ?, value_event = ?
WHERE external_id = ? AND (? OR value_at IS NULL OR value_at <= ?)"""
_HISTORY = """
INSERT OR IGNORE INTO history (feature, at, event, value, text)
SELECT id, ?, ?, ?, ? FROM features WHERE external_id = ? AND keep_history"""


def record(
    database: Database,
    event: Event,
    planner: Planner,
    waits: Waits,
    *,
    now: float,
    elapsed: float,
) -> Recorded:
    """Write an event with its plan, once: a known id returns the first one's receipt.

    Args:
        database: on the writer.
        event: what came in.
        planner: ``plan`` over the registry of this moment.
        waits: whether somebody still waits for the receipt of an event that this one may supersede.
        now: wall clock.
        elapsed: boot clock.
    """
    connection = database.conn
    plan = plan_safely(event, planner)
    if plan.feature and event.origin not in COMMANDING and _repeats(connection, event, plan.feature):
        return Recorded(seq=0, receipt=Receipt(status=200, id=event.id, outcome="delivered", duplicate=True))
    refusal, feature = plan.refusal, plan.feature
    inserted = connection.execute(
        _INSERT,
        (
            event.id,
            event.kind,
            plan.state,
            event.origin,
            event.external_id,
            feature.external_id if feature else None,
            event.value,
            event.text,
            event.at,
            now,
            event.dated,
            event.deadline,
            event.boot,
            event.key.id if event.key else None,
            event.key.name if event.key else None,
            event.cause,
            event.body,
            event.relayed if INLINE in {one.target for one in plan.deliveries} else None,
            msgspec.json.encode(refusal).decode() if refusal else None,
            plan.warning,
        ),
    )
    if not inserted.rowcount:
        return Recorded(seq=0, receipt=receipt(database, event.id, duplicate=True))
    seq = inserted.lastrowid or 0
    return follow(connection, seq, event, plan, waits, now, elapsed)


def plan_safely(event: Event, planner: Planner) -> Plan:
    """Return the plan; the one place where a bug in planning is held, so that it never comes back at each start."""
    try:
        return planner(event)
    except Exception as error:  # whatever it is: the event is committed and acked all the same, or it is sent for ever
        log.exception("an event could not be planned", event_id=event.id)
        return Plan(
            state="quarantined",
            warning=f"It was put aside: the program failed on it ({type(error).__name__}); the log has the traceback.",
        )


def follow(
    connection: sqlite3.Connection, seq: int, event: Event, plan: Plan, waits: Waits, now: float, elapsed: float
) -> Recorded:
    """Write what a planned event begins: its deliveries, its value, what it supersedes."""
    late = elapsed >= event.deadline
    feature = plan.feature
    feature_id = feature.external_id if feature else None
    targets: list[TargetReceipt] = []
    lanes: list[str] = []
    settled: list[Settlement] = []
    devices: set[str] = set()
    undone = False
    for delivery in plan.deliveries:
        is_device = delivery.lane != delivery.target
        state, reason = delivery.state, delivery.reason
        if undone:
            state, reason = "expired", UNDONE
        elif late and state == "pending" and (expired := late_reason(delivery, feature, event)):
            state, reason, undone = "expired", expired, is_device
        connection.execute(
            _INSERT_DELIVERY,
            (seq, delivery.target, delivery.lane, feature_id, state, reason, None if state in OPEN else now),
        )
        targets.append(
            TargetReceipt(target=delivery.target, state=state, reason=reason, ms=None if state in OPEN else 0.0)
        )
        if is_device:
            devices.add(delivery.target)
        if state == "pending":
            lanes.append(delivery.lane)
            if is_device:
                settled += _supersede(connection, seq, delivery, feature_id, now)
    _note_change(connection, {one.seq for one in settled if not waits(one.seq)})
    if plan.applies and feature:
        _apply_value(connection, seq, event, feature, late=late)
    made = make_receipt(event.id, refusal=plan.refusal, targets=targets, devices=devices, warning=plan.warning)
    return Recorded(seq=seq, receipt=made, lanes=tuple(lanes), superseded=tuple(settled))


def _apply_value(connection: sqlite3.Connection, seq: int, event: Event, feature: Feature, *, late: bool) -> None:
    """Write value and history. What is late, or dated by its sender, moves the last value only if newer."""
    value, text = (
        (None, event.text if event.text is not None else str(event.value)) if feature.textual else (event.value, None)
    )
    at = event.at
    connection.execute(_APPLY, (value, text, at, seq, feature.external_id, not (late or event.dated), at))
    connection.execute(_HISTORY, (at, seq, value, text, feature.external_id))


def _repeats(connection: sqlite3.Connection, event: Event, feature: Feature) -> bool:
    """Return whether a device only tells the last known value, which verifies what was delivered, or its past again.

    What happens and passes is never a repetition: who presses a button twice means it.
    """
    value, text = (None, event.text) if feature.textual else (event.value, None)
    if event.dated and _is_history(connection, event.at, value, text, feature):
        return True
    known = connection.execute(
        "SELECT value, text, value_event, value_at FROM features WHERE external_id = ? AND value_event IS NOT NULL",
        (feature.external_id,),
    ).fetchone()
    if feature.momentary or known is None or known[:2] != (value, text):
        return False
    if event.dated and event.at < known[3]:  # it was so before, too
        return False
    connection.execute(
        "UPDATE deliveries SET state = 'verified' WHERE event = ? AND target = ? AND state = 'delivered'",
        (known[2], event.origin),
    )
    return True


def _is_history(
    connection: sqlite3.Connection, at: float, value: float | None, text: str | None, feature: Feature
) -> bool:
    row = connection.execute(
        "SELECT 1 FROM history h JOIN features f ON f.id = h.feature "
        "WHERE f.external_id = ? AND h.at = ? AND h.value IS ? AND h.text IS ? LIMIT 1",
        (feature.external_id, at, value, text),
    ).fetchone()
    return row is not None


def _supersede(
    connection: sqlite3.Connection, seq: int, delivery: PlannedDelivery, feature: str | None, now: float
) -> list[Settlement]:
    rows = connection.execute(
        "UPDATE deliveries SET state = iif(sent, 'unknown', 'superseded'), reason = iif(sent, ?, ?), settled_at = ? "
        "WHERE lane = ? AND target = ? AND feature = ? AND state = 'pending' AND under_way = 0 AND event < ? "
        "RETURNING event, sent",
        (f"{OVERTAKEN}; {SENT}", OVERTAKEN, now, delivery.lane, delivery.target, feature, seq),
    ).fetchall()
    settled = []
    for older, sent in rows:
        done = overtaken(older, delivery.target, sent=bool(sent))
        settled += [done, *_undo(connection, done, now)]
    return settled


def _undo(connection: sqlite3.Connection, done: Settlement, now: float) -> list[Settlement]:
    """Settle, as its device did, what others were to be told of a command that was not carried out, or perhaps not."""
    tried = connection.execute(
        "SELECT attempts FROM deliveries WHERE event = ? AND target = ?", (done.seq, done.target)
    ).fetchone()
    sure = done.state == "rejected" or not tried[0]
    return _settle_news(connection, done.seq, done.state, UNDONE if sure else UNSURE, now)


def _settle_news(
    connection: sqlite3.Connection, seq: int, state: DeliveryState, reason: str, now: float
) -> list[Settlement]:
    rows = connection.execute(
        "UPDATE deliveries SET state = ?, reason = ?, settled_at = ? "
        "WHERE event = ? AND lane = target AND state = 'pending' AND under_way = 0 RETURNING target",
        (state, reason, now, seq),
    ).fetchall()
    return [Settlement(seq=seq, target=row[0], state=state, reason=reason) for row in rows]


def _note_change(connection: sqlite3.Connection, seqs: Iterable[int]) -> None:
    """Take note that the receipts of these events changed after their ack left, so that the gateway is told."""
    for seq in seqs:
        connection.execute("UPDATE events SET untold = untold + 1 WHERE seq = ? AND origin = 'gateway'", (seq,))


def settle(database: Database, settlements: Sequence[Settlement], now: float, waits: Waits) -> Settled:
    """Write what became of deliveries; a delivered command's value becomes the feature's, and others may be told of it.

    Args:
        database: on the writer.
        settlements: of deliveries that an attempt was made for.
        now: wall clock.
        waits: whether somebody still waits for the receipt of an event; if not, the gateway has to be told.
    """
    connection = database.conn
    also: list[Settlement] = []
    lanes: set[str] = set()
    for done in settlements:
        again = done.state in OPEN
        connection.execute(
            "UPDATE deliveries SET state = ?, reason = ?, retry_at = ?, under_way = 0, settled_at = ?, "
            "sent = sent OR ? WHERE event = ? AND target = ? AND state IN ('pending', 'sending')",
            (done.state, done.reason, done.retry_at, None if again else now, done.sent, done.seq, done.target),
        )
        if again:
            continue
        _note_change(connection, () if waits(done.seq) else (done.seq,))
        if not _is_device(connection, done):
            continue
        if done.state != "delivered":
            also += _undo(connection, done, now)
        elif _apply_delivered(connection, done):
            lanes.update(row[0] for row in connection.execute(_TOLD_NEXT, (done.seq,)))
        else:
            also += _settle_news(connection, done.seq, "superseded", CHANGED, now)
    return Settled(also=tuple(also), lanes=tuple(lanes))


_TOLD_NEXT = "SELECT lane FROM deliveries WHERE event = ? AND lane = target AND state = 'pending'"


def _is_device(connection: sqlite3.Connection, done: Settlement) -> bool:
    row = connection.execute(
        "SELECT lane != target FROM deliveries WHERE event = ? AND target = ?", (done.seq, done.target)
    ).fetchone()
    return row is not None and bool(row[0])


def _apply_delivered(connection: sqlite3.Connection, done: Settlement) -> bool:
    """Write the value that a device was just given; False if it told another one since the attempt began."""
    applied = connection.execute(
        """
        UPDATE features SET value = iif(type = 'text', NULL, e.value), value_at = e.at, value_event = e.seq,
          text = iif(type = 'text', coalesce(e.text, e.value), NULL)
        FROM events e WHERE e.seq = ? AND features.external_id = e.feature
          AND (features.value_event IS NULL OR features.value_event <= ?)""",
        (done.seq, done.newest),
    )
    connection.execute(
        """
        INSERT OR IGNORE INTO history (feature, at, event, value, text)
        SELECT f.id, e.at, e.seq,
          iif(f.type = 'text', NULL, e.value), iif(f.type = 'text', coalesce(e.text, e.value), NULL)
        FROM events e JOIN features f ON f.external_id = e.feature AND f.keep_history WHERE e.seq = ?""",
        (done.seq,),
    )
    return applied.rowcount > 0
