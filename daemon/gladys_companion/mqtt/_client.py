"""One client of one MQTT broker: connected and closed so that nothing is left behind, its failures in sentences."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import Any, Self, TypeVar, cast

from aiomqtt import Client, Message, MqttCodeError, MqttError, Will
from msgspec import Struct

from gladys_companion.errors import Unavailable

__all__ = ["Broker", "BrokerClient", "open_client", "tls_context"]

T = TypeVar("T")

REACHED_WITHIN = 3.0
ANSWER_WITHIN = 5.0
LEAVE_WITHIN = 1.0
REFUSED = frozenset({134, 135})  # bad user name or password; not authorised

_silent = logging.getLogger(f"{__name__}.paho")
_silent.setLevel(logging.CRITICAL)  # what it would tell comes out as an error with a sentence


class Broker(Struct, frozen=True, kw_only=True):
    """Where the broker is, and as whom to speak to it. ``keepalive`` in seconds."""

    host: str
    port: int
    username: str | None
    client_id: str
    keepalive: int
    tls: ssl.SSLContext | None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class _Socket(ssl.SSLSocket):
    """Closes itself where the handshake fails; paho leaves that to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - the base's
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def tls_context(ca_certificate: str) -> ssl.SSLContext:
    """Return a context that verifies, with the system's authorities or those of a file. Reads files.

    Raises:
        OSError: the file can not be read, or holds no certificate.
    """
    context = ssl.create_default_context(cafile=ca_certificate or None)
    context.sslsocket_class = _Socket
    return context


@asynccontextmanager
async def open_client(broker: Broker, password: str | None, will: Will) -> AsyncIterator[BrokerClient]:
    """Connect, and leave in order.

    The session is a clean one: what the broker would keep for us while we are away carries no time, and a command of
    yesterday must not be taken for one of now. Our own messages wait in the database, and not in the client.

    Args:
        broker: where.
        password: never part of any sentence.
        will: what the broker publishes where we do not leave in order.

    Raises:
        Unavailable: it could not be connected, or was lost; the sentence says what to do.
    """
    client = BrokerClient(
        broker.host,
        port=broker.port,
        username=broker.username,
        password=password,
        identifier=broker.client_id,
        will=will,
        clean_session=True,
        keepalive=broker.keepalive,
        tls_context=broker.tls,
        timeout=ANSWER_WITHIN,
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],  # else an ack of ours holds up what follows it
        logger=_silent,
    )
    paho = client._client  # noqa: SLF001 - aiomqtt leaves sockets open where connecting fails half-way
    paho.connect_timeout = REACHED_WITHIN
    entering = asyncio.ensure_future(client.__aenter__())
    try:
        await client.entered(entering)
        yield client
    except MqttError as error:
        raise Unavailable(_sentence(broker, error)) from error
    finally:
        if entering.done() and not entering.cancelled() and entering.exception() is None:
            with suppress(MqttError, TimeoutError):
                async with asyncio.timeout(LEAVE_WITHIN):
                    await client.__aexit__(None, None, None)
        paho._sock_close()  # noqa: SLF001
        if client._disconnected.done():  # noqa: SLF001
            client._disconnected.exception()  # noqa: SLF001 - told, where it matters, by what it interrupted
        if client._misc_task is not None:  # noqa: SLF001
            client._misc_task.cancel()  # noqa: SLF001
            await asyncio.wait([client._misc_task])  # noqa: SLF001


class BrokerClient(Client):
    """Knows when the thread that connects has ended: it can not be interrupted, and would open a socket for nobody."""

    def __init__(self, host: str, **options: Any) -> None:
        super().__init__(host, **options)
        self._tried = asyncio.Event()

    async def heard(self) -> AsyncIterator[Message]:
        """Yield what is published until the connection ends as ``MqttError``.

        Unlike ``messages`` it needs no task for each of them, and a flood is taken as fast as it comes.
        """
        ended: asyncio.Future[None] = self._disconnected
        queue = cast("asyncio.Queue[Message | None]", self._queue)
        ended.add_done_callback(lambda _: queue.put_nowait(None))
        while (message := await queue.get()) is not None:
            yield message
        raise MqttError("Disconnected") from ended.exception()

    async def _wait_for(self, fut: Awaitable[T], timeout: float | None) -> T:  # noqa: ASYNC109 - the base's
        """As the base's, without ``asyncio.wait_for``, which in Python 3.11 may swallow that it was cancelled."""
        limit = self.timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(None if math.isinf(limit) else limit):
                return await fut
        except TimeoutError:
            raise MqttError("no answer in time") from None

    def _client_connect(self) -> None:
        try:
            super()._client_connect()
        finally:
            self._loop.call_soon_threadsafe(self._tried.set)

    async def entered(self, entering: asyncio.Future[Self]) -> None:
        """Wait for it; where cancelled, no longer than for the thread."""
        try:
            await asyncio.shield(entering)
        except ValueError as error:  # the host can not be one
            raise MqttError(str(error)) from error
        except asyncio.CancelledError:
            await self._tried.wait()
            entering.cancel()
            await asyncio.wait([entering])
            raise


def _sentence(broker: Broker, error: MqttError) -> str:
    if isinstance(error, MqttCodeError) and getattr(error.rc, "value", None) in REFUSED:
        who = f"the user {broker.username!r}" if broker.username else "a client without a user name"
        return f"The broker at {broker} refuses {who}: check username and password in [mqtt]."
    cause = error.__cause__ or error.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"The certificate of the broker at {broker} is not trusted: {_plain(cause)}. See [mqtt] ca_certificate."
    if isinstance(cause, ssl.SSLError):
        return f"The broker at {broker} does not speak TLS as we do: {cause.reason or cause}."
    if isinstance(cause, MqttCodeError):
        return f"The broker at {broker} ended the connection."
    return f"The broker at {broker} can not be reached: {_plain(cause or error)}."


def _plain(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message).rstrip(".")
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).rstrip(".") or type(error).__name__
