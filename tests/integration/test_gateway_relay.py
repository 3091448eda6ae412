"""Order, the window, what is held, and the truth about it, over real sockets that are cut, silent or slow."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gladys_companion.errors import StoreFull
from gladys_companion.gateway.relay import WINDOW
from gladys_companion.gateway.server import Times
from gladys_companion.protocol import socketio
from tests.gateway_world import LAMP, World, delivered, open_world, silent, until
from tests.home import SetClock

DAY = 86_400.0


async def _hold(world: World, count: int, external_id: str = LAMP, first: int = 0) -> None:
    for number in range(first, first + count):
        assert (await world.state(number, external_id)).status == 202


async def test_held_events_are_replayed_in_order(tmp_path: Path) -> None:
    """What came while home was away comes when it is back, in order, once, over a restart of the gateway too."""
    async with open_world(tmp_path) as world:
        answer = await world.state(0)
        assert (answer.status, answer.body["outcome"]) == (202, "held")
        trace = await world.receipt(answer.body["id"])
        assert answer.body["held_until"] == pytest.approx(trace["hops"][0]["at"] + 7 * DAY)
        await _hold(world, 99, first=1)
    async with open_world(tmp_path) as world:
        await _hold(world, 100, first=100)
        async with world.connected() as home:
            await home.came(200)
            assert home.states() == list(range(200))
            assert {message["companion"]["key"]["name"] for message in home.messages} == {"Phone 0", "Phone 1"}
            assert (await world.state(200)).status == 200
    async with open_world(tmp_path) as world, world.connected() as home:
        assert (await world.state(201)).status == 200
        assert home.states() == [201]


async def test_no_more_than_the_window_is_under_way(tmp_path: Path) -> None:
    """A home that is slow gets 64, and the next one for each that it acks; nothing is lost, all stays in order."""
    async with open_world(tmp_path) as world:
        await _hold(world, 100)
        async with world.connected(silent) as home:
            await home.came(WINDOW)
            late = asyncio.create_task(world.state(100))
            assert await home.ask("latency", {"n": 1}) == {"n": 1}  # all that was sent before has been read
            assert len(home.messages) == WINDOW
            home.cut()
            assert (await late).status == 202
        async with world.connected() as home:
            await home.came(101)
            assert home.states() == list(range(101))


async def test_live_event_waits_only_for_held_ones_of_its_own_id(tmp_path: Path) -> None:
    """While a long queue is replayed, another id passes it, and the same id waits for its turn."""
    async with open_world(tmp_path) as world:
        await _hold(world, 2 * WINDOW, "mqtt:full")
        async with world.connected(silent) as home, asyncio.TaskGroup() as phones:
            await home.came(WINDOW)
            behind = phones.create_task(world.state(1_000, "mqtt:full"))
            passing = [phones.create_task(world.state(number, "mqtt:other")) for number in range(3)]
            await _accepted(world, 2 * WINDOW + 4)
            await home.settle(3)
            await home.came(WINDOW + 3)
            assert {_id(message) for message in home.messages[WINDOW:]} == {"mqtt:other"}
            home.ack = delivered
            await home.settle(WINDOW)
            assert [(await phone).status for phone in (*passing, behind)] == [200] * 4
            full = [message["data"]["state"] for message in home.messages if _id(message) == "mqtt:full"]
            assert full == [*range(2 * WINDOW), 1_000]


def _id(message: dict[str, Any]) -> str:
    return str(message["data"]["device_feature_external_id"])


async def _accepted(world: World, count: int) -> None:
    """Wait until so many events are held."""

    async def are_held() -> bool:
        return sum(total.events for total in await world.gateway.storage.held_totals()) >= count

    await until(are_held)


async def test_more_than_the_window_and_the_queue_at_once(tmp_path: Path) -> None:
    """A crowd that fills the window, the queue and the storage behind it is sent whole, each id in order."""
    async with open_world(tmp_path, answer_within=30) as world, world.connected(silent) as home:
        crowd = [asyncio.create_task(_posts(world, f"id:{number}", 25)) for number in range(40)]
        blocked = asyncio.create_task(_posts(world, "id:0", 1))
        await home.came(40)
        home.ack = delivered
        await home.settle(len(home.unacked))
        statuses = await asyncio.gather(*crowd)
        assert Counter(status for some in statuses for status in some) == {200: 1_000}
        assert await blocked == [200]
        for number in range(1, 40):
            states = [message["data"]["state"] for message in home.messages if _id(message) == f"id:{number}"]
            assert states == list(range(25))


async def _posts(world: World, external_id: str, count: int) -> list[int]:
    return [(await world.state(number, external_id)).status for number in range(count)]


async def test_crowd_at_once_keeps_the_order_of_each_id(tmp_path: Path) -> None:
    """500 posts at once, over a window of 64 and a queue of 256: none is lost, none twice."""
    async with open_world(tmp_path, answer_within=30) as world, world.connected(silent) as home:
        posts = [asyncio.create_task(world.state(number, f"id:{number % 5}")) for number in range(500)]
        await home.came(WINDOW)
        await _accepted(world, 500)
        home.ack = delivered
        await home.settle(len(home.unacked))
        assert {(await post).status for post in posts} == {200}
        assert sorted(message["data"]["state"] for message in home.messages) == list(range(500))
        received: dict[str, list[float]] = {}
        for message in home.messages:
            received.setdefault(_id(message), []).append(message["companion"]["id"])
        assert all(ids == sorted(ids) for ids in received.values())


async def test_event_that_landed_since_its_page_was_read_is_not_sent_again(tmp_path: Path) -> None:
    """A live event that is under way while the replay reads past it is acked first, and is not met there later."""
    async with open_world(tmp_path, answer_within=30) as world:
        await _hold(world, 200, "mqtt:full")
        async with world.connected(silent) as home:
            await home.came(WINDOW)
            live = asyncio.create_task(world.state(1_000, "mqtt:other"))
            await _accepted(world, 201)
            await home.settle(1)
            await home.came(WINDOW + 1)
            await home.settle(WINDOW - 1)  # all but the live one: what is sent now needs the page that holds it
            await home.came(2 * WINDOW)
            ack_id, message = home.unacked.pop(0)
            assert _id(message) == "mqtt:other"
            await home.settle(2)
            await home.came(2 * WINDOW + 2)
            await home.socket.send(socketio.ack(ack_id, delivered(message)))
            assert (await live).status == 200
            home.ack = delivered
            await home.settle(len(home.unacked))
            assert (await world.state(200, "mqtt:full")).status == 200  # behind all the others
            assert Counter(home.states()) == dict.fromkeys((*range(201), 1_000), 1)


@pytest.mark.parametrize("companion", [True, False])
@pytest.mark.parametrize("seed", range(2))
async def test_held_and_live_events_are_sent_once_whatever_the_acks(
    tmp_path: Path, *, seed: int, companion: bool
) -> None:
    """An instance that acks at random gets each event once, each id in order, and the quota is that of what is left."""
    chance = random.Random(seed)
    ids = [f"id:{number}" for number in range(12)]
    states = iter(range(10_000))
    left = 20  # are never acked
    async with open_world(tmp_path, answer_within=30, held_events=720) as world:

        async def phone() -> None:
            await world.state(next(states), chance.choice(ids))

        for _ in range(215):
            await phone()
        async with world.connected(silent, companion=companion) as home, asyncio.TaskGroup() as phones:
            to_come = 480
            async with asyncio.timeout(30):
                while len(home.messages) < 695 or len(home.unacked) > left:
                    for _ in range(min(to_come, chance.randrange(16))):
                        phones.create_task(phone())
                        to_come -= 1
                    for _ in range(min(len(home.unacked) - left, chance.randrange(1, 40))):
                        ack_id, message = home.unacked.pop(chance.randrange(len(home.unacked)))
                        await home.socket.send(socketio.ack(ack_id, delivered(message)))
                    await home.ask("latency")  # what was sent until now has come
            home.cut()
        assert Counter(home.states()) == dict.fromkeys(range(695), 1)
        for id_ in ids if companion else []:
            own = [message["companion"]["id"] for message in home.messages if _id(message) == id_]
            assert own == sorted(own)
        await world.gateway.storage.flush()
        assert sum(total.events for total in await world.gateway.storage.held_totals()) == left
        more = await asyncio.gather(*(world.state(number) for number in range(720)))
        assert Counter(answer.status for answer in more) == {202: 720 - left, 507: left}


async def test_cut_in_mid_flight_is_answered_at_once_and_delivered_once(tmp_path: Path) -> None:
    """Phones that wait when the socket is lost hear that the event is held, at once; home gets it again."""
    async with open_world(tmp_path, answer_within=60) as world:
        async with world.connected(silent) as home:
            posts = [asyncio.create_task(world.state(number)) for number in range(10)]
            await home.came(10)
            home.cut()
            answers = [await post for post in posts]
            assert {(answer.status, answer.body["outcome"]) for answer in answers} == {(202, "held")}
            first = [message["companion"]["id"] for message in home.messages]
        async with world.connected() as home:
            await home.came(10)
            assert [message["companion"]["id"] for message in home.messages] == first
            assert (await world.settled(first[0]))["outcome"] == "delivered"
        async with world.connected() as home:
            assert (await world.state(11)).status == 200
            assert home.states() == [11]


async def test_home_that_does_not_ack_in_time(tmp_path: Path) -> None:
    """The phone hears after a while that it is held; the ack that comes later is in the trace."""
    async with open_world(tmp_path, answer_within=0.2) as world, world.connected(silent) as home:
        answer = await world.state(1)
        assert (answer.status, answer.body["outcome"]) == (202, "held")
        await home.settle(1)
        assert (await world.settled(answer.body["id"]))["outcome"] == "delivered"


async def test_gladys_that_never_acks(tmp_path: Path) -> None:
    """An unmodified Gladys that never acks frees its place, and the receipt says that nobody knows more."""
    async with (
        open_world(tmp_path, answer_within=0.1, times=Times(unacked=0.5, look=0.05, goodbye=0.1)) as world,
        world.connected(silent, companion=False) as home,
    ):
        answer = await world.post("message", json={"text": "Hello"})
        assert answer.status == 202
        receipt = await world.settled(answer.body["id"])
        assert (receipt["status"], receipt["outcome"], receipt["targets"][0]["state"]) == (202, "accepted", "unknown")
        assert await home.ask("latency", 1) == 1


async def test_companion_that_never_acks_gets_it_again(tmp_path: Path) -> None:
    """A companion commits before it acks, so a socket without acks is given up, and nothing is."""
    async with open_world(tmp_path, answer_within=0.1, times=Times(unacked=0.5, look=0.05, goodbye=0.1)) as world:
        async with world.connected(silent) as home:
            answer = await world.state(1)
            assert answer.status == 202
            async with asyncio.timeout(10):
                await home.ended.wait()
        async with world.connected() as home:
            await home.came(1)
            assert (await world.settled(answer.body["id"]))["outcome"] == "delivered"


async def test_refusal_of_home_travels_to_the_phone(tmp_path: Path) -> None:
    """What home refuses is refused to the phone, with its words, and is not sent again."""
    refusal = {"status": 404, "error_code": "DEVICE_FEATURE_NOT_FOUND", "error_message": "No.", "nearest": ["a"]}
    async with open_world(tmp_path) as world:
        async with world.connected(lambda _: refusal) as home:
            answer = await world.state(1)
            assert answer.status == 404
            assert answer.body == {
                **refusal,
                "outcome": "rejected",
                "duplicate": False,
                "id": home.messages[0]["companion"]["id"],
            }
        async with world.connected() as home:
            assert (await world.state(2)).status == 200
            assert home.states() == [2]


@pytest.mark.parametrize("ack", [{}, "ok", 5, {"status": 200, "more": [1]}, {"status": "fine"}, {"status": True}, []])
async def test_gladys_may_ack_as_it_likes(tmp_path: Path, ack: object) -> None:
    """Whatever an unmodified Gladys acks below 400 is a success."""
    async with open_world(tmp_path) as world, world.connected(lambda _: ack, companion=False):
        answer = await world.state(1)
        assert (answer.status, answer.body["outcome"]) == (200, "delivered")
        assert answer.body["targets"] == [{"target": "gladys", "state": "delivered"}]


@pytest.mark.parametrize("ack", [{}, "ok", {"status": 99}, {"status": 1e9}, {"status": None}])
async def test_companion_that_acks_nonsense(tmp_path: Path, ack: object) -> None:
    """What is no receipt says nothing, and that is what is said."""
    async with open_world(tmp_path) as world, world.connected(lambda _: ack):
        answer = await world.state(1)
        assert (answer.status, answer.body["targets"][0]["state"]) == (202, "unknown")


async def test_huge_receipt_is_kept_small(tmp_path: Path) -> None:
    """A receipt that would fill the storage is cut down to what matters."""
    huge = {"status": 200, "outcome": "delivered", "targets": [{"target": "x" * 100}] * 1_000}
    async with open_world(tmp_path) as world, world.connected(lambda _: huge):
        answer = await world.state(1)
        assert (answer.status, set(answer.body)) == (200, {"status", "id", "outcome", "duplicate"})


async def test_home_that_can_not_store_gets_it_again(tmp_path: Path) -> None:
    """An ack of 503 keeps the event, in order, and the phone hears that it is held."""
    full = [{"status": 503, "error_code": "STORE_FULL", "error_message": "The disk is full."}] * 2

    def ack(message: dict[str, Any]) -> object:
        return full.pop() if full else delivered(message)

    async with open_world(tmp_path) as world, world.connected(ack) as home:
        first = await world.state(1)
        assert (first.status, first.body["outcome"]) == (202, "held")
        second = asyncio.create_task(world.state(2))
        assert (await second).status in {200, 202}
        assert (await world.settled(first.body["id"]))["outcome"] == "delivered"
        await home.came(4)
        assert home.states()[-2:] == [1, 2]


async def test_later_receipt(tmp_path: Path) -> None:
    """What home says later of an event is its receipt from then on; of another home's events it can say nothing."""
    later = {
        "status": 200,
        "outcome": "delivered",
        "duplicate": False,
        "targets": [{"target": "lamp", "state": "delivered"}],
    }
    async with open_world(tmp_path) as world, world.connected(lambda _: {"status": 202, "outcome": "accepted"}) as home:
        answer = await world.state(1)
        assert (answer.status, answer.body["outcome"]) == (202, "accepted")
        event_id = answer.body["id"]
        assert await home.ask("open-api-receipt", {**later, "id": event_id}) == {"status": 200}
        assert (await world.receipt(event_id))["receipt"] == {**later, "id": event_id}
        for bad, status in (({"id": 5}, 422), ("x", 422), ({**later, "id": "unknown"}, 404)):
            assert (await home.ask("open-api-receipt", bad))["status"] == status

        other = await world.gateway.accounts.create_home("Other")
        code = await world.gateway.accounts.pair_code(other.id)
        paired = await world.gateway.accounts.pair(code.secret, "Their companion")
        async with world.connected(paired=paired) as their:
            assert (await their.ask("open-api-receipt", {**later, "id": event_id}))["status"] == 404
    async with open_world(tmp_path) as world:
        held = await world.state(1)
        async with world.connected(silent) as home:
            await home.came(1)
            told = await home.ask("open-api-receipt", {**later, "id": held.body["id"]})
            assert told == {"status": 200}
            assert (await world.settled(held.body["id"]))["outcome"] == "delivered"
        async with world.connected() as home:
            assert (await world.state(2)).status == 200
            assert home.states() == [2]


