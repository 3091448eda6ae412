"""Real ESPHome firmware on 127.0.0.1, built once of tests/fixtures/esphome: what it knows, hands to change it, faults.

ESPHome generates the C++ of a device and leaves building it to PlatformIO, which downloads; the compiler does as well.
The firmware is real in all but where it listens and who it is (harness.cpp), and the arithmetic of its encryption
(noise.cpp).
"""

from __future__ import annotations

import asyncio
import base64
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aioesphomeapi.client import APIClient
from aioesphomeapi.core import APIConnectionError

from tests.needs import program
from tests.rig import free_port

__all__ = ["KEY", "MAC", "Firmware", "esphome_firmware", "open_babbler", "open_dawdler", "open_firmware", "open_server"]

VERSION = "2026.6.5"
MAC = "02005e100001"
KEY = base64.b64encode(bytes(range(1, 33))).decode()
PATIENCE = 20.0

_FIXTURES = Path(__file__).parent / "fixtures" / "esphome"
_CACHE = Path(__file__).parent.parent / ".cache" / "esphome"
_FLAGS = (
    *("-std=gnu++20", "-O0", "-w", "-fno-exceptions", "-DUSE_HOST", "-DESPHOME_LOG_LEVEL=ESPHOME_LOG_LEVEL_INFO"),
    *("-Isrc", f"-I{_FIXTURES}"),
)


@pytest.fixture(scope="session")
def esphome_firmware() -> Path:
    """Return the firmware's program; ends the test as `needs` does where it can not be built."""
    compiler = program("g++")
    _need_libcrypto(compiler)
    digest = hashlib.sha256(VERSION.encode())
    for source in (Path(__file__), *sorted(one for one in _FIXTURES.rglob("*") if one.is_file())):
        digest.update(source.read_bytes())
    home = _CACHE / digest.hexdigest()[:16]
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            unfinished = home.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            generated = _generate(_installed(), unfinished)
            _build(generated, compiler, unfinished / "firmware")
            shutil.rmtree(generated.parents[1])  # of no use any more
            unfinished.rename(home)
    return home / "firmware"


def _need_libcrypto(compiler: Path) -> None:
    found = subprocess.run(
        [compiler, "-E", "-x", "c++", "-"], input=b"#include <openssl/evp.h>", capture_output=True, check=False
    )
    if found.returncode != 0:
        sentence = "needs the headers of OpenSSL (Debian's libssl-dev), which this machine lacks"
        if os.environ.get("CI"):
            pytest.fail(sentence)
        pytest.skip(sentence)


def _installed() -> Path:
    """Return the program `esphome`, in a virtual environment of its own: its pins would fight with ours."""
    home = _CACHE / f"venv-{VERSION}-{sys.version_info.major}.{sys.version_info.minor}"
    if not home.exists():
        unfinished = home.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", unfinished], check=True, timeout=120)
        quiet = ("--quiet", "--disable-pip-version-check")
        subprocess.run(
            [unfinished / "bin" / "python", "-m", "pip", "install", *quiet, f"esphome=={VERSION}"],
            check=True,
            timeout=600,
        )
        unfinished.rename(home)
    return home / "bin" / "python"  # its scripts name the directory that it was installed in


def _generate(python: Path, where: Path) -> Path:
    """Return the directory of the generated sources."""
    where.mkdir()
    shutil.copy(_FIXTURES / "device.yaml", where)
    subprocess.run(
        [python, "-m", "esphome", "compile", "--only-generate", where / "device.yaml"],
        check=True,
        timeout=120,
    )
    return where / ".esphome" / "build" / "greenhouse"


def _build(generated: Path, compiler: Path, result: Path) -> None:
    sources = [*sorted((generated / "src").rglob("*.cpp")), *sorted(_FIXTURES.glob("*.cpp"))]

    def compile_one(numbered: tuple[int, Path]) -> str:
        number, source = numbered
        theirs = source.parts[-2:] == ("host", "helpers.cpp")  # the MAC that the harness gives stands for theirs
        other = ("-Dget_mac_address_raw=compiled_in_mac_address",) if theirs else ()
        subprocess.run(
            [compiler, *_FLAGS, *other, "-c", source, "-o", f"{number}.o"], cwd=generated, check=True, timeout=300
        )
        return f"{number}.o"

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        objects = list(pool.map(compile_one, enumerate(sources)))
    subprocess.run([compiler, *objects, "-o", result, "-lpthread", "-lcrypto"], cwd=generated, check=True, timeout=120)


