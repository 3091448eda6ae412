"""What can be changed on the home's pages: names, what ids mean, who may command what, values, and settings.

Each form is answered by a redirect to the page that shows what came of it, so that a reload does nothing twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import quote, urlencode

from aiohttp import web

from gladys_companion.errors import RequestError
from gladys_companion.model import Feature
from gladys_companion.pages.forms import see_other
from gladys_companion.web.page import Do, Form, Handler, doing, field, own_form, page, readable
from gladys_companion.web.phone_pages import PHONE_FORMS
from gladys_companion.web.route import SERVICE
from gladys_companion.web.views import Expose, SetValue

__all__ = ["add_changes"]

MOST_VALUE = 65_536


def add_changes(app: web.Application) -> frozenset[Handler]:
    """Serve the forms, and where one logs in; return what takes a POST."""
    app.router.add_get("/login", readable(_login))
    handlers = {path: doing(handler) for path, handler in (*FORMS.items(), *PHONE_FORMS.items())}
    handlers["/login"] = readable(_do_login)
    for path, handler in handlers.items():
        app.router.add_post(path, handler)
    return frozenset(handlers.values())


# Who one is.


async def _login(request: web.Request) -> web.Response:
    return await page(request, "home_login.html", wrong=False)


async def _do_login(request: web.Request) -> web.Response:
    visitors, form = request.app[SERVICE].visitors, await own_form(request)
    cookie = await visitors.log_in(field(form, "password"), request.remote or "")
    if cookie is None:
        return await page(request, "home_login.html", 403, wrong=True)
    secure = request.headers.get("X-Forwarded-Proto") == "https"
    return visitors.sessions.give(see_other("/"), cookie, secure=secure)


async def _logout(request: web.Request, _: Form) -> web.Response:
    return request.app[SERVICE].visitors.sessions.end(request, see_other("/login"))


# Devices.


async def _rename(request: web.Request, form: Form) -> web.Response:
    device_id = field(form, "device")
    await request.app[SERVICE].registry.rename(device_id, field(form, "name"))
    return _device(device_id, "renamed")


async def _set(request: web.Request, form: Form) -> web.Response:
    service = request.app[SERVICE]
    feature = service.feature(field(form, "external_id"))
    receipt = await service.set_value(
        feature.device, SetValue(external_id=feature.external_id, value=_value(feature, field(form, "value")))
    )
    return see_other(f"/events/{receipt.id}")


def _value(feature: Feature, given: str) -> float | str:
    """Return the value that a form means.

    Raises:
        RequestError: 422, it is no number, and this feature has numbers.
    """
    if feature.textual:
        return given[:MOST_VALUE]
    try:
        value = float(given.strip().replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise RequestError(422, "INVALID_FIELD", f"{given[:50]!r} is not a number.", field="value")
    return value


async def _expose(request: web.Request, form: Form) -> web.Response:
    service = request.app[SERVICE]
    feature = service.feature(field(form, "external_id"))
    key_ids = tuple(filter(None, [field(form, "key_id").strip()]))
    await service.expose(Expose(external_id=feature.external_id, key_ids=key_ids))
    return _device(feature.device, "exposed")


async def _unexpose(request: web.Request, form: Form) -> web.Response:
    service = request.app[SERVICE]
    feature = service.feature(field(form, "external_id"))
    await service.registry.unexpose(feature.external_id)
    return _device(feature.device, "unexposed")


async def _bind(request: web.Request, form: Form) -> web.Response:
    service = request.app[SERVICE]
    feature = service.feature(field(form, "external_id"))
    await service.registry.alias(field(form, "alias"), feature.external_id)
    event = field(form, "event")
    return see_other(f"/events/{quote(event, safe='')}?done=bound") if event else _device(feature.device, "bound")


async def _unbind(request: web.Request, form: Form) -> web.Response:
    service, alias = request.app[SERVICE], field(form, "alias")
    feature = service.registry.snapshot.feature(alias)
    await service.registry.unalias(alias)
    return _device(feature.device, "unbound") if feature is not None else see_other("/devices")


# Events and settings.


async def _replay(request: web.Request, form: Form) -> web.Response:
    receipt = await request.app[SERVICE].replay(field(form, "event"))
    return see_other(f"/events/{receipt.id}")


async def _change(request: web.Request, form: Form) -> web.Response:
    await request.app[SERVICE].settings.change(field(form, "name"), field(form, "value"))
    return see_other("/settings?done=changed")


async def _reset(request: web.Request, form: Form) -> web.Response:
    await request.app[SERVICE].settings.reset(field(form, "name"))
    return see_other("/settings?done=reset")


def _device(device_id: str, done: str) -> web.Response:
    return see_other(f"/device?{urlencode({'id': device_id, 'done': done})}")


FORMS: Mapping[str, Do] = MappingProxyType(
    {
        "/logout": _logout,
        "/devices/rename": _rename,
        "/devices/set": _set,
        "/devices/expose": _expose,
        "/devices/unexpose": _unexpose,
        "/aliases/bind": _bind,
        "/aliases/unbind": _unbind,
        "/events/replay": _replay,
        "/settings/change": _change,
        "/settings/reset": _reset,
    }
)
