"""A simulated WLED lamp that the real ``wled`` library and any mDNS browser take for a real one.

It speaks the JSON API over HTTP, pushes its state over ``/ws`` and announces itself as ``_wled._tcp.local.``. Beside
the wire it has a person's hands (``press``, ``set``) and the faults of a lamp (``freeze``, ``refuse``, ``move``).
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from aiohttp import WSMsgType, web
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from gladys_companion.sim import _wled_json as wire

__all__ = ["Lamp", "open_wled"]

SERVICE = "_wled._tcp.local."


@asynccontextmanager
async def open_wled(
    *,
    mac: str = "a8032ab12345",
    name: str = "WLED",
    host: str = "127.0.0.1",
    port: int = 0,
    zeroconf: AsyncZeroconf | None = None,
) -> AsyncIterator[Lamp]:
    """Run a lamp that listens on ``host``, and announce it where ``zeroconf`` is given (the caller's, left open).

    Args:
        mac: its identity, 12 hex digits, with colons or without.
        name: its friendly name.
        host: one IP address of this machine; it is announced, so a wildcard will not do.
        port: 0 takes a free one.
        zeroconf: speaks on its own interfaces only; with ``interfaces=["127.0.0.1"]`` the lamp stays on this machine.

    Raises:
        ValueError: ``mac`` or ``host`` is not what it must be.
        OSError: the address can not be listened on.
    """
    lamp = Lamp(mac=mac, name=name)
    async with AsyncExitStack() as stack:
        await lamp._start(host, port)  # noqa: SLF001 - the other half of the same thing
        stack.push_async_callback(lamp._stop)  # noqa: SLF001
        if zeroconf is not None:
            await lamp._announce(zeroconf)  # noqa: SLF001
            stack.push_async_callback(lamp._withdraw)  # noqa: SLF001
        yield lamp


class Lamp:
    """What ``open_wled`` gives. ``mac`` is 12 lower-case hex digits, ``address`` and ``port`` where it listens now."""

    address: str
    port: int

    def __init__(self, *, mac: str, name: str) -> None:
        self.mac = mac.replace(":", "").lower()
        if not re.fullmatch(r"[0-9a-f]{12}", self.mac):
            msg = f"a MAC is 12 hex digits, not {mac!r}"
            raise ValueError(msg)
        self.name = name
        self._state = wire.factory_state()
        self._commands: tuple[dict[str, Any], ...] = ()
        self._news = asyncio.Condition()
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._refusal: tuple[int, str] | None = None
        self._sockets: set[web.WebSocketResponse] = set()
        self._started = time.monotonic()
        self._runner: web.AppRunner | None = None
        self._zeroconf: AsyncZeroconf | None = None
        self._announcement: Awaitable[None] | None = None

    @property
    def state(self) -> dict[str, Any]:
        """The state as ``/json/state`` serves it: ``on``, ``bri`` 0-255, ``seg`` and so on. Replaced, never changed."""
        return self._state

    @property
    def commands(self) -> tuple[dict[str, Any], ...]:
        """The state bodies received by HTTP and websocket since the start, in order."""
        return self._commands

    @property
    def listeners(self) -> int:
        """How many websockets are open."""
        return len(self._sockets)

    async def until(self, condition: Callable[[Lamp], bool]) -> None:
        """Return as soon as ``condition(lamp)`` holds; it is asked again after every command, change and connection."""
        async with self._news:
            await self._news.wait_for(lambda: condition(self))

    async def press(self) -> None:
        """Toggle it, as a person at the wall does; listeners are told."""
        await self._become({"on": "t"})

    async def set(self, **state: Any) -> None:
        """Change it by hand, in the words of the JSON API: ``on=True``, ``bri=40``, ``seg={"col": [[255, 0, 0]]}``."""
        await self._become(state)

    def freeze(self) -> None:
        """Accept connections and never answer nor push; what is asked meanwhile is lost."""
        self._thawed.clear()

    def thaw(self) -> None:
        """End ``freeze``; connections that were waiting for an answer break."""
        self._thawed.set()

    def refuse(self, status: int, body: str = '{"error":9}') -> None:
        """Answer every request so; with status 200 and a body that is no JSON, it talks nonsense."""
        self._refusal = (status, body)

    def accept(self) -> None:
        """End ``refuse``."""
        self._refusal = None

    async def move(self, host: str | None = None, port: int = 0) -> None:
        """Go to another address or port, as after a new DHCP lease: connections break, the announcement follows."""
        await self._stop()
        await self._start(host or self.address, port)
        if self._zeroconf is not None:
            await (await self._zeroconf.async_update_service(self._service()))

    async def _start(self, host: str, port: int) -> None:
        address = ipaddress.ip_address(host)
        if address.is_unspecified:
            msg = f"a lamp has one address, and {host} is every address: give the one to announce"
            raise ValueError(msg)
        app = web.Application(middlewares=[self._faults])
        app.router.add_get("/json", self._get(self._everything))
        app.router.add_get("/json/state", self._get(lambda: self._state))
        app.router.add_get("/json/info", self._get(self._info))
        app.router.add_get("/json/si", self._get(self._state_and_info))
        app.router.add_get("/json/{effects:eff|effects}", self._get(lambda: wire.EFFECTS))
        app.router.add_get("/json/{palettes:pal|palettes}", self._get(lambda: wire.PALETTES))
        app.router.add_get("/json/fxdata", self._get(lambda: wire.EFFECT_METADATA))
        app.router.add_get("/json/cfg", self._get(lambda: wire.config(mac=self.mac, name=self.name)))
        app.router.add_get("/presets.json", self._get(lambda: wire.PRESETS))
        app.router.add_post("/json", self._post(self._everything))
        app.router.add_post("/json/state", self._post(lambda: self._state))
        app.router.add_post("/json/si", self._post(self._state_and_info))
        app.router.add_get("/ws", self._websocket)
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET  # noqa: PLR2004
        listener = socket.create_server((host, port), family=family)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        self.address, self.port = listener.getsockname()[:2]
        self._runner = runner

    async def _stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _service(self) -> AsyncServiceInfo:
        label = f"wled-{self.mac[-6:]}"
        return AsyncServiceInfo(
            SERVICE,
            f"{label}.{SERVICE}",
            parsed_addresses=[self.address],
            port=self.port,
            properties={"mac": self.mac},
            server=f"{label}.local.",
        )

    async def _announce(self, zeroconf: AsyncZeroconf) -> None:
        self._zeroconf = zeroconf
        self._announcement = await zeroconf.async_register_service(self._service())

    async def _withdraw(self) -> None:
        if self._zeroconf is not None and self._announcement is not None:
            await self._announcement
            await (await self._zeroconf.async_unregister_service(self._service()))

    @web.middleware
    async def _faults(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if not self._thawed.is_set():
            await self._thawed.wait()
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if self._refusal is not None:
            status, body = self._refusal
            return web.Response(status=status, text=body, content_type="application/json")
        return await handler(request)

    def _get(self, content: Callable[[], object]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(_request: web.Request) -> web.Response:
            return web.json_response(content(), dumps=_dumps)

        return answer

    def _post(self, content: Callable[[], object]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            body = _object(await request.text())
            if body is None:
                return web.json_response({"error": 9}, status=400)
            await self._take(body)
            return web.json_response(content() if body.get("v") else {"success": True}, dumps=_dumps)

        return answer

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(autoping=False)  # a frozen lamp answers no ping either
        await ws.prepare(request)
        self._sockets.add(ws)
        try:
            await ws.send_json(self._state_and_info(), dumps=_dumps)
            await self._tell()
            async for message in ws:
                if not self._thawed.is_set():
                    await self._thawed.wait()
                    break
                if message.type is WSMsgType.PING:
                    await ws.pong(message.data)
                elif message.type is WSMsgType.TEXT:
                    await self._heard(ws, message.data)
        except ConnectionError:
            pass  # the listener left in the middle of a frame
        finally:
            self._sockets.discard(ws)
            await self._tell()
        return ws

    async def _heard(self, ws: web.WebSocketResponse, text: str) -> None:
        if text == "p":
            await ws.send_str("pong")
        elif (body := _object(text)) is None:
            await ws.send_json({"error": 9})
        elif body.keys() == {"v"}:
            await ws.send_json(self._state_and_info(), dumps=_dumps)
        else:
            await self._take(body)

    async def _take(self, body: dict[str, Any]) -> None:
        self._commands = (*self._commands, body)
        await self._become(body)

    async def _become(self, body: dict[str, Any]) -> None:
        before, self._state = self._state, wire.changed(self._state, body)
        if before != self._state and self._thawed.is_set():
            for ws in tuple(self._sockets):
                try:
                    await ws.send_json(self._state_and_info(), dumps=_dumps)
                except ConnectionError:
                    self._sockets.discard(ws)
        await self._tell()

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    def _info(self) -> dict[str, Any]:
        uptime = int(time.monotonic() - self._started)
        return wire.info(
            mac=self.mac,
            name=self.name,
            address=self.address,
            port=self.port,
            uptime=uptime,
            sockets=len(self._sockets),
            state=self._state,
        )

    def _state_and_info(self) -> dict[str, Any]:
        return {"state": self._state, "info": self._info()}

    def _everything(self) -> dict[str, Any]:
        return self._state_and_info() | {"effects": wire.EFFECTS, "palettes": wire.PALETTES}


def _dumps(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _object(text: str) -> dict[str, Any] | None:
    """The JSON object in ``text``, or None where there is none."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
