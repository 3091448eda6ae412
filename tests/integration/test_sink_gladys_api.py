"""The sink that tells Gladys of people: each thing until Gladys shows it, in order, nothing late, and nothing twice."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from gladys_companion.config import Gladys, ZoneOptions
from gladys_companion.errors import Unavailable, Unsure
from gladys_companion.gladys_api import open_api
from gladys_companion.protocol.people import Located, Present
from gladys_companion.resolve import PRESENCE, SIGNALS
from gladys_companion.sinks._gladys_people import Teller
from tests.gladys_server import KEY, GladysServer, open_gladys
from tests.home import SetClock
from tests.people_home import LEFT, PeopleHome, linked, open_people, ready
from tests.presence_home import AWAY, CONFIG, HOME

FAR = (48.8466, 2.3522)  # 1.1 km south
DELIVERED = [("delivered", None)]
POSITION = Located(
    person="anna", name="Anna", phone="iphone", gladys_user="anna", at=1.7e9, latitude=HOME[0], longitude=HOME[1]
)
SEEN = "POST /api/v1/house/main-house/user/anna/seen"
START = f"POST /api/v1/scene/{LEFT}/start"


@pytest.fixture
async def server() -> AsyncIterator[GladysServer]:
    async with open_gladys() as server:
        ready(server)
        yield server


@pytest.fixture
async def people(tmp_path: Path, server: GladysServer) -> AsyncIterator[PeopleHome]:
    async with open_people(tmp_path, server) as people:
        yield people


def states(told: list[tuple[str, str | None]]) -> list[str]:
    return [state for state, _ in told]


async def test_gladys_says_that_somebody_came_and_left(server: GladysServer, people: PeopleHome) -> None:
    """Position, seen, and the scene by which one leaves; each once, and delivered when Gladys shows it."""
    await people.arrive()
    assert await people.told("presence") == DELIVERED
    assert server.people.at_home("anna") == "main-house"
    assert server.people.position("anna") == HOME
    assert server.people.locations[-1]["accuracy"] == 10
    await people.leave(FAR)
    assert await people.told("presence") == DELIVERED * 2
    assert server.people.at_home("anna") is None
    assert server.people.position("anna") == FAR
    assert server.people.started == [LEFT]
    assert [one for one in server.people.triggers if one[0].startswith("user")] == [
        ("user.back-home", "anna", "main-house"),
        ("user.left-home", "anna", "main-house"),
    ]
    assert await people.told("location") == DELIVERED * 3


async def test_a_phone_tries_the_way(server: GladysServer, people: PeopleHome) -> None:
    """It is delivered when Gladys answers, and Gladys is none the wiser."""
    before = len(server.people.chat), len(server.people.started)
    await people.submit("signal", {}, external_id="companion-test")
    assert await people.told("signal") == DELIVERED
    assert (len(server.people.chat), len(server.people.started)) == before


async def test_of_whom_gladys_knows_nothing_it_is_told_nothing(server: GladysServer, people: PeopleHome) -> None:
    """Bob is no user of Gladys: that is no failure, and nothing waits."""
    await people.track.at(HOME, user="bob", device="pixel")
    await people.track.later(15)
    assert await people.track.states("bob") == ["in"]
    assert await people.told("presence") == await people.told("location") == []
    assert not [one for one in server.asked if one.startswith("POST")]


async def test_what_is_late_moves_and_starts_nothing(server: GladysServer, people: PeopleHome) -> None:
    """A queue that was flushed is history: settled as expired with the reason, and Gladys was told nothing."""
    await people.track.at(HOME, ago=3_600)
    await people.track.at(FAR, ago=1_800)
    await people.track.at(FAR, ago=1_700)
    assert set(states(await people.told("presence"))) == {"expired"}
    assert (
        await people.told("location")
        == [("expired", "a position that is late never moves the one that Gladys has last")] * 3
    )
    assert not [one for one in server.asked if one.startswith("POST")]


async def test_gladys_down_is_caught_up_in_order(server: GladysServer, people: PeopleHome) -> None:
    """What waits is told in order once Gladys is back, as long as it is not late; what is late then is not."""
    await server.stop()
    await people.arrive()
    assert "can not be reached" in await people.waits("location")
    people.home.clock.pass_by(50)  # the first is late now
    await people.track.at((HOME[0], HOME[1] + 0.0001))
    await people.track.later(1)
    await people.track.at((HOME[0], HOME[1] + 0.0002))
    await server.start()
    await people.again()
    assert states(await people.told("location")) == ["expired", "delivered", "delivered"]
    assert await people.told("presence") == DELIVERED
    assert [one["longitude"] for one in server.people.locations] == [HOME[1] + 0.0001, HOME[1] + 0.0002]
    assert server.people.at_home("anna") == "main-house"


async def test_a_leave_that_gladys_missed_is_history(server: GladysServer, people: PeopleHome) -> None:
    """After a longer outage no scene runs for what was long ago."""
    await people.arrive()
    await people.told("presence")
    await server.stop()
    await people.leave(FAR)
    await people.waits("location")
    people.home.clock.pass_by(61)
    await server.start()
    await people.again()
    assert (await people.told("presence"))[-1] == (
        "expired",
        "it came too late to be told as if it were now: it is history",
    )
    assert (server.people.started, server.people.at_home("anna")) == ([], "main-house")


async def test_without_the_scene_it_is_said_how_to_get_it(server: GladysServer, people: PeopleHome) -> None:
    """Gladys would say yes to the start of a scene that is not there."""
    del server.people.scenes[LEFT]
    await people.arrive()
    await people.leave(FAR)
    state, reason = (await people.told("presence"))[-1]
    assert state == "rejected"
    assert reason == (
        f"Gladys can not be told that Anna left: it has no scene '{LEFT}'. `gladys-companion gladys setup` makes it."
    )
    assert START not in server.asked


async def test_a_scene_that_its_owner_switched_off_stays_off(server: GladysServer, people: PeopleHome) -> None:
    """It is not started, and that is said."""
    server.people.scenes[LEFT]["active"] = False
    await people.arrive()
    await people.leave(FAR)
    state, reason = (await people.told("presence"))[-1]
    assert (state, "is switched off in Gladys" in (reason or "")) == ("rejected", True)
    assert server.people.started == []


async def test_who_is_out_already_needs_no_scene(server: GladysServer, people: PeopleHome) -> None:
    """Gladys may know it from elsewhere; then nothing of its user's runs a second time."""
    await people.arrive()
    await people.told("presence")
    server.people.user_left("main-house", "anna")
    await people.leave(FAR)
    assert (await people.told("presence"))[-1] == ("delivered", "Gladys has Anna not at home already")
    assert START not in server.asked


