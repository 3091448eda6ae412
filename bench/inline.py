"""``python -m bench.inline``: what in-line mode costs what passes through it, as JSON. The daemon is a process.

The time that it adds is measured against the same question asked without it, one after the other; its memory while a
body of gigabytes and frames of 25 MB pass in both directions.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import ClientSession, ClientTimeout, WSMsgType, web
from tests.inline import RawGladys, joined, open_process
from tests.processes import Process

from bench.phones import percentile

ASKED = 3_000  # questions each way, of which the first tenth warms up
GIGABYTES = 2
FRAMES = 40
PIECE = bytes(1024 * 1024)
LARGE = 25_000_000
MOST = 26_214_400


class Plus:
    """Plays Gladys Plus: its routes, its websocket, and a body of gigabytes at ``/body``."""

    def __init__(self) -> None:
        self.sockets: asyncio.Queue[web.WebSocketResponse] = asyncio.Queue()
        self.heard: asyncio.Queue[str] = asyncio.Queue()
        self.taken = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        match request.path:
            case "/instances/access-token":
                return web.json_response({"access_token": "jwt"})
            case "/instances/users":
                return web.json_response([])
            case "/socket.io/":
                return await self._socket(request)
        if request.method == "POST":
            async for part in request.content.iter_any():
                self.taken += len(part)
            return web.json_response({})
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(GIGABYTES * 1024):
            await response.write(PIECE)
        return response

    async def _socket(self, request: web.BaseRequest) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=2 * MOST, compress=False)
        await socket.prepare(request)
        await socket.send_str(
            f'0{{"sid":"a","upgrades":[],"pingInterval":600000,"pingTimeout":600000,"maxPayload":{MOST}}}'
        )
        async for frame in socket:
            if frame.type is not WSMsgType.TEXT:
                break
            if frame.data.startswith("40"):
                await socket.send_str('40{"sid":"b"}')
                await socket.send_str('42["instance-authenticated"]')
                self.sockets.put_nowait(socket)
            elif frame.data.startswith("42900["):  # a Gladys without anything between
                await socket.send_str('43900[{"authenticated":true}]')
            elif frame.data != "3":
                self.heard.put_nowait(frame.data)
        return socket


@asynccontextmanager
async def serving(plus: Plus) -> AsyncIterator[str]:
    """Serve it on a free port of loopback; give the URL."""
    runner = web.ServerRunner(web.Server(plus.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def answer(gladys: RawGladys) -> None:
    """Answer whatever is asked, for ever."""
    while True:
        frame = await gladys.hear(within=None)
        if frame.startswith("42"):
            head, _, rest = frame[2:].partition("[")
            await gladys.socket.send_str(f"43{head}[{rest if len(rest) > LARGE else '{}]'}")


async def ask(plus: Plus, socket: web.WebSocketResponse, frame: str) -> float:
    """Ask as the dashboard does; return the milliseconds until the answer."""
    began = time.perf_counter()
    await socket.send_str(frame)
    while not (await plus.heard.get()).startswith("43"):
        pass
    return (time.perf_counter() - began) * 1_000


async def added(plus: Plus, sockets: tuple[web.WebSocketResponse, web.WebSocketResponse]) -> dict[str, float]:
    """Ask without and with the companion, in turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(ASKED):
        for taken, socket in zip(times, sockets, strict=True):
            taken.append(await ask(plus, socket, f'42{number}["message",{{"encryptedMessage":"{"x" * 500}"}}]'))
    direct, through = ([*taken[ASKED // 10 :]] for taken in times)
    middle = percentile(direct, 0.5), percentile(through, 0.5)
    return {
        "direct_p50_ms": round(middle[0], 3),
        "in_line_p50_ms": round(middle[1], 3),
        "added_p50_ms": round(middle[1] - middle[0], 3),
        "added_p99_ms": round(percentile(through, 0.99) - percentile(direct, 0.99), 3),
    }


async def memory(plus: Plus, daemon: Process, url: str, socket: web.WebSocketResponse) -> dict[str, float]:
    """Pass much, and return the daemon's memory in megabytes before, at most, and after each."""
    told = {"before": daemon.megabytes()["rss"]}
    async with ClientSession(url, timeout=ClientTimeout(None)) as http:
        passed = 0
        async with http.get("/body") as response:
            async for part in response.content.iter_any():
                passed += len(part)
        _must(passed == GIGABYTES * 2**30)
        told["most_after_download"] = _most(daemon.pid)

        async def body() -> AsyncIterator[bytes]:
            for _ in range(GIGABYTES * 1024):
                yield PIECE

        async with http.post("/body", data=body()) as response:
            await response.read()
        _must(plus.taken == GIGABYTES * 2**30)
        told["most_after_upload"] = _most(daemon.pid)
    for number in range(FRAMES):
        await ask(plus, socket, f'42{number}["message","{"x" * (LARGE + 1)}"]')
        if number == 0:
            told["most_after_one_frame_of_25_megabytes"] = _most(daemon.pid)
    told[f"most_after_{FRAMES}_frames"] = _most(daemon.pid)
    for number in range(10):  # the last large frame is kept until the next
        await ask(plus, socket, f'42{number}["message"]')
    told["after"] = daemon.megabytes()["rss"]
    return {name: round(value, 1) for name, value in told.items()}


def _most(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    (most,) = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(most) / 1_000


async def measure(directory: Path) -> dict[str, Any]:
    """Measure everything."""
    plus = Plus()
    async with (
        serving(plus) as upstream,
        open_process(directory, upstream) as (daemon, url),
        joined(upstream) as direct,
    ):
        direct_socket = await plus.sockets.get()
        async with joined(url) as gladys:
            socket = await plus.sockets.get()
            _must(await gladys.authenticate())
            _must((await direct.hear()).startswith("42"))  # instance-authenticated
            answering = [asyncio.create_task(answer(one)) for one in (direct, gladys)]
            told = {
                "milliseconds": await added(plus, (direct_socket, socket)),
                "megabytes": await memory(plus, daemon, url, socket),
            }
            for one in answering:
                one.cancel()
    return told


def _must(be: bool) -> None:  # noqa: FBT001 - what must be
    if not be:
        raise SystemExit("what is measured does not work")


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="gladys-inline-") as directory:
        told = asyncio.run(measure(Path(directory)))
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(told).decode(), indent=2) + "\n")


if __name__ == "__main__":
    main()
