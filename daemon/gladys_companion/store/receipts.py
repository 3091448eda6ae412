"""Rows of the journal as values again: the event that came in, and the receipt that is true of it now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlite_utils import Database

from gladys_companion.model import Event, Outcome, Receipt, Refusal, Sender, TargetReceipt

__all__ = ["EVENT_COLUMNS", "OPEN", "make_receipt", "read_event", "receipt"]

OPEN = frozenset({"pending", "sending"})
DONE = frozenset({"delivered", "verified"})

EVENT_COLUMNS = (
    "e.id, e.kind, e.origin, e.at, e.received_at, e.deadline, e.boot, e.external_id, e.value, e.text, e.dated, "
    "e.key_id, e.key_name, e.cause, e.body"
)


def read_event(columns: Sequence[Any]) -> Event:
    """Return the event of a row of ``EVENT_COLUMNS``."""
    key_id, key_name = columns[11:13]
    return Event(
        id=columns[0],
        kind=columns[1],
        origin=columns[2],
        at=columns[3],
        received_at=columns[4],
        deadline=columns[5],
        boot=columns[6],
        external_id=columns[7],
        value=columns[8],
        text=columns[9],
        dated=bool(columns[10]),
        key=Sender(id=key_id, name=key_name or "") if key_id else None,
        cause=columns[13],
        body=columns[14],
    )


def make_receipt(
    event_id: str,
    *,
    refusal: Refusal | None,
    targets: Sequence[TargetReceipt],
    applied: bool,
    warning: str | None,
    duplicate: bool = False,
) -> Receipt:
    """Return what the sender is told of an event and its targets. Pure."""
    if refusal:
        return Receipt(
            status=refusal.status,
            id=event_id,
            outcome="rejected",
            duplicate=duplicate,
            error_code=refusal.code,
            error_message=refusal.sentence,
            field=refusal.data.get("field"),
            nearest=tuple(refusal.data.get("nearest", ())),
        )
    states = {target.state for target in targets}
    outcome: Outcome = "accepted"
    status = 202
    if not states & OPEN:
        if states & DONE or (applied and not states):
            outcome, status = "delivered", 200
        elif states & {"rejected", "unknown"}:
            failed = next(target for target in targets if target.state in {"rejected", "unknown"})
            return Receipt(
                status=502,
                id=event_id,
                outcome="rejected",
                duplicate=duplicate,
                targets=tuple(targets),
                error_code="DELIVERY_FAILED",
                error_message=f"{failed.target}: {failed.reason or failed.state}.",
            )
        elif "expired" in states:
            outcome = "expired"
    return Receipt(
        status=status,
        id=event_id,
        outcome=outcome,
        duplicate=duplicate,
        targets=tuple(targets),
        warning=warning,
    )


def receipt(database: Database, event_id: str, *, duplicate: bool = False) -> Receipt:
    """Return the receipt of an event as it is now.

    Raises:
        KeyError: no such event.
    """
    row = database.conn.execute(
        "SELECT seq, received_at, refusal, warning, state, feature FROM events WHERE id = ?", (event_id,)
    ).fetchone()
    if row is None:
        raise KeyError(event_id)
    seq, received_at, refusal, warning, state, feature = row
    targets = [
        TargetReceipt(
            target=target,
            state=target_state,
            reason=reason,
            ms=None if settled_at is None else round(max(0.0, settled_at - received_at) * 1000, 3),
        )
        for target, target_state, reason, settled_at in database.conn.execute(
            "SELECT target, state, reason, settled_at FROM deliveries WHERE event = ? ORDER BY lane = target, target",
            (seq,),
        )
    ]
    return make_receipt(
        event_id,
        refusal=msgspec.json.decode(refusal, type=Refusal) if refusal else None,
        targets=targets,
        applied=state == "planned" and feature is not None,
        warning=warning,
        duplicate=duplicate,
    )
