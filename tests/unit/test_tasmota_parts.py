"""What Tasmota devices announce and tell, read: real announcements, garbage, and colours that lose on their way."""

from __future__ import annotations

import colorsys
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gladys_companion.drivers._json import at, decoded, number
from gladys_companion.drivers.tasmota._announced import Announced, announced
from gladys_companion.drivers.tasmota._lights import Color
from gladys_companion.errors import ProtocolError, Rejected
from gladys_companion.sim._tasmota_json import Shape, config, sensors

MAC = "e09806f17f56"
PLUG = (  # an Athom plug, firmware 10.1
    '{"ip":"192.168.2.71","dn":"Tasmota","fn":["Tasmota",null,null,null,null,null,null,null],"hn":"tasmota-F17F56-8022",'
    '"mac":"E09806F17F56","md":"Athom Plug V2","ty":0,"if":0,"ofln":"Offline","onln":"Online",'
    '"state":["OFF","ON","TOGGLE","HOLD"],"sw":"10.1.0","t":"tasmota_F17F56","ft":"%prefix%/%topic%/",'
    '"tp":["cmnd","stat","tele"],"rl":[1,0,0,0,0,0,0,0],"swc":[-1,-1,-1,-1,-1,-1,-1,-1],'
    '"swn":[null,null,null,null,null,null,null,null],"btn":[0,0,0,0,0,0,0,0],"so":{"4":0,"11":0,"13":0,"17":0,"20":0,'
    '"30":0,"68":0,"73":0,"82":0,"114":0,"117":0},"lk":0,"lt_st":0,"sho":[0,0,0,0],"ver":1}'
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def device(shape: Shape, **changes: Any) -> Announced:
    about = config(shape, mac=MAC, name="salon", topic="salon", ip="192.0.2.10") | changes
    return announced(MAC, about, sensors(shape, shape.sensors))


def kinds(found: Announced) -> dict[str, tuple[str, str, str | None]]:
    return {part.component: (part.category, part.type, part.unit) for part in found.parts}


def test_a_real_plug() -> None:
    """What an Athom plug with firmware 10 announces is a switch and an energy meter."""
    energy = {"TotalStartTime": "2023-06-24T08:32:22", "Total": 0.001, "Today": 0.001, "Power": 0, "Voltage": 233}
    plug = announced(
        MAC, json.loads(PLUG), {"sn": {"Time": "2023-06-24T08:39:31", "ENERGY": energy | {"Factor": 0.0}}, "ver": 1}
    )
    assert (plug.device.id, plug.device.name, plug.device.address) == (f"tasmota:{MAC}", "Tasmota", "192.168.2.71")
    assert (plug.command, plug.stat, plug.tele) == (
        "cmnd/tasmota_F17F56/",
        "stat/tasmota_F17F56/",
        "tele/tasmota_F17F56/",
    )
    assert kinds(plug) == {
        "power:1": ("switch", "binary", None),
        "sensor:ENERGY.Total": ("energy-sensor", "energy", "kilowatt-hour"),
        "sensor:ENERGY.Today": ("energy-sensor", "index-today", "kilowatt-hour"),
        "sensor:ENERGY.Power": ("energy-sensor", "power", "watt"),
        "sensor:ENERGY.Voltage": ("energy-sensor", "voltage", "volt"),
        "sensor:ENERGY.Factor": ("unknown", "unknown", None),
    }


def test_everything_else() -> None:
    """Lights, shutters, switches, buttons, a battery, and sensors of rooms and of chips have Gladys' kinds."""
    measured = {
        "ESP32": {"Temperature": 40.0},
        "SHT3X": {"Temperature": 20.0, "Humidity": 40.0},
        "PMS5003": {"PM2.5": 3},
    }
    shape = Shape(relays=0, shutters=1, light=5, switches=1, buttons=1, battery=True, sensors=measured)
    assert kinds(device(shape)) == {
        "power:3": ("light", "binary", None),
        "dimmer:3": ("light", "brightness", "percent"),
        "color:3": ("light", "color", None),
        "ct:3": ("light", "temperature", None),
        "shutter-state:1": ("shutter", "state", None),
        "shutter-position:1": ("shutter", "position", "percent"),
        "switch:1": ("switch", "binary", None),
        "button-click:1": ("button", "click", None),
        "sensor:ESP32.Temperature": ("device-temperature-sensor", "decimal", "celsius"),
        "sensor:SHT3X.Temperature": ("temperature-sensor", "decimal", "celsius"),
        "sensor:SHT3X.Humidity": ("humidity-sensor", "decimal", "percent"),
        "sensor:PMS5003.PM2_5": ("pm25-sensor", "decimal", "microgram-per-cubic-meter"),
        "battery": ("battery", "integer", "percent"),
    }
    assert kinds(device(Shape(relays=0, light=1))).keys() == {"power:1", "dimmer:1"}
    assert kinds(device(Shape(relays=0, light=2))).keys() == {"power:1", "dimmer:1", "ct:1"}
    motion = device(Shape(relays=0, switches=1), swc=[13])
    assert kinds(motion) == {"motion:1": ("motion-sensor", "push", None)}
    assert [part.happened({"Switch1": {"Action": "ON"}}) for part in motion.parts] == [1]


@pytest.mark.parametrize(
    ("seen", "values"),
    [
        ({"POWER": "ON", "Dimmer": 40, "HSBColor": "120,100,40", "CT": 200}, [1, 40, 0x00FF00, 200]),
        ({"POWER1": "OFF", "Dimmer": 40, "HSBColor": "0,0,40", "CT": 200}, [0, 0, 0xFFFFFF, 200]),
        ({"POWER": "ON"}, [1, None, None, None]),
        ({"POWER": 1, "Dimmer": "40", "HSBColor": [1, 2, 3], "CT": True}, [None] * 4),
        ({"POWER": {}, "Dimmer": None, "HSBColor": "1,2", "CT": {"CT": 1}}, [None] * 4),
        ({"HSBColor": "999,999,999"}, [None, None, 0xFF0000, None]),
    ],
)
def test_a_light_is_read(seen: dict[str, Any], values: list[float | None]) -> None:
    """A light that is off shines with brightness 0; what is no value is none."""
    assert [part.value(seen) for part in device(Shape(relays=0, light=5)).parts] == values


@pytest.mark.parametrize(
    ("component", "wanted", "commands"),
    [
        ("power:1", 0, (("Power1", "OFF"),)),
        ("dimmer:1", 40, (("Dimmer", "40"),)),
        ("dimmer:1", 0, (("Power1", "OFF"),)),
        ("color:1", 0xFF8000, (("Color2", "255,128,0"),)),
        ("color:1", 0, (("Power1", "OFF"),)),
        ("ct:1", 200, (("CT", "200"),)),
    ],
)
def test_a_light_is_commanded(component: str, wanted: float, commands: object) -> None:
    """Each value has its command, and what is dark is off."""
    part = device(Shape(relays=0, light=5)).part(component)
    assert part is not None
    assert part.commands(wanted) == commands


def test_settings_of_lights() -> None:
    """Where the dimmer does not turn the light on (SetOption20) it is turned on too; channels apart have their own."""
    unlinked = device(Shape(relays=0, light=1, settings={"20": 1})).part("dimmer:1")
    assert unlinked is not None
    assert unlinked.commands(40) == (("Dimmer", "40"), ("Power1", "ON"))
    channel = device(Shape(relays=0, light=1, settings={"68": 1})).part("dimmer:1")
    assert channel is not None
    assert channel.commands(40) == (("Channel1", "40"),)
    assert channel.value({"POWER1": "ON", "Channel1": 30}) == 30


@pytest.mark.parametrize(
    ("told", "inverted", "state", "position"),
    [
        ({"Position": 100, "Direction": 0}, False, 1, 100),
        ({"Position": 0, "Direction": 0}, False, -1, 0),
        ({"Position": 40, "Direction": 0}, False, 0, 40),
        ({"Position": 40, "Direction": -1}, False, -1, 40),
        ({"Position": 40, "Direction": -1}, True, 1, 60),
        ({"Position": 0, "Direction": 0}, True, 1, 100),
        ({"Position": "up", "Direction": 0}, False, None, None),
        ([], False, None, None),
    ],
)
def test_a_shutter_is_read(told: object, inverted: bool, state: float | None, position: float | None) -> None:  # noqa: FBT001
    """Moving it says where to, at rest where it is; an inverted one counts the other way round."""
    found = device(Shape(relays=0, shutters=1), sho=[int(inverted)])
    assert [part.value({"Shutter1": told}) for part in found.parts] == [state, position]


def test_a_shutter_is_commanded() -> None:
    """Open, stop, close, and half; it has understood when it says where it goes."""
    state, position = device(Shape(relays=0, shutters=1)).parts
    assert [state.commands(value)[0][0] for value in (1, 0, -1)] == ["ShutterOpen1", "ShutterStop1", "ShutterClose1"]
    assert position.commands(30) == (("ShutterPosition1", "30"),)
    assert position.reached(30, {"Shutter1": {"Position": 90, "Direction": -1, "Target": 30}})
    assert not position.reached(30, {"Shutter1": {"Position": 90, "Direction": -1, "Target": 0}})
    _, inverted = device(Shape(relays=0, shutters=1), sho=[1]).parts
    assert inverted.commands(30) == (("ShutterPosition1", "70"),)


def test_energy_of_phases() -> None:
    """Of more phases each is a sensor; a device that then tells one number only means the first."""
    found = device(Shape(sensors={"ENERGY": {"Voltage": [230, 231]}}))
    first, second = found.part("sensor:ENERGY.Voltage.0"), found.part("sensor:ENERGY.Voltage.1")
    assert first is not None
    assert second is not None
    for told, values in (([229, 228], (229, 228)), (227, (227, None)), ({}, (None, None))):
        assert (first.value({"ENERGY": {"Voltage": told}}), second.value({"ENERGY": {"Voltage": told}})) == values


@pytest.mark.parametrize("value", [2, -1, 0.5, float("nan"), float("inf")])
def test_values_that_it_can_not_have(value: float) -> None:
    """They are refused with the range; and a sensor can be given none."""
    power, sensor = device(Shape(sensors={"A": {"Temperature": 1}})).parts
    with pytest.raises(Rejected, match="whole number from 0 to 1"):
        power.checked(value)
    with pytest.raises(Rejected, match="can not be given one"):
        sensor.checked(1)


@given(st.integers(1, 0xFFFFFF))
def test_a_colour_is_recognised_when_it_comes_back(wanted: int) -> None:
    """Whole degrees and percents, which is what the device tells, are no other colour than the one it was given."""
    (color,) = (part for part in device(Shape(relays=0, light=3)).parts if isinstance(part, Color))
    red, green, blue = wanted >> 16, wanted >> 8 & 255, wanted & 255
    hue, saturation, _ = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
    told = {"HSBColor": f"{round(hue * 360)},{round(saturation * 100)},50"}
    assert color.reached(wanted, told)


def test_another_colour_is_another() -> None:
    """Red is not orange, and brightness is no difference."""
    (color,) = (part for part in device(Shape(relays=0, light=3)).parts if isinstance(part, Color))
    assert not color.same(0xFF0000, 0xFF2000)
    assert color.same(0x800000, 0xFF0000)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"mac": "000000000001"}, "MAC"),
        ({"rl": None, "ver": 2}, "what no Tasmota does"),
        ({"swc": [99]}, "what no Tasmota does"),
        ({"lt_st": 77, "rl": [2]}, "what no Tasmota does"),
        ({"ft": "#"}, "FullTopic"),
        ({"ft": "same/"}, "FullTopic"),
        ({"t": "\x00"}, "FullTopic"),
        ({"ft": "%prefix%/" + "x" * 300}, "FullTopic"),
    ],
)
def test_announcements_that_are_none(changes: dict[str, Any], says: str) -> None:
    """They are refused with a sentence."""
    with pytest.raises(ProtocolError, match=says):
        device(Shape(), **changes)


