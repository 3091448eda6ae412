"""Pictures that pages draw themselves, as SVG shapes: a feature's history, and where somebody was. Pure.

They take their colours from the page's style, so that they are right in light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

__all__ = ["Circle", "Map", "Plot", "Tile", "Zone", "draw_map", "draw_plot"]

WIDTH, HEIGHT, MARGIN = 640.0, 220.0, 8.0
MOST_POINTS = 800
METRES_PER_DEGREE = 111_320.0
EQUATOR = 360.0 * METRES_PER_DEGREE
MERCATOR = 85.05  # degrees, where Web Mercator ends
MOST_ZOOM = 19
SMALLEST = 200.0  # metres that a map shows at least


class Plot(Struct, frozen=True):
    """A step line in a box of ``WIDTH`` by ``HEIGHT``; ``low`` and ``high`` are the values at its edges."""

    path: str
    low: float
    high: float
    width: float = WIDTH
    height: float = HEIGHT


class Zone(Struct, frozen=True):
    """A circle on the ground: degrees and metres."""

    name: str
    latitude: float
    longitude: float
    radius: float


class Circle(Struct, frozen=True):
    """A circle in the picture."""

    x: float
    y: float
    radius: float
    name: str = ""


class Tile(Struct, frozen=True):
    """A picture of a map's ground, from a server of tiles."""

    address: str
    x: float
    y: float
    width: float
    height: float


class Map(Struct, frozen=True):
    """Zones, how sure each position is, and the way between them, in a square of ``size``."""

    zones: Sequence[Circle]
    sure: Sequence[Circle]
    path: str
    last: Circle | None
    metres: float  # that its width stands for
    people: Sequence[Circle] = ()
    tiles: Sequence[Tile] = ()
    size: float = WIDTH


def draw_plot(points: Sequence[tuple[float, float]], since: float, until: float) -> Plot | None:
    """Return the values of a time as steps: each lasts until the next. None when there is none."""
    if not points or until <= since:
        return None
    low, high = min(value for _, value in points), max(value for _, value in points)
    span = (high - low) or 1.0
    usable = HEIGHT - 2 * MARGIN

    def x(at: float) -> float:
        return round(WIDTH * (min(max(at, since), until) - since) / (until - since), 1)

    def y(value: float) -> float:
        return round(HEIGHT - MARGIN - usable * (value - low) / span, 1)

    step = max(1, math.ceil(len(points) / MOST_POINTS))
    shown = [*points[::step], points[-1]]
    parts = [f"M{x(shown[0][0])} {y(shown[0][1])}"]
    parts += [f"H{x(at)}V{y(value)}" for at, value in shown[1:]]
    return Plot("".join([*parts, f"H{WIDTH}"]), low, high)


def draw_map(
    positions: Sequence[tuple[float, float, float | None]],
    zones: Sequence[Zone],
    *,
    names: Sequence[str] = (),
    tiles: str = "",
) -> Map | None:
    """Return where somebody was: positions (latitude, longitude, accuracy in metres), oldest first. None without any.

    With ``names`` they are where several people are, one position each. ``tiles`` is the address of a server of tiles
    (``https://.../{z}/{x}/{y}.png``), or empty. A plane is good enough for a town; the map is as large as the way, with
    the zones that it touches.
    """
    if not positions:
        return None
    latitude, longitude = positions[-1][:2]
    narrow = max(0.01, math.cos(math.radians(latitude)))

    def ground(lat: float, lon: float) -> tuple[float, float]:
        east = (lon - longitude + 180.0) % 360.0 - 180.0  # the short way over the date line
        return east * METRES_PER_DEGREE * narrow, (lat - latitude) * METRES_PER_DEGREE

    way = [ground(lat, lon) for lat, lon, _ in positions]
    left, right = min(east for east, _ in way), max(east for east, _ in way)
    low, high = min(north for _, north in way), max(north for _, north in way)
    metres = max(right - left, high - low, SMALLEST) * 1.4
    middle = (left + right) / 2, (low + high) / 2
    scale = WIDTH / metres

    def picture(east: float, north: float) -> tuple[float, float]:
        return (
            round(WIDTH / 2 + (east - middle[0]) * scale, 1),
            round(WIDTH / 2 - (north - middle[1]) * scale, 1),
        )

    near = []
    for zone in zones:
        east, north = ground(zone.latitude, zone.longitude)
        if math.hypot(east - middle[0], north - middle[1]) < metres + zone.radius:
            near.append(Circle(*picture(east, north), round(zone.radius * scale, 1), zone.name))
    points = [picture(*one) for one in way]
    sure = [
        Circle(*point, round(accuracy * scale, 1))
        for point, (_, _, accuracy) in zip(points, positions, strict=True)
        if accuracy is not None and accuracy < metres
    ]
    people = [Circle(*point, 5.0, name) for point, name in zip(points, names, strict=False)]
    path = "" if people else "M" + "L".join(f"{x} {y}" for x, y in points)
    return Map(
        near,
        sure,
        path,
        None if people else Circle(*points[-1], 5.0),
        metres,
        people,
        _tiles(tiles, _Frame(latitude, longitude, narrow, middle, metres)) if tiles else (),
    )


class _Frame(Struct, frozen=True):
    """The plane of a map: its origin in degrees, how narrow a degree of longitude is; middle and width in metres."""

    latitude: float
    longitude: float
    narrow: float
    middle: tuple[float, float]
    metres: float


def _tiles(server: str, frame: _Frame) -> Sequence[Tile]:
    """Return the tiles below a map (Web Mercator, as OpenStreetMap's wiki has it under "Slippy map tilenames")."""
    zoom = math.floor(math.log2(EQUATOR * frame.narrow / frame.metres)) + 1
    zoom = min(max(zoom, 0), MOST_ZOOM)
    count, half = 2**zoom, frame.metres / 2

    def column(east: float) -> float:
        return float((frame.longitude + east / METRES_PER_DEGREE / frame.narrow + 180.0) / 360.0 * count)

    def row(north: float) -> float:
        latitude = math.radians(min(max(frame.latitude + north / METRES_PER_DEGREE, -MERCATOR), MERCATOR))
        return float((1 - math.asinh(math.tan(latitude)) / math.pi) / 2 * count)

    left, right = column(frame.middle[0] - half), column(frame.middle[0] + half)
    top, bottom = row(frame.middle[1] + half), row(frame.middle[1] - half)
    wide, high = WIDTH / (right - left), WIDTH / max(bottom - top, 1e-9)
    return [
        Tile(
            server.replace("{z}", str(zoom)).replace("{x}", str(x % count)).replace("{y}", str(y)),
            round((x - left) * wide, 2),
            round((y - top) * high, 2),
            round(wide, 2),
            round(high, 2),
        )
        for x in range(math.floor(left), math.floor(right) + 1)
        for y in range(max(0, math.floor(top)), min(count - 1, math.floor(bottom)) + 1)
    ]
