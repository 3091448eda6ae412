"""One source's window of evidence, so that what comes late is put where it belongs. Pure.

What stands is a function of the evidence in the window, whatever order it came in. There is one exception, which time
heals: evidence that comes late may make doubtful what newer evidence decided, and that decision was acted upon. It
stays firm while the newer evidence is about to decide the same again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from gladys_companion.presence.evidence import Evidence, Key
from gladys_companion.presence.rules import Rules
from gladys_companion.presence.standing import NOWHERE, Core, Standing, fold, ripe, step

__all__ = ["WINDOW", "Track", "add", "rejudge", "standing", "steady"]

WINDOW = 64  # pieces of evidence; a phone's queue comes in order, so that few ever come late

Held = Mapping[str, tuple[bool, str]]
"""By zone: what is held firm, and the id of the evidence that it rests on."""


class Track(Struct, frozen=True, kw_only=True):
    """What is known of a source: ``base`` from all evidence up to ``since``, and ``core`` with the window as well."""

    base: Core = Core()
    since: Key | None = None
    window: tuple[Evidence, ...] = ()
    core: Core = Core()
    held: Held = {}


def standing(track: Track, zone_id: str, now: float) -> Standing:
    """Return where the source stands towards a zone now."""
    return ripe(track.core.zones.get(zone_id, NOWHERE), now)


def add(track: Track, evidence: Evidence, rules: Rules, told_at: float) -> Track:
    """Return the track with one more piece of evidence, in its place.

    What is known already, by its id, and what is older than the window, change nothing.

    Args:
        track: what was known.
        evidence: what came.
        rules: what it is judged by.
        told_at: until when what stands was told, and may have been acted upon.
    """
    key, window = evidence.key, track.window
    if (track.since is not None and key <= track.since) or any(known.id == evidence.id for known in window):
        return track
    if not window or key > window[-1].key:
        grown = (*window, evidence)
        core = step(track.core, evidence, rules, _ids(track.held))
        added = replace(track, window=grown, core=core)
    else:
        at = bisect_right(window, key, key=lambda known: known.key)
        added = _refolded(track, (*window[:at], evidence, *window[at:]), rules, told_at, evidence.moment)
    return _bounded(added, rules)


def steady(track: Track, rules: Rules, now: float) -> Track:
    """Return the track without what it need not hold firm any more."""
    if not track.held:
        return track
    pure = fold(track.base, track.window, rules)
    held = {zone: one for zone, one in track.held.items() if _must_hold(pure, track.core, zone, inside=one[0], now=now)}
    if len(held) == len(track.held):
        return track
    return replace(track, core=fold(track.base, track.window, rules, _ids(held)), held=held)


def rejudge(track: Track, rules: Rules) -> Track:
    """Return the track by other rules, as far back as the window goes."""
    return replace(track, core=fold(track.base, track.window, rules, _ids(track.held)))


def _refolded(track: Track, window: tuple[Evidence, ...], rules: Rules, told_at: float, moment: float) -> Track:
    pure = fold(track.base, window, rules)
    held: dict[str, tuple[bool, str]] = {}
    for zone_id in track.core.zones:
        told = standing(track, zone_id, told_at)
        now = ripe(pure.zones.get(zone_id, NOWHERE), told_at)
        if told.inside is not None and now.inside is not told.inside and moment < told.agreed:
            held[zone_id] = told.inside, told.agreed_id
    if not held:
        return replace(track, window=window, core=pure, held=held)
    core = fold(track.base, window, rules, _ids(held))
    return steady(replace(track, window=window, core=core, held=held), rules, told_at)


def _must_hold(pure: Core, held: Core, zone_id: str, *, inside: bool, now: float) -> bool:
    """Return whether only what is held keeps it so, and nothing newer speaks against it."""
    free, firm = ripe(pure.zones.get(zone_id, NOWHERE), now), ripe(held.zones.get(zone_id, NOWHERE), now)
    if firm.inside is not inside or free.inside is inside:
        return False
    again = free.pending is not None and free.pending.inside is inside and free.pending.due is not None
    return again or (firm.pending is not None and firm.pending.due is not None)


def _bounded(track: Track, rules: Rules) -> Track:
    excess = len(track.window) - WINDOW
    if excess <= 0:
        return track
    base = fold(track.base, track.window[:excess], rules, _ids(track.held))
    return replace(track, base=base, since=track.window[excess - 1].key, window=track.window[excess:])


def _ids(held: Held) -> Mapping[str, str]:
    return {zone: evidence for zone, (_, evidence) in held.items()}
