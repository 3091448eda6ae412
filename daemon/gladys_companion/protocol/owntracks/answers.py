"""What a phone with OwnTracks is answered: a JSON array of friends, zones and orders, sealed where it seals, too.

Anything but an array keeps an app's queue waiting, so that the least answer is ``[]``.
Source: https://owntracks.org/booklet/tech/http/ and the apps' own reading of answers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from gladys_companion.protocol.owntracks.box import seal

__all__ = ["Friend", "Region", "answer", "friend_messages", "report_location", "set_waypoints"]

_LONGEST_TRACKER_ID = 2

Answer = dict[str, Any]


class Friend(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A person as others see them on their map; ``tracker_id``, two characters, tells one friend from another.

    ``at`` is when they were there, seconds since the epoch; ``face`` is Base64 of a PNG.
    """

    tracker_id: str
    name: str
    latitude: float
    longitude: float
    at: float
    accuracy: float | None = None
    battery: float | None = None
    topic: str | None = None
    face: str | None = None


class Region(Struct, frozen=True, kw_only=True):
    """A zone to watch. ``made_at`` (seconds since the epoch) must not change: an Android phone knows the zone by it."""

    name: str
    latitude: float
    longitude: float
    radius: float
    made_at: float
    id: str


def friend_messages(friend: Friend) -> list[Answer]:
    """Return the ``location`` and the ``card`` of a friend."""
    tracker_id = friend.tracker_id[:_LONGEST_TRACKER_ID]
    named = {"tid": tracker_id} | ({"topic": friend.topic} if friend.topic else {})
    location: Answer = {
        "_type": "location",
        "lat": friend.latitude,
        "lon": friend.longitude,
        "tst": int(friend.at),
        **named,
    }
    if friend.accuracy is not None:
        location["acc"] = round(friend.accuracy)
    if friend.battery is not None:
        location["batt"] = round(friend.battery)
    card: Answer = {"_type": "card", "name": friend.name, **named}
    if friend.face:
        card["face"] = friend.face
    return [location, card]


def set_waypoints(regions: Iterable[Region]) -> Answer:
    """Return the order that gives a phone these zones; it keeps those that it has besides."""
    waypoints = [
        {
            "_type": "waypoint",
            "desc": region.name,
            "lat": region.latitude,
            "lon": region.longitude,
            "rad": max(1, round(region.radius)),
            "tst": int(region.made_at),
            "rid": region.id,
        }
        for region in regions
    ]
    return {
        "_type": "cmd",
        "action": "setWaypoints",
        "waypoints": {"_type": "waypoints", "waypoints": waypoints},
    }


def report_location() -> Answer:
    """Return the order to tell where the phone is."""
    return {"_type": "cmd", "action": "reportLocation"}


def answer(messages: Iterable[Answer] = (), passphrase: str | None = None) -> bytes:
    """Return the body of a 200: the messages as an array, each in an envelope where the phone has a passphrase."""
    bodies = [msgspec.json.encode(message) for message in messages]
    if passphrase:
        bodies = [seal(body, passphrase) for body in bodies]
    return b"[" + b",".join(bodies) + b"]"
