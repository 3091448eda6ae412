"""plan(): pure, total, and the place where exposure is enforced."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gladys_companion.likeness import likely, nearest
from gladys_companion.model import (
    ANY_KEY,
    Device,
    Event,
    Feature,
    Kind,
    Plan,
    PlannedDelivery,
    RegistrySnapshot,
    Sender,
)
from gladys_companion.resolve import (
    GLADYS,
    GLADYS_API,
    GLADYS_DEVICES,
    INLINE,
    PRESENCE,
    SIGNALS,
    late_reason,
    once,
    plan,
)
from tests.home import BRIGHTNESS, LAMP, LOCK, NOTE, ON, PHONE
from tests.home import PRESENCE as SAYS_HOME

FEATURES = {feature.external_id: feature for feature in (SAYS_HOME, NOTE, ON, BRIGHTNESS, LOCK)}


def registry(**more: Any) -> RegistrySnapshot:
    return RegistrySnapshot(
        devices={PHONE.id: PHONE, LAMP.id: LAMP}, features=FEATURES, **{"targets": ("gladys",), **more}
    )


def event(external_id: str, value: float | None = 1.0, **more: Any) -> Event:
    return Event(
        **{
            "id": "e",
            "origin": "gateway",
            "at": 0.0,
            "received_at": 0.0,
            "deadline": 60.0,
            "boot": "b",
            "external_id": external_id,
            "value": value,
            "key": Sender("key-1"),
            **more,
        }
    )


def test_virtual_feature_needs_no_exposure() -> None:
    """A phone's own feature is addressed by its id, settled at once, and told to Gladys."""
    made = plan(event(SAYS_HOME.external_id), registry())
    assert [(one.target, one.state) for one in made.deliveries] == [("virtual", "verified"), ("gladys", "pending")]
    assert made.applies


@pytest.mark.parametrize(
    ("external_id", "more", "expected"),
    [
        (ON.external_id, {}, "unbound"),
        (ON.external_id, {"exposed": {ON.external_id: frozenset({ANY_KEY})}}, "planned"),
        (ON.external_id, {"exposed": {ON.external_id: frozenset({"key-1"})}}, "planned"),
        (ON.external_id, {"exposed": {ON.external_id: frozenset({"key-2"})}}, "unbound"),
        ("mqtt:lamp", {"aliases": {"mqtt:lamp": ON.external_id}}, "planned"),
        ("mqtt:lock", {"aliases": {"mqtt:lock": LOCK.external_id}}, "unbound"),
        (LOCK.external_id, {"exposed": {LOCK.external_id: frozenset({ANY_KEY})}}, "unbound"),
        (LOCK.external_id, {"exposed": {LOCK.external_id: frozenset({"key-1"})}}, "planned"),
    ],
)
def test_only_what_is_exposed_can_be_commanded(external_id: str, more: dict[str, Any], expected: str) -> None:
    """From outside: aliases and exposed features; locks only by a key of the home's own allow list."""
    assert plan(event(external_id), registry(**more)).state == expected


def test_lock_refuses_who_has_no_key_id() -> None:
    """An event of Gladys Plus, which names no key, opens no lock."""
    exposed = {LOCK.external_id: frozenset({ANY_KEY, "key-1"})}
    assert plan(event(LOCK.external_id, key=None), registry(exposed=exposed)).state == "unbound"


def test_from_inside_everything_can_be_commanded() -> None:
    """The user of the local API, and Gladys, command what is not exposed to phones."""
    assert plan(event(LOCK.external_id, origin="local"), registry()).state == "planned"


@pytest.mark.parametrize("origin", ["local", "gladys", "gateway"])
def test_what_a_device_only_tells_can_be_set_by_nobody(origin: str) -> None:
    """A typo must not run a scene: a sensor is what its device says, also for who may address it."""
    sensor = msgspec.structs.replace(ON, external_id="lamp:a1:temperature", writable=False)
    features = {**FEATURES, sensor.external_id: sensor}
    exposed = {sensor.external_id: frozenset({ANY_KEY})}
    known = msgspec.structs.replace(registry(exposed=exposed), features=features)
    made = plan(event(sensor.external_id, origin=origin), known)
    assert made.refusal is not None
    assert (made.state, made.refusal.status, made.refusal.code) == ("rejected", 422, "NOT_SETTABLE")
    assert plan(event(sensor.external_id, origin="lamp"), known).state == "planned"


