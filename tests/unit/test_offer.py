"""A device of ours as Gladys is asked to create it: taken by the fake of its source, whatever ours is like."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gladys_companion.gladys_api.kinds import CATEGORIES, UNITS
from gladys_companion.gladys_api.offer import offer
from gladys_companion.model import Device, Feature
from tests.gladys_server import MQTT, GladysServer

LAMP = Device(id="wled:a1", driver="wled", name="Lamp", model="WLED")


def one(component: str = "on", **more: Any) -> Feature:
    members = {"name": component, "category": "light", "type": "binary", "writable": True, **more}
    return Feature(external_id=f"{LAMP.id}:{component}", device=LAMP.id, **members)


def created(server: GladysServer, wanted: dict[str, Any] | None) -> dict[str, Any]:
    """Return what Gladys makes of it."""
    assert wanted is not None
    wanted = copy.deepcopy(wanted)
    return server.create(wanted, wanted.pop("features"), wanted.pop("params"))


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        (one(), ("light", "binary", False, True, 0, 1, None)),
        (one(category="garage-door", type="state", min=-1, max=1), ("shutter", "state", False, True, -1, 1, None)),
        (one(category="garage-door"), ("switch", "binary", False, True, 0, 1, None)),
        (
            one(category="awning", type="position", unit="percent"),
            ("shutter", "position", False, True, 0, 100, "percent"),
        ),
        (one(category="dance", type="step"), ("unknown", "unknown", False, True, -100_000, 100_000, None)),
        (one(category="text", type="text"), ("text", "text", False, True, 0, 0, None)),
        (one(category="button", type="click", writable=False), ("button", "click", True, False, 0, 1, None)),
        (
            one(category="temperature-sensor", type="decimal", writable=False, unit="celsius"),
            ("temperature-sensor", "decimal", True, False, -100_000, 100_000, "celsius"),
        ),
        (
            one(category="energy-sensor", type="power", writable=False, unit="horsepower", min=0),
            ("energy-sensor", "power", True, False, 0, 100_000, None),
        ),
    ],
)
def test_each_kind_is_one_that_gladys_has(feature: Feature, expected: tuple[Any, ...]) -> None:
    """Category, type, unit and range are Gladys' own; what can be commanded waits for what became of it."""
    wanted = offer(LAMP, [feature], MQTT, None)
    made = created(GladysServer(), wanted)["features"][0]
    names = ("category", "type", "read_only", "has_feedback", "min", "max", "unit")
    assert tuple(made[name] for name in names) == expected


@given(
    category=st.sampled_from([*sorted(CATEGORIES), "garage-door", "alarm", "pergola"]) | st.text(),
    type_=st.sampled_from(["binary", "state", "position", "text", "click", "decimal"]) | st.text(),
    unit=st.none() | st.sampled_from(sorted(UNITS)) | st.text(),
    low=st.none() | st.floats(-1e6, 0),
    high=st.none() | st.floats(1, 1e6),
    writable=st.booleans(),
)
def test_gladys_takes_whatever_ours_is_like(
    category: str, type_: str, unit: str | None, low: float | None, high: float | None, *, writable: bool
) -> None:
    """No feature of any plug-in keeps its device from being shared, and shared it is as it should be."""
    feature = one(category=category, type=type_, unit=unit, min=low, max=high, writable=writable)
    server = GladysServer()
    made = created(server, offer(LAMP, [feature], MQTT, None))
    assert made["features"][0]["min"] <= made["features"][0]["max"]
    assert offer(LAMP, [feature], MQTT, made) is None


def test_two_devices_with_the_same_names_are_two() -> None:
    """Selectors are made of external ids: of names, as Gladys would make them, there can be only one."""
    server = GladysServer()
    other = Device(id="wled:b2", driver="wled", name="Lamp")
    theirs = Feature(external_id="wled:b2:on", device=other.id, name="on", category="light", type="binary")
    created(server, offer(LAMP, [one()], MQTT, None))
    created(server, offer(other, [theirs], MQTT, None))
    assert [device["features"][0]["selector"] for device in server.devices.values()] == ["wled-a1-on", "wled-b2-on"]


def test_what_gladys_has_is_given_back_to_it() -> None:
    """All that its user changed stays; the last values are Gladys' own and not sent, so that none is set back."""
    server = GladysServer()
    made = created(server, offer(LAMP, [one()], MQTT, None))
    server.save_state("wled:a1:on", 1)
    made |= {"name": "Salon", "room_id": "7", "params": [{"name": "p", "value": "v"}]}
    made["features"][0] |= {"name": "Licht", "keep_history": False}
    wanted = offer(LAMP, [one(), one("bri", type="brightness")], MQTT, made)
    assert wanted is not None
    assert (wanted["name"], wanted["room_id"], wanted["params"]) == ("Salon", "7", [{"name": "p", "value": "v"}])
    assert "last_value" not in wanted["features"][0]
    again = created(server, wanted)
    on, bri = again["features"]
    assert (on["name"], on["keep_history"], on["last_value"], on["id"]) == (
        "Licht",
        False,
        1,
        made["features"][0]["id"],
    )
    assert bri["external_id"] == "wled:a1:bri"


def test_a_feature_that_changed_its_nature_is_mended() -> None:
    """What Gladys can not know better is ours to say: whether it can be commanded, and that we tell what became."""
    server = GladysServer()
    made = created(server, offer(LAMP, [one(writable=False)], MQTT, None))
    wanted = offer(LAMP, [one()], MQTT, made)
    assert wanted is not None
    assert created(server, wanted)["features"][0]["read_only"] is False
