"""What one piece of evidence says of one zone, by itself: in, out, or where it was. Pure.

A position is clearly inside when its whole circle of accuracy lies within the radius, likely inside when it does by
half of its accuracy, and outside when its whole circle lies beyond the exit radius. Any other says neither, but speaks
against who was about to be believed. A position that is less accurate than the gate says nothing at all.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, NamedTuple

from msgspec import Struct

from gladys_companion.presence.evidence import Crossing, Evidence, Hint, Position
from gladys_companion.presence.geo import distance
from gladys_companion.presence.rules import Rules, Zone

__all__ = ["Claim", "Fact", "Place", "claim", "named", "place", "watched"]

How = Literal["position", "region", "listed", "network", "told", "near"]


class Fact(Struct, frozen=True, array_like=True, omit_defaults=True):
    """What a claim rests on, to be put into words: metres to the zone's centre, accuracy, and the Wi-Fi's name."""

    how: How
    metres: float | None = None
    accuracy: float | None = None
    name: str | None = None


class Claim(NamedTuple):
    """What evidence says of a zone; ``inside`` is None where it was near the edge.

    ``clear``: no error of the position's size could make it otherwise, or the phone's list of regions confirms it.
    ``contradicted``: the same evidence says the contrary as well. ``unlisted``: inside, but the phone does not count
    the zone among those it is in (yet).
    """

    inside: bool | None
    fact: Fact
    clear: bool = True
    contradicted: bool = False
    unlisted: bool = False


class Place(Struct, frozen=True, array_like=True):
    """Where a source was: degrees, metres, seconds since the epoch."""

    latitude: float
    longitude: float
    accuracy: float
    at: float


def place(evidence: Evidence, rules: Rules) -> Place | None:
    """Return where evidence was made, if it says so accurately enough."""
    if isinstance(evidence, Hint) or evidence.latitude is None or evidence.longitude is None:
        return None
    accuracy = evidence.accuracy or rules.assumed_accuracy
    if accuracy > rules.accuracy_gate:
        return None
    return Place(evidence.latitude, evidence.longitude, accuracy, evidence.moment)


def named(zone: Zone, region: str, region_id: str | None = None) -> bool:
    """Return whether a region of a phone is this zone: by id, or by name in any case."""
    return zone.id in {region_id, region} or region.casefold() == zone.name.casefold()


def watched(evidence: Evidence, where: Place | None, zones: Collection[Zone]) -> set[str]:
    """Return the ids of the zones that the source watches itself, as far as this evidence shows."""
    if isinstance(evidence, Crossing):
        return {zone.id for zone in zones if named(zone, evidence.region, evidence.region_id)}
    if isinstance(evidence, Position) and evidence.regions and where is not None:
        return {zone.id for zone in zones if any(named(zone, region) for region in evidence.regions)}
    return set()


def claim(evidence: Evidence, where: Place | None, zone: Zone, known: Collection[str]) -> Claim | None:
    """Return what evidence says of a zone; None if it does not speak of it.

    Args:
        evidence: what came.
        where: its ``place``.
        zone: the zone.
        known: ids of the zones that the source watches itself, so that their absence from its regions means out.
    """
    if isinstance(evidence, Hint):
        speaks = evidence.zone == zone.id and (evidence.present or evidence.kind == "told")
        return Claim(evidence.present, Fact(evidence.kind)) if speaks else None
    located = None if where is None else _located(where, zone)
    if isinstance(evidence, Crossing):
        return _crossed(evidence, zone, located)
    return _seen(evidence, zone, located, known)


def _crossed(crossed: Crossing, zone: Zone, located: Claim | None) -> Claim | None:
    if not named(zone, crossed.region, crossed.region_id):
        return located
    contradicted = located is not None and located.inside is (not crossed.entered)
    return Claim(crossed.entered, Fact("region"), contradicted=contradicted)


def _seen(seen: Position, zone: Zone, located: Claim | None, known: Collection[str]) -> Claim | None:
    inside = None if located is None else located.inside
    network = next((name for name in seen.networks if name in zone.networks), None)
    if network is not None and inside is not False:
        return Claim(inside=True, fact=Fact("network", name=network))
    if located is None:
        return None
    listed = _listed(seen, zone, known)
    if inside is None:
        return located if listed is None else Claim(listed, Fact("listed"))
    contradicted = not inside and (listed is True or network is not None)
    return located._replace(
        clear=located.clear or listed is True, contradicted=contradicted, unlisted=inside and listed is False
    )


def _located(where: Place, zone: Zone) -> Claim:
    metres = distance(where.latitude, where.longitude, zone.latitude, zone.longitude)
    fact = Fact("position", round(metres, 1), where.accuracy)
    if metres + where.accuracy / 2 <= zone.radius:
        return Claim(inside=True, fact=fact, clear=metres + where.accuracy <= zone.radius)
    return Claim(inside=False if metres - where.accuracy >= zone.outer else None, fact=fact)


def _listed(seen: Position, zone: Zone, known: Collection[str]) -> bool | None:
    if seen.regions is None:
        return None
    return any(named(zone, region) for region in seen.regions) or (False if zone.id in known else None)
