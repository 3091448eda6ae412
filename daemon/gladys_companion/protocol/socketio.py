"""The client's side of Socket.IO 5 over Engine.IO 4, sans I/O: one text websocket frame is one packet, both ways.

Namespace ``/`` and JSON only. What a server may not send, or sends in binary, is a `ProtocolError` with a sentence.
Source: https://socket.io/docs/v4/socket-io-protocol/ and https://socket.io/docs/v4/engine-io-protocol/.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias, TypeVar

import msgspec
from msgspec import Raw

from gladys_companion.errors import ProtocolError

__all__ = [
    "RESERVED",
    "Ack",
    "Closed",
    "ConnectError",
    "Connected",
    "Disconnected",
    "Noop",
    "Open",
    "Packet",
    "Ping",
    "ServerEvent",
    "ack",
    "connect",
    "decode",
    "disconnect",
    "event",
    "pong",
]

_Milliseconds: TypeAlias = Annotated[float, msgspec.Meta(gt=0, lt=1e9)]


class Open(msgspec.Struct, frozen=True, rename="camel"):
    """The server's first packet; `connect` answers it. ``max_payload`` is in bytes.

    The server pings every ``ping_interval`` and is dead when that is late by ``ping_timeout`` (both milliseconds).
    """

    sid: str
    ping_interval: _Milliseconds
    ping_timeout: _Milliseconds
    max_payload: int = 1_000_000


class Connected(msgspec.Struct, frozen=True):
    """The namespace is joined. ``sid`` is the Socket.IO session, another one than that of `Open`."""

    sid: str


class ConnectError(msgspec.Struct, frozen=True):
    """The server refused `connect`; ``data`` is whatever JSON it added. The websocket stays open."""

    message: str
    data: object = None


class Disconnected(msgspec.Struct, frozen=True):
    """The server ended the namespace. It closes the websocket, or leaves that to us."""


class Ping(msgspec.Struct, frozen=True):
    """The server's sign of life; it wants ``pong(data)`` within its ping time-out."""

    data: str = ""


class ServerEvent(msgspec.Struct, frozen=True):
    """An event. Each argument is checked to be JSON but left undecoded, for one decode into its typed value.

    The arguments share the memory of the whole packet: ``Raw.copy()`` what is to be kept.
    ``ack_id`` is not None where the server waits for ``ack(ack_id, ...)``.
    """

    name: str
    args: tuple[Raw, ...] = ()
    ack_id: int | None = None


class Ack(msgspec.Struct, frozen=True):
    """The server's answer to ``event(..., ack_id=ack_id)``; its arguments are as those of `ServerEvent`."""

    ack_id: int
    args: tuple[Raw, ...] = ()


class Closed(msgspec.Struct, frozen=True):
    """The server closes the transport."""


class Noop(msgspec.Struct, frozen=True):
    """Nothing; a server may send it while a transport is upgraded."""


Packet: TypeAlias = Open | Connected | ConnectError | Disconnected | Ping | ServerEvent | Ack | Closed | Noop

_T = TypeVar("_T")
_OPEN = msgspec.json.Decoder(Open)
_CONNECTED = msgspec.json.Decoder(Connected)
_CONNECT_ERROR = msgspec.json.Decoder(ConnectError)
_ARGS = msgspec.json.Decoder(tuple[Raw, ...])
_NAME = msgspec.json.Decoder(str)
_ENCODER = msgspec.json.Encoder()
_MAX_ID_DIGITS = 16  # JavaScript counts exactly up to 2**53 - 1

# Names that Socket.IO keeps for what it tells the application itself.
RESERVED = frozenset(("", "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"))


def decode(frame: str | bytes) -> Packet:
    """Return the packet that one websocket frame holds.

    Raises:
        ProtocolError: for anything else. Its ``data.get("ack_id")`` is not None where the frame is an event whose
            sender waits for an ack and so can be told.
    """
    if not isinstance(frame, str):
        raise ProtocolError("The server sent a binary frame; only text is spoken here.")
    kind = frame[:1]
    if kind == "4":
        return _decode_message(frame)
    if kind == "2":
        return Ping(frame[1:])
    if kind == "0":
        return _parse(_OPEN, frame[1:], "handshake")
    if kind == "1":
        return Closed()
    if kind == "6":
        return Noop()
    raise ProtocolError(f"The server sent no Engine.IO packet that is spoken here: its type is {kind!r}.")


def connect(auth: object) -> str:
    """Return the packet that joins the namespace; ``auth`` is any JSON object, as ``{"access_token": "..."}``."""
    return f"40{_ENCODER.encode(auth).decode()}"


def event(name: str, *args: object, ack_id: int | None = None) -> str:
    """Return the packet of an event; with ``ack_id``, unique among those under way, the server answers by `Ack`.

    Raises:
        ValueError: ``name`` is empty or kept for Socket.IO itself.
    """
    if name in RESERVED:
        raise ValueError(f"an event can not be named {name!r}")
    return f"42{'' if ack_id is None else ack_id}{_ENCODER.encode((name, *args)).decode()}"


def ack(ack_id: int, *args: object) -> str:
    """Return the packet that answers the `ServerEvent` of that id."""
    return f"43{ack_id}{_ENCODER.encode(args).decode()}"


def pong(data: str = "") -> str:
    """Return the packet that answers a `Ping` with its own data."""
    return f"3{data}"


def disconnect() -> str:
    """Return the packet that leaves the namespace."""
    return "41"


def _decode_message(frame: str) -> Packet:
    kind = frame[1:2]
    if frame[2:3] == "/":
        raise ProtocolError("The server sent a packet of another namespace; only the main one is joined.")
    if kind == "2":
        return _decode_event(frame)
    if kind == "3":
        ack_id, payload = _split(frame)
        if ack_id is None:
            raise ProtocolError("The server sent an ack without an id.")
        return Ack(ack_id, _parse(_ARGS, payload, "ack"))
    if kind == "0":
        return _parse(_CONNECTED, frame[2:], "connect packet")
    if kind == "4":
        return _parse(_CONNECT_ERROR, frame[2:], "connect error")
    if frame == "41":
        return Disconnected()
    raise ProtocolError(f"The server sent no Socket.IO packet that is spoken here: its type is {kind!r}.")


def _decode_event(frame: str) -> ServerEvent:
    ack_id, payload = _split(frame)
    parts = _parse(_ARGS, payload, "event", ack_id)
    if not parts:
        raise ProtocolError("The server sent an event without a name.", ack_id=ack_id)
    name = _parse(_NAME, parts[0], "event name", ack_id)
    if name in RESERVED:
        raise ProtocolError(f"The server sent an event of the reserved name {name!r}.", ack_id=ack_id)
    return ServerEvent(name, parts[1:], ack_id)


def _split(frame: str) -> tuple[int | None, str]:
    """Part ``42<id>[...]`` into the id, if there is one, and the JSON array."""
    head, bracket, _ = frame[: 3 + _MAX_ID_DIGITS].partition("[")
    digits = head[2:]
    if not bracket or (digits and not (digits.isascii() and digits.isdigit())):
        raise ProtocolError("The server sent neither a JSON array nor an ack id (of at most 16 digits) before one.")
    return int(digits) if digits else None, frame[len(head) :]


def _parse(decoder: msgspec.json.Decoder[_T], text: str | Raw, what: str, ack_id: int | None = None) -> _T:
    try:
        return decoder.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise ProtocolError(f"The server sent a malformed {what}: {error}.", ack_id=ack_id) from error