async def test_late_number_goes_to_gladys_as_history(tmp_path: Path) -> None:
    """An unmodified Gladys gets a late number with the time of its arrival, and a fresh one or a text without."""
    clock = SetClock()
    async with open_world(tmp_path, clock) as world:
        await world.state("7.5")
        await world.post(json={"device_feature_external_id": LAMP, "text": "on"})
        await world.post(json={"device_feature_external_id": LAMP, "state": 3, "created_at": 1_699_999_000})
        clock.wall, clock.up = clock.wall + 90, clock.up + 90
        await world.state(state=True)
        async with world.connected(companion=False) as home:
            await home.came(4)
            assert [message["data"] for message in home.messages] == [
                {"device_feature_external_id": LAMP, "state": 7.5, "created_at": "2023-11-14T22:13:20.000Z"},
                {"device_feature_external_id": LAMP, "text": "on"},
                {"device_feature_external_id": LAMP, "state": 3, "created_at": "2023-11-14T21:56:40.000Z"},
                {"device_feature_external_id": LAMP, "state": 1},
            ]
            assert all("companion" not in message for message in home.messages)


async def test_age_is_counted_on_the_boot_clock(tmp_path: Path) -> None:
    """A wall clock that is set while an event is held makes it neither older nor younger."""
    clock = SetClock()
    async with open_world(tmp_path, clock) as world:
        await world.state(1)
        await world.post(json={"device_feature_external_id": LAMP, "state": 2, "created_at": clock.wall - 100})
        clock.wall, clock.up = clock.wall - 3_000, clock.up + 30
        async with world.connected() as home:
            await home.came(2)
            assert [message["companion"]["age_ms"] for message in home.messages] == [30_000, 130_000]
            assert home.messages[0]["companion"]["received_at"] == 1_700_000_000


