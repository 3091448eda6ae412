"""What Shellies say and what is said to them, as values: pure."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gladys_companion.drivers.shelly._commands import call, request, wish, wrong
from gladys_companion.drivers.shelly._gen1 import pushed, pushes, settings_of_gen1, state_of_gen1
from gladys_companion.drivers.shelly._parts import features, mired, values
from gladys_companion.drivers.shelly._state import Setting, merged, settings_of, state_of
from gladys_companion.errors import Rejected
from gladys_companion.model import Device

DEVICE = Device(id="shelly:a8032ab12345", driver="shelly", name="kitchen")
ONE_PM = {"device": {"type": "SHSW-PM"}, "relays": [{"name": "Pump", "btn_type": "momentary"}]}


def told(status: dict[str, Any], config: dict[str, Any] | None = None) -> dict[str, float]:
    return values(settings_of(config or {}), state_of(status))


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ({"switch:0": {"id": 0, "output": True, "source": "button"}}, {"switch:0": 1}),
        (
            {
                "switch:3": {
                    "output": False,
                    "apower": 1.5,
                    "voltage": 231.2,
                    "current": 0.1,
                    "aenergy": {"total": 1234.5},
                }
            },
            {
                "switch:3": 0,
                "switch:3:power": 1.5,
                "switch:3:voltage": 231.2,
                "switch:3:current": 0.1,
                "switch:3:energy": 1.2345,
            },
        ),
        (
            {"switch:0": {"output": True, "temperature": {"tC": 41.5, "tF": 1}}},
            {"switch:0": 1, "switch:0:temperature": 41.5},
        ),
        ({"light:0": {"output": True, "brightness": 40}}, {"light:0": 1, "light:0:brightness": 40}),
        ({"light:0": {"output": False, "brightness": 40}}, {"light:0": 0, "light:0:brightness": 0}),
        ({"rgb:0": {"output": True, "rgb": [1, 2, 3]}}, {"rgb:0": 1, "rgb:0:color": 0x010203}),
        ({"rgbw:0": {"output": True, "rgb": [300, -1, 3.0]}}, {"rgbw:0": 1, "rgbw:0:color": 0xFF0003}),
        ({"cct:0": {"output": True, "ct": 4000}}, {"cct:0": 1, "cct:0:temperature": 250}),
        (
            {"cover:0": {"state": "open", "pos_control": True, "current_pos": 100}},
            {"cover:0": 1, "cover:0:position": 100},
        ),
        ({"cover:0": {"state": "closing", "pos_control": True, "current_pos": 60}}, {"cover:0": -1}),
        (
            {"cover:0": {"state": "stopped", "pos_control": True, "current_pos": 60}},
            {"cover:0": 0, "cover:0:position": 60},
        ),
        ({"cover:0": {"state": "stopped", "pos_control": False, "current_pos": 60}}, {"cover:0": 0}),
        ({"cover:0": {"state": "calibrating", "pos_control": False}}, {}),
        ({"input:1": {"state": True}}, {"input:1": 1}),
        ({"input:1": {"state": None}}, {}),
        ({"input:2": {"percent": 20.5}}, {"input:2:percent": 20.5}),
        ({"pm1:0": {"apower": -3.0}}, {"pm1:0:power": -3.0}),
        ({"em:0": {"total_act_power": 9.0, "b_voltage": 230.0}}, {"em:0:power": 9.0, "em:0:b-voltage": 230.0}),
        ({"emdata:0": {"total_act": 2000}}, {"emdata:0:energy": 2.0}),
        (
            {"em1:1": {"act_power": 9.0}, "em1data:1": {"total_act_energy": 1}},
            {"em1:1:power": 9.0, "em1data:1:energy": 0.001},
        ),
        ({"temperature:100": {"tC": -3.5}, "humidity:100": {"rh": 60}}, {"temperature:100": -3.5, "humidity:100": 60}),
        ({"temperature:100": {"tC": None}}, {}),
        ({"flood:0": {"alarm": True}, "smoke:0": {"alarm": False}}, {"flood:0": 1, "smoke:0": 0}),
        ({"devicepower:0": {"battery": {"V": 3.0, "percent": 80}}}, {"devicepower:0": 80}),
        (
            {"illuminance:0": {"lux": 300}, "voltmeter:100": {"voltage": 3.3}},
            {"illuminance:0": 300, "voltmeter:100": 3.3},
        ),
        ({"sys": {"uptime": 3}, "script:1": {"running": True}, "wifi": {}, "switch:x": {"output": True}}, {}),
    ],
)
def test_a_status_of_gen2_has_values(status: dict[str, Any], found: dict[str, float]) -> None:
    """Each component that is known tells what it has, in Gladys' units."""
    assert told(status) == found


