"""How right and how fast presence is, on the corpus of `tests/tracks.py`; `python -m bench.presence` prints JSON.

Beside the engine, two other rules decide the same messages. ``radius``: the last position to arrive counts, whatever
its accuracy and age (Gladys' own rule; it drops latitude or longitude 0 as missing). ``home_assistant``: its OwnTracks
integration and zones: positions without an accuracy are dropped, while the phone is in a region its positions are
ignored, and a position is in a zone when distance - accuracy < radius, in order of arrival.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from tests.tracks import CARRIED, CORPUS, Message, Truth, Turn, Walk, evidence_of, make

from gladys_companion.errors import ProtocolError
from gladys_companion.presence import Crossing, Evidence, Hint, Rules, Zone, advance, begin, observe
from gladys_companion.presence.geo import distance

__all__ = ["Change", "Score", "engine", "evidence", "home_assistant", "radius", "score"]

DAY = 86_400.0


class Change(NamedTuple):
    """A rule says that somebody is in a zone (or out, or that nobody knows) from ``at`` on.

    ``late``: it concerns the past, from ``since`` on, and starts nothing.
    """

    at: float
    zone: str
    inside: bool | None
    late: bool = False
    since: float = 0.0


class Score(NamedTuple):
    """How a rule did on a track. Delays in seconds after the first message that showed it; negative: before.

    ``wrong``: decisions contrary to the truth when they were made, or for history at any time from then on. History
    that is true, but not yet at its time, is ``misdated``.
    """

    wrong: int
    misdated: int
    flaps: int
    wrong_seconds: float
    unknown_seconds: float
    arrivals: list[float]
    departures: list[float]
    missed: int


def evidence(walk: Walk) -> list[Evidence]:
    """Return what of a track is evidence, in the order it arrived; what can not be used is left out."""
    found = []
    for index, message in enumerate(walk.messages):
        try:
            one = evidence_of(message, f"{index}")
        except ProtocolError:
            continue
        if one is not None:
            found.append(one)
    return found


def engine(walk: Walk, rules: Rules | None = None) -> list[Change]:
    """Return what our engine decides."""
    rules = rules or Rules(zones=walk.zones)
    state, wake, changes = begin("person"), None, []

    def note(at: float, decisions: Iterable[Any]) -> None:
        for one in decisions:
            inside = {"in": True, "out": False, "unknown": None}[one.state]
            changes.append(Change(at, one.zone, inside, one.late, one.since))

    for one in [*evidence(walk), None]:
        until = walk.end if one is None else one.received_at
        while wake is not None and wake <= until:
            at = wake
            state, decisions, wake = advance(state, at, rules)
            note(at, decisions)
        if one is not None:
            state, decisions, wake = observe(state, one, until, rules)
            note(until, decisions)
    return changes


def _changes(walk: Walk, say: Callable[[Message], dict[str, bool] | None]) -> list[Change]:
    states: dict[str, bool] = {}
    changes = []
    for message in walk.messages:
        for zone, inside in (say(message) or {}).items():
            if states.get(zone) is not inside:
                states[zone] = inside
                changes.append(Change(message.received_at, zone, inside))
    return changes


def radius(walk: Walk) -> list[Change]:
    """Return what the plain rule decides."""

    def say(message: Message) -> dict[str, bool] | None:
        payload = message.payload
        if payload.get("_type") != "location" or not payload["lat"] or not payload["lon"]:
            return None
        return {
            zone.id: distance(payload["lat"], payload["lon"], zone.latitude, zone.longitude) <= zone.radius
            for zone in walk.zones
        }

    return _changes(walk, say)


def home_assistant(walk: Walk) -> list[Change]:
    """Return what Home Assistant's rule decides; of several phones the one that spoke last counts."""
    entered: dict[str, list[str]] = {}

    def located(payload: dict[str, Any]) -> dict[str, bool] | None:
        if not payload.get("acc"):
            return None
        return {
            zone.id: distance(payload["lat"], payload["lon"], zone.latitude, zone.longitude) - payload["acc"]
            < zone.radius
            for zone in walk.zones
        }

    def within(regions: Sequence[str]) -> dict[str, bool]:
        return {zone.id: zone.name == regions[-1] for zone in walk.zones}

    def say(message: Message) -> dict[str, bool] | None:
        payload, regions = message.payload, entered.setdefault(message.source, [])
        if payload.get("_type") == "location":
            return None if regions else located(payload)
        if payload.get("_type") != "transition":
            return {payload["zone"]: payload["hint"]} if payload.get("kind") == "told" else None
        if payload["event"] == "enter":
            if payload["desc"] not in regions:
                regions.append(payload["desc"])
            return within(regions)
        if payload["desc"] in regions:
            regions.remove(payload["desc"])
        return within(regions) if regions else located(payload)

    return _changes(walk, say)


def _shows(one: Evidence, zone: Zone, *, inside: bool) -> bool:
    """Return whether a message by itself shows somebody in a zone, or out of it, and does not contradict itself."""
    if isinstance(one, Crossing):
        return one.region == zone.name and one.entered is inside
    if isinstance(one, Hint):
        return one.zone == zone.id and one.present is inside and (inside or one.kind == "told")
    if not one.accuracy or one.accuracy > 200:
        return False
    metres = distance(one.latitude, one.longitude, zone.latitude, zone.longitude)
    listed = None if one.regions is None else zone.name in one.regions
    if listed is None:
        return metres + one.accuracy <= zone.radius if inside else metres - one.accuracy >= zone.outer
    return listed is inside and (
        metres - one.accuracy < zone.outer if inside else metres + one.accuracy / 2 > zone.radius
    )


