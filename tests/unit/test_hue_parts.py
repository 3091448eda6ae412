"""What of the Hue driver needs no bridge: colours, events from bytes, identities and values."""

from __future__ import annotations

import math
from typing import Any

import pytest
from aiohue.util import dataclass_from_dict
from aiohue.v2.models.button import Button
from aiohue.v2.models.device import Device
from aiohue.v2.models.light import Light
from aiohue.v2.models.light_level import LightLevel
from aiohue.v2.models.motion import Motion
from aiohue.v2.models.temperature import Temperature
from aiohue.v2.models.zigbee_connectivity import ZigbeeConnectivity
from hypothesis import given
from hypothesis import strategies as st

from gladys_companion.drivers.hue._color import GAMUT, Point, color_of, nearest, xy_of
from gladys_companion.drivers.hue._identity import bridge_of, identities
from gladys_companion.drivers.hue._pairing import mac_of_bridge
from gladys_companion.drivers.hue._stream import LONGEST, Stream
from gladys_companion.drivers.hue._values import Chosen, click, device_parts, value

SRGB = (Point(0.64, 0.33), Point(0.3, 0.6), Point(0.15, 0.06))


def channels(color: int) -> tuple[int, ...]:
    return tuple(color.to_bytes(3, "big"))


@pytest.mark.parametrize(
    ("color", "point"),
    [
        (0xFFFFFF, (0.3127, 0.3290)),
        (0xFF0000, (0.6401, 0.3300)),
        (0x00FF00, (0.3, 0.6)),
        (0x0000FF, (0.1532, 0.0600)),
        (0x800000, (0.6401, 0.3300)),
    ],
)
def test_known_colours_are_where_they_should_be(color: int, point: tuple[float, float]) -> None:
    """White is D65, and the primaries of sRGB are theirs, as far as a lamp of gamut C has them."""
    assert math.dist(xy_of(color), point) < 0.002


@given(st.permutations(range(3)), st.integers(0, 255), st.integers(0, 255))
def test_a_bright_colour_comes_back(order: list[int], one: int, other: int) -> None:
    """There and back, a colour whose brightest channel is full is the same but for a few steps where it is dark."""
    color = int.from_bytes(bytes((255, one, other)[at] for at in order), "big")
    back = channels(color_of(xy_of(color, SRGB)))
    assert max(back) == 255
    assert all(abs(was - now) <= 6 for was, now in zip(channels(color), back, strict=True) if was > 40)


@given(st.integers(1, 0xFFFFFF))
def test_no_colour_is_beyond_the_gamut(color: int) -> None:
    """What a lamp is told is within what it can show, to the digits that it is told."""
    point = xy_of(color)
    assert math.dist(point, nearest(point, GAMUT)) < 0.0002


def test_the_nearest_point_is_within() -> None:
    """A point inside is itself, one beyond an edge on it, one beyond a corner that corner."""
    inside = Point(0.3, 0.3)
    assert nearest(inside, GAMUT) == inside
    assert nearest(Point(0.9, 0.3), GAMUT) == GAMUT[0]
    edge = nearest(Point(0.5, 0.6), GAMUT)
    assert math.isclose((edge.x - 0.6915) / (0.17 - 0.6915), (edge.y - 0.3083) / (0.7 - 0.3083))
    assert nearest(inside, (inside, inside, inside)) == inside


@pytest.mark.parametrize("point", [(0.3, 0.0), (2.0, 0.3), (float("nan"), 0.3), (0.3, float("inf")), (-1.0, 0.5)])
def test_no_colour_is_nowhere(point: tuple[float, float]) -> None:
    """What is not on the chart is no colour."""
    with pytest.raises(ValueError, match="no colour"):
        color_of(Point(*point))


EVENT = b'id: 1:0\ndata: [{"type":"update","data":[{"id":"a","type":"light"},{"id":"b"}]}]\n\n'


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_events_come_in_pieces(size: int) -> None:
    """However the bytes are cut, each event is told once, and comments are not."""
    stream, found = Stream(), []
    text = b": hi\n\n" + EVENT + EVENT.replace(b"\n", b"\r\n") + b'data: [{"type":\ndata: "add","data":[]}]\n\n'
    for at in range(0, len(text), size):
        found += stream.feed(text[at : at + size])
    assert [(kind, one["id"]) for kind, one in found] == [("update", "a"), ("update", "b")] * 2