def test_features_have_gladys_categories_and_ranges() -> None:
    """What is described is what is told, with the owner's names, and only what is named writable is."""
    status = {
        "switch:0": {"output": True, "apower": 1.0, "voltage": 1, "current": 1, "aenergy": {"total": 1}},
        "cct:0": {"output": True, "brightness": 3, "ct": 3000},
        "cover:0": {"state": "open", "pos_control": True, "current_pos": 100},
        "input:0": {"state": False},
        "input:1": {"state": None},
    }
    config = {"switch:0": {"name": "Pump"}, "cct:0": {"ct_range": [2700, 5000]}, "input:1": {"type": "button"}}
    found = {
        one.external_id.removeprefix(f"{DEVICE.id}:"): (
            one.name,
            one.category,
            one.type,
            one.unit,
            one.min,
            one.max,
            one.writable,
        )
        for one in features(DEVICE, settings_of(config), state_of(status))
    }
    assert found == {
        "switch:0": ("Pump", "switch", "binary", None, 0, 1, True),
        "switch:0:power": ("Pump power", "switch", "power", "watt", -25_000, 25_000, False),
        "switch:0:energy": ("Pump energy", "switch", "energy", "kilowatt-hour", 0, 1_000_000, False),
        "switch:0:voltage": ("Pump voltage", "switch", "voltage", "volt", 0, 500, False),
        "switch:0:current": ("Pump current", "switch", "current", "ampere", 0, 100, False),
        "cct:0": ("Light 0", "light", "binary", None, 0, 1, True),
        "cct:0:brightness": ("Light 0 brightness", "light", "brightness", "percent", 0, 100, True),
        "cct:0:temperature": ("Light 0 temperature", "light", "temperature", None, 200, 370, True),
        "cover:0": ("Cover 0", "shutter", "state", None, -1, 1, True),
        "cover:0:position": ("Cover 0 position", "shutter", "position", "percent", 0, 100, True),
        "input:0": ("Input 0", "input", "binary", None, 0, 1, False),
        "input:1": ("Input 1", "button", "click", None, 1, 18, False),
    }


def test_notifications_are_merged_and_add_nothing() -> None:
    """What is notified replaces what was said; what was never there, and fields that are not known, are not kept."""
    state = state_of({"switch:0": {"output": False, "apower": 1.0, "aenergy": {"total": 1}}})
    state = merged(state, {"ts": 1, "switch:0": {"output": True, "note": "x" * 99}, "switch:1": {"output": True}})
    state = merged(state, {"switch:0": {"aenergy": {"total": 2, "more": 3}}})
    assert state == {"switch:0": {"output": 1, "apower": 1.0, "aenergy.total": 2.0}}
    assert merged(state, {"switch:0": {"voltage": 3}}) == state
    assert merged(state, ["nonsense"]) == state