def score(walk: Walk, changes: Sequence[Change]) -> Score:
    """Return how right a rule was about a track, over all its zones."""
    truth, shown = Truth(walk), evidence(walk)
    total = Score(0, 0, 0, 0.0, 0.0, [], [], 0)
    for zone in walk.zones:
        mine = [change for change in changes if change.zone == zone.id]
        live = [change for change in mine if not change.late]
        turns = truth.turns(zone)
        known = [change for change in live if change.inside is not None]
        wrong_for, unknown_for = _durations(truth, zone, mine)
        arrivals, departures, missed = _delays(zone, turns, mine, shown, walk.end)
        total = Score(
            total.wrong + sum(_is_wrong(truth, zone, change) for change in mine),
            total.misdated + sum(_is_contrary(truth, zone, change, change.since) for change in mine if change.late),
            total.flaps + max(0, len(known) - 1 - len(turns)),
            total.wrong_seconds + wrong_for,
            total.unknown_seconds + unknown_for,
            total.arrivals + arrivals,
            total.departures + departures,
            total.missed + missed,
        )
    return total


def _is_contrary(truth: Truth, zone: Zone, change: Change, at: float) -> bool:
    return change.inside is not None and truth.whereabouts(zone, at) == ("out" if change.inside else "in")


def _is_wrong(truth: Truth, zone: Zone, change: Change) -> bool:
    if not change.late:
        return _is_contrary(truth, zone, change, change.at)
    span = range(int(change.since), int(change.at) + 1, 10)
    return all(_is_contrary(truth, zone, change, at) for at in span)


def _durations(truth: Truth, zone: Zone, changes: Sequence[Change]) -> tuple[float, float]:
    """Return for how long a rule said the wrong thing, and for how long nothing."""
    wrong = unknown = 0.0
    state, rest = None, list(changes)
    for at in range(int(truth.walk.stops[0][0]), int(truth.walk.end), 10):
        while rest and rest[0].at <= at:
            state = rest.pop(0).inside
        really = truth.whereabouts(zone, at)
        if state is None:
            unknown += 10
        elif really == ("out" if state else "in"):
            wrong += 10
    return wrong, unknown


def _delays(
    zone: Zone, turns: Sequence[Turn], changes: Sequence[Change], shown: Sequence[Evidence], end: float
) -> tuple[list[float], list[float], int]:
    """Return how long after the evidence each coming and going was known, and how many never were."""
    delays: dict[bool, list[float]] = {True: [], False: []}
    missed = 0
    for index, (_, inside, begun) in enumerate(turns):
        until = turns[index + 1].begun if index + 1 < len(turns) else end
        proof = next(
            (
                one.received_at
                for one in shown
                if one.source == CARRIED and begun < one.at < until and _shows(one, zone, inside=inside)
            ),
            None,
        )
        if proof is None:
            continue
        known = next((one.at for one in changes if one.inside is inside and begun < one.at < until), None)
        if known is None:
            missed += 1
        else:
            delays[inside].append(round(known - proof, 1))
    return delays[True], delays[False], missed


def _summary(walk: Walk, result: Score) -> dict[str, Any]:
    days = (walk.end - walk.stops[0][0]) / DAY
    return {
        "wrong": result.wrong,
        "misdated": result.misdated,
        "flaps_per_day": round(result.flaps / days, 2),
        "wrong_minutes": round(result.wrong_seconds / 60, 1),
        "unknown_minutes": round(result.unknown_seconds / 60, 1),
        "arrival_s": _spread(result.arrivals),
        "departure_s": _spread(result.departures),
        "missed": result.missed,
    }


RULES: dict[str, Callable[[Walk], list[Change]]] = {
    "companion": engine,
    "radius": radius,
    "home_assistant": home_assistant,
}


def speed(walk: Walk) -> dict[str, float]:
    """Return the nanoseconds that a message costs: to be read, and to be judged."""
    shown, rules = evidence(walk), Rules(zones=walk.zones)
    began = time.perf_counter_ns()
    state = begin("person")
    for one in shown:
        state, _, _ = observe(state, one, one.received_at, rules)
    judged = time.perf_counter_ns() - began
    began = time.perf_counter_ns()
    evidence(walk)
    read = time.perf_counter_ns() - began
    return {"messages": len(shown), "read_ns": read // len(shown), "judge_ns": judged // len(shown)}


def main() -> None:
    """Print what each rule makes of each track, and what a message costs."""
    walks = [make(name) for name in CORPUS]
    scores = {rule: [score(walk, say(walk)) for walk in walks] for rule, say in RULES.items()}
    tracks = {
        walk.name: {rule: _summary(walk, scores[rule][index]) for rule in RULES} for index, walk in enumerate(walks)
    }
    totals = {
        rule: {
            "wrong": sum(one.wrong for one in found),
            "misdated": sum(one.misdated for one in found),
            "wrong_minutes": round(sum(one.wrong_seconds for one in found) / 60, 1),
            "missed": sum(one.missed for one in found),
            "arrival_s": _spread([delay for one in found for delay in one.arrivals]),
            "departure_s": _spread([delay for one in found for delay in one.departures]),
        }
        for rule, found in scores.items()
    }
    cost = {name: speed(make(name)) for name in ("commute", "nested zones", "a bad week")}
    json.dump({"totals": totals, "cost": cost, "tracks": tracks}, sys.stdout, indent=2)
    print()


def _spread(delays: Sequence[float]) -> dict[str, float] | None:
    return {"median": round(statistics.median(delays), 1), "most": max(delays)} if delays else None


if __name__ == "__main__":
    main()
