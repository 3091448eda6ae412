"""``python -m bench.pages``: what the home's pages cost with 1,000 devices and 10,000 events, as JSON.

Milliseconds are the median of many requests over loopback, one after the other, by a client in another process than the
daemon's; bytes are all that a browser gets for the first page: itself, its style and its scripts.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import msgspec
from tests.rig import Rig, free_port, open_rig

DEVICES, EVENTS, TIMES = 1_000, 10_000, 15
PAGES = ("/", "/devices", "/devices?q=lamp-999", "/devices?page=20", "/events", "/events?state=unbound", "/people")


async def fill(rig: Rig) -> None:
    """Make the devices and events, by the socket of the daemon that runs."""
    connector = aiohttp.UnixConnector(str(rig.directory / "home" / "run" / "daemon.sock"))
    async with aiohttp.ClientSession("http://home", connector=connector) as http:
        for number in range(DEVICES):
            features = [{"external_id": f"lamp-{number}:{what}"} for what in ("on", "level")]
            async with http.post("/api/devices", json={"name": f"Lamp {number}", "features": features}) as answer:
                answer.raise_for_status()
    async with aiohttp.ClientSession(rig.url, connector=aiohttp.TCPConnector(limit=32)) as http:

        async def post(number: int) -> None:
            body = {"device_feature_external_id": f"lamp-{number % (DEVICES + 5)}:on", "state": number}
            async with http.post(f"/v1/api/device/state/{rig.key}", json=body) as answer:
                await answer.read()

        for first in range(0, EVENTS, 64):
            await asyncio.gather(*(post(number) for number in range(first, min(first + 64, EVENTS))))


async def look(url: str) -> dict[str, Any]:
    """Ask for each page, and return what it took."""
    told: dict[str, Any] = {}
    async with aiohttp.ClientSession(url) as http:

        async def get(path: str) -> tuple[float, str]:
            began = time.perf_counter()
            async with http.get(path) as answer:
                answer.raise_for_status()
                return (await answer.text(), time.perf_counter() - began)[::-1]

        for path in PAGES:
            await get(path)
            seen = [await get(path) for _ in range(TIMES)]
            told[path] = {
                "ms": round(median(taken for taken, _ in seen) * 1_000, 1),
                "kilobytes": round(len(seen[0][1].encode()) / 1_000, 1),
            }
        first = (await get("/"))[1]
        parts = [(await get(path))[1] for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', first)]
        told["first_page_kilobytes"] = round(len("".join([first, *parts]).encode()) / 1_000, 1)
    return told


async def measure(directory: Path) -> dict[str, Any]:
    """Measure everything."""
    port = free_port()
    async with open_rig(directory, home={"local": {"listen": f"127.0.0.1:{port}"}}) as rig:
        empty = await look(f"http://127.0.0.1:{port}")
        before = rig.home.megabytes()["rss"]
        await fill(rig)
        full = await look(f"http://127.0.0.1:{port}")
        return {"empty": empty, "full": full, "megabytes": [round(before, 1), round(rig.home.megabytes()["rss"], 1)]}


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="gladys-pages-") as directory:
        told = asyncio.run(measure(Path(directory)))
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(told).decode(), indent=2) + "\n")


if __name__ == "__main__":
    main()
