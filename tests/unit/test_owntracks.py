"""OwnTracks' messages: every type of the apps' schema is read, every bad one says why, and nothing else is raised."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gladys_companion.errors import ProtocolError
from gladys_companion.protocol import owntracks
from gladys_companion.protocol.fixes import Fix, phone_feature, readings
from gladys_companion.protocol.owntracks import decode
from gladys_companion.protocol.owntracks.answers import (
    Friend,
    Region,
    answer,
    friend_messages,
    report_location,
    set_waypoints,
)
from gladys_companion.protocol.owntracks.box import open_envelope, seal
from gladys_companion.protocol.owntracks.identity import Identity, identify

NOW = 1_790_000_000.0
LOCATION = {"_type": "location", "lat": 48.2, "lon": 16.37, "tst": 1_789_999_990}
TRANSITION = {**LOCATION, "_type": "transition", "event": "leave", "desc": "Home", "wtst": 1_600_000_000, "acc": 20}


def sent(**members: Any) -> bytes:
    return json.dumps(members).encode()


def fix_of(**members: Any) -> Fix:
    found = decode(sent(**{**LOCATION, **members}), NOW)
    assert isinstance(found, Fix)
    return found


def attempt(body: bytes) -> owntracks.Message | str | None:
    """Return what was read, or the sentence that refuses it."""
    try:
        return decode(body, NOW)
    except ProtocolError as error:
        return str(error)


def refusal(body: bytes) -> str:
    with pytest.raises(ProtocolError) as caught:
        decode(body, NOW)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    return sentence


def test_a_location_of_android_is_read_whole() -> None:
    """What Android 2.6 sends with extended data becomes one fix, in our units."""
    fix = fix_of(
        _id="4a1b9c00", acc=12, alt=190, vac=3, vel=36, cog=271, batt=87, bs=2, conn="w", SSID="Nest", t="p", tid="ja",
        BSSID="0:a:1:2:3:4", inregions=["Home", "Street"], inrids=["6da9cf"], created_at=1_789_999_995, m=1,
        topic="owntracks/jane/phone", motionactivities=["stationary"],
    )  # fmt: skip
    assert fix == Fix(
        key="owntracks:4a1b9c00", at=1_789_999_990.0, latitude=48.2, longitude=16.37, accuracy=12.0, altitude=190.0,
        vertical_accuracy=3.0, speed=10.0, course=271.0, battery=87.0, charging=True, connection="wifi", ssid="Nest",
        bssid="0:a:1:2:3:4", trigger="p", regions=("Home", "Street"), region_ids=("6da9cf",), tracker_id="ja",
        created_at=1_789_999_995.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("member", "value", "known"),
    [
        ("acc", 0, None),
        ("acc", None, None),
        ("acc", "abc", None),
        ("acc", "12.5", 12.5),
        ("vac", 0, None),
        ("batt", -1, None),
        ("batt", 0, 0.0),
        ("batt", 101, None),
        ("bs", 0, None),
        ("bs", 1, False),
        ("bs", 3, True),
        ("bs", 7, None),
        ("conn", "m", "mobile"),
        ("conn", "o", "offline"),
        ("conn", "x", None),
        ("inregions", [], ()),
        ("inregions", "Home", None),
        ("SSID", "", None),
        ("SSID", 5, None),
        ("lat", 0, 0.0),
        ("lon", 0, 0.0),
        ("lat", "-48.5", -48.5),
        ("lon", -180, -180.0),
    ],
)
def test_what_is_unknown_is_none_and_zero_is_a_place(member: str, value: object, known: object) -> None:
    """Accuracy 0 and battery -1 are unknown, latitude 0 is a place, a number in text is that number."""
    names = {"acc": "accuracy", "vac": "vertical_accuracy", "batt": "battery", "bs": "charging", "conn": "connection",
             "inregions": "regions", "SSID": "ssid", "lat": "latitude", "lon": "longitude"}  # fmt: skip
    assert getattr(fix_of(**{member: value}), names[member]) == known


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"[]", "array"),
        (json.dumps([LOCATION]).encode(), "array"),
        (b"5", "no JSON object"),
        (b"null", "no JSON object"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"a":' * 5_000, "nested too deeply"),
        (b'{"_type": "location", "lat": NaN, "lon": 1, "tst": 5}', "not JSON"),
        (b'{"_type": "location", "lat": 1e999, "lon": 1, "tst": 5}', "not JSON"),
        (sent(), "no _type"),
        (sent(_type=5), "no _type"),
        (sent(_type="coffee"), "unknown _type 'coffee'"),
        (sent(_type="location"), "no lat"),
        (sent(**{**LOCATION, "lon": None}), "no lon"),
        (sent(**{**LOCATION, "lat": 90.1}), "not between -90 and 90"),
        (sent(**{**LOCATION, "lon": -180.5}), "not between -180 and 180"),
        (sent(**{**LOCATION, "lat": True}), "no finite number"),
        (sent(**{**LOCATION, "lat": "NaN"}), "no finite number"),
        (sent(**{**LOCATION, "lat": "4_8"}), "no finite number"),
        (sent(**{**LOCATION, "lat": [48]}), "no finite number"),
        (sent(**{**LOCATION, "lat": "8" * 400}), "no finite number"),
        (sent(**{**LOCATION, "acc": -1}), "negative acc"),
        (sent(**{**LOCATION, "tst": None}), "no tst"),
        (sent(**{**LOCATION, "tst": 0}), "did not know the time"),
        (sent(**{**LOCATION, "tst": -5}), "did not know the time"),
        (sent(**{**LOCATION, "tst": "soon"}), "no time"),
        (sent(**{**LOCATION, "tst": True}), "no time"),
        (sent(**{**LOCATION, "tst": NOW + 301}), "in the future"),
        (sent(**{**LOCATION, "tst": NOW + 7_200}), "2 hours in the future"),
        (sent(**{**LOCATION, "tst": NOW - 3 * 365 * 86_400}), "3 years in the past"),
        (sent(**{**TRANSITION, "event": "stay"}), "neither enter nor leave"),
        (sent(**{**TRANSITION, "event": ["enter"]}), "neither enter nor leave"),
        (sent(**{**TRANSITION, "desc": " "}), "which region"),
        (sent(**{**TRANSITION, "lon": None}), "no lon"),
        (sent(_type="waypoint", tst=5, lat=1, lon=1, rad=1), "no desc"),
        (sent(_type="waypoint", desc="a", tst=5), "no lat"),
        (sent(_type="waypoints", waypoints={}), "no list"),
        (sent(_type="cmd"), "no action"),
        (sent(_type="request"), "asks for"),
        (sent(_type="beacon", tst=NOW), "no uuid"),
        (sent(_type="steps", steps=5), "no tst"),
        (sent(_type="card", name="\ud800"), "not JSON"),
        (sent(_type="encrypted"), "no data"),
        (sent(_type="encrypted", data=""), "no data"),
    ],
)
def test_what_can_never_be_used_says_why(body: bytes, why: str) -> None:
    """Each bad message is a ProtocolError whose sentence names what is wrong."""
    assert why in refusal(body)


@pytest.mark.parametrize("body", [b"", b"  \r\n"])
def test_an_empty_body_is_legal_and_says_nothing(body: bytes) -> None:
    """Android clears a retained message with one."""
    assert decode(body, NOW) is None


def test_a_clock_five_minutes_fast_is_believed() -> None:
    """The phone's clock may differ a little from ours."""
    assert fix_of(tst=NOW + 299).at == NOW + 299


