"""``python -m bench.devices``: what it costs to follow many devices: time until all are found, idle CPU, memory each.

The daemon and the lamps are processes of their own. Prints JSON, each figure with its aim; nothing else may announce a
lamp on this machine's loopback meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from tests.processes import Process

from bench.__main__ import figure, machine
from bench.lamps import ANNOUNCED, LISTENED

HOME = """\
state_directory = "{path}"
runtime_directory = "{path}"
log_level = "warning"
[local]
listen = "127.0.0.1:0"
[discovery]
interfaces = ["127.0.0.1"]
[drivers.wled]
"""
WITHIN = 180.0
CALM = 5.0  # seconds until what a start or a discovery left to do is done
IDLE = 60.0  # twice what lamps are asked in for a sign of life


class Lamps:
    """The process of the lamps, and when it said what."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._said: dict[str, asyncio.Queue[float]] = {ANNOUNCED: asyncio.Queue(), LISTENED: asyncio.Queue()}

    async def read(self) -> None:
        """Take note of what it prints, until it ends."""
        if self._process.stdout is None:
            raise SystemExit("the lamps have no output")
        async for line in self._process.stdout:
            self._said[line.decode().strip()].put_nowait(time.monotonic())

    async def said(self, words: str) -> float:
        """Return when (monotonic) it said this, the next time."""
        async with asyncio.timeout(WITHIN):
            return await self._said[words].get()


@asynccontextmanager
async def lamps(count: int) -> AsyncIterator[Lamps]:
    """Run so many lamps."""
    command = (sys.executable, "-m", "bench.lamps", str(count))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.TaskGroup() as group:
            among = Lamps(process)
            reading = group.create_task(among.read())
            yield among
            reading.cancel()
    finally:
        process.kill()
        await process.wait()


def start(directory: Path) -> Process:
    """Start the daemon with all that it has in one directory."""
    directory.mkdir(exist_ok=True)
    config = directory / "home.toml"
    config.write_text(HOME.format(path=directory), encoding="utf-8")
    return Process(config, "run")


@asynccontextmanager
async def home(directory: Path) -> AsyncIterator[Process]:
    """Run the daemon; what an earlier one left in the directory is known to it."""
    process = await asyncio.to_thread(start, directory)
    try:
        await process.ready()
        yield process
    finally:
        process.close()


async def devices(directory: Path) -> int:
    """Return how many devices the daemon has."""
    connector = aiohttp.UnixConnector(str(directory / "daemon.sock"))
    async with aiohttp.ClientSession("http://home", connector=connector) as session, session.get("/api/status") as told:
        return int((await told.json())["counts"]["devices"])


async def idle(process: Process, seconds: float) -> float:
    """Return the share of one core that it uses, in percent."""
    before, began = process.cpu_seconds(), time.monotonic()
    await asyncio.sleep(seconds)
    return (process.cpu_seconds() - before) / (time.monotonic() - began) * 100


async def measure(directory: Path, count: int) -> dict[str, Any]:
    """Measure: a home without lamps, the same as the lamps come, one that starts among them, and its restart."""
    told: dict[str, Any] = {"machine": machine(directory), "devices": count}
    async with home(directory / "first") as process:
        await asyncio.sleep(CALM)
        alone, idle_alone = process.megabytes(), await idle(process, IDLE)
        async with lamps(count) as among:
            began = time.monotonic()
            announced = await among.said(ANNOUNCED) - began
            came = await among.said(LISTENED) - began
            await asyncio.sleep(CALM)
            busy, idle_all = process.megabytes(), await idle(process, IDLE)
            if await devices(directory / "first") != count:
                raise SystemExit(f"found {await devices(directory / 'first')} of {count}: {process.said()}")
            await process.stop()
            async with home(directory / "second") as second:
                fresh = await among.said(LISTENED) - (time.monotonic() - second.age())
                fresh_cpu = second.cpu_seconds()
            async with home(directory / "first") as again:
                restarted = await among.said(LISTENED) - (time.monotonic() - again.age())
    each = {name: (busy[name] - alone[name]) * 1024 / count for name in alone}
    return told | {
        "found": {
            "announcing_took": figure(announced, "s"),
            "all_followed_since_first_announced": figure(came, "s"),
            "all_followed_after_a_first_start": figure(fresh, "s"),
            "its_cpu": figure(fresh_cpu, "s"),
            "all_followed_after_a_restart": figure(restarted, "s"),
        },
        "idle_cpu": {"none": figure(idle_alone, "%"), "all": figure(idle_all, "%", most=1.0)},
        "memory": {
            "none": {name: figure(value, "MB") for name, value in alone.items()},
            "all": {name: figure(value, "MB") for name, value in busy.items()},
            "each": {
                "rss": figure(each["rss"], "KB"),
                "pss": figure(each["pss"], "KB", most=50),
            },
        },
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.devices", description=__doc__)
    parser.add_argument("--devices", type=int, default=1_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gladys-bench-") as directory:
        told = asyncio.run(measure(Path(directory), chosen.devices))
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(told).decode(), indent=2) + "\n")


if __name__ == "__main__":
    main()
