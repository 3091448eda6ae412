"""What becomes of a device of Gladys here, decided without asking anybody."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gladys_companion.drivers.gladys_devices._catalogue import Catalogue
from gladys_companion.drivers.gladys_devices._values import Shown, agrees, known, shown
from gladys_companion.gladys_api import GladysDevice, GladysFeature, Listing
from gladys_companion.model import Device, Feature, RegistrySnapshot

NOW = 1_700_000_000.0


def theirs(external_id: str = "mqtt:lamp:on", **more: Any) -> GladysFeature:
    members: dict[str, Any] = {"category": "light", "type": "binary", "read_only": False, "min": 0, "max": 1}
    return GladysFeature(
        **{"external_id": external_id, "selector": external_id.replace(":", "-"), "name": "On", **members, **more}
    )


def device(external_id: str = "mqtt:lamp", *features: GladysFeature, **more: Any) -> GladysDevice:
    return GladysDevice(**{"external_id": external_id, "selector": "x", "name": "Lamp", "features": features, **more})


def ours(one: GladysDevice, registry: RegistrySnapshot | None = None) -> Any:  # noqa: ANN401 - Known or None
    return known(one, registry or RegistrySnapshot(), host="127.0.0.1", port=80)


def registered(*devices: Device, features: tuple[Feature, ...] = (), **more: Any) -> RegistrySnapshot:
    return RegistrySnapshot(
        devices={one.id: one for one in devices}, features={one.external_id: one for one in features}, **more
    )


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 100, (0, 100)),
        (-1, 1, (-1, 1)),
        (0, 0, (None, None)),
        (5, 1, (None, None)),
        (None, 5, (None, None)),
        (math.nan, 5, (None, None)),
        (0, math.inf, (None, None)),
    ],
)
def test_a_range_that_is_none_bounds_nothing(low: float, high: float, expected: tuple[Any, Any]) -> None:
    """Where nobody thought of a range Gladys has 0 and 0, which would refuse every command."""
    (feature,) = ours(device("mqtt:lamp", theirs(min=low, max=high))).features
    assert (feature.min, feature.max) == expected


@pytest.mark.parametrize(
    "external_id",
    [
        "",
        " mqtt:x",
        "mqtt:\n",
        "x" * 201,
        "gladys_devices",
        "virtual",
        "gladys",
        "other",
        "homeassistant:gladys-companion-a",
    ],
)
def test_what_can_be_none_of_ours(external_id: str) -> None:
    """No id, one that can not be shown, one that is a plug-in's name, and what Gladys made of our announcement."""
    assert ours(device(external_id, theirs()), registered(targets=("gladys", "other"))) is None


def test_names_can_not_move_the_cursor() -> None:
    """Whatever somebody called a device in Gladys, it is a line of text here."""
    one = ours(device("mqtt:lamp", theirs(name="\x1b[2J\n", category="li\x00ght"), name="La\x07mp\n" * 100, model="\r"))
    assert one.device.name.isprintable()
    assert len(one.device.name) <= 200
    assert one.features[0].category == "li ght"
    assert one.features[0].name == "[2J"


def test_features_without_end_are_cut_off() -> None:
    """A device has 256 features at most, each id once, and none without a selector."""
    many = [theirs(f"mqtt:{index}") for index in range(300)]
    assert len(ours(device("mqtt:lamp", *many)).features) == 256
    odd = [theirs("mqtt:a"), theirs("mqtt:a"), theirs("mqtt:b", selector=""), theirs("mqtt:\n")]
    assert [one.external_id for one in ours(device("mqtt:lamp", *odd)).features] == ["mqtt:a"]


def test_what_already_means_something_keeps_its_id() -> None:
    """A feature of another device, an alias, a virtual device: they are ours, and it is known what hides what."""
    other = Device(id="wled:a1", driver="wled", name="W")
    on = Feature(external_id="mqtt:b", device=other.id, name="On", category="light", type="binary")
    virtual = Device(id="mqtt:lamp", driver="virtual", name="V")
    registry = registered(other, features=(on,), aliases={"mqtt:c": "mqtt:b"})
    one = ours(device("mqtt:lamp", theirs("mqtt:a"), theirs("mqtt:b"), theirs("mqtt:c")), registry)
    assert [feature.external_id for feature in one.features] == ["mqtt:a"]
    assert one.taken == {"mqtt:b": "wled:a1", "mqtt:c": "an alias of mqtt:b"}
    assert ours(device("wled:a1", theirs("mqtt:b")), registry) is None
    mine = Feature(external_id="mqtt:a", device=virtual.id, name="A", category="light", type="binary")
    hidden = ours(device("mqtt:lamp", theirs("mqtt:a")), registered(virtual, features=(mine,)))
    assert (hidden.features, hidden.taken) == ((), {"mqtt:a": "mqtt:lamp"})
    assert ours(device("mqtt:lamp", theirs("mqtt:a")), registered(virtual, shared={virtual.id: "rest"})) is None


