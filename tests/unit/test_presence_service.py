"""Presence at home: what phones post becomes positions, decisions, features and events, once, also over a restart."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gladys_companion.config import PersonOptions, PhoneOptions, Presence, Retention
from gladys_companion.model import Delivery
from gladys_companion.presence.replies import tracker_ids
from gladys_companion.protocol.fixes import Fix
from gladys_companion.protocol.owntracks import Encrypted
from gladys_companion.protocol.owntracks.box import open_envelope, seal
from gladys_companion.store import people, whereabouts
from gladys_companion.store.history import prune
from gladys_companion.store.people import Person, StoredZone
from gladys_companion.store.trace import trace
from tests.home import NOTE, PRESENCE, SetClock
from tests.presence_home import AWAY, CONFIG, HOME, Post, open_presence


async def test_a_phone_comes_home_and_leaves(tmp_path: Path) -> None:
    """Dwells and reasons are the engine's; the person's features, decisions and positions follow it."""
    async with open_presence(tmp_path) as track:
        receipt = await track.at(AWAY)
        assert (receipt.status, receipt.outcome) == (200, "delivered")
        await track.later(61)
        assert await track.states() == ["out"]
        assert await track.values("person:anna:home", "person:anna:zone") == [0.0, "Work"]
        await track.later(600)
        await track.at(HOME)
        await track.later(11)
        assert await track.states() == ["out", "in"]
        assert await track.values("person:anna:home", "person:anna:zone") == [1.0, "Home"]
        await track.later(600)
        await track.at(AWAY)
        assert await track.values("person:anna:home") == [1.0]
        await track.later(61)
        decided = (await track.decided())[-1]
        assert (decided.state, decided.late) == ("out", False)
        assert decided.reason.startswith("away since 22:34: 1112 m from home (exit radius 200 m)")
        assert await track.values("person:anna:home", "person:anna:zone") == [0.0, "Work"]


async def test_the_phone_gets_features_at_its_first_message(tmp_path: Path) -> None:
    """Battery, charging, connection and Wi-Fi are features of its device, told as events that Gladys hears of."""
    async with open_presence(tmp_path, sinks=["gladys"]) as track:
        await track.at(HOME, batt=81, bs=2, conn="w", SSID="our wifi")
        wanted = [f"phone:iphone:{part}" for part in ("battery", "charging", "connection", "wifi")]
        assert await track.values(*wanted) == [81.0, 1.0, "wifi", "our wifi"]
        device = track.home.registry.snapshot.devices["phone:iphone"]
        assert (device.driver, device.name) == ("virtual", "iphone")
        told = {one.event.external_id for one in track.home.gladys.got}
        assert told >= set(wanted)


async def test_what_comes_of_it_is_told_to_gladys(tmp_path: Path) -> None:
    """A position and a decision are events with a cause, on their way to Gladys' API."""
    async with open_presence(tmp_path, sinks=["gladys_api"]) as track:
        receipt = await track.at(HOME, alt=35)
        await track.later(11)
        [located] = await track.derived("location")
        assert located["gladys_user"] == "anna"
        assert (located["latitude"], located["longitude"], located["altitude"]) == (*HOME, 35)
        bodies = {body["zone"]: body for body in await track.derived("presence")}
        assert (bodies["home"]["state"], bodies["home"]["before"], bodies["home"]["home"]) == ("in", "unknown", True)
        assert bodies["home"]["evidence"] == [receipt.id]
        causes = await track.home.rows("SELECT DISTINCT cause FROM events WHERE origin = 'presence'")
        assert causes == [(receipt.id,)]
        await track.home.gladys.count(2)
        assert {one.event.kind for one in track.home.gladys.got} == {"location", "presence"}


async def test_a_position_is_counted_once(tmp_path: Path) -> None:
    """The same fix with another battery, and under another event, adds nothing and is told so."""
    async with open_presence(tmp_path) as track:
        await track.at(HOME, batt=80)
        again = await track.at(HOME, batt=79)
        assert await track.home.rows("SELECT count(*) FROM positions") == [(1,)]
        assert await track.reason(again) == "known already: it was sent before"
        assert await track.values("phone:iphone:battery") == [80.0]


