"""What HomeKit's services and characteristics mean to Gladys, and back."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from aiohomekit.model.characteristics import CharacteristicsTypes as Of
from aiohomekit.model.services import ServicesTypes as Kinds
from hypothesis import given
from hypothesis import strategies as st
from zeroconf import DNSPointer, DNSService, DNSText, Zeroconf  # type: ignore[attr-defined]  # not in its __all__
from zeroconf.const import _CLASS_IN, _TYPE_PTR, _TYPE_SRV, _TYPE_TXT

from gladys_companion.drivers.homekit._accessories import Characteristic, accessories, answered, number, pushed, shown
from gladys_companion.drivers.homekit._announced import SERVICE, Announced, announced
from gladys_companion.drivers.homekit._judged import elsewhere, refused
from gladys_companion.drivers.homekit._pairing import MEMBERS, identity, kept, pin_of, to_keep
from gladys_companion.drivers.homekit._part import Part, feature, fitting, range_of
from gladys_companion.drivers.homekit._parts import ROWS, parts
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Device

NONSENSE: tuple[Any, ...] = (None, -1, 1e300, "x", "", [], [[]], {}, {"a": 1}, 2**63, True)
LAMP = Device(id="homekit:a8032ab12345", driver="homekit", name="Lamp", address="fe80::1%eth0", port=80)


def characteristic(iid: int, type_: str, value: object = None, **more: object) -> dict[str, Any]:
    return {"type": type_, "iid": iid, "perms": ["pr", "pw", "ev"], "value": value} | more


def service(iid: int, type_: str, *characteristics: dict[str, Any]) -> dict[str, Any]:
    return {"type": type_, "iid": iid, "characteristics": list(characteristics)}


def about(name: str) -> dict[str, Any]:
    return service(1, "3E", characteristic(2, "23", name, format="string"))


def bulb(**bounds: object) -> dict[str, Any]:
    return service(
        8,
        "43",
        characteristic(9, "25", value=False, format="bool"),
        characteristic(10, "8", 50, format="int", minValue=0, maxValue=100, minStep=1),
        characteristic(11, "13", 0, format="float", minValue=0, maxValue=360, minStep=1),
        characteristic(12, "2F", 0, format="float", minValue=0, maxValue=100, minStep=1),
        characteristic(13, "CE", 200, format="int", **(bounds or {"minValue": 153, "maxValue": 400})),
    )


def told(*of: list[dict[str, Any]]) -> bytes:
    return json.dumps({"accessories": [{"aid": aid, "services": one} for aid, one in enumerate(of, 1)]}).encode()


def parts_of(*of: list[dict[str, Any]]) -> dict[str, Part]:
    return parts(accessories(told(*of)))


def values_of(*of: list[dict[str, Any]]) -> dict[tuple[int, int], Any]:
    return {
        (one.aid, each.iid): each.value
        for one in accessories(told(*of))
        for service_ in one.services
        for each in service_.characteristics
    }


def test_a_lamp_is_four_features() -> None:
    """Each has its category, type, unit and range; the bounds are the lamp's own where it tells some."""
    found = [feature(LAMP, part) for part in parts_of([about("Lamp"), bulb()]).values()]
    assert [(one.external_id, one.name, one.type, one.unit, one.min, one.max, one.writable) for one in found] == [
        ("homekit:a8032ab12345:1.9", "On", "binary", None, 0, 1, True),
        ("homekit:a8032ab12345:1.10", "Brightness", "brightness", "percent", 0, 100, True),
        ("homekit:a8032ab12345:1.11.color", "Color", "color", None, 0, 0xFFFFFF, True),
        ("homekit:a8032ab12345:1.13", "Color temperature", "temperature", None, 153, 400, True),
    ]
    assert {one.category for one in found} == {"light"}


@given(st.integers(0, 0xFFFFFF))
def test_every_color_is_told_as_it_was_meant(color: int) -> None:
    """Though degrees and percent can not say all 24 bits, a colour does not come back as another one; black is off."""
    part = parts_of([bulb()])["1.11.color"]
    values = values_of([bulb()])
    assert part.command is not None
    command = part.command(color, values)
    after = values | {**command.writes, **command.presumed}
    assert part.value(after) == color
    assert after[1, 9] is (color != 0)


