"""The home's pages: how it goes, devices and their past, events hop by hop, people and where they were, settings.

Everything is made by the server; where scripts run, what changes is fetched anew when an event comes. Their forms are
in ``changes``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from gladys_companion.discovery import Seen
from gladys_companion.errors import RequestError
from gladys_companion.model import Feature
from gladys_companion.pages import STATIC, Pages, static_file
from gladys_companion.pages.drawing import Zone, draw_map, draw_plot
from gladys_companion.presence import asked
from gladys_companion.store import people as rows
from gladys_companion.store.history import history
from gladys_companion.web.changes import add_changes
from gladys_companion.web.page import PAGES, Handler, page, readable
from gladys_companion.web.phone_pages import phones_page
from gladys_companion.web.route import SERVICE
from gladys_companion.web.service import Service
from gladys_companion.web.views import DeviceView

__all__ = ["add_dashboard"]

EVENTS_SHOWN, DEVICES_SHOWN = 50, 50
NEWEST = 10
MOST_POSITIONS, MOST_DECISIONS = 500, 20
MOST_VALUES = 50
MOST_CHOICES = 500
MOST_UNUSED = 50
MOST_WAITING = 10
LEVELS = ("debug", "info", "warning", "error")
BY_STATE = {"fail": 0, "warn": 1, "ok": 2}
SPANS = {"day": 86_400.0, "week": 604_800.0, "month": 2_678_400.0}
STATES = ("planned", "unbound", "rejected", "quarantined")
GLANCE = ("gateway", "gladys", "mdns", "store")  # what is shown first


def add_dashboard(app: web.Application) -> frozenset[Handler]:
    """Serve the pages as well; return what takes their forms."""
    app[PAGES] = Pages()
    for path, handler in (
        ("/", _overview),
        ("/devices", _devices),
        ("/device", _device),
        ("/history", _history),
        ("/events", _events),
        ("/events/{id}", _event),
        ("/people", _people),
        ("/people/{id}", _person),
        ("/phones", phones_page),
        ("/settings", _settings),
    ):
        app.router.add_get(path, readable(handler))
    app.router.add_get(f"{STATIC}{{name}}", _static)
    return add_changes(app)


async def _static(request: web.Request) -> web.StreamResponse:
    found = static_file(request.path)
    if found is None:
        raise web.HTTPNotFound
    return found


async def _overview(request: web.Request) -> web.Response:
    service = request.app[SERVICE]
    status = await service.status()
    waiting: list[tuple[dict[str, Any], Sequence[tuple[str, str]]]] = []
    events: list[dict[str, Any]] = []
    if status.store is None:  # else the page says that, and the rest of how it goes
        waiting = [(one, await _called(service, one["external_id"])) for one in await service.waiting(MOST_WAITING)]
        events = [_line(await service.trace(row["id"])) for row in await service.events(limit=NEWEST)]
    checks = {check.name: check for check in service.examined(status)}
    return await page(
        request,
        "overview.html",
        status_=status,
        glance=[checks[name] for name in GLANCE],
        checks=sorted(checks.values(), key=lambda one: BY_STATE[one.state]),
        waiting=waiting,
        events=events,
    )


async def _devices(request: web.Request) -> web.Response:
    service, wanted = request.app[SERVICE], request.query.get("q", "")[:100].strip()
    found = [one for one in await service.devices() if _matches(one, wanted.casefold())]
    number, pages = _page_of(request, len(found), DEVICES_SHOWN)
    shown = found[(number - 1) * DEVICES_SHOWN : number * DEVICES_SHOWN]
    return await page(
        request,
        "devices.html",
        devices=shown,
        count=len(found),
        wanted=wanted,
        page=number,
        pages=pages,
        show=_shown,
        unused=() if wanted or number > 1 else _unused(service),
    )


def _unused(service: Service) -> Sequence[Seen]:
    """Return what is announced on the network and is no device here yet."""
    known = service.registry.snapshot.devices
    found = (one for one in service.host.scan() if one.state not in {"followed", "gladys"} and one.device not in known)
    return sorted(found, key=lambda one: one.name.casefold())[:MOST_UNUSED]


async def _device(request: web.Request) -> web.Response:
    service, device_id = request.app[SERVICE], request.query.get("id", "")
    features = service.registry.snapshot.features  # of before, which the device is shown by
    device = await service.device(device_id)
    return await page(
        request,
        "device.html",
        device=device,
        features=[(one, features[one.external_id].sensitive) for one in device.features],
        show=_shown,
    )


async def _history(request: web.Request) -> web.Response:
    service = request.app[SERVICE]
    feature = service.feature(request.query.get("id", ""))
    span = request.query.get("span", "day")
    until = service.clock.now()
    since = until - SPANS.get(span, SPANS["day"])
    values = await service.store.read(lambda database: history(database, feature.external_id, since, until))
    points = [(one["at"], one["value"]) for one in values if one["value"] is not None]
    newest = values[: -MOST_VALUES - 1 : -1]
    return await page(
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
    return await page(
        request, "events.html", events=lines, state=state, states=STATES, wanted=wanted, older=older, before=before
    )


async def _event(request: web.Request) -> web.Response:
    service = request.app[SERVICE]
    trace = await service.trace(request.match_info["id"])
    bindable = trace["state"] == "unbound" and trace["kind"] == "state" and trace["external_id"]
    own = service.registry.snapshot.feature(trace["external_id"]) if bindable else None
    return await page(
        request,
        "event.html",
        trace=trace,
        event=_line(trace),
        own=own,
        likely=await _called(service, trace["external_id"]) if bindable and own is None else (),
        choices=_choices(service) if bindable and own is None else (),
        bindable=bindable and own is None,
    )


async def _called(service: Service, external_id: str) -> Sequence[tuple[str, str]]:
    """Return the features that an unknown id may mean: their ids, and what people call them."""
    return [(one.external_id, _name(service, one)) for one in await service.likely(external_id)]


def _choices(service: Service) -> Sequence[tuple[str, str]]:
    """Return features to choose from, by name."""
    found = [(one.external_id, _name(service, one)) for one in service.registry.snapshot.features.values()]
    return sorted(found, key=lambda one: one[1].casefold())[:MOST_CHOICES]


def _name(service: Service, feature: Feature) -> str:
    device = service.registry.snapshot.devices.get(feature.device)
    called = device.name if device is not None else feature.device
    return called if feature.name == called else f"{called}, {feature.name}"


async def _people(request: web.Request) -> web.Response:
    service = request.app[SERVICE]
    found = await service.presence.desk.read(asked.people)
    zones = await service.presence.desk.read(asked.zones)
    placed = [(one.name, one.position) for one in found if one.position is not None]
    drawn = draw_map(
        [(position.latitude, position.longitude, position.accuracy) for _, position in placed],
        [Zone(one.name, one.latitude, one.longitude, one.radius) for one in zones],
        names=[name for name, _ in placed],
        tiles=service.config.local.map_tiles,
    )
    return await page(request, "people.html", people=found, map=drawn, tiles=service.config.local.map_tiles)


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
        tiles=service.config.local.map_tiles,
    )
    return await page(
        request,
        "person.html",
        why=why,
        map=drawn,
        tiles=service.config.local.map_tiles,
        decisions=why.decisions[:MOST_DECISIONS],
        zones={one.id: one.name for one in zones},
    )


async def _settings(request: web.Request) -> web.Response:
    return await page(request, "settings.html", settings=request.app[SERVICE].settings.all(), levels=LEVELS)


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