@pytest.mark.parametrize(
    ("members", "textual", "expected"),
    [
        ({"last_value": 1, "last_value_changed": "2023-11-14T22:13:10.000Z"}, False, Shown(1.0, NOW - 10)),
        ({"last_value": 1, "last_value_changed": "2033-11-14T22:13:10.000Z"}, False, Shown(1.0, NOW)),
        ({"last_value": 1, "last_value_changed": None}, False, None),
        ({"last_value": math.inf, "last_value_changed": "2023-11-14T22:13:10.000Z"}, False, None),
        ({"last_value": None, "last_value_changed": "2023-11-14T22:13:10.000Z"}, False, None),
        ({"last_value_string": "a", "last_value_changed": "2023-11-14T22:13:10.000Z"}, True, Shown("a", NOW - 10)),
        ({"last_value_string": "", "last_value_changed": "2023-11-14T22:13:10.000Z"}, True, None),
        ({"last_value": 1, "last_value_changed": "2023-11-14T22:13:10.000Z"}, True, None),
    ],
)
def test_last_values(members: dict[str, Any], textual: bool, expected: Shown | None) -> None:  # noqa: FBT001 - a case
    """A value with a time is one; a clock of Gladys' that is ahead makes nothing newer than now."""
    assert shown(theirs(**members), textual=textual, now=NOW) == expected


BRIGHTNESS = Feature(external_id="b", device="d", name="B", category="light", type="brightness", min=0, max=255)
ON = Feature(external_id="o", device="d", name="O", category="light", type="binary", min=0, max=1)


@given(wanted=st.floats(0, 255), has=st.floats(0, 255), came_since=st.booleans())
def test_a_value_agrees_only_where_it_is_near(wanted: float, has: float, *, came_since: bool) -> None:
    """Equal is equal; near counts only of what came after the command; a switch is never half on."""
    before, last = Shown(0.0, NOW), Shown(has, NOW + came_since)
    found = agrees(BRIGHTNESS, before, last, wanted)
    assert found == (has == wanted or (came_since and abs(has - wanted) <= 255 * 0.02))
    assert agrees(ON, before, last, wanted) == (has == wanted)
    assert not agrees(BRIGHTNESS, before, None, wanted)


def test_texts_agree_when_they_are_the_same() -> None:
    """A text is not nearly another."""
    note = Feature(external_id="n", device="d", name="N", category="text", type="text")
    assert agrees(note, None, Shown("a", NOW), "a")
    assert not agrees(note, None, Shown("a", NOW), "b")
    assert not agrees(note, None, Shown(1.0, NOW), "1")


def look(
    catalogue: Catalogue, registry: RegistrySnapshot, now: float, *devices: GladysDevice, **more: Any
) -> list[str]:
    """Return what changed, one word a device."""
    listing = Listing(devices=devices, pages=1, **more)
    gone = [f"-{one.id}" for one in catalogue.gone(listing, registry, now)]
    found = [one.id for device in devices if (one := catalogue.see(device, registry, now)) is not None]
    return [*gone, *found]


def test_only_what_changed_is_told() -> None:
    """New, renamed, of other features, gone: once each; and again where the registry has it no more."""
    catalogue = Catalogue("127.0.0.1", 80, NOW)
    lamp, plug = device("mqtt:lamp", theirs()), device("mqtt:plug", theirs("mqtt:plug:on"))
    registry = RegistrySnapshot()
    assert look(catalogue, registry, NOW, lamp, plug) == ["mqtt:lamp", "mqtt:plug"]
    registry = registered(ours(lamp).device, ours(plug).device)
    assert look(catalogue, registry, NOW + 1, lamp, plug) == []
    renamed = device("mqtt:lamp", theirs(), name="Other")
    assert look(catalogue, registry, NOW + 2, renamed, plug) == ["mqtt:lamp"]
    assert look(catalogue, registry, NOW + 3, device("mqtt:lamp", theirs(max=9), name="Other"), plug) == ["mqtt:lamp"]
    assert look(catalogue, registry, NOW + 4, plug) == ["-mqtt:lamp"]
    assert look(catalogue, registered(ours(plug).device), NOW + 5, plug) == []
    assert look(catalogue, RegistrySnapshot(), NOW + 6, plug) == ["mqtt:plug"]
    assert look(catalogue, registry, NOW + 7, odd=("mqtt:plug", "mqtt:lamp")) == []


def test_values_are_told_once_and_when_the_registry_knows_the_feature() -> None:
    """Before that they would be of nobody; a click of before the start is not one of now."""
    catalogue = Catalogue("127.0.0.1", 80, NOW)
    changed = "2023-11-14T22:13:10.000Z"
    click = theirs("mqtt:lamp:click", category="button", type="click", last_value=1, last_value_changed=changed)
    lamp = device("mqtt:lamp", theirs(last_value=1, last_value_changed=changed), click)
    look(catalogue, RegistrySnapshot(), NOW, lamp)
    assert list(catalogue.news("mqtt:lamp", RegistrySnapshot(), NOW)) == []
    mine = ours(lamp)
    registry = registered(mine.device, features=mine.features)
    assert list(catalogue.news("mqtt:lamp", registry, NOW)) == [("mqtt:lamp:on", Shown(1.0, NOW - 10))]
    assert list(catalogue.news("mqtt:lamp", registry, NOW)) == []
    again = "2023-11-14T22:13:21.000Z"
    clicked = device(
        "mqtt:lamp",
        lamp.features[0],
        theirs("mqtt:lamp:click", category="button", type="click", last_value=1, last_value_changed=again),
    )
    look(catalogue, registry, NOW + 2, clicked)
    assert list(catalogue.news("mqtt:lamp", registry, NOW + 2)) == [("mqtt:lamp:click", Shown(1.0, NOW + 1))]
