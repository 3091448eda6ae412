"""The official client at the gateway in place of a home: it starts with long-polling, upgrades, and acks."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from gladys_companion.gateway.server import Times
from tests.gateway_world import LAMP, open_world, until
from tests.home import SetClock
from tests.npm_modules import Node, node
from tests.wire import open_proxy

pytestmark = pytest.mark.timeout(360)  # the first of them waits for npm


async def _messages(client: Node, count: int) -> list[dict[str, Any]]:
    return [(await client.hear())["message"] for _ in range(count)]


async def test_official_client_gets_events_and_acks(npm_modules: Path, tmp_path: Path) -> None:
    """It connects, gets what phones post, and its acks are what the phones hear."""
    async with open_world(tmp_path) as world:
        refresh = world.paired.instance.secret
        async with node(npm_modules, "instance.cjs", world.gateway.url, refresh) as client:
            assert await client.hear() == {"connected": True}
            answer = await world.state(0.5)
            assert (answer.status, answer.body["targets"]) == (200, [{"target": "gladys", "state": "delivered"}])
            (message,) = await _messages(client, 1)
            assert message == {
                "version": "1.0",
                "type": "gladys-open-api",
                "action": "create-device-state",
                "instance_id": world.paired.instance.value.id,
                "data": {"device_feature_external_id": LAMP, "state": 0.5},
                "sender_id": world.home.user_id,
                "local_user_id": None,
            }
            refused = await world.post("event", json={"refuse": True, "text": 'é "\u2028" 🏠'})
            assert (refused.status, refused.body["outcome"]) == (422, "rejected")
            (message,) = await _messages(client, 1)
            assert message["data"] == {"refuse": True, "text": 'é "\u2028" 🏠', "user": None}


async def test_official_client_gets_what_was_held(npm_modules: Path, tmp_path: Path) -> None:
    """What came while it was away comes in order when it is back, and late numbers as history."""
    clock = SetClock()
    async with open_world(tmp_path, clock) as world:
        for number in range(100):
            assert (await world.state(number)).status == 202
        clock.wall, clock.up = clock.wall + 61, clock.up + 61
        async with node(npm_modules, "instance.cjs", world.gateway.url, world.paired.instance.secret) as client:
            said = [await client.hear() for _ in range(101)]
            assert {"connected": True} in said
            data = [line["message"]["data"] for line in said if "message" in line]
            assert [one["state"] for one in data] == list(range(100))
            assert {one["created_at"] for one in data} == {"2023-11-14T22:13:20.000Z"}
            await client.say({"leave": True})
            await world.gone()
            assert (await world.state(1)).body["outcome"] == "held"
            await client.say({"connect": True})
            again = [await client.hear() for _ in range(2)]
            assert {"connected": True} in again
            (fresh,) = [line["message"]["data"] for line in again if "message" in line]
            assert fresh == {"device_feature_external_id": LAMP, "state": 1}
            assert (await world.state(2)).status == 200


async def test_official_client_that_is_refused(npm_modules: Path, tmp_path: Path) -> None:
    """A revoked instance is told so by the token route, and gets nothing."""
    async with open_world(tmp_path) as world:
        await world.gateway.accounts.revoke_instance(None, world.paired.instance.value.id)
        async with node(npm_modules, "instance.cjs", world.gateway.url, world.paired.instance.secret) as client:
            assert await client.hear() == {"connected": False}
            assert (await world.state(1)).status == 202


@pytest.mark.parametrize("refused", ["token", "instance"])
async def test_official_client_that_is_refused_does_not_hammer(npm_modules: Path, tmp_path: Path, refused: str) -> None:
    """Refused by the socket, or by the token route, it comes back only when its connection was cut, each time."""
    within = 2.0
    times = Times(look=0.05, authenticate=within)
    async with open_world(tmp_path, times=times) as world, open_proxy(world.gateway.url) as proxy:
        if refused == "token":
            proxy.garbles = {"/instances/access-token": '{"access_token":"garbage"}', "/instances/users": "[]"}
        else:
            await world.gateway.accounts.revoke_instance(None, world.paired.instance.value.id)
        began = time.monotonic()
        async with node(npm_modules, "instance.cjs", proxy.url, world.paired.instance.secret) as client:
            assert await client.hear() == {"connected": False}
            async with asyncio.timeout(30):
                while proxy.opened() < 3:
                    await proxy.changed()
        assert time.monotonic() - began > 2 * within
        assert proxy.requests("/instances/access-token") <= 3


async def test_official_client_that_connects_twice(npm_modules: Path, tmp_path: Path) -> None:
    """Two of one instance: the newest gets everything, the other stays quiet, and takes over when that leaves."""
    async with open_world(tmp_path) as world, open_proxy(world.gateway.url) as proxy:
        secret = world.paired.instance.secret
        async with node(npm_modules, "instance.cjs", proxy.url, secret) as old:
            assert await old.hear() == {"connected": True}
            async with node(npm_modules, "instance.cjs", proxy.url, secret) as new:
                assert await new.hear() == {"connected": True}
                for state in range(20):
                    assert (await world.state(state)).status == 200
                assert [one["data"]["state"] for one in await _messages(new, 20)] == list(range(20))
                await new.say({"leave": True})

                async def is_alone() -> bool:
                    return (await world.state(100)).status == 200

                await until(is_alone)
            (first,) = await _messages(old, 1)
            assert first["data"]["state"] == 100
            assert proxy.opened() == 2
