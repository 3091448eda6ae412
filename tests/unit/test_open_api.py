"""The Open API's bodies and messages: every bad input named, every good one typed, nothing raised but our errors."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gladys_companion.errors import ProtocolError, RequestError
from gladys_companion.model import Event, Receipt, TargetReceipt
from gladys_companion.protocol.open_api import (
    decode_message,
    decode_receipt,
    encode_receipt,
    read_created_at,
    read_state,
    to_event,
)

NOW = 1_700_000_000.0
ID = "mqtt:my-phone-presence"


@pytest.mark.parametrize(
    ("state", "value", "text"),
    [
        (1, 1.0, None),
        (0, 0.0, None),
        (21.5, 21.5, None),
        (True, 1.0, None),
        (False, 0.0, None),
        ("1", 1.0, "1"),
        ("true", 1.0, "true"),
        ("False", 0.0, "False"),
        (" -3.5e1 ", -35.0, " -3.5e1 "),
        ("at home", None, "at home"),
        ("1_000", None, "1_000"),
        ("", None, ""),
    ],
)
def test_states_that_are_taken(state: object, value: float | None, text: str | None) -> None:
    """Numbers, booleans, numeric strings of forms, and texts for text features."""
    read = read_state({"device_feature_external_id": ID, "state": state}, NOW)
    assert (read.value, read.text) == (value, text)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "device_feature_external_id"),
        ({"state": 1}, "device_feature_external_id"),
        ({"device_feature_external_id": 7, "state": 1}, "device_feature_external_id"),
        ({"device_feature_external_id": "", "state": 1}, "device_feature_external_id"),
        ({"device_feature_external_id": "  ", "state": 1}, "device_feature_external_id"),
        ({"device_feature_external_id": "a" * 65_537, "state": 1}, "device_feature_external_id"),
        ({"device_feature_external_id": "a\x00b", "state": 1}, "device_feature_external_id"),
        ({"device_feature_external_id": "\ud800", "state": 1}, "device_feature_external_id"),
        ({"device_feature_external_id": ID}, "state"),
        ({"device_feature_external_id": ID, "state": None}, "state"),
        ({"device_feature_external_id": ID, "state": 1, "text": "a"}, "state"),
        ({"device_feature_external_id": ID, "state": [1]}, "state"),
        ({"device_feature_external_id": ID, "state": {"a": 1}}, "state"),
        ({"device_feature_external_id": ID, "state": "NaN"}, "state"),
        ({"device_feature_external_id": ID, "state": "-infinity"}, "state"),
        ({"device_feature_external_id": ID, "state": "1e999"}, "state"),
        ({"device_feature_external_id": ID, "state": math.nan}, "state"),
        ({"device_feature_external_id": ID, "state": 10**400}, "state"),
        ({"device_feature_external_id": ID, "text": 5}, "text"),
        ({"device_feature_external_id": ID, "state": 1, "created_at": "yesterday"}, "created_at"),
        ({"device_feature_external_id": ID, "state": 1, "created_at": True}, "created_at"),
        ({"device_feature_external_id": ID, "state": 1, "created_at": []}, "created_at"),
        ({"device_feature_external_id": ID, "state": 1, "created_at": -5}, "created_at"),
        ({"device_feature_external_id": ID, "state": 1, "created_at": NOW + 61}, "created_at"),
        ({"device_feature_external_id": ID, "state": 1, "created_at": "9" * 400}, "created_at"),
    ],
)
def test_bad_bodies_name_their_field(body: dict[str, Any], field: str) -> None:
    """422 with the field's name and a sentence."""
    with pytest.raises(RequestError) as caught:
        read_state(body, NOW)
    assert (caught.value.status, caught.value.data["field"]) == (422, field)


