"""The Open API in both directions: what a phone posts, what the gateway relays, what home acks.

Source: the gladys-gateway server (routes ``/v1/api/*``, message ``open-api-message`` version 1.0) and the official
client ``@gladysassistant/gladys-gateway-js`` 4.19.1. Our own fields travel in one top-level key, ``companion``,
version 1; a peer that does not know it ignores it, and we ignore what we do not know.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Raw, Struct

from gladys_companion.errors import ProtocolError, RequestError
from gladys_companion.model import Event, Kind, Receipt, Sender

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
FUTURE_TOLERANCE = 60.0
MILLISECONDS = 1e11  # a time above it can not be seconds: that would be after the year 5138
LONGEST_ID = 64 * 1024

ACTIONS: Mapping[str, Kind] = {
    "create-device-state": "state",
    "create-owntracks-location": "location",
    "create-event": "signal",
    "create-message": "message",
}


NO_RAW = Raw()  # no JSON at all: the field is left out


class StateBody(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A checked body of ``POST /v1/api/device/state/:key``. ``created_at``: seconds since the epoch."""

    external_id: str
    value: float | None = None
    text: str | None = None
    created_at: float | None = None


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


def _invalid(field: str, sentence: str) -> RequestError:
    return RequestError(422, "INVALID_STATE" if field == "state" else "INVALID_FIELD", sentence, field=field)


def read_created_at(given: object, now: float) -> float | None:
    """Return a ``created_at`` as seconds since the epoch; None if it is absent.

    Args:
        given: ISO 8601 text (without an offset: UTC), or a number of seconds, or of milliseconds if above 1e11.
        now: the wall clock that decides what the future is.

    Raises:
        RequestError: 422 when it can not be read or is more than a minute in the future.
    """
    if given is None:
        return None
    try:
        if isinstance(given, bool):
            raise TypeError  # noqa: TRY301 - JSON's true is not a time
        if isinstance(given, str) and not given.replace(".", "", 1).isdigit():
            moment = datetime.fromisoformat(given.strip())
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        else:
            seconds = float(given)  # type: ignore[arg-type]  # what is neither number nor digits raises TypeError
            seconds = seconds / 1000 if seconds > MILLISECONDS else seconds
    except (ValueError, TypeError, OverflowError):
        raise _invalid("created_at", "created_at is not a time: send ISO 8601, such as 2026-01-31T18:02:00Z.") from None
    if not math.isfinite(seconds) or seconds < 0:
        raise _invalid("created_at", "created_at is not a time: send ISO 8601, such as 2026-01-31T18:02:00Z.")
    if seconds > now + FUTURE_TOLERANCE:
        raise _invalid("created_at", "created_at is more than a minute in the future: check the sender's clock.")
    return seconds


def _number(state: object) -> float | None:
    """Return state as a finite number; None if it is other text.

    Raises:
        RequestError: 422 when it is a number that is not finite, or nothing that can be a state.
    """
    if isinstance(state, bool):
        return float(state)
    if isinstance(state, str):
        word = state.strip().lower()
        if word in {"true", "false"}:
            return float(word == "true")
        try:
            state = float(word) if "_" not in word else None
        except ValueError:
            return None
        if state is None:
            return None
    elif not isinstance(state, int | float):
        raise _invalid("state", "state must be a number, true or false, or a text.")
    try:
        value = float(state)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise _invalid("state", "state must be finite: NaN and infinity say nothing.")
    return value


def read_state(body: Mapping[str, Any], now: float) -> StateBody:
    """Return the checked body of a state; the same rule for JSON and form bodies, at the gateway and at home.

    Raises:
        RequestError: 422 naming the field.
    """
    external_id = body.get("device_feature_external_id")
    if not isinstance(external_id, str) or not external_id.strip():
        raise _invalid(
            "device_feature_external_id", "device_feature_external_id must be a text, such as mqtt:my-phone-presence."
        )
    if len(external_id.encode("utf-8", "surrogatepass")) > LONGEST_ID:
        raise _invalid("device_feature_external_id", "device_feature_external_id is longer than 64 KiB.")
    if "\x00" in external_id or any("\ud800" <= letter <= "\udfff" for letter in external_id):
        raise _invalid("device_feature_external_id", "device_feature_external_id holds characters that are not text.")
    state, text = body.get("state"), body.get("text")
    if (state is None) == (text is None):
        raise _invalid("state", "Send either state (a number) or text, not both and not neither.")
    created_at = read_created_at(body.get("created_at"), now)
    if text is not None:
        if not isinstance(text, str):
            raise _invalid("text", "text must be a text.")
        return StateBody(external_id=external_id, text=text, created_at=created_at)
    return StateBody(
        external_id=external_id,
        value=_number(state),
        text=state if isinstance(state, str) else None,
        created_at=created_at,
    )


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
    at, dated, state = ours.received_at, False, None
    if kind == "state":
        try:
            data = _data_decoder.decode(message.data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ProtocolError(f"open-api-message data: {error}.") from error
        state = read_state(data, math.inf if message.companion else now)  # the future is the gateway's to judge
        if state.created_at is not None:
            at, dated = state.created_at, True
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
        external_id=state.external_id if state else None,
        value=state.value if state else None,
        text=state.text if state else None,
        dated=dated,
        key=ours.key,
        body=None if state else bytes(ours.raw if bytes(ours.raw) else message.data).decode(),
    )


def encode_receipt(receipt: Receipt) -> bytes:
    """Return the ack of ``open-api-message``, always an object, never with the code ``NOT_FOUND``."""
    return msgspec.json.encode(receipt.body())
