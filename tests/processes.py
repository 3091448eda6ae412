"""One real process of the program, seen from outside: what it says to systemd, how it ends, what it uses."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

__all__ = ["PATIENCE", "PROGRAM", "Process"]

PROGRAM = Path(sys.executable).with_name("gladys-companion")
TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE = 30.0  # seconds within which anything must have happened, however loaded the machine is


class Process:
    """One process of the program: ``run`` or ``gateway run``, with its log and its word that it is ready."""

    def __init__(self, config: Path, *command: str, env: Mapping[str, str] = os.environ) -> None:
        name = f"gladys-companion-rig-{uuid.uuid4()}"
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._notices.bind(f"\0{name}")
        self.log = config.with_name(f"{config.stem}.log")
        with self.log.open("ab") as log:
            self._started_at = time.monotonic()
            self._popen = subprocess.Popen(
                [PROGRAM, "--config", str(config), *command],
                env={**env, "NOTIFY_SOCKET": f"@{name}"},
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
