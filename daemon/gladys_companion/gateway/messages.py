"""What is said to a home and what it answers: a held event becomes a message, an ack becomes a receipt. All pure.

Source: the gladys-gateway server (``open-api-message`` 1.0). To a companion our own fields go along; to an unmodified
Gladys a number that is older than a minute goes as history, so that it runs no scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Raw, Struct

from gladys_companion.clock import Clock
from gladys_companion.gateway.posts import Posted
from gladys_companion.gateway.storage import Home, NewEvent, StoredEvent
from gladys_companion.model import Receipt, Sender, TargetReceipt
from gladys_companion.protocol.open_api import Companion, OpenApiMessage, read_state

__all__ = ["LATE_AFTER", "Answer", "compose", "held", "read_ack", "repeated", "trace", "unable", "unacked"]

LATE_AFTER = 60.0
_LARGEST_RECEIPT = 16_384
_LARGEST_REPLY = 262_144
_OK = 200
_ACCEPTED = 202
_REFUSED = 400
_TRY_AGAIN = 503
_MOST = 599

# Members that an official gateway always sends, and that the type leaves out where they have their default.
_LINKED = b'{"version":"1.0","type":"gladys-open-api",'
_UNLINKED = _LINKED + b'"local_user_id":null,'

_posted = msgspec.json.Decoder(Posted)
_object = msgspec.json.Decoder(dict[str, Any])
_encode = msgspec.json.Encoder().encode


class Answer(Struct, frozen=True):
    """A receipt on its way to the phone and into the storage: HTTP status, and the body as JSON.

    ``reply`` is a JSON array that home wants the app on the phone to have; it is not kept.
    """

    status: int
    body: bytes
    reply: bytes | None = None


def _answer(receipt: Receipt) -> Answer:
    return Answer(receipt.status, _encode(receipt.body()))


def compose(
    event: NewEvent | StoredEvent, home: Home, instance_id: str, key_name: str, clock: Clock, *, companion: bool
) -> bytes | None:
    """Return the argument of ``open-api-message`` as JSON; None if an unmodified Gladys could make nothing of it.

    Its ``age_ms`` is how long ago it happened, as of now: counted on the boot clock since it was received here, and on
    the wall clock before that, if the phone named the time.
    """
    posted = _posted.decode(event.body or b'{"data":{}}')
    waited = clock.elapsed() - event.elapsed if event.boot == clock.boot else clock.now() - event.received_at
    before = event.received_at - event.created_at if event.created_at is not None else 0.0
    age = max(0.0, waited) + max(0.0, before)
    if not companion and event.action == "create-owntracks-location" and bytes(posted.data) == b"{}":
        return None
    data = _for_user(posted.data, event.action, home)
    if not companion:
        data = _plain(data, event, late=waited > LATE_AFTER)
    message = OpenApiMessage(
        action=event.action,
        instance_id=instance_id,
        data=data,
        sender_id=home.user_id,
        local_user_id=home.gladys_user_id or None,
    )
    if companion:
        message.companion = Companion(
            id=event.id,
            received_at=event.received_at,
            age_ms=round(age * 1000, 3),
            key=Sender(event.key_id, key_name),
            raw=posted.raw,
            phone=posted.phone,
        )
    return (_LINKED if home.gladys_user_id else _UNLINKED) + _encode(message)[1:]


def _for_user(data: Raw, action: str, home: Home) -> Raw:
    if action == "create-device-state" or (action == "create-owntracks-location" and bytes(data) == b"{}"):
        return data
    field = "user_id" if action == "create-owntracks-location" else "user"
    return Raw(_encode({**_object.decode(data), field: home.gladys_user_id}))


def _plain(data: Raw, event: NewEvent | StoredEvent, *, late: bool) -> Raw:
    """Return a state as an unmodified Gladys wants it: numbers as numbers, and what is late as history."""
    if event.action != "create-device-state":
        return data
    members = _object.decode(data)
    state = read_state(members, float("inf"))
    if state.value is None:
        return data
    members["state"] = int(state.value) if state.value.is_integer() else state.value
    at = event.received_at if late and event.created_at is None else event.created_at
    if at is not None:
        moment = datetime.fromtimestamp(at, UTC)
        members["created_at"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Raw(_encode(members))


def read_ack(event_id: str, args: Sequence[Any], *, companion: bool) -> Answer | None:
    """Return what home's ack says of an event; None if it could not store it, and wants it again.

    An unmodified Gladys acks anything for "taken"; of a companion, whatever is no receipt says nothing.
    """
    members = args[0] if args and isinstance(args[0], dict) else {}
    status = members.get("status")
    if isinstance(status, bool) or not isinstance(status, int) or not _OK <= status <= _MOST:
        status = None
    if companion and status is None:
        return unacked(event_id, "home answered with something that is no receipt")
    if companion and status == _TRY_AGAIN:
        return None
    if status is not None and status >= _REFUSED:
        return _bounded(event_id, {"outcome": "rejected", **members, "status": status})
    if companion:
        return _bounded(event_id, {"outcome": "accepted", **members})
    target = TargetReceipt(target="gladys", state="delivered")
    return _answer(Receipt(status=_OK, id=event_id, outcome="delivered", targets=(target,)))


def _bounded(event_id: str, members: dict[str, Any]) -> Answer:
    """Return a receipt of home's as it is, but for the id, and as its essence if it is larger than 16 KiB."""
    members = {**members, "id": event_id, "duplicate": False}  # a duplicate at home: its first ack was lost
    reply = members.pop("reply", None)
    body = _encode(members)
    if len(body) > _LARGEST_RECEIPT:
        outcome = "rejected" if members["status"] >= _REFUSED else "accepted"
        body = _encode({"status": members["status"], "id": event_id, "outcome": outcome, "duplicate": False})
    told = _encode(reply) if isinstance(reply, list) and reply else None
    return Answer(members["status"], body, told if told is not None and len(told) <= _LARGEST_REPLY else None)