async def test_quota_of_a_home_and_of_a_key(tmp_path: Path) -> None:
    """One phone can not take the whole quota, and when it is full nothing is stored until home takes some."""
    async with open_world(tmp_path, held_events=8, key_share=0.25) as world:
        await _hold(world, 2)
        full = await world.state(2)
        assert (full.status, full.body["error_code"]) == (507, "HOLD_FULL")
        tracks = await world.post("owntracks", json={"_type": "lwt", "tst": 1})
        assert (tracks.status, tracks.body["error_code"], tracks.headers["Retry-After"]) == (503, "HOLD_FULL", "60")
        for number in range(3):
            other = (await world.gateway.accounts.create_key(None, f"other {number}")).secret
            for _ in range(2):
                answer = await world.post(key=other, json={"device_feature_external_id": LAMP, "state": 1})
                assert answer.status == 202
        another = (await world.gateway.accounts.create_key(None, "another")).secret
        answer = await world.post(key=another, json={"device_feature_external_id": LAMP, "state": 1})
        assert answer.status == 507
        async with world.connected() as home:
            await home.came(8)
            assert (await world.state(3)).status == 200
        await world.gone()
        assert (await world.state(4)).status == 202


async def test_quota_in_bytes(tmp_path: Path) -> None:
    """Large bodies fill the quota as well."""
    async with open_world(tmp_path, held_megabytes=1, body_limit_kib=1_024) as world:
        note = "x" * 400_000
        statuses = [(await world.post("event", json={"note": note})).status for _ in range(3)]
        assert statuses == [202, 202, 507]
    async with open_world(tmp_path, held_megabytes=1, body_limit_kib=1_024) as world:
        assert (await world.post("event", json={"note": note})).status == 507


