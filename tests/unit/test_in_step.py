"""What people and zones become by what Gladys has, and what is said to be done about it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from gladys_companion.gladys_api import GladysArea, GladysHouse, GladysScene, GladysUser, Some
from gladys_companion.gladys_api.household import Household, household
from gladys_companion.presence.in_step import Step, advice, house_of, in_step
from gladys_companion.presence.ledger import Books
from gladys_companion.store.people import Origin, Person, Phone, StoredZone

HOUSE = GladysHouse(id="h-1", selector="main-house", name="Main house", latitude=48.8, longitude=2.3)
COTTAGE = GladysHouse(id="h-2", selector="cottage", name="Cottage", latitude=43.6, longitude=3.9)
WORK = GladysArea(selector="work", name="Work", latitude=48.9, longitude=2.3, radius=250)
ANNA = GladysUser(id="u-1", selector="anna", firstname="Anna", last_house_changed="2023-11-14T22:13:20.250Z")
BOB = GladysUser(id="u-2", selector="bob", firstname=" ", current_house_id="h-1")


def has(
    users: Iterable[GladysUser] = (ANNA, BOB),
    houses: Iterable[GladysHouse] = (HOUSE,),
    areas: Iterable[GladysArea] = (WORK,),
    scenes: Iterable[str] = (),
    odd: int = 0,
) -> Household:
    return household(
        Some(all=tuple(users), odd=odd),
        Some(all=tuple(houses)),
        Some(all=tuple(areas)),
        Some(all=tuple(GladysScene(selector=one, name=one) for one in scenes)),
        house_radius=120,
    )


def books(*rows: Person | Phone | StoredZone) -> Books:
    return Books(
        {one.id: one for one in rows if isinstance(one, Person)},
        {one.id: one for one in rows if isinstance(one, Phone)},
        tuple(one for one in rows if isinstance(one, StoredZone)),
    )


def zone(row_id: str, **more: Any) -> StoredZone:
    return StoredZone(**{"id": row_id, "name": row_id, "latitude": 1.0, "longitude": 1.0, "radius": 90.0, **more})


def after(found: Household, *rows: Person | Phone | StoredZone) -> Books:
    """Return the books once what Gladys has was taken over, where nothing of the user's was there before."""
    step = in_step(books(*rows), found, 5.0)
    return books(*step.people, *step.zones)


def ids(step: Step) -> list[str]:
    return [one.id for one in step.people] + [one.id for one in step.zones]


def test_users_become_people_and_houses_and_areas_zones() -> None:
    """With the ids that Gladys uses, the configured radius of a house, and the only house as everybody's home."""
    step = in_step(books(), has(), 5.0)
    assert step.news
    assert [(one.id, one.name, one.gladys_user, one.gladys_user_id, one.gladys_house) for one in step.people] == [
        ("anna", "Anna", "anna", "u-1", "main-house"),
        ("bob", "bob", "bob", "u-2", "main-house"),
    ]
    assert [(one.id, one.name, one.radius, one.home, one.gladys) for one in step.zones] == [
        ("main-house", "Main house", 120, True, "house:main-house"),
        ("work", "Work", 250, False, "area:work"),
    ]
    assert {one.origin for one in step.people} | {one.origin for one in step.zones} == {"gladys"}


def test_the_same_again_is_no_news() -> None:
    """Nobody is judged anew each minute, whatever the user added to what came from Gladys."""
    known = after(has())
    assert not in_step(known, has(), 9.0).news
    mine = [zone(one.id, **{**_fields(one), "networks": ("wifi",), "exit_radius": 300.0}) for one in known.zones]
    assert not in_step(books(*known.people.values(), *mine), has(), 9.0).news


def _fields(one: StoredZone) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


def test_what_is_renamed_and_moved_keeps_its_id() -> None:
    """A user is known by the id that Gladys never changes, a place by its selector."""
    known = after(has())
    renamed = GladysUser(id="u-1", selector="anna-marie", firstname="Anna Marie")
    moved = GladysHouse(id="h-1", selector="main-house", name="Our house", latitude=1.0, longitude=2.0)
    step = in_step(known, has(users=[renamed, BOB], houses=[moved]), 9.0)
    assert step.news
    (anna, _), (house, _) = step.people, step.zones
    assert (anna.id, anna.name, anna.gladys_user) == ("anna", "Anna Marie", "anna-marie")
    assert (house.id, house.name, house.latitude) == ("main-house", "Our house", 1.0)


def test_what_is_gone_is_gone_unless_something_could_not_be_read() -> None:
    """An answer that is not whole proves nothing."""
    known = after(has())
    less = in_step(known, has(users=[ANNA], areas=[]), 9.0)
    assert less.news
    assert ids(less) == ["anna", "main-house"]
    odd = in_step(known, has(users=[ANNA], areas=[], odd=1), 9.0)
    assert not odd.news
    assert ids(odd) == ["anna", "bob", "main-house", "work"]


