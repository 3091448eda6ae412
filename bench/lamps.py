"""``python -m bench.lamps COUNT``: so many WLED lamps in one process on 127.0.0.1, each announced, told apart by Host.

Prints a line when all are announced, and one each time that all are listened to by websocket. Their lists of effects
and palettes are as long as those of a real lamp.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable

from aiohttp import WSMsgType, web
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from gladys_companion.sim import _wled_json as wire

__all__ = ["ANNOUNCED", "LISTENED", "mac_of_lamp"]

SERVICE = "_wled._tcp.local."
ANNOUNCED, LISTENED = "announced", "listened to"
AT_ONCE = 50  # registered at a time: loopback drops what comes in bursts
EFFECTS = tuple(f"Effect number {number}" for number in range(187))
METADATA = ("!,!,Size,Density,Blur,Bounce;!,!,!;!;01f;sx=96,ix=224,pal=0",) * len(EFFECTS)
PALETTES = tuple(f"Palette number {number}" for number in range(71))

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def mac_of_lamp(number: int) -> str:
    """Return the identity of a lamp."""
    return f"02beca{number:06x}"


class Lamps:
    """All lamps; each has its own state."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._states = {mac_of_lamp(number): wire.factory_state() for number in range(count)}
        self._listeners: dict[str, int] = {}

    def app(self) -> web.Application:
        """Return what answers for every lamp."""
        app = web.Application()
        app.router.add_get("/json", self._get(lambda mac: self._state_and_info(mac) | _lists()))
        app.router.add_get("/json/si", self._get(self._state_and_info))
        app.router.add_get("/json/info", self._get(self._info))
        app.router.add_get("/json/{list:eff|effects}", self._get(lambda _: EFFECTS))
        app.router.add_get("/json/{list:pal|palettes}", self._get(lambda _: PALETTES))
        app.router.add_get("/json/fxdata", self._get(lambda _: METADATA))
        app.router.add_get("/json/cfg", self._get(lambda mac: wire.config(mac=mac, name=mac)))
        app.router.add_get("/presets.json", self._get(lambda _: dict(wire.PRESETS)))
        app.router.add_get("/ws", self._websocket)
        return app

    async def announce(self, zeroconf: AsyncZeroconf, port: int) -> None:
        """Announce each lamp."""
        for first in range(0, self.count, AT_ONCE):
            batch = [_service(mac_of_lamp(number), port) for number in range(first, min(first + AT_ONCE, self.count))]
            said = [await zeroconf.async_register_service(one, cooperating_responders=True) for one in batch]
            await asyncio.gather(*said)

    def _info(self, mac: str) -> dict[str, object]:
        told = wire.info(mac=mac, name=mac, address="127.0.0.1", port=80, uptime=60, sockets=1, state=self._states[mac])
        return told | {"fxcount": len(EFFECTS), "palcount": len(PALETTES)}

    def _state_and_info(self, mac: str) -> dict[str, object]:
        return {"state": self._states[mac], "info": self._info(mac)}

    def _get(self, content: Callable[[str], object]) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            return web.json_response(content(_mac(request)), dumps=_dumps)

        return answer

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        mac = _mac(request)
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.send_json(self._state_and_info(mac), dumps=_dumps)
        self._listeners[mac] = self._listeners.get(mac, 0) + 1
        if len(self._listeners) == self.count and self._listeners[mac] == 1:
            print(LISTENED, flush=True)
        async for message in ws:
            if message.type is WSMsgType.ERROR:
                break
        self._listeners[mac] -= 1
        if not self._listeners[mac]:
            del self._listeners[mac]
        return ws


def _mac(request: web.Request) -> str:
    return request.host.partition(".")[0]


def _lists() -> dict[str, object]:
    return {"effects": EFFECTS, "palettes": PALETTES}


def _dumps(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _service(mac: str, port: int) -> AsyncServiceInfo:
    label = f"wled-{mac[-6:]}"
    return AsyncServiceInfo(
        SERVICE,
        f"{label}.{SERVICE}",
        parsed_addresses=["127.0.0.1"],
        port=port,
        properties={"mac": mac},
        server=f"{label}.local.",
    )


async def run(count: int) -> None:
    """Run so many lamps until cancelled."""
    lamps = Lamps(count)
    runner = web.AppRunner(lamps.app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=count)
    await site.start()
    port = runner.addresses[0][1]
    async with AsyncZeroconf(interfaces=["127.0.0.1"]) as zeroconf:
        await lamps.announce(zeroconf, port)
        print(ANNOUNCED, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1])))
