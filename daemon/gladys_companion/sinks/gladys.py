"""Tells Gladys over MQTT what happens, and takes the values that Gladys wants our devices to have.

A delivery has arrived when the broker acknowledged it (QoS 1). While the broker is away deliveries wait in the
database, in order; this sink keeps none. Protocol: ``sinks/_topics.py``.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated

import structlog
from aiomqtt import Client, Message, MqttError, Will
from msgspec import Meta, Struct

from gladys_companion import config as options
from gladys_companion.backoff import STABLE_AFTER, backoff
from gladys_companion.errors import ConfigError, Unavailable
from gladys_companion.model import Delivery, Event, report
from gladys_companion.ports import Kit, Plugin
from gladys_companion.sinks import _topics
from gladys_companion.sinks._mqtt import Broker, open_client, tls_context

__all__ = ["PLUGIN", "Config", "GladysSink"]

NAME = "gladys"
PASSWORD = "gladys-mqtt-password"  # noqa: S105 - the name of the credential
FIRST_RETRY = 0.5
ECHO_WITHIN = 2.0
MOST_COMMANDS = 1_024

log = structlog.get_logger(__name__)


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[sinks.gladys]``; each option and why it is there: ``docs/reference/sink-gladys.md``."""

    mqtt_host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    mqtt_port: Annotated[int, Meta(ge=1, le=65_535)] = 1883
    mqtt_username: str = ""
    mqtt_password_file: str = ""
    tls: bool = False
    ca_certificate: str = ""
    client_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = "gladys-companion"
    keepalive: Annotated[int, Meta(ge=1, le=3_600)] = 20
    reconnect_most: Annotated[float, Meta(ge=FIRST_RETRY, le=3_600)] = 30.0


class GladysSink:
    """A ``Target`` and a ``Source``; ``PLUGIN.open`` makes one, and ``run`` keeps it connected.

    ``trouble`` is a sentence while Gladys can not be told, and what to do about it; None when all is well.
    """

    def __init__(self, config: Config, broker: Broker, kit: Kit) -> None:
        self.trouble: str | None = f"The broker at {broker} has not been reached yet."
        self._config = config
        self._broker = broker
        self._clock = kit.clock
        self._registry = kit.registry
        self._retry = kit.retry
        self._time_to_live = kit.time_to_live
        self._client: Client | None = None
        self._under_way: set[asyncio.Timeout] = set()
        self._told: dict[str, tuple[float | str | None, float]] = {}  # by external id: the value, and when
        self._commands: asyncio.Queue[Event] = asyncio.Queue()

    async def deliver(self, delivery: Delivery) -> None:
        """Publish, and return when the broker has it; see ``ports.Target``."""
        message = _topics.publication(delivery, self._clock.now())
        client = self._client
        if client is None:
            raise Unavailable(self.trouble or "The broker is away.")
        if delivery.feature is not None:
            self._told[delivery.feature.external_id] = _value(delivery), self._clock.elapsed()
        try:
            async with asyncio.timeout(None) as patience:
                self._under_way.add(patience)
                await client.publish(message.topic, message.payload, qos=1, timeout=math.inf)
        except MqttError as error:
            raise Unavailable(f"The broker at {self._broker} can not be told: {error}.") from error
        except TimeoutError as error:
            if delivery.feature is not None and delivery.feature.momentary:
                # Told or not, nobody knows, and twice is one too many: the caller's time-out settles it as unknown.
                await asyncio.get_running_loop().create_future()
            raise Unavailable(f"The broker at {self._broker} went away before it acknowledged.") from error
        finally:
            self._under_way.discard(patience)

    async def events(self) -> AsyncIterator[Event]:
        """Yield the values that Gladys wants our features to have."""
        while True:
            yield await self._commands.get()

    async def run(self) -> None:
        """Connect, and again, for ever."""
        delays = backoff(FIRST_RETRY, self._config.reconnect_most)
        while True:
            connected_at: float | None = None
            try:
                async with open_client(self._broker, await _password(self._config), self._will) as client:
                    connected_at = self._clock.elapsed()
                    await self._serve(client)
            except (Unavailable, ConfigError) as error:
                if str(error) != self.trouble:
                    self.trouble = str(error)
                    log.warning("gladys can not be told", reason=self.trouble)
            if connected_at is not None and self._clock.elapsed() - connected_at >= STABLE_AFTER:
                delays = backoff(FIRST_RETRY, self._config.reconnect_most)
            await asyncio.sleep(next(delays))

    @property
    def _will(self) -> Will:
        return Will(f"{self._config.client_id}/status", b"offline", qos=1, retain=True)

    async def _serve(self, client: Client) -> None:
        """Be there until the connection ends."""
        try:
            await client.subscribe(_topics.COMMANDS, qos=1)
            await client.publish(self._will.topic, b"online", qos=1, retain=True)
            self._client, self.trouble = client, None
            log.info("gladys can be told", broker=str(self._broker))
            self._retry(NAME)
            async for message in client.messages:
                self._hear(message)
        finally:
            self._client = None
            for patience in self._under_way:
                patience.reschedule(0)
            await self._leave(client)

    async def _leave(self, client: Client) -> None:
        """Say that we leave, in case we do so in order; the broker publishes the will where we do not."""
        try:
            await client.publish(self._will.topic, b"offline", qos=0, retain=True, timeout=1)
        except MqttError:
            return

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


async def _password(config: Config) -> str | None:
    """Return the password as it is now, so that a mended file needs no restart."""
    if not config.mqtt_username:
        return None
    return await asyncio.to_thread(options.secret, PASSWORD, config.mqtt_password_file)


def _broker(config: Config) -> Broker:
    """Return the broker, with its authorities. Reads files.

    Raises:
        ConfigError: options that contradict each other, or a file that can not be used.
    """
    if config.mqtt_password_file and not config.mqtt_username:
        raise ConfigError("[sinks.gladys] mqtt_password_file: it needs mqtt_username beside it.")
    if config.ca_certificate and not config.tls:
        raise ConfigError("[sinks.gladys] ca_certificate: it is used with tls = true only.")
    context = None
    if config.tls:
        try:
            context = tls_context(config.ca_certificate)
        except OSError as error:
            reason = error.strerror or error
            raise ConfigError(f"[sinks.gladys] ca_certificate: {config.ca_certificate}: {reason}.") from error
    return Broker(
        host=config.mqtt_host,
        port=config.mqtt_port,
        username=config.mqtt_username or None,
        client_id=config.client_id,
        keepalive=config.keepalive,
        tls=context,
    )


@asynccontextmanager
async def _open(config: Config, kit: Kit) -> AsyncIterator[GladysSink]:
    broker = await asyncio.to_thread(_broker, config)
    await _password(config)
    sink = GladysSink(config, broker, kit)
    async with AsyncExitStack() as stack:
        # Left as if nothing had failed, so that an error of the body comes out as itself and not in a group.
        group = await asyncio.TaskGroup().__aenter__()
        stack.push_async_callback(group.__aexit__, None, None, None)
        stack.callback(group.create_task(sink.run(), name=NAME).cancel)
        yield sink


def _check(config: Config) -> None:
    _broker(config)
    if config.mqtt_username and config.mqtt_password_file:
        options.secret(PASSWORD, config.mqtt_password_file)


PLUGIN = Plugin(config=Config, open=_open, check=_check)
