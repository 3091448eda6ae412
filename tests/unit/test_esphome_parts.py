"""What ESPHome's entities are in Gladys, what their states say and what they are told: pure."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from aioesphomeapi import (
    APIVersion,
    BinarySensorInfo,
    BinarySensorState,
    ButtonInfo,
    CoverInfo,
    CoverOperation,
    CoverState,
    EntityCategory,
    EntityInfo,
    LightInfo,
    LightState,
    LockEntityState,
    LockInfo,
    LockState,
    NumberInfo,
    NumberState,
    SelectInfo,
    SensorInfo,
    SensorState,
    SwitchInfo,
    SwitchState,
)
from aioesphomeapi.model import ColorMode
from hypothesis import given
from hypothesis import strategies as st

from gladys_companion.drivers.esphome._classes import UNITS
from gladys_companion.drivers.esphome._commands import call, fails, has
from gladys_companion.drivers.esphome._entities import Part, parts
from gladys_companion.drivers.esphome._values import value
from gladys_companion.errors import Rejected
from gladys_companion.model import Device

DEVICE = Device(id="esphome:02005e100001", driver="esphome", name="shed")
T = TypeVar("T")

TODAY = APIVersion(1, 14)

RGB, WHITE = ColorMode.RGB, ColorMode.COLOR_TEMPERATURE
COLD_WARM, RGBW = ColorMode.COLD_WARM_WHITE, ColorMode.RGB_WHITE
RGB_COLD_WARM, RGB_TEMPERATURE = ColorMode.RGB_COLD_WARM_WHITE, ColorMode.RGB_COLOR_TEMPERATURE


def make(kind: Callable[..., T], **fields: object) -> T:
    """Return one of the library's values, whose types do not tell what they are made of."""
    return kind(**fields)


def parts_of(*entities: EntityInfo) -> dict[str, Part]:
    return parts(DEVICE, entities, {7: "Annex"}, TODAY)


def light(*modes: ColorMode, **more: Any) -> LightInfo:
    return make(
        LightInfo,
        object_id="lamp",
        key=1,
        name="Lamp",
        supported_color_modes=list(modes),
        min_mireds=153.0,
        max_mireds=500.0,
        **more,
    )


def single(number: float) -> float:
    """Return a number as 32 bits hold it: what a firmware has of it."""
    held: float = struct.unpack("f", struct.pack("f", number))[0]
    return held


def obey(arguments: dict[str, Any]) -> LightState:
    """Return the state of a light that is on, and took a command, in the words of the API."""
    red, green, blue = (single(one) for one in arguments.get("rgb", (1, 1, 1)))
    names = ("brightness", "color_brightness", "white", "color_temperature", "cold_white", "warm_white")
    rest: dict[str, Any] = {name: single(arguments[name]) for name in names if name in arguments}
    mode = arguments.get("color_mode", 0)
    return make(
        LightState, key=1, state=arguments.get("state", True), color_mode=mode, red=red, green=green, blue=blue, **rest
    )


@pytest.mark.parametrize(
    ("device_class", "unit", "found"),
    [
        ("temperature", "°C", ("temperature-sensor", "decimal", "celsius")),
        ("temperature", "°F", ("temperature-sensor", "decimal", "fahrenheit")),
        ("humidity", "%", ("humidity-sensor", "decimal", "percent")),
        ("illuminance", "lx", ("light-sensor", "decimal", "lux")),
        ("battery", "%", ("battery", "integer", "percent")),
        ("power", "W", ("energy-sensor", "power", "watt")),
        ("energy", "kWh", ("energy-sensor", "energy", "kilowatt-hour")),
        ("voltage", "V", ("energy-sensor", "voltage", "volt")),
        ("current", "mA", ("energy-sensor", "current", "milliampere")),
        ("pm25", "µg/m³", ("pm25-sensor", "decimal", "microgram-per-cubic-meter")),
        ("", "°C", ("temperature-sensor", "decimal", "celsius")),
        ("", "W", ("energy-sensor", "power", "watt")),
        ("", "%", ("unknown", "unknown", "percent")),
        ("", "", ("unknown", "unknown", None)),
        ("something_new", "furlong", ("unknown", "unknown", None)),
    ],
)
def test_sensors(device_class: str, unit: str, found: tuple[str, str, str | None]) -> None:
    """Class and unit say what a sensor is; where there is no class, a unit that leaves no doubt does."""
    sensor = make(SensorInfo, object_id="s", key=1, name="S", device_class=device_class, unit_of_measurement=unit)
    feature = parts_of(sensor)["sensor:s"].feature
    assert (feature.category, feature.type, feature.unit) == found
    assert not feature.writable


