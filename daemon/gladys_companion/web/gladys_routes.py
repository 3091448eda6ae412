"""The routes about what Gladys needs of us: its scenes by which people leave home and cross zones."""

from __future__ import annotations

from aiohttp import web

from gladys_companion.web import own_scenes
from gladys_companion.web.route import Route, route
from gladys_companion.web.service import Service

__all__ = ["GLADYS_ROUTES"]


async def _scenes(service: Service, request: web.Request) -> object:
    return await own_scenes.survey(service, request.query.getall("zone", []))


async def _make(service: Service, request: web.Request) -> object:
    return await own_scenes.make(service, request.match_info["selector"])


async def _remove(service: Service, request: web.Request) -> object:
    await own_scenes.remove(service, request.match_info["selector"])
    return {}


GLADYS_ROUTES: tuple[Route, ...] = (
    route(
        "GET",
        "/api/gladys/scenes",
        _scenes,
        summary="The scenes by which people leave home, and cross zones: wanted, there, or broken",
        query={"zone": "also those that are started when somebody enters or leaves this zone; several times"},
        answer=own_scenes.OwnScenes,
    ),
    route(
        "POST",
        "/api/gladys/scenes/{selector}",
        _make,
        summary="Make one that is missing, or mend one that is broken",
        answer=own_scenes.OwnScene,
    ),
    route("DELETE", "/api/gladys/scenes/{selector}", _remove, summary="Delete one of ours in Gladys", answer=None),
)
