"""Positions from other apps than OwnTracks, as the same typed value: Overland, Traccar Client, GPSLogger, Gladys Plus.

Sources: https://github.com/aaronpk/Overland-iOS (API), https://www.traccar.org/osmand/ (query parameters, which
GPSLogger can send too, and the JSON of Traccar Client 9), and the gladys-gateway server for Gladys Plus.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gladys_companion.errors import ProtocolError
from gladys_companion.protocol.fields import coordinates, digest, moment, number, object_of, word
from gladys_companion.protocol.fixes import Fix

__all__ = ["Batch", "Tracked", "decode_osmand", "decode_overland", "decode_plus", "decode_traccar"]

_MOST_FIXES = 10_000
_KNOT = 1852 / 3600
_METRES_OF_HDOP = 5.0  # what a receiver under an open sky errs by at an HDOP of 1
_YES = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_CHARGING = {"charging": True, "full": True, "unplugged": False}


class Tracked(Struct, frozen=True):
    """A fix, and the device that it names."""

    device: str | None
    fix: Fix


class Batch(Struct, frozen=True):
    """Fixes in the order they were sent; ``faults`` says what was wrong with those that are left out."""

    fixes: tuple[Tracked, ...]
    faults: tuple[str, ...] = ()


def _key(app: str, device: str | None, *parts: object) -> str:
    return f"{app}:{digest(device, *parts)}"


def _accuracy(members: Mapping[str, Any], name: str, what: str) -> float | None:
    accuracy = number(members, name)
    if accuracy is not None and accuracy < 0:
        raise ProtocolError(f"{what} has a negative {name}: the phone says that it is no position.")
    return accuracy or None


def _share(members: Mapping[str, Any], name: str) -> float | None:
    """Return a share of one as percent."""
    share = number(members, name, 0, 1)
    return None if share is None else share * 100


def _members(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def decode_overland(body: bytes, now: float) -> Batch:
    """Return the fixes of a post by Overland, the ``current`` one last. Visits and trips are not fixes and left out.

    Raises:
        ProtocolError: it is not what Overland posts.
    """
    members = object_of(body, "An Overland message")
    listed = members.get("locations")
    if not isinstance(listed, list):
        raise ProtocolError("An Overland message has no list of locations.")
    fixes, faults = [], []
    for one in [*listed[:_MOST_FIXES], *([members["current"]] if members.get("current") else [])]:
        properties = _members(_members(one).get("properties"))
        if "action" in properties or properties.get("type") == "trip":
            continue
        try:
            fixes.append(_overland(_members(one), properties, now))
        except ProtocolError as error:
            faults.append(str(error))
    return Batch(tuple(fixes), tuple(faults))


def _overland(feature: Mapping[str, Any], properties: Mapping[str, Any], now: float) -> Tracked:
    what = "An Overland location"
    place = _members(feature.get("geometry")).get("coordinates")
    longitude, latitude = place[:2] if isinstance(place, list) and len(place) >= 2 else (None, None)  # noqa: PLR2004
    latitude, longitude = coordinates({"latitude": latitude, "longitude": longitude}, what, "latitude", "longitude")
    at = moment(properties.get("timestamp"), what, now, "timestamp")
    device = word(properties, "device_id")
    ssid = word(properties, "wifi")
    fix = Fix(
        key=_key("overland", device, at, latitude, longitude),
        at=at,
        latitude=latitude,
        longitude=longitude,
        accuracy=_accuracy(properties, "horizontal_accuracy", what),
        altitude=number(properties, "altitude"),
        vertical_accuracy=number(properties, "vertical_accuracy", 0) or None,
        speed=number(properties, "speed", 0),
        course=number(properties, "course", 0, 360),
        battery=_share(properties, "battery_level"),
        charging=_CHARGING.get(word(properties, "battery_state") or ""),
        connection="wifi" if ssid else None,
        ssid=ssid,
    )
    return Tracked(device, fix)


def decode_osmand(parameters: Mapping[str, str], now: float) -> Tracked:
    """Return the fix of a request of the OsmAnd protocol, as Traccar Client to 8 and GPSLogger send it.

    Parameters: ``id`` or ``deviceid``; ``lat`` and ``lon``, or ``location`` with both; ``timestamp`` or ``time`` in
    seconds, milliseconds or ISO 8601 (without one: now); ``accuracy`` in metres, or ``hdop``; ``altitude``, ``speed``
    in knots, ``bearing``, ``batt`` in percent, ``charge``. Latitude and longitude both 0 is how they say nowhere.

    Raises:
        ProtocolError: it can never be used; the sentence says why.
    """
    what = "A position of the OsmAnd protocol"
    if _YES.get(parameters.get("valid", "true").lower()) is False:
        raise ProtocolError(f"{what} says of itself that it is not valid.")
    place: Mapping[str, Any] = parameters
    if "location" in parameters and "lat" not in parameters:
        latitude_text, _, longitude_text = parameters["location"].partition(",")
        place = {"lat": latitude_text, "lon": longitude_text or None}
    latitude, longitude = coordinates(place, what)
    if latitude == 0 and longitude == 0:
        raise ProtocolError(f"{what} is at latitude 0 and longitude 0, which is how such apps say nowhere.")
    time = parameters.get("timestamp") or parameters.get("time")
    at = moment(time, what, now, "timestamp") if time else now
    device = word(parameters, "id") or word(parameters, "deviceid")
    hdop, speed = number(parameters, "hdop", 0), number(parameters, "speed", 0)
    fix = Fix(
        key=_key("osmand", device, at if time else None, latitude, longitude),
        at=at,
        latitude=latitude,
        longitude=longitude,
        accuracy=_accuracy(parameters, "accuracy", what) or (hdop * _METRES_OF_HDOP if hdop else None),
        altitude=number(parameters, "altitude"),
        speed=None if speed is None else speed * _KNOT,
        course=number(parameters, "bearing", 0, 360) or number(parameters, "heading", 0, 360),
        battery=number(parameters, "batt", 0, 100),
        charging=_YES.get(parameters.get("charge", "").lower()),
        dated=bool(time),
    )
    return Tracked(device, fix)


def decode_traccar(body: bytes, now: float) -> Tracked:
    """Return the fix of a post by Traccar Client from 9 on.

    Raises:
        ProtocolError: it can never be used; the sentence says why.
    """
    what = "A Traccar Client location"
    members = object_of(body, what)
    location = _members(members.get("location"))
    place, battery = _members(location.get("coords")), _members(location.get("battery"))
    latitude, longitude = coordinates(place, what, "latitude", "longitude")
    at = moment(location.get("timestamp"), what, now, "timestamp")
    device = word(members, "device_id")
    charging = battery.get("is_charging")
    fix = Fix(
        key=_key("traccar", device, at, latitude, longitude),
        at=at,
        latitude=latitude,
        longitude=longitude,
        accuracy=_accuracy(place, "accuracy", what),
        altitude=number(place, "altitude"),
        speed=number(place, "speed", 0),
        course=number(place, "heading", 0, 360),
        battery=_share(battery, "level"),
        charging=charging if isinstance(charging, bool) else None,
        trigger=word(location, "event"),
    )
    return Tracked(device, fix)


def decode_plus(members: Mapping[str, Any], now: float) -> Tracked:
    """Return the fix of Gladys Plus' ``create-owntracks-location``, which has neither time nor id.

    It happened when it was received, and its key is what it says: the same again within a minute is the same message,
    later it is a phone that lies still.

    Raises:
        ProtocolError: it can never be used; the sentence says why.
    """
    what = "A location of Gladys Plus"
    latitude, longitude = coordinates(members, what, "latitude", "longitude")
    device = word(members, "device_selector")
    said = [members.get(name) for name in ("user_id", "accuracy", "altitude", "device_battery")]
    fix = Fix(
        key=_key("plus", device, latitude, longitude, *said),
        at=now,
        latitude=latitude,
        longitude=longitude,
        accuracy=_accuracy(members, "accuracy", what),
        altitude=number(members, "altitude"),
        battery=number(members, "device_battery", 0, 100),
        dated=False,
    )
    return Tracked(device, fix)