@pytest.mark.parametrize(
    ("settings", "status", "found"),
    [
        (
            ONE_PM,
            {
                "relays": [{"ison": True}],
                "meters": [{"power": 40.0, "is_valid": True, "total": 60_000}],
                "inputs": [{"input": 1, "event": "S", "event_cnt": 1}],
                "tmp": {"tC": 41.5, "is_valid": True},
                "ext_temperature": {"0": {"hwID": "x", "tC": 21.5}},
                "ext_humidity": {"0": {"hwID": "x", "hum": 50}},
            },
            {
                "switch:0": 1,
                "switch:0:power": 40.0,
                "switch:0:energy": 1.0,
                "switch:0:temperature": 41.5,
                "temperature:100": 21.5,
                "humidity:100": 50,
            },
        ),
        (
            {"device": {"type": "SHSW-25"}, "mode": "roller", "rollers": [{"button_type": "toggle"}]},
            {
                "relays": [{"ison": False}, {"ison": False}],
                "rollers": [{"state": "stop", "current_pos": 100, "positioning": True, "power": 0.0}],
                "meters": [{"power": 1.0, "total": 60}],
                "inputs": [{"input": 1}, {"input": 0}],
                "voltage": 231.5,
            },
            {
                "cover:0": 1,
                "cover:0:position": 100,
                "cover:0:power": 0.0,
                "cover:0:energy": 0.001,
                "cover:0:voltage": 231.5,
                "input:0": 1,
                "input:1": 0,
            },
        ),
        (
            {"device": {"type": "SHSW-25"}, "mode": "roller"},
            {"rollers": [{"state": "close", "current_pos": 101, "positioning": False}]},
            {"cover:0": -1},
        ),
        (
            {"device": {"type": "SHSW-25"}, "mode": "relay", "relays": [{"btn_type": "toggle"}]},
            {"relays": [{"ison": False}, {"ison": True}], "rollers": [{"state": "stop"}]},
            {"switch:0": 0, "switch:1": 1},
        ),
        (
            {"device": {"type": "SHCB-1"}, "mode": "color"},
            {
                "lights": [
                    {
                        "ison": True,
                        "mode": "color",
                        "red": 1,
                        "green": 2,
                        "blue": 3,
                        "gain": 9,
                        "brightness": 70,
                        "temp": 4000,
                    }
                ]
            },
            {"light:0": 1, "light:0:brightness": 9, "light:0:color": 0x010203},
        ),
        (
            {"device": {"type": "SHCB-1"}, "mode": "color"},
            {
                "lights": [
                    {
                        "ison": True,
                        "mode": "white",
                        "red": 1,
                        "green": 2,
                        "blue": 3,
                        "gain": 9,
                        "brightness": 70,
                        "temp": 4000,
                    }
                ]
            },
            {"light:0": 1, "light:0:brightness": 70, "light:0:temperature": 250},
        ),
        (
            {"device": {"type": "SHRGBW2"}, "mode": "white"},
            {
                "lights": [
                    {"ison": True, "brightness": 5, "mode": "white"},
                    {"ison": False, "brightness": 6, "mode": "white"},
                ]
            },
            {"light:0": 1, "light:0:brightness": 5, "light:1": 0, "light:1:brightness": 0},
        ),
        (
            {"device": {"type": "SHEM"}},
            {
                "relays": [{"ison": True}],
                "emeters": [{"power": 5.5, "voltage": 230.0, "is_valid": True, "total": 1500}],
            },
            {"switch:0": 1, "em1:0:power": 5.5, "em1:0:voltage": 230.0, "em1data:0:energy": 1.5},
        ),
        ({}, {"meters": [{"power": 1}], "inputs": "none", "relays": {"0": {"ison": True}}, "lights": None}, {}),
    ],
)
def test_a_status_of_gen1_means_the_same(settings: object, status: object, found: dict[str, float]) -> None:
    """Relays, rollers, lights, meters, inputs and probes of Gen1 become components of Gen2."""
    assert values(settings_of_gen1(settings), state_of_gen1(settings, status)) == found


