"""Keeps one connection to the broker, made again for ever, and says why there is none."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import NoReturn

import structlog
from aiomqtt import Message, MqttError, Will
from paho.mqtt.reasoncodes import ReasonCode

from gladys_companion.backoff import STABLE_AFTER, backoff
from gladys_companion.clock import Clock
from gladys_companion.config import Mqtt, secret
from gladys_companion.errors import ConfigError, Unavailable
from gladys_companion.mqtt._client import Broker, BrokerClient, open_client, tls_context

__all__ = ["Connection", "Hear", "check"]

PASSWORD = "mqtt-password"  # noqa: S105 - the name of the credential
FIRST_RETRY = 0.5
LEAVE_WITHIN = 1.0

Hear = Callable[[Message], None]
"""Takes one message; returns at once, and raises nothing whatever the message is."""

log = structlog.get_logger(__name__)


class _Lost(Unavailable):
    """The connection ended in the middle: what was under way arrived, or did not."""


def _nothing() -> None:
    """Do nothing."""


class Connection:
    """A plug-in's connection to the broker; ``prepared`` makes one, ``kept`` keeps it.

    ``trouble`` is a sentence while there is no connection, and says what to do about it; None when all is well.
    """

    def __init__(self, settings: Mqtt, broker: Broker, clock: Clock) -> None:
        self.trouble: str | None = f"The broker at {broker} has not been reached yet."
        self._settings = settings
        self._broker = broker
        self._clock = clock
        self._will = Will(f"{broker.client_id}/status", b"offline", qos=1, retain=True)
        self._client: BrokerClient | None = None
        self._attempted = asyncio.Event()
        self._connected = asyncio.Event()
        self._always: Mapping[str, Hear] = {}
        self._hearers: dict[str, list[Hear]] = {}
        self._back = _nothing
        self._under_way: set[asyncio.Timeout] = set()

    @classmethod
    async def prepared(cls, settings: Mqtt, role: str, clock: Clock) -> Connection:
        """Return one that is not connected yet; ``role`` tells it apart from the program's others, one has none.

        Raises:
            ConfigError: a file that ``[mqtt]`` names can not be used.
        """
        broker = await asyncio.to_thread(_broker, settings, role)
        await asyncio.to_thread(_password, settings)
        return cls(settings, broker, clock)

    def always(self, topics: Mapping[str, Hear], back: Callable[[], None] = _nothing) -> None:
        """Hear these topics or wildcards at each connection, and have ``back`` called then; before ``kept``."""
        self._always, self._back = topics, back

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Connect, and again, while the block runs."""
        async with AsyncExitStack() as stack:
            # Left as if nothing had failed, so that an error of the body comes out as itself and not in a group.
            group = await asyncio.TaskGroup().__aenter__()
            stack.push_async_callback(group.__aexit__, None, None, None)
            stack.callback(group.create_task(self._run(), name=f"broker of {self._broker.client_id}").cancel)
            yield

    async def connected(self) -> None:
        """Return as soon as there is a connection."""
        await self._connected.wait()

    async def reached(self) -> None:
        """Return at once where there is a connection; where the first attempt is under way, when it ended.

        Raises:
            Unavailable: there is none.
        """
        await self._attempted.wait()
        if self._client is None:
            raise Unavailable(self.trouble or f"The broker at {self._broker} is away.")

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish with QoS 1, and return when the broker has it.

        Raises:
            Unavailable: it is away, or went before it acknowledged.
        """
        async with self._while_connected() as client:
            await client.publish(topic, payload, qos=1, retain=retain, timeout=math.inf)

    async def publish_once(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """As ``publish``, for what must not be sent twice.

        Where nobody knows whether it arrived this does not return: its caller's time-out settles it as unknown.
        """
        try:
            await self.publish(topic, payload, retain=retain)
        except _Lost:
            await asyncio.get_running_loop().create_future()

    @asynccontextmanager
    async def hearing(self, topics: Iterable[str], hear: Hear) -> AsyncIterator[None]:
        """Hear these topics too (no wildcards) while the block runs, first what the broker retained of them.

        Raises:
            Unavailable: there is no connection, or it ended, which ends the block, or the broker does not allow it.
        """
        wanted = tuple(dict.fromkeys(topics))
        async with self._while_connected() as client:
            for topic in wanted:
                self._hearers.setdefault(topic, []).append(hear)
            try:
                await self._subscribe(client, wanted)
                yield
            finally:
                unheard = self._forget(wanted, hear)
                if unheard and self._client is client:
                    with suppress(MqttError):
                        await client.unsubscribe(unheard, timeout=LEAVE_WITHIN)

    def _forget(self, topics: Iterable[str], hear: Hear) -> list[str]:
        """Return those that nobody hears any more."""
        for topic in topics:
            self._hearers[topic].remove(hear)
        unheard = [topic for topic in topics if not self._hearers[topic]]
        for topic in unheard:
            del self._hearers[topic]
        return unheard

    @asynccontextmanager
    async def _while_connected(self) -> AsyncIterator[BrokerClient]:
        """Yield the client; the connection's end ends the block."""
        await self.reached()
        client = self._client
        assert client is not None  # noqa: S101 - as just asked
        patience = asyncio.timeout(None)
        try:
            async with patience:
                self._under_way.add(patience)
                yield client
        except MqttError as error:
            raise Unavailable(f"The broker at {self._broker} can not be told: {error}.") from error
        except TimeoutError as error:
            if not patience.expired():
                raise
            raise _Lost(f"The broker at {self._broker} went away before it acknowledged.") from error
        finally:
            self._under_way.discard(patience)

    async def _run(self) -> NoReturn:
        most = self._settings.reconnect_most
        delays = backoff(FIRST_RETRY, most)
        while True:
            connected_at: float | None = None
            try:
                async with open_client(self._broker, await self._password(), self._will) as client:
                    connected_at = self._clock.elapsed()
                    await self._serve(client)
            except (Unavailable, ConfigError) as error:
                if str(error) != self.trouble:
                    self.trouble = str(error)
                    log.warning("no broker", client=self._broker.client_id, reason=self.trouble)
            self._attempted.set()
            if connected_at is not None and self._clock.elapsed() - connected_at >= STABLE_AFTER:
                delays = backoff(FIRST_RETRY, most)
            await asyncio.sleep(next(delays))

    async def _password(self) -> str | None:
        """Return the password as it is now, so that a mended file needs no restart."""
        return await asyncio.to_thread(_password, self._settings)

    async def _serve(self, client: BrokerClient) -> None:
        """Be there until the connection ends."""
        try:
            await self._subscribe(client, tuple(self._always))
            await client.publish(self._will.topic, b"online", qos=1, retain=True)
            self._client, self.trouble = client, None
            self._attempted.set()
            self._connected.set()
            log.info("broker reached", client=self._broker.client_id, broker=str(self._broker))
            self._back()
            async for message in client.heard():
                self._hear(message)
        finally:
            self._client = None
            self._connected.clear()
            for patience in self._under_way:
                patience.reschedule(0)
            with suppress(MqttError):  # the broker publishes the will where we do not leave in order
                await client.publish(self._will.topic, b"offline", qos=0, retain=True, timeout=LEAVE_WITHIN)

    async def _subscribe(self, client: BrokerClient, topics: tuple[str, ...]) -> None:
        if not topics:
            return
        codes = await client.subscribe([(topic, 1) for topic in topics])
        for topic, code in zip(topics, codes, strict=False):
            if isinstance(code, ReasonCode) and code.is_failure:
                raise Unavailable(f"The broker at {self._broker} does not let us hear {topic}: check its access list.")

    def _hear(self, message: Message) -> None:
        for hear in tuple(self._hearers.get(message.topic.value, ())):
            hear(message)
        for wildcard, hear in self._always.items():
            if message.topic.matches(wildcard):
                hear(message)


def check(settings: Mqtt) -> None:
    """Read the files that ``[mqtt]`` names.

    Raises:
        ConfigError: one can not be used.
    """
    _broker(settings, "")
    _password(settings)


def _password(settings: Mqtt) -> str | None:
    return secret(PASSWORD, settings.password_file) if settings.username else None


def _broker(settings: Mqtt, role: str) -> Broker:
    context = None
    if settings.tls:
        try:
            context = tls_context(settings.ca_certificate)
        except OSError as error:
            reason = error.strerror or error
            raise ConfigError(f"[mqtt] ca_certificate: {settings.ca_certificate}: {reason}.") from error
    return Broker(
        host=settings.host,
        port=settings.port,
        username=settings.username or None,
        client_id=f"{settings.client_id}-{role}" if role else settings.client_id,
        keepalive=settings.keepalive,
        tls=context,
    )