def test_nearest_ids_are_only_those_this_key_may_address() -> None:
    """A 404 gives away no id that the key could not use."""
    assert nearest(registry(), "lamp:a1:on!", "key-1") == ()
    exposed = {ON.external_id: frozenset({"key-1"})}
    assert nearest(registry(exposed=exposed), "lamp:a1:on!", "key-1") == (ON.external_id,)
    assert nearest(registry(exposed=exposed), "lamp:a1:on!", "key-2") == ()
    assert nearest(registry(), "mqtt:my-phone-presense", None) == (SAYS_HOME.external_id,)
    assert nearest(registry(aliases={"mqtt:lamp": ON.external_id}), "mqtt:lampe", None) == ("mqtt:lamp",)


def test_what_an_unknown_id_may_mean_is_told_by_ids_and_names() -> None:
    """Whoever sent it, as it is the owner who is told; nothing is guessed of what is like nothing."""
    device = registry().devices[ON.device]
    assert likely(registry(), "lamp:a1:on!")[0] == ON.external_id
    assert ON.external_id in likely(registry(), f"{device.name} {ON.name}".lower())
    assert likely(registry(), "xyzzy-0000") == ()


def test_an_own_id_comes_before_an_alias() -> None:
    """An alias that was there before a device with that very id was found does not take its place, nor expose it."""
    aliases = {ON.external_id: SAYS_HOME.external_id}
    assert registry(aliases=aliases).feature(ON.external_id) == ON
    assert plan(event(ON.external_id), registry(aliases=aliases)).state == "unbound"


def test_a_report_never_goes_back_to_its_origin() -> None:
    """What the lamp tells of itself reaches Gladys, not the lamp; what Gladys says reaches the lamp, not Gladys."""
    assert [one.target for one in plan(event(ON.external_id, origin="lamp"), registry()).deliveries] == ["gladys"]
    assert [one.target for one in plan(event(ON.external_id, origin="gladys"), registry()).deliveries] == ["lamp"]


@pytest.mark.parametrize("value", [-1.0, 256.0])
def test_min_and_max_refuse_commands(value: float) -> None:
    """A command out of range is refused with the field; the device's own report is taken with a warning."""
    refused = plan(event(BRIGHTNESS.external_id, value, origin="local"), registry())
    assert refused.refusal is not None
    assert (refused.refusal.status, refused.refusal.data["field"]) == (422, "state")
    assert plan(event(BRIGHTNESS.external_id, value, origin="lamp"), registry()).warning


def test_numbers_are_written_out() -> None:
    """A person is told 100000000, and not 1e+08."""
    refused = plan(event(BRIGHTNESS.external_id, 1e8, origin="local"), registry())
    assert refused.refusal is not None
    assert refused.refusal.sentence.startswith(f"100000000 is above the most, {BRIGHTNESS.max:.0f} of ")


def test_out_of_range_history_is_taken_with_a_warning() -> None:
    """A state meant only for Gladys and history is delivered with a warning."""
    made = plan(event(SAYS_HOME.external_id, 7.0), registry())
    assert made.state == "planned"
    assert made.warning is not None


def test_text_needs_a_text_feature() -> None:
    """A text for a number is refused; a number for a text is its text."""
    refused = plan(event(SAYS_HOME.external_id, None, text="home"), registry())
    assert refused.refusal is not None
    assert refused.refusal.code == "INVALID_STATE"
    assert plan(event(NOTE.external_id, 4.0, text="4"), registry()).state == "planned"


THEIRS = Device(id="mqtt:phone-2", driver=GLADYS_DEVICES, name="Gladys' own")
SEEN = Feature(
    external_id="mqtt:seen", device=THEIRS.id, name="Seen", category="presence-sensor", type="binary", min=0, max=1
)
PLUG = Feature(
    external_id="mqtt:plug",
    device=THEIRS.id,
    name="Plug",
    category="switch",
    type="binary",
    min=0,
    max=1,
    writable=True,
)
BOLT = Feature(external_id="mqtt:bolt", device=THEIRS.id, name="Bolt", category="lock", type="binary", writable=True)
LOCKED = Feature(external_id="mqtt:locked", device=THEIRS.id, name="Locked", category="lock", type="state")


