"""python-socketio's server as the gateway wants it: JSON by msgspec, no binary, silent, with one lean way to emit.

Source: https://python-socketio.readthedocs.io (``serializer``, ``json``, ``client_manager``, ``logger``), and
https://python-engineio.readthedocs.io (``Payload.max_decode_packets``).
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import socketio
import structlog
from engineio.payload import Payload
from socketio.packet import Packet

__all__ = ["MOST_MESSAGE", "PING_INTERVAL", "PING_TIMEOUT", "Clients", "engine"]

PING_INTERVAL = 10
PING_TIMEOUT = 10
MOST_MESSAGE = 1_000_000  # bytes; acks and receipts are small
_BINARY = ("5", "6")
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


class _TextPacket(Packet):  # type: ignore[misc]  # python-socketio has no types
    """A packet without attachments: who announces some is not understood."""

    uses_binary_events = False

    def decode(self, encoded_packet: str | bytes) -> int:
        if not isinstance(encoded_packet, str) or encoded_packet.startswith(_BINARY):
            raise ValueError("binary packets are not spoken here")
        return int(super().decode(encoded_packet) or 0)


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


def engine(clients: Clients) -> socketio.AsyncServer:
    """Return a server with this client manager; it has no handlers yet."""
    Payload.max_decode_packets = 4 * 64  # a client that polls may ack a whole window at once
    quiet = _Quiet()
    return socketio.AsyncServer(
        client_manager=clients,
        async_mode="aiohttp",
        serializer=_TextPacket,
        json=_Json,
        logger=quiet,
        engineio_logger=quiet,
        async_handlers=False,
        always_connect=True,
        ping_interval=PING_INTERVAL,
        ping_timeout=PING_TIMEOUT,
        max_http_buffer_size=MOST_MESSAGE,
        http_compression=False,
        cors_allowed_origins=[],
        monitor_clients=False,
    )
