"""What a phone told becomes rows, all in one job on the writer: positions, state, decisions, and the events of them.

So a crash leaves all of it or nothing, and what is delivered once more adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import structlog
from msgspec import structs
from sqlite_utils import Database

from gladys_companion.clock import Clock
from gladys_companion.errors import ProtocolError
from gladys_companion.model import Event
from gladys_companion.presence import derived
from gladys_companion.presence.derived import Cause
from gladys_companion.presence.engine import Result, State, advance, begin, dump, forget, observe, restore
from gladys_companion.presence.evidence import Evidence
from gladys_companion.presence.rulebook import Rulebook, home_of
from gladys_companion.presence.rules import Rules, Zone
from gladys_companion.store import people, whereabouts
from gladys_companion.store.journal import Planner, record
from gladys_companion.store.people import Person, Phone, StoredZone
from gladys_companion.store.whereabouts import Decided

__all__ = ["Books", "Known", "Ledger", "load"]

OVERDUE = 1.0

log = structlog.get_logger(__name__)


class Books(NamedTuple):
    """People, phones and zones as they are now."""

    people: Mapping[str, Person]
    phones: Mapping[str, Phone]
    zones: tuple[StoredZone, ...]

    def carried(self, person_id: str) -> tuple[Phone, ...]:
        """Return what a person carries."""
        return tuple(phone for phone in self.phones.values() if phone.person == person_id)


def load(database: Database) -> Books:
    """Return people, phones and zones from their tables."""
    return Books(
        {one.id: one for one in people.people(database)},
        {one.id: one for one in people.phones(database)},
        people.zones(database),
    )


Known = dict[str, tuple[bytes, Rules, State]]
"""By person: what is stored, by which rules it was judged, and what that is, so that it need not be judged again."""


class Ledger:
    """Writes within one job; ``lanes`` gathers what is to be woken after its commit.

    Args:
        database: on the writer.
        rulebook: by what is judged.
        planner: ``Registry.plan``.
        clock: wall and boot time of this machine.
        now: the time by which presence is judged.
        time_to_live: of what is told to Gladys now.
        known: kept from job to job; used on the writer only.
    """

    def __init__(
        self,
        database: Database,
        *,
        rulebook: Rulebook,
        planner: Planner,
        clock: Clock,
        now: float,
        time_to_live: float,
        known: Known,
    ) -> None:
        self.database = database
        self.books = load(database)
        self.lanes: set[str] = set()
        self.now = now
        self._rulebook = rulebook
        self._planner = planner
        self._wall, self._elapsed, self._boot = clock.now(), clock.elapsed(), clock.boot
        self._time_to_live = time_to_live
        self._known = known

    def cause(self, event: Event | None = None) -> Cause:
        """Return what is derived from an event, or from the passing of time, and how its times are counted."""
        return Cause(
            id=None if event is None else event.id,
            now=self._wall,
            deadline=self._elapsed + self._time_to_live,
            overdue=self._elapsed - OVERDUE,
            boot=self._boot,
        )

    def record(self, event: Event) -> None:
        """Journal a derived event, once."""
        recorded = record(self.database, event, self._planner, lambda _: False, now=self._wall, elapsed=self._elapsed)
        self.lanes.update(recorded.lanes)

    def rules(self, person: Person) -> Rules:
        """Return by what a person is judged."""
        return self._rulebook.rules(person, self.books.zones, self.books.carried(person.id))

    def zones(self) -> tuple[Zone, ...]:
        """Return all zones, as nobody's home."""
        return tuple(self._rulebook.zone(zone) for zone in self.books.zones)

    def state(self, person: Person, rules: Rules) -> State:
        """Return what is known of a person, judged by the rules of now."""
        stored = whereabouts.load_state(self.database, person.id)
        if stored is None:
            return begin(person.id)
        known = self._known.get(person.id)
        if known is not None and known[:2] == (stored, rules):
            return known[2]
        try:
            return restore(stored, rules)
        except ProtocolError as error:
            log.warning(
                "what was known of a person can not be used, and is begun anew", person=person.id, why=str(error)
            )
            return begin(person.id)

    def observe(self, person: Person, evidence: Sequence[Evidence], cause: Cause) -> tuple[State, ...]:
        """Judge evidence of one person, and write what it comes to; return what was known after each piece."""
        rules = self.rules(person)
        state, wake, states = self.state(person, rules), None, []
        for one in evidence:
            result = observe(state, one, self.now, rules)
            self._decided(person, state, result, cause)
            state, wake = result.state, result.wake
            states.append(state)
        if evidence:
            self._save(person, state, rules, wake)
        return tuple(states)

    def rename(self, person: Person, source: str, to: str) -> None:
        """Take note that a thing that a person carries has another id now."""
        rules = self.rules(person)
        state = self.state(person, rules)
        track = state.tracks.get(source)
        if track is not None and to not in state.tracks:
            state = forget(structs.replace(state, tracks={**state.tracks, to: track}), source)
            self._save(person, state, rules, None)

    def advance(self, person_ids: Iterable[str]) -> None:
        """Judge people by the time, the zones and the phones of now, and write what that comes to."""
        for person_id in person_ids:
            person = self.books.people.get(person_id)
            if person is None:
                continue
            rules = self.rules(person)
            state = self.state(person, rules)
            for source in state.tracks.keys() - rules.sources.keys():
                state = forget(state, source)
            result = advance(state, self.now, rules)
            self._decided(person, state, result, self.cause())
            self._save(person, result.state, rules, result.wake)

    def _save(self, person: Person, state: State, rules: Rules, wake: float | None) -> None:
        stored = dump(state)
        whereabouts.save_state(self.database, person.id, stored, wake)
        self._known[person.id] = stored, rules, state

    def _decided(self, person: Person, before: State, result: Result, cause: Cause) -> None:
        if not result.decisions:
            return
        state = result.state
        zones = {zone.id: zone for zone in self.books.zones}
        home = home_of(person, self.books.zones)
        for one in result.decisions:
            here = home is not None and one.zone == home.id
            event = derived.presence_event(one, before, person, zones[one.zone], derived.caused(cause, one), home=here)
            self.record(event)
            fields = {name: getattr(one, name) for name in Decided.__struct_fields__ if hasattr(one, name)}
            fields |= {"event": event.id, "known_at": self.now, "evidence": derived.shown(one)}
            whereabouts.add_decision(self.database, Decided(**fields))
        device_id = derived.person_device_id(person.id)
        events = derived.standing_events(
            result.decisions,
            state,
            person=person,
            home=home,
            word=derived.zone_name(state, self.books.zones, home),
            newest=(self._changed_at(f"{device_id}:home"), self._changed_at(f"{device_id}:zone")),
            cause=derived.caused(cause, result.decisions[-1]),
        )
        for event in events:
            self.record(event)

    def _changed_at(self, external_id: str) -> float:
        row = self.database.conn.execute(
            "SELECT value_at FROM features WHERE external_id = ?", (external_id,)
        ).fetchone()
        return 0.0 if row is None or row[0] is None else float(row[0])
