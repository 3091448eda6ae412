"""The official npm packages that we test against, installed once per tests/npm/package.json, and scripts that use them.

For a test against them, write a CommonJS script `tests/npm/NAME.cjs` that talks in JSON lines and ends with its
standard input, and drive it::

    async def test_official_client(npm_modules: Path) -> None:
        async with node(npm_modules, "client.cjs", "http://127.0.0.1:8482") as client:
            await client.say({"connect": "token"})
            assert await client.hear() == {"authenticated": True}
"""

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.needs import program

__all__ = ["Node", "install", "node", "npm_modules"]

_SCRIPTS = Path(__file__).parent / "npm"
_CACHE = Path(__file__).parent.parent / ".cache" / "npm"


@pytest.fixture(scope="session")
def npm_modules() -> Path:
    """Return the `node_modules` that holds the packages; ends the test as `needs` does without node and npm."""
    return install()


def install() -> Path:
    """Return the `node_modules` that holds the packages, installed if they are not."""
    npm = program("npm")
    program("node")
    wanted = _SCRIPTS / "package.json"
    home = _CACHE / hashlib.sha256(wanted.read_bytes()).hexdigest()[:16]
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            unfinished = home.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            shutil.copy(wanted, unfinished)
            quiet = ("--no-audit", "--no-fund", "--no-package-lock", "--no-update-notifier", "--loglevel=error")
            subprocess.run([npm, "install", "--ignore-scripts", *quiet], cwd=unfinished, check=True, timeout=300)
            unfinished.rename(home)
    return home / "node_modules"


class Node:
    """A running script of tests/npm, heard and spoken to in JSON lines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    async def hear(self) -> Any:  # noqa: ANN401 - JSON
        """Return the next value that the script printed, waiting for it."""
        assert self._process.stdout is not None
        async with asyncio.timeout(20):
            line = await self._process.stdout.readline()
        assert line, "the script ended; what it wrote to its standard error is in the test's output"
        return json.loads(line)

    async def say(self, value: object) -> None:
        """Write a value to the script's standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(value).encode() + b"\n")
        await self._process.stdin.drain()


@asynccontextmanager
async def node(npm_modules: Path, script: str, *args: str) -> AsyncIterator[Node]:
    """Run `tests/npm/SCRIPT`, which may `require` what is in `npm_modules`, and kill it in the end."""
    process = await asyncio.create_subprocess_exec(
        program("node"),
        _SCRIPTS / script,
        *args,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "NODE_PATH": str(npm_modules)},
        limit=2**24,
    )
    try:
        yield Node(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