async def test_a_scene_that_does_not_do_it_is_started_once(server: GladysServer, people: PeopleHome) -> None:
    """What Gladys does not show is not known, whatever it answered; and never tried again."""
    server.people.scenes_run.clear()
    await people.arrive()
    await people.leave(FAR)
    state, reason = (await people.told("presence"))[-1]
    assert (state, "was started, and Gladys has Anna at home all the same" in (reason or "")) == ("unknown", True)
    await people.again()
    assert server.asked.count(START) == 1


async def test_an_answer_that_is_lost_is_no_doubt_where_gladys_shows_it(
    server: GladysServer, people: PeopleHome
) -> None:
    """It did what was asked, and is looked at; neither scene nor message is sent again."""
    server.loses_answers = True
    await people.arrive()
    await people.leave(FAR)
    await people.submit("message", {"text": "hello"})
    assert await people.told("presence") == DELIVERED * 2
    assert await people.told("location") == DELIVERED * 3
    assert await people.told("message") == DELIVERED
    assert server.people.started == [LEFT]
    assert [one["text"] for one in server.people.chat if one["sender_id"]] == ["hello"]
    assert (server.asked.count(SEEN), server.asked.count("POST /api/v1/message")) == (1, 1)


@pytest.mark.parametrize("fault", ["close", "hang", 502])
async def test_a_request_that_may_be_lost_is_not_repeated(
    server: GladysServer, people: PeopleHome, fault: str | int
) -> None:
    """Nobody knows whether the scene and the message arrived; what may be told twice is told again."""
    server.fault, server.faulty = fault, (START, "POST /api/v1/message")
    await people.arrive()
    await people.leave(FAR)
    await people.submit("message", {"text": "hello"})
    assert (await people.told("presence"))[-1][0] == "unknown"
    assert states(await people.told("message")) == ["unknown"]
    server.fault = None
    await people.again()
    assert (server.asked.count(START), server.asked.count("POST /api/v1/message")) == (1, 1)