async def test_expiry_and_forgetting(tmp_path: Path) -> None:
    """What is held expires after 7 days, and is forgotten after 7 more; a clock that is set forward does neither."""
    clock = SetClock()
    async with open_world(tmp_path, clock) as world:
        event_id = (await world.state(1)).body["id"]
        clock.wall += 30 * DAY
        await world.gateway.relay.tidy()
        clock.wall -= 30 * DAY
        assert (await world.receipt(event_id))["state"] == "held"
        clock.wall, clock.up = clock.wall + 7 * DAY + 1, clock.up + 7 * DAY + 1
        await world.gateway.relay.tidy()
        trace = await world.receipt(event_id)
        assert (trace["state"], trace["receipt"]["outcome"]) == ("settled", "expired")
        async with world.connected() as home:
            newer = await world.state(2)
            assert newer.status == 200
            assert home.states() == [2]
        clock.wall, clock.up = clock.wall + 7 * DAY + 1, clock.up + 7 * DAY + 1
        await world.gateway.relay.tidy()
        authorization = {"Authorization": f"Bearer {world.key}"}
        assert (await world.ask("GET", f"/v1/api/events/{event_id}", headers=authorization)).status == 404


async def test_not_stored_is_503(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can not be committed is not taken: 503, on all routes, and the quota is as before."""

    async def full(_: object) -> None:
        raise StoreFull("The disk is full.")

    async with open_world(tmp_path, held_events=1) as world:
        with monkeypatch.context() as disk:
            disk.setattr(world.gateway.storage, "accept", full)
            for _ in range(2):
                answer = await world.state(1)
                assert (answer.status, answer.body["error_code"]) == (503, "STORE_FULL")
                answer = await world.post("owntracks", json={"_type": "lwt", "tst": 1})
                assert (answer.status, answer.body["error_code"]) == (503, "STORE_FULL")
        assert (await world.state(1)).status == 202