def test_a_transition_names_its_zone_and_where_it_was() -> None:
    """A leave names the zone that was left; a beacon's position is not believed."""
    left = decode(sent(**TRANSITION, rid="6da9cf", t="c"), NOW)
    assert isinstance(left, owntracks.Transition)
    assert (left.entered, left.region, left.region_id, left.latitude, left.accuracy) == (
        False, "Home", "6da9cf", 48.2, 20.0,
    )  # fmt: skip
    beacon = decode(sent(**{**TRANSITION, "event": "enter", "t": "b", "lat": 0, "lon": 0}), NOW)
    assert isinstance(beacon, owntracks.Transition)
    assert (beacon.entered, beacon.latitude, beacon.accuracy) == (True, None, None)


def test_a_fix_is_known_again_by_id_or_by_time_and_place() -> None:
    """The same fix with other fields changed has the same key, another fix has another."""
    assert fix_of(batt=50).key == fix_of(batt=51, t="p").key
    assert fix_of(_id="a").key == fix_of(_id="a", tst=LOCATION["tst"]).key
    keys = {fix_of().key, fix_of(_id="a").key, fix_of(_id="b").key, fix_of(lat=48.3).key, fix_of(tst=NOW - 5).key}
    assert len(keys) == 5
    left, entered = decode(sent(**TRANSITION), NOW), decode(sent(**{**TRANSITION, "event": "enter"}), NOW)
    assert left is not None
    assert entered is not None
    assert left.key != entered.key
    assert len(fix_of(_id="x" * 1_000).key) < 64


