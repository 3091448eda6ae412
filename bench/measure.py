"""The measurements, each on a rig of two real processes: speed under load, memory, start, reconnect, replay."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from tests.rig import Rig, open_rig, until

from bench.phones import Load, Loaded
from bench.prefill import fill_gateway, fill_home, filled_id

__all__ = ["Bench", "Pressed", "open_bench", "reconnect", "replay", "start"]

PHONE_IDS = tuple(f"phone:{number}" for number in range(64))
HOME: Mapping[str, Mapping[str, Any]] = {
    "discovery": {"enabled": True, "interfaces": ["127.0.0.1"], "ipv6": False},
    "drivers.wled": {},
}
OUTAGE = 6.0  # seconds: long enough for the link's backoff to have reached its most


class Pressed(msgspec.Struct, frozen=True):
    """One load: how it went, and the CPU seconds that each end used meanwhile."""

    loaded: Loaded
    gateway_cpu: float
    home_cpu: float

    def cpu(self) -> dict[str, float]:
        """Return the CPU seconds per 1,000 events of each end, of both, and of the load itself."""
        count = len(self.loaded.latencies) / 1000
        gateway, home = self.gateway_cpu / count, self.home_cpu / count
        return {"gateway": gateway, "home": home, "both": gateway + home, "load": self.loaded.cpu_seconds / count}


class Bench:
    """A rig under measurement, and the external ids that its phones post to; values never repeat."""

    def __init__(self, rig: Rig, external_ids: Sequence[str]) -> None:
        self.rig = rig
        self.external_ids = external_ids
        self._posted = 0
        self._since = rig.rows(rig.journal, "SELECT coalesce(max(seq), 0) FROM events")[0][0]

    async def press(self, count: int, *, in_flight: int, ids: int) -> Pressed:
        """Post so many states from a process of its own, over the first so many external ids."""
        load = Load(
            port=self.rig.port,
            key=self.rig.key,
            external_ids=self.external_ids[:ids],
            in_flight=in_flight,
            count=count,
            first=self._posted,
        )
        self._posted += count
        before = self.rig.gateway.cpu_seconds(), self.rig.home.cpu_seconds()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.phones", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await process.communicate(msgspec.json.encode(load))
        if process.returncode:
            raise SystemExit(f"the load failed; the gateway said: {self.rig.gateway.said()}")
        return Pressed(
            msgspec.json.decode(printed, type=Loaded),
            self.rig.gateway.cpu_seconds() - before[0],
            self.rig.home.cpu_seconds() - before[1],
        )

    def check(self) -> None:
        """End the bench unless each post of this rig is in the home's journal and history, once.

        Raises:
            SystemExit: the figures are of something that does not work.
        """
        since = "(SELECT seq FROM events WHERE seq > ?)"
        found = self.rig.rows(
            self.rig.journal, f"SELECT count(*), count(DISTINCT value) FROM history WHERE event IN {since}", self._since
        )
        if found != [(self._posted, self._posted)]:
            raise SystemExit(f"{self._posted} events were posted and {found[0]} applied")


@asynccontextmanager
async def open_bench(directory: Path, *, events: int = 0, features: int = 0) -> AsyncIterator[Bench]:
    """Give a rig with all built-in plug-ins; with ``events`` its databases are as large as if it had run for long."""
    async with open_rig(directory, external_ids=PHONE_IDS, home=HOME) as rig:
        bench = Bench(rig, PHONE_IDS)
        await bench.press(64, in_flight=1, ids=64)
        if events:
            await asyncio.gather(rig.gateway.stop(), rig.home.stop())
            await asyncio.to_thread(fill_home, rig.journal, events=events, features=features)
            await asyncio.to_thread(fill_gateway, rig.held_journal, events=events)
            await asyncio.gather(rig.start("gateway").ready(), rig.start("home").ready())
            await rig.connected()
            bench = Bench(rig, [filled_id(number * features // 64) for number in range(64)])
        await bench.press(500, in_flight=16, ids=64)  # caches, statements and allocator warm up
        yield bench


async def start(rig: Rig, times: int) -> dict[str, list[float]]:
    """Return the seconds from start to READY of each end, and to every plug-in open; the link is up meanwhile."""
    took: dict[str, list[float]] = {"gateway": [], "home": [], "home_with_plugins": []}

    async def opened() -> bool:
        status = await rig.status()
        return (
            status is not None and len(status["plugins"]) > 1 and all(x["status"] == "open" for x in status["plugins"])
        )

    for _ in range(times):
        await rig.home.stop()
        took["home"].append(await rig.start("home").ready())
        await until(opened, "every plug-in is open")
        took["home_with_plugins"].append(rig.home.age())
    for _ in range(times):
        await rig.gateway.stop()
        took["gateway"].append(await rig.start("gateway").ready())
    await rig.connected()
    return took


async def reconnect(rig: Rig, times: int) -> list[float]:
    """Return the seconds from the return of a killed gateway (its READY) until the home is connected again."""
    took = []
    for _ in range(times):
        await rig.gateway.kill()
        await asyncio.sleep(OUTAGE)
        ready = await rig.start("gateway").ready()
        await rig.connected()
        took.append(rig.gateway.age() - ready)
    return took


async def replay(bench: Bench, count: int) -> dict[str, float]:
    """Return events per second that are taken while the home is away, and that reach it when it is back."""
    rig = bench.rig
    before = rig.rows(rig.journal, "SELECT max(seq) FROM events")[0][0]
    await rig.home.stop()
    held = await bench.press(count, in_flight=64, ids=64)
    if set(held.loaded.statuses) != {202}:
        raise SystemExit(f"held events were answered {held.loaded.statuses}")
    await rig.start("home").ready()
    await rig.drained()
    came, seconds = rig.rows(
        rig.journal, "SELECT count(*), max(received_at) - min(received_at) FROM events WHERE seq > ?", before
    )[0]
    if came != count:
        raise SystemExit(f"{came} of {count} held events came")
    return {"taken_per_second": held.loaded.rate, "replayed_per_second": count / seconds}
