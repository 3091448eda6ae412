"""One message of a phone, written down: what it says of the phone, of where that was, and of whose it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace
from sqlite_utils import Database

from gladys_companion.model import Event
from gladys_companion.presence import derived
from gladys_companion.presence.derived import Cause
from gladys_companion.presence.engine import State
from gladys_companion.presence.evidence import Hint, crossing, position
from gladys_companion.presence.leader import leaders
from gladys_companion.presence.ledger import Ledger
from gladys_companion.presence.rulebook import home_of
from gladys_companion.presence.told import Told
from gladys_companion.protocol.fixes import Fix
from gladys_companion.store import whereabouts
from gladys_companion.store.people import Person, Phone
from gladys_companion.store.whereabouts import StoredPosition

__all__ = ["NOBODYS", "SEALED", "Message", "Taken", "met", "take_message", "take_state"]

AT_ONCE = 50  # positions of one commit: each may have everything after it judged anew

SEALED = (
    "It is encrypted, and the passphrase of the phone {phone!r} is not known here: give it with "
    "`gladys-companion people passphrase {phone}`. The message is kept, and read then."
)
NOBODYS = (
    "The phone {phone!r} ({names}) is nobody's yet: say whose it is with `gladys-companion people phone {phone} "
    "--person NAME`. The message is kept, and counts then."
)


class _Fresh(NamedTuple):
    """A position that was not known, by which id it is evidence, and its row."""

    id: str
    fix: Fix
    row: StoredPosition


class Taken(NamedTuple):
    """What became of a message: ``refusal`` is the sentence of what is kept for later, ``note`` what was not used."""

    note: str | None = None
    refusal: str | None = None


class Message(NamedTuple):
    """A message of a phone, or a part of one with many positions: from the ``first`` on, and whether it is the last.

    ``received_at``: when the gateway got it. ``names``: what the phone calls itself, for people.
    """

    event: Event
    phone: Phone
    told: Told
    received_at: float
    names: str
    first: int = 0
    last: bool = True

    def parts(self) -> Iterator[Message]:
        """Yield it in pieces that keep the writer for moments only, the positions in their order."""
        fixes = sorted(self.told.fixes, key=lambda fix: (fix.at, fix.key))
        for first in range(0, max(1, len(fixes)), AT_ONCE):
            last = first + AT_ONCE >= len(fixes)
            told = replace(
                self.told, fixes=tuple(fixes[first : first + AT_ONCE]), note=self.told.note if last else None
            )
            yield self._replace(told=told, first=first, last=last)


def take_message(ledger: Ledger, message: Message) -> Taken:
    """Write down what a message comes to."""
    event, phone, told, received_at, names, first, _ = message
    database = ledger.database
    root = event.cause or event.id
    _heard(database, phone, received_at)
    if told.sealed:
        whereabouts.keep(database, root, phone.id, "sealed")
        return Taken(refusal=SEALED.format(phone=phone.id))
    person = ledger.books.people.get(phone.person or "")
    cause = ledger.cause(event)
    fresh = []
    for number, fix in enumerate(told.fixes):
        row = _row(fix, phone, received_at, event.id)
        if whereabouts.add_position(database, row, dated=fix.dated):
            fresh.append(_Fresh(derived.evidence_id(event.id, first + number), fix, row))
            for reading in derived.reading_events(phone, fix, cause):
                ledger.record(reading)
    if person is None:
        return _nobodys(ledger, root, phone, told, names)
    notes = [told.note] if told.note else []
    if told.crossing is not None:
        seen = crossing(told.crossing, id=event.id, source=phone.id, received_at=received_at)
        ledger.observe(person, [seen], cause)
    elif fresh:
        notes += _judge(ledger, message, person, fresh)
    elif told.fixes and not whereabouts.came_with(database, phone.id, told.fixes[0].key, event.id):
        notes.append("known already: it was sent before")
    return Taken("; ".join(notes) or None)


def _nobodys(ledger: Ledger, root: str, phone: Phone, told: Told, names: str) -> Taken:
    """Keep what would move somebody if it were known whom."""
    if not told.fixes and told.crossing is None:
        return Taken(told.note)
    if phone.origin != "seen":
        return Taken("its phone is said to be nobody's: it moves nobody")
    whereabouts.keep(ledger.database, root, phone.id, "nobody")
    return Taken(refusal=NOBODYS.format(phone=phone.id, names=names))


def _judge(ledger: Ledger, message: Message, person: Person, fresh: list[_Fresh]) -> list[str]:
    """Judge positions that were not known, and tell the newest that can be believed if it is newer than any told."""
    event, phone = message.event, message.phone
    cause, gate = ledger.cause(event), ledger.rules(person).accuracy_gate
    evidence = [position(one.fix, id=one.id, source=phone.id, received_at=message.received_at) for one in fresh]
    states = ledger.observe(person, evidence, cause)
    last = whereabouts.last_told(ledger.database, person.id)
    newest: _Fresh | None = None
    notes: list[str] = []
    for one, state in zip(fresh, states, strict=True):
        note = _note(one.fix, state, phone, gate)
        if note is not None:
            notes.append(note)
            whereabouts.mark(ledger.database, one.row, told=False, note=note)
        elif last is None or one.fix.at > last.at:
            newest = one
    if newest is not None and message.last:
        note = _tell(ledger, person, phone, newest, states[-1], cause)
        notes += [note] if note else []
    return list(dict.fromkeys(notes))


def _tell(ledger: Ledger, person: Person, phone: Phone, newest: _Fresh, state: State, cause: Cause) -> str | None:
    """Make a position the person's, unless another of their phones leads; return why not."""
    rules = ledger.rules(person)
    note = None
    if phone.id in leaders(state.tracks, rules, ledger.now):
        late = ledger.now - newest.fix.at > rules.late_after
        ledger.record(derived.located(newest.fix, phone, person, cause, late=late))
    else:
        note = f"another phone of {person.name} leads"
    whereabouts.mark(ledger.database, newest.row, told=note is None, note=note)
    return note


