"""The routes of the local API in one table: what the server serves, what the OpenAPI document says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from gladys_companion.discovery import Seen
from gladys_companion.errors import Rejected, RequestError
from gladys_companion.model import Receipt
from gladys_companion.ports import Wanted
from gladys_companion.web import views
from gladys_companion.web.bodies import decode_body
from gladys_companion.web.service import Service

__all__ = ["OPENAPI", "ROUTES", "SERVICE", "Route", "json_response"]

SERVICE = web.AppKey("service", Service)
OPENAPI = web.AppKey("openapi", dict[str, Any])

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MOST_LISTED = 1_000
STATES = ("planned", "unbound", "rejected", "quarantined")
CHUNK = 262_144


class Route(Struct, frozen=True, kw_only=True):
    """One route. ``reads`` ones are served on TCP too. ``query`` names its query parameters with what they mean."""

    method: str
    path: str
    handler: Handler
    summary: str
    answer: Any
    body: type[Struct] | None = None
    query: dict[str, str] = {}
    reads: bool = False
    media: str = "application/json"


def json_response(value: object, status: int = 200) -> web.Response:
    """Return any value of ours as JSON."""
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


def _number(request: web.Request, name: str) -> int | None:
    given = request.query.get(name)
    if given is None:
        return None
    if not given.isdecimal() or len(given) > 18:  # noqa: PLR2004 - what fits SQLite's integers
        raise RequestError(422, "INVALID_FIELD", f"{name} is not a number.", field=name)
    return int(given)


def _answering(call: Callable[[Service, web.Request], Awaitable[object]]) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        return json_response(await call(request.app[SERVICE], request))

    return handler


async def _status(service: Service, _: web.Request) -> object:
    return await service.status()


async def _doctor(service: Service, _: web.Request) -> object:
    return await service.doctor()


async def _scan(service: Service, _: web.Request) -> object:
    return service.host.scan()


async def _devices(service: Service, _: web.Request) -> object:
    return await service.devices()


async def _device(service: Service, request: web.Request) -> object:
    return await service.device(request.match_info["id"])


async def _add_device(service: Service, request: web.Request) -> object:
    return await service.add_device(await decode_body(request, views.AddDevice))


async def _rename(service: Service, request: web.Request) -> object:
    wish = await decode_body(request, views.Rename)
    await service.registry.rename(request.match_info["id"], wish.name)
    return await service.device(request.match_info["id"])


async def _forget(service: Service, request: web.Request) -> object:
    await service.host.forget(request.match_info["id"])
    return {}


async def _set(request: web.Request) -> web.Response:
    receipt = await request.app[SERVICE].set_value(request.match_info["id"], await decode_body(request, views.SetValue))
    return _receipt(receipt)


async def _replay(request: web.Request) -> web.Response:
    return _receipt(await request.app[SERVICE].replay(request.match_info["id"]))


def _receipt(receipt: Receipt) -> web.Response:
    return json_response(receipt.body(), receipt.status)


async def _expose(service: Service, request: web.Request) -> object:
    return await service.expose(await decode_body(request, views.Expose))


async def _unexpose(service: Service, request: web.Request) -> object:
    external_id = request.query.get("external_id")
    if not external_id:
        raise RequestError(422, "INVALID_FIELD", "Say which: ?external_id=...", field="external_id")
    await service.registry.unexpose(external_id)
    return {}


async def _aliases(service: Service, _: web.Request) -> object:
    return service.aliases()


async def _add_alias(service: Service, request: web.Request) -> object:
    wish = await decode_body(request, views.MakeAlias)
    await service.registry.alias(wish.alias, wish.external_id)
    return {}


async def _remove_alias(service: Service, request: web.Request) -> object:
    await service.registry.unalias(request.match_info["alias"])
    return {}


async def _events(service: Service, request: web.Request) -> object:
    state = request.query.get("state")
    if state is not None and state not in STATES:
        raise RequestError(422, "INVALID_FIELD", f"state is one of {', '.join(STATES)}.", field="state")
    return await service.events(
        limit=max(1, min(_number(request, "limit") or 50, MOST_LISTED)),
        before=_number(request, "before"),
        after=_number(request, "after"),
        state=state,
        external_id=request.query.get("external_id"),
    )


async def _event(service: Service, request: web.Request) -> object:
    return await service.trace(request.match_info["id"])


async def _stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    async with aclosing(request.app[SERVICE].follow()) as rows:
        async for row in rows:
            try:
                await response.write(b":\n\n" if row is None else b"data: %b\n\n" % msgspec.json.encode(row))
            except ConnectionError:
                break  # the listener left
    return response


async def _wants(service: Service, request: web.Request) -> object:
    return service.host.wants(request.match_info["id"])


async def _pair_device(service: Service, request: web.Request) -> object:
    wish = await decode_body(request, views.PairDevice)
    return await service.host.pair_device(request.match_info["id"], wish.code)


async def _unpair_device(service: Service, request: web.Request) -> object:
    try:
        await service.host.unpair_device(request.match_info["id"])
    except Rejected as error:
        return views.Unpaired(warning=str(error))
    return views.Unpaired()


async def _pair(service: Service, request: web.Request) -> object:
    return await service.host.pair(await decode_body(request, views.Pair))


async def _unpair(service: Service, _: web.Request) -> object:
    return views.Unpaired(warning=await service.host.unpair())


async def _backup(request: web.Request) -> web.StreamResponse:
    with await request.app[SERVICE].backup() as copy:
        response = web.StreamResponse(headers={"Content-Type": "application/vnd.sqlite3"})
        response.content_length = copy.seek(0, 2)
        copy.seek(0)
        await response.prepare(request)
        while chunk := await asyncio.to_thread(copy.read, CHUNK):
            await response.write(chunk)
    return response


async def _openapi(request: web.Request) -> web.Response:
    return json_response(request.app[OPENAPI])


def _route(method: str, path: str, call: Callable[[Service, web.Request], Awaitable[object]], **more: Any) -> Route:
    return Route(method=method, path=path, handler=_answering(call), **more)


_LIST_QUERY = {
    "limit": f"how many, at most {MOST_LISTED}; 50 unless said",
    "before": "only events with a lower seq",
    "after": "only events with a higher seq, the oldest of them",
    "state": "planned, unbound, rejected or quarantined",
    "external_id": "only events that were sent to this id",
}

ROUTES: tuple[Route, ...] = (
    _route("GET", "/api/status", _status, summary="How it goes", answer=views.Status, reads=True),
    _route(
        "GET",
        "/api/doctor",
        _doctor,
        summary="What is well, what is not, what to do",
        answer=tuple[views.Check, ...],
        reads=True,
    ),
    _route(
        "GET",
        "/api/scan",
        _scan,
        summary="What is announced on the network, and what became of it",
        answer=tuple[Seen, ...],
        reads=True,
    ),
    _route("GET", "/api/devices", _devices, summary="All devices", answer=tuple[views.DeviceView, ...], reads=True),
    _route("GET", "/api/devices/{id}", _device, summary="One device", answer=views.DeviceView, reads=True),
    _route(
        "POST",
        "/api/devices",
        _add_device,
        summary="Make a virtual device",
        body=views.AddDevice,
        answer=views.DeviceView,
    ),
    _route(
        "PATCH",
        "/api/devices/{id}",
        _rename,
        summary="Give a device a name",
        body=views.Rename,
        answer=views.DeviceView,
    ),
    _route("DELETE", "/api/devices/{id}", _forget, summary="Forget a device and all of its own", answer=None),
    Route(
        method="POST",
        path="/api/devices/{id}/set",
        handler=_set,
        summary="Send a value to a feature; answers with the receipt",
        body=views.SetValue,
        answer=Receipt,
    ),
    _route(
        "POST",
        "/api/expose",
        _expose,
        summary="Let keys command a feature from outside, beside those that may already; answers with all that may",
        body=views.Expose,
        answer=views.Exposed,
    ),
    _route(
        "DELETE",
        "/api/expose",
        _unexpose,
        summary="Take every exposure of a feature back",
        query={"external_id": "of the feature"},
        answer=None,
    ),
    _route("GET", "/api/aliases", _aliases, summary="All aliases", answer=tuple[views.AliasView, ...], reads=True),
    _route(
        "POST",
        "/api/aliases",
        _add_alias,
        summary="Give a feature another external id; events kept for that id are delivered",
        body=views.MakeAlias,
        answer=None,
    ),
    _route("DELETE", "/api/aliases/{alias}", _remove_alias, summary="Take an alias back", answer=None),
    _route(
        "GET",
        "/api/events",
        _events,
        summary="The latest events, newest first",
        query=_LIST_QUERY,
        answer=tuple[views.EventView, ...],
        reads=True,
    ),
    Route(
        method="GET",
        path="/api/events/stream",
        handler=_stream,
        summary="Events as they come (server-sent events), and again when their outcome changes",
        answer=views.EventView,
        media="text/event-stream",
        reads=True,
    ),
    _route("GET", "/api/events/{id}", _event, summary="One event, hop by hop", answer=views.TraceView, reads=True),
    Route(
        method="POST",
        path="/api/events/{id}/replay",
        handler=_replay,
        summary="Send an event's content again, now; answers with the new receipt",
        answer=Receipt,
    ),
    _route(
        "GET",
        "/api/devices/{id}/pairing",
        _wants,
        summary="What a device wants of its owner before it can be driven",
        answer=Wanted,
        reads=True,
    ),
    _route(
        "POST",
        "/api/devices/{id}/pairing",
        _pair_device,
        summary="Gain a device's trust, with a code or without; answers with what became of it",
        body=views.PairDevice,
        answer=Seen,
    ),
    _route(
        "DELETE",
        "/api/devices/{id}/pairing",
        _unpair_device,
        summary="Forget a device's trust, here and at the device",
        answer=views.Unpaired,
    ),
    _route("POST", "/api/pair", _pair, summary="Pair with a gateway", body=views.Pair, answer=views.Paired),
    _route("POST", "/api/unpair", _unpair, summary="Forget the gateway", answer=views.Unpaired),
    Route(
        method="POST",
        path="/api/backup",
        handler=_backup,
        summary="A checked copy of the database",
        answer=bytes,
        media="application/vnd.sqlite3",
    ),
    Route(
        method="GET",
        path="/api/openapi.json",
        handler=_openapi,
        summary="This document",
        answer=dict[str, Any],
        reads=True,
    ),
)