def test_a_device_that_watches_itself_is_no_thermometer() -> None:
    """The temperature of a chip is not that of a room."""
    sensor = make(
        SensorInfo,
        object_id="cpu",
        key=1,
        name="CPU",
        device_class="temperature",
        entity_category=EntityCategory.DIAGNOSTIC,
    )
    assert parts_of(sensor)["sensor:cpu"].feature.category == "device-temperature-sensor"


@pytest.mark.parametrize(
    ("device_class", "category", "on"),
    [
        ("door", "opening-sensor", 0),
        ("window", "opening-sensor", 0),
        ("garage_door", "opening-sensor", 0),
        ("motion", "motion-sensor", 1),
        ("occupancy", "presence-sensor", 1),
        ("presence", "presence-sensor", 1),
        ("moisture", "leak-sensor", 1),
        ("smoke", "smoke-sensor", 1),
        ("battery", "battery-low", 1),
        ("tamper", "tamper", 1),
        ("vibration", "vibration-sensor", 1),
        ("", "unknown", 1),
    ],
)
def test_binary_sensors(device_class: str, category: str, on: int) -> None:
    """What is open is 0 for Gladys, and 1 for ESPHome; all else counts alike."""
    sensor = make(BinarySensorInfo, object_id="s", key=1, name="S", device_class=device_class)
    (part,) = parts_of(sensor).values()
    assert part.feature.category == category
    assert value(sensor, "", make(BinarySensorState, key=1, state=True)) == on
    assert value(sensor, "", make(BinarySensorState, key=1, state=False)) == 1 - on
    assert value(sensor, "", make(BinarySensorState, key=1, missing_state=True)) is None


@pytest.mark.parametrize(
    ("device_class", "category"),
    [("", "shutter"), ("blind", "shutter"), ("curtain", "curtain"), ("garage", "garage-door"), ("gate", "garage-door")],
)
def test_covers_are_guarded_by_what_they_close(device_class: str, category: str) -> None:
    """Every cover is of a category that needs leave to be commanded from outside."""
    cover = make(CoverInfo, object_id="c", key=1, name="C", device_class=device_class, supports_position=True)
    found = parts_of(cover)
    assert [one.feature.category for one in found.values()] == [category, category]
    assert all(one.feature.sensitive for one in found.values())


@pytest.mark.parametrize(
    ("modes", "aspects"),
    [
        ((ColorMode.ON_OFF,), ["on"]),
        ((ColorMode.BRIGHTNESS,), ["on", "brightness"]),
        ((RGB,), ["on", "brightness", "color"]),
        ((RGB, WHITE), ["on", "brightness", "color", "temperature"]),
        ((COLD_WARM,), ["on", "brightness", "temperature"]),
        ((), ["on"]),
    ],
)
def test_lights_have_what_their_modes_can(modes: tuple[ColorMode, ...], aspects: list[str]) -> None:
    """No light has a feature that it can not show."""
    assert [one.aspect for one in parts_of(light(*modes)).values()] == aspects


def test_lights_of_old_firmware() -> None:
    """Before API 1.6 a light told what it can by flags."""
    old = make(
        LightInfo, object_id="lamp", key=1, name="Lamp", legacy_supports_brightness=True, legacy_supports_rgb=True
    )
    found = parts(DEVICE, [old], {}, APIVersion(1, 5))
    assert [one.aspect for one in found.values()] == ["on", "brightness", "color"]


@given(color=st.integers(0, 0xFFFFFF), modes=st.sampled_from([(RGB,), (RGB, WHITE), (RGBW,), (RGB_COLD_WARM,)]))
def test_every_color_comes_back_as_it_was(color: int, modes: tuple[ColorMode, ...]) -> None:
    """What a light says after a color is that color, though it keeps it as shares of 32 bits."""
    part = parts_of(light(*modes))["light:lamp:color"]
    order = call(part, color)
    assert order.method == "light_command"
    state = obey(order.arguments)
    assert value(part.entity, "color", state) == color
    assert has(part, color, state)
    assert max(state.white, state.cold_white, state.warm_white) == 0


