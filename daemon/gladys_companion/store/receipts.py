"""Rows of the journal as values again: the event that came in, and the receipt that is true of it now."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from sqlite_utils import Database

from gladys_companion.model import DeliveryState, Event, Outcome, Receipt, Refusal, Sender, TargetReceipt

__all__ = ["DONE", "EVENT_COLUMNS", "OPEN", "make_receipt", "read_event", "receipt"]

OPEN = frozenset({"pending", "sending"})
DONE = frozenset({"delivered", "verified"})
FAILED = frozenset({"rejected", "unknown"})
STATUS: Mapping[Outcome, int] = {
    "delivered": 200,
    "accepted": 202,
    "held": 202,
    "expired": 202,  # the event was kept, and not done
    "superseded": 202,
    "rejected": 502,
}

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
    devices: Collection[str],
    warning: str | None,
    duplicate: bool = False,
) -> Receipt:
    """Return what the sender is told of an event and its targets. Pure.

    What became of it is what became of it at its device (``devices``: those targets that are one, virtual ones too);
    who else was to be told, and could not be, is a warning.
    """
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
    failed = next((target for target in targets if target.state in FAILED), None)
    outcome = _outcome({target.state for target in targets if target.target in devices or not devices})
    if {target.state for target in targets} & OPEN:
        outcome = "accepted"
    failure = f"{failed.target}: {(failed.reason or failed.state).rstrip('.')}." if failed else None
    error = outcome == "rejected"
    return Receipt(
        status=STATUS[outcome],
        id=event_id,
        outcome=outcome,
        duplicate=duplicate,
        targets=tuple(targets),
        warning=None if error else warning or failure,
        error_code="DELIVERY_FAILED" if error else None,
        error_message=failure if error else None,
    )


def _outcome(states: set[DeliveryState]) -> Outcome:
    """Return the one word for what became of an event that has settled where it counts."""
    if states <= DONE:
        return "delivered"
    if states & FAILED:
        return "rejected"
    return "expired" if "expired" in states else "superseded"


def receipt(database: Database, event_id: str, *, duplicate: bool = False) -> Receipt:
    """Return the receipt of an event as it is now.

    Raises:
        KeyError: no such event.
    """
    row = database.conn.execute(
        "SELECT seq, received_at, refusal, warning FROM events WHERE id = ?", (event_id,)
    ).fetchone()
    if row is None:
        raise KeyError(event_id)
    seq, received_at, refusal, warning = row
    devices = set()
    targets = []
    for target, state, reason, settled_at, is_device in database.conn.execute(
        "SELECT target, state, reason, settled_at, lane != target FROM deliveries WHERE event = ? ORDER BY 5 DESC, 1",
        (seq,),
    ):
        ms = None if settled_at is None else round(max(0.0, settled_at - received_at) * 1000, 3)
        targets.append(TargetReceipt(target=target, state=state, reason=reason, ms=ms))
        if is_device:
            devices.add(target)
    return make_receipt(
        event_id,
        refusal=msgspec.json.decode(refusal, type=Refusal) if refusal else None,
        targets=targets,
        devices=devices,
        warning=warning,
        duplicate=duplicate,
    )