async def test_a_queue_that_is_flushed_is_history(tmp_path: Path) -> None:
    """Hours of points at once: what was decided long ago is late, and moves the person's features all the same."""
    async with open_presence(tmp_path, sinks=["gladys"]) as track:
        await track.at(HOME)
        await track.later(60)
        arrived = len(await track.home.gladys.count(2))
        await track.later(4 * 3600)
        for ago, where in ((3 * 3600, AWAY), (2.9 * 3600, AWAY), (1800, HOME), (1700, HOME)):
            await track.at(where, ago)
        decided = await track.decided()
        assert [(one.state, one.late) for one in decided] == [("in", False), ("out", True), ("in", True)]
        assert await track.values("person:anna:home") == [1.0]
        last = (await track.home.rows("SELECT value_at FROM features WHERE external_id = 'person:anna:home'"))[0][0]
        assert last >= track.now() - 1800
        await track.home.gladys.count(arrived + 2)
        late = [one for one in track.home.gladys.got if one.event.external_id == "person:anna:home" and one.late]
        assert [one.event.value for one in late] == [0.0, 1.0]


async def test_what_is_learnt_of_the_past_is_not_what_is_so_now(tmp_path: Path) -> None:
    """A leave that comes late and that newer evidence contradicts is history: the feature says what is believed."""
    async with open_presence(tmp_path) as track:
        began = track.now()

        async def crossing(event: str, ago: float) -> None:
            await track.post({"_type": "transition", "event": event, "desc": "home", "tst": began - ago})

        await track.at(HOME, 542, acc=0)
        await track.at(AWAY, 4, acc=60)
        await crossing("enter", 0)
        await track.at(AWAY, 544)
        await crossing("leave", 149)
        assert [one.state for one in await track.decided()] == ["in", "out"]
        assert await track.values("person:anna:home", "person:anna:zone") == [1.0, "Home"]


async def test_silence_is_unknown_and_never_away(tmp_path: Path) -> None:
    """After half a day without a word nobody knows; the feature home stays, and the zone says unknown."""
    async with open_presence(tmp_path) as track:
        await track.at(HOME)
        await track.later(60)
        await track.later(43_200)
        assert await track.states() == ["in", "unknown"]
        assert await track.values("person:anna:home", "person:anna:zone") == [1.0, "unknown"]


async def test_a_restart_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    """A dwell that ends while the program is down is decided when it opens, before anything is delivered."""
    clock = SetClock()
    async with open_presence(tmp_path, clock=clock) as track:
        await track.at(HOME)
        await track.later(30)
        await track.at(AWAY)
        assert await track.states() == ["in"]
    clock.pass_by(70)
    async with open_presence(tmp_path, clock=clock) as track:
        assert await track.states() == ["in", "out"]
        assert await track.values("person:anna:home") == [0.0]


async def test_the_gateways_clock_is_the_one_that_counts(tmp_path: Path) -> None:
    """A Pi whose clock is years behind judges a phone's time by the gateway's, and dwells by it too."""
    async with open_presence(tmp_path) as track:
        track.gateway_ahead = 5 * 365 * 86_400
        track.home.presence.time.set(track.now())
        await track.at(HOME)
        await track.later(11)
        [decided] = await track.decided()
        assert decided.state == "in"
        assert not decided.late
        assert decided.since == track.now() - 11


async def test_a_leave_that_names_its_zone_is_evidence(tmp_path: Path) -> None:
    """A transition moves its zone only."""
    async with open_presence(tmp_path) as track:
        body = {"_type": "transition", "event": "enter", "desc": "Home", "tst": track.now()}
        receipt = await track.post(body)
        await track.later(11)
        assert receipt.outcome == "delivered"
        assert (await track.states(), await track.states(zone="work")) == (["in"], [])
        rows = await track.home.rows("SELECT kind FROM events WHERE id = ?", receipt.id)
        assert rows == [("transition",)]


