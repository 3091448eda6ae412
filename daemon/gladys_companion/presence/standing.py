"""Where one source stands towards each zone, from its evidence in the order of when it was so. Pure.

The newest claim wins once it has stood for its dwell without a newer contrary one. So nothing older can veto it; what
older evidence can do is make it doubtful (nobody gets there so fast), and that only delays it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from gladys_companion.presence.claims import Claim, Fact, Place, claim, place, watched
from gladys_companion.presence.evidence import Evidence
from gladys_companion.presence.geo import distance
from gladys_companion.presence.rules import Rules, Zone

__all__ = ["Core", "Firm", "Move", "Pending", "Standing", "fold", "ripe", "step"]

MOST_MOVES = 8
SLACK = 5.0  # seconds that a position may come too early without being doubted, since accuracies are guesses


class Move(Struct, frozen=True, array_like=True):
    """A source came to be inside or outside: ``since`` when, and ``decided`` when that was sure. ``first``: ever."""

    inside: bool
    since: float
    decided: float
    evidence: str
    fact: Fact
    first: bool


class Pending(Struct, frozen=True, array_like=True):
    """A claim contrary to what stands: so at ``due``, unless newer evidence contradicts it.

    Until ``settled`` a position near the edge is contradiction enough for one that rests on a position. Evidence that
    contradicts itself is not due before other evidence agrees with it.
    """

    inside: bool
    since: float
    settled: float
    due: float | None
    evidence: str
    fact: Fact
    newest: float
    newest_id: str


class Standing(Struct, frozen=True, array_like=True):
    """Where a source stands towards a zone: its moves, the newest evidence that agrees, and what may become of it."""

    moves: tuple[Move, ...] = ()
    agreed: float = 0.0
    agreed_id: str = ""
    pending: Pending | None = None

    @property
    def inside(self) -> bool | None:
        """In, out, or not known yet."""
        return self.moves[-1].inside if self.moves else None


class Core(Struct, frozen=True):
    """What all evidence up to a moment has come to. ``heard`` is when the source last said anything of use."""

    heard: float = 0.0
    trusted: Place | None = None
    suspect: Place | None = None
    known: frozenset[str] = frozenset()
    zones: Mapping[str, Standing] = {}


Firm = Mapping[str, str]
"""By zone: the id of evidence that was acted upon already, which no dwell and no doubt delays any more."""

NOWHERE = Standing()
NOTHING_FIRM: Firm = MappingProxyType({})


def ripe(standing: Standing, now: float) -> Standing:
    """Return a standing with what is due by now."""
    pending = standing.pending
    if pending is None or pending.due is None or pending.due > now:
        return standing
    decided = max(pending.since, pending.due)
    move = Move(pending.inside, pending.since, decided, pending.evidence, pending.fact, not standing.moves)
    return Standing((*standing.moves, move)[-MOST_MOVES:], pending.newest, pending.newest_id)


def step(core: Core, evidence: Evidence, rules: Rules, firm: Firm = NOTHING_FIRM) -> Core:
    """Return what is known with one more piece of evidence, which is the newest."""
    moment, where = evidence.moment, place(evidence, rules)
    early = _early(core.trusted, where, rules)
    zones, heard = dict(core.zones), where is not None
    for zone in rules.zones:
        made = claim(evidence, where, zone, core.known)
        if made is None:
            continue
        heard = True
        standing = ripe(zones.get(zone.id, NOWHERE), moment)
        if made.inside is None:
            zones[zone.id] = _near_the_edge(standing, made, moment, zone)
            continue
        seen = _Seen(
            id=evidence.id,
            moment=moment,
            dwell=rules.enter_dwell if made.inside and made.clear else rules.leave_dwell,
            doubt=rules.doubt if made.contradicted or made.unlisted else 0.0,
            early=early if where else _early(core.trusted, _center(made, zone, moment), rules),
            firm=firm.get(zone.id) == evidence.id,
        )
        zones[zone.id] = _stand(standing, made, seen, rules)
    known = watched(evidence, where, rules.zones)
    trusted, suspect = _trust(core, where, early, rules)
    return Core(
        heard=max(core.heard, moment) if heard else core.heard,
        trusted=trusted,
        suspect=suspect,
        known=core.known if known <= core.known else core.known | known,
        zones=zones,
    )


def fold(core: Core, window: tuple[Evidence, ...], rules: Rules, firm: Firm = NOTHING_FIRM) -> Core:
    """Return what is known with a window of evidence, oldest first."""
    for evidence in window:
        core = step(core, evidence, rules, firm)
    return core


def _near_the_edge(standing: Standing, made: Claim, moment: float, zone: Zone) -> Standing:
    """Return the standing without what a position near the edge speaks against."""
    pending, metres = standing.pending, made.fact.metres or 0.0
    if pending is None or pending.fact.how != "position" or moment >= pending.settled:
        return standing
    against = metres > zone.radius if pending.inside else metres < zone.outer
    return replace(standing, pending=None) if against else standing


class _Seen(NamedTuple):
    """When a claim was made, for how long it must stand, how doubtful it is and how much too early."""

    id: str
    moment: float
    dwell: float
    doubt: float
    early: float
    firm: bool

    def due(self, lone: float | None = None) -> float:
        """Return when it will be so; ``lone``: what is added because no other agrees with it."""
        if self.firm:
            return self.moment
        return self.moment + self.dwell + max(self.doubt, self.early if lone is None else lone)


def _stand(standing: Standing, made: Claim, seen: _Seen, rules: Rules) -> Standing:
    pending, inside, moment = standing.pending, bool(made.inside), seen.moment
    if inside is standing.inside:
        return Standing(standing.moves, moment, seen.id)
    settled = moment + seen.dwell
    lone = rules.lone if seen.early else None
    alone = made.contradicted and not seen.firm
    if pending is None or pending.inside is not inside:
        due = None if alone else seen.due(lone)
        return replace(standing, pending=Pending(inside, moment, settled, due, seen.id, made.fact, moment, seen.id))
    agrees = moment - pending.since >= (rules.leave_dwell if alone else rules.enter_dwell)
    due = pending.due
    if not alone:
        due = min(seen.due(None if agrees else lone), seen.due(lone) if due is None else due)
    elif agrees and due is None:
        due = max(moment, pending.since + seen.dwell + rules.doubt)
    return replace(
        standing,
        pending=replace(pending, settled=min(pending.settled, settled), due=due, newest=moment, newest_id=seen.id),
    )


def _center(made: Claim, zone: Zone, moment: float) -> Place | None:
    """Return where somebody must be of whom is only known that they are inside."""
    return Place(zone.latitude, zone.longitude, zone.radius, moment) if made.inside else None


def _early(trusted: Place | None, where: Place | None, rules: Rules) -> float:
    """Return how many seconds too early a place is for somebody who comes from where they are known to have been."""
    if trusted is None or where is None:
        return 0.0
    metres = distance(trusted.latitude, trusted.longitude, where.latitude, where.longitude)
    gap = metres - trusted.accuracy - where.accuracy
    early = gap / rules.max_speed - (where.at - trusted.at)
    return min(early, rules.doubt) if early > SLACK else 0.0


def _trust(core: Core, where: Place | None, early: float, rules: Rules) -> tuple[Place | None, Place | None]:
    """Return the last place that is trusted, and the first that is not since.

    A place that can not be reached from the trusted one is trusted when others have agreed with it for long enough.
    """
    if where is None:
        return core.trusted, core.suspect
    if not early:
        return where, None
    suspect = core.suspect
    if suspect is None or _early(suspect, where, rules):
        return core.trusted, where
    if where.at - suspect.at >= rules.doubt:
        return where, None
    return core.trusted, suspect
