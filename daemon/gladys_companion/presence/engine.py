"""The presence engine: evidence in, decisions with reasons out, and when something will change by itself. Pure.

The same evidence in any order of arrival comes to the same (as far back as a source's window goes); it is replayable,
and a state that was stored and restored goes on as if nothing had been. How one source is judged is in ``standing``,
how a person's several are combined is in ``people``.

A decision that became sure long before it became known is ``late``: history, which must start nothing. Late evidence
can correct history, and never undoes what newer evidence shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gladys_companion.errors import ProtocolError
from gladys_companion.presence.evidence import AHEAD, Evidence
from gladys_companion.presence.people import Belief, Turn, believe, turns
from gladys_companion.presence.reasons import why
from gladys_companion.presence.rules import Rules, Zone
from gladys_companion.presence.track import Track, add, rejudge, steady

__all__ = [
    "Decision",
    "Result",
    "State",
    "advance",
    "begin",
    "dump",
    "explain",
    "forget",
    "observe",
    "restore",
    "whereabouts",
]

VERSION = 1
SET_BACK = 3_600.0  # seconds by which a clock that was set back is not followed

Whereabouts = Literal["in", "out", "unknown"]


class Decision(Struct, frozen=True, kw_only=True):
    """A person came to be in or out of a zone, or nobody knows any more.

    ``since`` when it is so, ``decided`` when that was sure (seconds since the epoch), ``late`` if it is history only.
    ``reason`` is in words, without a full stop; ``evidence`` are the ids of the events that show it.
    """

    person: str
    zone: str
    state: Whereabouts
    since: float
    decided: float
    late: bool
    reason: str
    evidence: tuple[str, ...]
    source: str | None


class _Told(Struct, frozen=True, array_like=True):
    """What was decided last of a zone, and the comings and goings that are known: (inside, since)."""

    inside: bool | None = None
    since: float = 0.0
    turns: tuple[tuple[bool, float], ...] = ()


class State(Struct, frozen=True, kw_only=True):
    """All that is known of a person: small, and stored by ``dump``."""

    person: str
    version: int = VERSION
    now: float = 0.0
    tracks: Mapping[str, Track] = {}
    told: Mapping[str, _Told] = {}


class Result(NamedTuple):
    """The new state, what was decided (history first), and when to ``advance`` next (None: nothing is pending)."""

    state: State
    decisions: tuple[Decision, ...]
    wake: float | None


NOTHING = _Told()
_decoder = msgspec.json.Decoder(State)


def begin(person: str) -> State:
    """Return the state of a person of whom nothing is known."""
    return State(person=person)


def observe(state: State, evidence: Evidence, now: float, rules: Rules) -> Result:
    """Return what one more piece of evidence comes to.

    Evidence that claims to be from the future can not be put in order and is no evidence; what is known already changes
    nothing, and neither does what is older than the window.

    Args:
        state: what is known.
        evidence: of one of the person's sources.
        now: wall clock, seconds since the epoch.
        rules: zones and how much it takes to be believed; after a change ``restore`` or ``advance`` with the new ones.
    """
    if evidence.at > evidence.received_at + AHEAD:
        return advance(state, now, rules)
    track = add(state.tracks.get(evidence.source, Track()), evidence, rules, state.now)
    return advance(replace(state, tracks={**state.tracks, evidence.source: track}), now, rules)


def advance(state: State, now: float, rules: Rules) -> Result:
    """Return what the passing of time comes to: dwells that are over, sources that fell silent."""
    now = state.now if now < state.now <= now + SET_BACK else now
    tracks = {source: steady(track, rules, now) for source, track in state.tracks.items()}
    told, decisions = {}, []
    for zone in rules.zones:
        before = state.told.get(zone.id, NOTHING)
        told[zone.id], made = _decide(state.person, before, tracks, zone, rules, now)
        decisions += made
    return Result(replace(state, now=now, tracks=tracks, told=told), tuple(decisions), _wake(tracks, rules, now))


def _decide(
    person: str, before: _Told, tracks: Mapping[str, Track], zone: Zone, rules: Rules, now: float
) -> tuple[_Told, list[Decision]]:
    belief = believe(tracks, zone, rules.stale_after, now)
    line = turns(tracks, zone, now)
    after = _Told(belief.inside, belief.since, tuple((turn.inside, turn.since) for turn in line))
    if after == before:
        return before, []
    several = len(tracks) > 1
    news = belief.inside is not before.inside or _went_and_came(before, belief, line)
    decisions = [
        _decision(person, zone, _as_belief(turn), rules, late=True, several=several)
        for turn in line
        if _is_history(turn, before) and not (turn is line[-1] and turn.inside is belief.inside)
    ]
    if news:
        late = now - belief.decided > rules.late_after
        decisions.append(_decision(person, zone, belief, rules, late=late, several=several))
    return after, decisions


def _went_and_came(before: _Told, belief: Belief, line: tuple[Turn, ...]) -> bool:
    """Return whether the person is where they were said to be, but was elsewhere in between."""
    return any(
        turn.inside is not belief.inside and before.since < turn.since < belief.since
        for turn in line
        if belief.inside is not None and (turn.inside, turn.since) not in before.turns
    )


def _is_history(turn: Turn, before: _Told) -> bool:
    """Return whether a turn tells anything that was not known of that time."""
    earlier = [inside for inside, since in before.turns if since <= turn.since]
    return turn.inside is not (earlier[-1] if earlier else None)


def _as_belief(turn: Turn) -> Belief:
    move = turn.move
    return Belief(turn.inside, turn.since, move.decided, move.decided, (move.evidence,), (turn.source,), move.fact)


def _decision(person: str, zone: Zone, belief: Belief, rules: Rules, *, late: bool, several: bool) -> Decision:
    return Decision(
        person=person,
        zone=zone.id,
        state=whereabouts(belief.inside),
        since=belief.since,
        decided=belief.decided,
        late=late,
        reason=why(belief, zone, rules, several=several),
        evidence=belief.evidence,
        source=belief.sources[0] if len(belief.sources) == 1 else None,
    )


def _wake(tracks: Mapping[str, Track], rules: Rules, now: float) -> float | None:
    due: list[float | None] = [track.core.heard + rules.stale_after for track in tracks.values() if track.core.heard]
    for track in tracks.values():
        due += [standing.pending.due for standing in track.core.zones.values() if standing.pending is not None]
    return min((at for at in due if at is not None and at > now), default=None)


def whereabouts(inside: bool | None) -> Whereabouts:  # noqa: FBT001 - three states
    """Return the word for a state."""
    return "unknown" if inside is None else "in" if inside else "out"


def explain(state: State, zone: Zone, now: float, rules: Rules) -> str:
    """Return in words, without a full stop, why a person is where they are towards a zone now."""
    belief = believe(state.tracks, zone, rules.stale_after, now)
    return why(belief, zone, rules, several=len(state.tracks) > 1)


def forget(state: State, source: str) -> State:
    """Return the state without a source that the person no longer carries."""
    return replace(state, tracks={name: track for name, track in state.tracks.items() if name != source})


def dump(state: State) -> bytes:
    """Return a state as JSON."""
    return msgspec.json.encode(state)


def restore(stored: bytes, rules: Rules) -> State:
    """Return a state that was stored, judged by the rules of today as far back as its windows go.

    Raises:
        ProtocolError: it is not one, or of another version: begin anew, and replay what the journal has.
    """
    try:
        state = _decoder.decode(stored)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"The stored presence can not be read: {error}.") from error
    if state.version != VERSION:
        raise ProtocolError(f"The stored presence is of version {state.version}, and this program knows {VERSION}.")
    return replace(state, tracks={source: rejudge(track, rules) for source, track in state.tracks.items()})
