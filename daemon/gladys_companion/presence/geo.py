"""Distances on the earth, also across the date line and at the poles."""

from __future__ import annotations

import math

__all__ = ["EARTH_RADIUS", "distance"]

EARTH_RADIUS = 6_371_008.8  # metres, the mean; the error against the ellipsoid is at most 0.6 %


def distance(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Return the metres between two points given in degrees, along a great circle (haversine)."""
    here, there = math.radians(latitude), math.radians(other_latitude)
    across = math.sin(math.radians(other_longitude - longitude) / 2) ** 2
    up = math.sin((there - here) / 2) ** 2
    return 2 * EARTH_RADIUS * math.asin(math.sqrt(min(1.0, up + math.cos(here) * math.cos(there) * across)))
