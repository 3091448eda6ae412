"""Which of the things that a person carries speaks for where the person is. Pure.

The same rule as for zones (``people``): the one that came or went last is the one that is carried.
"""

from __future__ import annotations

from collections.abc import Mapping

from gladys_companion.presence.rules import Rules
from gladys_companion.presence.track import Track, standing

__all__ = ["leaders"]


def leaders(tracks: Mapping[str, Track], rules: Rules, now: float) -> frozenset[str]:
    """Return the sources whose positions are the person's: the one that leads; while none has moved, all that agree."""
    live = {source: track for source, track in tracks.items() if now < track.core.heard + rules.stale_after}
    if len(live) <= 1:
        return frozenset(live)
    moved: dict[str, tuple[float, float]] = {}
    places: dict[str, set[bool]] = {zone.id: set() for zone in rules.zones}
    for source, track in live.items():
        for zone in rules.zones:
            moves = standing(track, zone.id, now).moves
            if moves:
                places[zone.id].add(moves[-1].inside)
            if moves and not moves[-1].first:
                last = (moves[-1].since, moves[-1].decided)
                moved[source] = max(moved.get(source, last), last)
    if moved:
        return frozenset({max(moved, key=lambda source: (*moved[source], source))})
    return frozenset(live) if all(len(found) <= 1 for found in places.values()) else frozenset()
