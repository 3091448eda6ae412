"""python-socketio's server as the gateway wants it: JSON by msgspec, no binary, silent, with one lean way to emit.

What is no packet ends its connection, as the official server does it; what our handlers do wrong does not.
Source: https://python-socketio.readthedocs.io (``serializer``, ``json``, ``client_manager``, ``logger``),
https://python-engineio.readthedocs.io, and the cases of
https://github.com/socketio/socket.io/tree/main/docs/socket.io-protocol/v5-test-suite.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import engineio.exceptions
import engineio.packet
import msgspec
import socketio
import structlog
from engineio.async_drivers.aiohttp import WebSocket
from socketio import packet

from gladys_companion.protocol.socketio import RESERVED

__all__ = ["MOST_MESSAGE", "PING_INTERVAL", "PING_TIMEOUT", "Clients", "Server", "engine"]

PING_INTERVAL = 10
PING_TIMEOUT = 10
MOST_MESSAGE = 1_000_000  # bytes; acks and receipts are small
_MOST_PACKETS = 4 * 64  # in a post: a client that polls may ack a whole window at once
_MOST_UNREAD = 16  # packets that a client has not read when what it says is read no further
_MESSAGES = ("40", "41", "42", "43", "44", "45", "46")  # all of Engine.IO that holds something of Socket.IO
_OTHERS = ("1", "2", "3", "5", "6")
_NOOP = "6"
_MOST_OTHER = 16  # characters: "2probe" is the longest that there is
_OURS = "gladys_companion."

_log = structlog.get_logger(__name__)


class _Json:
    """msgspec in the shape of the standard module."""

    @staticmethod
    def dumps(value: object, **_: object) -> str:
        return msgspec.json.encode(value).decode()

    @staticmethod
    def loads(text: str | bytes, **_: object) -> Any:  # noqa: ANN401 - JSON
        return msgspec.json.decode(text)


class _Quiet:
    """A logger that says nothing of what peers do wrong, and tells our own errors."""

    def info(self, *_: object) -> None:
        """Say nothing."""

    warning = info
    error = info

    def exception(self, *_: object) -> None:
        """Tell of an error that came out of our handlers: python-socketio goes on as if it had not been."""
        error = sys.exc_info()[1]
        steps = traceback.walk_tb(error.__traceback__ if error else None)
        modules = {frame.f_globals.get("__name__", "") for frame, _line in steps}
        if any(module.startswith(_OURS) and module != __name__ for module in modules):
            _log.error("gateway.socket_failed", exc_info=error)


class _MalformedError(ValueError):
    """The peer sent what is no packet."""


def _is_packet(frame: object) -> bool:
    """Return whether python-engineio may see a frame: it takes anything else for JSON, however deep."""
    if not isinstance(frame, str):
        return False
    return frame.startswith(_MESSAGES) or (frame.startswith(_OTHERS) and len(frame) <= _MOST_OTHER)


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


class _TextSocket(WebSocket):  # type: ignore[misc]  # python-engineio has no types
    """A websocket whose end is whatever is no packet of Engine.IO."""

    async def wait(self) -> str:
        frame = await super().wait()
        if not _is_packet(frame):
            raise OSError("this is no packet of Engine.IO")
        return str(frame)


class Server(socketio.AsyncServer):  # type: ignore[misc]  # python-socketio has no types
    """One namespace, and an end to sessions that are over, or whose peer makes no sense, or does not read.

    ``cut`` ends a session and its connection, whether the peer listens or not.
    """

    cut: Callable[[str], Awaitable[None]]

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: object) -> None:
        if namespace not in {None, "/"}:
            refused = self.packet_class(packet.CONNECT_ERROR, {"message": "Invalid namespace"}, namespace=namespace)
            await self._send_packet(eio_sid, refused)
        elif self.manager.sid_from_eio_sid(eio_sid, "/") is None:  # else it has joined already
            await super()._handle_connect(eio_sid, namespace, data)

    async def take(self, session: Any, body: bytes) -> bool:  # noqa: ANN401 - of engineio
        """Take what was posted to a session; return whether it was packets: if not, the session is over.

        In place of python-engineio's own way, which waits for ever where a packet is one that only servers send.
        """
        if not await self._reads(session):
            return False
        try:
            frames = body.decode().split("\x1e")
        except UnicodeDecodeError:
            frames = []
        if 0 < len(frames) <= _MOST_PACKETS and all(map(_is_packet, frames)):
            try:
                for frame in (one for one in frames if one[0] != _NOOP):
                    await session.receive(engineio.packet.Packet(encoded_packet=frame))
            except engineio.exceptions.EngineIOError:  # also where one of them ended the session
                pass
            else:
                return True
        await session.close(wait=False, abort=True, reason=self.reason.TRANSPORT_ERROR)
        return False

    async def _reads(self, session: Any) -> bool:  # noqa: ANN401 - of engineio
        """Return whether a peer reads what it is told, in time; one that does not is cut."""
        if session.queue.qsize() > _MOST_UNREAD:
            try:
                async with asyncio.timeout(self.eio.ping_timeout):
                    await session.queue.join()
            except TimeoutError:
                await self.cut(session.sid)
                return False
        return True

    async def _handle_eio_message(self, eio_sid: str, data: str | bytes) -> None:
        socket = self.eio.sockets.get(eio_sid)
        if socket is not None and socket.upgraded and not await self._reads(socket):
            return
        try:
            if not data:
                raise _MalformedError  # noqa: TRY301
            await super()._handle_eio_message(eio_sid, data)
        except _MalformedError:
            if socket is not None:
                await socket.close(wait=False, abort=True, reason=self.reason.TRANSPORT_ERROR)

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        await super()._handle_eio_disconnect(eio_sid, reason)
        socket = self.eio.sockets.get(eio_sid)
        if socket is not None:  # whoever waits for what it still has to send learns that nothing more comes
            if not socket.upgraded:
                socket.queue.put_nowait(engineio.packet.Packet(engineio.packet.NOOP))
            socket.queue.put_nowait(None)


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


def engine(clients: Clients, ping_interval: float, ping_timeout: float) -> Server:
    """Return a server with this client manager; it has no handlers yet. Both times are in seconds."""
    quiet = _Quiet()
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
    server.eio._async = {**server.eio._async, "websocket": _TextSocket}  # noqa: SLF001 - it has no option for it
    return server
