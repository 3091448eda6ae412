"""The routes about people: who is where and why, and what they carry."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from aiohttp import web
from msgspec import UNSET, Struct, structs
from sqlite_utils import Database

from gladys_companion.errors import RequestError
from gladys_companion.presence import asked
from gladys_companion.presence.phones import UNNAMED, slug
from gladys_companion.store import people as rows
from gladys_companion.store.people import Person, Phone
from gladys_companion.web import people_views as views
from gladys_companion.web.bodies import decode_body
from gladys_companion.web.route import Call, Route, number, route
from gladys_companion.web.service import Service

__all__ = ["PEOPLE_ROUTES", "free_id", "removal", "wished"]

LISTED, MOST_LISTED = 20, 1_000


def wished(wish: Struct) -> dict[str, object]:
    """Return the fields that were given."""
    return {name: value for name, value in structs.asdict(wish).items() if value is not UNSET}


def free_id(name: str, given: str | None, taken: Iterable[str], what: str) -> str:
    """Return the id that was given, or one made of the name.

    Raises:
        RequestError: 409 when it is taken.
    """
    known = set(taken)
    row_id = given or slug(name)
    if row_id == UNNAMED and given is None:  # the name has no letter that an id may have
        row_id = next(one for number in range(1, len(known) + 2) if (one := f"{UNNAMED}-{number}") not in known)
    if row_id in known:
        raise RequestError(
            409, "ALREADY_EXIST", f"There is a {what} {row_id!r} already: choose another id.", field="id"
        )
    return row_id


async def _people(service: Service, _: web.Request) -> object:
    return await service.presence.desk.read(asked.people)


async def _person(service: Service, request: web.Request) -> object:
    return (await _whys(service, request.match_info["id"], 0)).person


async def _whys(service: Service, person_id: str, limit: int) -> asked.Why:
    return await service.presence.desk.read(
        lambda ledger: asked.why(ledger, rows.person(ledger.database, person_id), limit)
    )


async def _why(service: Service, request: web.Request) -> object:
    asked_for = number(request, "limit")
    limit = min(LISTED if asked_for is None else asked_for, MOST_LISTED)
    return await _whys(service, request.match_info["id"], limit)


async def _add_person(service: Service, request: web.Request) -> object:
    wish = await decode_body(request, views.AddPerson)
    now = service.clock.now()

    def job(database: Database) -> str:
        _check_zone(database, wish.home)
        row_id = free_id(wish.name, wish.id, (one.id for one in rows.people(database)), "person")
        fields = {**structs.asdict(wish), "id": row_id}
        rows.put_person(database, Person(**fields, created_at=now))
        return row_id

    return (await _whys(service, await service.presence.change(job), 0)).person


def _check_zone(database: Database, zone_id: object) -> None:
    if isinstance(zone_id, str):
        rows.zone(database, zone_id)


async def _change_person(service: Service, request: web.Request) -> object:
    wish, row_id = await decode_body(request, views.ChangePerson), request.match_info["id"]

    def job(database: Database) -> None:
        before = rows.person(database, row_id)
        if wish.home is not UNSET:
            _check_zone(database, wish.home)
        fields = wished(wish)
        if wish.gladys_user not in {UNSET, before.gladys_user}:
            fields["gladys_user_id"] = None  # of another user
        rows.put_person(database, structs.replace(before, **fields, origin="user"))

    await service.presence.change(job)
    return (await _whys(service, row_id, 0)).person


def removal(remove: Callable[[Database, str], None]) -> Call:
    """Return what removes a row of some kind."""

    async def call(service: Service, request: web.Request) -> object:
        row_id = request.match_info["id"]
        await service.presence.change(lambda database: remove(database, row_id))
        return {}

    return call


async def _phones(service: Service, _: web.Request) -> object:
    return await service.presence.desk.read(asked.phones)


async def _phone(service: Service, phone_id: str) -> asked.PhoneView:
    found = await service.presence.desk.read(asked.phones)
    return next(one for one in found if one.id == phone_id)


async def _add_phone(service: Service, request: web.Request) -> object:
    wish = await decode_body(request, views.AddPhone)
    now = service.clock.now()

    def job(database: Database) -> str:
        if wish.person is not None:
            rows.person(database, wish.person)
        row_id = free_id(wish.name, wish.id, (one.id for one in rows.phones(database)), "phone")
        fields = {**structs.asdict(wish), "id": row_id, "key_id": wish.key}
        del fields["key"]
        rows.put_phone(database, _known_by(Phone(**fields, created_at=now)))
        return row_id

    return await _phone(service, await service.presence.change(job))


def _known_by(phone: Phone) -> Phone:
    names = (phone.app, phone.user, phone.device, phone.key_id)
    if all(name is None for name in names) and not phone.features and not phone.devices:
        sentence = "Say by what the phone is known: user, device, key, app, features or devices."
        raise RequestError(422, "INVALID_FIELD", sentence, field="user")
    return phone


async def _change_phone(service: Service, request: web.Request) -> object:
    wish, row_id = await decode_body(request, views.ChangePhone), request.match_info["id"]

    def job(database: Database) -> None:
        before = rows.phone(database, row_id)
        if isinstance(wish.person, str):
            rows.person(database, wish.person)
        fields = wished(wish)
        if "key" in fields:
            fields["key_id"] = fields.pop("key")
        rows.put_phone(database, _known_by(structs.replace(before, **fields, origin="user")))

    await service.presence.change(job)
    return await _phone(service, row_id)


async def _passphrase(service: Service, request: web.Request) -> object:
    wish = await decode_body(request, views.Passphrase)
    again = await service.presence.set_passphrase(request.match_info["id"], wish.passphrase)
    return views.Reread(messages=again)


async def _no_passphrase(service: Service, request: web.Request) -> object:
    await service.presence.set_passphrase(request.match_info["id"], None)
    return {}


PEOPLE_ROUTES: tuple[Route, ...] = (
    route(
        "GET",
        "/api/people",
        _people,
        summary="Everybody, where they are, and why",
        answer=tuple[asked.PersonView, ...],
        reads=True,
    ),
    route("GET", "/api/people/{id}", _person, summary="One person", answer=asked.PersonView, reads=True),
    route(
        "GET",
        "/api/people/{id}/why",
        _why,
        summary="Where a person is towards every zone, what was decided, and what was told",
        query={"limit": f"how many decisions and positions, at most {MOST_LISTED}; 20 unless said"},
        answer=asked.Why,
        reads=True,
    ),
    route("POST", "/api/people", _add_person, summary="Add a person", body=views.AddPerson, answer=asked.PersonView),
    route(
        "PATCH",
        "/api/people/{id}",
        _change_person,
        summary="Change a person",
        body=views.ChangePerson,
        answer=asked.PersonView,
    ),
    route(
        "DELETE",
        "/api/people/{id}",
        removal(rows.remove_person),
        summary="Forget a person, and where they were",
        answer=None,
    ),
    route(
        "GET",
        "/api/phones",
        _phones,
        summary="What people carry, and what is nobody's yet",
        answer=tuple[asked.PhoneView, ...],
        reads=True,
    ),
    route(
        "POST",
        "/api/phones",
        _add_phone,
        summary="Announce a phone: whose it is, and what it calls itself",
        body=views.AddPhone,
        answer=asked.PhoneView,
    ),
    route(
        "PATCH",
        "/api/phones/{id}",
        _change_phone,
        summary="Say whose a phone is, or change what it is known by; what was kept for it counts then",
        body=views.ChangePhone,
        answer=asked.PhoneView,
    ),
    route(
        "DELETE",
        "/api/phones/{id}",
        removal(rows.remove_phone),
        summary="Forget a phone and its positions",
        answer=None,
    ),
    route(
        "PUT",
        "/api/phones/{id}/passphrase",
        _passphrase,
        summary="Give what a phone's messages are encrypted with; what was kept is read again",
        body=views.Passphrase,
        answer=views.Reread,
    ),
    route("DELETE", "/api/phones/{id}/passphrase", _no_passphrase, summary="Forget a phone's passphrase", answer=None),
)
