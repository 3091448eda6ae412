"""The how-to for authors of drivers, step by step: the package installed, its tests run, its kettle found and used."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from tests.processes import PATIENCE, PROGRAM, Process

HOWTO = Path(__file__).parents[2] / "docs" / "howto" / "write-a-driver.md"
SERVICE = "_acme-kettle._tcp.local."
MOST_LINES = 100

pytestmark = pytest.mark.timeout(180)  # it installs a package


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", HOWTO.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the package as the page says, and install it where nothing else is; return that place."""
    base = tmp_path_factory.mktemp("acme")
    (base / "acme").mkdir()
    (base / "acme" / "pyproject.toml").write_text(blocks("toml")[0])
    (base / "acme" / "gladys_companion_acme.py").write_text(blocks("python")[0])
    (base / "test_acme.py").write_text(blocks("python")[1])
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(base / "site")]
    subprocess.run([*pip, str(base / "acme")], check=True, timeout=120)
    return base / "site"


def environment(site: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(site)}


def test_it_is_short() -> None:
    """A complete driver has fewer lines than a page that nobody reads to its end."""
    assert len(blocks("python")[0].splitlines()) < MOST_LINES


def test_it_passes_the_suite_that_ours_pass(site: Path) -> None:
    """Every rule of the suite holds; only being slow is left out, as the page's kettle can not be that."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-o", "asyncio_mode=auto", "-p", "no:cacheprovider", "-rs", "test_acme.py"],
        cwd=site.parent,
        env=environment(site),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"\n=+ \d\d passed, 1 skipped", done.stdout), done.stdout


async def test_the_daemon_finds_it_and_its_kettle_and_switches_that_on(site: Path, tmp_path: Path) -> None:
    """By its entry point the driver is configured, by mDNS the kettle is found, by the command line it is commanded."""
    config = tmp_path / "config.toml"
    config.write_text(
        f"state_directory = '{tmp_path}/state'\nruntime_directory = '{tmp_path}'\n"
        "[local]\nlisten = '127.0.0.1:0'\n[discovery]\ninterfaces = ['127.0.0.1']\nipv6 = false\n"
        f"{blocks('toml')[1]}answer_within = 3.0\n"
    )
    said: list[bytes] = []

    async def kettle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"serial 0042\non 0\n")
        while line := await reader.readline():
            said.append(line)
            writer.write(line)
        writer.close()

    async def command(*words: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            PROGRAM, "--config", config, *words, env=environment(site), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode()

    server = await asyncio.start_server(kettle, "127.0.0.1", 0)
    info = AsyncServiceInfo(
        SERVICE,
        f"Kettle.{SERVICE}",
        parsed_addresses=["127.0.0.1"],
        port=server.sockets[0].getsockname()[1],
        properties={"serial": "0042"},
        server="acme-kettle-0042.local.",
    )
    assert (await command("config", "check"))[0] == 0
    daemon = Process(config, "run", env=environment(site))
    async with server, AsyncZeroconf(interfaces=["127.0.0.1"]) as zeroconf:
        try:
            await (await zeroconf.async_register_service(info))
            await daemon.ready()
            async with asyncio.timeout(PATIENCE):
                while (await command("devices", "show", "acme:0042"))[0]:
                    assert "acme" in (await command("status"))[1]
            code, out = await command("devices", "set", "acme:0042:on", "on", "--json")
            assert (code, json.loads(out)["outcome"], said) == (0, "delivered", [b"on 1\n"])
        finally:
            daemon.close()
