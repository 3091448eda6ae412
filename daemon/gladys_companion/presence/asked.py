"""What people ask: where somebody is and why, which phones there are, what the zones are. Reads only."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, structs

from gladys_companion.presence.derived import zone_name
from gladys_companion.presence.engine import explain, whereabouts
from gladys_companion.presence.ledger import Ledger
from gladys_companion.presence.rulebook import home_of
from gladys_companion.store import whereabouts as stored
from gladys_companion.store.people import Origin, Person, Phone, sealed
from gladys_companion.store.whereabouts import Decided, StoredPosition

__all__ = ["PersonView", "PhoneView", "Standing", "Why", "ZoneView", "people", "phones", "why", "zones"]


class PhoneView(Struct, frozen=True, kw_only=True):
    """A thing that is carried. What it calls itself: null is any, empty is none.

    ``sealed``: its messages are opened with a passphrase that was given. ``kept``: how many messages wait, and why:
    ``sealed`` for its passphrase, ``nobody`` until somebody says whose it is.
    """

    id: str
    name: str
    person: str | None
    app: str | None
    user: str | None
    device: str | None
    key_id: str | None
    features: tuple[str, ...]
    devices: tuple[str, ...]
    origin: Origin
    heard_at: float | None
    sealed: bool
    kept: dict[str, int]


class ZoneView(Struct, frozen=True, kw_only=True):
    """A zone, in degrees and metres; ``leaves_at`` is the exit radius that counts; ``inside`` who is in it, by id."""

    id: str
    name: str
    latitude: float
    longitude: float
    radius: float
    exit_radius: float | None
    leaves_at: float
    home: bool
    networks: tuple[str, ...]
    gladys: str | None
    origin: Origin
    inside: tuple[str, ...]


class Standing(Struct, frozen=True, kw_only=True):
    """How a person stands towards a zone, since when (null: nothing was ever heard), and why in words."""

    zone: str
    name: str
    home: bool
    state: Literal["in", "out", "unknown"]
    since: float | None
    why: str


class PersonView(Struct, frozen=True, kw_only=True):
    """A person: ``zone`` is where they are in one word, ``at_home`` null where nobody knows, ``why`` of that.

    ``position`` is the newest that could be believed.
    """

    id: str
    name: str
    origin: Origin
    home: str | None
    gladys_user: str | None
    gladys_house: str | None
    phones: tuple[str, ...]
    zone: str
    at_home: bool | None
    why: str
    position: StoredPosition | None


class Why(Struct, frozen=True, kw_only=True):
    """Where a person is towards every zone, what was decided and what was told, what became known last first."""

    person: PersonView
    zones: tuple[Standing, ...]
    decisions: tuple[Decided, ...]
    positions: tuple[StoredPosition, ...]


NO_HOME = "there is no home yet: `gladys-companion zones add`"


def _standings(ledger: Ledger, person: Person) -> tuple[Standing, ...]:
    rules = ledger.rules(person)
    state = ledger.state(person, rules)
    found = []
    for zone in rules.zones:
        told = state.told.get(zone.id)
        found.append(
            Standing(
                zone=zone.id,
                name=zone.name,
                home=zone.home,
                state=whereabouts(None if told is None else told.inside),
                since=(told.since or None) if told is not None else None,
                why=explain(state, zone, ledger.now, rules),
            )
        )
    return tuple(sorted(found, key=lambda one: (not one.home, one.name)))


def _person(ledger: Ledger, person: Person) -> PersonView:
    rules = ledger.rules(person)
    standings = _standings(ledger, person)
    home = next((one for one in standings if one.home), None)
    return PersonView(
        id=person.id,
        name=person.name,
        origin=person.origin,
        home=None if home is None else home.zone,
        gladys_user=person.gladys_user,
        gladys_house=person.gladys_house,
        phones=tuple(phone.id for phone in ledger.books.carried(person.id)),
        zone=zone_name(ledger.state(person, rules), ledger.books.zones, home_of(person, ledger.books.zones)),
        at_home=None if home is None or home.state == "unknown" else home.state == "in",
        why=NO_HOME if home is None else home.why,
        position=stored.last_told(ledger.database, person.id),
    )


def people(ledger: Ledger) -> tuple[PersonView, ...]:
    """Return everybody by name."""
    everybody = sorted(ledger.books.people.values(), key=lambda one: (one.name.casefold(), one.id))
    return tuple(_person(ledger, one) for one in everybody)


def why(ledger: Ledger, person: Person, limit: int) -> Why:
    """Return where a person is and why, with so many decisions and positions."""
    return Why(
        person=_person(ledger, person),
        zones=_standings(ledger, person),
        decisions=stored.decisions(ledger.database, person.id, limit=limit),
        positions=stored.positions(ledger.database, person=person.id, limit=limit),
    )


def phones(ledger: Ledger) -> tuple[PhoneView, ...]:
    """Return what is carried, by person; what is nobody's last."""
    known = sealed(ledger.database)
    kept = stored.kept_counts(ledger.database)
    everything = sorted(ledger.books.phones.values(), key=lambda one: (one.person is None, one.person or "", one.id))
    return tuple(_phone(one, kept.get(one.id, {}), has_passphrase=one.id in known) for one in everything)


def _phone(phone: Phone, kept: dict[str, int], *, has_passphrase: bool) -> PhoneView:
    fields = {name: getattr(phone, name) for name in PhoneView.__struct_fields__ if hasattr(phone, name)}
    return PhoneView(**fields, sealed=has_passphrase, kept=kept)


def zones(ledger: Ledger) -> tuple[ZoneView, ...]:
    """Return all zones by name, with who is in them."""
    inside: dict[str, list[str]] = {}
    leaves_at: dict[str, float] = {zone.id: zone.outer for zone in ledger.zones()}
    for person in ledger.books.people.values():
        for one in _standings(ledger, person):
            if one.state == "in":
                inside.setdefault(one.zone, []).append(person.id)
    found = []
    for zone in sorted(ledger.books.zones, key=lambda one: (not one.home, one.name.casefold(), one.id)):
        fields = structs.asdict(zone)
        del fields["made_at"]
        found.append(ZoneView(**fields, leaves_at=leaves_at[zone.id], inside=tuple(inside.get(zone.id, ()))))
    return tuple(found)
