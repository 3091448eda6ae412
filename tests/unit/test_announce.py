"""What announces a device to Gladys, against Gladys' own rules of what it makes of that."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gladys_companion.errors import Rejected
from gladys_companion.model import Device, Feature, RegistrySnapshot
from gladys_companion.sinks import _topics
from gladys_companion.sinks._announce import announcement, config_topic, identifier, rgb, shown_value
from tests.gladys_mqtt import features_of, incoming, outgoing

DEVICE = Device(id="shelly:a8", driver="shelly", name="Plug")
KINDS = [
    ("light", "binary", True),
    ("light", "brightness", True),
    ("light", "color", True),
    ("light", "temperature", True),
    ("shutter", "state", True),
    ("shutter", "position", True),
    ("curtain", "state", True),
    ("switch", "binary", True),
    ("switch", "power", False),
    ("lock", "binary", True),
    ("button", "push", True),
    ("button", "click", False),
    ("thermostat", "target-temperature", True),
    ("motion-sensor", "binary", False),
    ("opening-sensor", "binary", False),
    ("temperature-sensor", "decimal", False),
    ("energy-sensor", "energy", False),
    ("battery", "integer", False),
    ("text", "text", False),
    ("unknown", "unknown", True),
]


def topics(feature: Feature) -> tuple[str, str]:
    return _topics.topics("gladys-companion", feature)


def made(device: Device, features: list[Feature]) -> tuple[dict[str, Any], tuple[Feature, ...]]:
    """Return the message, and the features that it shows."""
    found = announcement(device, features, topics, availability="gladys-companion/status", version="1")
    assert found.topic == config_topic(device.id)
    return json.loads(found.payload), found.shown


def one(component: str, category: str, type_: str, *, writable: bool, **more: Any) -> Feature:
    return Feature(
        external_id=f"{DEVICE.id}:{component}",
        device=DEVICE.id,
        name=component,
        category=category,
        type=type_,
        writable=writable,
        **more,
    )


parts = st.lists(st.sampled_from(KINDS), max_size=12)


@given(kinds=parts, names=st.lists(st.text("ab:-_. é", min_size=1, max_size=6), unique=True, min_size=12, max_size=12))
def test_gladys_makes_one_feature_of_each_that_is_shown(kinds: list[tuple[str, str, bool]], names: list[str]) -> None:
    """Whatever a device is made of: what is said to be shown is there, once, under an id of its own, and told apart."""
    features = [one(name, *kind[:2], writable=kind[2]) for name, kind in zip(names, kinds, strict=False)]
    payload, shown = made(DEVICE, features)
    theirs = [
        feature
        for key, config in payload["components"].items()
        for feature in features_of("homeassistant:x", f"{config['platform']}:o:{key}", config)
    ]
    assert len(theirs) == len(shown) == len(set(shown))
    assert len({feature["external_id"] for feature in theirs}) == len(theirs)
    assert sum(feature["read_only"] for feature in theirs) == sum(not feature.writable for feature in shown)
    said = json.dumps(payload, ensure_ascii=False)
    for feature in shown:
        assert json.dumps(topics(feature)[0 if feature.type != "push" else 1], ensure_ascii=False) in said


def test_a_brightness_goes_with_one_light_only() -> None:
    """Of two lights that could have it, the first does."""
    features = [one(name, "light", "binary", writable=True) for name in ("a", "b")]
    features.append(one("c", "light", "brightness", writable=True))
    _, shown = made(DEVICE, features)
    assert [feature.name for feature in shown] == ["a", "c", "b"]


@pytest.mark.parametrize(
    ("component", "category", "type_", "its", "values"),
    [
        ("light", "light", "binary", "state", (0, 1)),
        ("light", "light", "brightness", "brightness", (0, 17, 255)),
        ("light", "light", "color", "color", (0, 0x010203, 0xFFFFFF)),
        ("switch", "switch", "binary", "state", (0, 1)),
        ("lock", "lock", "binary", "state", (0, 1)),
        ("cover", "shutter", "state", "state", (-1, 0, 1)),
        ("cover", "shutter", "position", "position", (0, 55)),
        ("climate", "thermostat", "target-temperature", "target_temperature", (19, 20.5)),
    ],
)
def test_values_mean_the_same_on_both_sides(
    component: str, category: str, type_: str, its: str, values: tuple[float, ...]
) -> None:
    """What we tell is read as that by Gladys, and what Gladys commands is read as that by us."""
    features = [one("a:0:on", category, {"light": "binary", "shutter": "state"}.get(category, type_), writable=True)]
    wanted = features[0] if features[0].type == type_ else one("a:0:x", category, type_, writable=True)
    features += [wanted] if wanted is not features[0] else []
    payload, _ = made(DEVICE, features)
    (config,) = [config for config in payload["components"].values() if config["platform"] == component]
    registry = RegistrySnapshot(features={feature.external_id: feature for feature in features})
    for value in values:
        assert incoming(component, its, config, shown_value(wanted, float(value)).decode()) == value
        topic, said = outgoing(component, its, config, value)
        assert topic == topics(wanted)[1]
        command = _topics.command(topic, said.encode(), registry)
        assert command is not None
        assert (command.feature, command.value) == (wanted, value)


@given(st.text(max_size=20), st.text(max_size=20))
def test_two_devices_are_announced_in_two_places(one_id: str, other_id: str) -> None:
    """Whatever their ids are like, one never takes the other's place, and a topic can hold both."""
    assume(one_id != other_id)
    assert config_topic(one_id) != config_topic(other_id)
    assert identifier(one_id).replace("-", "").replace("_", "").isascii()
    assert config_topic(one_id).count("/") == 3


@pytest.mark.parametrize("text", ["1,2", "1,2,3,4", "256,0,0", "-1,0,0", "a,b,c", "1 ,2,3", "", "\u0661,\u0662,\u0663"])
def test_what_is_no_colour(text: str) -> None:
    """It is no command either."""
    assert rgb(text) is None


def test_ids_that_no_topic_can_hold() -> None:
    """They are refused with a sentence, before anything is announced."""
    with pytest.raises(Rejected, match="separates the parts of a topic"):
        made(DEVICE, [one("a/b", "switch", "binary", writable=True)])


def test_lights_keep_their_own_brightness() -> None:
    """Of a device with two lights, each is dimmed by itself."""
    features = [
        one(f"light:{number}:{type_}", "light", kind, writable=True)
        for number in (0, 1)
        for type_, kind in (("on", "binary"), ("brightness", "brightness"))
    ]
    payload, shown = made(DEVICE, features)
    assert len(shown) == 4
    for number, config in enumerate(payload["components"].values()):
        assert f"light:{number}:on" in config["command_topic"]
        assert f"light:{number}:brightness" in config["brightness_command_topic"]
