"""A simulated Philips Hue bridge that the real ``aiohue`` library and any mDNS browser take for a real one.

It speaks CLIP v2 over HTTPS with a certificate of its own, pushes changes as server-sent events, gives keys when its
button was just pressed, and announces itself as ``_hue._tcp.local.``. Beside the wire it has people's hands
(``change``, ``press``, ``press_link_button``) and the faults of a bridge (``freeze``, ``refuse``, ``move``, ``revoke``,
``renew``).
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.sim import _hue_home as wire
from gladys_companion.sim._device import Announced, HttpDevice, compact, json_object
from gladys_companion.sim._hue_certificate import certified

__all__ = ["HueBridge", "open_hue"]

SERVICE = "_hue._tcp.local."
PRESSED_FOR = 30.0  # seconds for which the button counts as pressed
PUTTABLE = {"light": {"on", "dimming", "color", "color_temperature"}, "grouped_light": {"on", "dimming"}}


@asynccontextmanager
async def open_hue(
    *,
    mac: str = "0017880a1b2c",
    name: str = "Hue Bridge",
    host: str = "127.0.0.1",
    port: int = 0,
    zeroconf: AsyncZeroconf | None = None,
) -> AsyncIterator[HueBridge]:
    """Run a bridge that listens on ``host``, and announce it where ``zeroconf`` is given (the caller's, left open).

    Args:
        mac: its identity, 12 hex digits, with colons or without.
        name: its name.
        host: one IP address of this machine; it is announced, so a wildcard will not do.
        port: 0 takes a free one.
        zeroconf: speaks on its own interfaces only; with ``interfaces=["127.0.0.1"]`` it stays on this machine.

    Raises:
        ValueError: ``mac`` or ``host`` is not what it must be.
        OSError: the address can not be listened on.
    """
    bridge = HueBridge(mac=mac, name=name)
    await bridge.certify()
    async with bridge.running(host, port, zeroconf):
        yield bridge


class HueBridge(HttpDevice):
    """What ``open_hue`` gives. ``mac`` is 12 lower-case hex digits, ``bridge_id`` the 16 that are made of it.

    ``resources`` are those of CLIP v2 by their id; each is replaced, never changed. ``keys`` are those it gave,
    ``keys_seen`` those that somebody showed it.
    """

    def __init__(self, *, mac: str, name: str) -> None:
        """Make a bridge with a small home."""
        super().__init__(mac=mac, name=name)
        self.bridge_id = f"{self.mac[:6]}fffe{self.mac[6:]}"
        self.resources: dict[str, wire.Resource] = {one["id"]: one for one in wire.home(self.mac)}
        self.model, self.software = "BSB002", "1967054020"
        self.keys: set[str] = set()
        self.keys_seen: set[str] = set()
        self._commands: tuple[tuple[str, str, dict[str, Any]], ...] = ()
        self._pressed_until = -math.inf
        self._streams: set[web.StreamResponse] = set()

    @property
    def commands(self) -> tuple[tuple[str, str, dict[str, Any]], ...]:
        """What was put since the start, in order: type and id of the resource, and the body."""
        return self._commands

    @property
    def listeners(self) -> int:
        """How many event streams are open."""
        return len(self._streams)

    def find(self, name: str, kind: str) -> wire.Resource:
        """Return the first service of a kind (``light``, ``motion``) of the device or room of that name."""
        for one in self.resources.values():
            if one.get("metadata", {}).get("name") == name and "services" in one:
                return next(self.resources[each["rid"]] for each in one["services"] if each["rtype"] == kind)
        raise KeyError(name)

    async def certify(self) -> None:
        """Make a new certificate, for what is listened to from now on."""
        self.tls = await asyncio.to_thread(certified, self.bridge_id)

    async def renew(self) -> None:
        """Come back at the same place with another certificate, as after a reset; connections break."""
        await self.certify()
        await self.move(port=self.port)

    def press_link_button(self, seconds: float = PRESSED_FOR) -> None:
        """Press the round button: for so long, who asks is given a key."""
        self._pressed_until = time.monotonic() + seconds

    def revoke(self) -> None:
        """Take every key back, as in the app of its maker; streams stay open, as at a real one."""
        self.keys.clear()

    async def change(self, resource_id: str, **members: Any) -> None:
        """Change a resource by hand, and push it: ``change(rid, on={"on": False})``."""
        await self._become({resource_id: members})

    async def press(self, name: str, number: int, event: str) -> None:
        """Do something to a button of a switch: ``initial_press``, ``short_release``, ``long_press`` and so on."""
        device = self.find(name, "button")["owner"]["rid"]
        for one in tuple(self.resources.values()):
            if one["type"] == "button" and one["owner"]["rid"] == device and one["metadata"]["control_id"] == number:
                report = {"updated": _now(), "event": event}
                await self.change(one["id"], button={"button_report": report, "last_event": event})

    async def add(self, name: str, kind: str) -> None:
        """Pair a new device of a kind, such as ``color`` or ``plug``."""
        made = wire.device(self.mac, name, kind)
        self.resources |= {one["id"]: one for one in made}
        await self._push("add", made)

    async def remove(self, name: str) -> None:
        """Throw a device out."""
        device = next(one for one in self.resources.values() if one.get("metadata", {}).get("name") == name)
        gone = [self.resources.pop(rid) for rid in (*(one["rid"] for one in device["services"]), device["id"])]
        await self._push("delete", [{"id": one["id"], "type": one["type"]} for one in gone])

    def announced(self) -> Sequence[Announced]:
        """Return ``_hue._tcp`` with the bridge's id and model."""
        txt = {"bridgeid": self.bridge_id, "modelid": self.model}
        return (Announced(SERVICE, f"Hue Bridge - {self.mac[-6:].upper()}", txt),)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes: who it is, keys, resources and the stream of events."""
        return [
            web.get("/api/config", self._config),
            web.get("/api/{key}/config", self._config),
            web.post("/api", self._link),
            web.get("/clip/v2/resource", self._get),
            web.get("/clip/v2/resource/{type}", self._get),
            web.get("/clip/v2/resource/{type}/{id}", self._get),
            web.put("/clip/v2/resource/{type}/{id}", self._put),
            web.get("/eventstream/clip/v2", self._stream),
        ]

    async def _config(self, _request: web.Request) -> web.Response:
        config = {
            "name": self.name,
            "datastoreversion": "172",
            "swversion": self.software,
            "apiversion": "1.67.0",
            "mac": ":".join(self.mac[at : at + 2] for at in range(0, 12, 2)),
            "bridgeid": self.bridge_id.upper(),
            "factorynew": False,
            "replacesbridgeid": None,
            "modelid": self.model,
            "starterkitid": "",
        }
        return web.json_response(config, dumps=compact)

    async def _link(self, request: web.Request) -> web.Response:
        body = json_object(await request.text()) or {}
        if not isinstance(body.get("devicetype"), str):
            return _v1_error(5, "invalid/missing parameters in body")
        if time.monotonic() > self._pressed_until:
            return _v1_error(101, "link button not pressed")
        key = secrets.token_urlsafe(30)
        self.keys.add(key)
        await self.told()
        given = {"username": key} | (
            {"clientkey": secrets.token_hex(16).upper()} if body.get("generateclientkey") else {}
        )
        return web.json_response([{"success": given}], dumps=compact)

    def _knows(self, request: web.Request) -> bool:
        key = request.headers.get("hue-application-key", "")
        self.keys_seen.add(key)
        return key in self.keys

    async def _get(self, request: web.Request) -> web.Response:
        if not self._knows(request):
            return _forbidden()
        kind, resource_id = request.match_info.get("type"), request.match_info.get("id")
        found = [
            one for one in self.resources.values() if kind in {None, one["type"]} and resource_id in {None, one["id"]}
        ]
        if resource_id is not None and not found:
            return _v2([], "Not Found", status=404)
        return _v2(found)

    async def _put(self, request: web.Request) -> web.Response:
        if not self._knows(request):
            return _forbidden()
        kind, resource_id = request.match_info["type"], request.match_info["id"]
        resource, body = self.resources.get(resource_id), json_object(await request.text())
        if resource is None or resource["type"] != kind:
            return _v2([], "Not Found", status=404)
        if not body or not body.keys() <= PUTTABLE.get(kind, set()):
            return _v2([], "invalid body", status=400)
        self._commands = (*self._commands, (kind, resource_id, body))
        targets = [resource_id] if kind == "light" else list(wire.members(resource, self.resources))
        done = {"rid": resource_id, "rtype": kind}
        await self._become({rid: body for rid in targets if self._reaches(self.resources[rid])})
        if kind == "light" and not self._reaches(resource):
            sentence = f"device (light) {resource_id} has communication issues, command (.on.on) may not have effect"
            return _v2([done], sentence, status=207)
        return _v2([done])

    def _reaches(self, light: Mapping[str, Any]) -> bool:
        device = self.resources[light["owner"]["rid"]]
        links = [one["rid"] for one in device["services"] if one["rtype"] == "zigbee_connectivity"]
        return all(self.resources[rid]["status"] == "connected" for rid in links)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if not self._knows(request):
            return _forbidden()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await response.prepare(request)
        with suppress(ConnectionError):
            await response.write(b": hi\n\n")
        self._streams.add(response)
        try:
            await self.told()
            await asyncio.Event().wait()
        finally:
            self._streams.discard(response)
            await self.told()
        return response

    async def _become(self, wanted: Mapping[str, Mapping[str, Any]]) -> None:
        """Change resources, and the groups that they are part of; push what is new."""
        news: dict[str, wire.Resource] = {}
        for resource_id, members in wanted.items():
            resource = self.resources[resource_id]
            changes = wire.changed(resource, members)
            self._take(resource, changes, news)
        if any(self.resources[resource_id]["type"] == "light" for resource_id in news):
            for group in [one for one in self.resources.values() if one["type"] == "grouped_light"]:
                self._take(group, wire.changed(group, wire.grouped(group, self.resources)), news)
        if news:
            await self._push("update", list(news.values()))
        await self.told()

    def _take(self, resource: wire.Resource, changes: wire.Resource, news: dict[str, wire.Resource]) -> None:
        if changes:
            self.resources[resource["id"]] = {**resource, **changes}
            named = {member: resource[member] for member in ("id", "owner", "type") if member in resource}
            news[resource["id"]] = named | changes

    async def _push(self, kind: str, data: Iterable[wire.Resource]) -> None:
        if self.frozen:
            return
        event = {"creationtime": _now(), "data": list(data), "id": str(uuid.uuid4()), "type": kind}
        await self.say(f"id: {int(time.time())}:0\ndata: {compact([event])}\n\n")

    async def say(self, text: str) -> None:
        """Write to every event stream, be it right or wrong."""
        for stream in tuple(self._streams):
            with suppress(ConnectionError):
                await stream.write(text.encode())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _v1_error(kind: int, description: str) -> web.Response:
    error = {"error": {"type": kind, "address": "", "description": description}}
    return web.json_response([error], dumps=compact)


def _v2(data: list[wire.Resource], *errors: str, status: int = 200) -> web.Response:
    body = {"errors": [{"description": one} for one in errors], "data": data}
    return web.json_response(body, status=status, dumps=compact)


def _forbidden() -> web.Response:
    return web.Response(status=403, text="<html><body>Forbidden</body></html>", content_type="text/html")