class Firmware:
    """A device. Where it listens is ``port``; what it said is ``log``; ``key`` is that of its encryption, if any."""

    def __init__(self, firmware: Path, home: Path, mac: str, *, unruly: bool) -> None:
        self.mac = mac
        self.port = free_port()
        self.key: str | None = None
        self.log = home / "log"
        self._firmware = firmware
        self._home = home
        self._unruly = {"ESPHOME_UNRULY": "1"} if unruly else {}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and return when it takes connections."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                self._firmware,
                env={"HOME": str(self._home), "ESPHOME_PORT": str(self.port), "ESPHOME_MAC": self.mac, **self._unruly},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(PATIENCE):
            while True:
                assert self._process.returncode is None, self.log.read_text()
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except ConnectionRefusedError:
                    await asyncio.sleep(0.01)
                else:
                    writer.close()
                    return

    async def stop(self) -> None:
        """Cut its power."""
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            await process.wait()

    async def restart(self) -> None:
        """Cut its power, and give it back."""
        await self.stop()
        await self.start()

    async def move(self) -> None:
        """Have it listen at another port, after a restart."""
        await self.stop()
        self.port = free_port()
        await self.start()

    def freeze(self) -> None:
        """Have it do nothing at all; the kernel goes on taking connections for it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """End ``freeze``."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def said(self, what: str) -> list[str]:
        """Return all that it said of something, in the words of its YAML, the newest last."""
        begin = f"= {what} "
        lines = (await asyncio.to_thread(self.log.read_text)).splitlines()
        return [line.removeprefix(begin) for line in lines if line.startswith(begin)]

    async def encrypt(self) -> None:
        """Give it a key, after which it takes no plain connections any more, as a person who installs it anew does."""
        gone = asyncio.Event()

        async def end(_: bool) -> None:  # noqa: FBT001 - as the library calls it
            gone.set()

        client = APIClient("127.0.0.1", self.port)
        await client.connect(end, login=True)
        assert await client.noise_encryption_set_key(KEY.encode())
        async with asyncio.timeout(PATIENCE):
            await gone.wait()
        self.key = KEY

    async def act(self, action: str, **values: bool | float | str) -> None:
        """Do something at the device, by one of the actions of its YAML, and return when it is done."""
        async with self.hand() as hand:
            _, actions = await hand.list_entities_services()
            (found,) = [one for one in actions if one.name == action]
            await hand.execute_service(found, dict(values))
            await hand.device_info()  # what was said before is done when this is answered

    @asynccontextmanager
    async def hand(self) -> AsyncIterator[APIClient]:
        """Yield a connection that is not the driver's."""
        client = APIClient("127.0.0.1", self.port, noise_psk=self.key)
        await client.connect(login=True)
        try:
            yield client
        finally:
            with suppress(APIConnectionError):
                await client.disconnect(force=True)


@asynccontextmanager
async def open_firmware(firmware: Path, home: Path, *, mac: str = MAC, unruly: bool = False) -> AsyncIterator[Firmware]:
    """Run a device, plain, whose memory is in ``home``; an ``unruly`` one has parts that do not what they are told."""
    device = Firmware(firmware, home, mac, unruly=unruly)
    try:
        await device.start()
        yield device
    finally:
        await device.stop()


@asynccontextmanager
async def open_server(
    port: int, answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]
) -> AsyncIterator[None]:
    """Listen there, and have ``answer`` take each connection until it returns, or this ends."""
    tasks: set[asyncio.Task[None]] = set()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.CancelledError):
                await answer(reader, writer)
        finally:
            writer.transport.abort()
            tasks.discard(task)

    server = await asyncio.start_server(take, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)


@asynccontextmanager
async def open_babbler(port: int, says: bytes) -> AsyncIterator[None]:
    """Listen there, and answer whatever comes with these bytes."""

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(says)
        while await reader.read(1024):
            pass

    async with open_server(port, babble):
        yield


@asynccontextmanager
async def open_dawdler(port: int, behind: int, pause: float) -> AsyncIterator[None]:
    """Listen there, and pass on what the device at the port ``behind`` says, a byte each ``pause`` seconds."""

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said := await reader.read(1024):
            writer.write(said)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        its_reader, its_writer = await asyncio.open_connection("127.0.0.1", behind)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(ask(reader, its_writer))
                while said := await its_reader.read(1):
                    writer.write(said)
                    await asyncio.sleep(pause)
        except* ConnectionError:
            pass
        finally:
            its_writer.transport.abort()

    async with open_server(port, relay):
        yield
