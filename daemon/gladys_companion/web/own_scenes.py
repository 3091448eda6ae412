"""The scenes that Gladys needs of us: which are wanted, which are there, and making, mending and removing them.

A scene that its user added to is theirs too: mending leaves what they added, and removing says what would go with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Literal, NamedTuple

from msgspec import Struct

from gladys_companion.errors import RequestError
from gladys_companion.gladys_api import GladysApi, GladysScene, open_api
from gladys_companion.gladys_api.own_scenes import (
    OUT_OF_HOME,
    PREFIX,
    crossing,
    left_home,
    members,
    mended,
    out_of_home,
    takes_out,
)
from gladys_companion.presence.in_step import house_of
from gladys_companion.presence.ledger import Books
from gladys_companion.web.service import Service

__all__ = ["OwnScene", "OwnScenes", "make", "remove", "survey"]

LEAVES = "Started when {name} left home, and tells Gladys so. What you add runs then, too."
CROSSES = "Started when {name}. Add what is to happen then."
WAYS: tuple[Literal["entered"], Literal["left"]] = ("entered", "left")
STRAY = "Nobody leaves home or crosses a zone by it."


class OwnScene(Struct, frozen=True, kw_only=True):
    """A scene of ours: ``missing`` in Gladys, ``there``, or ``broken``: there, and without what it is to do.

    ``does`` is what it is to do, in the words of Gladys; ``added`` how many other actions its user added to it.
    ``wanted``: something starts it.
    """

    selector: str
    name: str
    says: str
    does: str
    state: Literal["missing", "there", "broken"]
    wanted: bool = True
    added: int = 0


class OwnScenes(Struct, frozen=True, kw_only=True):
    """All of ours, and sentences on people for whom there can be none."""

    scenes: tuple[OwnScene, ...]
    without: tuple[str, ...] = ()


class _Wanted(NamedTuple):
    """A scene as it should be; with ``house`` a user leaves that by it, with ``zone`` it is started there."""

    selector: str
    name: str
    says: str
    user: str
    house: str | None = None
    zone: str | None = None

    @property
    def does(self) -> str:
        return f"{OUT_OF_HOME} ({self.user} out of {self.house})" if self.house else "nothing yet"

    def works(self, scene: GladysScene) -> bool:
        return self.house is None or takes_out(scene, self.user, self.house)


async def survey(service: Service, zones: Iterable[str]) -> OwnScenes:
    """Return which scenes are wanted, also those of these zones, and which are there. Changes nothing.

    Raises:
        RequestError: 404: no such zone; 409: where Gladys is, is not said.
        AuthError, Unavailable, Rejected: Gladys refused or did not answer.
    """
    books, asked = await _books(service), frozenset(zones)
    if unknown := sorted(asked - {zone.id for zone in books.zones}):
        raise RequestError(404, "ZONE_NOT_FOUND", f"No zone {unknown[0][:80]!r} is known here.", field="zone")
    async with _open(service) as api:
        users, houses = await _known(api)
        there = {one.selector: one for one in await _ours(api)}
    wanted = tuple(_wanted(books, users, houses))
    shown = [one for one in wanted if one.house or one.zone in asked or one.selector in there]
    strays = sorted(there.keys() - {one.selector for one in wanted})
    return OwnScenes(
        scenes=(*(_view(one, there.get(one.selector)) for one in shown), *(_stray(there[one]) for one in strays)),
        without=tuple(_without(books, users, houses)),
    )


async def make(service: Service, selector: str) -> OwnScene:
    """Make a scene that is wanted, or mend it; return it as it is then. Once more does no harm.

    Raises:
        RequestError: 404 ``SCENE_NOT_FOUND``: nothing would start it; 409: where Gladys is, is not said.
        AuthError, Unavailable, Rejected: Gladys refused or did not answer.
    """
    async with _open(service) as api:
        users, houses = await _known(api)
        books = await _books(service)
        wanted = next((one for one in _wanted(books, users, houses) if one.selector == selector), None)
        if wanted is None:
            raise _no_scene(selector, "is of use: nobody that Gladys knows would start it")
        scene = await api.scenes.get(selector)
        if scene is None:
            actions = [] if wanted.house is None else [out_of_home(wanted.user, wanted.house)]
            await api.scenes.create(members(selector, wanted.name, wanted.says, actions))
        elif wanted.house is not None and not wanted.works(scene):
            await api.scenes.change(selector, {"actions": mended(scene, wanted.user, wanted.house)})
        return _view(wanted, await api.scenes.get(selector))


async def remove(service: Service, selector: str) -> None:
    """Delete a scene of ours in Gladys, with what its user added to it.

    Raises:
        RequestError: 404 ``SCENE_NOT_FOUND``: it is none of ours, or not there; 409: where Gladys is, is not said.
        AuthError, Unavailable, Rejected: Gladys refused or did not answer.
    """
    async with _open(service) as api:
        if not selector.startswith(PREFIX) or await api.scenes.get(selector) is None:
            raise _no_scene(selector, "of ours is in Gladys")
        await api.scenes.delete(selector)


async def _books(service: Service) -> Books:
    """Return people and zones, also while the daemon does not run."""
    return await service.presence.desk.read(lambda ledger: ledger.books)


@asynccontextmanager
async def _open(service: Service) -> AsyncIterator[GladysApi]:
    if not service.config.gladys.url:
        raise RequestError(409, "NO_GLADYS", "Where Gladys' API is, is not said: name it in [gladys] url.")
    async with open_api(service.config.gladys) as api:
        yield api


async def _known(api: GladysApi) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the selectors of Gladys' users and houses."""
    users, houses = await api.people.users(), await api.people.houses()
    return frozenset(one.selector for one in users.all), tuple(one.selector for one in houses.all)