async def test_a_feature_says_that_somebody_is_home(tmp_path: Path) -> None:
    """As in the documentation of Gladys Plus: a phone posts 1 when it comes home and 0 when it leaves."""
    async with open_presence(tmp_path) as track:
        home = track.home
        for value, expected in ((1.0, ["in"]), (0.0, ["in", "out"])):
            event = home.event(PRESENCE.external_id, value)
            receipt = await home.intake.submit(event)
            assert {one.target for one in receipt.targets} == {"virtual", "presence"}
            await home.settled(event.id, "presence", "delivered")
            await track.later(61)
            assert await track.states("bob") == expected
        reason = (await track.decided("bob"))[-1].reason
        assert reason.startswith("away since 22:14: told to be outside home")


async def test_a_feature_names_the_wifi_that_a_phone_is_in(tmp_path: Path) -> None:
    """The name of a network of home is being there; any other name says nothing, and moves nobody."""
    own = {"bob": PersonOptions(phones={"pixel": PhoneOptions(user="bob", features=(NOTE.external_id,))})}
    async with open_presence(tmp_path, config=msgspec.structs.replace(CONFIG, people=own)) as track:
        for text in ("our wifi", "their wifi"):
            event = track.home.event(NOTE.external_id, text=text)
            await track.home.intake.submit(event)
            await track.home.settled(event.id, "presence", "delivered")
            await track.later(61)
            assert await track.states("bob") == ["in"]
        receipt = await track.home.intake.submit(event)
        assert (await track.reason(receipt) or "").startswith("it says nothing of where anybody is")


@pytest.mark.parametrize("stored", [b"{", b'{"person":"anna","version":99}'])
async def test_what_can_not_be_read_is_begun_anew(tmp_path: Path, stored: bytes) -> None:
    """A state of another version, or one that is damaged, keeps the home from nothing."""
    clock = SetClock()
    async with open_presence(tmp_path, clock=clock) as track:
        await track.at(HOME)
        await track.later(60)
        await track.home.store.write(
            lambda database: database.conn.execute("UPDATE presence SET state = ? WHERE person = 'anna'", (stored,))
        )
    async with open_presence(tmp_path, clock=clock) as track:
        await track.at(HOME)
        await track.later(60)
        assert (await track.states())[-1] == "in"


async def test_a_device_of_the_phone_that_answers_is_at_home(tmp_path: Path) -> None:
    """That it was met on the network shows where it is; that it answers no more says nothing."""
    phones = {"iphone": PhoneOptions(user="anna", devices=("lamp:a1",))}
    config = msgspec.structs.replace(CONFIG, people={"anna": PersonOptions(phones=phones)})
    async with open_presence(tmp_path, config=config) as track:
        registry, clock = track.home.registry, track.home.clock
        await registry.seen("lamp:a1", host=None, address="127.0.0.1", port=80, at=clock.now())
        await track.later(0)
        await track.later(11)
        assert await track.states() == ["in"]
        await registry.away("lamp:a1", clock.now())
        await track.later(3600)
        assert await track.states() == ["in"]
        assert (await track.decided())[0].reason.startswith("home since 22:13: met on the network of home")


async def test_a_phone_that_nobody_announced_is_kept_until_somebody_says_whose_it_is(tmp_path: Path) -> None:
    """Its positions move nobody, its sender is told why, and they count once it is somebody's."""
    async with open_presence(tmp_path) as track:
        receipt = await track.at(AWAY, ago=120, user="carl", device="old", batt=50)
        assert receipt.outcome == "rejected"
        assert "'carl-old'" in (await track.reason(receipt) or "")
        assert await track.values("phone:carl-old:battery") == [50.0]
        phone = track.home.presence.books.phones["carl-old"]
        assert (phone.person, phone.origin) == (None, "seen")
        carl = Person(id="carl", name="Carl")
        await track.home.presence.change(lambda database: people.put_person(database, carl))
        assert track.home.presence.books.phones["carl-old"].person == "carl"
        [(again,)] = await track.home.rows("SELECT id FROM events WHERE cause = ? AND kind = 'location'", receipt.id)
        await track.home.settled(again, "presence", "delivered")
        await track.later(1)
        assert await track.states("carl") == ["out"]
        assert await track.home.rows("SELECT count(*) FROM kept") == [(0,)]


