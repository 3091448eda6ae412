"""A simulated WLED lamp that the real ``wled`` library and any mDNS browser take for a real one.

It speaks the JSON API over HTTP, pushes its state over ``/ws`` and announces itself as ``_wled._tcp.local.``. Beside
the wire it has a person's hands (``press``, ``set``) and the faults of a lamp (``freeze``, ``refuse``, ``move``).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSMsgType, web
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.sim import _wled_json as wire
from gladys_companion.sim._device import Announced, HttpDevice, compact, json_object

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
    async with Lamp(mac=mac, name=name).running(host, port, zeroconf) as lamp:
        yield lamp


class Lamp(HttpDevice):
    """What ``open_wled`` gives. ``mac`` is 12 lower-case hex digits, ``address`` and ``port`` where it listens now."""

    def __init__(self, *, mac: str, name: str) -> None:
        """Make a lamp as it leaves the factory."""
        super().__init__(mac=mac, name=name)
        self._state = wire.factory_state()
        self._commands: tuple[dict[str, Any], ...] = ()
        self._sockets: set[web.WebSocketResponse] = set()
        self._started = time.monotonic()

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

    async def press(self) -> None:
        """Toggle it, as a person at the wall does; listeners are told."""
        await self._become({"on": "t"})

    async def set(self, **state: Any) -> None:
        """Change it by hand, in the words of the JSON API: ``on=True``, ``bri=40``, ``seg={"col": [[255, 0, 0]]}``."""
        await self._become(state)

    def announced(self) -> Sequence[Announced]:
        """Return ``_wled._tcp`` with the MAC."""
        return (Announced(SERVICE, f"wled-{self.mac[-6:]}", {"mac": self.mac}),)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the JSON API and the websocket."""
        return [
            web.get("/json", self._get(self._everything)),
            web.get("/json/state", self._get(lambda: self._state)),
            web.get("/json/info", self._get(self._info)),
            web.get("/json/si", self._get(self._state_and_info)),
            web.get("/json/{effects:eff|effects}", self._get(lambda: wire.EFFECTS)),
            web.get("/json/{palettes:pal|palettes}", self._get(lambda: wire.PALETTES)),
            web.get("/json/fxdata", self._get(lambda: wire.EFFECT_METADATA)),
            web.get("/json/cfg", self._get(lambda: wire.config(mac=self.mac, name=self.name))),
            web.get("/presets.json", self._get(lambda: wire.PRESETS)),
            web.post("/json", self._post(self._everything)),
            web.post("/json/state", self._post(lambda: self._state)),
            web.post("/json/si", self._post(self._state_and_info)),
            web.get("/ws", self._websocket),
        ]

    def _get(self, content: Callable[[], object]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(_request: web.Request) -> web.Response:
            return web.json_response(content(), dumps=compact)

        return answer

    def _post(self, content: Callable[[], object]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            body = json_object(await request.text())
            if body is None:
                return web.json_response({"error": 9}, status=400)
            await self._take(body)
            return web.json_response(content() if body.get("v") else {"success": True}, dumps=compact)

        return answer

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(autoping=False)  # a frozen lamp answers no ping either
        await ws.prepare(request)
        self._sockets.add(ws)
        try:
            await ws.send_json(self._state_and_info(), dumps=compact)
            await self.told()
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
            self._sockets.discard(ws)
            await self.told()
        return ws

    async def _heard(self, ws: web.WebSocketResponse, text: str) -> None:
        if text == "p":
            await ws.send_str("pong")
        elif (body := json_object(text)) is None:
            await ws.send_json({"error": 9})
        elif body.keys() == {"v"}:
            await ws.send_json(self._state_and_info(), dumps=compact)
        else:
            await self._take(body)

    async def _take(self, body: dict[str, Any]) -> None:
        self._commands = (*self._commands, body)
        await self._become(body)

    async def _become(self, body: dict[str, Any]) -> None:
        before, self._state = self._state, wire.changed(self._state, body)
        if before != self._state and not self.frozen:
            for ws in tuple(self._sockets):
                try:
                    await ws.send_json(self._state_and_info(), dumps=compact)
                except ConnectionError:
                    self._sockets.discard(ws)
        await self.told()

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