def _note(fix: Fix, state: State, phone: Phone, gate: float) -> str | None:
    """Return why a position is not where the person is; None where it is."""
    trusted = state.tracks[phone.id].core.trusted if phone.id in state.tracks else None
    if trusted is not None and (trusted.latitude, trusted.longitude) == (fix.latitude, fix.longitude):
        return None
    if fix.accuracy is not None and fix.accuracy > gate:
        return f"accurate to {fix.accuracy:.0f} m only: no evidence of a place"
    if trusted is not None and trusted.at > fix.at:
        return "newer ones are known"
    return "nobody gets there so fast: not believed yet"


def take_state(ledger: Ledger, event: Event, present: float | str, *, ids: frozenset[str], ahead: float) -> str | None:
    """Judge a state of a feature that says where somebody is; return what was not used, and why.

    Args:
        ledger: of this job.
        event: the state.
        present: its value: not 0 is at home; a text is the name of the Wi-Fi that the phone is in.
        ids: the external ids that the feature is known by.
        ahead: seconds by which the time that presence is judged by is ahead of this machine's clock.
    """
    at = event.at if event.origin == "gateway" else event.at + ahead
    used = False
    for phone in ledger.books.phones.values():
        person = ledger.books.people.get(phone.person or "")
        home = home_of(person, ledger.books.zones) if person is not None else None
        if person is None or home is None or ids.isdisjoint(phone.features):
            continue
        inside = present in home.networks if isinstance(present, str) else present != 0
        if isinstance(present, str) and not inside:
            continue
        hint = Hint(
            id=event.id,
            source=phone.id,
            at=at,
            received_at=max(at, event.received_at + ahead),
            zone=home.id,
            present=inside,
            kind="near" if isinstance(present, str) else "told",
        )
        ledger.observe(person, [hint], ledger.cause(event))
        _heard(ledger.database, phone, at)
        used = True
    return None if used else "it says nothing of where anybody is: no home is known, or it is no Wi-Fi of one"


def met(ledger: Ledger, phone: Phone, device_id: str, at: float) -> None:
    """Judge that the thing itself answered on the home's network."""
    person = ledger.books.people.get(phone.person or "")
    home = home_of(person, ledger.books.zones) if person is not None else None
    if person is None or home is None:
        return
    known_by = f"{derived.MDNS}{device_id}@{at:.0f}"
    hint = Hint(id=known_by, source=phone.id, at=at, received_at=at, zone=home.id, present=True, kind="near")
    ledger.observe(person, [hint], ledger.cause())
    _heard(ledger.database, phone, at)


def _heard(database: Database, phone: Phone, at: float) -> None:
    database.conn.execute("UPDATE phones SET heard_at = max(coalesce(heard_at, 0), ?) WHERE id = ?", (at, phone.id))


def _row(fix: Fix, phone: Phone, received_at: float, event_id: str) -> StoredPosition:
    return StoredPosition(
        phone=phone.id,
        key=fix.key,
        at=fix.at,
        person=phone.person,
        received_at=received_at,
        latitude=fix.latitude,
        longitude=fix.longitude,
        accuracy=fix.accuracy,
        altitude=fix.altitude,
        vertical_accuracy=fix.vertical_accuracy,
        speed=fix.speed,
        course=fix.course,
        battery=fix.battery,
        told=False,
        note=None,
        event=event_id,
    )