@pytest.mark.parametrize(
    ("settings", "kinds"),
    [
        (ONE_PM, ("button", "button")),
        ({"relays": [{"btn_type": "toggle"}, {"btn_type": "momentary_on_release"}]}, ("switch", "button")),
        (
            {"device": {"type": "SHSW-L"}, "relays": [{"btn1_type": "momentary", "btn2_type": "edge"}]},
            ("button", "switch"),
        ),
        ({"mode": "roller", "rollers": [{"button_type": "detached"}]}, ("button", "button")),
        ({"device": {"type": "SHBTN-2"}}, ("button", "button")),
        ({"lights": [{"btn_type": "momentary"}], "inputs": [{"btn_type": "toggle"}]}, ("button", "button")),
        ({"inputs": [{"name": "Door", "btn_type": "toggle"}]}, ("switch", "switch")),
        ({"relays": "none"}, ("switch", "switch")),
    ],
)
def test_what_hangs_on_an_input_of_gen1_is_said_in_many_places(settings: object, kinds: tuple[str, str]) -> None:
    """A button has clicks, a switch has a state."""
    found = settings_of_gen1(settings)
    assert (found["input:0"].type, found["input:1"].type) == kinds


def test_pushes_of_gen1_are_counted() -> None:
    """A count that changed is a push, the last one; what was before the first look, or after a restart, is not."""
    before = pushed({"inputs": [{"event": "S", "event_cnt": 3}, {"event": "", "event_cnt": 0}]})
    for event, count, found in (
        ("S", 3, {}),
        ("S", 4, {"input:0": 1}),
        ("SS", 6, {"input:0": 2}),
        ("L", 4, {"input:0": 3}),
        ("SSS", 4, {"input:0": 18}),
        ("SL", 4, {}),
        ("", 0, {}),
    ):
        assert pushes(before, pushed({"inputs": [{"event": event, "event_cnt": count}]})) == found
    assert pushes({}, before) == {}


@pytest.mark.parametrize(
    ("component", "value", "method", "params"),
    [
        ("switch:2", 1, "Switch.Set", {"id": 2, "on": True}),
        ("light:0", 0, "Light.Set", {"id": 0, "on": False}),
        ("light:0:brightness", 40, "Light.Set", {"id": 0, "on": True, "brightness": 40}),
        ("rgbw:0:brightness", 0, "RGBW.Set", {"id": 0, "on": False}),
        ("rgb:1:color", 0x0A0B0C, "RGB.Set", {"id": 1, "rgb": [10, 11, 12]}),
        ("cct:0:temperature", 250, "CCT.Set", {"id": 0, "ct": 4000}),
        ("cct:0:temperature", 100, "CCT.Set", {"id": 0, "ct": 5000}),
        ("cover:0", 1, "Cover.Open", {"id": 0}),
        ("cover:0", 0, "Cover.Stop", {"id": 0}),
        ("cover:0", -1, "Cover.Close", {"id": 0}),
        ("cover:0:position", 30, "Cover.GoToPosition", {"id": 0, "pos": 30}),
    ],
)
def test_a_command_becomes_a_method(component: str, value: float, method: str, params: dict[str, Any]) -> None:
    """Each component that can be set has a method of Gen2."""
    settings = {"cct:0": Setting(kelvin=(2700, 5000))}
    assert call(wish(component, value), settings) == (method, params)


BULB = {"device": {"type": "SHCB-1"}, "mode": "color"}
STRIP = {"device": {"type": "SHRGBW2"}, "mode": "color"}


