"""The Open API in both directions: what a phone posts, what the gateway relays, what home acks.

Source: the gladys-gateway server (routes ``/v1/api/*``, message ``open-api-message`` version 1.0) and the official
client ``@gladysassistant/gladys-gateway-js`` 4.19.1. Our own fields travel in one top-level key, ``companion``,
version 1; a peer that does not know it ignores it, and we ignore what we do not know.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from gladys_companion.errors import ProtocolError, RequestError
from gladys_companion.model import Event, Kind, Receipt, Sender
from gladys_companion.protocol.people import Reported, glance
from gladys_companion.protocol.signals import signal_name
from gladys_companion.protocol.states import StateBody, read_created_at, read_state

__all__ = [
    "ACTIONS",
    "COMPANION_VERSION",
    "DEFAULT_TTL",
    "NO_RAW",
    "Companion",
    "OpenApiMessage",
    "Phone",
    "StateBody",
    "decode_message",
    "decode_receipt",
    "encode_receipt",
    "read_created_at",
    "read_state",
    "to_event",
]

COMPANION_VERSION = 1
DEFAULT_TTL = 60.0

ACTIONS: Mapping[str, Kind] = {
    "create-device-state": "state",
    "create-owntracks-location": "location",
    "create-event": "signal",
    "create-message": "message",
}


NO_RAW = Raw()  # no JSON at all: the field is left out


class Phone(Struct, frozen=True, omit_defaults=True):
    """Who sent a position: the ``app`` by whose protocol it is to be read, and the names it gave of itself, if any."""

    app: str
    user: str | None = None
    device: str | None = None


class Companion(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Our fields of a relayed message.

    ``age_ms`` is how long ago it happened, measured by the gateway when it emitted; ``ttl_ms`` how old a command may
    be, where the sender asked for less than home allows. ``received_at`` is the gateway's wall clock, seconds since
    the epoch. ``raw`` is the body as the phone sent it, where the Plus fields do not hold all of it, and
    ``phone`` who sent it, where it is a position.
    """

    id: str
    received_at: float
    age_ms: float = 0.0
    ttl_ms: float | None = None
    key: Sender | None = None
    raw: Raw = NO_RAW
    phone: Phone | None = None


class OpenApiMessage(Struct, kw_only=True, omit_defaults=True):
    """The one argument of ``open-api-message``."""

    version: str = "1.0"
    type: str = "gladys-open-api"
    action: str
    instance_id: str = ""
    data: Raw
    sender_id: str = ""
    local_user_id: str | None = None
    companion: Companion | None = None


_decoder = msgspec.json.Decoder(OpenApiMessage)
_data_decoder = msgspec.json.Decoder(dict[str, Any])
_receipt_decoder = msgspec.json.Decoder(dict[str, Any])


def decode_message(payload: bytes | Raw) -> OpenApiMessage:
    """Return the typed message.

    Raises:
        ProtocolError: it is not one; says where.
    """
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"open-api-message: {error}.") from error


def decode_receipt(payload: Raw | bytes) -> dict[str, Any]:
    """Return the members of an ack or of ``open-api-receipt``; what is not an object counts as ``{}``."""
    try:
        return _receipt_decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


def to_event(
    message: OpenApiMessage,
    *,
    new_id: str,
    now: float,
    elapsed: float,
    boot: str,
    time_to_live: float = DEFAULT_TTL,
) -> Event:
    """Return the event that a relayed message tells.

    Args:
        message: from our gateway (with ``companion``) or from Gladys Plus (without: it happened now, and gets new_id).
        new_id: the id of an event that has none.
        now: wall clock at the moment it arrived.
        elapsed: boot clock at that moment.
        boot: the boot's identity.
        time_to_live: seconds after which a command is late here.

    Raises:
        RequestError: 422 or 501 with the answer for the sender.
        ProtocolError: its data is not an object.
    """
    kind = ACTIONS.get(message.action)
    if kind is None:
        raise RequestError(501, "UNSUPPORTED_ACTION", f"This home can not do {message.action[:64]!r}.")
    ours = message.companion or Companion(id=new_id, received_at=now)
    at, dated, state, body, external_id = ours.received_at, False, None, None, None
    match kind:
        case "state":
            state = read_state(_members(message.data), math.inf if message.companion else now)  # the gateway judged it
            external_id = state.external_id
            if state.created_at is not None:
                at, dated = state.created_at, True
        case "location":
            reported = _reported(message, ours)
            kind, told_at = glance(reported)
            at, dated = (at, False) if told_at is None else (told_at, True)
            body = _text(msgspec.json.encode(reported))
        case _:
            body = _text(bytes(ours.raw) or bytes(message.data))
            external_id = signal_name(body) if kind == "signal" else None
    age = ours.age_ms / 1000 if message.companion else max(0.0, now - at)
    lives = time_to_live if ours.ttl_ms is None else min(time_to_live, ours.ttl_ms / 1000)
    return Event(
        id=ours.id,
        kind=kind,
        origin="gateway",
        at=at,
        received_at=now,
        deadline=elapsed + lives - age,
        boot=boot,
        external_id=external_id,
        value=state.value if state else None,
        text=state.text if state else None,
        dated=dated,
        key=ours.key,
        body=body,
    )


def _members(data: Raw) -> dict[str, Any]:
    try:
        return _data_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"open-api-message data: {error}.") from error


def _reported(message: OpenApiMessage, ours: Companion) -> Reported:
    """Return who told where a phone is, and what; Gladys Plus passes on neither the app nor what that sent."""
    if not bytes(ours.raw):
        data = _members(message.data)
        user, device = data.get("user_id"), data.get("device_selector")
        return Reported(
            app="plus",
            user=user if isinstance(user, str) and user else message.local_user_id,
            device=device if isinstance(device, str) and device else None,
            raw=message.data,
            gateway_at=ours.received_at,
        )
    phone = ours.phone or Phone("owntracks")
    return Reported(app=phone.app, user=phone.user, device=phone.device, raw=ours.raw, gateway_at=ours.received_at)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise ProtocolError(f"open-api-message: {error}.") from error


def encode_receipt(receipt: Receipt, reply: bytes | None = None) -> bytes:
    """Return the ack of ``open-api-message``, always an object, never with the code ``NOT_FOUND``.

    ``reply`` is a JSON array that the app which sent it is to be told in return; the gateway passes it on, if it is
    ours, and keeps it nowhere.
    """
    body = receipt.body()
    return msgspec.json.encode(body if reply is None else {**body, "reply": Raw(reply)})