@pytest.mark.parametrize(
    "given_time",
    ["2023-11-14T22:13:20Z", "2023-11-14T23:13:20+01:00", "2023-11-14 22:13:20", 1_700_000_000, 1_700_000_000_000,
     "1700000000", "1700000000000"],
)  # fmt: skip
def test_times_that_are_taken(given_time: object) -> None:
    """ISO 8601 with or without an offset, seconds and milliseconds."""
    assert read_created_at(given_time, NOW) == NOW


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(["device_feature_external_id", "state", "text", "created_at", "x"]), json_values)
)
def test_any_body_is_read_or_refused(body: dict[str, Any]) -> None:
    """Whatever JSON comes, the answer is a checked body or a 422 that names a field."""
    read, refused = None, None
    try:
        read = read_state(body, NOW)
    except RequestError as error:
        refused = error
    if refused is not None:
        assert refused.status == 422
        assert refused.data["field"] in {"device_feature_external_id", "state", "text", "created_at"}
    assert read is None or read.value is None or math.isfinite(read.value)
    assert read is None or (read.value, read.text) != (None, None)


def message(**more: Any) -> bytes:
    return json.dumps(
        {
            "version": "1.0",
            "type": "gladys-open-api",
            "action": "create-device-state",
            "instance_id": "i",
            "data": {"device_feature_external_id": ID, "state": 1},
            "sender_id": "u",
            "local_user_id": None,
            **more,
        }
    ).encode()


def event_of(payload: bytes) -> Event:
    return to_event(decode_message(payload), new_id="minted", now=NOW, elapsed=500.0, boot="b")


def test_message_of_gladys_plus_happened_now() -> None:
    """Without our fields: an id of our own, the time of arrival, the whole time to live."""
    event = event_of(message())
    assert (event.id, event.at, event.deadline, event.value, event.key) == ("minted", NOW, 560.0, 1.0, None)


def test_message_of_our_gateway_keeps_id_age_and_key() -> None:
    """With our fields: the gateway's id and time, and an age that is counted on our own clock."""
    companion = {"id": "g1", "received_at": NOW - 999, "age_ms": 20_000, "key": {"id": "k", "name": "phone"}, "new": 1}
    event = event_of(message(companion=companion, unknown_field={"of": "a later version"}))
    assert (event.id, event.at, event.deadline) == ("g1", NOW - 999, 540.0)
    assert event.key is not None
    assert event.key.name == "phone"
    assert not event.dated


def test_time_that_the_phone_named_is_kept() -> None:
    """created_at is when it happened; without our fields it also says how old it is."""
    data = {"device_feature_external_id": ID, "state": 1, "created_at": NOW - 30}
    event = event_of(message(data=data))
    assert (event.at, event.dated, event.deadline) == (NOW - 30, True, 530.0)


def reported(event: Event) -> dict[str, Any]:
    """Return what a location keeps of what was posted."""
    body: dict[str, Any] = json.loads(event.body or "")
    return body


def test_a_position_keeps_what_the_phone_sent_and_who_it_is() -> None:
    """A location keeps the app, the names and the body as the gateway got them, and when that was by its clock."""
    raw = {"_type": "location", "lat": 0, "tst": NOW - 40}
    companion = {"id": "g1", "received_at": NOW, "raw": raw, "phone": {"app": "owntracks", "user": "anna"}}
    event = event_of(message(action="create-owntracks-location", data={"latitude": 0}, companion=companion))
    assert (event.kind, event.at, event.dated) == ("location", NOW - 40, True)
    assert reported(event) == {"app": "owntracks", "user": "anna", "device": None, "raw": raw, "gateway_at": NOW}


@pytest.mark.parametrize(
    ("raw", "kind", "at"),
    [
        ({"_type": "transition", "tst": NOW - 9}, "transition", NOW - 9),
        ({"_type": "transition", "tst": NOW + 999_999}, "transition", NOW),
        ({"_type": "lwt"}, "location", NOW),
        ({"_type": ["odd"], "tst": []}, "location", NOW),
        ([1, 2], "location", NOW),
        ("text", "location", NOW),
    ],
)
def test_what_is_no_position_keeps_its_time_of_arrival(raw: object, kind: str, at: float) -> None:
    """A transition is its own kind; a time that can not be believed is not the event's."""
    companion = {"id": "g1", "received_at": NOW, "raw": raw, "phone": {"app": "owntracks"}}
    event = event_of(message(action="create-owntracks-location", data={}, companion=companion))
    assert (event.kind, event.at) == (kind, at)