async def test_what_may_be_told_twice_is_told_again(server: GladysServer, people: PeopleHome) -> None:
    """A position and a homecoming that got lost on the way wait, and arrive when Gladys answers again."""
    server.fault, server.faulty = "close", ("POST",)
    await people.arrive()
    assert "did not answer as it should" in await people.waits("location")
    server.fault = None
    await people.again()
    assert states(await people.told("location")) == ["delivered"]
    assert await people.told("presence") == DELIVERED
    assert server.people.at_home("anna") == "main-house"


@pytest.mark.parametrize("fault", ["garbage", "hang", 500])
async def test_a_gladys_that_talks_nonsense_is_away(server: GladysServer, people: PeopleHome, fault: str | int) -> None:
    """What is not understood proves nothing: it waits, with the reason, and arrives later."""
    server.fault = fault
    await people.arrive()
    assert await people.waits("location")
    server.fault = None
    await people.again()
    assert states(await people.told("location")) == ["delivered"]


async def test_a_refused_key_is_said(server: GladysServer, people: PeopleHome) -> None:
    """Nothing waits for what only the user can mend."""
    server.keys = {"another"}
    await people.arrive()
    await people.submit("message", {"text": "hello"})
    for kind in ("location", "presence", "message"):
        state, reason = (await people.told(kind))[0]
        assert (state, "refuses the API key" in (reason or ""), KEY in (reason or "")) == ("rejected", True, False)


async def test_a_user_or_house_that_is_not_there_is_said(server: GladysServer, tmp_path: Path) -> None:
    """With how to name the right one."""
    async with open_people(tmp_path, server, config=linked(CONFIG, anna=("anne",), bob=("tony", "cottage"))) as people:
        await people.arrive()
        await people.track.at(HOME, user="bob", device="pixel")
        await people.track.later(15)
        told = await people.told("presence")
    (anna, unknown), (bob, homeless) = told
    assert (anna, bob) == ("rejected", "rejected")
    assert "Gladys has no user 'anne'" in (unknown or "")
    assert "`gladys-companion people edit PERSON --gladys-user USER`" in (unknown or "")
    assert "Gladys has no house 'cottage'" in (homeless or "")
    assert "`gladys-companion people edit bob --gladys-house HOUSE`" in (homeless or "")


async def test_with_two_houses_it_has_to_be_said_which(server: GladysServer, tmp_path: Path) -> None:
    """Nobody is sent to the wrong one."""
    server.people.add_house("Cottage", *FAR)
    async with open_people(tmp_path / "a", server) as people:
        await people.arrive()
        state, reason = (await people.told("presence"))[0]
        assert (state, "which of the 2 houses of Gladys is home to Anna is not said" in (reason or "")) == (
            "rejected",
            True,
        )
    async with open_people(tmp_path / "b", server, config=linked(CONFIG, anna=("anna", "cottage"))) as people:
        await people.arrive()
        assert (await people.told("presence"))[0] == ("delivered", None)
    assert server.people.at_home("anna") == "cottage"


async def test_scenes_of_zones_run_where_the_user_made_them(server: GladysServer, people: PeopleHome) -> None:
    """By their names; where there is none, that is said and is no failure."""
    server.people.add_scene("companion-entered-work-anna")
    await people.arrive()
    await people.leave(AWAY)  # which is work
    await people.leave(FAR)
    entered, left = await people.told("presence", "work")
    assert entered[1] is not None
    assert entered[1].startswith("the scene 'companion-entered-work-anna' was started")
    assert left == ("delivered", "Gladys has no scene 'companion-left-work-anna' to be started by this")
    assert server.people.started.count("companion-entered-work-anna") == 1


