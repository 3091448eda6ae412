"""The routes about zones: where they are, and who is in them."""

from __future__ import annotations

from aiohttp import web
from msgspec import structs
from sqlite_utils import Database

from gladys_companion.errors import RequestError
from gladys_companion.presence import asked
from gladys_companion.store import people as rows
from gladys_companion.store.people import StoredZone
from gladys_companion.web import people_views as views
from gladys_companion.web.bodies import decode_body
from gladys_companion.web.people_routes import free_id, removal, wished
from gladys_companion.web.route import Route, route
from gladys_companion.web.service import Service

__all__ = ["ZONE_ROUTES"]


async def _zones(service: Service, _: web.Request) -> object:
    return await service.presence.desk.read(asked.zones)


async def _zone(service: Service, zone_id: str) -> asked.ZoneView:
    found = await service.presence.desk.read(asked.zones)
    return next(one for one in found if one.id == zone_id)


def _checked(database: Database, zone: StoredZone) -> StoredZone:
    if zone.exit_radius is not None and zone.exit_radius < zone.radius:
        sentence = "The exit radius is less than the radius: nobody could ever be believed to stay."
        raise RequestError(422, "INVALID_FIELD", sentence, field="exit_radius")
    other = next((one for one in rows.zones(database) if one.home and one.id != zone.id), None)
    if zone.home and other is not None:
        sentence = f"{other.name} is home already: say whose home this one is with `people edit PERSON --home`."
        raise RequestError(409, "ALREADY_EXIST", sentence, field="home")
    return zone


async def _add_zone(service: Service, request: web.Request) -> object:
    wish = await decode_body(request, views.AddZone)
    now = service.clock.now()

    def job(database: Database) -> str:
        row_id = free_id(wish.name, wish.id, (one.id for one in rows.zones(database)), "zone")
        fields = {**structs.asdict(wish), "id": row_id}
        rows.put_zone(database, _checked(database, StoredZone(**fields, made_at=now)))
        return row_id

    return await _zone(service, await service.presence.change(job))


async def _change_zone(service: Service, request: web.Request) -> object:
    wish, row_id = await decode_body(request, views.ChangeZone), request.match_info["id"]

    def job(database: Database) -> None:
        before = rows.zone(database, row_id)
        wanted = structs.replace(before, **wished(wish), origin="user")
        rows.put_zone(database, _checked(database, wanted))

    await service.presence.change(job)
    return await _zone(service, row_id)


ZONE_ROUTES: tuple[Route, ...] = (
    route(
        "GET",
        "/api/zones",
        _zones,
        summary="All zones, and who is in them",
        answer=tuple[asked.ZoneView, ...],
        reads=True,
    ),
    route("POST", "/api/zones", _add_zone, summary="Add a zone", body=views.AddZone, answer=asked.ZoneView),
    route(
        "PATCH", "/api/zones/{id}", _change_zone, summary="Change a zone", body=views.ChangeZone, answer=asked.ZoneView
    ),
    route("DELETE", "/api/zones/{id}", removal(rows.remove_zone), summary="Forget a zone", answer=None),
)