async def test_a_phone_that_is_said_to_be_nobodys_waits_for_nobody(tmp_path: Path) -> None:
    """Who lends a tablet to guests is not asked again whose it is; nothing is kept for it."""
    async with open_presence(tmp_path) as track:
        await track.at(AWAY, user="guest", device="tablet")
        phone = msgspec.structs.replace(track.home.presence.books.phones["guest-tablet"], origin="user")
        await track.home.presence.change(lambda database: people.put_phone(database, phone))
        receipt = await track.at(HOME, user="guest", device="tablet")
        assert await track.reason(receipt) == "its phone is said to be nobody's: it moves nobody"
        assert await track.home.store.read(whereabouts.kept_counts) == {}


async def test_the_settings_of_an_app_are_not_shown(tmp_path: Path) -> None:
    """They may hold the password that opens the gateway."""
    async with open_presence(tmp_path) as track:
        receipt = await track.post({"_type": "configuration", "password": "hush"})
        shown = await track.home.store.read(lambda database: trace(database, receipt.id))
        assert "hush" not in str(shown)
        assert '"_type":"configuration"' in shown["body"]
        receipt = await track.post({"_type": "card", "name": "configuration"})
        assert "card" in (await track.home.store.read(lambda database: trace(database, receipt.id)))["body"]


async def test_a_name_is_no_proof(tmp_path: Path) -> None:
    """Who has another key and calls itself Anna's is nobody's, and moves nobody."""
    people_ = {"anna": PersonOptions(phones={"iphone": PhoneOptions(user="anna", device="iphone", key="key-1")})}
    async with open_presence(tmp_path, config=msgspec.structs.replace(CONFIG, people=people_)) as track:
        await track.at(HOME)
        await track.later(60)
        lie = await track.at(AWAY, key="key-2")
        await track.later(600)
        assert lie.outcome == "rejected"
        assert await track.states() == ["in"]
        tablet = await track.at(HOME, device="ipad")
        assert tablet.outcome == "delivered"


PASSPHRASE = "correct horse"


async def test_sealed_messages_are_kept_until_their_passphrase_is_given(tmp_path: Path) -> None:
    """Without it and with a wrong one they stay in the journal with the reason; then they are read in order."""
    async with open_presence(tmp_path) as track:
        for ago, where in ((900, HOME), (300, AWAY)):
            inner = {"_type": "location", "lat": where[0], "lon": where[1], "tst": track.now() - ago, "acc": 10}
            receipt = await track.post(seal(msgspec.json.encode(inner), PASSPHRASE))
            assert receipt.outcome == "rejected"
            assert "passphrase of the phone 'iphone'" in (await track.reason(receipt) or "")
        presence = track.home.presence
        assert await presence.set_passphrase("iphone", "wrong") == 2
        await _again(track.home.rows, track.home.settled, 2)
        counts = await track.home.store.read(whereabouts.kept_counts)
        assert counts == {"iphone": {"sealed": 2}}
        assert await track.states() == []
        assert await presence.set_passphrase("iphone", PASSPHRASE) == 2
        await _again(track.home.rows, track.home.settled, 4)
        await track.later(1)
        assert await track.states() == ["in", "out"]
        assert await track.home.store.read(whereabouts.kept_counts) == {}
        receipt = await track.post(seal(msgspec.json.encode({"_type": "lwt", "tst": 5}), PASSPHRASE))
        assert await track.reason(receipt) == "the phone lost its connection: it says nothing of where the phone is"


async def _again(rows, settled, number: int) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - of the home
    found = await rows("SELECT id FROM events WHERE origin = 'local' ORDER BY seq")
    assert len(found) == number
    for (event_id,) in found:
        await settled(event_id, "presence", "delivered", "rejected")


async def test_zones_and_people_from_gladys_are_kept_in_step(tmp_path: Path) -> None:
    """What Gladys has is there, judged by at once, and gone with it; the rest stays."""
    async with open_presence(tmp_path) as track:
        await track.at(HOME)
        await track.later(60)
        park = StoredZone(id="park", name="Park", latitude=HOME[0], longitude=HOME[1], radius=500, gladys="area:park")
        dora = Person(id="dora", name="Dora", gladys_user="dora")
        await track.home.presence.keep_in_step([dora], [park])
        assert await track.states(zone="park") == ["in"]
        assert "person:dora" in track.home.registry.snapshot.devices
        await track.home.presence.keep_in_step([], [])
        assert set(track.home.presence.books.zones) == {
            zone for zone in track.home.presence.books.zones if zone.origin == "toml"
        }
        assert "person:dora" not in track.home.registry.snapshot.devices


