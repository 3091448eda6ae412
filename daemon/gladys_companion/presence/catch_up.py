"""Where Gladys missed that somebody came home or left, what is so now is told once more, as news of now.

Only where what is known here is newer than what Gladys has, so that nobody is moved against another source of its own;
and only once for what Gladys has, so that what it refuses is not tried for ever.
"""

from __future__ import annotations

import uuid

import msgspec
from msgspec import structs
from sqlite_utils import Database

from gladys_companion.gladys_api.household import Household, Resident
from gladys_companion.model import Event
from gladys_companion.presence.in_step import house_of
from gladys_companion.presence.ledger import Ledger
from gladys_companion.presence.rulebook import home_of
from gladys_companion.protocol.people import Present
from gladys_companion.resolve import GLADYS_API
from gladys_companion.store import whereabouts
from gladys_companion.store.people import Person
from gladys_companion.store.trace import find_event

__all__ = ["catch_up", "missed"]

_NAMESPACE = uuid.UUID("3d1a4bb5-0c5e-4d0b-8f4e-0a4d6e0f7c52")
_present = msgspec.json.Decoder(Present)


def missed(ledger: Ledger, found: Household) -> tuple[Event, ...]:
    """Return the events by which Gladys learns who is at home and who is not, where it is wrong about that."""
    if _on_its_way(ledger.database):
        return ()
    residents = {one.user: one for one in found.residents}
    events = []
    for person in ledger.books.people.values():
        resident = residents.get(person.gladys_user or "")
        event = None if resident is None else _missed(ledger, found, person, resident)
        if event is not None:
            events.append(event)
    return tuple(events)


def catch_up(ledger: Ledger, found: Household) -> None:
    """Journal those events, each once."""
    for event in missed(ledger, found):
        ledger.record(event)


def _on_its_way(database: Database) -> bool:
    return bool(
        database.conn.execute(
            "SELECT 1 FROM deliveries d JOIN events e ON e.seq = d.event WHERE d.target = ? AND e.kind = 'presence' "
            "AND d.state IN ('pending', 'sending') LIMIT 1",
            (GLADYS_API,),
        ).fetchone()
    )


def _missed(ledger: Ledger, found: Household, person: Person, resident: Resident) -> Event | None:
    home = home_of(person, ledger.books.zones)
    house = house_of(person, ledger.books.zones, found.houses)
    if home is None or house is None:
        return None
    told = ledger.state(person, ledger.rules(person)).told.get(home.id)
    inside = None if told is None else told.inside
    if told is None or inside is None or inside == (resident.house == house):
        return None
    if resident.changed is not None and resident.changed >= told.since:
        return None
    decisions = whereabouts.decisions(ledger.database, person.id, zone=home.id)
    now = ("in" if inside else "out", told.since)
    decided = next((one.event for one in decisions if (one.state, one.since) == now), None)
    try:
        return None if decided is None else _again(ledger, find_event(ledger.database, decided), resident)
    except KeyError:  # it was tidied up long ago
        return None


def _again(ledger: Ledger, event: Event, resident: Resident) -> Event:
    """Return the event of a decision as news of now, unlike any but one of what Gladys has now."""
    cause = ledger.cause()
    body = _present.decode(event.body or "")
    reason = f"{body.reason}; told again, as Gladys does not know"
    return structs.replace(
        event,
        id=str(uuid.uuid5(_NAMESPACE, f"{event.id}|{resident.house}|{resident.changed}")),
        received_at=cause.now,
        deadline=cause.deadline,
        boot=cause.boot,
        cause=event.id,
        body=msgspec.json.encode(structs.replace(body, late=False, reason=reason)).decode(),
    )
