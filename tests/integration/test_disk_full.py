"""A full disk at either end: whoever can not commit says so, what was committed stays, and it goes on by itself."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.phones import IDS, QUICK, Phones, under_load
from tests.rig import Rig, open_rig, until

SIZE = 64 * 2**20
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")


@contextmanager
def small_disk(directory: Path) -> Iterator[None]:
    """Mount one for the state of an end."""
    directory.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=750", "none", str(directory)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def fill(directory: Path) -> Path:
    """Leave no byte free; return the file that does it."""
    ballast = directory / "ballast"
    with ballast.open("ab", buffering=0) as file:
        piece = bytes(65_536)
        while piece:
            try:
                file.write(piece)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                piece = piece[: len(piece) // 2]
    return ballast


def answered(phones: Phones, status: int) -> int:
    """Return how often posts were answered so."""
    return sum(post.statuses.count(status) for post in phones.posts)


async def unhealthy(rig: Rig, state: Path) -> bool:
    """Return whether the gateway says so itself."""
    fill(state)
    async with aiohttp.ClientSession() as session, session.get(f"{rig.url}/healthz") as health:
        return health.status == 503


@pytest.mark.parametrize(("end", "status"), [("home", 202), ("gateway", 503)])
async def test_full_disk_refuses_and_recovers(tmp_path: Path, end: str, status: int) -> None:
    """The phone is told 202 (the gateway holds) or 503 (it posts again); with room again, everything comes once."""
    state = tmp_path / end / "state"
    with small_disk(state):
        async with open_rig(tmp_path, external_ids=IDS, gateway=QUICK) as rig, under_load(rig) as phones:
            before, ballast = answered(phones, status), fill(state)

            async def refused() -> bool:
                fill(state)
                return answered(phones, status) > before

            await until(refused, f"a post is answered {status}")
            if end == "gateway":
                await until(lambda: unhealthy(rig, state), "/healthz says that nothing can be stored")
            ballast.unlink()
            await phones.some(50)
