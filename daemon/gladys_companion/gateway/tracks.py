"""What apps post that tell where a phone is: OwnTracks, Overland, and the OsmAnd protocol (Traccar Client, GPSLogger).

All pure. What is well-formed is relayed as it came, with who sent it; whether it can be used is judged at home, where
an envelope can be opened. Each app is answered so that its queue goes on.
Sources: the OwnTracks booklet (https://owntracks.org/booklet/), https://github.com/aaronpk/Overland-iOS and
https://www.traccar.org/osmand/.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import Raw, Struct

from gladys_companion.errors import ProtocolError
from gladys_companion.gateway.posts import Post, Posted, Unusable, digest, is_deep
from gladys_companion.protocol import owntracks, trackers
from gladys_companion.protocol.fixes import Fix
from gladys_companion.protocol.open_api import Phone
from gladys_companion.protocol.owntracks.identity import Identity, identify

__all__ = ["APPS", "App", "Asked"]

_DEEPEST = 64
_MOST_FIELDS = 1_000
_LONGEST_PLAIN_KEY = 64

_any = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode


class Asked(Struct, frozen=True):
    """What a request says beside its body."""

    headers: Mapping[str, str]
    query: Mapping[str, str]


class App(Struct, frozen=True):
    """One kind of app: ``read`` makes a post of a body (None: it says nothing), ``answer`` is what it wants back.

    ``methods`` are those it posts by. ``replies``: its answer may carry what home wants to tell the phone.
    """

    read: Callable[[bytes, Asked, str, float], Post | None]
    answer: bytes
    methods: tuple[str, ...] = ("POST",)
    replies: bool = False


def read_owntracks(body: bytes, asked: Asked, key_id: str, now: float) -> Post | None:
    """Read ``POST /v1/api/owntracks``; an empty body is legal and says nothing.

    Raises:
        Unusable: why.
    """
    if not body.strip():
        return None
    members = _members(body)
    if not isinstance(members.get("_type"), str):
        raise Unusable("not an object with a _type")
    who = identify(asked.headers, asked.query, members.get("topic"))
    try:
        message = owntracks.read(members, now)
    except ProtocolError:
        message = None  # home says what is wrong with it, where people look
    fix = message if isinstance(message, Fix) else None
    own = members.get("_id")
    key = message.key if message is not None else f"owntracks:{own}" if isinstance(own, str) and own else None
    return _post("owntracks", body, who, key_id, fix, key)


def read_overland(body: bytes, asked: Asked, key_id: str, now: float) -> Post | None:
    """Read ``POST /v1/api/overland``: a batch of positions, of which a Gladys without companion gets the last.

    Raises:
        Unusable: why.
    """
    if not body.strip():
        return None
    _members(body)
    try:
        batch = trackers.decode_overland(body, now)
    except ProtocolError as error:
        raise Unusable(str(error)) from error
    last = batch.fixes[-1] if batch.fixes else None
    named = identify(asked.headers, asked.query)
    who = Identity(named.user, named.device or (last.device if last else None))
    return _post("overland", body, who, key_id, last.fix if last else None, None)


def read_osmand(body: bytes, asked: Asked, key_id: str, now: float) -> Post | None:
    """Read ``GET`` or ``POST /v1/api/osmand``: query parameters, a form, or the JSON of Traccar Client from 9 on.

    Raises:
        Unusable: why.
    """
    if body.lstrip().startswith(b"{"):
        _members(body)
        return _tracked("traccar", body, asked, key_id, lambda: trackers.decode_traccar(body, now))
    parameters = {**asked.query, **_form(body)}
    if not parameters:
        return None
    return _tracked("osmand", _encode(parameters), asked, key_id, lambda: trackers.decode_osmand(parameters, now))


def _tracked(app: str, body: bytes, asked: Asked, key_id: str, decode: Callable[[], trackers.Tracked]) -> Post:
    named = identify(asked.headers, {})
    try:
        tracked = decode()
    except ProtocolError:
        return _post(app, body, named, key_id, None, None)
    return _post(app, body, Identity(named.user, tracked.device or named.device), key_id, tracked.fix, tracked.fix.key)


def _form(body: bytes) -> dict[str, str]:
    """Return the fields of a form; what is none says nothing."""
    try:
        return dict(parse_qsl(body.decode("utf-8", "replace"), max_num_fields=_MOST_FIELDS))
    except ValueError as error:
        raise Unusable(f"more than {_MOST_FIELDS} fields") from error


def _members(body: bytes) -> dict[str, Any]:
    try:
        members = _any.decode(body)
    except RecursionError:
        raise Unusable(f"nested more than {_DEEPEST} levels deep") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unusable("not JSON") from error
    if not isinstance(members, dict):
        raise Unusable("not an object with a _type")
    if is_deep(members, body):
        raise Unusable(f"nested more than {_DEEPEST} levels deep")
    return members


def _post(app: str, body: bytes, who: Identity, key_id: str, fix: Fix | None, key: str | None) -> Post:
    """Return the post of a body; it is one with an earlier one of the same key, or else of the same body."""
    phone = Phone(app=app, user=who.user, device=who.device)
    known_by = key if key and len(key) <= _LONGEST_PLAIN_KEY else f"{app}:{digest(key.encode() if key else body)}"
    return Post(
        action="create-owntracks-location",
        order_key=f"key:{key_id}",
        body=_encode(Posted(Raw(_encode(_plus_fields(fix, who.device))), Raw(body), phone)),
        created_at=fix.at if fix is not None and fix.dated else None,
        once=known_by if fix is None or fix.dated else None,
    )


def _plus_fields(fix: Fix | None, device: str | None) -> dict[str, Any]:
    """Return what Gladys Plus makes of a position; latitude 0 is one, what is unknown is left out."""
    if fix is None:
        return {}
    fields = {
        "latitude": fix.latitude,
        "longitude": fix.longitude,
        "accuracy": fix.accuracy,
        "altitude": fix.altitude,
        "device_battery": fix.battery,
        "device_selector": device,
    }
    return {name: value for name, value in fields.items() if value is not None}


APPS: Mapping[str, App] = {
    "owntracks": App(read=read_owntracks, answer=b"[]", replies=True),
    "overland": App(read=read_overland, answer=b'{"result":"ok"}'),
    "osmand": App(read=read_osmand, answer=b'{"status":200}', methods=("GET", "POST")),
}
