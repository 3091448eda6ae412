"""The home's pages: how it goes, devices and their past, events hop by hop, people and where they were. They only read.

Everything is made by the server; where scripts run, what changes is fetched anew when an event comes.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from gladys_companion.errors import CompanionError, RequestError
from gladys_companion.pages import STATIC, Pages, static_file
from gladys_companion.pages.drawing import Zone, draw_map, draw_plot
from gladys_companion.presence import asked
from gladys_companion.store import people as rows
from gladys_companion.store.history import history
from gladys_companion.web.route import SERVICE
from gladys_companion.web.views import DeviceView

__all__ = ["add_dashboard"]

EVENTS_SHOWN, DEVICES_SHOWN = 50, 50
NEWEST = 10
MOST_POSITIONS, MOST_DECISIONS = 500, 20
MOST_VALUES = 50
SPANS = {"day": 86_400.0, "week": 604_800.0, "month": 2_678_400.0}
STATES = ("planned", "unbound", "rejected", "quarantined")
PAGES = web.AppKey("pages", Pages)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def add_dashboard(app: web.Application) -> None:
    """Serve the pages as well."""
    app[PAGES] = Pages()
    for path, handler in (
        ("/", _overview),
        ("/devices", _devices),
        ("/history", _history),
        ("/events", _events),
        ("/events/{id}", _event),
        ("/people", _people),
        ("/people/{id}", _person),
    ):
        app.router.add_get(path, _readable(handler))
    app.router.add_get(f"{STATIC}{{name}}", _static)


def _readable(handler: Handler) -> Handler:
    """Show what we raise as a page."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except CompanionError as error:
            return await _page(request, "home_failed.html", error.status, says=str(error))

    return handle


async def _page(request: web.Request, template: str, status: int = 200, **values: object) -> web.Response:
    return await request.app[PAGES].page(request, template, status, **values)


async def _static(request: web.Request) -> web.StreamResponse:
    found = static_file(request.path)
    if found is None:
        raise web.HTTPNotFound
    return found


async def _overview(request: web.Request) -> web.Response:
    service = request.app[SERVICE]
    traces = [await service.trace(row["id"]) for row in await service.events(limit=NEWEST)]
    return await _page(
        request,
        "overview.html",
        status_=await service.status(),
        checks=await service.doctor(),
        events=[_line(one) for one in traces],
    )


async def _devices(request: web.Request) -> web.Response:
    service, wanted = request.app[SERVICE], request.query.get("q", "")[:100].strip()
    found = [one for one in await service.devices() if _matches(one, wanted.casefold())]
    page, pages = _page_of(request, len(found), DEVICES_SHOWN)
    shown = found[(page - 1) * DEVICES_SHOWN : page * DEVICES_SHOWN]
    return await _page(
        request, "devices.html", devices=shown, count=len(found), wanted=wanted, page=page, pages=pages, show=_shown
    )


async def _history(request: web.Request) -> web.Response:
    service, external_id = request.app[SERVICE], request.query.get("id", "")
    feature = service.registry.snapshot.feature(external_id)
    if feature is None:
        raise RequestError(404, "DEVICE_FEATURE_NOT_FOUND", f"No device feature {external_id[:100]!r} is known here.")
    span = request.query.get("span", "day")
    until = service.clock.now()
    since = until - SPANS.get(span, SPANS["day"])
    values = await service.store.read(lambda database: history(database, feature.external_id, since, until))
    points = [(one["at"], one["value"]) for one in values if one["value"] is not None]
    newest = values[: -MOST_VALUES - 1 : -1]
    return await _page(
        request,
        "history.html",
        feature=feature,
        span=span if span in SPANS else "day",
        spans=tuple(SPANS),
        plot=draw_plot(points, since, until),
        values=[(one["at"], _shown(one["value"], one["text"], feature.unit)) for one in newest],
        show=_shown,
    )


async def _events(request: web.Request) -> web.Response:
    service = request.app[SERVICE]
    state, wanted = request.query.get("state") or None, request.query.get("id", "")[:1_000].strip()
    if state is not None and state not in STATES:
        raise RequestError(422, "INVALID_FIELD", f"state is one of {', '.join(STATES)}.", field="state")
    before = request.query.get("before", "")
    if before and not (before.isascii() and before.isdecimal() and len(before) < 19):  # noqa: PLR2004 - SQLite's integers
        raise RequestError(422, "INVALID_FIELD", "before is not a number.", field="before")
    found = await service.events(
        limit=EVENTS_SHOWN, before=int(before) if before else None, after=None, state=state, external_id=wanted or None
    )
    older = found[-1]["seq"] if len(found) == EVENTS_SHOWN else None
    lines = [_line(await service.trace(one["id"])) for one in found]
    return await _page(
        request, "events.html", events=lines, state=state, states=STATES, wanted=wanted, older=older, before=before
    )


async def _event(request: web.Request) -> web.Response:
    service = request.app[SERVICE]
    trace = await service.trace(request.match_info["id"])
    return await _page(request, "event.html", trace=trace, event=_line(trace))


async def _people(request: web.Request) -> web.Response:
    service = request.app[SERVICE]
    return await _page(request, "people.html", people=await service.presence.desk.read(asked.people))


async def _person(request: web.Request) -> web.Response:
    service, person_id = request.app[SERVICE], request.match_info["id"]
    why = await service.presence.desk.read(
        lambda ledger: asked.why(ledger, rows.person(ledger.database, person_id), MOST_POSITIONS)
    )
    zones = await service.presence.desk.read(asked.zones)
    positions = sorted(why.positions, key=lambda one: one.at)
    day = [one for one in positions if one.at > service.clock.now() - SPANS["day"]] or positions[-1:]
    drawn = draw_map(
        [(one.latitude, one.longitude, one.accuracy) for one in day],
        [Zone(one.name, one.latitude, one.longitude, one.radius) for one in zones],
    )
    return await _page(
        request,
        "person.html",
        why=why,
        map=drawn,
        decisions=why.decisions[:MOST_DECISIONS],
        zones={one.id: one.name for one in zones},
    )


def _matches(device: DeviceView, wanted: str) -> bool:
    texts = (device.id, device.name, device.driver, *(one.external_id for one in device.features))
    return not wanted or any(wanted in text.casefold() for text in texts)


def _page_of(request: web.Request, count: int, each: int) -> tuple[int, int]:
    """Return which page is wanted, and how many there are."""
    pages = max(1, math.ceil(count / each))
    wanted = request.query.get("page", "1")
    page = int(wanted) if wanted.isascii() and wanted.isdecimal() and len(wanted) < 9 else 1  # noqa: PLR2004 - a sane number
    return min(max(page, 1), pages), pages


def _line(trace: dict[str, Any]) -> dict[str, Any]:
    """Return what a list says of an event."""
    receipt = trace["receipt"]
    outcome = receipt["outcome"]
    colour = "ok" if outcome == "delivered" else "fail" if outcome == "rejected" else "warn"
    return {
        "id": trace["id"],
        "at": trace["at"],
        "what": trace["external_id"] or trace["kind"],
        "value": _shown(trace["value"], trace["text"], None),
        "outcome": outcome,
        "colour": colour,
        "says": receipt.get("error_message") or receipt.get("warning") or "",
        "hops": [hop for hop in trace["hops"] if hop["hop"] not in {"happened", "journal"}],
    }


def _shown(value: float | None, text: str | None, unit: str | None) -> str:
    if value is None and text is None:
        return ""
    said = f"{value:.10g}" if value is not None else str(text)
    return f"{said} {unit}" if unit else said