@given(st.integers(0, 360), st.integers(0, 100))
def test_every_hue_is_a_color(hue: int, saturation: int) -> None:
    """What a hand chose is told as the brightest colour of that hue, and can be commanded back to the same."""
    part = parts_of([bulb()])["1.11.color"]
    values = values_of([bulb()]) | {(1, 9): True, (1, 11): hue, (1, 12): saturation}
    color = int(part.value(values) or 0)
    assert max(color >> 16, color >> 8 & 255, color & 255) == 255
    assert part.command is not None
    command = part.command(color, values)
    if saturation > 20:  # the paler, the less the hue counts
        assert abs((number(command.writes[1, 11]) or 0) % 360 - hue % 360) in {0, 1, 359}
    assert abs((number(command.writes[1, 12]) or 0) - saturation) <= 1


def test_a_lamp_is_turned_on_by_brightness_only_if_it_is_off() -> None:
    """What is so already is not written again: some lamps flicker."""
    part = parts_of([bulb()])["1.10"]
    assert part.command is not None
    assert part.command(30, {(1, 9): False}).writes == {(1, 9): True, (1, 10): 30}
    assert part.command(30, {(1, 9): True}).writes == {(1, 10): 30}
    assert part.command(0, {(1, 9): True}).writes == {(1, 9): False}


def test_names_tell_which_it_is() -> None:
    """The accessory's name where there are several, the service's own, the number beside a button; never one twice."""
    button = service(8, "89", characteristic(9, "73", format="uint8"), characteristic(10, "CB", 2))
    fan = service(20, "40", characteristic(21, "25", value=False), characteristic(22, "23", "Ceiling fan"))
    strip = [about("Strip"), service(8, "47", characteristic(9, "25")), service(12, "47", characteristic(13, "25"))]
    found = parts_of([about("Bridge")], [about("Remote"), button], strip, [about("Ceiling"), fan])
    assert [part.name for part in found.values()] == [
        "Remote Button 2",
        "Strip Switch",
        "Strip Switch 2",
        "Ceiling fan Switch",
    ]
    assert [part.name for part in parts_of(strip).values()] == ["Switch", "Switch 2"]


@pytest.mark.parametrize("type_", sorted(ROWS))
def test_every_row_is_a_feature(type_: str) -> None:
    """Each characteristic of the table makes one feature, which is written only where Gladys commands it."""
    writable = {Of.ON, Of.TEMPERATURE_TARGET, Of.HEATING_COOLING_TARGET}
    (part,) = parts_of([service(8, Kinds.OUTLET, characteristic(9, type_, 1, format="float"))]).values()
    assert part.component == "1.9"
    assert part.value({(1, 9): 1}) == (0 if type_ == Of.CONTACT_STATE else 1)
    assert part.value({(1, 9): None}) is None
    assert (part.command is not None) == (type_ in writable)


@pytest.mark.parametrize("perms", [[], ["pw"], ["ev"], ["pr", "hd"]])
def test_what_can_not_be_read_is_no_feature(perms: list[str]) -> None:
    """A characteristic that hides, or is write-only, is left alone; so is one that nobody may write commanded."""
    services = [
        service(
            8, kind, *(characteristic(100 + number, type_, 0) | {"perms": perms} for number, type_ in enumerate(types))
        )
        for kind, types in (
            ("43", ["25", "8", "13", "2F", "CE"]),
            ("45", ["1D", "1E"]),
            ("41", ["E", "32"]),
            ("8C", ["6D", "7C", "72"]),
            ("8A", ["11"]),
        )
    ]
    assert parts_of(services) == {}


def test_what_is_only_readable_is_not_writable() -> None:
    """Where an accessory does not let itself be commanded, no feature says that it does."""
    lock = service(8, "45", characteristic(9, "1D", 1, perms=["pr"]), characteristic(10, "1E", 1, perms=["pr"]))
    assert [part.command for part in parts_of([lock]).values()] == [None]


@pytest.mark.parametrize(
    ("current", "value"), [(0, 0), (1, 1), (2, 0), (3, None), (9, None), (True, None), ("1", None)]
)
def test_a_lock_is_locked_only_where_that_is_known(current: object, value: float | None) -> None:
    """Jammed is not locked, and unknown is not told."""
    lock = service(8, "45", characteristic(9, "1D", 1), characteristic(10, "1E", 1))
    (part,) = parts_of([lock]).values()
    assert part.value({(1, 9): current}) == value


