"""What presence is decided by: zones, and how much it takes to be believed. All values have a unit and a reason."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

__all__ = ["Rules", "Zone"]

LEAST_MARGIN = 100.0  # metres beyond the radius; positions indoors err by about as much
MARGIN = 0.5  # of the radius


class Zone(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A circle on the earth: degrees and metres. Zones may nest and touch; each is decided by itself.

    Between ``radius`` and the exit radius a person stays what they are. ``home`` only chooses the words. ``networks``
    are names (SSID) or access points (BSSID) of Wi-Fi that reaches no farther than the zone.
    """

    id: str
    name: str
    latitude: float
    longitude: float
    radius: float
    exit_radius: float | None = None
    home: bool = False
    networks: tuple[str, ...] = ()

    @property
    def outer(self) -> float:
        """The exit radius: as given, but never less than the radius; else 100 m or half the radius more than it."""
        if self.exit_radius is not None:
            return max(self.radius, self.exit_radius)
        return self.radius + max(LEAST_MARGIN, self.radius * MARGIN)


class Rules(Struct, frozen=True, kw_only=True):
    """How one person's presence is decided. Seconds, metres, metres per second.

    Attributes:
        zones: those that are decided.
        accuracy_gate: a position less accurate than this is no evidence of a place.
        assumed_accuracy: of a position that does not say how accurate it is.
        enter_dwell: how long evidence of being inside must stand without contradiction.
        leave_dwell: likewise of being outside.
        max_speed: faster than this nobody travels between two positions (360 km/h; in an aeroplane phones are silent).
        doubt: how much longer evidence must stand that the phone itself does not confirm, and the most that is added
            for a place that can not be reached in time.
        lone: how much longer evidence must stand that can not be reached in time and with which none agrees.
        stale_after: after this silence nobody knows where a person is.
        late_after: what was decided longer ago than this when it becomes known is history, not news.
        sources: what people call the phones and features that evidence comes from.
        timezone: IANA name, of the times in reasons.
    """

    zones: tuple[Zone, ...]
    accuracy_gate: float = 200.0
    assumed_accuracy: float = 100.0
    enter_dwell: float = 10.0
    leave_dwell: float = 60.0
    max_speed: float = 100.0
    doubt: float = 300.0
    lone: float = 900.0
    stale_after: float = 12 * 3_600.0
    late_after: float = 120.0
    sources: Mapping[str, str] = MappingProxyType({})
    timezone: str = "UTC"
