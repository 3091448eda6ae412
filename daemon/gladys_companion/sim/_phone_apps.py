"""What apps on phones post, and what they take for an answer: after it a message is gone from the queue, or it stays.

All pure. OwnTracks is as its Android app 2.6 does it: whatever is not 2xx is put back at the head of the queue and
tried again without end, so that a 4xx blocks everything behind it; the wait doubles from 1 s to 2 min. Overland wants
``{"result": "ok"}`` for a batch, the OsmAnd protocol (Traccar Client to 8) a 2xx; both try again each 30 s.
Sources: the OwnTracks booklet and owntracks/android, aaronpk/Overland-iOS, https://www.traccar.org/osmand/.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from gladys_companion.protocol.fields import numeric
from gladys_companion.protocol.owntracks.box import seal

__all__ = ["APPS", "App", "Request", "Who"]

_OK = range(200, 300)
_FARTHEST = 1e11  # seconds since the epoch
_STATES = {1: "unplugged", 2: "charging", 3: "full"}

Payload = Mapping[str, Any]


class Who(Struct, frozen=True):
    """Whose phone it is, as its app says it, and the key and passphrase that were typed into its settings."""

    user: str
    device: str
    key: str
    passphrase: str | None = None


class Request(Struct, frozen=True):
    """One HTTP request of an app; ``path`` is what comes behind the gateway's address."""

    method: str
    path: str
    headers: Mapping[str, str] = {}
    body: bytes = b""


class App(Struct, frozen=True):
    """One app: at most ``batch`` messages go into a request.

    ``takes``: whether it would send such a message at all. ``refuses`` returns what it dislikes about an answer after
    which it keeps the messages, None where they are gone. ``waits`` are the seconds before the first further try, and
    the most that this doubles to.
    """

    takes: Callable[[Payload], bool]
    request: Callable[[Who, Sequence[Payload]], Request]
    refuses: Callable[[int, bytes], str | None]
    waits: tuple[float, float]
    batch: int = 1


def _basic(who: Who) -> str:
    return "Basic " + base64.b64encode(f"{who.user}:{who.key}".encode()).decode()


def _everything(_: Payload) -> bool:
    return True


def _locations(payload: Payload) -> bool:
    """Return whether it is a position; other apps say nothing else, and never half of one."""
    tst = _number(payload, "tst")
    place = None not in {_number(payload, "lat"), _number(payload, "lon")}
    return payload.get("_type") == "location" and place and tst is not None and 0 <= tst < _FARTHEST


def _number(payload: Payload, name: str, least: float = -math.inf) -> float | None:
    found = numeric(payload.get(name))
    return None if found is None or found < least else found


def _times(number: float | None, factor: float) -> float | None:
    return None if number is None else number * factor


def _known(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _owntracks(who: Who, payloads: Sequence[Payload]) -> Request:
    body = msgspec.json.encode(payloads[0])
    headers = {
        "Content-Type": "application/json",
        "X-Limit-U": who.user,
        "X-Limit-D": who.device,
        "Authorization": _basic(who),
    }
    return Request("POST", "/v1/api/owntracks", headers, seal(body, who.passphrase) if who.passphrase else body)


def _status(status: int, _: bytes) -> str | None:
    return None if status in _OK else f"it is answered {status}"


def _overland(who: Who, payloads: Sequence[Payload]) -> Request:
    body = {"locations": [_feature(who, one) for one in payloads]}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {who.key}"}
    return Request("POST", "/v1/api/overland", headers, msgspec.json.encode(body))


def _feature(who: Who, payload: Payload) -> dict[str, Any]:
    at = datetime.fromtimestamp(_number(payload, "tst") or 0.0, UTC)
    properties = {
        "timestamp": at.isoformat().replace("+00:00", "Z"),
        "horizontal_accuracy": _number(payload, "acc"),
        "altitude": _number(payload, "alt"),
        "speed": _times(_number(payload, "vel"), 1 / 3.6),
        "course": _number(payload, "cog"),
        "battery_level": _times(_number(payload, "batt", 0), 1 / 100),
        "battery_state": _STATES.get(int(_number(payload, "bs") or 0), "unknown"),
        "wifi": payload.get("SSID"),
        "device_id": who.device,
    }
    place = {"type": "Point", "coordinates": [_number(payload, "lon"), _number(payload, "lat")]}
    return {"type": "Feature", "geometry": place, "properties": _known(properties)}


def _result(status: int, body: bytes) -> str | None:
    try:
        answer: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        answer = None
    if status in _OK and isinstance(answer, dict) and answer.get("result") == "ok":
        return None
    return f'it is answered {status} without {{"result": "ok"}}'


def _osmand(who: Who, payloads: Sequence[Payload]) -> Request:
    payload = payloads[0]
    parameters = {
        "id": who.device,
        "lat": _number(payload, "lat"),
        "lon": _number(payload, "lon"),
        "timestamp": int(_number(payload, "tst") or 0),
        "accuracy": _number(payload, "acc"),
        "altitude": _number(payload, "alt"),
        "speed": _times(_number(payload, "vel"), 1 / 1.852),  # knots
        "bearing": _number(payload, "cog"),
        "batt": _number(payload, "batt", 0),
    }
    headers = {"Authorization": f"Bearer {who.key}"}
    return Request("GET", f"/v1/api/osmand?{urlencode(_known(parameters))}", headers)


APPS: Mapping[str, App] = {
    "owntracks": App(takes=_everything, request=_owntracks, refuses=_status, waits=(1.0, 120.0)),
    "overland": App(takes=_locations, request=_overland, refuses=_result, waits=(30.0, 30.0), batch=200),
    "osmand": App(takes=_locations, request=_osmand, refuses=_status, waits=(30.0, 30.0)),
}