@pytest.mark.parametrize(
    ("current", "way", "closed"),
    [(0, 1, 0), (1, -1, 1), (2, 1, 0), (3, -1, 0), (4, 0, 0), (5, None, None), ("x", None, None)],
)
def test_a_garage_door_says_where_it_goes_and_whether_it_is_closed(
    current: object, way: float | None, closed: float | None
) -> None:
    """A closing door closes, and is not closed."""
    door, opening = parts_of([service(8, "41", characteristic(9, "E", 1), characteristic(10, "32", 1))]).values()
    assert (door.category, opening.category) == ("garage-door", "opening-sensor")
    assert door.value({(1, 9): current}) == way
    assert opening.value({(1, 9): current}) == closed


@pytest.mark.parametrize(
    ("at", "to", "moves", "position", "way"),
    [
        (0, 0, 2, 0, -1),
        (100, 100, 2, 100, 1),
        (40, 40, 2, 40, 0),
        (40, 100, 1, 100, 1),
        (40, 0, 0, 0, -1),
        (40, 100, 2, 40, 0),  # stopped on its way
        (40, None, 1, 40, 0),
        (None, 100, 1, 100, None),
        (40, 100, [], 40, 0),
    ],
)
def test_a_cover_is_where_it_goes(
    at: object, to: object, moves: object, position: float | None, way: float | None
) -> None:
    """While it moves that is its target; otherwise where it is."""
    of = service(8, "8C", characteristic(9, "6D", 0), characteristic(10, "7C", 0), characteristic(11, "72", 2))
    one, two = parts_of([of]).values()
    assert {one.category, two.category} == {"shutter"}
    values = {(1, 9): at, (1, 10): to, (1, 11): moves}
    assert (one.value(values), two.value(values)) == (position, way)


def test_a_door_is_guarded_as_a_garage_door() -> None:
    """Whoever opens it comes in, so it is of a category that only named keys may command."""
    found = parts_of([service(8, "81", characteristic(9, "6D", 0), characteristic(10, "7C", 0))])
    assert [part.category for part in found.values()] == ["garage-door", "garage-door"]
    assert all(feature(LAMP, part).sensitive for part in found.values())


def test_a_cover_holds_where_it_can() -> None:
    """With a characteristic to hold, stop is that; and it is taken to stand."""
    of = service(
        8, "8C", characteristic(9, "6D", 0), characteristic(10, "7C", 0), characteristic(12, "6F", format="bool")
    )
    _, way = parts_of([of]).values()
    assert way.command is not None
    assert way.command(0, {(1, 9): 30}).writes == {(1, 12): True}


def test_a_cover_that_does_not_say_where_it_is_can_not_be_stopped() -> None:
    """There is nowhere to send it."""
    _, way = parts_of([service(8, "8C", characteristic(9, "6D"), characteristic(10, "7C"))]).values()
    assert way.command is not None
    with pytest.raises(Rejected, match="does not say where it is"):
        way.command(0, {})


@pytest.mark.parametrize("raw", [0, 1, 2])
def test_presses_are_counted_as_gladys_counts_them(raw: int) -> None:
    """Click, double click and long click are 1, 2 and 3."""
    (part,) = parts_of([service(8, "89", characteristic(9, "73"))]).values()
    assert part.press is not None
    assert part.press(raw) == raw + 1
    others: tuple[object, ...] = (None, True, 3, -1, "0", [])
    assert [part.press(other) for other in others] == [None] * 6


@pytest.mark.parametrize(
    ("told_", "limits"),
    [
        ({"format": "bool"}, (0, 1)),
        ({"least": 5, "most": 30}, (5, 30)),
        ({"least": 5}, (5, 38)),
        ({"least": 30, "most": 5}, (10, 38)),
        ({"least": "x", "most": []}, (10, 38)),
        ({"least": -1e300, "most": 1e300}, (10, 38)),
        ({"valid": [0, 1, 3]}, (0, 3)),
        ({"valid": []}, (10, 38)),
        ({"valid": "x"}, (10, 38)),
    ],
)
def test_ranges(told_: dict[str, Any], limits: tuple[float, float]) -> None:
    """What an accessory says counts while it makes sense."""
    assert range_of(Characteristic(type="x", iid=1, **told_), (10, 38)) == limits