def test_waypoints_keep_the_good_ones() -> None:
    """One bad region does not cost the others; old ones and beacons are regions too."""
    found = decode(
        sent(
            _type="waypoints",
            waypoints=[
                {"_type": "waypoint", "desc": "Home", "lat": 48.2, "lon": 16.37, "rad": 100, "tst": 5, "rid": "a"},
                {"_type": "waypoint", "desc": "Nowhere", "lat": 480, "lon": 16.37, "rad": 100, "tst": 5},
                {"_type": "waypoint", "desc": "Car", "uuid": "CA271EAE-5FA8-4E80-8F08-2A302A95A959", "major": 1},
                "no object",
            ],
        ),
        NOW,
    )
    assert isinstance(found, owntracks.Waypoints)
    assert [(one.name, one.radius, one.major) for one in found.waypoints] == [("Home", 100.0, None), ("Car", None, 1)]
    assert len(found.faults) == 2


# ---- the apps' schema ----

TEXT = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20)
WHOLE = st.integers(0, 1_000)
TIME = st.integers(int(NOW) - 86_400, int(NOW))
DEGREES = st.floats(-90, 90)
NAMES = st.lists(TEXT, max_size=3)

Shape = Mapping[str, st.SearchStrategy[Any]]
NEEDED: Mapping[str, Shape] = {  # what the schema of owntracks/ios requires of each type, and the booklet
    "location": {"lat": DEGREES, "lon": DEGREES, "tst": TIME},
    "transition": {
        "lat": DEGREES, "lon": DEGREES, "tst": TIME, "acc": WHOLE, "event": st.sampled_from(["enter", "leave"]),
        "wtst": TIME, "desc": TEXT,
    },
    "waypoint": {"desc": TEXT, "tst": TIME, "lat": DEGREES, "lon": DEGREES, "rad": st.integers(1, 5_000)},
    "waypoints": {"waypoints": st.just([])},
    "lwt": {"tst": TIME},
    "card": {},
    "status": {},
    "cmd": {"action": st.sampled_from(["dump", "reportLocation", "setWaypoints", "status"])},
    "configuration": {},
    "steps": {"from": TIME, "to": TIME, "steps": st.integers(-1, 50_000), "tst": TIME},
    "beacon": {"uuid": st.uuids().map(str), "major": WHOLE, "minor": WHOLE, "tst": TIME},
    "request": {"request": st.sampled_from(["tour", "tours", "untour"])},
    "encrypted": {"data": st.binary(min_size=40, max_size=80).map(lambda some: some.hex())},
}  # fmt: skip
MAY: Shape = {
    "acc": WHOLE, "alt": st.integers(-400, 9_000), "batt": st.integers(-1, 100), "bs": st.integers(0, 3),
    "cog": st.integers(0, 360), "conn": st.sampled_from(["w", "o", "m"]), "SSID": TEXT, "BSSID": TEXT, "vac": WHOLE,
    "vel": WHOLE, "inregions": NAMES, "inrids": NAMES, "created_at": TIME, "tid": TEXT, "topic": TEXT, "m": WHOLE,
    "t": st.sampled_from("pcbrutv"), "p": st.floats(80, 110), "name": TEXT, "face": TEXT, "rid": TEXT, "tag": TEXT,
    "poi": TEXT, "_id": TEXT,
}  # fmt: skip
KINDS: Mapping[str, type] = {
    "location": Fix, "transition": owntracks.Transition, "waypoint": owntracks.Waypoint, "lwt": owntracks.Will,
    "waypoints": owntracks.Waypoints, "card": owntracks.Card, "status": owntracks.Status, "cmd": owntracks.Command,
    "configuration": owntracks.Configuration, "steps": owntracks.Steps, "beacon": owntracks.Beacon,
    "request": owntracks.Request, "encrypted": owntracks.Encrypted,
}  # fmt: skip

