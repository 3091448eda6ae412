"""A simulated Shelly Gen2 that the real ``aioshelly`` and any mDNS browser take for a real one.

It speaks JSON-RPC by ``POST /rpc``, ``GET /rpc/METHOD`` and the websocket ``/rpc``, where it notifies whoever asked it
something; with a password it wants a digest for all but ``Shelly.GetDeviceInfo``. Beside the wire it has a person's
hands (``press``, ``push``, ``set``) and the faults of every simulated device.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiohttp import WSMsgType, web
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.sim import _shelly_rpc as wire
from gladys_companion.sim._device import Announced, HttpDevice, compact, json_object
from gladys_companion.sim._shelly_digest import Digest

__all__ = ["Shelly", "open_shelly_gen2"]

SERVICES = ("_shelly._tcp.local.", "_http._tcp.local.")
OPEN_TO_ALL = "Shelly.GetDeviceInfo"
UNAUTHORIZED = 401
STEPS = 20  # in which a cover travels


@asynccontextmanager
async def open_shelly_gen2(  # noqa: PLR0913 - what a device is
    *,
    kind: wire.Kind = "switch",
    mac: str = "a8032ab20001",
    name: str = "Shelly Plus",
    host: str = "127.0.0.1",
    port: int = 0,
    password: str | None = None,
    buttons: str = "switch",
    travel: float = 0.0,
    zeroconf: AsyncZeroconf | None = None,
) -> AsyncIterator[Shelly]:
    """Run a device that listens on ``host``, and announce it where ``zeroconf`` is given (the caller's, left open).

    Args:
        kind: what hangs on it: a ``switch`` (Plus 1PM), a ``light`` (Plus 0-10V Dimmer), a ``color`` light (Plus RGBW
            PM) or a ``cover`` (Plus 2PM).
        mac: its identity, 12 hex digits, with colons or without.
        name: its friendly name.
        host: one IP address of this machine; it is announced, so a wildcard will not do.
        port: 0 takes a free one.
        password: of the user ``admin``; None leaves it open.
        buttons: what hangs on its inputs: ``switch`` or ``button``.
        travel: seconds that a cover takes from closed to open.
        zeroconf: speaks on its own interfaces only.

    Raises:
        ValueError: ``mac`` or ``host`` is not what it must be.
        OSError: the address can not be listened on.
    """
    shelly = Shelly(kind=kind, mac=mac, name=name, password=password, buttons=buttons, travel=travel)
    async with shelly.running(host, port, zeroconf):
        yield shelly


class Shelly(HttpDevice):
    """What ``open_shelly_gen2`` gives. ``part`` is the key of what hangs on it (``switch:0``), ``id`` its own id."""

    def __init__(
        self, *, kind: wire.Kind, mac: str, name: str, password: str | None, buttons: str, travel: float
    ) -> None:
        """Make a device as it leaves the factory."""
        super().__init__(mac=mac, name=name)
        self._kind = kind
        self.id: str = wire.info(kind, self.mac, name, protected=False)["id"]
        self._config, self._status = wire.components(kind, buttons)
        self.part = next(iter(self._config))
        self._digest = Digest(self.id, password) if password is not None else None
        self._travel = travel
        self._move: asyncio.Task[None] | None = None
        self._commands: tuple[tuple[str, dict[str, Any]], ...] = ()
        self._listeners: dict[web.WebSocketResponse, str] = {}
        self._started = time.monotonic()

    @property
    def status(self) -> dict[str, Any]:
        """The status of each component by its key. Replaced, never changed."""
        return self._status

    @property
    def commands(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        """The methods with their parameters that commanded something since the start, in order."""
        return self._commands

    @property
    def listeners(self) -> int:
        """How many websockets are notified."""
        return len(self._listeners)

    async def press(self) -> None:
        """Toggle what hangs on it, as a person at the wall does; a cover goes to the other end."""
        now = self._status[self.part]
        if "output" in now:
            _, changes = wire.called(self._status, f"{_kind(self.part)}.Toggle", {"id": 0})
        else:
            verb = "Close" if now["current_pos"] else "Open"
            _, changes = wire.called(self._status, f"Cover.{verb}", {"id": 0})
        await self._become(changes)

    async def push(self, event: str = "single_push", number: int = 0) -> None:
        """Push the button on an input: ``single_push``, ``double_push``, ``triple_push`` or ``long_push``."""
        at = time.time()
        told = {"component": f"input:{number}", "id": number, "event": event, "ts": at}
        await self._notify("NotifyEvent", {"ts": at, "events": [told]})
        await self.told()

    async def set(self, key: str, **status: Any) -> None:
        """Change the status of a component by hand: ``set("input:0", state=True)``."""
        await self._become({key: status})

    def announced(self) -> Sequence[Announced]:
        """Return ``_shelly._tcp`` and ``_http._tcp``, both with the generation."""
        txt = {"gen": "2", "app": wire.MODELS[self._kind].app, "ver": wire.VERSION}
        return tuple(Announced(service, self.id, txt) for service in SERVICES)

    def routes(self) -> list[web.RouteDef]:
        """Return ``/shelly`` and the three ways to call a method."""
        return [
            web.get("/shelly", self._shelly),
            web.get("/rpc", self._websocket),
            web.post("/rpc", self._post),
            web.get("/rpc/{method}", self._get),
            web.post("/rpc/{method}", self._get),
        ]

    async def cease(self) -> None:
        """Stop serving, and moving."""
        self._stand_still()
        if self._move is not None:
            await asyncio.wait({self._move})
        await super().cease()

    def info(self) -> dict[str, Any]:
        """Return what ``Shelly.GetDeviceInfo`` tells."""
        return wire.info(self._kind, self.mac, self.name, protected=self._digest is not None)

    async def _shelly(self, _request: web.Request) -> web.Response:
        return web.json_response(self.info(), dumps=compact)

    async def _get(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        if not self._open_to(request, method):
            return self._unauthorized()
        params = {key: json_object(f'{{"v":{value}}}') or {"v": value} for key, value in request.query.items()}
        arguments = {key: one["v"] for key, one in params.items()} | (json_object(await request.text()) or {})
        try:
            return web.json_response(await self._call(method, arguments), dumps=compact)
        except wire.RpcError as error:
            return web.json_response({"code": error.code, "message": error.message}, status=500)

    async def _post(self, request: web.Request) -> web.Response:
        frame = json_object(await request.text())
        if frame is None or not isinstance(frame.get("method"), str):
            return web.json_response({"code": -103, "message": "Invalid JSON!"}, status=500)
        if not self._open_to(request, frame["method"]) and not self._trusts(frame):
            return self._unauthorized()
        return web.json_response(await self._answer(frame, trusted=True), dumps=compact)

    def _open_to(self, request: web.Request, method: str) -> bool:
        header = request.headers.get("Authorization", "")
        return (
            self._digest is None
            or method == OPEN_TO_ALL
            or self._digest.fits_header(request.method, request.path_qs, header)
        )

    def _unauthorized(self) -> web.Response:
        header = self._digest.header() if self._digest is not None else ""
        return web.Response(status=UNAUTHORIZED, headers={"WWW-Authenticate": header})

    def _trusts(self, frame: dict[str, Any]) -> bool:
        return self._digest is None or frame["method"] == OPEN_TO_ALL or self._digest.fits_frame(frame.get("auth"))

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(autoping=False)  # a frozen device answers no ping either
        await ws.prepare(request)
        try:
            async for message in ws:
                if self.frozen:
                    await self.thawed()
                    break
                if message.type is WSMsgType.PING:
                    await ws.pong(message.data)
                elif message.type is WSMsgType.TEXT:
                    await self._heard(ws, message.data)
        except ConnectionError:
            pass  # the listener left in the middle of a frame
        finally:
            self._listeners.pop(ws, None)
            await self.told()
        return ws

    async def _heard(self, ws: web.WebSocketResponse, text: str) -> None:
        frame = json_object(text)
        if frame is None or not isinstance(frame.get("method"), str):
            return  # a real one does not answer that either
        trusted = self._trusts(frame)
        await ws.send_json(await self._answer(frame, trusted=trusted), dumps=compact)
        if trusted and isinstance(frame.get("src"), str) and (self._digest is None or frame["method"] != OPEN_TO_ALL):
            self._listeners[ws] = frame["src"]
        await self.told()

    async def _answer(self, frame: dict[str, Any], *, trusted: bool) -> dict[str, Any]:
        head = {"id": frame.get("id"), "src": self.id, "dst": frame.get("src")}
        if not trusted and self._digest is not None:
            return {**head, "error": {"code": UNAUTHORIZED, "message": self._digest.challenge()}}
        params = frame.get("params")
        try:
            return {**head, "result": await self._call(frame["method"], params if isinstance(params, dict) else {})}
        except wire.RpcError as error:
            return {**head, "error": {"code": error.code, "message": error.message}}

    async def _call(self, method: str, params: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        kind, _, verb = method.partition(".")
        if kind == "Shelly":
            return self._asked(method)
        if verb in {"GetStatus", "GetConfig"}:
            key, found = f"{kind.lower()}:{params.get('id')}", self._status if verb == "GetStatus" else self._config
            if key not in found:
                raise wire.RpcError(-105, f"Argument 'id', value {params.get('id')} not found!")
            return found[key]
        result, changes = wire.called(self._status, method, params)
        self._commands = (*self._commands, (method, params))
        await self._become(changes)
        return result

    def _asked(self, method: str) -> dict[str, Any]:
        uptime = int(time.monotonic() - self._started)
        config, status = wire.system(self.info(), self.address, uptime)
        answers: dict[str, dict[str, Any]] = {
            OPEN_TO_ALL: self.info(),
            "Shelly.GetConfig": self._config | config,
            "Shelly.GetStatus": self._status | status,
            "Shelly.GetComponents": {"components": [], "cfg_rev": 1, "offset": 0, "total": 0},
            "Shelly.ListMethods": {"methods": [*wire.METHODS, OPEN_TO_ALL, "Shelly.GetConfig", "Shelly.GetStatus"]},
        }
        if method not in answers:
            raise wire.RpcError(404, f"No handler for {method}")
        return answers[method]

    async def _become(self, changes: dict[str, dict[str, Any]]) -> None:
        before, self._status = self._status, wire.merged(self._status, changes)
        to = changes.get(self.part, {}).get("target_pos")
        if "state" in changes.get(self.part, {}):
            self._stand_still()
        if to is not None:
            self._move = asyncio.get_running_loop().create_task(self._travelling(to), name=f"move {self.id}")
            if not self._travel:
                await self._move
                return
        if before != self._status:
            full = {key: {"id": self._status[key]["id"], **change} for key, change in changes.items()}
            await self._notify("NotifyStatus", {"ts": round(time.time(), 2), **full})
        await self.told()

    def _stand_still(self) -> None:
        if self._move is not None and self._move is not asyncio.current_task():
            self._move.cancel()

    async def _travelling(self, to: int) -> None:
        at = self._status[self.part]["current_pos"]
        for step in range(1, STEPS):
            await asyncio.sleep(self._travel * abs(to - at) / 100 / STEPS)
            between = {self.part: {"current_pos": at + (to - at) * step // STEPS}}  # to be asked for, not notified
            self._status = wire.merged(self._status, between)
        await self._become({self.part: wire.rested(self._status[self.part], to)})

    async def _notify(self, method: str, params: dict[str, Any]) -> None:
        if self.frozen:
            return
        for ws, dst in tuple(self._listeners.items()):
            with suppress(ConnectionError):  # it leaves the list where it is listened to
                await ws.send_json({"src": self.id, "dst": dst, "method": method, "params": params}, dumps=compact)


def _kind(key: str) -> str:
    kind = key.partition(":")[0]
    return "RGBW" if kind == "rgbw" else kind.capitalize()
