"""A gateway and a home as processes of their own in one directory: started, watched, killed, frozen, started again.

Shared by the torture tests and the bench: what is asked of them is asked as a user would, by command line, socket or
file.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from tests.command_line import run

__all__ = ["Process", "Rig", "free_port", "open_rig", "until"]

PROGRAM = Path(sys.executable).with_name("gladys-companion")
TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE = 30.0  # seconds within which anything must have happened, however loaded the machine is
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


class Process:
    """One process of the program: ``run`` or ``gateway run``, with its log and its word that it is ready."""

    def __init__(self, config: Path, *command: str) -> None:
        name = f"gladys-companion-rig-{uuid.uuid4()}"
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._notices.bind(f"\0{name}")
        self.log = config.with_name(f"{config.stem}.log")
        with self.log.open("ab") as log:
            self._started_at = time.monotonic()
            self._popen = subprocess.Popen(
                [PROGRAM, "--config", str(config), *command],
                env={**os.environ, "NOTIFY_SOCKET": f"@{name}"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.pid = self._popen.pid
        self.up = False  # whether somebody saw it become ready

    async def ready(self) -> float:
        """Return the seconds from its start to its READY=1.

        Raises:
            AssertionError: it ended instead, with the end of its log.
        """
        loop = asyncio.get_running_loop()
        ended = asyncio.create_task(self.ended())
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    notice = asyncio.create_task(loop.sock_recv(self._notices, 4096))
                    await asyncio.wait({notice, ended}, return_when=asyncio.FIRST_COMPLETED)
                    if ended.done():
                        notice.cancel()
                        raise AssertionError(f"it ended with {ended.result()}:\n{self.said()}")
                    if b"READY=1" in notice.result().split(b"\n"):
                        self.up = True
                        return self.age()
        finally:
            ended.cancel()

    def age(self) -> float:
        """Return the seconds since its start."""
        return time.monotonic() - self._started_at

    async def ended(self) -> int:
        """Return the exit code (minus the signal's number), when it has ended."""
        if self._popen.poll() is None:
            gone = asyncio.Event()
            pidfd = os.pidfd_open(self.pid)
            asyncio.get_running_loop().add_reader(pidfd, gone.set)
            try:
                await gone.wait()
            finally:
                asyncio.get_running_loop().remove_reader(pidfd)
                os.close(pidfd)
        return self._popen.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal: SIGSTOP freezes it, SIGCONT thaws it."""
        self._popen.send_signal(number)

    async def kill(self) -> None:
        """End it as a power cut does."""
        self._popen.kill()
        await self.ended()

    async def stop(self) -> int:
        """End it as systemd does; return its exit code."""
        self._popen.terminate()
        async with asyncio.timeout(PATIENCE):
            return await self.ended()

    def close(self) -> None:
        """Make sure that nothing of it is left."""
        self._popen.kill()
        self._popen.wait()
        self._notices.close()

    def said(self) -> str:
        """Return the end of its log."""
        return self.log.read_text(errors="replace")[-4_000:]

    def cpu_seconds(self) -> float:
        """Return what it has used so far, of all its threads; 0 once it has ended."""
        if self._popen.returncode is not None:
            return 0.0
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def megabytes(self) -> dict[str, float]:
        """Return its resident memory, ``rss``, and its share of what several use, ``pss``."""
        lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
        kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines[1:])}
        return {"rss": kib["Rss"] / 1024, "pss": kib["Pss"] / 1024}


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
