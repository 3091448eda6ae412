"""What people and zones become by what Gladys has, and what is to be done for Gladys to be told of them. Pure.

What the configuration or the user says is never touched: where it has an id already, Gladys' own is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from gladys_companion.gladys_api.household import Household, Place, Resident
from gladys_companion.gladys_api.own_scenes import left_home
from gladys_companion.presence.ledger import Books
from gladys_companion.presence.phones import slug
from gladys_companion.presence.rulebook import home_of
from gladys_companion.store.people import Person, StoredZone
from gladys_companion.store.people_rows import OF_GLADYS

__all__ = ["Step", "advice", "house_of", "in_step"]

Row = TypeVar("Row", Person, StoredZone)


class Step(NamedTuple):
    """The rows of origin ``gladys`` as they should be, and whether that is news."""

    people: tuple[Person, ...]
    zones: tuple[StoredZone, ...]
    news: bool


def in_step(books: Books, found: Household, now: float) -> Step:
    """Return what people and zones from Gladys should be, of which what is known already keeps its id.

    Where not all could be read, nothing is gone.
    """
    own_people = [one for one in books.people.values() if one.origin == "gladys"]
    own_zones = [one for one in books.zones if one.origin == "gladys"]
    people = tuple(_people(books, own_people, found, now))
    zones = tuple(_zones(books, own_zones, found, now))
    if not found.whole:
        people += tuple(one for one in own_people if one.id not in {row.id for row in people})
        zones += tuple(one for one in own_zones if one.id not in {row.id for row in zones})
    news = _told(people, "people") != _told(own_people, "people") or _told(zones, "zones") != _told(own_zones, "zones")
    return Step(people, zones, news)


def _people(books: Books, own: Sequence[Person], found: Household, now: float) -> Iterator[Person]:
    others = [one for one in books.people.values() if one.origin != "gladys"]
    linked, taken = {one.gladys_user for one in others}, {one.id for one in others}
    known = {one.gladys_user_id: one for one in own} | {one.gladys_user: one for one in own}
    ids = _Ids(taken, (one.id for one in own))
    for resident in found.residents:
        if resident.user in linked:
            continue
        before = known.get(resident.id) or known.get(resident.user)
        row_id = before.id if before else ids.free(slug(resident.user), f"user-{slug(resident.user)}")
        if row_id is None:
            continue
        yield Person(
            id=row_id,
            name=resident.name,
            origin="gladys",
            gladys_user=resident.user,
            gladys_user_id=resident.id,
            gladys_house=_lives_in(resident, before, found),
            created_at=now,
        )


def _lives_in(resident: Resident, before: Person | None, found: Household) -> str | None:
    """Return the house of a user, of whom Gladys only knows where they are: the one in which they were seen first."""
    if before is not None and before.gladys_house in found.houses:
        return before.gladys_house
    return found.houses[0] if len(found.houses) == 1 else resident.house


def _zones(books: Books, own: Sequence[StoredZone], found: Household, now: float) -> Iterator[StoredZone]:
    others = [one for one in books.zones if one.origin != "gladys"]
    theirs, taken = {one.gladys for one in others}, {one.id for one in others}
    known = {one.gladys: one for one in own}
    ids = _Ids(taken, (one.id for one in own))
    has_home = any(one.home for one in books.zones)
    for place in found.places:
        if place.of in theirs:
            continue
        before = known.get(place.of)
        kind, _, selector = place.of.partition(":")
        row_id = before.id if before else ids.free(slug(selector), f"{kind}-{slug(selector)}")
        if row_id is None:
            continue
        home = before.home if before else place.house is not None and not has_home
        has_home = has_home or home
        yield _zone(row_id, place, now, home=home)


def _zone(row_id: str, place: Place, now: float, *, home: bool) -> StoredZone:
    return StoredZone(
        id=row_id,
        name=place.name,
        latitude=place.latitude,
        longitude=place.longitude,
        radius=place.radius,
        home=home,
        gladys=place.of,
        origin="gladys",
        made_at=now,
    )


class _Ids:
    """Gives ids to what is new: none where the user has something of that id, another where we have."""

    def __init__(self, taken: Iterable[str], own: Iterable[str]) -> None:
        self._taken, self._own = frozenset(taken), set(own)

    def free(self, wished: str, else_: str) -> str | None:
        if wished in self._taken:
            return None
        found, number = wished, 1
        while found in self._own or found in self._taken:
            found, number = (else_ if number == 1 else f"{else_}-{number}"), number + 1
        self._own.add(found)
        return found


def _told(rows: Iterable[Row], table: str) -> dict[str, tuple[object, ...]]:
    return {row.id: tuple(getattr(row, name) for name in sorted(OF_GLADYS[table])) for row in rows}


def house_of(person: Person, zones: Iterable[StoredZone], houses: Sequence[str]) -> str | None:
    """Return the house of Gladys that is a person's home: of its zone, else their own, else the only one."""
    home = home_of(person, zones)
    kind, _, selector = ((home.gladys if home else None) or "").partition(":")
    wanted = selector if kind == "house" else person.gladys_house
    if wanted is None:
        return houses[0] if len(houses) == 1 else None
    return wanted if wanted in houses else None


def advice(books: Books, found: Household) -> tuple[str, ...]:
    """Return sentences on what is to be done for Gladys to be told of people, worst first."""
    users = {one.user for one in found.residents}
    linked = [one for one in books.people.values() if one.gladys_user]
    carrying = [one for one in linked if one.gladys_user in users and books.carried(one.id)]
    known = {one.gladys_user for one in linked}
    return (
        *(_unknown(one) for one in linked if one.gladys_user not in users),
        *(_homeless(one) for one in carrying if house_of(one, books.zones, found.houses) is None),
        *_stuck([one.name for one in carrying if left_home(one.gladys_user or "") not in found.scenes]),
        *(_unlinked(books.people[user], user) for user in sorted(users - known) if user in books.people),
        *(f"Gladys does not say where {name!r} is: set its place there to make it a zone." for name in found.nowhere),
    )


def _unknown(person: Person) -> str:
    return f"Gladys has no user {person.gladys_user!r}, which {person.name} is said to be."


def _homeless(person: Person) -> str:
    return (
        f"Which house of Gladys is home to {person.name} is not known: `gladys-companion people edit {person.id} "
        "--home ZONE`, or `--gladys-house HOUSE`."
    )


def _stuck(names: Sequence[str]) -> Iterator[str]:
    if names:
        leave = "leave" if len(names) > 1 else "leaves"
        yield (
            f"Gladys can not be told when {' and '.join(names)} {leave}: `gladys-companion gladys setup` makes the "
            "scene for that."
        )


def _unlinked(person: Person, user: str) -> str:
    how = (
        f'gladys_user = "{user}" in [people.{person.id}]'
        if person.origin == "toml"
        else f"`gladys-companion people edit {person.id} --gladys-user {user}`"
    )
    return f"Gladys has a user {user!r}, and is not told of {person.name}: if they are one, say so with {how}."
