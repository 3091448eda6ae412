"""A heater with an HTTP interface of nobody's, and its description in the configuration."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

__all__ = ["Heater", "described", "heater"]


class Heater:
    """``on`` 0 or 1, ``target`` in degrees, ``note`` a text; and what it can be made to do wrong."""

    def __init__(self) -> None:
        self.on, self.target, self.note = 0, 20.0, ""
        self.serial = "H-42"
        self.port = 0
        self.asked: list[tuple[str, str, str | None]] = []  # method, path with query, X-Key
        self.refusal: tuple[int, str] | None = None
        self.redirect: str | None = None
        self.deaf = False
        self.byte_after = 0.0
        self.hung = asyncio.Event()
        self.hung.set()
        self.answered = asyncio.Condition()

    async def count(self, number: int) -> None:
        """Return when it was asked so often."""
        async with asyncio.timeout(20), self.answered:
            await self.answered.wait_for(lambda: len(self.asked) >= number)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path_qs, request.headers.get("X-Key")))
        await self.hung.wait()
        try:
            if self.redirect is not None:
                raise web.HTTPFound(self.redirect)
            if self.refusal is not None:
                return web.Response(status=self.refusal[0], text=self.refusal[1])
            body = await self._body(request)
            if not self.byte_after:
                return web.Response(text=body)
            return await self._trickled(request, body)
        finally:
            async with self.answered:
                self.answered.notify_all()

    async def _trickled(self, request: web.Request, body: str) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for letter in body:
            await response.write(letter.encode())
            await asyncio.sleep(self.byte_after)
        return response

    async def _body(self, request: web.Request) -> str:
        match request.path:
            case "/info":
                return json.dumps({"serial": self.serial})
            case "/status":
                return json.dumps({"relay": {"on": bool(self.on)}, "target": self.target, "note": self.note})
            case "/relay" if not self.deaf:
                self.on = int(request.query["turn"] == "on")
            case "/target" if not self.deaf:
                self.target = float((await request.json())["celsius"])
            case "/note" if not self.deaf:
                self.note = request.query["text"]
        return "ok"


@asynccontextmanager
async def heater() -> AsyncIterator[Heater]:
    """Run one on a free port of 127.0.0.1."""
    one = Heater()
    server = web.Server(one.answer)  # type: ignore[arg-type]  # a request of a server without an application
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    one.port = listening.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        one.hung.set()
        listening.close()
        await server.shutdown(0.1)


def described(port: int, **more: Any) -> dict[str, Any]:
    """Return its table in ``[[drivers.http.devices]]``."""
    on = {"component": "on", "category": "switch", "type": "binary", "min": 0, "max": 1, "json_path": "relay.on"}
    words = {"on": 1, "off": 0}
    target = {"component": "target", "category": "thermostat", "type": "target-temperature", "min": 5, "max": 30}
    return {
        "id": "heater",
        "name": "Heater",
        "url": f"http://127.0.0.1:{port}",
        "identity": "H-42",
        "identity_path": "/info",
        "identity_json_path": "serial",
        "features": [
            {**on, "read": "/status", "write": "/relay?turn={value}", "method": "GET", "values": words},
            {
                **target,
                "read": "/status",
                "json_path": "target",
                "write": "/target",
                "payload": '{"celsius": {value}}',
            },
            {"component": "note", "type": "text", "read": "/status", "json_path": "note", "write": "/note?text={text}"},
        ],
        **more,
    }
