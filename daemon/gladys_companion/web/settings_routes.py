"""The routes about settings that may be changed while the daemon runs, and about the password of the pages."""

from __future__ import annotations

from aiohttp import web

from gladys_companion.web import views
from gladys_companion.web.bodies import decode_body
from gladys_companion.web.route import route
from gladys_companion.web.service import Service
from gladys_companion.web.settings import Setting

__all__ = ["SETTINGS_ROUTES"]


async def _settings(service: Service, _: web.Request) -> object:
    return service.settings.all()


async def _change(service: Service, request: web.Request) -> object:
    wish = await decode_body(request, views.ChangeSetting)
    return await service.settings.change(request.match_info["name"], wish.value)


async def _reset(service: Service, request: web.Request) -> object:
    return await service.settings.reset(request.match_info["name"])


async def _password(service: Service, request: web.Request) -> object:
    wish = await decode_body(request, views.SetPassword)
    await service.visitors.set_password(wish.password)
    return {}


SETTINGS_ROUTES = (
    route(
        "GET",
        "/api/settings",
        _settings,
        summary="Settings that may be changed while the daemon runs",
        answer=tuple[Setting, ...],
        reads=True,
    ),
    route(
        "PUT",
        "/api/settings/{name}",
        _change,
        summary="Change a setting; it holds over the configuration until it is reset",
        body=views.ChangeSetting,
        answer=Setting,
    ),
    route("DELETE", "/api/settings/{name}", _reset, summary="Let the configuration hold again", answer=Setting),
    route(
        "PUT",
        "/api/password",
        _password,
        summary="Set or remove the password of the pages; all browsers are logged out",
        body=views.SetPassword,
        answer=None,
    ),
)
