"""A simulated Tasmota device at a real MQTT broker, which hatasmota takes for a real one.

It announces itself, tells states and takes commands. Beside the wire it has a person's hands (``press``, ``click``,
``measure``) and the faults of a device (``freeze``, ``babble``, ``vanish``).
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from aiomqtt import MqttError, Will

from gladys_companion.mqtt import BrokerClient
from gladys_companion.sim import _tasmota_json as wire
from gladys_companion.sim._tasmota_json import Shape, State

__all__ = ["Shape", "Tasmota", "open_tasmota"]

RECONNECT = 0.1


@asynccontextmanager
async def open_tasmota(
    *,
    broker: tuple[str, int] = ("127.0.0.1", 1883),
    mac: str = "a8032ab12345",
    name: str = "Tasmota",
    shape: Shape = Shape(),  # noqa: B008 - frozen
    topic: str = "",
) -> AsyncIterator[Tasmota]:
    """Run a device at a broker that lets everybody in, whether that is there yet or not.

    Args:
        broker: host and port.
        mac: its identity, 12 hex digits, with colons or without.
        name: its friendly name.
        shape: what it is built of.
        topic: its own, ``tasmota_<last digits of the MAC>`` unless given.

    Raises:
        ValueError: ``mac`` is not what it must be.
    """
    device = Tasmota(broker, mac=mac, name=name, shape=shape, topic=topic)
    async with AsyncExitStack() as stack:
        # Left as if nothing had failed, so that an error of the body comes out as itself and not in a group.
        group = await asyncio.TaskGroup().__aenter__()
        stack.push_async_callback(group.__aexit__, None, None, None)
        stack.callback(group.create_task(device._run(), name=f"tasmota {device.mac}").cancel)  # noqa: SLF001
        yield device


class Tasmota:
    """What ``open_tasmota`` gives. ``mac`` is 12 lower-case hex digits, ``state`` is replaced, never changed."""

    def __init__(self, broker: tuple[str, int], *, mac: str, name: str, shape: Shape, topic: str) -> None:
        self.mac = mac.replace(":", "").lower()
        if not re.fullmatch(r"[0-9a-f]{12}", self.mac):
            msg = f"a MAC is 12 hex digits, not {mac!r}"
            raise ValueError(msg)
        self.name = name
        self.shape = shape
        self.topic = topic or f"tasmota_{self.mac[-6:].upper()}"
        self.ip = "192.0.2.10"
        self.state = State(powers=(False,) * shape.powers, shutters=(wire.Shutter(),) * shape.shutters)
        self.measured: Mapping[str, Any] = shape.sensors
        self.commands: tuple[tuple[str, str], ...] = ()
        self.connected = False
        self._broker = broker
        self._client: BrokerClient | None = None
        self._serving: asyncio.Future[None] | None = None
        self._news = asyncio.Condition()
        self._awake = asyncio.Event()
        self._awake.set()
        self._frozen = False
        self._nonsense: bytes | None = None

    async def until(self, condition: Callable[[Tasmota], bool]) -> None:
        """Return as soon as ``condition(device)`` holds; asked again after each command, change and connection."""
        async with self._news:
            await self._news.wait_for(lambda: condition(self))

    async def press(self, index: int = 1) -> None:
        """Toggle a relay or the light, as a person at the device does."""
        await self._do(f"Power{index}", "TOGGLE")

    async def do(self, command: str, argument: str = "") -> None:
        """Give it a command at its own console."""
        await self._do(command, argument)

    async def click(self, button: int, action: str = "SINGLE") -> None:
        """Press a button."""
        await self._result({f"Button{button}": {"Action": action}})

    async def flip(self, switch: int, *, on: bool) -> None:
        """Turn a switch at the device."""
        await self._result({f"Switch{switch}": {"Action": "ON" if on else "OFF"}})

    async def measure(self, **measured: Any) -> None:
        """Measure something else, and tell it as each TelePeriod: ``measure(AM2301={"Temperature": 20.5})``."""
        self.measured = {**self.measured, **measured}
        await self._tell("tele", "SENSOR", {"Time": "2026-01-01T00:00:00", **self.measured, "TempUnit": "C"})

    async def arrive(self, shutter: int = 1) -> None:
        """Let a shutter be where it goes."""
        self.state, told = wire.arrived(self.state, shutter)
        await self._result(told)

    async def rebuild(self, shape: Shape, *, settled: bool = True) -> None:
        """Be built of other things, as after a new template; with ``settled`` false announce nothing of it."""
        self.shape = shape
        self.state = State(powers=(False,) * shape.powers, shutters=(wire.Shutter(),) * shape.shutters)
        if settled:
            await self.announce()

    async def announce(self) -> None:
        """Say who it is, as after a restart."""
        about = wire.config(self.shape, mac=self.mac, name=self.name, topic=self.topic, ip=self.ip)
        await self.publish(f"tasmota/discovery/{self.mac.upper()}/config", _dumps(about), retain=True)
        sensed = wire.sensors(self.shape, self.measured)
        await self.publish(f"tasmota/discovery/{self.mac.upper()}/sensors", _dumps(sensed), retain=True)

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish anything, if it is connected."""
        if self._client is not None:
            with suppress(MqttError):  # it was connected a moment ago
                await self._client.publish(topic, payload, qos=1, retain=retain)

    def freeze(self) -> None:
        """Stay connected, and do nothing any more."""
        self._frozen = True

    def thaw(self) -> None:
        """End ``freeze``."""
        self._frozen = False

    def babble(self, nonsense: bytes | None) -> None:
        """Answer every command with this, and do nothing; with None, behave again."""
        self._nonsense = nonsense

    async def vanish(self) -> None:
        """Lose power: the broker tells its last will."""
        self._awake.clear()
        if self._client is not None and self._serving is not None:
            self._client._client._sock_close()  # noqa: SLF001 - without a goodbye
            self._serving.cancel()
        await self.until(lambda one: not one.connected)

    def return_(self) -> None:
        """End ``vanish``."""
        self._awake.set()

    async def _run(self) -> None:
        while True:
            await self._awake.wait()
            self._serving = asyncio.ensure_future(self._serve())
            try:
                await asyncio.wait([self._serving])
            finally:
                self._serving.cancel()
                await asyncio.gather(self._serving, return_exceptions=True)
            await asyncio.sleep(RECONNECT)

    async def _serve(self) -> None:
        host, port = self._broker
        will = Will(f"tele/{self.topic}/LWT", b"Offline", qos=1, retain=True)
        identifier = f"DVES_{self.mac[-6:].upper()}-{self.topic}"
        prompt = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
        async with BrokerClient(
            host, port=port, identifier=identifier, will=will, timeout=5, socket_options=prompt
        ) as client:
            try:
                self._client = client
                await client.subscribe(f"cmnd/{self.topic}/#", qos=1)
                await self.publish(f"tele/{self.topic}/LWT", b"Online", retain=True)
                await self.announce()
                await self._tell("tele", "STATE", wire.telemetry(self.shape, self.state))
                self.connected = True
                await self._changed()
                async for message in client.heard():
                    command = message.topic.value.rpartition("/")[2]
                    await self._heard(command, message.payload.decode(errors="replace"))
            finally:
                self._client, self.connected = None, False
                with suppress(MqttError):  # as before a restart; where power is lost, the broker does
                    await client.publish(will.topic, will.payload, qos=0, retain=True, timeout=1)
                await self._changed()

    async def _heard(self, command: str, argument: str) -> None:
        if self._frozen:
            return
        self.commands = (*self.commands, (command, argument))
        if self._nonsense is not None:
            for topic in ("RESULT", "STATUS5", "STATUS10"):
                await self.publish(f"stat/{self.topic}/{topic}", self._nonsense)
        elif command.upper() == "STATUS":
            told = wire.status(
                self.shape,
                self.state,
                argument,
                mac=self.mac,
                topic=self.topic,
                ip=self.ip,
                measured=self.measured,
            )
            await self._tell("stat", f"STATUS{argument}", told)
        elif command.upper() == "BACKLOG":
            for one in argument.split(";"):
                name, _, more = one.strip().partition(" ")
                if name.upper() != "NODELAY":
                    await self._do(name, more)
        else:
            await self._do(command, argument)
        await self._changed()

    async def _do(self, command: str, argument: str) -> None:
        before = self.state
        self.state, told = wire.changed(self.shape, before, command, argument)
        await self._result(told)
        for index, (was, on) in enumerate(zip(before.powers, self.state.powers, strict=True), 1):
            if was != on:
                name = f"POWER{index if self.shape.powers > 1 else ''}"
                await self.publish(f"stat/{self.topic}/{name}", b"ON" if on else b"OFF")
        await self._changed()

    async def _result(self, told: Mapping[str, Any]) -> None:
        await self._tell("stat", "RESULT", told)

    async def _tell(self, prefix: str, name: str, told: object) -> None:
        await self.publish(f"{prefix}/{self.topic}/{name}", _dumps(told))

    async def _changed(self) -> None:
        async with self._news:
            self._news.notify_all()


def _dumps(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
