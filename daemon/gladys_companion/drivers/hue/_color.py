"""Colours as Gladys writes them (0xRRGGBB, sRGB), and as Hue does (x and y of CIE 1931): pure.

From IEC 61966-2-1, with its white D65. A colour of Hue has no brightness, so that only what the three channels are to
each other counts, and the brightest of them is full.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["GAMUT", "Gamut", "Point", "color_of", "nearest", "xy_of"]


class Point(NamedTuple):
    """A place on the CIE 1931 chart."""

    x: float
    y: float


Gamut = tuple[Point, Point, Point]
"""The corners of what a lamp can show: red, green and blue."""

GAMUT: Gamut = (Point(0.6915, 0.3083), Point(0.17, 0.7), Point(0.1532, 0.0475))  # C, of lamps that tell none

LINEAR_BELOW = 0.0031308


def xy_of(color: int, gamut: Gamut = GAMUT) -> Point:
    """Return where a colour is, or the nearest place that the lamp can show. To 4 digits, as a bridge takes them.

    Args:
        color: 0xRRGGBB; not black, which is nowhere.
        gamut: of the lamp.
    """
    red, green, blue = (_linear(channel / 255) for channel in color.to_bytes(3, "big"))
    x = 0.4124 * red + 0.3576 * green + 0.1805 * blue
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = 0.0193 * red + 0.1192 * green + 0.9505 * blue
    whole = x + y + z
    point = nearest(Point(x / whole, y / whole), gamut)
    return Point(round(point.x, 4), round(point.y, 4))


def color_of(point: Point) -> int:
    """Return the colour 0xRRGGBB that is nearest in sRGB, as bright as it can be.

    Raises:
        ValueError: there is no such place on the chart.
    """
    if not (0 <= point.x <= 1 and 0 < point.y <= 1):
        msg = f"no colour is at {point.x}, {point.y}"
        raise ValueError(msg)
    x, z = point.x / point.y, (1 - point.x - point.y) / point.y
    channels = (
        3.2406 * x - 1.5372 - 0.4986 * z,
        -0.9689 * x + 1.8758 + 0.0415 * z,
        0.0557 * x - 0.2040 + 1.0570 * z,
    )
    most = max(channels)
    if most <= 0:
        msg = f"no colour is at {point.x}, {point.y}"
        raise ValueError(msg)
    return int.from_bytes(bytes(round(255 * _gamma(max(0.0, one) / most)) for one in channels), "big")


def nearest(point: Point, gamut: Gamut) -> Point:
    """Return the point itself if it is within the triangle, else the nearest on its edges."""
    edges = tuple(zip(gamut, (*gamut[1:], gamut[0]), strict=True))
    sides = [(end.x - start.x) * (point.y - start.y) - (end.y - start.y) * (point.x - start.x) for start, end in edges]
    if all(side >= 0 for side in sides) or all(side <= 0 for side in sides):
        return point
    return min((_on(point, start, end) for start, end in edges), key=lambda one: _distance(one, point))


def _on(point: Point, start: Point, end: Point) -> Point:
    along = _distance(start, end)
    if along == 0:
        return start
    share = ((point.x - start.x) * (end.x - start.x) + (point.y - start.y) * (end.y - start.y)) / along
    share = min(1.0, max(0.0, share))
    return Point(start.x + share * (end.x - start.x), start.y + share * (end.y - start.y))


def _distance(one: Point, other: Point) -> float:
    """Return the square of the distance, which orders as well."""
    return (one.x - other.x) ** 2 + (one.y - other.y) ** 2


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - sRGB's own


def _gamma(channel: float) -> float:
    return channel * 12.92 if channel <= LINEAR_BELOW else 1.055 * channel ** (1 / 2.4) - 0.055
