"""A real Mosquitto on a free port of 127.0.0.1, which a test stops, freezes and starts again; and who listens to it."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiomqtt import Client, Message, MqttError

from tests.needs import program

__all__ = ["Broker", "Listener", "certificate", "open_broker", "open_listener"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def certificate(path: Path, name: str = "IP:127.0.0.1") -> tuple[Path, Path]:
    """Make a certificate that is its own authority; return it and its key, as PEM files."""
    cert, key = path / "cert.pem", path / "key.pem"
    subprocess.run(
        [
            *(program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "2", "-subj", "/CN=test", "-addext", f"subjectAltName={name}"),
            *("-addext", "keyUsage=critical,digitalSignature,keyCertSign", "-keyout", key, "-out", cert),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


class Broker:
    """The broker; ``username`` and ``password`` are asked for where there are any, TLS is spoken with a certificate."""

    def __init__(self, path: Path, username: str, password: str, tls: tuple[Path, Path] | None) -> None:
        self.port = free_port()
        self.username, self.password, self.certificate = username, password, tls[0] if tls else None
        self._program = program("mosquitto")
        self._process: asyncio.subprocess.Process | None = None
        self._config = path / "mosquitto.conf"
        lines = [
            f"listener {self.port} 127.0.0.1",
            f"user {pwd.getpwuid(os.geteuid()).pw_name}",
            f"allow_anonymous {'false' if username else 'true'}",
            "persistence true",
            f"persistence_location {path}/",
        ]
        if username:
            passwords = path / "passwords"
            subprocess.run([program("mosquitto_passwd"), "-b", "-c", passwords, username, password], check=True)
            lines.append(f"password_file {passwords}")
        if tls:
            lines += [f"certfile {tls[0]}", f"keyfile {tls[1]}"]
        self._config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    async def start(self) -> None:
        """Start it, and return when it takes connections."""
        self._process = await asyncio.create_subprocess_exec(self._program, "-c", self._config, stderr=subprocess.PIPE)
        assert self._process.stderr is not None
        async with asyncio.timeout(20):
            while b" running" not in (line := await self._process.stderr.readline()):
                assert line, "mosquitto did not start"
            async with self.client("probe"):  # it says "running" a moment before it can be told to stop
                pass

    async def stop(self) -> None:
        """End it as a service manager does; its queues are kept."""
        if self._process is not None:
            process, self._process = self._process, None
            with suppress(ProcessLookupError):
                process.terminate()
                process.send_signal(signal.SIGCONT)
            await process.communicate()

    def freeze(self) -> None:
        """Let it hold its connections, and do nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """End ``freeze``."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def client(self, identifier: str, *, clean_session: bool = True) -> Client:
        """Return a client that is let in."""
        return Client(
            "127.0.0.1",
            self.port,
            username=self.username or None,
            password=self.password or None,
            identifier=identifier,
            clean_session=clean_session,
            tls_context=ssl.create_default_context(cafile=self.certificate) if self.certificate else None,
            tls_insecure=True if self.certificate else None,  # whatever name its certificate has
        )


@asynccontextmanager
async def open_broker(
    path: Path, *, username: str = "", password: str = "", tls: tuple[Path, Path] | None = None
) -> AsyncIterator[Broker]:
    """Run a broker; its files live in `path`."""
    broker = await asyncio.to_thread(Broker, path, username, password, tls)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


class Listener:
    """Hears what is published, in order, over restarts of the broker."""

    def __init__(self, broker: Broker, topics: str) -> None:
        self.heard: list[Message] = []
        self._broker = broker
        self._topics = topics
        self._changed = asyncio.Condition()
        self._subscribed = False
        self._seen: set[tuple[int, bytes]] = set()  # what the broker sends again has the number that it had

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            with suppress(MqttError):
                async with self._broker.client(f"listener-{id(self)}", clean_session=False) as client:
                    await client.subscribe(self._topics, qos=1)
                    await self._note(None)
                    async for message in client.messages:
                        await self._note(message)
            await asyncio.sleep(0.05)

    async def _note(self, message: Message | None) -> None:
        async with self._changed:
            self._subscribed = True
            if message is not None and (message.mid, message.payload) not in self._seen:
                self._seen.add((message.mid, message.payload))
                self.heard.append(message)
            self._changed.notify_all()

    async def subscribed(self) -> None:
        """Return when nothing is missed any more."""
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(lambda: self._subscribed)

    async def count(self, number: int) -> list[Message]:
        """Return what was heard, when it is at least so many."""
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(lambda: len(self.heard) >= number)
            return list(self.heard)

    async def payloads(self, number: int) -> list[tuple[str, bytes]]:
        """Return topics and payloads of what was heard, when it is at least so many."""
        return [(str(message.topic), message.payload) for message in await self.count(number)]

    async def last(self, payload: bytes) -> list[bytes]:
        """Return all payloads when this one was heard."""
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(lambda: any(message.payload == payload for message in self.heard))
            return [message.payload for message in self.heard]


@asynccontextmanager
async def open_listener(broker: Broker, topics: str) -> AsyncIterator[Listener]:
    """Listen to these topics with QoS 1."""
    listener = Listener(broker, topics)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(listener.run())
        await listener.subscribed()
        yield listener
        task.cancel()
