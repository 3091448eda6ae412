"""What people and zones become by what Gladys has, and what is to be done for Gladys to be told of them. Pure.

What the configuration or the user says is never touched: it only learns what it is in Gladys, if it is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from gladys_companion.gladys_api.household import Household, Resident
from gladys_companion.gladys_api.own_scenes import left_home
from gladys_companion.presence.ledger import Books
from gladys_companion.presence.phones import slug
from gladys_companion.presence.rulebook import home_of
from gladys_companion.store.people import Person, StoredZone
from gladys_companion.store.people_rows import LINKS, OF_GLADYS

__all__ = ["Step", "advice", "house_of", "in_step"]

Row = TypeVar("Row", Person, StoredZone)


class Step(NamedTuple):
    """The rows as Gladys wants them (``store.people`` merges them), and whether that changes anything."""

    people: tuple[Person, ...]
    zones: tuple[StoredZone, ...]
    news: bool


def in_step(books: Books, found: Household, now: float) -> Step:
    """Return what people and zones should be by what Gladys has; what is known already keeps its id.

    Where not all could be read, nothing is gone.
    """
    people = {one.id: one for one in books.people.values()}
    zones = {one.id: one for one in books.zones}
    wanted_people = tuple(_people(people, found, now))
    wanted_zones = tuple(_zones(zones, found, now))
    if not found.whole:
        wanted_people += _left_out(people, wanted_people)
        wanted_zones += _left_out(zones, wanted_zones)
    news = _is_news(people, wanted_people, "people") or _is_news(zones, wanted_zones, "zones")
    return Step(wanted_people, wanted_zones, news)


def _people(known: Mapping[str, Person], found: Household, now: float) -> Iterator[Person]:
    ids = _Ids(known)
    own = [one for one in known.values() if one.origin == "gladys"]
    by_user = {one.gladys_user: one for one in (*own, *(one for one in known.values() if one.origin != "gladys"))}
    by_id = {one.gladys_user_id: one for one in own}
    for resident in found.residents:
        name = slug(resident.user)
        before = by_user.get(resident.user) or by_id.get(resident.id) or _unlinked(known.get(name))
        yield Person(
            id=before.id if before else ids.free(name, f"user-{name}"),
            name=resident.name,
            origin="gladys",
            gladys_user=resident.user,
            gladys_user_id=resident.id,
            gladys_house=_lives_in(resident, before, found),
            created_at=now,
        )


def _lives_in(resident: Resident, before: Person | None, found: Household) -> str | None:
    """Return the house of a user, of whom Gladys only knows where they are: the one in which they were seen first."""
    said = None if before is None else before.gladys_house
    if before is not None and said is not None and (said in found.houses or before.origin != "gladys"):
        return said
    return found.houses[0] if len(found.houses) == 1 else resident.house


def _zones(known: Mapping[str, StoredZone], found: Household, now: float) -> Iterator[StoredZone]:
    ids = _Ids(known)
    by_place = {one.gladys: one for one in known.values()}
    there = {place.of for place in found.places}
    has_home = any(one.home for one in known.values() if one.origin != "gladys" or one.gladys in there)
    for place in found.places:
        kind, _, selector = place.of.partition(":")
        name = slug(selector)
        before = by_place.get(place.of) or _unlinked(known.get(name))
        home = before.home if before else place.house is not None and not has_home
        has_home = has_home or home
        yield StoredZone(
            id=before.id if before else ids.free(name, f"{kind}-{name}"),
            name=place.name,
            latitude=place.latitude,
            longitude=place.longitude,
            radius=place.radius,
            home=home,
            gladys=place.of,
            origin="gladys",
            made_at=now,
        )


def _unlinked(row: Row | None) -> Row | None:
    """Return a row of the same id, unless it is somebody or something else in Gladys."""
    if row is None:
        return None
    name = "gladys_user" if "gladys_user" in row.__struct_fields__ else "gladys"
    return row if getattr(row, name) is None else None


class _Ids:
    """Gives ids to what is new."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def free(self, wished: str, else_: str) -> str:
        found, number = wished, 1
        while found in self._taken:
            found, number = (else_ if number == 1 else f"{else_}-{number}"), number + 1
        self._taken.add(found)
        return found


def _left_out(known: Mapping[str, Row], wanted: Iterable[Row]) -> tuple[Row, ...]:
    there = {one.id for one in wanted}
    return tuple(one for one in known.values() if one.origin == "gladys" and one.id not in there)


def _is_news(known: Mapping[str, Row], wanted: Sequence[Row], table: str) -> bool:
    return bool(_left_out(known, wanted)) or any(_changes(known.get(one.id), one, table) for one in wanted)


def _changes(before: Row | None, wanted: Row, table: str) -> bool:
    """Return whether a row becomes another; of the user's own only what it is in Gladys, where that is not said."""
    if before is None:
        return True
    if before.origin == "gladys":
        return any(getattr(before, name) != getattr(wanted, name) for name in OF_GLADYS[table])
    links = [(getattr(before, name), getattr(wanted, name)) for name in LINKS & set(before.__struct_fields__)]
    if any(None not in pair and pair[0] != pair[1] for pair in links):
        return False
    return any(mine is None and theirs is not None for mine, theirs in links)


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
    return (
        *(_unknown(one) for one in linked if one.gladys_user not in users),
        *(_homeless(one) for one in carrying if house_of(one, books.zones, found.houses) is None),
        *_stuck([one.name for one in carrying if left_home(one.gladys_user or "") not in found.scenes]),
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
