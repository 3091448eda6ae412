"""A Gladys with the REST API that we use, since no real one can run here; as faithful as its source tells.

Routes, status codes and bodies are those of ``server/api`` and ``server/lib/device`` of Gladys Assistant 4: an API key
comes raw; a value is answered before anything is done about it, and an unknown feature is only logged; to
create a device that exists makes it the same, and deletes the features that are not named; selectors are slugs, and
unique.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from tests.gladys_people import GladysPeople

__all__ = ["CATEGORIES", "KEY", "UNITS", "GladysServer", "feature", "open_gladys"]

KEY = "b54d1ee4cf4d4d0b8a9f0f5e2b1f9d6e"  # as POST /api/v1/session/api_key makes them
MQTT = "7fdbdcbf-7628-4364-8558-0ad00234f8c9"
ZIGBEE = "1f1a7d0d-9b1c-4a53-9e0b-7a3f0c0f5a11"
LARGEST_BODY = 100 << 10

# server/utils/constants.js
CATEGORIES = frozenset(
    re.findall(
        r"\S+",
        "child-lock airquality-sensor air-conditioning angle-sensor battery battery-low battery-storage "
        "button camera charging-station cube currency co-sensor co2-sensor counter-sensor curtain data "
        "datarate device-temperature-sensor distance-sensor doorbell duration electrical-vehicle-battery "
        "electrical-vehicle-charge electrical-vehicle-drive electrical-vehicle-consumption electrical- "
        "vehicle-state electrical-vehicle-climate electrical-vehicle-command energy-sensor energy-production- "
        "sensor fan grid-carbon-sensor grid-sensor heater hepa-filter-monitoring home-output-sensor humidity- "
        "sensor leak-sensor light light-sensor level-sensor motion-sensor lock maintenance music noise-sensor "
        "opening-sensor orp-sensor ph-sensor pm25-sensor pm10-sensor formaldehyd-sensor no2-sensor o3-sensor "
        "so2-sensor precipitation-sensor presence-sensor pressure-sensor rain-sensor risk shutter signal "
        "siren sismic-sensor smoke-sensor soil-moisture-sensor surface switch speed-sensor tamper "
        "teleinformation television temperature-sensor thermostat unknown uv-sensor vibration-sensor voc- "
        "sensor voc-index-sensor voc-matter-index-sensor no2-matter-index-sensor volume-sensor vacuum-cleaner "
        "text input water-heater water-valve ",
    )
)
UNITS = frozenset(
    re.findall(
        r"\S+",
        "celsius fahrenheit kelvin percent pascal hPa kPa bar psi milli-bar lux ppm ppb ppt watt kilowatt "
        "watt-hour kilowatt-hour megawatt-hour ampere milliampere millivolt volt kilovolt-ampere volt-ampere "
        "volt-ampere-reactive mm cm m km inch feet mile square-centimeter square-meter square-kilometer "
        "degree liter milliliter cubicmeter cubic-meter-per-hour euro dollar bitcoin litecoin dogecoin "
        "ethereum pound-sterling meter-per-second kilometer-per-hour feet-per-second mile-per-hour "
        "millimeter-per-hour millimeter-per-day uv-index microseconds milliseconds seconds minutes hours days "
        "weeks months years bit kilobit megabit gigabit byte kilobyte megabyte gigabyte terabyte bits-per- "
        "second kilobits-per-second megabits-per-second gigabits-per-second bytes-per-second kilobytes-per- "
        "second megabytes-per-second gigabytes-per-second aqi ph milligram-per-cubic-meter microgram-per- "
        "cubic-meter nanogram-per-cubic-meter particles-per-cubic-meter becquerel-per-cubic-meter decibel ",
    )
)

Members = dict[str, Any]


def slug(text: str) -> str:
    """Return what Gladys makes of a selector: server/utils/slugify.js."""
    text = text.strip().lower()
    text = text.translate(str.maketrans("àáäâèéëêìíïîòóöôùúüûñç·/_,:;", "aaaaeeeeiiiioooouuuunc------"))
    text = re.sub(r"-+", "-", re.sub(r"\s+", "-", re.sub(r"[^a-z0-9 -]", "", text)))
    return text.removeprefix("-").removesuffix("-")


def feature(external_id: str, category: str = "switch", type_: str = "binary", **more: Any) -> Members:
    """Return the members of a feature, as a user fills in the form of the MQTT integration."""
    return {
        "name": external_id.rpartition(":")[2],
        "external_id": external_id,
        "selector": external_id,
        "category": category,
        "type": type_,
        "read_only": False,
        "keep_history": True,
        "has_feedback": False,
        "min": 0,
        "max": 1,
        "unit": None,
        **more,
    }


def written(at: float) -> str:
    """Return a time as Gladys writes it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Refused(Exception):
    def __init__(self, status: int, code: str, **members: Any) -> None:
        super().__init__(code)
        self.status = status
        self.body = {"status": status, "code": code, **members}