@pytest.mark.parametrize(
    ("told_", "wanted", "written"),
    [
        ({"format": "bool"}, 1, True),
        ({"format": "uint8"}, 2.6, 3),
        ({"format": "float", "step": 0.5}, 20.26, 20.5),
        ({"format": "float", "step": 0.1}, 19.96, 20.0),
        ({"format": "float", "step": 0.1}, 20.1, 20.1),
        ({"format": "float"}, 20.123, 20.123),
        ({"format": "float", "step": 7}, 38, 38.0),
        ({"format": "float", "step": 1e-300}, 11.5, 11.5),
        ({"format": "int", "step": -1}, 11.5, 12),
        ({"format": "uint8", "valid": [10, 20]}, 20, 20),
    ],
)
def test_what_is_written_is_the_nearest_that_it_can_have(told_: dict[str, Any], wanted: float, written: float) -> None:
    """Steps count from the least, and a type of HomeKit is kept: true is not 1."""
    limits = (0, 1) if told_["format"] == "bool" else (10.0, 38.0)
    if told_["format"] == "uint8" and wanted < 10:
        limits = (0, 10)
    found = fitting(Characteristic(type="x", iid=1, **told_), wanted, limits)
    assert found == written
    assert type(found) is type(written)


@pytest.mark.parametrize("wanted", [9.9, 38.1, float("nan"), float("inf"), -float("inf")])
def test_what_is_beyond_is_rejected(wanted: float) -> None:
    """With the range in the sentence."""
    with pytest.raises(Rejected, match="It can be from 10 to 38, not"):
        fitting(Characteristic(type="x", iid=1, format="float"), wanted, (10, 38))


def test_a_mode_that_a_thermostat_lacks_is_rejected() -> None:
    """The sentence lists those that it has."""
    one = Characteristic(type=Of.HEATING_COOLING_TARGET, iid=1, format="uint8", valid=[0, 1, 3])
    with pytest.raises(Rejected, match="It can be 0, 1, 3, not 2"):
        fitting(one, 2, (0, 3))


def test_the_newest_of_an_event_is_its_first() -> None:
    """hap-nodejs lists the newest first, as Apple reads it; presses keep their order in time."""
    body = b'{"characteristics":[{"aid":1,"iid":9,"value":1},{"aid":1,"iid":9,"value":3}]}'
    assert [one.value for one in pushed(body)] == [3, 1]


def test_a_status_for_all_is_one_for_each() -> None:
    """An accessory may say once what is wrong with everything that was asked."""
    assert {id_: one.status for id_, one in answered(b'{"status":-70402}', [(1, 2), (1, 3)]).items()} == {
        (1, 2): -70402,
        (1, 3): -70402,
    }
    assert answered(b'{"characteristics":[{"aid":1,"iid":2,"value":5,}]}')[1, 2].value == 5  # with a comma too many


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"3", b'{"accessories":3}', b'{"accessories":[{"services":[]}]}', b"\xff"]
)
def test_what_is_no_database_is_a_value_error(body: bytes) -> None:
    """One kind of error for all."""
    with pytest.raises(ValueError, match=r".+"):
        accessories(body)


def test_any_member_may_be_nonsense() -> None:
    """Whatever stands in place of a member, it is an error of value, or parts that can be read and commanded."""
    lock = service(30, "45", characteristic(31, "1D", 1), characteristic(32, "1E", 1))
    blind = service(40, "8C", characteristic(41, "6D", 1), characteristic(42, "7C", 1), characteristic(43, "72", 1))
    button = service(50, "89", characteristic(51, "73"), characteristic(52, "CB", 1))
    door = service(60, "41", characteristic(61, "E", 1), characteristic(62, "32", 1))
    heat = service(70, "4A", characteristic(71, "35", 20, **{"minStep": 0.5, "valid-values": [19, 20]}))
    truth = json.loads(told([about("All"), bulb(), lock, blind, button, door, heat]))
    outcomes = set()
    for path in _paths(truth):
        for value in NONSENSE:
            body = json.dumps(_replaced(truth, path, value)).encode()
            try:
                of = parts(accessories(body))
            except ValueError:
                outcomes.add("refused")
                continue
            outcomes.add("taken")
            given_ = {
                (one.aid, each.iid): each.value
                for one in accessories(body)
                for service_ in one.services
                for each in service_.characteristics
            }
            for part in of.values():
                assert isinstance(part.value(given_), int | float | None)
                for wanted in (part.range[0], part.range[1], 0.3, -7.0):
                    try:
                        _ = part.command and part.command(wanted, given_)
                    except Rejected:
                        outcomes.add("rejected")
    assert outcomes == {"refused", "taken", "rejected"}


