"""What decisions and positions become: events with a cause, and the two features of a person. Pure.

An id is made of what the event is about, so that the same cause never makes it twice.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec import structs

from gladys_companion.model import Device, Event, Feature
from gladys_companion.presence.engine import Decision, State, whereabouts
from gladys_companion.protocol.fixes import Fix, phone_feature, readings
from gladys_companion.protocol.people import Located, Present
from gladys_companion.resolve import PRESENCE, VIRTUAL
from gladys_companion.store.people import Person, Phone, StoredZone

__all__ = [
    "AWAY",
    "MDNS",
    "UNKNOWN",
    "Cause",
    "caused",
    "described_person",
    "described_phone",
    "event_of",
    "evidence_id",
    "is_news",
    "located",
    "person_device_id",
    "presence_event",
    "reading_events",
    "shown",
    "standing_events",
    "zone_name",
]

_NAMESPACE = uuid.UUID("5f0c7f0e-6f35-4a3c-9d0c-6f1b1c6f2a11")
MDNS = "mdns#"  # how ids of evidence begin that came with no event
AWAY = "away"
UNKNOWN = "unknown"
_WORDS = {"in": "in {}", "out": "out of {}", "unknown": "unknown whether in {}"}
_TICK = 0.001  # seconds by which what corrects a value is newer than that
_PHONE_PARTS = ("battery", "charging", "connection", "wifi")


class Cause(NamedTuple):
    """What an event is derived from: its id (None: the passing of time), and how its times are counted here.

    ``now`` wall clock, ``deadline`` of what is fresh, ``overdue`` one that has passed, both on the clock of ``boot``.
    """

    id: str | None
    now: float
    deadline: float
    overdue: float
    boot: str


def event_of(evidence: str) -> str | None:
    """Return the id of the event that evidence came with; None where it came with none."""
    return None if evidence.startswith(MDNS) else evidence.partition("#")[0]


def evidence_id(event_id: str, number: int) -> str:
    """Return what a piece of evidence is known by, the how many-eth it is of its event from 0 on."""
    return f"{event_id}#{number}" if number else event_id


def _id(*parts: object) -> str:
    return str(uuid.uuid5(_NAMESPACE, "|".join(map(str, parts))))


def person_device_id(person_id: str) -> str:
    """Return the id of a person's device."""
    return f"person:{person_id}"


def described_person(person: Person) -> tuple[Device, tuple[Feature, ...]]:
    """Return the device that a person is to Gladys: ``home`` (1 or 0) and ``zone`` (a name, away or unknown)."""
    device = Device(id=person_device_id(person.id), driver=PRESENCE, name=person.name)
    home = Feature(
        external_id=f"{device.id}:home",
        device=device.id,
        name=f"{person.name} at home",
        category="presence-sensor",
        type="binary",
        min=0,
        max=1,
    )
    zone = Feature(
        external_id=f"{device.id}:zone", device=device.id, name=f"{person.name} is in", category="text", type="text"
    )
    return device, (home, zone)


def described_phone(phone: Phone, parts: Iterable[str] = _PHONE_PARTS) -> tuple[Device, tuple[Feature, ...]]:
    """Return the virtual device of a phone with features of these components."""
    device = Device(id=phone.device_id, driver=VIRTUAL, name=phone.name)
    return device, tuple(phone_feature(device.id, part) for part in parts)


def reading_events(phone: Phone, fix: Fix, cause: Cause) -> tuple[Event, ...]:
    """Return what a fix says of the phone's own state, dated by it."""
    return tuple(
        _state(f"{phone.device_id}:{one.component}", one.value, one.text, fix.at, cause, fix.key, late=False)
        for one in readings(fix)
    )


def _state(
    external_id: str, value: float | None, text: str | None, at: float, cause: Cause, about: object, *, late: bool
) -> Event:
    return Event(
        id=_id("state", cause.id, external_id, value, text, at, about),
        origin=PRESENCE,
        at=at,
        received_at=cause.now,
        deadline=cause.overdue if late else cause.deadline,
        boot=cause.boot,
        external_id=external_id,
        value=value,
        text=text,
        dated=True,
        cause=cause.id,
    )


def shown(decision: Decision) -> tuple[str, ...]:
    """Return the ids of the events that show it, and what else does."""
    return tuple(dict.fromkeys(event_of(one) or one for one in decision.evidence))


def caused(cause: Cause, decision: Decision) -> Cause:
    """Return what a decision is derived from: where only time passed, the newest event that shows it."""
    if cause.id is not None:
        return cause
    return cause._replace(id=next((found for one in reversed(decision.evidence) if (found := event_of(one))), None))