@given(
    mireds=st.integers(153, 500),
    modes=st.sampled_from(
        [(WHITE,), (RGB, WHITE), (COLD_WARM,), (RGB, COLD_WARM), (RGB_TEMPERATURE,), (RGB_COLD_WARM,)]
    ),
)
def test_every_temperature_comes_back_as_it_was(mireds: int, modes: tuple[ColorMode, ...]) -> None:
    """Whether a light keeps it as mireds, or as how much of its cold and its warm LEDs shines."""
    part = parts_of(light(*modes))["light:lamp:temperature"]
    state = obey(call(part, mireds).arguments)
    assert value(part.entity, "temperature", state) == mireds
    assert state.color_brightness == 0


@given(percent=st.integers(1, 100))
def test_every_brightness_and_position_comes_back_as_it_was(percent: int) -> None:
    """Percents survive the fractions that they become."""
    part = parts_of(light(RGB))["light:lamp:brightness"]
    assert has(part, percent, obey(call(part, percent).arguments))
    cover = parts_of(make(CoverInfo, object_id="c", key=1, name="C", supports_position=True))["cover:c:position"]
    position = single(call(cover, percent).arguments["position"])
    assert has(cover, percent, make(CoverState, key=1, position=position))


def test_a_light_that_is_off_shines_with_nothing() -> None:
    """Brightness 0 turns it off, and is what it has then; brightness turns it on; a color does neither."""
    part = parts_of(light(RGB))["light:lamp:brightness"]
    assert call(part, 0).arguments == {"key": 1, "device_id": 0, "state": False}
    assert value(part.entity, "brightness", make(LightState, key=1, state=False, brightness=1.0)) == 0
    assert call(part, 40).arguments["state"] is True
    assert "state" not in call(parts_of(light(RGB))["light:lamp:color"], 0xFF).arguments


def test_a_color_ends_an_effect_where_there_are_any() -> None:
    """A light without effects is not told of them."""
    assert call(parts_of(light(RGB, effects=["Fire"]))["light:lamp:color"], 1).arguments["effect"] == "None"
    assert "effect" not in call(parts_of(light(RGB))["light:lamp:color"], 1).arguments


@pytest.mark.parametrize(
    ("position", "operation", "found"),
    [
        (0.0, CoverOperation.IDLE, -1),
        (1.0, CoverOperation.IDLE, 1),
        (0.4, CoverOperation.IDLE, 0),
        (0.4, CoverOperation.IS_OPENING, 1),
        (0.4, CoverOperation.IS_CLOSING, -1),
        (float("nan"), CoverOperation.IDLE, None),
    ],
)
def test_the_state_of_a_cover(position: float, operation: CoverOperation, found: int | None) -> None:
    """Where it goes, and where it is when it stands."""
    cover = make(CoverInfo, object_id="c", key=1, name="C")
    assert value(cover, "state", make(CoverState, key=1, position=position, current_operation=operation)) == found


@pytest.mark.parametrize(
    ("aspect", "wanted", "position", "operation", "so"),
    [
        ("position", 40, 0.4, CoverOperation.IDLE, True),
        ("position", 40, 0.6, CoverOperation.IDLE, False),
        ("position", 40, 0.6, CoverOperation.IS_CLOSING, True),
        ("position", 40, 0.6, CoverOperation.IS_OPENING, False),
        ("position", 90, 0.6, CoverOperation.IS_OPENING, True),
        ("state", 1, 0.6, CoverOperation.IS_OPENING, True),
        ("state", -1, 0.6, CoverOperation.IS_OPENING, False),
        ("state", 0, 0.6, CoverOperation.IS_OPENING, False),
        ("state", 0, 1.0, CoverOperation.IDLE, True),
    ],
)
def test_a_cover_obeys_when_it_moves_there(
    aspect: str, wanted: int, position: float, operation: CoverOperation, *, so: bool
) -> None:
    """On its way is enough, and only the right way."""
    part = parts_of(make(CoverInfo, object_id="c", key=1, name="C", supports_position=True))[f"cover:c:{aspect}"]
    assert has(part, wanted, make(CoverState, key=1, position=position, current_operation=operation)) is so


def test_a_cover_that_can_not_stop_says_so() -> None:
    """Open and close are left."""
    part = parts_of(make(CoverInfo, object_id="c", key=1, name="C"))["cover:c:state"]
    with pytest.raises(Rejected, match=r"^C state can not stop on its way: it takes 1 to open and -1 to close\.$"):
        call(part, 0)
    assert call(part, -1).arguments["position"] == 0.0