def with_theirs(**more: Any) -> RegistrySnapshot:
    """Return a registry with a device that Gladys has already."""
    return RegistrySnapshot(
        devices={PHONE.id: PHONE, LAMP.id: LAMP, THEIRS.id: THEIRS},
        **{
            "features": {**FEATURES, **{one.external_id: one for one in (SEEN, PLUG, BOLT, LOCKED)}},
            "targets": ("gladys", "other"),
            **more,
        },
    )


def targets(made: Plan) -> list[str]:
    return [one.target for one in made.deliveries]


def test_what_gladys_can_only_be_told_needs_no_exposure() -> None:
    """A phone's presence that was created in Gladys is news for Gladys and our history, and no command."""
    made = plan(event(SEEN.external_id), with_theirs())
    assert (made.state, targets(made), made.applies, made.warning) == ("planned", ["gladys", "other"], True, None)


def test_without_the_sink_it_is_said_that_gladys_was_not_told() -> None:
    """Who posts for a device of Gladys is not told that all went well where Gladys never hears of it."""
    made = plan(event(SEEN.external_id), with_theirs(targets=()))
    assert made.warning is not None
    assert "[sinks.gladys]" in made.warning
    assert plan(event(SAYS_HOME.external_id), with_theirs(targets=())).warning is None


@pytest.mark.parametrize(
    ("external_id", "more", "expected"),
    [
        (PLUG.external_id, {}, "unbound"),
        (PLUG.external_id, {"exposed": {PLUG.external_id: frozenset({ANY_KEY})}}, "planned"),
        ("my-plug", {"aliases": {"my-plug": PLUG.external_id}}, "planned"),
        (BOLT.external_id, {"exposed": {BOLT.external_id: frozenset({ANY_KEY})}}, "unbound"),
        (BOLT.external_id, {"exposed": {BOLT.external_id: frozenset({"key-1"})}}, "planned"),
        (LOCKED.external_id, {}, "unbound"),
        (LOCKED.external_id, {"exposed": {LOCKED.external_id: frozenset({"key-1"})}}, "planned"),
    ],
)
def test_what_gladys_can_command_is_exposed_as_any_other(external_id: str, more: dict[str, Any], expected: str) -> None:
    """That Gladys knows a plug does not let every phone switch it; locks want the key, also to be told of."""
    assert plan(event(external_id), with_theirs(**more)).state == expected


def test_gladys_devices_are_commanded_by_gladys_and_not_told_twice() -> None:
    """A command goes to Gladys' API only: told as a state too, Gladys would believe it before it is so."""
    made = plan(event(PLUG.external_id, origin="local"), with_theirs())
    assert (targets(made), made.applies) == ([GLADYS_DEVICES, "other"], False)
    refused = plan(event(PLUG.external_id, 2.0, origin="local"), with_theirs())
    assert refused.refusal is not None
    assert refused.refusal.code == "STATE_OUT_OF_RANGE"


@pytest.mark.parametrize("origin", [GLADYS_DEVICES, "gladys"])
@pytest.mark.parametrize("feature", [SEEN, PLUG, BOLT])
def test_what_gladys_says_of_its_own_devices_never_goes_back(origin: str, feature: Feature) -> None:
    """What its API and its broker tell of them is our history, and the end of it: else it would go round for ever."""
    made = plan(event(feature.external_id, 1.0, origin=origin), with_theirs())
    assert (targets(made), made.applies, made.warning) == (["other"], True, None)


def test_gladys_is_told_what_became_of_its_command_to_what_was_shared() -> None:
    """It waits for that, and shows a lamp as on when it is; of others it believes its own command."""
    assert targets(plan(event(ON.external_id, origin="gladys"), with_theirs())) == ["lamp", "other"]
    made = plan(event(ON.external_id, origin="gladys"), with_theirs(shared={LAMP.id: "rest"}))
    assert targets(made) == ["lamp", "gladys", "other"]
    note = msgspec.structs.replace(NOTE, writable=True)
    virtual = with_theirs(shared={PHONE.id: "rest"}, features={**FEATURES, note.external_id: note})
    assert targets(plan(event(NOTE.external_id, text="x", origin="gladys"), virtual)) == ["virtual", "gladys", "other"]
    told = plan(event(SAYS_HOME.external_id, origin="gladys"), with_theirs(shared={PHONE.id: "rest"}))
    assert "gladys" not in targets(told)


