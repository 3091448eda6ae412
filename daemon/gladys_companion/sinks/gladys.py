"""Tells Gladys over MQTT what happens, and takes the values that Gladys wants our devices to have.

A delivery has arrived when the broker acknowledged it (QoS 1). While the broker is away deliveries wait in the
database, in order; this sink keeps none. Protocol: ``sinks/_topics.py``.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from msgspec import Struct

from gladys_companion.model import Delivery, Event, report
from gladys_companion.mqtt import Connection, Message
from gladys_companion.ports import Kit, Plugin
from gladys_companion.sinks import _topics

__all__ = ["PLUGIN", "Config", "GladysSink"]

NAME = "gladys"
ECHO_WITHIN = 2.0
MOST_COMMANDS = 1_024

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
        connection.always({_topics.COMMANDS: self._hear}, back=lambda: kit.retry(NAME))

    @property
    def hindrance(self) -> str | None:
        """See ``ports.Hindered``."""
        return self._connection.trouble

    async def deliver(self, delivery: Delivery) -> None:
        """Publish, and return when the broker has it; see ``ports.Target``."""
        message = _topics.publication(delivery, self._clock.now())
        feature = delivery.feature
        await self._connection.reached()
        if feature is not None:
            self._told[feature.external_id] = _value(delivery), self._clock.elapsed()
        once = feature is not None and feature.momentary
        publish = self._connection.publish_once if once else self._connection.publish
        await publish(message.topic, message.payload)

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
    async with connection.kept():
        yield sink


PLUGIN = Plugin(config=Config, open=_open)