@pytest.mark.parametrize(
    ("told", "found"),
    [(LockState.LOCKED, 1), (LockState.UNLOCKED, 0), (LockState.OPEN, 0), (LockState.LOCKING, None), (None, None)],
)
def test_a_lock_is_locked_or_not_or_turns(told: LockState | None, found: int | None) -> None:
    """1 is locked, as in Gladys; while it turns it is neither."""
    state = make(LockEntityState, key=1, state=told)
    assert value(make(LockInfo, object_id="l", key=1), "", state) == found
    assert fails(state) is None
    assert fails(make(LockEntityState, key=1, state=LockState.JAMMED)) is not None


def test_a_lock_that_wants_a_code_takes_no_command() -> None:
    """The code is the owner's, and is not kept here."""
    (part,) = parts_of(make(LockInfo, object_id="l", key=1, name="Safe", requires_code=True)).values()
    assert not part.feature.writable
    with pytest.raises(Rejected, match=r"^Safe wants a code, which can not be sent\.$"):
        call(part, 0)


@pytest.mark.parametrize(("told", "so"), [(20.1, True), (20.14, True), (20.2, False), (float("nan"), False)])
def test_a_number_may_be_rounded_to_its_step(told: float, *, so: bool) -> None:
    """A device that keeps steps obeys when it takes the nearest."""
    (part,) = parts_of(make(NumberInfo, object_id="n", key=1, name="N", min_value=0, max_value=30, step=0.1)).values()
    assert has(part, 20.1, make(NumberState, key=1, state=single(told))) is so


@pytest.mark.parametrize(
    ("told", "decimals", "found"),
    [
        (single(21.3), 1, 21.3),
        (21.26, 1, 21.3),
        (21.6, 0, 22),
        (-0.01, 1, 0),
        (1e30, 2, 1e30),
        (0.123456789, 99, 0.123457),
    ],
)
def test_a_sensor_has_the_decimals_of_its_configuration(told: float, decimals: int, found: float) -> None:
    """Noise beyond them is no news."""
    sensor = make(SensorInfo, object_id="s", key=1, name="S", accuracy_decimals=decimals)
    assert value(sensor, "", make(SensorState, key=1, state=told)) == found


def test_what_is_the_same_in_two_places_is_told_apart() -> None:
    """By its sub-device, else by its key; kinds do not collide."""
    found = parts_of(
        make(SwitchInfo, object_id="pump", key=1, name="Pump"),
        make(SwitchInfo, object_id="pump", key=1, name="Pump", device_id=7),
        make(SwitchInfo, object_id="pump", key=2, name="Pump", device_id=8),
        make(SensorInfo, object_id="pump", key=1, name="Pump"),
        make(ButtonInfo, object_id="", key=0xABC, name=""),
    )
    assert {component: one.feature.name for component, one in found.items()} == {
        "switch:pump": "Pump",
        "switch:pump-00000007": "Annex Pump",
        "switch:pump-00000008": "Pump",
        "sensor:pump": "Pump",
        "button:00000abc": "shed",
    }


def test_a_command_goes_to_the_right_sub_device() -> None:
    """Keys repeat among them."""
    found = parts_of(make(SwitchInfo, object_id="pump", key=1, name="Pump", device_id=7))
    order = call(found["switch:pump-00000007"], 1)
    assert (order.method, order.arguments) == ("switch_command", {"key": 1, "device_id": 7, "state": True})
    assert has(found["switch:pump-00000007"], 1, make(SwitchState, key=1, device_id=7, state=True))


def test_long_lists_of_options_are_cut() -> None:
    """A sentence stays one."""
    (part,) = parts_of(
        make(SelectInfo, object_id="m", key=1, name="M", options=[f"o{n}" * 99 for n in range(500)])
    ).values()
    with pytest.raises(Rejected) as raised:
        call(part, "none of them")
    assert len(str(raised.value)) < 700
    assert str(raised.value).endswith(", ....")


def test_units_are_gladys_own() -> None:
    """No unit has a blank or a capital but those that Gladys writes so."""
    assert {one for one in UNITS.values() if one != one.lower()} == {"hPa", "kPa"}
    assert all(" " not in one for one in UNITS.values())