async def test_a_phone_that_was_seen_becomes_the_one_that_is_announced(tmp_path: Path) -> None:
    """Its positions and what is known by them are the announced phone's from then on; nobody becomes unknown."""
    nobodys = msgspec.structs.replace(CONFIG, people={"anna": PersonOptions()})
    clock = SetClock()
    async with open_presence(tmp_path, config=nobodys, clock=clock) as track:
        await track.at(HOME)
        await track.later(60)
        assert await track.states() == ["in"]
        assert list(track.home.presence.books.phones) == ["anna-iphone"]
    async with open_presence(tmp_path, clock=clock) as track:
        assert "anna-iphone" not in track.home.presence.books.phones
        assert await track.states() == ["in"]
        assert await track.home.rows("SELECT DISTINCT phone FROM positions") == [("iphone",)]
        await track.later(600)
        await track.at(AWAY)
        await track.later(61)
        assert await track.states() == ["in", "out"]


@pytest.mark.parametrize("leads", ["phone", "tablet"])
async def test_the_position_that_is_told_is_of_the_thing_that_is_carried(tmp_path: Path, leads: str) -> None:
    """A tablet that lies at home does not put its owner there, however often it tells."""
    people_ = {"anna": PersonOptions(phones={name: PhoneOptions(device=name) for name in ("phone", "tablet")})}
    async with open_presence(tmp_path, config=msgspec.structs.replace(CONFIG, people=people_)) as track:
        for device in ("phone", "tablet"):
            await track.at(HOME, device=device)
        await track.later(60)
        await track.later(600)
        await track.at(AWAY, device=leads)
        await track.later(61)
        other = await track.at(HOME, device="tablet" if leads == "phone" else "phone")
        assert await track.reason(other) == "another phone of Anna leads"
        assert (await track.derived("location"))[-1]["phone"] == leads
        assert await track.states() == ["in", "out"]


async def test_positions_are_kept_for_a_month_and_decisions_with_the_history(tmp_path: Path) -> None:
    """What is older goes, in bounded steps; where somebody is stays known."""
    async with open_presence(tmp_path) as track:
        clock = track.home.clock

        async def tidy(days: float) -> tuple[int, int]:
            clock.pass_by(days * 86_400)
            keep = Retention(positions_days=30, history_days=40)
            now, elapsed = clock.now(), clock.elapsed()
            job = partial(prune, keep=keep, now=now, elapsed=elapsed, boot=clock.boot, most=1)
            while await track.home.store.write(job):
                pass
            [positions] = await track.home.rows("SELECT count(*) FROM positions")
            [decisions] = await track.home.rows("SELECT count(*) FROM decisions")
            return positions[0], decisions[0]

        for metres in (0, 1, 2):
            await track.at((HOME[0] + metres / 1e5, HOME[1]))
            await track.later(61)
        assert await tidy(29) == (3, 2)
        assert await tidy(2) == (0, 2)
        assert await tidy(10) == (0, 0)


SHARING = msgspec.structs.replace(CONFIG, presence=Presence(timezone="UTC", share_friends=True, share_zones=True))
BOB: dict[str, Any] = {"user": "bob", "device": "pixel"}


