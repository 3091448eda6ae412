"""``python -m bench.pushes``: how long after a hand at a device Gladys is told and the history has it, as JSON.

Gateway apart, everything is real: the daemon, its database, Mosquitto; the devices are simulated and push.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
from tests.mosquitto import Listener, open_broker, open_listener
from zeroconf.asyncio import AsyncZeroconf

from bench.__main__ import figure
from bench.phones import percentile
from gladys_companion import config as options
from gladys_companion import logs
from gladys_companion.app import Daemon, open_daemon
from gladys_companion.sim.shelly_gen2 import open_shelly_gen2
from gladys_companion.sim.wled import open_wled
from gladys_companion.store.history import history

PRESSES = 200
WARM = 10
APART = 0.25  # seconds between two presses: each changes several values, and too many a second would be a flood
AIM = 100.0  # ms

Press = Callable[[], Awaitable[None]]


async def _in_history(daemon: Daemon, feature: str, count: int) -> None:
    """Return when a feature's history has so many rows."""
    while True:
        arrived = daemon.intake.arrived
        rows = await daemon.store.read(lambda database: history(database, feature, 0, time.time() + 60))
        if len(rows) >= count:
            return
        await arrived.wait()


async def _press(daemon: Daemon, listener: Listener, feature: str, press: Press) -> tuple[list[float], list[float]]:
    """Return the milliseconds from each press to the history, and to the listener."""
    kept, said = [], []
    rows = len(await daemon.store.read(lambda database: history(database, feature, 0, time.time() + 60)))
    for number in range(1, PRESSES + WARM + 1):
        began = time.perf_counter()
        await press()
        await _in_history(daemon, feature, rows + number)
        in_history = (time.perf_counter() - began) * 1000
        await listener.count(number)
        if number > WARM:
            kept.append(in_history)
            said.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(APART)
    return kept, said


async def measure(directory: Path) -> dict[str, Any]:
    """Measure one kind after the other."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        broker = await enter(open_broker(directory))
        zeroconf = await enter(AsyncZeroconf(interfaces=["127.0.0.1"]))
        lamp = await enter(open_wled(zeroconf=zeroconf))
        plug = await enter(open_shelly_gen2(zeroconf=zeroconf))
        daemon = await enter(
            open_daemon(
                options.Config(
                    state_directory=str(directory / "state"),
                    runtime_directory=str(directory),
                    local=options.Local(listen="127.0.0.1:0"),
                    discovery=options.Discovery(interfaces=("127.0.0.1",), ipv6=False),
                    mqtt=options.Mqtt(port=broker.port),
                    drivers={"virtual": {}, "wled": {}, "shelly": {}},
                    sinks={"gladys": {}},
                )
            )
        )
        kinds: dict[str, tuple[str, Press]] = {
            "wled": (f"wled:{lamp.mac}:on", lamp.press),
            "shelly-gen2": (f"shelly:{plug.mac}:{plug.part}", plug.press),
        }
        await lamp.until(lambda one: one.listeners > 0)
        await plug.until(lambda one: one.listeners > 0)
        told = {}
        for kind, (feature, press) in kinds.items():
            await _in_history(daemon, feature, 1)
            listener = await enter(open_listener(broker, f"gladys/master/device/+/feature/{feature}/state"))
            kept, said = await _press(daemon, listener, feature, press)
            told[kind] = {
                "history_p50": figure(percentile(kept, 0.5), "ms"),
                "history_p99": figure(percentile(kept, 0.99), "ms", most=AIM),
                "gladys_p50": figure(percentile(said, 0.5), "ms"),
                "gladys_p99": figure(percentile(said, 0.99), "ms", most=AIM),
            }
        return told


if __name__ == "__main__":
    logs.configure("error")
    with tempfile.TemporaryDirectory(prefix="gladys-bench-") as temporary:
        found = asyncio.run(measure(Path(temporary)))
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(found).decode(), indent=2) + "\n")
