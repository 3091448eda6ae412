"""python-socketio's server as the gateway wants it: JSON by msgspec, no binary, silent, with one lean way to emit.

What is no packet ends its connection, as the official server does it; what our handlers do wrong does not.
Source: https://python-socketio.readthedocs.io (``serializer``, ``json``, ``client_manager``, ``logger``),
https://python-engineio.readthedocs.io, and the cases of
https://github.com/socketio/socket.io/tree/main/docs/socket.io-protocol/v5-test-suite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import socketio
from aiohttp import web
from socketio import packet

from gladys_companion.engine_io import Quiet, Sessions, use_text
from gladys_companion.gateway.bodies import read_body
from gladys_companion.protocol.socketio import RESERVED

__all__ = ["MOST_MESSAGE", "PING_INTERVAL", "PING_TIMEOUT", "Clients", "Server", "engine"]

PING_INTERVAL = 10
PING_TIMEOUT = 10
MOST_MESSAGE = 1_000_000  # bytes; acks and receipts are small
_MOST_UNREAD = 16  # packets that a client has not read when what it says is read no further
_BODY_WITHIN = 20.0  # seconds: whoever listens on TCP waits for less


class _Json:
    """msgspec in the shape of the standard module."""

    @staticmethod
    def dumps(value: object, **_: object) -> str:
        return msgspec.json.encode(value).decode()

    @staticmethod
    def loads(text: str | bytes, **_: object) -> Any:  # noqa: ANN401 - JSON
        return msgspec.json.decode(text)


class _MalformedError(ValueError):
    """The peer sent what is no packet."""


class _TextPacket(packet.Packet):  # type: ignore[misc]  # python-socketio has no types
    """A packet that a client may send, without attachments."""

    uses_binary_events = False

    def decode(self, encoded_packet: str | bytes) -> int:
        try:
            attachments = super().decode(encoded_packet) if isinstance(encoded_packet, str) else 1
        except (ValueError, IndexError, RecursionError, msgspec.DecodeError) as error:
            raise _MalformedError from error
        if attachments or not self._is_sound():
            raise _MalformedError
        return 0

    def _is_sound(self) -> bool:
        match self.packet_type:
            case packet.CONNECT:
                return self.data is None or isinstance(self.data, dict)
            case packet.DISCONNECT:
                return self.data is None
            case packet.EVENT:  # a reserved name would be taken for what the server tells its own handlers
                name = self.data[0] if isinstance(self.data, list) and self.data else ""
                return type(name) is int or (isinstance(name, str) and name not in RESERVED)
            case packet.ACK:
                return isinstance(self.data, list) and self.id is not None
            case _:
                return False


class Server(socketio.AsyncServer):  # type: ignore[misc]  # python-socketio has no types
    """One namespace, over sessions that end when they are over."""

    sessions: Sessions

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: object) -> None:
        if namespace not in {None, "/"}:
            refused = self.packet_class(packet.CONNECT_ERROR, {"message": "Invalid namespace"}, namespace=namespace)
            await self._send_packet(eio_sid, refused)
        elif self.manager.sid_from_eio_sid(eio_sid, "/") is None:  # else it has joined already
            await super()._handle_connect(eio_sid, namespace, data)

    async def _handle_eio_connect(self, eio_sid: str, environ: dict[str, Any]) -> None:
        self.sessions.opened(eio_sid, environ)
        await super()._handle_eio_connect(eio_sid, environ)

    async def _handle_eio_message(self, eio_sid: str, data: str | bytes) -> None:
        socket = self.eio.sockets.get(eio_sid)
        if socket is not None and socket.upgraded and not await self.sessions.reads(eio_sid):
            return
        try:
            if not data:
                raise _MalformedError  # noqa: TRY301
            await super()._handle_eio_message(eio_sid, data)
        except _MalformedError:
            await self.sessions.end(eio_sid)

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        await super()._handle_eio_disconnect(eio_sid, reason)
        self.sessions.unlock(eio_sid)


class Clients(socketio.AsyncManager):  # type: ignore[misc]  # python-socketio has no types
    """The client manager, with a way to emit what is encoded already, and without a task for each.

    ``acked`` is called with the socket's id, the ack id and the arguments of each ack.
    """

    def __init__(self, acked: Callable[[str, int, Sequence[Any]], None]) -> None:
        super().__init__()
        self._acked = acked

    async def emit_encoded(self, sid: str, event: str, ack_id: int, argument: bytes) -> None:
        """Emit an event of one argument to one socket; nothing happens if it is gone."""
        eio_sid = self.eio_sid_from_sid(sid, "/")
        if eio_sid is not None:
            await self.server.eio.send(eio_sid, f'2{ack_id}["{event}",{argument.decode()}]')

    async def trigger_callback(self, sid: str, id: int, data: object) -> None:  # noqa: A002 - its caller's name
        """Hand an ack on."""
        self._acked(sid, id, data if isinstance(data, list) else ())


async def _body(request: web.BaseRequest) -> bytes:
    return await read_body(request, MOST_MESSAGE, _BODY_WITHIN)


def engine(clients: Clients, ping_interval: float, ping_timeout: float, upgrade_within: float) -> Server:
    """Return a server with this client manager; it has no handlers yet. The times are in seconds."""
    quiet = Quiet("gateway.socket_failed", but=__name__)
    server = Server(
        client_manager=clients,
        async_mode="aiohttp",
        serializer=_TextPacket,
        json=_Json,
        logger=quiet,
        engineio_logger=quiet,
        async_handlers=False,
        always_connect=True,
        ping_interval=ping_interval,
        ping_timeout=ping_timeout,
        max_http_buffer_size=MOST_MESSAGE,
        http_compression=False,
        cors_allowed_origins=[],
        monitor_clients=False,
    )
    use_text(server.eio)
    server.sessions = Sessions(server.eio, _body, unread=_MOST_UNREAD, upgrade_within=upgrade_within)
    return server