class GladysServer:
    """The server; ``open_gladys`` starts one.

    ``keys`` are valid ones. ``asked`` notes each request as method and path; ``commanded`` each value that a device was
    to get. ``react`` plays the device: it is given feature and value, and returns the value that the device then has,
    None for a device that does nothing. ``fault`` makes each answer a wrong one: ``hang``, ``garbage``, ``slow``,
    ``redirect``, ``huge``, ``close``, or a status; ``faulty`` are the beginnings of methods and paths where that is so.
    One that ``loses_answers`` does what is posted, and answers nobody. ``people`` is what it knows of those.
    """

    def __init__(self) -> None:
        self.url = ""
        self.keys = {KEY}
        self.devices: dict[str, Members] = {}  # by external id
        self.asked: list[str] = []
        self.keys_seen: list[str | None] = []
        self.commanded: list[tuple[str, object]] = []
        self.react: Callable[[Members, Any], Awaitable[Any]] = self._obedient
        self.on_value: Callable[[Members, Members, Any], Awaitable[None]] | None = None  # the MQTT service, if any
        self.fault: str | int | None = None
        self.faulty: tuple[str, ...] = ("",)
        self.loses_answers = False
        self.paged = True
        self.too_many_states: set[str] = set()
        self.changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None
        self._port = 0
        self.people = GladysPeople(
            refuse=_Refused, slug=slug, written=written, later=self._do_later, changed=self._has_changed
        )

    def _do_later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _has_changed(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def _obedient(self, _: Members, value: Any) -> Any:  # noqa: ANN401 - JSON
        return value

    # What happens at Gladys.

    def add(self, external_id: str, *features: Members, **more: Any) -> Members:
        """Create a device as its user does; one of the same external id is made the same."""
        return self.create(
            {"name": external_id, "external_id": external_id, "service_id": MQTT, **more}, list(features)
        )

    def remove(self, external_id: str) -> None:
        """Delete a device as its user does."""
        del self.devices[external_id]

    def feature(self, external_id: str) -> Members:
        """Return a feature by its external id."""
        return next(
            one for device in self.devices.values() for one in device["features"] if one["external_id"] == external_id
        )

    def save_state(self, external_id: str, value: float | str, at: float | None = None) -> None:
        """Give a feature a value, as device.saveState does."""
        one = self.feature(external_id)
        one["last_value_string" if isinstance(value, str) else "last_value"] = value
        one["last_value_changed"] = written(time.time() if at is None else at)

    async def seen(self, path: str, number: int = 1) -> None:
        """Return when so many requests for this method and path came."""
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(lambda: self.asked.count(path) >= number)

    # server/lib/device

    def create(self, device: Members, features: list[Members], params: list[Members] | None = None) -> Members:
        """device.create.js, the part about the database."""
        if not device.get("external_id"):
            raise _Refused(400, "BAD_REQUEST", message="A device must have an external_id.")
        known = self.devices.get(device["external_id"])
        if known is None:
            known = {
                "id": str(uuid.uuid4()),
                "room_id": None,
                "model": None,
                "should_poll": False,
                "poll_frequency": None,
                "created_at": written(time.time()),
                "features": [],
                "params": [],
            }
            device["selector"] = slug(device.get("selector") or device.get("name") or "")
            self._unique("t_device", device, list(self.devices.values()))
        made = {**known, **device, "updated_at": written(time.time())}
        self._complete("t_device", made, ("service_id", "name", "selector", "external_id"))
        before = {one["external_id"]: one for one in known["features"]}
        made["features"] = [self._feature(made, before.get(one.get("external_id", "")), one) for one in features]
        made["params"] = params or []
        self.devices[made["external_id"]] = made
        return made

    def _feature(self, device: Members, known: Members | None, given: Members) -> Members:
        if known is None:
            known = {
                "id": str(uuid.uuid4()),
                "device_id": device["id"],
                "keep_history": True,
                "unit": None,
                "last_value": None,
                "last_value_string": None,
                "last_value_changed": None,
                "last_hourly_aggregate": None,
                "created_at": written(time.time()),
            }
            given = {**given, "selector": slug(given.get("selector") or given.get("name") or "")}
            others = [one for other in self.devices.values() for one in other["features"]]
            self._unique("t_device_feature", given, others)
        made = {**known, **given, "updated_at": written(time.time())}
        needed = ("name", "selector", "external_id", "category", "type", "read_only", "has_feedback", "min", "max")
        self._complete("t_device_feature", made, needed)
        if made["category"] not in CATEGORIES or (made["unit"] is not None and made["unit"] not in UNITS):
            wrong = "category" if made["category"] not in CATEGORIES else "unit"
            raise _invalid(f"Validation error: {made[wrong]!r} is no {wrong}", wrong, made[wrong])
        return made

    def _unique(self, table: str, made: Members, others: list[Members]) -> None:
        for column in ("selector", "external_id"):
            if any(other[column] == made.get(column) for other in others):
                error = {"message": f"{table}.{column} must be unique", "attribute": column, "value": made.get(column)}
                raise _Refused(409, "CONFLICT", error={**error, "type": "unique violation"})

    def _complete(self, table: str, made: Members, columns: tuple[str, ...]) -> None:
        for column in columns:
            if made.get(column) is None or made[column] == "":
                raise _invalid(f"{table}.{column} cannot be null", column, None)

    async def set_value(self, selector: str, value: Any) -> None:  # noqa: ANN401 - JSON
        """What follows on ACTION.TRIGGERED, after the answer."""
        found = next(
            (
                (device, one)
                for device in self.devices.values()
                for one in device["features"]
                if one["selector"] == selector
            ),
            None,
        )
        if found is None:
            return  # logged by Gladys, and that is all
        device, one = found
        self.commanded.append((one["external_id"], value))
        if self.on_value is not None and device["service_id"] == MQTT:
            await self.on_value(device, one, value)
            has = None if one["has_feedback"] else value
        else:
            has = await self.react(one, value)
        if has is not None:
            self.save_state(one["external_id"], has)
        await self._has_changed()

    # server/api

    async def start(self) -> None:
        """Listen, where it listened before if it did."""
        application = web.Application(middlewares=[self._answer], client_max_size=LARGEST_BODY)
        routes = [
            web.get("/api/v1/device", self._list),
            web.get("/api/v1/device/{selector}", self._show),
            web.post("/api/v1/device", self._create),
            web.delete("/api/v1/device/{selector}", self._delete),
            web.post("/api/v1/device_feature/{selector}/value", self._set),
            web.get("/api/v1/service/{name}", self._service),
            *self.people.routes(),
        ]
        application.add_routes(routes)
        self._runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        """Go away; what it knows is kept, what it was about to do is not done."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    @web.middleware
    async def _answer(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        async with self.changed:
            self.asked.append(f"{request.method} {request.path}")
            self.keys_seen.append(request.headers.get("Authorization"))
            self.changed.notify_all()
        if self.fault is not None and f"{request.method} {request.path}".startswith(self.faulty):
            return await self._wrong(request)
        try:
            self._authenticate(request)
            answer = await handler(request)
        except _Refused as refused:
            return web.json_response(refused.body, status=refused.status)
        except web.HTTPNotFound:
            body = {"status": 404, "code": "NOT_FOUND", "message": f"Route {request.path} not found"}
            return web.json_response(body, status=404)
        except web.HTTPRequestEntityTooLarge:
            error = {"expected": LARGEST_BODY, "type": "entity.too.large"}
            return web.json_response({"status": 500, "code": "SERVER_ERROR", "error": error}, status=500)
        if self.loses_answers and request.method == "POST":
            assert request.transport is not None
            request.transport.abort()
        return answer

    async def _wrong(self, request: web.Request) -> web.StreamResponse:
        if self.fault == "hang":
            await asyncio.get_running_loop().create_future()
        if self.fault == "redirect":
            raise web.HTTPFound("http://127.0.0.1:1/api/v1/device")
        if self.fault == "close":
            assert request.transport is not None
            request.transport.abort()
        if isinstance(self.fault, int):
            body = {"status": self.fault, "code": "SERVER_ERROR", "message": "SQLITE_BUSY: database is locked"}
            return web.json_response(body, status=self.fault)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        if self.fault == "slow":
            for letter in "[" + " " * 1_000:
                await response.write(letter.encode())
                await asyncio.sleep(0.05)
        if self.fault == "huge":
            for _ in range(64):
                await response.write(b" " * (1 << 20))
        await response.write(b'<html>"[{]\xff')
        return response

    def _authenticate(self, request: web.Request) -> None:
        given = request.headers.get("Authorization")
        if not given:
            raise _Refused(401, "UNAUTHORIZED", message="No authorization header or api key found")
        if given.startswith("Bearer ") or given not in self.keys:
            raise _Refused(401, "UNAUTHORIZED", message="Api key not found")

    async def _list(self, request: web.Request) -> web.Response:
        query: Mapping[str, str] = request.query
        column = query.get("order_by", "name")
        if column not in {"name", "external_id", "created_at", "id"}:
            raise _Refused(500, "SERVER_ERROR", error={}, message=f"SQLITE_ERROR: no such column: {column}")
        found = sorted(self.devices.values(), key=lambda one: str(one[column]))
        if query.get("device_feature_selectors"):
            wanted = query["device_feature_selectors"].split(",")
            some = [{**one, "features": [f for f in one["features"] if f["selector"] in wanted]} for one in found]
            found = [one for one in some if one["features"]]
        if query.get("search"):
            found = [
                one
                for one in found
                if _like(query["search"], one["name"]) or _like(query["search"], one["external_id"])
            ]
        if self.paged:
            skip = int(query.get("skip", 0))
            found = found[skip : skip + int(query["take"])] if "take" in query else found[skip:]
        return web.json_response([_plain(one) for one in found])

    async def _show(self, request: web.Request) -> web.Response:
        return web.json_response(_plain(self._by_selector(request)))

    def _by_selector(self, request: web.Request) -> Members:
        selector = request.match_info["selector"]
        found = next((one for one in self.devices.values() if one["selector"] == selector), None)
        if found is None:
            raise _Refused(404, "NOT_FOUND", message="Device not found")
        return found

    async def _create(self, request: web.Request) -> web.Response:
        device = json.loads(await request.read())
        features, params = device.pop("features", None) or [], device.pop("params", None) or []
        return web.json_response(_plain(self.create(device, features, params)))

    async def _delete(self, request: web.Request) -> web.Response:
        found = self._by_selector(request)
        if found["external_id"] in self.too_many_states:
            raise _Refused(400, "BAD_REQUEST", message="12000 states in DB. Too much states!")
        self.remove(found["external_id"])
        return web.json_response({"success": True})

    async def _set(self, request: web.Request) -> web.Response:
        value = json.loads(await request.read()).get("value")
        selector = request.match_info["selector"]
        self._do_later(self.set_value(selector, value))
        action = {"type": "device.set-value", "device_feature": selector, "value": value, "status": "pending"}
        return web.json_response(action)

    async def _service(self, request: web.Request) -> web.Response:
        services = {"mqtt": MQTT, "zigbee2mqtt": ZIGBEE}
        name = request.match_info["name"]
        if name not in services:
            raise _Refused(404, "NOT_FOUND", message="SERVICE_NOT_FOUND")
        return web.json_response(_service(name, services[name]))


def _invalid(message: str, attribute: str, value: object) -> _Refused:
    error = {"message": message, "attribute": attribute, "value": value, "type": "notNull Violation"}
    return _Refused(422, "UNPROCESSABLE_ENTITY", properties=[error])


def _like(pattern: str, text: str) -> bool:
    """SQLite's LIKE '%pattern%' on lower(text), which knows only ASCII."""
    lower = "".join(letter.lower() if letter.isascii() else letter for letter in text)
    parts = (re.escape(part).replace("_", ".") for part in pattern.split("%"))
    return re.search(".*".join(parts), lower, re.DOTALL) is not None


def _service(name: str, id_: str) -> Members:
    about = {"id": id_, "pod_id": None, "name": name, "selector": name, "version": "0.1.0", "status": "RUNNING"}
    return {**about, "has_message_feature": False, "created_at": written(0), "updated_at": written(0)}


def _plain(device: Members) -> Members:
    """Return what goes over the wire."""
    name = "mqtt" if device["service_id"] == MQTT else "zigbee2mqtt"
    features = [{**one, "last_value_is_too_old": False} for one in device["features"]]
    return {**device, "features": features, "room": None, "service": _service(name, device["service_id"])}


@asynccontextmanager
async def open_gladys() -> AsyncIterator[GladysServer]:
    """Run one on a free port of 127.0.0.1."""
    server = GladysServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
