"""What is known of phones read again: whose they are once somebody said so, and what was kept until then."""

from __future__ import annotations

from msgspec import structs

from gladys_companion.ids import new_id
from gladys_companion.presence import phones
from gladys_companion.presence.ledger import Ledger, load
from gladys_companion.store import people, whereabouts

__all__ = ["adopt", "read_again", "read_all_again"]


def adopt(ledger: Ledger) -> dict[str, str]:
    """Give phones that were only seen to whom they are of; return which of them became which that was announced."""
    database, merged = ledger.database, {}
    books = load(database)
    announced = [phone for phone in books.phones.values() if phone.origin != "seen"]
    for phone in books.phones.values():
        if phone.origin != "seen":
            continue
        names = phones.names_of(phone)
        found = phones.find(announced, names)
        if found is not None:
            people.merge_phone(database, phone.id, found.id)
            merged[phone.id] = found.id
        elif phone.person is None:
            person = phones.owner(names, books.people.values(), people.phones(database))
            if person is not None:
                people.put_phone(database, structs.replace(phone, person=person.id))
    ledger.books = load(database)
    return merged


def read_again(ledger: Ledger, phone_id: str, why: whereabouts.Why) -> int:
    """Journal again what was kept for a phone, in its order, and return how much; what it comes to is told as late."""
    found = whereabouts.take_kept(ledger.database, phone_id, why)
    cause = ledger.cause()
    for event in found:
        again = structs.replace(
            event,
            id=new_id(),
            origin="local",
            cause=event.id,
            received_at=cause.now,
            deadline=cause.overdue,
            boot=cause.boot,
        )
        ledger.record(again)
    return len(found)


def read_all_again(ledger: Ledger) -> None:
    """Journal again what was kept for phones that are somebody's now; keep none for one that is nobody's for good."""
    for phone in ledger.books.phones.values():
        if phone.person is not None:
            read_again(ledger, phone.id, "nobody")
        elif phone.origin != "seen":
            whereabouts.forget_kept(ledger.database, phone.id, "nobody")
