"""``python -m bench``: prints, as JSON, each figure with its aim. Nothing but this may run on the machine meanwhile.

Two pairs of gateway and home run side by side, one new and one with a journal as large as years of use make it, and are
measured in turns, because the speed of a machine drifts from minute to minute.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from msgspec import Struct

from bench.floor import Floor, open_floor
from bench.measure import Bench, Pressed, open_bench, reconnect, replay, start
from bench.phones import Loaded, percentile


class Sizes(Struct, frozen=True, kw_only=True):
    """How much of everything."""

    rounds: int
    sequential: int  # posts of a round, one at a time
    parallel: int  # posts of a round, several in flight
    events: int  # in the large journal
    features: int
    starts: int
    reconnects: int
    held: int


FULL = Sizes(
    rounds=7, sequential=500, parallel=3_000, events=1_000_000, features=10_000, starts=5, reconnects=3, held=10_000
)
QUICK = Sizes(
    rounds=2, sequential=150, parallel=1_000, events=100_000, features=10_000, starts=1, reconnects=0, held=1_000
)
ONE_AT_A_TIME = (1, 1)
COMBINATIONS = (ONE_AT_A_TIME, (1, 64), (16, 1), (16, 64), (64, 1), (64, 64))  # in flight, external ids
COMPARED = frozenset({ONE_AT_A_TIME, (64, 64)})  # new with large


class Turns:
    """What was measured in turns: per bench and combination, one ``Pressed`` a round."""

    def __init__(self) -> None:
        self._pressed: dict[tuple[str, int, int], list[Pressed]] = {}
        self.floor: list[float] = []

    async def take(self, benches: dict[str, Bench], floor: Floor, sizes: Sizes) -> None:
        """Measure round after round; what is compared is measured in direct succession, each first every other time."""
        for number in range(sizes.rounds):
            for combination in COMBINATIONS:
                names = sorted(benches, reverse=number % 2 == 0) if combination in COMPARED else ["new"]
                for name in names:
                    await self._press(name, benches[name], combination, sizes)
                if combination == ONE_AT_A_TIME:
                    self.floor += floor.measure(sizes.sequential // 2)

    async def _press(self, name: str, bench: Bench, combination: tuple[int, int], sizes: Sizes) -> None:
        in_flight, ids = combination
        count = sizes.sequential if in_flight == 1 else sizes.parallel
        pressed = await bench.press(count, in_flight=in_flight, ids=ids)
        if set(pressed.loaded.statuses) != {200}:
            raise SystemExit(f"answered {pressed.loaded.statuses}: {bench.rig.gateway.said()}")
        self._pressed.setdefault((name, in_flight, ids), []).append(pressed)

    def ms(self, name: str, share: float, in_flight: int = 1, ids: int = 1) -> float:
        """Return a percentile over all rounds."""
        rounds = self._pressed[name, in_flight, ids]
        return percentile([one for pressed in rounds for one in pressed.loaded.latencies], share)

    def rate(self, name: str, in_flight: int, ids: int) -> float:
        """Return the median round's events per second."""
        return median(pressed.loaded.rate for pressed in self._pressed[name, in_flight, ids])

    def cpu(self, name: str, in_flight: int, ids: int) -> dict[str, float]:
        """Return the median round's CPU seconds per 1,000 events."""
        rounds = [pressed.cpu() for pressed in self._pressed[name, in_flight, ids]]
        return {part: round(median(one[part] for one in rounds), 3) for part in rounds[0]}

    def ratio(self, of: Callable[[Loaded], float], in_flight: int, ids: int) -> float:
        """Return the median round's ratio of something, large to new."""
        pairs = zip(self._pressed["large", in_flight, ids], self._pressed["new", in_flight, ids], strict=True)
        return median(of(large.loaded) / of(new.loaded) for large, new in pairs)


def figure(value: float, unit: str, *, most: float | None = None, least: float | None = None) -> dict[str, Any]:
    """Return a figure with its aim."""
    told: dict[str, Any] = {"value": round(value, 3), "unit": unit}
    if most is not None:
        told |= {"aim": f"at most {most:g}", "met": value <= most}
    if least is not None:
        told |= {"aim": f"at least {least:g}", "met": value >= least}
    return told