async def _ours(api: GladysApi) -> list[GladysScene]:
    """Return our scenes with what they do, which a list does not say."""
    ours = [one.selector for one in (await api.scenes.all()).all if one.selector.startswith(PREFIX)]
    found = [await api.scenes.get(selector) for selector in ours]
    return [scene for scene in found if scene is not None]


def _wanted(books: Books, users: frozenset[str], houses: tuple[str, ...]) -> Iterator[_Wanted]:
    for person in books.people.values():
        user = person.gladys_user
        if user is None or user not in users:
            continue
        house = house_of(person, books.zones, houses)
        if house is not None:
            says = LEAVES.format(name=person.name)
            yield _Wanted(left_home(user), f"{person.name} left home", says, user, house=house)
        for zone in books.zones:
            for way in WAYS:
                name = f"{person.name} {way} {zone.name}"
                yield _Wanted(crossing(way, zone.id, user), name, CROSSES.format(name=name), user, zone=zone.id)


def _without(books: Books, users: frozenset[str], houses: tuple[str, ...]) -> Iterator[str]:
    for person in books.people.values():
        if person.gladys_user is None:
            yield f"Which user of Gladys {person.name} is, is not known: `people edit {person.id} --gladys-user USER`."
        elif person.gladys_user not in users:
            yield f"Gladys has no user {person.gladys_user!r}, which {person.name} is said to be."
        elif house_of(person, books.zones, houses) is None:
            yield f"Which house of Gladys is home to {person.name} is not known: `people edit {person.id} --home ZONE`."


def _view(wanted: _Wanted, scene: GladysScene | None) -> OwnScene:
    state: Literal["missing", "there", "broken"] = "missing"
    if scene is not None:
        state = "there" if wanted.works(scene) else "broken"
    return OwnScene(
        selector=wanted.selector,
        name=scene.name if scene else wanted.name,
        says=wanted.says,
        does=wanted.does,
        state=state,
        added=_added(scene) if scene else 0,
    )


def _stray(scene: GladysScene) -> OwnScene:
    return OwnScene(
        selector=scene.selector, name=scene.name, says=STRAY, does="", state="there", wanted=False, added=_added(scene)
    )


def _added(scene: GladysScene) -> int:
    return sum(action.get("type") != OUT_OF_HOME for step in scene.actions for action in step)


def _no_scene(selector: str, what: str) -> RequestError:
    return RequestError(404, "SCENE_NOT_FOUND", f"No scene {selector[:100]!r} {what}.", field="selector")