def test_a_position_of_gladys_plus_is_of_the_user_that_it_names() -> None:
    """Gladys Plus sends neither app nor time: the user of Gladys is who it is, now is when."""
    data = {"latitude": 0, "longitude": 5, "user_id": "u-1", "device_selector": "phone"}
    event = event_of(message(action="create-owntracks-location", data=data))
    assert (event.kind, event.at, event.dated) == ("location", NOW, False)
    assert reported(event) == {"app": "plus", "user": "u-1", "device": "phone", "raw": data, "gateway_at": NOW}
    without = event_of(message(action="create-owntracks-location", data={"latitude": 0}, local_user_id="u-2"))
    assert reported(without)["user"] == "u-2"


def test_a_position_that_is_no_object_is_refused() -> None:
    """What Gladys Plus can not have sent is the peer's mistake."""
    with pytest.raises(ProtocolError):
        event_of(message(action="create-owntracks-location", data=[1]))


@pytest.mark.parametrize(("action", "kind"), [("create-event", "signal"), ("create-message", "message")])
def test_other_kinds_keep_their_body(action: str, kind: str) -> None:
    """A signal and a message keep what was posted."""
    event = event_of(message(action=action, data={"text": "hello"}))
    assert (event.kind, reported(event)) == (kind, {"text": "hello"})


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"event": "nfc:door", "name": "x", "tag": "y"}, "nfc:door"),
        ({"tag": "y", "name": " button 1 "}, "button 1"),
        ({"tag": "04:A2:1B"}, "04:A2:1B"),
        ({"event": "", "name": None, "tag": 1234567890}, "1234567890"),
        ({"event": {"name": "x"}, "name": True, "tag": 1.5}, None),
        ({}, None),
    ],
)
def test_a_signal_has_the_first_name_that_it_gives(body: dict[str, Any], name: str | None) -> None:
    """`event`, `name`, `tag`, in this order, if it is a text or a whole number."""
    assert event_of(message(action="create-event", data=body)).external_id == name


def test_unknown_action_is_told() -> None:
    """A kind that we do not know is answered 501, never left hanging."""
    with pytest.raises(RequestError) as caught:
        event_of(message(action="create-coffee"))
    assert (caught.value.status, caught.value.code) == (501, "UNSUPPORTED_ACTION")


@given(st.binary() | st.text().map(str.encode) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_message_is_decoded_or_refused(payload: bytes) -> None:
    """Garbage from the peer is a ProtocolError or an answer, nothing else."""
    with pytest.raises((ProtocolError, RequestError)):
        event_of(payload)


def test_ack_is_an_object_without_the_code_that_gladys_plus_misreads() -> None:
    """The ack round-trips, and says DEVICE_FEATURE_NOT_FOUND where Plus would turn NOT_FOUND into 'no instance'."""
    receipt = Receipt(
        status=404, id="e", outcome="rejected", error_code="DEVICE_FEATURE_NOT_FOUND", nearest=("mqtt:lamp",)
    )
    ack = decode_receipt(encode_receipt(receipt))
    assert ack["duplicate"] is False
    assert ack["error_code"] != "NOT_FOUND"
    assert msgspec.convert(ack, Receipt) == receipt
    done = Receipt(status=200, id="e", outcome="delivered", targets=(TargetReceipt("virtual", "verified", 0.4),))
    assert msgspec.convert(decode_receipt(encode_receipt(done)), Receipt) == done


@pytest.mark.parametrize("garbage", [b"null", b"[]", b'"ok"', b"5", b"", b"\xff"])
def test_ack_that_is_no_object_counts_as_empty(garbage: bytes) -> None:
    """An older peer may ack anything."""
    assert decode_receipt(garbage) == {}