async def test_zero_is_a_place(server: GladysServer, tmp_path: Path) -> None:
    """The equator is told as any other; should a Gladys take it for nothing, that is said."""
    config = structs.replace(CONFIG, zones={"home": ZoneOptions(latitude=0.0, longitude=9.5, home=True)})
    async with open_people(tmp_path, server, config=config) as people:
        await people.track.at((0.0, 9.5))
        assert await people.told("location") == DELIVERED
        assert server.people.position("anna") == (0.0, 9.5)
        server.people.refuses_zero = True
        await people.track.later(20)
        await people.track.at((0.0, 9.5001))
        state, reason = (await people.told("location"))[-1]
    assert state == "rejected"
    assert (reason or "").endswith("It seems to take a latitude or longitude of exactly 0 for a missing one.")


async def test_another_source_may_be_newer(server: GladysServer, people: PeopleHome) -> None:
    """A position that Gladys took, and that another app's replaced at once, has arrived."""
    take = server.people.locate

    def replaced(user: str, given: dict[str, Any]) -> dict[str, Any]:
        made = take(user, given)
        take(user, {"latitude": 1.0, "longitude": 1.0})
        return made

    server.people.locate = replaced  # type: ignore[method-assign]
    await people.track.at(HOME)
    assert await people.told("location") == [
        ("delivered", "Gladys took it, and has heard another position from elsewhere since")
    ]


async def test_a_message_stands_in_the_chat(server: GladysServer, people: PeopleHome) -> None:
    """As of the user whose key it is; delivered when it stands there, under the event's own id."""
    event_id = await people.submit("message", {"text": "Bonjour 🏠"})
    assert await people.told("message") == DELIVERED
    (said,) = [one for one in server.people.chat if one["sender_id"]]
    assert (said["id"], said["text"]) == (event_id, "Bonjour 🏠")


async def test_the_same_words_twice_are_two_messages(server: GladysServer, people: PeopleHome) -> None:
    """Also for a Gladys that gives them ids of its own, and for an event whose id is none that it takes."""
    await people.submit("message", {"text": "yes"}, id="not-a-uuid")
    await people.submit("message", {"text": "yes"})
    assert await people.told("message") == DELIVERED * 2
    assert [one["text"] for one in server.people.chat if one["sender_id"]] == ["yes", "yes"]


async def test_a_message_that_does_not_stand_there_is_unknown(server: GladysServer, people: PeopleHome) -> None:
    """Gladys answers before it reads it."""
    server.people.chat_works.clear()
    await people.submit("message", {"text": "hello"})
    assert await people.told("message") == [("unknown", "Gladys took the message, and does not show it in its chat.")]


@pytest.mark.parametrize(
    ("kind", "origin", "body", "says"),
    [
        ("message", "gateway", {"text": 5}, "It is no message that Gladys could be told of"),
        ("message", "gateway", {}, "It is no message that Gladys could be told of"),
        ("message", "gateway", {"text": "x" * 64_001}, "The message is longer than the 64000 bytes"),
        ("signal", SIGNALS, {"scene": ["x"]}, "It is no signal that Gladys could be told of"),
        ("signal", SIGNALS, {"scene": "no-such"}, "Gladys has no scene 'no-such'"),
        ("presence", PRESENCE, {"gladys_user": "anna"}, "It is no presence that Gladys could be told of"),
        ("location", PRESENCE, {"gladys_user": "anna"}, "It is no location that Gladys could be told of"),
    ],
)
async def test_what_can_not_be_told_is_rejected(
    server: GladysServer, people: PeopleHome, kind: str, origin: str, body: object, says: str
) -> None:
    """With a sentence, and without asking Gladys to do anything."""
    await people.submit(kind, body, origin=origin)
    ((state, reason),) = await people.told(kind)
    assert state == "rejected"
    assert says in (reason or "")
    assert (reason or "").endswith(".")
    assert not [one for one in server.asked if one.startswith("POST")]