@given(
    feature=st.sampled_from([SEEN, PLUG, BOLT, LOCKED]),
    origin=st.sampled_from(["gateway", "local", "gladys", GLADYS_DEVICES, "lamp"]),
    key=st.none() | st.sampled_from(["key-1", "key-2"]).map(Sender),
    value=st.floats(-10, 10),
    exposed=st.sets(st.sampled_from([ANY_KEY, "key-1"])),
    alias=st.booleans(),
)
def test_gladys_hears_of_its_own_once_and_outside_commands_what_is_exposed(
    feature: Feature, origin: str, key: Sender | None, value: float, exposed: set[str], *, alias: bool
) -> None:
    """Whoever says what: never both ways to Gladys, never back to where it came from, never past the allow list."""
    aliases = {"mine": feature.external_id} if alias else {}
    registry = with_theirs(aliases=aliases, exposed={feature.external_id: frozenset(exposed)})
    made = plan(event("mine" if alias else feature.external_id, value, origin=origin, key=key), registry)
    gladys = {"gladys", GLADYS_DEVICES} & set(targets(made))
    assert len(gladys) <= 1
    assert not (gladys and origin in {"gladys", GLADYS_DEVICES})
    if origin == "gateway" and GLADYS_DEVICES in gladys:
        allowed = key is not None and key.id in exposed
        assert allowed or (not feature.sensitive and (alias or ANY_KEY in exposed))
        assert feature.min is None or feature.min <= value <= (feature.max or 0)


ANNA = Device(id="person:anna", driver=PRESENCE, name="Anna")
AT_HOME = Feature(
    external_id="person:anna:home", device=ANNA.id, name="At home", category="presence-sensor", type="binary"
)


def with_anna(**more: Any) -> RegistrySnapshot:
    """Return a registry with a person, and a sink for each way to Gladys."""
    return RegistrySnapshot(
        devices={PHONE.id: PHONE, ANNA.id: ANNA},
        **{
            "features": {**FEATURES, AT_HOME.external_id: AT_HOME},
            "targets": ("gladys", GLADYS_API),
            "witnesses": frozenset({SAYS_HOME.external_id, "mqtt:nfc"}),
            "signals": {"": frozenset({ANY_KEY})},
            **more,
        },
    )


@pytest.mark.parametrize(
    ("kind", "origin", "body", "expected"),
    [
        ("location", "gateway", None, [PRESENCE]),
        ("transition", "gateway", None, [PRESENCE]),
        ("location", "local", None, [PRESENCE]),
        ("location", PRESENCE, '{"gladys_user": "anna"}', [GLADYS_API]),
        ("presence", PRESENCE, '{"gladys_user": "anna", "state": "in"}', [GLADYS_API]),
        ("location", PRESENCE, '{"gladys_user": null}', []),
        ("presence", PRESENCE, "{}", []),
        ("message", "gateway", '{"text": "hello"}', [GLADYS_API]),
        ("signal", "gateway", None, [SIGNALS]),
        ("signal", SIGNALS, '{"scene": "cinema"}', [GLADYS_API]),
    ],
)
def test_each_kind_has_one_place_to_go(kind: Kind, origin: str, body: str | None, expected: list[str]) -> None:
    """What phones tell goes to presence, what it comes to goes to Gladys if it knows the person, each in its lane."""
    made = plan(event("", kind=kind, origin=origin, body=body), with_anna())
    assert [(one.target, one.lane) for one in made.deliveries] == [(name, name) for name in expected]
    assert (made.state, made.warning) == ("planned", None)


def test_without_gladys_a_message_is_kept_and_that_is_told() -> None:
    """Who sends a message hears that nobody got it; what presence makes of positions is no failure."""
    quiet = with_anna(targets=("gladys",))
    for kind, origin in (("message", "gateway"), ("signal", SIGNALS)):
        told = plan(event("", kind=kind, origin=origin), quiet)
        assert told.refusal is not None
        assert (told.refusal.status, told.refusal.code) == (501, "UNSUPPORTED_ACTION")
        assert "[sinks.gladys_api]" in told.refusal.sentence
    assert plan(event("", kind="presence", origin=PRESENCE, body='{"gladys_user": "anna"}'), quiet) == Plan(
        state="planned"
    )