def speed(turns: Turns) -> dict[str, Any]:
    """Return how fast the new pair is, beside the floor."""
    p50, floor = turns.ms("new", 0.5), percentile(turns.floor, 0.5)
    return {
        "floor": {
            "what": "two commits with synchronous=FULL and three round trips over loopback",
            "p50": figure(floor, "ms"),
            "p99": figure(percentile(turns.floor, 0.99), "ms"),
        },
        "one_at_a_time": {
            "p50": figure(p50, "ms", most=1.8),
            "p99": figure(turns.ms("new", 0.99), "ms"),
            "p50_to_floor": figure(p50 / floor, "times"),
        },
        "throughput": [
            {
                "in_flight": in_flight,
                "external_ids": ids,
                "rate": figure(turns.rate("new", in_flight, ids), "events/s", least=2_000 if in_flight == 64 else None),
                "p50": figure(turns.ms("new", 0.5, in_flight, ids), "ms"),
                "p99": figure(turns.ms("new", 0.99, in_flight, ids), "ms"),
                "cpu_seconds_per_1000": turns.cpu("new", in_flight, ids),
                "cpu_both": figure(
                    turns.cpu("new", in_flight, ids)["both"], "s/1000", most=0.7 if in_flight == 64 else None
                ),
            }
            for in_flight, ids in COMBINATIONS
        ],
    }


def large_journal(turns: Turns, sizes: Sizes) -> dict[str, Any]:
    """Return what a large journal costs."""
    return {
        "events": sizes.events,
        "features": sizes.features,
        "p50": figure(turns.ms("large", 0.5), "ms"),
        "rate_at_64": figure(turns.rate("large", 64, 64), "events/s"),
        "p50_to_new": figure(turns.ratio(lambda loaded: loaded.ms(0.5), 1, 1), "times", most=1.1),
        "rate_to_new": figure(turns.ratio(lambda loaded: loaded.rate, 64, 64), "times", least=0.9),
        "cpu_seconds_per_1000_at_64": turns.cpu("large", 64, 64),
    }


def memory(bench: Bench, most_gateway: float | None = None, most_home: float | None = None) -> dict[str, Any]:
    """Return the memory of both ends as they are now."""
    gateway, home = bench.rig.gateway.megabytes(), bench.rig.home.megabytes()
    return {
        "gateway": {"rss": figure(gateway["rss"], "MB", most=most_gateway), "pss": figure(gateway["pss"], "MB")},
        "home": {"rss": figure(home["rss"], "MB", most=most_home), "pss": figure(home["pss"], "MB")},
    }


def starts(took: dict[str, list[float]]) -> dict[str, Any]:
    """Return how long starting takes."""
    most = {"gateway": 1.0, "home": 1.0, "home_with_plugins": 2.0}
    return {
        part: {"median": figure(median(times), "s", most=most[part]), "most": figure(max(times), "s")}
        for part, times in took.items()
    }


def machine(directory: Path) -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "filesystem": _filesystem(directory),
    }


def _filesystem(directory: Path) -> str:
    """Return the type of the one that the databases are on: on tmpfs a commit costs nothing."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    found = max((fields for fields in mounts if directory.is_relative_to(fields[1])), key=lambda fields: len(fields[1]))
    return found[2]


async def measure(directory: Path, sizes: Sizes) -> dict[str, Any]:
    """Measure everything."""
    began, turns = time.monotonic(), Turns()
    told: dict[str, Any] = {"machine": machine(directory), "sizes": sizes}
    async with open_bench(directory / "new") as new:
        with open_floor(directory) as floor:
            async with open_bench(directory / "large", events=sizes.events, features=sizes.features) as large:
                await turns.take({"new": new, "large": large}, floor, sizes)
                large.check()
                told |= speed(turns) | {"large_journal": large_journal(turns, sizes) | {"memory": memory(large)}}
        told["memory"] = memory(new, most_gateway=55, most_home=75)
        rates = await replay(new, sizes.held)
        new.check()
        told["held"] = {name: figure(rate, "events/s") for name, rate in rates.items()}
        told["start"] = starts(await start(new.rig, sizes.starts))
        if sizes.reconnects:
            took = await reconnect(new.rig, sizes.reconnects)
            told["reconnect"] = {"median": figure(median(took), "s"), "most": figure(max(took), "s", most=6)}
    return told | {"seconds": round(time.monotonic() - began, 1)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under half a minute, with more noise")
    parser.add_argument(
        "--directory", type=Path, help="on the disk to be measured [default: the one for temporary files]"
    )
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="gladys-bench-", dir=chosen.directory) as directory:
        told = asyncio.run(measure(Path(directory), QUICK if chosen.quick else FULL))
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(told).decode(), indent=2) + "\n")


if __name__ == "__main__":
    main()