async def test_a_phone_is_told_of_its_friends_and_of_the_zones(tmp_path: Path) -> None:
    """Where the others are with every answer; the zones when they changed, and once a day in case they were lost."""
    async with open_presence(tmp_path, config=SHARING) as track:
        await track.at(AWAY, batt=70, **BOB)
        await track.later(1)
        told = await track.reply(track.location(HOME))
        kinds = [one["_type"] for one in told]
        assert kinds == ["location", "card", "cmd"]
        assert {name: told[0][name] for name in ("lat", "lon", "tid", "acc", "batt", "topic")} == {
            "lat": AWAY[0],
            "lon": AWAY[1],
            "tid": "BO",
            "acc": 10,
            "batt": 70,
            "topic": "owntracks/bob/pixel",
        }
        assert told[1]["name"] == "Bob"
        zones = {one["desc"]: one for one in told[2]["waypoints"]["waypoints"]}
        assert (zones["Home"]["rad"], zones["Home"]["rid"], zones["Work"]["rad"]) == (100, "home", 200)
        assert [one["_type"] for one in await track.reply(track.location(HOME, acc=11))] == ["location", "card"]
        wider = msgspec.structs.replace(track.home.presence.books.zones[0], radius=150, origin="toml")
        await track.home.presence.change(lambda database: people.put_zone(database, wider))
        changed = (await track.reply(track.location(HOME, acc=12)))[-1]["waypoints"]["waypoints"]
        made = {one["rid"]: one["tst"] for one in changed}
        assert made["home"] == zones["Home"]["tst"]  # a phone knows a zone by it
        await track.later(90_000)
        assert (await track.reply(track.location(HOME)))[-1]["_type"] == "cmd"


async def test_who_is_nobody_or_late_or_speaks_otherwise_is_told_nothing(tmp_path: Path) -> None:
    """Where others are is for their own, and for a phone that still waits."""
    async with open_presence(tmp_path, config=SHARING) as track:
        await track.at(AWAY, **BOB)
        body = track.location(HOME)
        assert await track.reply(body, user="guest", device="tablet") == []
        old = track.event(Post(body=body))
        track.home.clock.pass_by(60)
        assert await track.home.presence.reply(old) is None
        gpx = {"id": "iphone", "lat": "1", "lon": "2"}
        assert await track.reply(gpx, app="osmand") == []
    async with open_presence(tmp_path / "other") as track:
        await track.at(AWAY, **BOB)
        assert await track.reply(track.location(HOME)) == []


async def test_a_phone_that_seals_is_told_sealed(tmp_path: Path) -> None:
    """Not even the gateway sees where the others are."""
    async with open_presence(tmp_path, config=SHARING) as track:
        await track.home.presence.set_passphrase("iphone", PASSPHRASE)
        await track.at(AWAY, **BOB)
        told = await track.reply(seal(msgspec.json.encode(track.location(HOME)), PASSPHRASE))
        assert {one["_type"] for one in told} == {"encrypted"}
        opened = [open_envelope(Encrypted(key="", data=one["data"]), PASSPHRASE, track.now()) for one in told]
        assert isinstance(opened[0], Fix)
        assert (opened[0].latitude, opened[0].tracker_id) == (AWAY[0], "BO")


def test_no_two_people_have_the_same_letters() -> None:
    """Two characters tell them apart on a map, and stay theirs when others come."""
    names = ["Anna", "Andrea", "Anna", "Ñ", "李", "A"]
    everybody = [Person(id=f"p{number}", name=name, created_at=number) for number, name in enumerate(names)]
    found = tracker_ids(everybody)
    assert len(set(found.values())) == len(names)
    assert all(len(letters) == 2 for letters in found.values())
    assert tracker_ids(everybody[:3]) == {key: found[key] for key in ("p0", "p1", "p2")}


@pytest.mark.parametrize(
    ("app", "body"),
    [
        ("overland", {"locations": [{"geometry": {"coordinates": [HOME[1], HOME[0]]}, "properties": {}}]}),
        ("osmand", {"id": "gps", "lat": str(HOME[0]), "lon": str(HOME[1]), "accuracy": "9", "batt": "55"}),
        ("traccar", {"device_id": "gps", "location": {"coords": {"latitude": HOME[0], "longitude": HOME[1]}}}),
        ("plus", {"latitude": HOME[0], "longitude": HOME[1], "accuracy": 9, "device_battery": 55}),
    ],
)
async def test_other_apps_count_as_well(tmp_path: Path, app: str, body: dict[str, Any]) -> None:
    """Each by its own protocol; the phone is known by what it calls itself, or by the user of Gladys."""
    own = {"anna": PersonOptions(gladys_user="anna", phones={"gps": PhoneOptions(device="gps")})}
    async with open_presence(tmp_path, config=msgspec.structs.replace(CONFIG, people=own)) as track:
        moment = datetime.fromtimestamp(track.now(), UTC).isoformat()
        if app == "overland":
            body["locations"][0]["properties"] = {"timestamp": moment, "device_id": "gps", "horizontal_accuracy": 9}
        elif app == "traccar":
            body["location"] |= {"timestamp": moment}
        names = {"user": "anna", "device": None} if app == "plus" else {"user": None, "device": None}
        receipt = await track.post(body, app=app, key=None, **names)
        assert receipt.outcome == "delivered", await track.reason(receipt)
        await track.later(61)
        assert await track.states() == ["in"]