@pytest.mark.parametrize("origin", ["toml", "user"])
def test_who_is_there_already_is_linked(origin: Origin) -> None:
    """By the user they name, or by the same id; what is said of them is only added to where nothing is said."""
    mum = Person(id="mum", name="Mum", origin=origin, gladys_user="anna")
    bob = Person(id="bob", name="Robert", origin=origin, gladys_house="cottage")
    work = zone("work", origin=origin)
    step = in_step(books(mum, bob, work), has(), 5.0)
    assert step.news
    assert [(one.id, one.gladys_user, one.gladys_house) for one in step.people] == [
        ("mum", "anna", "main-house"),
        ("bob", "bob", "cottage"),
    ]
    assert [one.id for one in step.zones] == ["main-house", "work"]
    linked = books(
        Person(
            id="mum", name="Mum", origin=origin, gladys_user="anna", gladys_user_id="u-1", gladys_house="main-house"
        ),
        Person(id="bob", name="Robert", origin=origin, gladys_user="bob", gladys_user_id="u-2", gladys_house="cottage"),
        zone("work", origin=origin, gladys="area:work"),
        step.zones[0],
    )
    assert not in_step(linked, has(), 5.0).news


def test_somebody_else_of_the_same_id_is_left_alone() -> None:
    """Then Gladys' own get other ids."""
    other = Person(id="anna", name="Anna", gladys_user="bob")
    elsewhere = zone("work", gladys="area:office")
    step = in_step(books(other, elsewhere), has(), 5.0)
    assert [(one.id, one.gladys_user) for one in step.people] == [("user-anna", "anna"), ("anna", "bob")]
    assert [one.id for one in step.zones] == ["main-house", "area-work"]


def test_a_house_and_an_area_may_be_called_the_same() -> None:
    """Both are zones."""
    area = GladysArea(selector="main-house", name="Main house", latitude=1.0, longitude=1.0, radius=90.0)
    assert [one.id for one in in_step(books(), has(areas=[area]), 5.0).zones] == ["main-house", "area-main-house"]


def test_with_two_houses_each_lives_where_they_were_seen_first() -> None:
    """Gladys only knows where its users are; a holiday elsewhere moves nobody's home."""
    first = after(has(houses=[HOUSE, COTTAGE]))
    assert [one.gladys_house for one in first.people.values()] == [None, "main-house"]
    assert [one.home for one in first.zones] == [True, False, False]
    away = GladysUser(id="u-2", selector="bob", current_house_id="h-2")
    second = in_step(first, has(users=[ANNA, away], houses=[HOUSE, COTTAGE]), 9.0)
    assert not second.news


def test_a_home_of_the_users_stays_the_only_one() -> None:
    """A house of Gladys is nobody's home by itself where one is; and a new house is, where the old one is gone."""
    assert not any(one.home for one in in_step(books(zone("flat", home=True)), has(), 5.0).zones)
    moved = in_step(after(has()), has(houses=[COTTAGE]), 9.0)
    assert [(one.id, one.home) for one in moved.zones] == [("cottage", True), ("work", False)]


@pytest.mark.parametrize(
    ("latitude", "longitude", "radius"),
    [(None, 2.0, 9.0), (91.0, 2.0, 9.0), (1.0, -181.0, 9.0), (float("nan"), 2.0, 9.0), (1.0, 2.0, 0.0)],
)
def test_what_is_nowhere_is_no_zone(latitude: float | None, longitude: float, radius: float) -> None:
    """And is named, so that its owner can say where it is."""
    odd = GladysArea(selector="x", name="Nowhere", latitude=latitude or 91.0, longitude=longitude, radius=radius)
    house = GladysHouse(id="h", selector="h", name="House", latitude=latitude, longitude=longitude)
    found = has(houses=[house] if latitude is None else [], areas=[] if latitude is None else [odd])
    assert found.places == ()
    assert advice(books(), found) == (
        f"Gladys does not say where {found.nowhere[0]!r} is: set its place there to make it a zone.",
    )
    assert found.nowhere == (("House",) if latitude is None else ("Nowhere",))


def test_the_house_of_a_person_is_that_of_their_home() -> None:
    """Else the one they name, else the only one; one that Gladys has not is none."""
    zones = [zone("a", gladys="house:a"), zone("b", gladys="area:b")]
    assert house_of(Person(id="p", name="P", home="a", gladys_house="b"), zones, ["a", "b"]) == "a"
    assert house_of(Person(id="p", name="P", home="b", gladys_house="b"), zones, ["a", "b"]) == "b"
    assert house_of(Person(id="p", name="P"), (), ["a"]) == "a"
    assert house_of(Person(id="p", name="P"), (), ["a", "b"]) is None
    assert house_of(Person(id="p", name="P", gladys_house="c"), (), ["a"]) is None


def test_what_is_to_be_done_is_said() -> None:
    """Of people who carry something; of others nothing can be told anyway."""
    anna = Person(id="anna", name="Anna", gladys_user="anna")
    bob = Person(id="bob", name="Bob", gladys_user="bobby")
    carried = Phone(id="iphone", name="iPhone", person="anna")
    two = [HOUSE, COTTAGE]
    assert advice(books(anna), has(houses=two)) == ()
    unknown, homeless, stuck = advice(books(anna, bob, carried), has(houses=two))
    assert unknown == "Gladys has no user 'bobby', which Bob is said to be."
    assert homeless.startswith("Which house of Gladys is home to Anna is not known: `gladys-companion people edit anna")
    assert stuck == "Gladys can not be told when Anna leaves: `gladys-companion gladys setup` makes the scene for that."
    assert advice(books(anna, carried), has(scenes=["companion-left-home-anna"])) == ()
