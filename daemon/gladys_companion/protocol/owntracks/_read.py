"""Members of OwnTracks messages into typed values, one function per ``_type``; pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from gladys_companion.errors import ProtocolError
from gladys_companion.protocol.fields import coordinates, digest, moment, number, object_of, texts, word
from gladys_companion.protocol.fixes import Connection, Fix
from gladys_companion.protocol.owntracks._messages import (
    Beacon,
    Card,
    Command,
    Configuration,
    Encrypted,
    Message,
    Request,
    Status,
    Steps,
    Transition,
    Waypoint,
    Waypoints,
    Will,
)

__all__ = ["decode", "read"]

_WHAT = "An OwnTracks message"
_MOST_WAYPOINTS = 1_000
_LONGEST_KEY = 64
_KMH = 3.6
_CONNECTIONS: Mapping[object, Connection] = {"w": "wifi", "m": "mobile", "o": "offline"}
_CHARGING = {1: False, 2: True, 3: True}  # 3 is full, on the charger


def decode(body: bytes, now: float) -> Message | None:
    """Return what a body says; None for an empty one, which is legal and says nothing.

    Args:
        body: one JSON object, as it was posted.
        now: when it was received, seconds since the epoch, by a clock that can be believed: the gateway's, not a Pi's.

    Raises:
        ProtocolError: it can never be used; the sentence says why.
    """
    return read(object_of(body, _WHAT), now) if body.strip() else None


def read(members: Mapping[str, Any], now: float) -> Message:
    """Return what the members of a message say.

    Raises:
        ProtocolError: they can never be used; the sentence says why.
    """
    kind = members.get("_type")
    if not isinstance(kind, str):
        raise ProtocolError(f"{_WHAT} has no _type.")
    reader = _READERS.get(kind)
    if reader is None:
        raise ProtocolError(f"{_WHAT} has the unknown _type {kind[:40]!r}.")
    return reader(members, now)


def _key(members: Mapping[str, Any], *otherwise: object) -> str:
    """Return what makes a message one with an earlier one: its ``_id``, else what it says."""
    own = members.get("_id")
    if isinstance(own, str) and own:
        return f"owntracks:{own if len(own) <= _LONGEST_KEY else digest(own)}"
    return f"{members['_type']}:{digest(*(otherwise or (dict(members),)))}"


def _accuracy(members: Mapping[str, Any]) -> float | None:
    accuracy = number(members, "acc")
    if accuracy is not None and accuracy < 0:
        raise ProtocolError("An OwnTracks position has a negative acc: the phone says that it is no position.")
    return accuracy or None


def _location(members: Mapping[str, Any], now: float) -> Fix:
    what = "An OwnTracks location"
    latitude, longitude = coordinates(members, what)
    at = moment(members.get("tst"), what, now)
    speed = number(members, "vel", 0)
    return Fix(
        key=_key(members, at, latitude, longitude),
        at=at,
        latitude=latitude,
        longitude=longitude,
        accuracy=_accuracy(members),
        altitude=number(members, "alt"),
        vertical_accuracy=number(members, "vac", 0) or None,
        speed=None if speed is None else speed / _KMH,
        course=number(members, "cog", 0, 360),
        battery=number(members, "batt", 0, 100),
        charging=_CHARGING.get(_whole(members, "bs") or 0),
        connection=_CONNECTIONS.get(word(members, "conn")),
        ssid=word(members, "SSID"),
        bssid=word(members, "BSSID"),
        trigger=word(members, "t"),
        regions=texts(members, "inregions"),
        region_ids=texts(members, "inrids"),
        tracker_id=word(members, "tid"),
        created_at=number(members, "created_at", 1),
    )


def _transition(members: Mapping[str, Any], now: float) -> Transition:
    what = "An OwnTracks transition"
    event = members.get("event")
    if event not in ("enter", "leave"):
        raise ProtocolError(f"{what} has an event that is neither enter nor leave.")
    region = word(members, "desc")
    if region is None:
        raise ProtocolError(f"{what} has no desc, so that nobody knows which region it means.")
    at = moment(members.get("tst"), what, now)
    trigger = word(members, "t")
    latitude, longitude = None, None
    if members.get("lat") is not None or members.get("lon") is not None:
        latitude, longitude = coordinates(members, what)
    if trigger == "b":  # a beacon's position is the phone's last one, or none
        latitude, longitude = None, None
    return Transition(
        key=_key(members, at, event, region, members.get("rid")),
        at=at,
        entered=event == "enter",
        region=region,
        region_id=word(members, "rid"),
        latitude=latitude,
        longitude=longitude,
        accuracy=None if latitude is None else _accuracy(members),
        trigger=trigger,
        tracker_id=word(members, "tid"),
    )


def _whole(members: Mapping[str, Any], name: str, at_least: float = -math.inf) -> int | None:
    found = number(members, name, at_least)
    return None if found is None or found != int(found) else int(found)


def _waypoint(members: Mapping[str, Any], _now: float) -> Waypoint:
    what = "An OwnTracks waypoint"
    name = word(members, "desc")
    if name is None:
        raise ProtocolError(f"{what} has no desc.")
    beacon = word(members, "uuid")
    latitude, longitude, radius = None, None, number(members, "rad", 1)
    if beacon is None or radius is not None:
        latitude, longitude = coordinates(members, what)
    return Waypoint(
        key=_key({"_type": "waypoint", **members}),
        name=name,
        at=number(members, "tst", 1),
        latitude=latitude,
        longitude=longitude,
        radius=radius,
        region_id=word(members, "rid"),
        beacon=beacon,
        major=_whole(members, "major", 0),
        minor=_whole(members, "minor", 0),
    )


def _waypoints(members: Mapping[str, Any], now: float) -> Waypoints:
    listed = members.get("waypoints")
    if not isinstance(listed, list):
        raise ProtocolError("OwnTracks waypoints have no list of waypoints.")
    found, faults = [], []
    for one in listed[:_MOST_WAYPOINTS]:
        try:
            if not isinstance(one, dict):
                raise ProtocolError("An OwnTracks waypoint is no object.")  # noqa: TRY301 - told with the others
            found.append(_waypoint(one, now))
        except ProtocolError as error:
            faults.append(str(error))
    return Waypoints(key=_key(members), waypoints=tuple(found), faults=tuple(faults))


def _will(members: Mapping[str, Any], _now: float) -> Will:
    return Will(key=_key(members), at=number(members, "tst", 1))


def _card(members: Mapping[str, Any], _now: float) -> Card:
    face = members.get("face")
    return Card(
        key=_key(members),
        name=word(members, "name"),
        face=face if isinstance(face, str) and face else None,
        tracker_id=word(members, "tid"),
    )


def _status(members: Mapping[str, Any], _now: float) -> Status:
    return Status(key=_key(members), members={key: value for key, value in members.items() if key[:1] != "_"})


def _command(members: Mapping[str, Any], _now: float) -> Command:
    action = word(members, "action")
    if action is None:
        raise ProtocolError("An OwnTracks cmd has no action.")
    return Command(key=_key(members), action=action)


def _configuration(members: Mapping[str, Any], _now: float) -> Configuration:
    return Configuration(key=_key(members), members={key: one for key, one in members.items() if key[:1] != "_"})


def _steps(members: Mapping[str, Any], now: float) -> Steps:
    return Steps(
        key=_key(members),
        at=moment(members.get("tst"), "An OwnTracks steps message", now),
        steps=_whole(members, "steps", 0),
        since=number(members, "from", 1),
        until=number(members, "to", 1),
    )


def _beacon(members: Mapping[str, Any], now: float) -> Beacon:
    what = "An OwnTracks beacon"
    uuid = word(members, "uuid")
    if uuid is None:
        raise ProtocolError(f"{what} has no uuid.")
    return Beacon(
        key=_key(members),
        at=moment(members.get("tst"), what, now),
        uuid=uuid,
        major=_whole(members, "major", 0),
        minor=_whole(members, "minor", 0),
        name=word(members, "desc"),
        proximity=_whole(members, "prox", 1),
        signal=_whole(members, "rssi"),
    )


def _request(members: Mapping[str, Any], _now: float) -> Request:
    request = word(members, "request")
    if request is None:
        raise ProtocolError("An OwnTracks request does not say what it asks for.")
    return Request(key=_key(members), request=request)


def _encrypted(members: Mapping[str, Any], _now: float) -> Encrypted:
    data = members.get("data")
    if not isinstance(data, str) or not data:
        raise ProtocolError("An encrypted OwnTracks message has no data.")
    return Encrypted(key=f"encrypted:{digest(data)}", data=data)


_READERS: Mapping[str, Callable[[Mapping[str, Any], float], Message]] = {
    "location": _location,
    "transition": _transition,
    "waypoint": _waypoint,
    "waypoints": _waypoints,
    "lwt": _will,
    "card": _card,
    "status": _status,
    "cmd": _command,
    "configuration": _configuration,
    "steps": _steps,
    "beacon": _beacon,
    "request": _request,
    "encrypted": _encrypted,
}
