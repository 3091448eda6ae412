"""Gateway and home of different versions: what one does not know of the other is no error, and changes nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from websockets.asyncio.client import ClientConnection, connect

from tests.rig import Rig

STATE = {"device_feature_external_id": "phone:0", "state": 1}
MESSAGE = {
    "version": "1.0",
    "type": "gladys-open-api",
    "action": "create-device-state",
    "instance_id": "i",
    "data": STATE,
    "sender_id": "u",
    "local_user_id": None,
}


def packet(text: str | bytes) -> tuple[str, str, list[Any]]:
    """Return type, ack id and arguments of a Socket.IO packet in the namespace ``/``."""
    assert isinstance(text, str)
    body = text[2:].lstrip("0123456789")
    return text[:2], text[2 : len(text) - len(body)], json.loads(body or "[]")


async def next_event(socket: ClientConnection, name: str) -> tuple[str, list[Any]]:
    """Return ack id and arguments of the next event of that name."""
    async with asyncio.timeout(10):
        while True:
            kind, number, told = packet(await socket.recv())
            if kind == "42" and told[0] == name:
                return number, told[1:]


@asynccontextmanager
async def home_at(rig: Rig, announced: dict[str, Any]) -> AsyncIterator[ClientConnection]:
    """Pair with the gateway and give a socket that authenticated with these words added."""
    await rig.command("gateway", "gateway", "home", "create", "Home")
    rig.key = (await rig.command("gateway", "gateway", "key", "create", "phone"))["secret"]
    code = (await rig.command("gateway", "gateway", "home", "pair-code"))["code"]
    async with aiohttp.ClientSession(rig.url) as http:
        async with http.post("/pair", json={"code": code, "name": "other"}) as answer:
            refresh = (await answer.json())["refresh_token"]
        async with http.get("/instances/access-token", headers={"Authorization": refresh}) as answer:
            token = (await answer.json())["access_token"]
    async with connect(f"ws{rig.url[4:]}/socket.io/?EIO=4&transport=websocket") as socket:
        await socket.recv()
        await socket.send(f"40{json.dumps({'auth_type': 'instance', 'access_token': token, **announced})}")
        await next_event(socket, "instance-authenticated")
        yield socket


@pytest.mark.parametrize(
    ("announced", "ack"),
    [
        ({"companion": {"version": 99, "future": {"x": 1}}, "future": 1}, {"status": 200, "outcome": "delivered"}),
        ({}, {"status": 200}),
    ],
    ids=["newer", "none"],
)
async def test_gateway_serves_a_home_of_another_version(
    tmp_path: Path, announced: dict[str, Any], ack: dict[str, Any]
) -> None:
    """A newer home gets our fields and may answer with more than we know; one that announced nothing gets none."""
    rig = Rig(tmp_path)
    rig.configure({}, {})
    try:
        await rig.start("gateway").ready()
        async with home_at(rig, announced) as socket, aiohttp.ClientSession(rig.url) as http:
            async with asyncio.TaskGroup() as group:
                posted = group.create_task(post(http, rig.key))
                number, (message,) = await next_event(socket, "open-api-message")
                assert ("companion" in message) == bool(announced)
                assert message["data"] == STATE
                more = {"id": message["companion"]["id"], "targets": [], "future": [1]} if announced else {}
                await socket.send(f"43{number}{json.dumps([{**ack, **more}])}")
            status, receipt = posted.result()
            assert (status, receipt["outcome"]) == (200, "delivered")
    finally:
        rig.close()


async def post(http: aiohttp.ClientSession, key: str) -> tuple[int, dict[str, Any]]:
    """Post a state; return status and receipt."""
    async with http.post(f"/v1/api/device/state/{key}", json=STATE) as answer:
        return answer.status, await answer.json()


class OtherGateway:
    """A gateway of another version, for one home; ``told`` are the arguments of its instance-authenticated."""

    def __init__(self, told: list[Any], message: dict[str, Any]) -> None:
        self._told = told
        self._message = message
        self.ack: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()

    async def pair(self, _: web.Request) -> web.Response:
        body = {"instance_id": "i", "home_id": "h", "home_name": "Home", "refresh_token": "r", "future": 1}
        return web.json_response(body)

    async def token(self, _: web.Request) -> web.Response:
        return web.json_response({"access_token": "a.b.c", "future": 1})

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        """Authenticate the home, send it one message, and keep its ack."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        opened = {"sid": "s", "upgrades": [], "pingInterval": 25000, "pingTimeout": 20000, "maxPayload": 1_000_000}
        await socket.send_str(f"0{json.dumps(opened)}")
        await socket.receive_str()
        await socket.send_str('40{"sid":"t"}')
        await socket.send_str(f"42{json.dumps(['instance-authenticated', *self._told])}")
        await socket.send_str('42["an-event-of-the-future",{"x":1}]')
        await socket.send_str(f"427{json.dumps(['open-api-message', self._message])}")
        kind, number, acked = packet(await socket.receive_str())
        self.ack.set_result((kind, number, acked[0]))
        await self.ended.wait()
        return socket


@pytest.mark.parametrize(
    ("told", "companion"),
    [
        ([{"companion": {"version": 99, "time": 1.7e9, "future": {}}, "future": 1}], {"age_ms": 0, "future": [1]}),
        ([], None),
    ],
    ids=["newer", "none"],
)
async def test_home_is_served_by_a_gateway_of_another_version(
    tmp_path: Path, told: list[Any], companion: dict[str, Any] | None
) -> None:
    """The message of a newer gateway, and that of one without our fields, are taken and acked with 200."""
    ours = {"companion": {"id": "e-1", "received_at": 1.7e9, "ttl_ms": 60_000, **companion}} if companion else {}
    gateway = OtherGateway(told, {**MESSAGE, "future": {"x": 1}, **ours})
    app = web.Application()
    app.add_routes(
        [
            web.post("/pair", gateway.pair),
            web.get("/instances/access-token", gateway.token),
            web.get("/socket.io/", gateway.socket),
        ]
    )
    runner = web.AppRunner(app)
    rig = Rig(tmp_path)
    rig.configure({}, {})
    try:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", rig.port).start()
        await rig.start("home").ready()
        await rig.add_phone(["phone:0"])
        await rig.command("home", "pair", rig.url, "--code", "ABCDEFGH")
        async with asyncio.timeout(10):
            kind, number, receipt = await gateway.ack
        assert (kind, number, receipt["status"], receipt["outcome"]) == ("43", "7", 200, "delivered")
        assert (receipt["id"] == "e-1") == bool(companion)
        assert rig.rows(rig.journal, "SELECT value FROM features") == [(1.0,)]
    finally:
        gateway.ended.set()
        rig.close()
        await runner.cleanup()