@pytest.mark.parametrize(
    ("settings", "mode", "component", "value", "path", "query"),
    [
        (ONE_PM, None, "switch:0", 1, "/relay/0", {"turn": "on"}),
        (ONE_PM, None, "cover:0", -1, "/roller/0", {"go": "close"}),
        (ONE_PM, None, "cover:0:position", 30, "/roller/0", {"go": "to_pos", "roller_pos": "30"}),
        (BULB, "color", "light:0", 0, "/light/0", {"turn": "off"}),
        (BULB, "color", "light:0:brightness", 30, "/light/0", {"turn": "on", "gain": "30"}),
        (BULB, "white", "light:0:brightness", 30, "/light/0", {"turn": "on", "brightness": "30"}),
        (BULB, "white", "light:0:brightness", 0, "/light/0", {"turn": "off"}),
        (
            BULB,
            "white",
            "light:0:color",
            0x010203,
            "/light/0",
            {"mode": "color", "red": "1", "green": "2", "blue": "3"},
        ),
        (BULB, "color", "light:0:temperature", 250, "/light/0", {"mode": "white", "temp": "4000"}),
        (STRIP, "color", "light:0:color", 0x010203, "/color/0", {"red": "1", "green": "2", "blue": "3"}),
        (STRIP, "white", "light:0:brightness", 3, "/white/0", {"turn": "on", "brightness": "3"}),
    ],
)
def test_a_command_becomes_a_route(
    settings: object, mode: str | None, component: str, value: float, path: str, query: dict[str, str]
) -> None:
    """Each component that can be set has a route of Gen1."""
    state = {"switch:0": {}, "cover:0": {}, "light:0": {"mode": mode}}
    assert request(wish(component, value), settings, state) == (path, query)


def test_a_route_that_the_device_has_not_is_rejected() -> None:
    """What it does not tell of can not be set either."""
    with pytest.raises(Rejected, match="has no switch:1"):
        request(wish("switch:1", 1), ONE_PM, {"switch:0": {}})


@pytest.mark.parametrize(
    ("component", "value"),
    [
        ("switch:0", 2),
        ("switch:0", float("nan")),
        ("switch:0", float("inf")),
        ("cover:0", 2),
        ("cover:0:position", 101),
        ("light:0:brightness", 0.5),
        ("light:0:color", 1 << 24),
        ("cct:0:temperature", 0),
        ("switch:0:power", 1),
        ("input:0", 1),
        ("switch:0:brightness", 1),
        ("cover:0:color", 1),
        ("cover", 1),
        ("", 1),
        ("switch:99999", 1),
    ],
)
def test_what_can_not_be_is_rejected(component: str, value: float) -> None:
    """Values out of range and components that are only told are refused with a sentence."""
    with pytest.raises(Rejected, match=r"\w+ .+\.$"):
        wish(component, value)


def test_an_answer_that_says_otherwise_is_noticed() -> None:
    """A relay that stays off, by its own protection, has not been turned on."""
    assert wrong(wish("switch:0", 1), {"ison": False})
    assert wrong(wish("light:0:brightness", 3), {})
    assert not wrong(wish("switch:0", 1), {"ison": True})
    assert not wrong(wish("light:0:brightness", 0), {"ison": False})
    assert not wrong(wish("cover:0", 1), None)


def test_mired_is_its_own_inverse() -> None:
    """What Gladys sets comes back as it was, for every lamp there is."""
    assert [mired(mired(one)) for one in range(150, 400)] == list(range(150, 400))


WORDS = (
    "switch:0 light:0 rgb:0 cover:0 input:0 em:0 output state rgb ct brightness aenergy total apower current_pos "
    "pos_control name type ct_range relays rollers lights meters inputs ison mode device tmp tC red gain event"
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
names = st.sampled_from(WORDS.split())
json = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4))


@given(json, json)
def test_nothing_that_a_device_says_is_an_error(status: object, config: object) -> None:
    """Whatever JSON comes, values are finite numbers of features that are described, and nothing is raised."""
    for settings, state in (
        (settings_of(config), merged(state_of(status), config)),
        (settings_of_gen1(config), state_of_gen1(config, status)),
    ):
        described = {one.external_id for one in features(DEVICE, settings, state)}
        for component, value in values(settings, state).items():
            assert abs(value) < float("inf")
            assert f"{DEVICE.id}:{component}" in described
    assert pushes(pushed(status), pushed(config)).keys() <= {"input:0", "input:1", "input:2"}