def test_sensors_that_are_none_keep_nothing_else_away() -> None:
    """A device whose sensors make no sense still has its relays, and says so."""
    found = announced(MAC, config(Shape(), mac=MAC, name="", topic="t", ip=""), {"sn": {"": {"": {"": 1}}}, "ver": 7})
    assert [part.component for part in found.parts] == ["power:1"]
    assert found.complaint is not None
    assert (found.device.name, found.device.address) == ("t-8022", None)


@given(st.sampled_from(sorted(config(Shape(), mac=MAC, name="a", topic="t", ip="i"))), ANY_JSON, ANY_JSON)
def test_any_announcement_is_understood_or_refused(key: str, value: object, sensed: object) -> None:
    """Whatever stands in one member, and whatever the sensors are, nothing but a refusal comes out."""
    about = config(Shape(relays=1, shutters=1, light=5, switches=1), mac=MAC, name="a", topic="t", ip="i") | {
        key: value
    }
    try:
        found = announced(MAC, about, sensed)
    except ProtocolError:
        return
    assert len({part.component for part in found.parts}) == len(found.parts)


@given(ANY_JSON)
def test_any_state_is_read(told: object) -> None:
    """Whatever a device tells, each part has a number or nothing."""
    found = device(Shape(shutters=1, light=5, switches=1, buttons=1, sensors={"A": {"Temperature": 1}}))
    for part in found.parts:
        seen = dict.fromkeys(part.keys, told)
        value = part.value(seen)
        assert value is None or number(value) is not None
        assert part.happened(seen) in {None, 1, 2, 3}


@pytest.mark.parametrize("payload", [b"", b"{", b"NaN", b"[" * 50_000, b"1" * 65_537, b"\xff", b"1e999"])
def test_what_is_no_json(payload: bytes) -> None:
    """It is a ``ValueError``, however deep or large."""
    with pytest.raises(ValueError, match=r"\w"):
        decoded(payload)


@given(ANY_JSON, st.lists(st.text(max_size=3) | st.integers(-3, 3), max_size=3))
def test_any_path_into_anything(told: object, path: list[str | int]) -> None:
    """It leads somewhere or nowhere; a path of no step leads to the whole."""
    assert at(told, ()) is told
    json.dumps(at(told, tuple(path)))


@pytest.mark.parametrize(
    ("told", "value"), [(1, 1), (True, None), ("1", None), (10**400, None), (1.5, 1.5), (None, None)]
)
def test_what_is_a_number(told: object, value: float | None) -> None:
    """Truth, texts, and numbers that no float holds are none."""
    assert number(told) == value