def _paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, member in members for found in _paths(member, (*path, key)))]


def _replaced(answer: object, path: tuple[str | int, ...], value: object) -> object:
    if not path:
        return value
    changed: Any = copy.deepcopy(answer)
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    return changed


@pytest.mark.parametrize(
    ("written", "pin"),
    [("031-45-154", "031-45-154"), ("03145154", "031-45-154"), (" 0 3145 154\n", "031-45-154")]
    + [(bad, None) for bad in ("", "0314515", "031451544", "0314515a", "٠٣١٤٥١٥٤", "031_45_154")],
)
def test_pins(written: str, pin: str | None) -> None:
    """Eight digits, whatever stands between them; no other signs for digits."""
    assert pin_of(written) == pin


def test_a_pairing_is_kept_as_it_was() -> None:
    """Nothing but its members, and what is missing some can not be read."""
    pairing = dict.fromkeys(MEMBERS, "00") | {"AccessoryPairingID": "A8:03:2A:B1:23:45"}
    assert kept(to_keep(pairing | {"Connection": "IP"})) == pairing
    assert identity(pairing) == "a8032ab12345"
    assert kept(to_keep(pairing)[:-2]) is None
    assert kept(b'{"AccessoryPairingID": "A8:03:2A:B1:23:45"}') is None


@pytest.mark.parametrize(
    ("status", "kind"), [(-70402, Unavailable), (-70410, Rejected), (70410, Rejected), (5, Unavailable)]
)
def test_statuses_say_whether_to_try_again(status: int, kind: type[Exception]) -> None:
    """What may pass is tried again, and so is what HomeKit does not know; some accessories forget the sign."""
    error = refused(LAMP, status)
    assert isinstance(error, kind)
    assert f"(status {status})." in str(error)
    assert "Lamp ([fe80::1%eth0]:80) did not do it" in str(error)


def test_somebody_elses_is_told_with_what_to_do() -> None:
    """The sentence names who it may be, and the command."""
    assert elsewhere(LAMP).endswith("then `gladys-companion devices pair homekit:a8032ab12345`, with the PIN on it.")


@pytest.mark.parametrize(
    ("txt", "says"),
    [
        ({"sf": "1", "ff": "0"}, Announced(unpaired=True)),
        ({"sf": "0", "ff": "1"}, Announced(unpaired=False, certified=True)),
        ({"sf": "5", "ff": "2"}, Announced(unpaired=True)),
        ({}, Announced()),
        ({"sf": "x", "ff": "9999"}, Announced()),
    ],
)
def test_what_is_announced_of_a_pairing(txt: dict[str, str], says: Announced) -> None:
    """The flags of the one with this id, among others that announce nonsense."""
    zeroconf = Zeroconf(interfaces=["127.0.0.1"])
    try:
        for name, entries in (("bad", {}), ("no.such", {"id": "x"}), ("lamp", {"id": "A8:03:2A:B1:23:45"} | txt)):
            full = f"{name}.{SERVICE}"
            text = b"".join(bytes((len(pair),)) + pair for pair in (f"{k}={v}".encode() for k, v in entries.items()))
            zeroconf.cache.async_add_records(
                [
                    DNSPointer(SERVICE, _TYPE_PTR, _CLASS_IN, 4500, full),
                    DNSService(full, _TYPE_SRV, _CLASS_IN, 4500, 0, 0, 80, "x.local."),
                    DNSText(full, _TYPE_TXT, _CLASS_IN, 4500, text),
                ]
            )
        assert announced(zeroconf, "a8032ab12345") == says
        assert announced(zeroconf, "020000000001") == Announced()
    finally:
        zeroconf.close()


@pytest.mark.parametrize(
    ("raw", "text"), [("  Lamp\x00\u202e ", "Lamp"), ("x" * 99, "x" * 60), (None, ""), (3, ""), ([], "")]
)
def test_names_are_fit_to_be_shown(raw: object, text: str) -> None:
    """No control or direction marks, at most 60 characters, and what is no text is none."""
    assert shown(raw) == text
