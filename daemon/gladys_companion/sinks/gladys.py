"""Tells Gladys over MQTT what happens, and takes the values that Gladys wants our devices to have.

A delivery has arrived when the broker acknowledged it (QoS 1). While the broker is away deliveries wait in the
database, in order; this sink keeps none. Protocol: ``sinks/_topics.py``.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import NoReturn

import structlog
from msgspec import Struct

import gladys_companion
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Delivery, Device, Event, Feature, report
from gladys_companion.mqtt import Connection, Message
from gladys_companion.ports import Kit, Plugin
from gladys_companion.sinks import _topics
from gladys_companion.sinks._announce import announcement, config_topic

__all__ = ["PLUGIN", "Config", "GladysSink"]

NAME = "gladys"
ECHO_WITHIN = 2.0
MOST_COMMANDS = 1_024
VERSION = gladys_companion.__version__  # read here, because reading it touches the disk

log = structlog.get_logger(__name__)


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """``[sinks.gladys]`` has no options: the broker is told in ``[mqtt]``."""


class GladysSink:
    """A ``Target`` and a ``Source``; ``PLUGIN.open`` makes one. ``hindrance`` says why Gladys can not be told now."""

    def __init__(self, connection: Connection, kit: Kit) -> None:
        self._connection = connection
        self._clock = kit.clock
        self._registry = kit.registry
        self._time_to_live = kit.time_to_live
        self._told: dict[str, tuple[float | str | None, float]] = {}  # by external id: the value, and when
        self._commands: asyncio.Queue[Event] = asyncio.Queue()
        self._client_id = kit.mqtt.client_id
        self._back = asyncio.Event()
        self._retry = kit.retry
        connection.always({_topics.COMMANDS: self._hear}, back=self._is_back)

    @property
    def hindrance(self) -> str | None:
        """See ``ports.Hindered``."""
        return self._connection.trouble

    async def deliver(self, delivery: Delivery) -> None:
        """Publish, and return when the broker has it; see ``ports.Target``."""
        if delivery.event.kind == "signal":  # a phone tries the way
            await self._connection.publish(f"{self._client_id}/test", b"")
            return
        feature = delivery.feature
        message = _topics.publication(delivery, self._clock.now(), self._announced_by(feature))
        await self._connection.reached()
        if feature is not None:
            self._told[feature.external_id] = _value(delivery), self._clock.elapsed()
        once = feature is not None and feature.momentary
        publish = self._connection.publish_once if once else self._connection.publish
        await publish(message.topic, message.payload, retain=message.retain)

    async def announce(self, device: Device, features: Sequence[Feature]) -> Sequence[Feature]:
        """Show a device by Home Assistant discovery; see ``ports.Announcing``."""
        made = announcement(
            device,
            features,
            partial(_topics.topics, self._client_id),
            availability=f"{self._client_id}/status",
            version=VERSION,
        )
        if not made.shown:
            raise Rejected(f"{device.name} has nothing that Gladys can show by MQTT discovery: share it `--by rest`.")
        await self._connection.publish(made.topic, made.payload, retain=True)
        return made.shown

    async def withdraw(self, device: Device, features: Sequence[Feature]) -> None:
        """Take back what was shown, and the values that the broker keeps; see ``ports.Announcing``."""
        await self._connection.publish(config_topic(device.id), b"", retain=True)
        for feature in features:
            with suppress(Rejected):
                await self._connection.publish(_topics.topics(self._client_id, feature)[0], b"", retain=True)

    async def show(self, feature: Feature, value: float | None, text: str | None) -> None:
        """Tell Gladys a value that is so already; see ``ports.Announcing``."""
        message = _topics.present(feature, value, text, announced_by=self._announced_by(feature))
        await self._connection.publish(message.topic, message.payload, retain=message.retain)

    async def run(self) -> NoReturn:
        """Announce again what was announced, whenever the broker is back: it may have forgotten."""
        while True:
            await self._back.wait()
            self._back.clear()
            registry = self._registry()
            for device_id in [one for one, way in registry.shared.items() if way == "mqtt"]:
                features = [one for one in registry.features.values() if one.device == device_id]
                try:
                    await self.announce(registry.devices[device_id], features)
                except Rejected as error:
                    log.warning("a device is announced no more", device=device_id, reason=str(error))
                except Unavailable:
                    break  # it will be back

    def _is_back(self) -> None:
        self._back.set()
        self._retry(NAME)

    def _announced_by(self, feature: Feature | None) -> str | None:
        """Return our client id where Gladys knows the feature's device by our announcement."""
        way = self._registry().shared.get(feature.device) if feature is not None else None
        return self._client_id if way == "mqtt" else None

    async def events(self) -> AsyncIterator[Event]:
        """Yield the values that Gladys wants our features to have."""
        while True:
            yield await self._commands.get()

    def _hear(self, message: Message) -> None:
        """Take a command, unless it is an old one that the broker kept, or what we said ourselves."""
        command = _topics.command(str(message.topic), message.payload, self._registry())
        if command is None or message.retain:
            return
        value, elapsed = command.text if command.feature.textual else command.value, self._clock.elapsed()
        told, at = self._told.pop(command.feature.external_id, (None, -math.inf))
        if told == value and elapsed - at < ECHO_WITHIN:
            return
        if self._commands.qsize() >= MOST_COMMANDS:
            self._commands.get_nowait()
            log.warning("gladys commands faster than they are taken: the oldest is dropped")
        self._commands.put_nowait(
            report(
                origin=NAME,
                external_id=command.external_id,
                value=command.value,
                text=command.text,
                now=self._clock.now(),
                elapsed=elapsed,
                boot=self._clock.boot,
                ttl=self._time_to_live,
            )
        )


def _value(delivery: Delivery) -> float | str | None:
    textual = delivery.feature is not None and delivery.feature.textual
    return delivery.event.text if textual else delivery.event.value


@asynccontextmanager
async def _open(_: Config, kit: Kit) -> AsyncIterator[GladysSink]:
    connection = await Connection.prepared(kit.mqtt, "", kit.clock)
    sink = GladysSink(connection, kit)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(connection.kept())
        # Left as if nothing had failed, so that an error of the body comes out as itself and not in a group.
        group = await asyncio.TaskGroup().__aenter__()
        stack.push_async_callback(group.__aexit__, None, None, None)
        stack.callback(group.create_task(sink.run(), name=NAME).cancel)
        yield sink


PLUGIN = Plugin(config=Config, open=_open)
