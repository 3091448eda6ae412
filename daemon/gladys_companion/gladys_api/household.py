"""Who lives here and which places matter, as Gladys had it at one moment."""

from __future__ import annotations

import math

from msgspec import Struct

from gladys_companion.gladys_api._messages import GladysArea, GladysHouse, GladysScene, GladysUser, Some, moment

__all__ = ["Household", "Place", "Resident", "household"]

HOUSE, AREA = "house:", "area:"


class Resident(Struct, frozen=True, kw_only=True):
    """A user of Gladys. ``house`` is the selector of the house in which Gladys has them, None where in none.

    ``changed`` is when that changed last, in seconds since the epoch.
    """

    id: str
    user: str
    name: str
    house: str | None = None
    changed: float | None = None


class Place(Struct, frozen=True, kw_only=True):
    """A house or an area, in degrees and metres; ``of`` is ``house:`` or ``area:`` and its selector."""

    of: str
    name: str
    latitude: float
    longitude: float
    radius: float

    @property
    def house(self) -> str | None:
        """The selector of the house that it is, if it is one."""
        return self.of.removeprefix(HOUSE) if self.of.startswith(HOUSE) else None


class Household(Struct, frozen=True, kw_only=True):
    """All of it. ``houses`` and ``scenes`` are selectors; ``nowhere`` names what Gladys has no sensible place for.

    ``whole``: all could be read, so that what is not there is gone. ``catch_up``: Gladys is to be told of who came home
    or left what it missed.
    """

    residents: tuple[Resident, ...] = ()
    places: tuple[Place, ...] = ()
    houses: tuple[str, ...] = ()
    scenes: frozenset[str] = frozenset()
    nowhere: tuple[str, ...] = ()
    whole: bool = True
    catch_up: bool = False


def household(
    users: Some[GladysUser],
    houses: Some[GladysHouse],
    areas: Some[GladysArea],
    scenes: Some[GladysScene],
    *,
    house_radius: float,
    catch_up: bool = False,
) -> Household:
    """Return what these listings say; Gladys keeps no radius of houses, so they get one in metres."""
    selectors = {one.id: one.selector for one in houses.all}
    places, nowhere = [], []
    for house in houses.all:
        place = _place(f"{HOUSE}{house.selector}", house.name, house.latitude, house.longitude, house_radius)
        places.append(place) if place else nowhere.append(house.name)
    for area in areas.all:
        place = _place(f"{AREA}{area.selector}", area.name, area.latitude, area.longitude, area.radius)
        places.append(place) if place else nowhere.append(area.name)
    return Household(
        residents=tuple(
            Resident(
                id=one.id,
                user=one.selector,
                name=(one.firstname or "").strip() or one.selector,
                house=selectors.get(one.current_house_id or ""),
                changed=moment(one.last_house_changed),
            )
            for one in users.all
        ),
        places=tuple(places),
        houses=tuple(selectors.values()),
        scenes=frozenset(one.selector for one in scenes.all),
        nowhere=tuple(nowhere),
        whole=not users.odd + houses.odd + areas.odd,
        catch_up=catch_up,
    )


def _place(of: str, name: str, latitude: float | None, longitude: float | None, radius: float) -> Place | None:
    """Return a place on the earth; None where it is none."""
    if latitude is None or longitude is None or not all(map(math.isfinite, (latitude, longitude, radius))):
        return None
    if abs(latitude) > 90 or abs(longitude) > 180 or radius <= 0:  # noqa: PLR2004 - degrees
        return None
    return Place(of=of, name=name.strip() or of, latitude=latitude, longitude=longitude, radius=radius)