@pytest.mark.parametrize(
    ("name", "origin", "key", "code"),
    [
        ("nfc:door", "gateway", Sender("key-9"), None),
        ("nfc:door", "gateway", None, None),
        ("nfc:safe", "gateway", Sender("key-1"), None),
        ("nfc:safe", "gateway", Sender("key-9"), "SIGNAL_NOT_FOUND"),
        ("nfc:safe", "gateway", None, "SIGNAL_NOT_FOUND"),
        ("nfc:safe", "local", None, None),
        ("nfc:other", "gateway", Sender("key-1"), "SIGNAL_NOT_FOUND"),
        ("nfc:other", "local", None, "SIGNAL_NOT_FOUND"),
        (None, "gateway", Sender("key-1"), "INVALID_FIELD"),
    ],
)
def test_a_signal_is_taken_where_it_does_something(
    name: str | None, origin: str, key: Sender | None, code: str | None
) -> None:
    """One without a table, or of a key that may not send it, is kept unbound; one without a name can never be used."""
    known = registry(signals={"nfc:door": frozenset({ANY_KEY}), "nfc:safe": frozenset({"key-1"})})
    sent = msgspec.structs.replace(event("", kind="signal", origin=origin, key=key), external_id=name)
    made = plan(sent, known)
    assert (made.refusal.code if made.refusal else None) == code
    assert targets(made) == ([] if code else [SIGNALS])
    assert made.state == {None: "planned", "SIGNAL_NOT_FOUND": "unbound"}.get(code, "rejected")


def test_states_never_go_to_the_api_of_gladys() -> None:
    """It has no route for them."""
    assert targets(plan(event(NOTE.external_id, text="x"), with_anna())) == ["virtual", "gladys"]


def test_a_feature_that_tells_where_somebody_is_tells_presence_too() -> None:
    """By its own id, and by an alias that a phone was given."""
    assert targets(plan(event(SAYS_HOME.external_id), with_anna())) == ["virtual", "gladys", PRESENCE]
    aliased = with_anna(aliases={"mqtt:nfc": NOTE.external_id})
    assert targets(plan(event("mqtt:nfc", text="x"), aliased))[-1] == PRESENCE


@pytest.mark.parametrize("origin", ["local", "gladys", "gateway"])
def test_nobody_is_said_to_be_home_by_hand(origin: str) -> None:
    """What is worked out from evidence can not be set, not even under an alias or exposed; presence itself may."""
    known = with_anna(exposed={AT_HOME.external_id: frozenset({ANY_KEY})})
    refused = plan(event(AT_HOME.external_id, origin=origin), known)
    assert refused.refusal is not None
    assert refused.refusal.code == "NOT_SETTABLE"
    assert plan(event(AT_HOME.external_id), with_anna()).state == "unbound"
    derived = plan(event(AT_HOME.external_id, origin=PRESENCE), known)
    assert (targets(derived), derived.applies) == (["gladys"], True)


def test_late_is_not_too_late_for_presence() -> None:
    """A text that comes late tells where somebody was, although Gladys can not be told any more."""
    told = event(NOTE.external_id)
    assert late_reason(PlannedDelivery(PRESENCE, PRESENCE), NOTE, told) is None
    assert late_reason(PlannedDelivery("gladys", "gladys"), NOTE, told)
    assert late_reason(PlannedDelivery(SIGNALS, SIGNALS), None, event("", kind="signal"))


@pytest.mark.parametrize("kind", ["location", "presence", "message", "signal"])
def test_what_is_late_is_too_late_for_the_api_of_gladys(kind: Kind) -> None:
    """It takes all for now, so that the past would move a person, or start a scene."""
    assert late_reason(PlannedDelivery(GLADYS_API, GLADYS_API), None, event("", kind=kind))


@pytest.mark.parametrize(
    ("kind", "body", "times"),
    [
        ("location", "{}", "again"),
        ("presence", '{"state": "in", "home": true}', "again"),
        ("presence", '{"state": "out", "home": true}', "once"),
        ("presence", '{"state": "in", "home": false}', "once"),
        ("presence", "garbage", "once"),
        ("presence", None, "once"),
        ("message", '{"text": "x"}', "once"),
        ("signal", '{"scene": "x"}', "once"),
    ],
)
def test_what_gladys_must_not_be_told_twice(kind: Kind, body: str | None, times: str) -> None:
    """Scenes and messages; to be at home twice is to be at home, and what can not be read is taken for a scene."""
    told = event("", kind=kind, origin=PRESENCE, body=body)
    assert once(GLADYS_API, told, None) is (times == "once")
    assert not once(PRESENCE, told, None)


