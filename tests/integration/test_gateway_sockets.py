"""Who may connect to the gateway, which socket gets a home's events, and what ends the others."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gladys_companion.gateway.server import Times
from gladys_companion.protocol import socketio
from tests.gateway_world import StubHome, delivered, open_world, silent, until
from tests.home import SetClock


def _told(home: StubHome) -> list[tuple[str, list[Any]]]:
    return [(event.name, [msgspec.json.decode(arg) for arg in event.args]) for event in home.events]


async def test_authentication_at_connect(tmp_path: Path) -> None:
    """A companion hears the version and the time, an unmodified Gladys just that it is in."""
    async with open_world(tmp_path) as world:
        async with world.connected() as home:
            ((name, (told,)),) = _told(home)
            assert (name, told["companion"]["version"]) == ("instance-authenticated", 1)
            assert told["companion"]["primary"] is True
            assert abs(told["companion"]["time"] - time.time()) < 60
        async with world.connected(companion=False) as home:
            assert _told(home) == [("instance-authenticated", [])]
        (instance,) = world.gateway.accounts.instances()
        assert instance.last_seen is not None


@pytest.mark.parametrize(
    ("auth", "reason"),
    [
        ({"auth_type": "instance", "access_token": "nonsense"}, "invalid token"),
        ({"auth_type": "instance", "access_token": 5}, "invalid token"),
        ({"auth_type": "user", "access_token": "x"}, "unknown auth_type"),
    ],
)
async def test_refused_at_connect(tmp_path: Path, auth: dict[str, Any], reason: str) -> None:
    """Who is refused hears why, and the namespace is closed behind it, then the connection."""
    async with open_world(tmp_path) as world, world.socket(auth) as home:
        async with asyncio.timeout(10):
            await home.authenticated.wait()
            await home.ended.wait()
        assert _told(home) == [("instance-authentication-failed", [{"reason": reason}])]
        assert home.left


async def test_authentication_by_event(tmp_path: Path) -> None:
    """An instance that connected bare may authenticate afterwards; one that can not is told, and may try again."""
    async with open_world(tmp_path) as world:
        async with world.socket(None) as home:
            assert await home.ask("instance-authentication", {"access_token": world.token()}) == {"authenticated": True}
            assert (await world.state(1)).status == 200
            assert "companion" not in home.messages[0]
        async with world.socket(None) as home:
            ours = {"access_token": world.token(), "companion": {"version": 1}}
            assert await home.ask("instance-authentication", ours) == {"authenticated": True}
            assert (await world.state(1)).status == 200
            assert "companion" in home.messages[0]
        for bad in ({"access_token": "no"}, {}, 5):
            async with world.socket(None) as home:
                assert await home.ask("instance-authentication", bad) == {"authenticated": False}
                assert await home.ask("latency") == {}
                ours = {"access_token": world.token()}
                assert await home.ask("instance-authentication", ours) == {"authenticated": True}


async def test_refused_by_event_is_cut_without_a_goodbye(tmp_path: Path) -> None:
    """Who could not authenticate is cut as one who never tried: dismissed, the official client is back at once."""
    times = Times(authenticate=0.3, look=0.05, goodbye=0.1)
    async with open_world(tmp_path, times=times) as world, world.socket(None) as home:
        assert await home.ask("instance-authentication", {"access_token": "no"}) == {"authenticated": False}
        async with asyncio.timeout(10):
            await home.ended.wait()
        assert not home.left


async def test_nobody_is_cut(tmp_path: Path) -> None:
    """A socket that never says who it is is cut after a while, whether it joined the namespace or not."""
    async with open_world(tmp_path, times=Times(authenticate=0.3, look=0.05, goodbye=0.1)) as world:
        async with world.socket(None) as home, world.connected() as known:
            async with asyncio.timeout(10):
                await home.ended.wait()
            assert not known.ended.is_set()
            assert (await world.state(1)).status == 200
        async with world.http.ws_connect(f"{world.gateway.url}/socket.io/?EIO=4&transport=websocket") as bare:
            async with asyncio.timeout(10):
                assert (await bare.receive_str()).startswith("0{")
                while not bare.closed:
                    await bare.receive()


async def test_unknown_event_is_answered(tmp_path: Path) -> None:
    """What the gateway does not know is acked with an error, authenticated or not, and harms nobody."""
    async with open_world(tmp_path) as world, world.connected() as home:
        for name in ("nonsense", "open-api-message"):
            answer = await home.ask(name, {"any": 1})
            assert (answer["status"], answer["error_code"]) == (404, "UNKNOWN_EVENT")
        for name in ("message", "user-authentication"):  # of a dashboard, which there is none of
            answer = await home.ask(name, {"any": 1})
            assert (answer["status"], answer["error_code"]) == (501, "NOT_OFFERED")
        assert await home.ask("latency") == {}
        assert (await world.state(1)).status == 200
        async with world.socket(None) as stranger:
            assert (await stranger.ask("open-api-receipt", {}))["status"] == 401


async def test_newest_socket_of_an_instance_gets_everything(tmp_path: Path) -> None:
    """A half-dead socket gets nothing once a newer one is there; when that leaves, the older one serves again."""
    async with open_world(tmp_path) as world, world.connected(silent) as old:
        waiting = asyncio.create_task(world.state(1))
        await old.came(1)
        async with world.connected() as new:
            answer = await waiting
            assert (answer.status, answer.body["outcome"]) == (200, "delivered")
            assert (await world.state(2)).status == 200
            assert new.states() == [1, 2]
            await old.settle(1)  # too late: another has it
            assert old.states() == [1]
        old.ack = delivered
        async with asyncio.timeout(10):
            while (await world.state(3)).status != 200:
                pass
        assert old.states()[:2] == [1, 3]


async def test_second_instance_does_not_steal(tmp_path: Path) -> None:
    """The first instance stays primary when another connects, and when it is away its events are held for it."""
    async with open_world(tmp_path) as world:
        async with world.connected() as home:
            second = await world.pair("Second")
        assert not second.primary
        async with world.connected() as home, world.connected(paired=second) as other:
            assert (await world.state(1)).status == 200
            assert (home.states(), other.states()) == ([1], [])
        await world.gone()
        async with world.connected(paired=second) as other:
            held = await world.state(2)
            assert (held.status, held.body["outcome"]) == (202, "held")
            await world.gateway.accounts.set_primary(None, "Second")
            await other.came(1)
            assert other.states() == [2]
            async with world.connected() as home:
                assert (await world.state(3)).status == 200
                assert (home.states(), other.states()) == ([], [2, 3])


async def test_companion_hears_whether_it_is_primary(tmp_path: Path) -> None:
    """It is told at once when it comes, and again when a person changes it; a Gladys is not."""
    async with open_world(tmp_path) as world, world.connected() as home:
        second = await world.pair("Second")
        async with world.connected(paired=second) as other, world.connected(companion=False) as gladys:

            def told(companion: StubHome) -> list[bool]:
                return [args[0]["companion"]["primary"] for _, args in _told(companion)]

            assert (told(home), told(other)) == ([True], [False])
            await world.gateway.accounts.set_primary(None, "Second")

            async def both_know() -> bool:
                return (told(home), told(other)) == ([True, False], [False, True])

            await until(both_know)
            assert len(gladys.events) == 1


async def test_instance_that_left_was_seen_then(tmp_path: Path) -> None:
    """Who is connected now is listed as such, and was seen last when it left, the end of the gateway included."""
    clock = SetClock()
    async with open_world(tmp_path, clock) as world:
        instance = world.paired.instance.value.id
        assert not world.gateway.accounts.is_connected(instance)
        async with world.connected():
            assert world.gateway.accounts.is_connected(instance)
            clock.wall += 100
        await world.gone()
        assert not world.gateway.accounts.is_connected(instance)
        assert world.gateway.accounts.instances()[0].last_seen == clock.wall
        async with world.connected():
            clock.wall += 100
            await world.gateway.sockets.close()
            assert world.gateway.accounts.instances()[0].last_seen == clock.wall


async def test_revoked_instance_is_cut(tmp_path: Path) -> None:
    """A revoked instance gets nothing from then on and is closed; its events wait for the next primary."""
    async with open_world(tmp_path) as world:
        async with world.connected() as home:
            await world.gateway.accounts.revoke_instance(None, world.paired.instance.value.id)
            assert (await world.state(1)).status == 202
            async with asyncio.timeout(10):
                await home.ended.wait()
            assert home.states() == []
        fresh = await world.pair("Fresh")
        assert fresh.primary
        async with world.connected(paired=fresh) as home:
            await home.came(1)


async def test_removed_home(tmp_path: Path) -> None:
    """A home that is removed is closed, its key is unknown, and what was held is gone."""
    async with open_world(tmp_path) as world, world.connected(silent) as home:
        waiting = asyncio.create_task(world.state(1))
        await home.came(1)
        await world.gateway.accounts.remove_home("Home")
        assert (await waiting).status == 202
        assert (await world.state(2)).status == 401
        async with asyncio.timeout(10):
            await home.ended.wait()
        assert await world.gateway.storage.held_totals() == []


async def test_homes_are_apart(tmp_path: Path) -> None:
    """Each home gets what its own phones posted."""
    async with open_world(tmp_path) as world, world.connected() as home:
        other = await world.gateway.accounts.create_home("Other")
        code = await world.gateway.accounts.pair_code(other.id)
        paired = await world.gateway.accounts.pair(code.secret, "Their companion")
        key = (await world.gateway.accounts.create_key(other.id, "Their phone")).secret
        async with world.connected(paired=paired) as their:
            body = {"device_feature_external_id": "a", "state": 5}
            assert (await world.post(key=key, json=body)).status == 200
            assert (await world.state(1)).status == 200
            assert (home.states(), their.states()) == ([1], [5])
            assert their.messages[0]["sender_id"] == other.user_id


async def test_frozen_home_is_found_dead(tmp_path: Path) -> None:
    """A home that no longer answers pings is cut, its events wait, and the next socket gets them."""
    async with open_world(tmp_path, answer_within=0.1) as world:
        async with world.connected() as home:
            (engine_socket,) = world.gateway.sockets._server.eio.sockets.values()
            home.reading.clear()
            assert (await world.state(1)).body["outcome"] == "held"
            engine_socket.last_ping = time.time() - 11  # as if a ping had waited for its answer since
            await world.gone()
            home.reading.set()
            async with asyncio.timeout(10):
                await home.ended.wait()
        async with world.connected() as home:
            await home.came(1)
            assert home.states() == [1]


async def test_long_polling_home(tmp_path: Path) -> None:
    """A home that only polls gets its events too, and may ack a whole window in one request."""
    async with open_world(tmp_path) as world:
        for number in range(80):
            assert (await world.state(number)).status == 202
        url = f"{world.gateway.url}/socket.io/?EIO=4&transport=polling"
        async with world.http.get(url) as answer:
            sid = msgspec.json.decode((await answer.read())[1:])["sid"]
        connect = socketio.connect(
            {"auth_type": "instance", "access_token": world.token(), "companion": {"version": 1}}
        )
        async with world.http.post(f"{url}&sid={sid}", data=connect) as answer:
            assert await answer.text() == "ok"
        states: list[object] = []
        async with asyncio.timeout(20):
            while len(states) < 80:
                acks = []
                async with world.http.get(f"{url}&sid={sid}") as answer:
                    packets = (await answer.text()).split("\x1e")
                for packet in map(socketio.decode, packets):
                    if not isinstance(packet, socketio.ServerEvent) or packet.ack_id is None:
                        continue
                    if packet.name == "companion-heartbeat":
                        acks.append(socketio.ack(packet.ack_id, {"status": 200}))
                    else:
                        message = msgspec.json.decode(packet.args[0])
                        states.append(message["data"]["state"])
                        acks.append(socketio.ack(packet.ack_id, delivered(message)))
                if acks:
                    async with world.http.post(f"{url}&sid={sid}", data="\x1e".join(acks)) as answer:
                        assert answer.status == 200
        assert states == list(range(80))
