"""``python -m bench.gateway``: the gateway alone, as a process, between phones and a home that acks everything at once.

Prints JSON; what the whole path takes is measured by ``python -m bench``.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from tests.rig import Rig
from websockets.asyncio.client import connect

from bench.phones import Load, Loaded, percentile
from gladys_companion.protocol import socketio

COMBINATIONS = ((1, 1, 1_500), (16, 64, 5_000), (64, 1, 10_000), (64, 64, 10_000))  # in flight, external ids, posts
ACK = {"status": 200, "outcome": "delivered", "duplicate": False, "targets": [{"target": "virtual", "ms": 0.4}]}


async def home(port: int, access_token: str) -> None:
    """Be a companion that acks each event as delivered at once; say on stdout when it is connected."""
    uri = f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket"
    auth = {"auth_type": "instance", "access_token": access_token, "companion": {"version": 1}}
    async with connect(uri, compression=None, ping_interval=None) as socket:
        async for frame in socket:
            match socketio.decode(frame):
                case socketio.Open():
                    await socket.send(socketio.connect(auth))
                case socketio.Ping(data=data):
                    await socket.send(socketio.pong(data))
                case socketio.ServerEvent(name="open-api-message", ack_id=int(ack_id)):
                    await socket.send(socketio.ack(ack_id, ACK))
                case socketio.ServerEvent(name="instance-authenticated"):
                    sys.stdout.write("connected\n")
                    sys.stdout.flush()


async def press(rig: Rig, in_flight: int, ids: int, count: int) -> dict[str, Any]:
    """Post from a process of its own and return the figures."""
    external_ids = [f"phone:{number}" for number in range(ids)]
    load = Load(port=rig.port, key=rig.key, external_ids=external_ids, in_flight=in_flight, count=count, first=0)
    before = rig.gateway.cpu_seconds()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.phones", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    loaded = msgspec.json.decode((await process.communicate(msgspec.json.encode(load)))[0], type=Loaded)
    return {
        "in_flight": in_flight,
        "external_ids": ids,
        "statuses": loaded.statuses,
        "per_second": round(loaded.rate),
        "p50_ms": round(percentile(loaded.latencies, 0.5), 3),
        "p99_ms": round(percentile(loaded.latencies, 0.99), 3),
        "cpu_seconds_per_1000": round((rig.gateway.cpu_seconds() - before) * 1000 / count, 3),
    }


async def measure(directory: Path) -> dict[str, Any]:
    """Measure everything."""
    rig = Rig(directory)
    rig.configure({}, {})
    try:
        told: dict[str, Any] = {"ready_seconds": round(await rig.start("gateway").ready(), 3)}
        told["rss_megabytes"] = {"idle": round(rig.gateway.megabytes()["rss"], 1)}
        await rig.command("gateway", "gateway", "home", "create", "Home")
        rig.key = (await rig.command("gateway", "gateway", "key", "create", "phone"))["secret"]
        code = (await rig.command("gateway", "gateway", "home", "pair-code"))["code"]
        async with aiohttp.ClientSession(rig.url) as http:
            async with http.post("/pair", json={"code": code}) as answer:
                refresh_token = (await answer.json())["refresh_token"]
            async with http.get("/instances/access-token", headers={"Authorization": refresh_token}) as answer:
                access_token = (await answer.json())["access_token"]
        acking = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.gateway", str(rig.port), access_token, stdout=asyncio.subprocess.PIPE
        )
        try:
            await acking.stdout.readline()  # type: ignore[union-attr]  # it is a pipe
            await press(rig, 8, 8, 1_000)  # caches, statements and allocator warm up
            told["speed"] = [await press(rig, *combination) for combination in COMBINATIONS]
        finally:
            acking.kill()
            await acking.wait()
        told["rss_megabytes"]["after"] = round(rig.gateway.megabytes()["rss"], 1)
    finally:
        rig.close()
    return told


def main() -> None:
    """Measure and print; or, given a port and an access token, be the home."""
    if sys.argv[1:]:
        asyncio.run(home(int(sys.argv[1]), sys.argv[2]))
        return
    with tempfile.TemporaryDirectory(prefix="gladys-bench-") as directory:
        told = asyncio.run(measure(Path(directory)))
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(told).decode(), indent=2) + "\n")


if __name__ == "__main__":
    main()