@pytest.mark.parametrize(
    ("external_id", "more", "sinks", "expected"),
    [
        ("mqtt:of-gladys", {}, (), [INLINE]),
        (SAYS_HOME.external_id, {}, ("gladys",), ["virtual", INLINE]),
        ("mqtt:alias", {}, ("gladys",), ["virtual", "gladys", INLINE]),
        (ON.external_id, {}, ("gladys",), [INLINE]),
        (SAYS_HOME.external_id, {"value": None, "text": "no number"}, (), []),
        ("", {"kind": "location"}, (), [PRESENCE, INLINE]),
        ("nfc:door", {"kind": "signal"}, (), [SIGNALS, INLINE]),
        ("nfc:other", {"kind": "signal"}, (), [INLINE]),
        (None, {"kind": "signal"}, (), [INLINE]),
        (None, {"kind": "message", "body": '{"text": "x"}'}, (), [INLINE]),
        (None, {"kind": "message", "body": '{"text": "x"}'}, (GLADYS_API,), [GLADYS_API]),
    ],
)
def test_who_is_told_what_gladys_plus_sent(
    external_id: str | None, more: dict[str, Any], sinks: tuple[str, ...], expected: list[str]
) -> None:
    """Gladys, as Gladys Plus meant it to, and once under one id; also what is unknown here."""
    known = registry(
        targets=(*sinks, INLINE),
        signals={"nfc:door": frozenset({ANY_KEY})},
        aliases={"mqtt:alias": SAYS_HOME.external_id},
    )
    relayed = structs.replace(event("", relayed="{}", **more), external_id=external_id)
    assert targets(plan(relayed, known)) == expected
    assert INLINE not in targets(plan(structs.replace(relayed, relayed=None), known))


def test_the_test_of_a_phone_is_no_mistake() -> None:
    """It goes as far as Gladys and does nothing there, unless somebody gave its name a meaning."""
    test = event("companion-test", kind="signal")
    assert (plan(test, registry(targets=())).state, targets(plan(test, registry(targets=())))) == ("planned", [])
    assert targets(plan(test, registry(targets=(GLADYS_API, GLADYS)))) == [GLADYS, GLADYS_API]
    meant = registry(signals={"companion-test": frozenset({ANY_KEY})})
    assert targets(plan(test, meant)) == [SIGNALS]


def test_positions_are_given_to_gladys_once() -> None:
    """In-line, as they come; then what is made of them is not told by the API as well."""
    made = event("", kind="location", origin=PRESENCE, body='{"gladys_user": "anna"}')
    assert targets(plan(made, registry(targets=(GLADYS_API,)))) == [GLADYS_API]
    assert targets(plan(made, registry(targets=(GLADYS_API, INLINE)))) == []


@pytest.mark.parametrize(
    ("more", "late", "times"),
    [
        ({}, False, "again"),
        ({"value": None, "text": "x"}, True, "again"),
        ({"kind": "location"}, True, "again"),
        ({"kind": "signal"}, True, "once"),
        ({"kind": "message"}, True, "once"),
    ],
)
def test_what_is_late_or_once_for_gladys_in_line(more: dict[str, Any], *, late: bool, times: str) -> None:
    """Only a number has a history there; what acts is never done twice."""
    told = event("mqtt:of-gladys", **more)
    assert bool(late_reason(PlannedDelivery(INLINE, INLINE), None, told)) is late
    assert once(INLINE, told, None) is (times == "once")


ids = st.sampled_from([*FEATURES, "mqtt:lamp", "", "x" * 70_000, "a/b+c#", "é\u2028"]) | st.text()


@given(
    external_id=ids,
    value=st.none() | st.floats(),
    text=st.none() | st.text(),
    origin=st.sampled_from(["gateway", "local", "gladys", "lamp", "virtual"]),
    key=st.none() | st.sampled_from(["key-1", ""]).map(Sender),
    kind=st.sampled_from(["state", "location", "transition", "presence", "message", "signal"]),
    feature=st.sampled_from([*FEATURES.values()]),
)
def test_plan_is_total(
    external_id: str,
    value: float | None,
    text: str | None,
    origin: str,
    key: Sender | None,
    kind: Kind,
    feature: Feature,
) -> None:
    """Whatever comes, there is a plan, and what is refused says why."""
    made = plan(
        event(external_id, value, text=text, origin=origin, key=key, kind=kind),
        registry(aliases={"mqtt:lamp": feature.external_id}),
    )
    assert (made.state == "planned") == (made.refusal is None)
    assert made.refusal is None or (made.refusal.status in {404, 422, 501} and made.refusal.sentence)
