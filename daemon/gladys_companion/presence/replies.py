"""What a phone with OwnTracks is told in return: where the others are, and the zones that it may watch itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from gladys_companion.config import Presence
from gladys_companion.presence.ledger import Books, Ledger
from gladys_companion.protocol.owntracks.answers import Friend, Region, friend_messages, set_waypoints
from gladys_companion.store import whereabouts
from gladys_companion.store.people import Person, Phone, StoredZone

__all__ = ["Reply", "make_reply", "note_zones", "tracker_ids"]

FRESH = 10.0  # seconds; a phone does not wait longer for an answer, and takes what comes later for nothing
AGAIN_AFTER = 86_400.0  # seconds after which zones are sent once more, in case their answer was lost


class Reply(NamedTuple):
    """Messages for a phone; ``zones`` is to be noted once they are on their way, if zones are among them."""

    messages: tuple[dict[str, Any], ...] = ()
    zones: str | None = None


def make_reply(ledger: Ledger, phone: Phone, options: Presence) -> Reply:
    """Return what a phone is to be told; nothing to one that is nobody's."""
    if phone.person is None:
        return Reply()
    messages: list[dict[str, Any]] = []
    if options.share_friends:
        for friend in _friends(ledger, phone.person):
            messages += friend_messages(friend)
    zones = None
    if options.share_zones and ledger.books.zones and _are_due(ledger, phone):
        zones = f"{_digest(ledger.books.zones)}@{ledger.now:.0f}"
        messages.append(set_waypoints(map(_region, ledger.books.zones)))
    return Reply(tuple(messages), zones)


def note_zones(ledger: Ledger, phone_id: str, zones: str) -> None:
    """Take note of the zones that a phone was sent."""
    ledger.database.conn.execute("UPDATE phones SET zones_sent = ? WHERE id = ?", (zones, phone_id))


def _friends(ledger: Ledger, person_id: str) -> Iterable[Friend]:
    books: Books = ledger.books
    short = tracker_ids(tuple(books.people.values()))
    for person in books.people.values():
        position = None if person.id == person_id else whereabouts.last_told(ledger.database, person.id)
        if position is not None:
            yield Friend(
                tracker_id=short[person.id],
                name=person.name,
                latitude=position.latitude,
                longitude=position.longitude,
                at=position.at,
                accuracy=position.accuracy,
                battery=position.battery,
                topic=f"owntracks/{person.id}/{position.phone}",
            )


def tracker_ids(people: Sequence[Person]) -> dict[str, str]:
    """Return two characters for each person, no two the same, the same from day to day."""
    found: dict[str, str] = {}
    for person in sorted(people, key=lambda one: (one.created_at, one.id)):
        letters = [letter for letter in person.name.upper() if letter.isalnum() and letter.isascii()] or ["P"]
        wished = [letters[0] + second for second in (*letters[1:], *"123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")]
        found[person.id] = next((one for one in wished if one not in found.values()), letters[0] * 2)
    return found


def _are_due(ledger: Ledger, phone: Phone) -> bool:
    digest, _, at = (phone.zones_sent or "").partition("@")
    return digest != _digest(ledger.books.zones) or ledger.now - float(at or 0) > AGAIN_AFTER


def _digest(zones: Iterable[StoredZone]) -> str:
    shapes = [(zone.id, zone.name, zone.latitude, zone.longitude, zone.radius) for zone in zones]
    return hashlib.sha256(repr(shapes).encode()).hexdigest()[:16]


def _region(zone: StoredZone) -> Region:
    return Region(
        name=zone.name,
        latitude=zone.latitude,
        longitude=zone.longitude,
        radius=zone.radius,
        made_at=zone.made_at,
        id=zone.id,
    )
