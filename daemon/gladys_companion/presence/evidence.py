"""What may show where a person is, as small values that a window of can be stored.

``source`` is the thing that a person carries, usually a phone: whatever is known of one phone (its positions, its
transitions, its Wi-Fi, its answers on the home's network) has the same source, since one phone is in one place.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from gladys_companion.protocol.fixes import Fix
from gladys_companion.protocol.owntracks import Transition

__all__ = ["AHEAD", "Crossing", "Evidence", "Hint", "Key", "Position", "crossing", "position"]

AHEAD = 300.0  # seconds that a source's clock may be fast; what claims to be later can not be put in order

Key = tuple[float, float, str]


class _Evidence(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``id`` of its event; ``at`` when it was so and ``received_at`` when it came, seconds since the epoch."""

    id: str
    source: str
    at: float
    received_at: float

    @property
    def moment(self) -> float:
        """When it counts as having been so: ``at``, but never later than it came."""
        return min(self.at, self.received_at)

    @property
    def key(self) -> Key:
        """Its place among other evidence, whatever order they come in."""
        return min(self.at, self.received_at), self.at, self.id


class Position(_Evidence, frozen=True, kw_only=True, omit_defaults=True, tag="position"):
    """A phone was somewhere: metres, None unknown. ``regions`` as it names those it is in, None if it did not."""

    latitude: float
    longitude: float
    accuracy: float | None = None
    regions: tuple[str, ...] | None = None
    networks: tuple[str, ...] = ()


class Crossing(_Evidence, frozen=True, kw_only=True, omit_defaults=True, tag="crossing"):
    """A phone's system saw it enter or leave a region, named as on the phone; where that was, if it is known."""

    entered: bool
    region: str
    region_id: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    accuracy: float | None = None


class Hint(_Evidence, frozen=True, kw_only=True, omit_defaults=True, tag="hint"):
    """Something else than a position speaks for a zone.

    ``told``: somebody or something said so, both ways (a feature such as ``mqtt:my-phone-presence``). ``near``: the
    thing itself was met there (it answered by mDNS); that it no longer answers says nothing, since phones sleep.
    """

    zone: str
    present: bool
    kind: Literal["told", "near"]


Evidence = Position | Crossing | Hint


def position(fix: Fix, *, id: str, source: str, received_at: float) -> Position:  # noqa: A002 - its name everywhere
    """Return the evidence that a fix is."""
    return Position(
        id=id,
        source=source,
        at=fix.at,
        received_at=received_at,
        latitude=fix.latitude,
        longitude=fix.longitude,
        accuracy=fix.accuracy,
        regions=fix.regions,
        networks=tuple(name for name in (fix.ssid, fix.bssid) if name),
    )


def crossing(transition: Transition, *, id: str, source: str, received_at: float) -> Crossing:  # noqa: A002 - likewise
    """Return the evidence that a transition is."""
    return Crossing(
        id=id,
        source=source,
        at=transition.at,
        received_at=received_at,
        entered=transition.entered,
        region=transition.region,
        region_id=transition.region_id,
        latitude=transition.latitude,
        longitude=transition.longitude,
        accuracy=transition.accuracy,
    )
