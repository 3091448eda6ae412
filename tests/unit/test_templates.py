"""Features that a user describes: payloads read and made, and mistakes told before anything is sent."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gladys_companion.drivers._templates import FeatureTable, complaints, feature_of, filled, read_value, repeated
from gladys_companion.errors import ProtocolError, Rejected
from gladys_companion.model import Device

PLAIN = FeatureTable(component="temp")
SWITCH = FeatureTable(component="on", name="Relay", values={"ON": 1, "OFF": 0, "true": 1})
NOTE = FeatureTable(component="note", type="text", payload="{text}")
DEVICE = Device(id="mqtt:kettle", driver="mqtt", name="Kettle")


@pytest.mark.parametrize(
    ("path", "payload", "value"),
    [
        ("", "21.5", 21.5),
        ("", " -3e2 ", -300),
        ("", "true", 1),
        ("sensors.temp", '{"sensors": {"temp": 4}}', 4),
        ("list.1.x", '{"list": [0, {"x": "7"}]}', 7),
        ("on", '{"on": false}', 0),
        ("0", "[2]", 2),
    ],
)
def test_a_payload_says_a_number(path: str, payload: str, value: float) -> None:
    """Plain, or at the end of a path through objects and lists; booleans are 1 and 0."""
    table = FeatureTable(component="x", json_path=path, values={"true": 1} if payload == "true" else {})
    assert read_value(table, payload) == value


@pytest.mark.parametrize(
    ("path", "payload", "says"),
    [
        ("", "warm", "'warm', which is no number"),
        ("", "nan", "no number"),
        ("", "1_000", "no number"),
        ("", "", "no number"),
        ("a.b", "{", "not JSON"),
        ("a.b", '{"a": 1}', "nothing at 'a.b'"),
        ("a.9", '{"a": [1]}', "nothing at 'a.9'"),
        ("a", '{"a": null}', "None, which is no number"),
        ("a", '{"a": {"b": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]}}', r"\.\.\., which is no number"),
    ],
)
def test_what_says_nothing_is_told(path: str, payload: str, says: str) -> None:
    """The sentence says what was there instead."""
    with pytest.raises(ProtocolError, match=says):
        read_value(FeatureTable(component="x", json_path=path), payload)


def test_words_mean_numbers_in_both_directions() -> None:
    """The first word of a number is the one that is sent; a number without a word is refused with those there are."""
    assert [read_value(SWITCH, word) for word in ("ON", " OFF ", "true", "0.5")] == [1, 0, 1, 0.5]
    assert [filled(SWITCH, "{value}", value) for value in (1.0, 0.0)] == ["ON", "OFF"]
    with pytest.raises(Rejected, match=r"Relay can not be 2: it is one of 1 \(ON\), 0 \(OFF\)"):
        filled(SWITCH, "{value}", 2.0)


def test_a_template_leaves_alone_what_is_no_placeholder() -> None:
    """JSON keeps its braces, whole numbers have no decimals, and JSON has quotes where it wants them."""
    assert filled(PLAIN, '{"t": {value}, "u": {json}, "v": {}}', 21.0) == '{"t": 21, "u": 21, "v": {}}'
    assert filled(SWITCH, '{"relay": {json}}', 1.0) == '{"relay": "ON"}'
    assert filled(NOTE, "say {text} or {json}", 'a "b"') == 'say a "b" or "a \\"b\\""'
    with pytest.raises(Rejected, match="temp takes a number"):
        filled(PLAIN, "{value}", "warm")
    with pytest.raises(Rejected, match="note takes a text"):
        filled(NOTE, "{text}", 1.0)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_is_sent_can_be_read_back(value: float) -> None:
    """A number comes back as it was, plain and in JSON."""
    assert read_value(PLAIN, filled(PLAIN, "{value}", value)) == value
    assert read_value(FeatureTable(component="x", json_path="a"), filled(PLAIN, '{"a": {json}}', value)) == value


@given(st.text())
def test_a_text_can_be_read_back(text: str) -> None:
    """Whatever it holds, also what looks like a placeholder."""
    assert read_value(NOTE, filled(NOTE, "{text}", text)) == text
    inside = FeatureTable(component="x", type="text", json_path="a")
    if not any("\ud800" <= letter <= "\udfff" for letter in text):
        assert read_value(inside, filled(NOTE, '{"a": {json}}', text)) == text


@given(st.text() | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(json.dumps))
def test_no_payload_is_too_odd(payload: str) -> None:
    """Whatever comes, it is a value or an error with a sentence."""
    for table in (PLAIN, SWITCH, NOTE, FeatureTable(component="x", json_path="0.a")):
        try:
            value = read_value(table, payload)
        except ProtocolError as error:
            assert str(error).endswith(".")  # noqa: PT017 - it need not be raised
        else:
            assert isinstance(value, str) == table.textual


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (FeatureTable(component="x", min=2, max=1), "min is above max"),
        (FeatureTable(component="x", payload="{vlaue}"), "{vlaue} is no placeholder"),
        (FeatureTable(component="x", payload="{text}"), "{text} has nothing to stand for"),
        (FeatureTable(component="x", type="text"), "{value} has nothing to stand for in a feature of type text"),
        (FeatureTable(component="x", type="text", payload="{text}", values={"a": 1}), "has none"),
        (FeatureTable(component="x", values={"a": float("inf")}), "finite"),
    ],
)
def test_mistakes_are_told(table: FeatureTable, says: str) -> None:
    """Each is found without a device."""
    assert [sentence for sentence in complaints(table) if says in sentence]
    assert list(complaints(PLAIN)) == []


def test_a_component_is_told_twice() -> None:
    """Two features can not have one external id."""
    assert repeated((PLAIN, NOTE, PLAIN)) == "temp"
    assert repeated((PLAIN, NOTE)) is None


def test_the_feature_is_as_described() -> None:
    """Its external id is the device's with the component behind; a name is optional."""
    feature = feature_of(DEVICE, SWITCH, writable=True)
    assert (feature.external_id, feature.name, feature.writable) == ("mqtt:kettle:on", "Relay", True)
    assert feature_of(DEVICE, PLAIN, writable=False).name == "temp"
