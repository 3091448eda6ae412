"""Positions of Overland, Traccar Client, GPSLogger and Gladys Plus: the same fixes, the same faults."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gladys_companion.errors import ProtocolError
from gladys_companion.protocol.trackers import (
    Batch,
    Tracked,
    decode_osmand,
    decode_overland,
    decode_plus,
    decode_traccar,
)

NOW = datetime.fromisoformat("2026-09-21T14:13:20Z").timestamp()


def feature(place: object = (16.37, 48.2), **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": place},
        "properties": {"timestamp": "2026-09-21T07:13:10-0700", "device_id": "iphone", **properties},
    }


def overland(*features: object, **more: object) -> Batch:
    return decode_overland(json.dumps({"locations": features, **more}).encode(), NOW)


def is_read_or_refused(decode: Callable[[], Tracked]) -> bool:
    try:
        return abs(decode().fix.latitude) <= 90
    except ProtocolError as error:
        return str(error).endswith(".")


def test_overlands_fixes_are_read_whole() -> None:
    """Coordinates are longitude first, battery is a share of one, and a fix knows its device."""
    (tracked,) = overland(
        feature(horizontal_accuracy=30, vertical_accuracy=-1, altitude=190, speed=4, battery_level=0.89,
                battery_state="full", wifi="Nest", motion=["walking"])
    ).fixes  # fmt: skip
    fix = tracked.fix
    assert (tracked.device, fix.latitude, fix.longitude, fix.at) == ("iphone", 48.2, 16.37, NOW - 10)
    assert (fix.accuracy, fix.vertical_accuracy, fix.altitude, fix.speed) == (30.0, None, 190.0, 4.0)
    assert (round(fix.battery or 0), fix.charging, fix.connection, fix.ssid) == (89, True, "wifi", "Nest")


def test_overlands_unknowns_are_none() -> None:
    """Speed and battery of -1, an empty network and an unknown charger say nothing."""
    (tracked,) = overland(feature(speed=-1, battery_level=-1, wifi="", battery_state="unknown")).fixes
    fix = tracked.fix
    assert (fix.speed, fix.battery, fix.ssid, fix.connection, fix.charging, fix.accuracy) == (None,) * 6


def test_one_bad_location_does_not_cost_the_others() -> None:
    """Faults are told one by one; visits and trips are no fixes and no faults; the current one comes last."""
    batch = overland(
        feature(),
        feature(place=(16.37, 91)),
        feature(place="here"),
        feature(horizontal_accuracy=-1),
        feature(timestamp="2031-09-21T14:13:10Z"),
        feature(timestamp=None),
        "no object",
        feature(action="visit"),
        feature(type="trip"),
        current=feature(place=(0, 0), timestamp="2026-09-21T14:13:19Z"),
    )
    assert [tracked.fix.latitude for tracked in batch.fixes] == [48.2, 0.0]
    assert len(batch.faults) == 6
    assert all(fault.endswith(".") for fault in batch.faults)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"locations": {}}', b"nonsense"])
def test_what_is_not_overlands_is_refused(body: bytes) -> None:
    """A body of another app says so at once."""
    with pytest.raises(ProtocolError):
        decode_overland(body, NOW)


@pytest.mark.parametrize(
    "timestamp", [str(int(NOW - 10)), str(int(NOW - 10) * 1_000), "2026-09-21T14:13:10Z", "2026-09-21 14:13:10"]
)
def test_osmands_times_are_read(timestamp: str) -> None:
    """Seconds, milliseconds and ISO 8601 are the same moment."""
    fix = decode_osmand({"id": "5", "lat": "48.2", "lon": "16.37", "timestamp": timestamp}, NOW).fix
    assert (fix.at, fix.dated) == (NOW - 10, True)


def test_osmands_other_parameters_are_read() -> None:
    """What Traccar Client 8 and GPSLogger send: speed in knots, HDOP in place of metres, the charger as a word."""
    tracked = decode_osmand(
        {"deviceid": "pixel", "lat": "0", "lon": "16.37", "time": "2026-09-21T14:13:10Z", "speed": "10",
         "bearing": "271", "altitude": "190", "accuracy": "12.5", "batt": "87.0", "charge": "true"}, NOW,
    )  # fmt: skip
    fix = tracked.fix
    assert (tracked.device, fix.latitude, fix.accuracy, fix.battery, fix.charging) == ("pixel", 0.0, 12.5, 87.0, True)
    assert fix.speed == pytest.approx(5.144, abs=0.001)
    by_hdop = decode_osmand({"id": "5", "location": "48.2,16.37", "hdop": "2"}, NOW).fix
    assert (by_hdop.accuracy, by_hdop.longitude, by_hdop.at, by_hdop.dated) == (10.0, 16.37, NOW, False)


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({}, "no lat"),
        ({"lat": "48.2"}, "no lon"),
        ({"location": "48.2"}, "no lon"),
        ({"lat": "48.2", "lon": "east"}, "no finite number"),
        ({"lat": "0", "lon": "0"}, "nowhere"),
        ({"lat": "48.2", "lon": "16.37", "valid": "false"}, "not valid"),
        ({"lat": "48.2", "lon": "16.37", "timestamp": "soon"}, "no time"),
        ({"lat": "48.2", "lon": "16.37", "timestamp": "0"}, "did not know"),
        ({"lat": "48.2", "lon": "16.37", "accuracy": "-1"}, "negative accuracy"),
    ],
)
def test_osmands_faults_are_told(parameters: dict[str, str], why: str) -> None:
    """Each says what is wrong."""
    with pytest.raises(ProtocolError, match=why):
        decode_osmand(parameters, NOW)


def test_traccar_client_of_today_is_read() -> None:
    """From version 9 on it posts JSON."""
    body = {
        "location": {
            "timestamp": "2026-09-21T14:13:10.000Z",
            "coords": {"latitude": 48.2, "longitude": 16.37, "accuracy": 7, "speed": 1.5, "heading": -1},
            "event": "motionchange",
            "battery": {"level": 0.5, "is_charging": False},
        },
        "device_id": "48241179",
    }
    tracked = decode_traccar(json.dumps(body).encode(), NOW)
    fix = tracked.fix
    assert (tracked.device, fix.at, fix.accuracy, fix.speed, fix.course) == ("48241179", NOW - 10, 7.0, 1.5, None)
    assert (fix.battery, fix.charging, fix.trigger) == (50.0, False, "motionchange")
    with pytest.raises(ProtocolError, match="no latitude"):
        decode_traccar(b'{"location": {"timestamp": "2026-09-21T14:13:10Z"}}', NOW)


def test_gladys_plus_tells_neither_time_nor_id() -> None:
    """It happened when it came; what it says is its key."""
    said = {"user_id": "u", "latitude": 0, "longitude": 16.37, "accuracy": 0, "altitude": 190, "device_battery": 87,
            "device_selector": "iphone"}  # fmt: skip
    tracked = decode_plus(said, NOW)
    fix = tracked.fix
    assert (tracked.device, fix.at, fix.dated, fix.latitude, fix.accuracy) == ("iphone", NOW, False, 0.0, None)
    assert fix.key == decode_plus(said, NOW + 5).fix.key
    assert fix.key != decode_plus({**said, "device_battery": 86}, NOW).fix.key
    with pytest.raises(ProtocolError, match="no longitude"):
        decode_plus({"latitude": 5}, NOW)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(["timestamp", "speed", "battery_level", "wifi", "device_id", "horizontal_accuracy", "altitude"])


@given(json_values, st.dictionaries(names, json_values), json_values)
def test_any_post_of_overland_is_read_or_refused(place: object, properties: dict[str, Any], current: object) -> None:
    """Whatever stands in its members, a fix is somewhere on earth or a fault is told."""
    batch = overland(feature(place, **properties), current=current)
    assert len(batch.fixes) + len(batch.faults) >= 1
    assert all(abs(tracked.fix.latitude) <= 90 for tracked in batch.fixes)


@given(
    st.dictionaries(
        st.sampled_from(["lat", "lon", "id", "timestamp", "valid", "hdop", "batt", "location", "charge", "speed"]),
        st.text() | st.floats().map(str),
    )
)
def test_any_request_of_osmand_is_read_or_refused(parameters: dict[str, str]) -> None:
    """Whatever the parameters hold, it is a fix or a ProtocolError."""
    assert is_read_or_refused(lambda: decode_osmand(parameters, NOW))


@given(
    st.dictionaries(st.sampled_from(["latitude", "longitude", "accuracy", "user_id", "device_selector"]), json_values)
)
def test_any_location_of_plus_is_read_or_refused(members: dict[str, Any]) -> None:
    """Whatever the members hold, it is a fix or a ProtocolError."""
    assert is_read_or_refused(lambda: decode_plus(members, NOW))


@given(json_values)
def test_any_post_of_traccar_is_read_or_refused(location: object) -> None:
    """Whatever stands in its location, it is a ProtocolError here, since no time is in it."""
    with pytest.raises(ProtocolError):
        decode_traccar(json.dumps({"location": location}).encode(), NOW)
