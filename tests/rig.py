"""A gateway and a home as processes of their own in one directory: started, watched, killed, frozen, started again.

Shared by the torture tests and the bench: what is asked of them is asked as a user would, by command line, socket or
file.
"""

from __future__ import annotations

import asyncio
import random
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from tests.command_line import run
from tests.processes import PATIENCE, Process

__all__ = ["Rig", "free_port", "open_rig", "until"]

POLL = 0.01

LIMITS = {
    "rate_per_key": 1_000_000,
    "burst_per_key": 1_000_000,
    "rate_per_address": 1_000_000,
    "burst_per_address": 1_000_000,
    "held_events": 1_000_000,
    "held_megabytes": 1_000,
    "key_share": 1.0,
}  # one phone is to press as hard as it can
HOME: Mapping[str, Mapping[str, Any]] = {
    "local": {"listen": "127.0.0.1:0"},
    "discovery": {"enabled": False},
    "drivers.virtual": {},
}


def free_port() -> int:
    """Return a free TCP port below those that the kernel gives to clients, so that it stays free between two starts."""
    while True:
        port = random.randrange(12_000, 30_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


class Rig:
    """The two ends and the phone's key; made by ``open_rig``. Either end may be ended and started again."""

    def __init__(self, directory: Path, port: int | None = None) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.key = ""
        self.gateway: Process
        self.home: Process
        self._processes: list[Process] = []

    def configure(self, gateway: Mapping[str, Any], home: Mapping[str, Mapping[str, Any]]) -> None:
        """Write both TOML files: the options of ``[gateway]``, and the home's tables."""
        tables: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
            "gateway": {"gateway": {"listen": f"127.0.0.1:{self.port}", **LIMITS, **gateway}},
            "home": {**HOME, **home},
        }
        for end, wanted in tables.items():
            own = self.directory / end
            (own / "run").mkdir(parents=True, exist_ok=True)
            top = {"state_directory": str(own / "state"), "runtime_directory": str(own / "run"), "log_level": "warning"}
            lines = [*_lines(top)]
            for table, options in wanted.items():
                lines += [f"[{table}]", *_lines(options)]
            self.config(end).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def config(self, end: str) -> Path:
        """Return the TOML file of ``gateway`` or ``home``."""
        return self.directory / f"{end}.toml"

    @property
    def journal(self) -> Path:
        """The home's database."""
        return self.directory / "home" / "state" / "companion.db"

    @property
    def held_journal(self) -> Path:
        """The gateway's database."""
        return self.directory / "gateway" / "state" / "gateway.db"

    async def command(self, end: str, *arguments: str) -> Any:  # noqa: ANN401 - JSON
        """Run a command of one end and return its JSON."""
        ended = await run("--config", str(self.config(end)), *arguments, "--json")
        assert ended.code == 0, ended.err
        return ended.json()

    def start(self, end: str) -> Process:
        """Start ``gateway`` or ``home``, and do not wait."""
        process = Process(self.config(end), *(["gateway", "run"] if end == "gateway" else ["run"]))
        self._processes.append(process)
        setattr(self, end, process)
        return process

    async def pair(self, url: str | None = None) -> None:
        """Make a home and a phone's key at the gateway, and pair the home, by way of ``url`` if given."""
        await self.command("gateway", "gateway", "home", "create", "Home")
        self.key = (await self.command("gateway", "gateway", "key", "create", "phone"))["secret"]
        code = (await self.command("gateway", "gateway", "home", "pair-code"))["code"]
        await self.command("home", "pair", url or self.url, "--code", code, "--name", "rig")

    async def add_phone(self, external_ids: Iterable[str]) -> None:
        """Make a virtual device with these features."""
        features = [word for one in external_ids for word in ("--feature", one)]
        await self.command("home", "devices", "add", "Phone", *features)

    async def status(self) -> dict[str, Any] | None:
        """Return what the home says of itself; None while it does not answer."""
        connector = aiohttp.UnixConnector(str(self.directory / "home" / "run" / "daemon.sock"))
        try:
            async with (
                aiohttp.ClientSession("http://home", connector=connector) as session,
                session.get("/api/status", timeout=aiohttp.ClientTimeout(5)) as answer,
            ):
                status: dict[str, Any] = await answer.json()
                return status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    async def connected(self, *, after: float = 0.0) -> float:
        """Return since when the home is linked with the gateway, once it is; ``after`` an earlier time (epoch)."""
        since = 0.0

        async def linked() -> bool:
            nonlocal since
            link = (await self.status() or {"link": {"state": "gone"}})["link"]
            since = link.get("since") or 0.0
            return link["state"] == "connected" and since > after

        await until(linked, "the home connects")
        return since

    async def drained(self) -> None:
        """Return when the gateway holds nothing any more."""

        async def empty() -> bool:
            return not self.rows(self.held_journal, "SELECT 1 FROM events WHERE settled_at IS NULL LIMIT 1")

        await until(empty, "what is held reaches home", within=4 * PATIENCE)

    @staticmethod
    def rows(database: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Read a database as a user may, while it is in use."""
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute(sql, values).fetchall()

    def close(self) -> None:
        """End every process that was started."""
        for process in self._processes:
            process.close()


async def until(happened: Callable[[], Awaitable[bool]], what: str, *, within: float = PATIENCE) -> None:
    """Return when something that can only be asked for is so.

    Raises:
        AssertionError: it was not so in time.
    """
    last = time.monotonic() + within
    while not await happened():
        assert time.monotonic() < last, f"waited {within:g} s in vain until {what}"
        await asyncio.sleep(POLL)


@asynccontextmanager
async def open_rig(
    directory: Path,
    *,
    external_ids: Iterable[str] = ("phone:0",),
    gateway: Mapping[str, Any] | None = None,
    home: Mapping[str, Mapping[str, Any]] | None = None,
    port: int | None = None,
    pair_at: str | None = None,
) -> AsyncIterator[Rig]:
    """Give both ends, paired and connected, with a virtual device.

    Args:
        directory: for everything.
        external_ids: features of the virtual device.
        gateway: options of ``[gateway]``.
        home: tables of the home's file, in the place of those that every rig has.
        port: of the gateway; any free one by default.
        pair_at: the URL that the home is paired with, if something stands between the two.
    """
    rig = Rig(directory, port)
    rig.configure(gateway or {}, home or {})
    try:
        await asyncio.gather(rig.start("gateway").ready(), rig.start("home").ready())
        await rig.pair(pair_at)
        await rig.add_phone(external_ids)
        await rig.connected()
        yield rig
    finally:
        rig.close()


def _lines(options: Mapping[str, Any]) -> Iterable[str]:
    """Return options as lines of TOML, which writes these values as JSON does."""
    return (f"{name} = {msgspec.json.encode(value).decode()}" for name, value in options.items())