def presence_event(
    decision: Decision, before: State, person: Person, zone: StoredZone, cause: Cause, *, home: bool
) -> Event:
    """Return the event that a decision becomes."""
    told = before.told.get(zone.id)
    body = Present(
        person=person.id,
        name=person.name,
        zone=zone.id,
        zone_name=zone.name,
        home=home,
        state=decision.state,
        before=whereabouts(None if told is None else told.inside),
        since=decision.since,
        decided=decision.decided,
        late=decision.late,
        reason=decision.reason,
        evidence=shown(decision),
        source=decision.source,
        gladys_user=person.gladys_user,
        gladys_house=person.gladys_house,
        zone_in_gladys=zone.gladys,
    )
    return Event(
        id=_id(PRESENCE, cause.id, person.id, zone.id, decision.state, decision.since, decision.decided, decision.late),
        kind="presence",
        origin=PRESENCE,
        at=decision.since or cause.now,  # since ever
        received_at=cause.now,
        deadline=cause.overdue if decision.late else cause.deadline,
        boot=cause.boot,
        external_id=person_device_id(person.id),
        text=_WORDS[decision.state].format(zone.name),
        dated=True,
        cause=cause.id,
        body=msgspec.json.encode(body).decode(),
    )


def zone_name(state: State, zones: Sequence[StoredZone], home: StoredZone | None) -> str:
    """Return where a person is in one word: the innermost zone they are in, else away or unknown."""
    told: Mapping[str, bool | None] = {zone: one.inside for zone, one in state.told.items()}
    inner = min((zone for zone in zones if told.get(zone.id)), key=lambda zone: (zone.radius, zone.id), default=None)
    if inner is not None:
        return inner.name
    known = [told.get(home.id)] if home is not None else list(told.values())
    return AWAY if known and None not in known else UNKNOWN


def standing_events(
    decisions: Sequence[Decision],
    after: State,
    *,
    person: Person,
    home: StoredZone | None,
    word: str,
    newest: tuple[float, float],
    cause: Cause,
) -> tuple[Event, ...]:
    """Return what a person's features become by decisions.

    Where nobody knows, ``home`` stays what it was: nobody leaves by silence.

    Args:
        decisions: that were just made, history first.
        after: the state that they led to.
        person: whose they are.
        home: the zone that is their home.
        word: where they are now, in one word.
        newest: when ``home`` and ``zone`` last changed: what is so now must not be older, or it would be history only.
        cause: what they are derived from.
    """
    device_id = person_device_id(person.id)
    found = [] if home is None else _home_events(decisions, after, f"{device_id}:home", home, newest[0], cause)
    news = [one for one in decisions if is_news(one, after)]
    if news:
        late = all(one.late for one in news)
        at = max(one.decided for one in news) or cause.now
        at = max(at, newest[1] + _TICK) if late else at
        event = _state(f"{device_id}:zone", None, word, at, cause, news[-1].zone, late=late)
        found.append(structs.replace(event, dated=late))
    return tuple(found)


def _home_events(
    decisions: Sequence[Decision], after: State, external_id: str, home: StoredZone, newest: float, cause: Cause
) -> list[Event]:
    """Return what being at home becomes; what is so now is always the newest of it, whatever is learnt of the past."""
    found: list[Event] = []
    for one in decisions:
        if one.zone != home.id or one.state == UNKNOWN:
            continue
        now = is_news(one, after)
        at = one.since if not now else max(one.decided, newest + _TICK) if one.late else one.decided
        event = _state(external_id, float(one.state == "in"), None, at, cause, one.decided, late=one.late)
        found.append(structs.replace(event, dated=one.late or not now))
        newest = max(newest, at)
    told = after.told.get(home.id)
    last = max(found, key=lambda event: event.at, default=None)
    if last is None or told is None or told.inside is None or last.at < newest or last.value == float(told.inside):
        return found
    again = _state(external_id, float(told.inside), None, newest + _TICK, cause, told.since, late=True)
    return [*found, again]


def is_news(decision: Decision, after: State) -> bool:
    """Return whether a decision is of what is so now, not of what was once."""
    told = after.told.get(decision.zone)
    return told is not None and (whereabouts(told.inside), told.since) == (decision.state, decision.since)


def located(fix: Fix, phone: Phone, person: Person, cause: Cause, *, late: bool) -> Event:
    """Return the event of a person's new position."""
    body = Located(
        person=person.id,
        name=person.name,
        phone=phone.id,
        at=fix.at,
        latitude=fix.latitude,
        longitude=fix.longitude,
        accuracy=fix.accuracy,
        altitude=fix.altitude,
        gladys_user=person.gladys_user,
    )
    return Event(
        id=_id("location", cause.id, person.id, phone.id, fix.key, fix.at),
        kind="location",
        origin=PRESENCE,
        at=fix.at,
        received_at=cause.now,
        deadline=cause.overdue if late else cause.deadline,
        boot=cause.boot,
        external_id=person_device_id(person.id),
        dated=True,
        cause=cause.id,
        body=msgspec.json.encode(body).decode(),
    )