async def test_a_late_message_is_no_wish_of_now(server: GladysServer, people: PeopleHome) -> None:
    """Gladys acts on messages, so one from the queue of a phone is not passed on."""
    elapsed = people.home.clock.elapsed()
    await people.submit("message", {"text": "open the gate"}, deadline=elapsed - 1)
    assert await people.told("message") == [
        ("expired", "Gladys takes a message for a wish of now, and this one is late")
    ]
    assert server.people.chat == []


async def test_a_signal_starts_its_scene(server: GladysServer, people: PeopleHome) -> None:
    """Once, after it was looked for; whether it ran Gladys does not say."""
    server.people.add_scene("cinema")
    await people.submit("signal", {"scene": "cinema"}, origin=SIGNALS)
    assert await people.told("signal") == [("delivered", "Gladys does not say whether a scene ran")]
    await server.seen("POST /api/v1/scene/cinema/start")
    assert server.people.started == ["cinema"]


async def test_a_crash_between_send_and_settle_is_no_second_time(server: GladysServer, tmp_path: Path) -> None:
    """What must not be told twice is unknown then, and what may is told again, in order."""
    clock = SetClock()
    await server.stop()
    async with open_people(tmp_path, server, clock=clock) as people:
        await people.arrive()
        await people.submit("message", {"text": "hello"})
        await people.waits("location")
    with sqlite3.connect(tmp_path / "companion.db") as database:  # as a kill in the middle of attempts leaves it
        database.execute(
            "UPDATE deliveries SET under_way = 1, state = iif((SELECT kind FROM events WHERE seq = event) = 'message', "
            "'sending', state) WHERE state = 'pending'"
        )
    database.close()
    await server.start()
    async with open_people(tmp_path, server, clock=clock) as people:
        assert await people.told("message") == [
            ("unknown", "the program ended while it was under way: whether it was done is not known")
        ]
        assert states(await people.told("location")) == ["delivered"]
        assert await people.told("presence") == DELIVERED
    assert server.people.at_home("anna") == "main-house"
    assert server.people.chat == []


async def test_a_message_is_marked_before_it_is_sent(server: GladysServer, people: PeopleHome) -> None:
    """So that a kill at any moment leaves what must not be sent again recognisable; a position is not marked."""
    server.fault, server.faulty = "hang", ("POST",)
    marked = []
    told: tuple[tuple[str, object, str], ...] = (
        ("message", {"text": "hello"}, "/api/v1/message"),
        ("location", POSITION, "/api/v1/user/anna/location"),
    )
    async with asyncio.TaskGroup() as group:
        for kind, body, path in told:
            sending = group.create_task(people.submit(kind, body, origin=PRESENCE))
            await server.seen(f"POST {path}")
            marked += await people.home.rows("SELECT state, under_way FROM deliveries ORDER BY event DESC LIMIT 1")
            server.fault = None
            await sending
            server.fault = "hang"
    assert marked == [("sending", 1), ("pending", 1)]


async def test_a_slow_gladys_leaves_no_doubt_before_anything_is_told(server: GladysServer, tmp_path: Path) -> None:
    """What was not told yet is told later; what may have arrived is in doubt, and looked at."""
    key = tmp_path / "key"
    await asyncio.to_thread(key.write_text, KEY)
    server.people.user_seen("main-house", "anna")
    left = Present(
        person="anna",
        name="Anna",
        gladys_user="anna",
        zone="home",
        zone_name="Home",
        home=True,
        state="out",
        before="in",
        since=1.0,
        decided=1.0,
        late=False,
        reason="away",
    )
    async with open_api(Gladys(url=server.url, api_key_file=str(key))) as api:
        teller = Teller(api, confirm_within=0.2, patience=0.2)
        server.fault, server.faulty = "hang", ("GET /api/v1/scene",)
        with pytest.raises(Unavailable, match=r"did not answer within 0.2 s: it was told nothing\.") as raised:
            await teller.left_home(left)
        assert not isinstance(raised.value, Unsure)
        server.faulty = (START,)
        with pytest.raises(Unsure, match=r"did not answer within 0.2 s\."):
            await teller.left_home(left)
        server.fault = None
        await teller.left_home(left)
    assert server.people.at_home("anna") is None