@pytest.mark.parametrize(
    "text", [b"data: nonsense\n\n", b"data: 3\n\n", b"data: [3]\n\n", b'data: [{"type":"add"}]\n\n']
)
def test_what_is_no_event_is_an_error(text: bytes) -> None:
    """JSON that is none, or another's."""
    with pytest.raises((ValueError, TypeError, LookupError)):
        Stream().feed(text)


def test_an_event_does_not_grow_without_bound() -> None:
    """Neither a line without an end, nor an event without one."""
    with pytest.raises(ValueError, match="longer than"):
        Stream().feed(b"x" * (LONGEST + 1))
    stream = Stream()
    line = b"data: " + b"x" * 1000 + b"\n"
    for _ in range(LONGEST // 1000):
        stream.feed(line)
    with pytest.raises(ValueError, match="longer than"):
        stream.feed(line * 2)


@pytest.mark.parametrize(
    ("text", "mac"),
    [
        ("001788FFFE0a1b2c", "0017880a1b2c"),
        ("0017880a1b2c", None),
        ("001788aaaa0a1b2c", None),
        ("", None),
        ("../" * 80, None),
    ],
)
def test_the_id_of_a_bridge_has_its_mac(text: str, mac: str | None) -> None:
    """It stands in it with fffe in its middle."""
    assert mac_of_bridge(text) == mac


def test_the_bridge_of_a_device_is_in_its_id() -> None:
    """Of a lamp and of the bridge itself."""
    assert bridge_of("hue:0017880a1b2c-00178801aabbccdd") == bridge_of("hue:0017880a1b2c") == "0017880a1b2c"


def device(rid: str, **services: str) -> Any:  # noqa: ANN401 - aiohue's model
    product = {
        "model_id": "x",
        "manufacturer_name": "x",
        "product_name": "x",
        "product_archetype": "plug" if rid == "plug" else "sultan_bulb",
        "certified": True,
        "software_version": "1",
    }
    listed = [{"rid": one, "rtype": rtype} for rtype, ones in services.items() for one in ones.split()]
    body = {"id": rid, "services": listed, "product_data": product, "metadata": {"name": rid, "archetype": "x"}}
    return dataclass_from_dict(Device, body)


def test_identities_are_addresses_of_the_radio() -> None:
    """Without hyphens and colons; where two have the same, or one has none, it is the resource's own id."""
    macs = {
        "r1": "00:17:88:01:AA:BB:CC:DD",
        "r2": "00:17:88:01:00:00:00:01",
        "r3": "00:17:88:01:00:00:00:01",
        "r4": "?",
    }
    radios = {
        rid: dataclass_from_dict(
            ZigbeeConnectivity,
            {"id": rid, "owner": {"rid": "x", "rtype": "device"}, "status": "connected", "mac_address": mac},
        )
        for rid, mac in macs.items()
    }
    devices = [device(f"d-{rid}", zigbee_connectivity=rid) for rid in radios] + [device("green-power")]
    assert identities(devices, [], lambda _, rid: radios.get(rid)) == {
        "00178801aabbccdd": ("device", "d-r1"),
        "dr2": ("device", "d-r2"),
        "dr3": ("device", "d-r3"),
        "dr4": ("device", "d-r4"),
        "greenpower": ("device", "green-power"),
    }


def light(**members: object) -> Any:  # noqa: ANN401 - aiohue's model
    body = {"id": "l", "owner": {"rid": "d", "rtype": "device"}, "on": {"on": True}, "mode": "normal"} | members
    return dataclass_from_dict(Light, body)


def test_a_device_with_two_lamps_has_each_of_them() -> None:
    """The second one's features end in its number."""
    lamps = {"one": light(id="one", dimming={"brightness": 1.0}), "two": light(id="two")}
    parts = device_parts(device("d", light="one two"), lambda _, rid: lamps.get(rid))
    assert [(part.component, part.rid, part.name) for part in parts] == [
        ("on", "one", "On"),
        ("brightness", "one", "Brightness"),
        ("on-2", "two", "On 2"),
    ]


def test_a_plug_is_a_switch() -> None:
    """Whatever its owner says that is plugged in."""
    (part,) = device_parts(device("plug", light="l"), lambda *_: light())
    assert part.kind == "plug"


@pytest.mark.parametrize(("told", "shown"), [(39.92, 40), (0.39, 1), (100.0, 100), (49.6, 50)])
def test_brightness_is_a_whole_percentage(told: float, shown: int) -> None:
    """A lamp's 254 steps become percents, and what is on never becomes 0."""
    lamp = light(dimming={"brightness": told})
    parts = device_parts(device("d", light="l"), lambda *_: lamp)
    assert [value(part, lamp) for part in parts] == [1, shown]


def test_a_chosen_colour_is_told_as_it_was_chosen() -> None:
    """Within what a lamp rounds; another colour is itself, and one that is off or white is none."""
    schema = {"mirek_minimum": 153, "mirek_maximum": 500}
    members = {
        "color": {"xy": {"x": 0.3127, "y": 0.329}},
        "color_temperature": {"mirek": None, "mirek_valid": False, "mirek_schema": schema},
    }
    lamp = light(**members)
    *_, warm, color = device_parts(device("d", light="l"), lambda *_: lamp)
    assert value(color, lamp, Chosen(0x101010, Point(0.3125, 0.3292))) == 0x101010
    assert value(color, lamp, Chosen(0x101010, Point(0.3325, 0.3292))) == 0xFFFFFF
    assert value(warm, lamp) is None
    white = light(**members | {"color_temperature": {"mirek": 300, "mirek_valid": True, "mirek_schema": schema}})
    assert (value(color, white), value(warm, white)) == (None, 300)
    off = light(**members | {"on": {"on": False}})
    assert (value(color, off), value(warm, off)) == (None, None)


@pytest.mark.parametrize(
    ("known", "event", "clicks"),
    [
        (["initial_press", "short_release"], "initial_press", None),
        (["initial_press", "short_release"], "short_release", 1),
        (["initial_press", "short_release"], "repeat", None),
        (["initial_press", "short_release"], "long_press", 3),
        (["initial_press", "short_release"], "long_release", 4),
        (["initial_press", "double_short_release"], "double_short_release", 2),
        (["initial_press"], "initial_press", 1),
        (None, "initial_press", None),
        (["initial_press"], "something_of_tomorrow", None),
    ],
)
def test_a_press_is_a_click(known: list[str] | None, event: str, clicks: int | None) -> None:
    """As Gladys counts them; a button that knows nothing but presses clicks with those."""
    body = {
        "id": "b",
        "owner": {"rid": "d", "rtype": "device"},
        "metadata": {"control_id": 1},
        "button": {"button_report": {"updated": "2024-01-01T00:00:00Z", "event": event}, "event_values": known},
    }
    assert click(dataclass_from_dict(Button, body)) == clicks


SENSED: list[tuple[Any, dict[str, Any], float | None]] = [
    (LightLevel, {"light": {"light_level": 0, "light_level_valid": True}}, 0),
    (LightLevel, {"light": {"light_level": 10_001, "light_level_valid": True}}, 10.0),
    (LightLevel, {"light": {"light_level": 10_001, "light_level_valid": False}}, None),
    (LightLevel, {"light": {"light_level": 10_001}, "enabled": False}, None),
    (Temperature, {"temperature": {"temperature": 21.456, "temperature_valid": True}}, 21.46),
    (Temperature, {"temperature": {"temperature": 21.4, "temperature_valid": False}}, None),
    (Motion, {"motion": {"motion": True, "motion_valid": True}}, 1),
    (Motion, {"motion": {"motion": True, "motion_valid": False}}, None),
    (Motion, {}, None),
]


@pytest.mark.parametrize(("model", "members", "shown"), SENSED)
def test_sensors(model: type, members: dict[str, Any], shown: float | None) -> None:
    """Lux from the logarithm, and nothing from a sensor that is switched off or not sure."""
    rtype = {LightLevel: "light_level", Temperature: "temperature", Motion: "motion"}[model]
    resource = dataclass_from_dict(
        model, {"id": "s", "owner": {"rid": "d", "rtype": "device"}, "enabled": True, "type": rtype} | members
    )
    (part,) = device_parts(device("d", **{rtype: "s"}), lambda *_: resource)
    assert value(part, resource) == shown


def test_no_number_is_no_value() -> None:
    """JSON as Python reads it has NaN; a home has not."""
    body = {"id": "s", "owner": {"rid": "d", "rtype": "device"}, "enabled": True, "type": "temperature"}
    resource = dataclass_from_dict(Temperature, body | {"temperature": {"temperature": float("nan")}})
    (part,) = device_parts(device("d", temperature="s"), lambda *_: resource)
    with pytest.raises(ValueError, match="nan"):
        value(part, resource)
