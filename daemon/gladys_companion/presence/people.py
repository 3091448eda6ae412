"""Where a person is, from where the things they carry are. Pure.

**The rule.** Of one phone the newest credible evidence counts, whatever it is (``standing``). Of several, the one that
moved last leads: the phone that came or went is the one that is carried, so a phone left at home does not make an
absent person home, however often it says so, and a phone left at work does not keep a person there who came home with
the other. While none has moved yet they must agree. When the leader falls silent, another that is not silent may speak
for it only by saying the same; else nobody knows where the person is. Silence never makes anybody away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from gladys_companion.presence.claims import Fact
from gladys_companion.presence.rules import Zone
from gladys_companion.presence.standing import Move, Standing
from gladys_companion.presence.track import Track, standing

__all__ = ["Belief", "Turn", "believe", "turns"]


class Turn(NamedTuple):
    """A person came to be inside or outside of a zone, as shown by a source's move."""

    inside: bool
    since: float
    source: str
    move: Move


class Belief(NamedTuple):
    """Where a person is towards a zone now; ``inside`` is None where nobody knows.

    ``decided``: when that was sure. ``evidence``: ids of what shows it. ``sources``: whose evidence it is; if nobody
    knows, who fell silent or (several) who disagree. ``until``: the newest evidence of it.
    """

    inside: bool | None
    since: float
    decided: float
    until: float
    evidence: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    fact: Fact | None = None


class _Seen(NamedTuple):
    source: str
    standing: Standing
    silent_at: float

    @property
    def move(self) -> Move:
        return self.standing.moves[-1]


NEVER = Belief(None, 0.0, 0.0, 0.0)


def turns(tracks: Mapping[str, Track], zone: Zone, now: float) -> tuple[Turn, ...]:
    """Return when the person came and went, as far as it is remembered, oldest first.

    That a second phone is heard of for the first time is no coming or going.
    """
    found: list[Turn] = []
    moves = [(move, source) for source, track in tracks.items() for move in standing(track, zone.id, now).moves]
    for move, source in sorted(moves, key=lambda one: (one[0].since, one[0].decided, one[1])):
        known = found[-1].inside if found else None
        if known is None or (not move.first and move.inside is not known):
            found.append(Turn(move.inside, move.since, source, move))
    return tuple(found)


def believe(tracks: Mapping[str, Track], zone: Zone, stale_after: float, now: float) -> Belief:
    """Return where the person is towards a zone now, by the rule above."""
    seen = []
    for source, track in tracks.items():
        stands = standing(track, zone.id, now)
        if stands.moves:
            seen.append(_Seen(source, stands, track.core.heard + stale_after))
    if not seen:
        return NEVER
    moved = [one for one in seen if not one.move.first]
    if not moved:
        return _none_moved(seen, stale_after, now)
    leader = max(moved, key=lambda one: (one.move.since, one.move.decided, one.source))
    live = [one for one in seen if now < one.silent_at]
    if leader not in live and not any(one.standing.inside is leader.standing.inside for one in live):
        return _silent(leader, stale_after)
    since = leader.move.since
    if len(tracks) > 1:
        line = turns(tracks, zone, now)
        if line and line[-1].inside is leader.standing.inside:
            since = min(since, line[-1].since)
    return _stands(leader, since)


def _none_moved(seen: list[_Seen], stale_after: float, now: float) -> Belief:
    live = [one for one in seen if now < one.silent_at]
    if not live:
        return _silent(max(seen, key=lambda one: (one.silent_at, one.source)), stale_after)
    if len({one.standing.inside for one in live}) > 1:
        newest = max(one.move.decided for one in live)
        ordered = sorted(live, key=lambda one: one.source)
        shown = tuple(one.move.evidence for one in ordered)
        return Belief(None, newest, newest, newest, shown, tuple(one.source for one in ordered))
    first = min(live, key=lambda one: (one.move.since, one.source))
    return _stands(first, first.move.since)


def _stands(one: _Seen, since: float) -> Belief:
    move, stands = one.move, one.standing
    shown = tuple(dict.fromkeys((move.evidence, stands.agreed_id)))
    until = max(move.decided, stands.agreed)
    return Belief(move.inside, since, move.decided, until, shown, (one.source,), move.fact)


def _silent(one: _Seen, stale_after: float) -> Belief:
    since = one.silent_at
    return Belief(None, since, since, since - stale_after, (one.standing.agreed_id,), (one.source,))