async def test_a_batch_is_judged_in_its_order_and_told_once(tmp_path: Path) -> None:
    """Overland posts many positions at once: each is kept, the newest is told, what is wrong is said."""
    own = {"anna": PersonOptions(phones={"gps": PhoneOptions(device="gps")})}
    async with open_presence(tmp_path, config=msgspec.structs.replace(CONFIG, people=own)) as track:

        def point(where: tuple[float, float], ago: float) -> dict[str, Any]:
            moment = datetime.fromtimestamp(track.now() - ago, UTC).isoformat()
            properties = {"timestamp": moment, "device_id": "gps", "horizontal_accuracy": 9}
            return {"geometry": {"coordinates": [where[1], where[0]]}, "properties": properties}

        points = [point(HOME, 300), point(AWAY, 900), point(HOME, 200), {"geometry": {}, "properties": {}}]
        receipt = await track.post({"locations": points}, app="overland", user=None, device=None)
        assert "1 left out: " in (await track.reason(receipt) or "")
        assert await track.home.rows("SELECT count(*), sum(told) FROM positions") == [(3, 1)]
        assert [one.state for one in sorted(await track.decided(), key=lambda one: one.since)] == ["out", "in"]
        assert (await track.decided())[-1].evidence == (receipt.id,)
        [located] = await track.derived("location")
        assert located["at"] == track.now() - 200
        many = [point((HOME[0] + second / 1e6, HOME[1]), 180 - second) for second in range(130)]
        await track.post({"locations": many}, app="overland", user=None, device=None)
        assert await track.home.rows("SELECT count(*), sum(told) FROM positions") == [(133, 2)]
        assert (await track.derived("location"))[-1]["at"] == track.now() - 51


async def test_a_plus_phone_that_lies_still_is_heard_each_time(tmp_path: Path) -> None:
    """Without time and id the same words within a minute are one message, and later another one."""
    async with open_presence(tmp_path) as track:
        body = {"latitude": HOME[0], "longitude": HOME[1], "accuracy": 9}
        for expected in (1, 1, 2):
            await track.post(body, app="plus", user="anna", device="iphone", key=None)
            assert await track.home.rows("SELECT count(*) FROM positions") == [(expected,)]
            await track.later(40)


async def test_what_is_delivered_once_more_after_a_crash_adds_nothing(tmp_path: Path) -> None:
    """The commit of what a message comes to is whole; if its settlement is lost, the same again changes no row."""
    async with open_presence(tmp_path) as track:
        home = track.home
        tables = (
            "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM decisions), (SELECT count(*) FROM history)"
        )
        event = home.event(PRESENCE.external_id, 1.0)
        bodies = [
            track.event(Post(body=track.location(HOME, batt=5))),
            track.event(Post(body={"_type": "transition", "event": "enter", "desc": "Home", "tst": track.now()})),
            event,
        ]
        for one in bodies:
            await home.intake.submit(one)
            await home.settled(one.id, "presence", "delivered")
        await track.later(61)
        before = await home.rows(tables)
        for one in bodies:
            feature = home.registry.snapshot.features.get(one.external_id or "")
            again = Delivery(seq=1, event=one, target="presence", lane="presence", feature=feature, device=None)
            assert await home.presence.deliver(again) is None
        await track.later(61)
        assert await home.rows(tables) == before
        assert await track.states() == ["in"]
        assert await track.states("bob") == ["in"]