def held(event_id: str, until: float, *, duplicate: bool = False) -> Answer:
    """Return the receipt of an event that waits for home."""
    return _answer(Receipt(status=_ACCEPTED, id=event_id, outcome="held", held_until=until, duplicate=duplicate))


def unacked(event_id: str, reason: str) -> Answer:
    """Return the receipt of an event that home was sent, and of which nobody knows more."""
    target = TargetReceipt(target="home", state="unknown", reason=reason)
    return _answer(Receipt(status=_ACCEPTED, id=event_id, outcome="accepted", targets=(target,)))


def unable(event_id: str) -> Answer:
    """Return the receipt of an event that an unmodified Gladys has no message for."""
    target = TargetReceipt(target="gladys", state="rejected", reason="this Gladys takes positions only")
    return _answer(Receipt(status=_OK, id=event_id, outcome="accepted", targets=(target,)))


def repeated(first: StoredEvent, until: float) -> Answer:
    """Return today's receipt of an event that was posted once more."""
    if first.receipt is None:
        return held(first.id, until, duplicate=True)
    members = {**_object.decode(first.receipt), "duplicate": True}
    return Answer(int(members.get("status", _ACCEPTED)), _encode(members))


def trace(event: StoredEvent, until: float) -> dict[str, Any]:
    """Return what is known of an event, hop by hop; times are seconds since the epoch."""
    hops: list[dict[str, Any]] = [
        {"hop": "phone", "what": "happened", "at": event.created_at},
        {"hop": "gateway", "what": "committed", "at": event.received_at},
        {"hop": "home", "what": "sent", "at": event.sent_at},
        {"hop": "home", "what": "settled", "at": event.settled_at},
    ]
    return {
        "status": _OK,
        "id": event.id,
        "action": event.action,
        "device_feature_external_id": event.external_id,
        "state": "held" if event.settled_at is None else "settled",
        "held_until": until if event.settled_at is None else None,
        "hops": [hop for hop in hops if hop["at"] is not None],
        "receipt": _object.decode(event.receipt) if event.receipt else None,
    }
