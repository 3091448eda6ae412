"""The routes of the local API in one table: what the server serves, what the OpenAPI document says."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import msgspec
from aiohttp import web

from gladys_companion.discovery import Seen
from gladys_companion.errors import RequestError
from gladys_companion.metrics import CONTENT_TYPE, exposition
from gladys_companion.model import Receipt
from gladys_companion.web import views, vitals
from gladys_companion.web.bodies import decode_body
from gladys_companion.web.device_routes import DEVICE_ROUTES
from gladys_companion.web.gladys_routes import GLADYS_ROUTES
from gladys_companion.web.metrics import families
from gladys_companion.web.people_routes import PEOPLE_ROUTES
from gladys_companion.web.route import OPENAPI, SERVICE, Route, json_response, number, receipt_response, route
from gladys_companion.web.service import Service
from gladys_companion.web.settings_routes import SETTINGS_ROUTES
from gladys_companion.web.visitors import Visitors
from gladys_companion.web.zone_routes import ZONE_ROUTES

__all__ = ["OPENAPI", "ROUTES", "SERVICE", "VISITORS", "Route", "json_response"]

MOST_LISTED = 1_000
VISITORS = web.RequestKey("visitors", Visitors)  # by whom a request was let in that came over TCP
STATES = ("planned", "unbound", "rejected", "quarantined")
CHUNK = 262_144


async def _status(service: Service, _: web.Request) -> object:
    return await service.status()


async def _doctor(service: Service, _: web.Request) -> object:
    return await service.doctor()


async def _scan(service: Service, _: web.Request) -> object:
    return service.host.scan()


async def _replay(request: web.Request) -> web.Response:
    return receipt_response(await request.app[SERVICE].replay(request.match_info["id"]))


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
        limit=max(1, min(number(request, "limit") or 50, MOST_LISTED)),
        before=number(request, "before"),
        after=number(request, "after"),
        state=state,
        external_id=request.query.get("external_id"),
    )


async def _event(service: Service, request: web.Request) -> object:
    return await service.trace(request.match_info["id"])


async def _stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    visitors = request.get(VISITORS)
    async with aclosing(await request.app[SERVICE].follow()) as rows:
        await response.prepare(request)  # whoever has the headers misses nothing from then on
        async for row in rows:
            if visitors is not None and not await visitors.may_look(request):
                break  # logged out meanwhile
            try:
                await response.write(b":\n\n" if row is None else b"data: %b\n\n" % msgspec.json.encode(row))
            except ConnectionError:
                break  # the listener left
    return response


async def _pair(service: Service, request: web.Request) -> object:
    return await service.host.pair(await decode_body(request, views.Pair))


async def _adopt(service: Service, request: web.Request) -> object:
    return await service.host.adopt(await decode_body(request, views.Adopt))


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


_LIST_QUERY = {
    "limit": f"how many, at most {MOST_LISTED}; 50 unless said",
    "before": "only events with a lower seq",
    "after": "only events with a higher seq, the oldest of them",
    "state": "planned, unbound, rejected or quarantined",
    "external_id": "only events that were sent to this id",
}


async def _metrics(request: web.Request) -> web.Response:
    """Answer what Prometheus asks."""
    told = await exposition(await families(request.app[SERVICE]))
    return web.Response(body=told, headers={"Content-Type": CONTENT_TYPE})


async def _health(service: Service, _: web.Request) -> object:
    """Say that the daemon can do its work.

    Raises:
        StoreError: it can not: the database does not answer.
    """
    await service.store.read(lambda database: database.execute("SELECT 1").fetchone())
    return {"status": 200}


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/metrics",
        handler=_metrics,
        summary="For Prometheus",
        answer=str,
        reads=True,
        media="text/plain",
    ),
    route("GET", "/healthz", _health, summary="Whether the database answers", answer=dict[str, int], reads=True),
    route("GET", "/api/status", _status, summary="How it goes", answer=vitals.Status, reads=True),
    route(
        "GET",
        "/api/doctor",
        _doctor,
        summary="What is well, what is not, what to do",
        answer=tuple[vitals.Check, ...],
        reads=True,
    ),
    route(
        "GET",
        "/api/scan",
        _scan,
        summary="What is announced on the network, and what became of it",
        answer=tuple[Seen, ...],
        reads=True,
    ),
    *DEVICE_ROUTES,
    *PEOPLE_ROUTES,
    *ZONE_ROUTES,
    *SETTINGS_ROUTES,
    *GLADYS_ROUTES,
    route("GET", "/api/aliases", _aliases, summary="All aliases", answer=tuple[views.AliasView, ...], reads=True),
    route(
        "POST",
        "/api/aliases",
        _add_alias,
        summary="Give a feature another external id; events kept for that id are delivered",
        body=views.MakeAlias,
        answer=None,
    ),
    route("DELETE", "/api/aliases/{alias}", _remove_alias, summary="Take an alias back", answer=None),
    route(
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
    route("GET", "/api/events/{id}", _event, summary="One event, hop by hop", answer=views.TraceView, reads=True),
    Route(
        method="POST",
        path="/api/events/{id}/replay",
        handler=_replay,
        summary="Send an event's content again, now; answers with the new receipt",
        answer=Receipt,
    ),
    route("POST", "/api/pair", _pair, summary="Pair with a gateway", body=views.Pair, answer=views.Paired),
    route(
        "POST",
        "/api/pair/instance",
        _adopt,
        summary="Connect as an instance that was made at Gladys Plus",
        body=views.Adopt,
        answer=views.Paired,
    ),
    route("POST", "/api/unpair", _unpair, summary="Forget the gateway", answer=views.Unpaired),
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
