"""What a phone posted, read and checked: a body becomes a ``Post``, or an error that names the field. All pure.

Source: the gladys-gateway server (``/v1/api/*``). Positions are in ``tracks``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import Raw, Struct

from gladys_companion.errors import RequestError
from gladys_companion.protocol.open_api import NO_RAW, Phone, read_state

__all__ = [
    "Post",
    "Posted",
    "Unusable",
    "bearer",
    "digest",
    "idempotency",
    "is_deep",
    "read_event",
    "read_message",
    "read_state_post",
]

_MOST_FIELDS = 1_000
_DEEPEST = 64  # whoever reads it again nests it deeper, and must be able to
_LONGEST_IDEMPOTENCY_KEY = 255
_LONGEST_PLAIN_ORDER_KEY = 64  # longer ids are hashed: one number per id is kept in memory while events are held

_any = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode


class Posted(Struct, frozen=True, omit_defaults=True):
    """What is kept of a body until home has it: a message's ``data``, and where that does not hold it all ``raw``.

    ``phone`` says who sent a position.
    """

    data: Raw
    raw: Raw = NO_RAW
    phone: Phone | None = None


class Post(Struct, frozen=True, kw_only=True):
    """A checked post. ``once`` makes it one with an earlier post of its key; ``created_at`` as the phone named it."""

    action: str
    order_key: str
    body: bytes
    external_id: str | None = None
    created_at: float | None = None
    once: str | None = None


class Unusable(Exception):
    """A position that can never be used; the phone must not be told, or it sends it for ever."""


def bearer(authorization: str | None) -> str | None:
    """Return the key of an ``Authorization`` header: its bearer token, or the password of Basic."""
    scheme, _, rest = (authorization or "").strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip() or None
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[2] or None
    except (binascii.Error, UnicodeDecodeError):
        return None


def idempotency(header: str | None) -> str | None:
    """Return what an ``Idempotency-Key`` makes of a post.

    Raises:
        RequestError: 422, it is empty, longer than 255 characters, or not printable ASCII.
    """
    if header is None:
        return None
    if not header or len(header) > _LONGEST_IDEMPOTENCY_KEY or not (header.isascii() and header.isprintable()):
        raise RequestError(
            422,
            "INVALID_FIELD",
            "Idempotency-Key must be 1 to 255 printable ASCII characters, such as a UUID.",
            field="Idempotency-Key",
        )
    return f"key:{header}"


def _object(body: bytes, content_type: str) -> tuple[dict[str, Any], bytes]:
    """Return the body's members, and the same as JSON.

    JSON is taken as the JSON it is whatever the content type says: ``curl -d`` calls it a form.

    Raises:
        RequestError: 400.
    """
    try:
        value = _any.decode(body)
    except msgspec.ValidationError as error:
        raise RequestError(400, "BAD_REQUEST", "The body holds a number that is too large.") from error
    except RecursionError:
        raise _too_deep() from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if content_type.lower().startswith("application/x-www-form-urlencoded") and not body.lstrip().startswith(b"{"):
            members = _form(body)
            return members, _encode(members)
        if content_type.lower().startswith("multipart/"):
            sentence = "Multipart forms are not taken: send JSON or a url-encoded form."
            raise RequestError(400, "BAD_REQUEST", sentence) from error
        if body.strip():
            raise RequestError(400, "BAD_REQUEST", "The body is not JSON.") from error
        raise RequestError(400, "BAD_REQUEST", "The body is empty: send a JSON object.") from error
    if not isinstance(value, dict):
        raise RequestError(400, "BAD_REQUEST", "The body must be a JSON object, such as {...}.")
    if is_deep(value, body):
        raise _too_deep()
    return value, body


def _too_deep() -> RequestError:
    return RequestError(400, "BAD_REQUEST", f"The body is nested more than {_DEEPEST} levels deep.")


def is_deep(value: object, body: bytes) -> bool:
    """Return whether JSON is nested deeper than anybody needs, without descending into it."""
    if body.count(b"{") + body.count(b"[") <= _DEEPEST:
        return False
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            child
            for one in level
            if isinstance(one, dict | list)
            for child in (one.values() if isinstance(one, dict) else one)
        ]
    return any(isinstance(one, dict | list) for one in level)


def _form(body: bytes) -> dict[str, Any]:
    try:
        fields = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body.strip()),
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError as error:
        raise RequestError(400, "BAD_REQUEST", "The body is neither a form nor JSON.") from error
    return dict(fields)


def read_state_post(body: bytes, content_type: str, now: float) -> Post:
    """Read ``POST /v1/api/device/state``.

    Raises:
        RequestError: 400, or 422 naming the field.
    """
    members, data = _object(body, content_type)
    state = read_state(members, now)
    external_id = state.external_id
    order_key = external_id if len(external_id) <= _LONGEST_PLAIN_ORDER_KEY else digest(external_id.encode())
    return Post(
        action="create-device-state",
        order_key=f"state:{order_key}",
        body=_encode(Posted(Raw(data))),
        external_id=external_id,
        created_at=state.created_at,
    )


def read_event(body: bytes, content_type: str, key_id: str) -> Post:
    """Read ``POST /v1/api/event``: any object.

    Raises:
        RequestError: 400.
    """
    _, data = _object(body, content_type)
    return Post(action="create-event", order_key=f"key:{key_id}", body=_encode(Posted(Raw(data))))


def read_message(body: bytes, content_type: str, key_id: str) -> Post:
    """Read ``POST /v1/api/message``.

    Raises:
        RequestError: 400, or 422 naming the field.
    """
    members, _ = _object(body, content_type)
    text = members.get("text")
    if not isinstance(text, str) or not text.strip():
        raise RequestError(422, "INVALID_FIELD", "text must be a text.", field="text")
    return Post(action="create-message", order_key=f"key:{key_id}", body=_encode({"data": {"text": text}}))


def digest(text: bytes | str) -> str:
    """Return what tells one text from another, in 64 characters."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()
