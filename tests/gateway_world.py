"""A gateway on a free port with one home in it, phones that post to it, and homes that take what it relays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from gladys_companion.clock import SYSTEM, Clock
from gladys_companion.config import Gateway
from gladys_companion.errors import ProtocolError
from gladys_companion.gateway.accounts import Paired
from gladys_companion.gateway.server import RunningGateway, Times, open_gateway
from gladys_companion.gateway.storage import Home
from gladys_companion.protocol import socketio

__all__ = ["FAST", "LAMP", "QUICK", "Reply", "StubHome", "World", "delivered", "open_world", "silent", "until"]

LAMP = "mqtt:my-lamp"
FAST: dict[str, Any] = {
    "listen": "127.0.0.1:0",
    "rate_per_key": 100_000,
    "burst_per_key": 100_000,
    "rate_per_address": 100_000,
    "burst_per_address": 100_000,
    "key_share": 1.0,
}

QUICK = Times(look=0.05, goodbye=0.1)

Ack = Callable[[dict[str, Any]], object]


def delivered(message: dict[str, Any]) -> object:
    """Ack as a companion whose devices are quick."""
    return {"status": 200, "id": message.get("companion", {}).get("id"), "outcome": "delivered", "duplicate": False}


def silent(_: dict[str, Any]) -> object:
    """Ack nothing."""
    return None


class Reply(msgspec.Struct, frozen=True):
    status: int
    body: Any
    headers: Mapping[str, str]


class StubHome:
    """A home's socket: acks what comes by a function that may be exchanged, and remembers it."""

    def __init__(self, socket: ClientConnection, ack: Ack) -> None:
        self.socket = socket
        self.ack = ack
        self.messages: list[dict[str, Any]] = []
        self.events: list[socketio.ServerEvent] = []
        self.unacked: list[tuple[int, dict[str, Any]]] = []
        self.joined = asyncio.Event()
        self.authenticated = asyncio.Event()
        self.ended = asyncio.Event()
        self.left = False
        self.beats = True
        self.reading = asyncio.Event()
        self.reading.set()
        self._came = asyncio.Condition()
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._count = 0

    async def run(self, auth: object) -> None:
        try:
            async for frame in self.socket:
                await self.reading.wait()
                with suppress(ProtocolError):  # what is not for this client
                    await self._take(socketio.decode(frame), auth)
        except ConnectionClosed:
            pass
        finally:
            self.ended.set()
            async with self._came:
                self._came.notify_all()

    async def _take(  # noqa: C901 - one case for each packet
        self, packet: socketio.Packet, auth: object
    ) -> None:
        match packet:
            case socketio.Open():
                await self.socket.send(socketio.connect(auth) if auth is not None else "40")
            case socketio.Ping(data=data):
                await self.socket.send(socketio.pong(data))
            case socketio.Connected():
                self.joined.set()
            case socketio.Disconnected():
                self.left = True
            case socketio.ServerEvent(name="open-api-message", args=args, ack_id=ack_id):
                message = msgspec.json.decode(args[0])
                async with self._came:
                    self.messages.append(message)
                    self._came.notify_all()
                answer = self.ack(message)
                if answer is not None and ack_id is not None:
                    await self.socket.send(socketio.ack(ack_id, answer))
                elif ack_id is not None:
                    self.unacked.append((ack_id, message))
            case socketio.ServerEvent(name="companion-heartbeat", ack_id=int(ack_id)):
                if self.beats:
                    await self.socket.send(socketio.ack(ack_id, {"status": 200}))
            case socketio.ServerEvent(name=name):
                self.events.append(packet)
                if name.startswith("instance-auth"):
                    self.authenticated.set()
            case socketio.Ack(ack_id=ack_id, args=args):
                self._asked.pop(ack_id).set_result(msgspec.json.decode(args[0]) if args else None)

    async def came(self, count: int) -> list[dict[str, Any]]:
        """Return the first so many messages, waiting for them."""
        async with asyncio.timeout(10), self._came:
            await self._came.wait_for(lambda: len(self.messages) >= count)
        return self.messages[:count]

    async def ask(self, name: str, *args: object) -> Any:  # noqa: ANN401 - JSON
        """Emit an event and return its ack."""
        self._count += 1
        future = self._asked[self._count] = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(10):
            await self.joined.wait()
            await self.socket.send(socketio.event(name, *args, ack_id=self._count))
            return await future

    async def settle(self, count: int, ack: Ack = delivered) -> None:
        """Ack the oldest messages that were not."""
        for _ in range(count):
            ack_id, message = self.unacked.pop(0)
            await self.socket.send(socketio.ack(ack_id, ack(message)))

    def cut(self) -> None:
        """Lose the connection without a goodbye."""
        self.socket.transport.abort()

    def states(self) -> list[object]:
        return [message["data"].get("state") for message in self.messages]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when the condition holds, which nobody announces."""
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


class World:
    """The gateway, its home ``home`` with the instance ``paired``, and the key of its first phone."""

    def __init__(
        self, gateway: RunningGateway, home: Home, paired: Paired, key: str, http: aiohttp.ClientSession
    ) -> None:
        self.gateway = gateway
        self.home = home
        self.paired = paired
        self.key = key
        self.http = http

    def token(self, paired: Paired | None = None) -> str:
        return self.gateway.accounts.access_token((paired or self.paired).instance.secret)

    async def pair(self, name: str) -> Paired:
        """Pair another instance."""
        code = await self.gateway.accounts.pair_code(self.home.id)
        return await self.gateway.accounts.pair(code.secret, name)

    async def ask(self, method: str, path: str, **how: Any) -> Reply:
        async with self.http.request(method, f"{self.gateway.url}{path}", **how) as answer:
            text = await answer.read()
            return Reply(answer.status, msgspec.json.decode(text) if text else None, answer.headers)

    async def post(self, route: str = "device/state", *, key: str | None = None, **how: Any) -> Reply:
        return await self.ask("POST", f"/v1/api/{route}/{key or self.key}", **how)

    async def state(self, state: object, external_id: str = LAMP, **headers: str) -> Reply:
        sent = {"Idempotency-Key": headers["once"]} if headers else {}
        body = {"device_feature_external_id": external_id, "state": state}
        return await self.post(json=body, headers=sent)

    @asynccontextmanager
    async def socket(
        self, auth: object, ack: Ack = delivered, *, instance_path: str = "/socket.io/?EIO=4&transport=websocket"
    ) -> AsyncIterator[StubHome]:
        """Open a socket with this ``auth`` (None: without any)."""
        uri = self.gateway.url.replace("http", "ws", 1) + instance_path
        async with connect(uri, compression=None, ping_interval=None, close_timeout=0.1, proxy=None) as websocket:
            home = StubHome(websocket, ack)
            async with asyncio.TaskGroup() as group:
                running = group.create_task(home.run(auth))
                try:
                    yield home
                finally:
                    running.cancel()

    @asynccontextmanager
    async def connected(
        self, ack: Ack = delivered, *, paired: Paired | None = None, companion: bool = True
    ) -> AsyncIterator[StubHome]:
        """Open a socket and authenticate it, as a companion or as an unmodified Gladys."""
        auth: dict[str, object] = {"auth_type": "instance", "access_token": self.token(paired)}
        if companion:
            auth["companion"] = {"version": 1}
        async with self.socket(auth, ack) as home:
            async with asyncio.timeout(10):
                await home.authenticated.wait()
            yield home

    async def receipt(self, event_id: str) -> dict[str, Any]:
        """Return the trace of an event of the first key."""
        answer = await self.ask("GET", f"/v1/api/events/{event_id}", headers={"Authorization": f"Bearer {self.key}"})
        assert answer.status == 200
        trace: dict[str, Any] = answer.body
        return trace

    async def settled(self, event_id: str) -> dict[str, Any]:
        """Return the receipt of an event once it has settled."""

        async def has_settled() -> bool:
            return bool((await self.receipt(event_id))["state"] == "settled")

        await until(has_settled)
        receipt: dict[str, Any] = (await self.receipt(event_id))["receipt"]
        return receipt

    async def gone(self) -> None:
        """Return when the gateway knows that no socket of the home is there."""

        async def is_gone() -> bool:
            return not self.gateway.sockets.connected(self.home.id)

        await until(is_gone)


@asynccontextmanager
async def open_world(
    directory: Path, clock: Clock = SYSTEM, times: Times = QUICK, **options: object
) -> AsyncIterator[World]:
    """Open a gateway whose limits nobody meets unless ``options`` say so."""
    config = Gateway(**{**FAST, **options})
    async with open_gateway(config, directory, directory, clock, times) as gateway:
        homes = gateway.accounts.homes()
        home = homes[0] if homes else await gateway.accounts.create_home("Home")
        code = await gateway.accounts.pair_code(home.id)
        paired = await gateway.accounts.pair(code.secret, f"Companion {len(gateway.accounts.instances(home.id))}")
        await gateway.accounts.set_primary(home.id, paired.instance.value.id)
        key = await gateway.accounts.create_key(home.id, f"Phone {len(gateway.accounts.keys(home.id))}")
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            yield World(gateway, home, paired, key.secret, http)