messages = st.sampled_from(sorted(NEEDED)).flatmap(
    lambda kind: st.fixed_dictionaries(
        {"_type": st.just(kind), **NEEDED[kind]},
        optional={name: some for name, some in MAY.items() if name not in NEEDED[kind]},
    )
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(messages)
def test_every_message_of_the_schema_is_read(message: dict[str, Any]) -> None:
    """What the apps' schema allows becomes its type, with a key that is the same each time."""
    found = owntracks.read(json.loads(json.dumps(message)), NOW)
    assert isinstance(found, KINDS[message["_type"]])
    assert found.key == owntracks.read(message, NOW).key


@given(messages, st.dictionaries(st.sampled_from([*MAY, "lat", "lon", "tst", "_type", "event", "desc"]), json_values))
def test_whatever_is_wrong_in_it_is_told(message: dict[str, Any], wrong: dict[str, Any]) -> None:
    """A message with anything in its members is read or a ProtocolError, and a fix is always somewhere on earth."""
    found = attempt(json.dumps({**message, **wrong}).encode())
    assert found is not None
    assert not isinstance(found, str) or found.endswith(".")
    if isinstance(found, Fix):
        assert -90 <= found.latitude <= 90
        assert -180 <= found.longitude <= 180
        assert 0 < found.at <= NOW + 300
        assert found.accuracy is None or found.accuracy > 0


def says_it_is_a_message(body: bytes) -> bool:
    """Whether garbage is none: Hypothesis takes words, and whole bodies, from the program's and its tests' own text."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and value.get("_type") in tuple(KINDS)


bodies = st.binary() | st.text().map(str.encode) | json_values.map(lambda value: json.dumps(value).encode())


@given(bodies.filter(lambda body: not says_it_is_a_message(body)))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    """Garbage is a ProtocolError, nothing else."""
    found = attempt(body)
    assert found is None or (isinstance(found, str) and found.endswith("."))


# ---- identity ----


@pytest.mark.parametrize(
    ("headers", "query", "topic", "expected"),
    [
        ({}, {}, None, Identity(None, None)),
        ({"X-Limit-U": "jane", "X-Limit-D": "pixel"}, {"u": "x", "d": "y"}, "owntracks/a/b", Identity("jane", "pixel")),
        ({"x-limit-u": "user", "x-limit-d": "device"}, {}, "owntracks/jane/iphone", Identity("jane", "iphone")),
        ({"X-Limit-U": "user", "X-Limit-D": "device"}, {"u": "jane", "d": "ipad"}, "owntracks/user/device",
         Identity("jane", "ipad")),
        ({"Authorization": "Basic amFuZTpzZWNyZXQ="}, {"d": "y"}, None, Identity("jane", "y")),
        ({"Authorization": "Basic amFuZTpzZWNyZXQ="}, {}, "/a/owntracks/john/phone/event", Identity("jane", "phone")),
        ({"Authorization": "Basic !!"}, {}, "owntracks/john", Identity("john", None)),
        ({"Authorization": "Bearer abc"}, {}, "elsewhere/john/phone", Identity(None, None)),
        ({}, {"u": " ", "d": "x" * 300}, 5, Identity(None, None)),
        ({"X-Limit-U": "a\x00b"}, {"u": "jane"}, None, Identity("jane", None)),
    ],
)  # fmt: skip
def test_a_phone_is_named_by_the_first_that_names_it(
    headers: dict[str, str], query: dict[str, str], topic: object, expected: Identity
) -> None:
    """Headers, then Basic, then topic, then query; an iPhone's "user" and "device" name nobody."""
    assert identify(headers, query, topic) == expected


# ---- encryption ----


def envelope(body: bytes, passphrase: str) -> owntracks.Encrypted:
    found = decode(seal(body, passphrase), NOW)
    assert isinstance(found, owntracks.Encrypted)
    return found


@given(st.text(max_size=50).filter(lambda text: text.isprintable()))
def test_an_envelope_opens_with_its_passphrase(passphrase: str) -> None:
    """What is sealed is read again; the passphrase may be of any script and length."""
    found = open_envelope(envelope(sent(**LOCATION), passphrase), passphrase, NOW)
    assert isinstance(found, Fix)
    assert found.latitude == 48.2


def test_a_wrong_passphrase_keeps_the_envelope() -> None:
    """The message says what to do, and that the envelope is still of use; what is damaged is of none."""
    with pytest.raises(ProtocolError, match="set the one that the app has") as caught:
        open_envelope(envelope(sent(**LOCATION), "right"), "wrong", NOW)
    assert caught.value.data["keep"] is True
    for data in ("!", "aGVsbG8=", "ä"):
        with pytest.raises(ProtocolError, match="nothing can open it") as caught:
            open_envelope(owntracks.Encrypted(key="k", data=data), "right", NOW)
        assert "keep" not in caught.value.data


def test_what_is_in_an_envelope_is_judged_as_any_message() -> None:
    """An empty one says nothing, an envelope in an envelope and a bad location are refused."""
    assert open_envelope(envelope(b"", "p"), "p", NOW) is None
    with pytest.raises(ProtocolError, match="another encrypted"):
        open_envelope(envelope(seal(b"{}", "p"), "p"), "p", NOW)
    with pytest.raises(ProtocolError, match="no lat"):
        open_envelope(envelope(sent(_type="location"), "p"), "p", NOW)


def test_the_layout_is_libsodiums() -> None:
    """A known key, nonce and text give the bytes that libsodium's crypto_secretbox gives."""
    sealed = seal(b'{"_type":"lwt"}', "s3cr1t", nonce=bytes(range(24)))
    assert json.loads(sealed)["data"].startswith("AAECAwQFBgcICQoLDA0ODxAREhMUFRYX")
    assert len(json.loads(sealed)["data"]) == 76  # 24 + 16 + 15 bytes in Base64


# ---- answers ----

JANE = Friend(tracker_id="jane", name="Jane", latitude=48.2, longitude=16.37, at=NOW + 0.5, accuracy=11.6, battery=80)


def test_an_answer_is_always_an_array() -> None:
    """With nothing to say it is the empty array, which both apps take as done."""
    assert answer() == b"[]"
    assert json.loads(answer([report_location()])) == [{"_type": "cmd", "action": "reportLocation"}]


def test_friends_have_a_position_and_a_card() -> None:
    """Both carry the same tracker id of two characters, and a time in whole seconds."""
    location, card = friend_messages(JANE)
    assert location == {
        "_type": "location", "lat": 48.2, "lon": 16.37, "tst": int(NOW), "tid": "ja", "acc": 12, "batt": 80,
    }  # fmt: skip
    assert card == {"_type": "card", "name": "Jane", "tid": "ja"}
    assert isinstance(decode(json.dumps(location).encode(), NOW), Fix)


def test_zones_are_set_as_the_apps_read_them() -> None:
    """The order nests a waypoints message, whose members the apps (and we) can read."""
    order = set_waypoints(
        [Region(name="Home", latitude=0.0, longitude=180.0, radius=99.6, made_at=1_600_000_000.7, id="z1")]
    )
    assert (order["_type"], order["action"]) == ("cmd", "setWaypoints")
    found = owntracks.read(order["waypoints"], NOW)
    assert isinstance(found, owntracks.Waypoints)
    assert found.faults == ()
    assert (found.waypoints[0].name, found.waypoints[0].radius, found.waypoints[0].at) == ("Home", 100.0, 1_600_000_000)


def test_a_phone_that_seals_is_answered_sealed() -> None:
    """Each message of the answer is in an envelope of its own."""
    bodies = json.loads(answer(friend_messages(JANE), passphrase="p"))
    assert [body["_type"] for body in bodies] == ["encrypted", "encrypted"]
    opened = [open_envelope(owntracks.Encrypted(key="k", data=body["data"]), "p", NOW) for body in bodies]
    assert [type(one) for one in opened] == [Fix, owntracks.Card]


# ---- features ----


def test_a_phones_state_becomes_features() -> None:
    """Battery, charger, connection and network, each only where the phone knows."""
    told = readings(fix_of(batt=87, bs=1, conn="w", SSID="Nest"))
    assert [(one.component, one.value, one.text) for one in told] == [
        ("battery", 87.0, None), ("charging", 0.0, None), ("connection", None, "wifi"), ("wifi", None, "Nest"),
    ]  # fmt: skip
    assert readings(fix_of(batt=-1)) == ()
    assert [one.text for one in readings(fix_of(conn="m"))] == ["mobile", ""]
    assert [one.component for one in readings(fix_of(conn="w"))] == ["connection"]
    battery = phone_feature("virtual:jane", "battery")
    assert (battery.external_id, battery.category, battery.type, battery.unit, battery.min, battery.max) == (
        "virtual:jane:battery", "battery", "integer", "percent", 0, 100,
    )  # fmt: skip
    assert phone_feature("virtual:jane", "wifi").textual
    assert not phone_feature("virtual:jane", "charging").textual
