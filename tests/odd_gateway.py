"""A gateway whose every frame a test decides: a tiny websockets server that also hands out access tokens."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

__all__ = ["Gateway", "Peer", "message", "open_gateway"]


def message(external_id: str, state: object, event_id: str | None = None, **more: Any) -> dict[str, Any]:
    """Return what ``open-api-message`` carries; with an id as our gateway sends it, without as Gladys Plus does."""
    shape: dict[str, Any] = {
        "version": "1.0",
        "type": "gladys-open-api",
        "action": "create-device-state",
        "instance_id": "instance",
        "data": {"device_feature_external_id": external_id, "state": state},
        "sender_id": "sender",
        "local_user_id": None,
    }
    if event_id:
        shape["companion"] = {"id": event_id, "received_at": 1_700_000_000.0, "age_ms": 5, "ttl_ms": 60_000}
    return {**shape, **more}


class Peer:
    """One connection of a home."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.auth: dict[str, Any] = {}

    async def welcome(self, *, ping_interval: int = 25_000, ping_timeout: int = 20_000) -> None:
        """Say what a server says first, and note how the home announces itself."""
        timings = f'"pingInterval":{ping_interval},"pingTimeout":{ping_timeout}'
        await self.socket.send(f'0{{"sid":"a","upgrades":[],{timings},"maxPayload":1000000}}')
        frame = await self.hear()
        assert frame.startswith("40{"), frame
        self.auth = msgspec.json.decode(frame[2:])
        await self.socket.send('40{"sid":"b"}')

    async def accept(self, **companion: Any) -> None:
        """Authenticate it, as our gateway if something of ours is given."""
        own = f",{msgspec.json.encode({'companion': companion}).decode()}" if companion else ""
        await self.socket.send(f'42["instance-authenticated"{own}]')

    async def join(self) -> None:
        """Welcome and accept it, as our gateway."""
        await self.welcome()
        await self.accept(version=1, time=1_700_000_000.0)

    async def say(self, ack_id: int | str, value: object, name: str = "open-api-message") -> None:
        """Emit an event; with an id an ack is asked for."""
        await self.socket.send(f"42{ack_id}{msgspec.json.encode([name, value]).decode()}")

    async def hear(self) -> str:
        """Return the next frame."""
        async with asyncio.timeout(20):
            frame = await self.socket.recv()
        assert isinstance(frame, str)
        return frame

    async def heard(self) -> tuple[int, Any]:
        """Return the next ack: its id, and what it holds."""
        frame = await self.hear()
        assert frame.startswith("43"), frame
        head, bracket, rest = frame[2:].partition("[")
        (answer,) = msgspec.json.decode(bracket + rest)
        return int(head), answer

    async def ask(self, ack_id: int, value: object, name: str = "open-api-message") -> Any:  # noqa: ANN401 - JSON
        """Emit an event, and return its ack."""
        await self.say(ack_id, value, name)
        answered, answer = await self.heard()
        assert answered == ack_id
        return answer


class Gateway:
    """Counts who asks for tokens and who connects; ``serve`` decides what a connection gets."""

    def __init__(self) -> None:
        self.url = ""
        self.peers: list[Peer] = []
        self.tokens: list[str | None] = []
        self.token_answer: Callable[[], tuple[HTTPStatus, str]] = self._token
        self.serve: Callable[[Peer], Awaitable[None]] = Peer.join
        self.users = HTTPStatus.OK  # whether an access token is good
        self.asked_for_users = 0
        self.refuse = False  # each websocket
        self.server: Server

    def _token(self) -> tuple[HTTPStatus, str]:
        return HTTPStatus.OK, f'{{"access_token":"jwt-{len(self.tokens)}"}}'

    def http(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer what is no websocket."""
        if request.path == "/instances/users":
            self.asked_for_users += 1
            return connection.respond(self.users, "[]")
        if request.path != "/instances/access-token":
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "") if self.refuse else None
        self.tokens.append(request.headers.get("Authorization"))
        status, body = self.token_answer()
        return connection.respond(status, body)

    async def connected(self, socket: ServerConnection) -> None:
        """Serve one connection."""
        peer = Peer(socket)
        self.peers.append(peer)
        try:
            await self.serve(peer)
        except ConnectionClosed:
            return


@asynccontextmanager
async def open_gateway(tls: ssl.SSLContext | None = None) -> AsyncIterator[Gateway]:
    """Run it on a free port of 127.0.0.1."""
    gateway = Gateway()
    async with serve(
        gateway.connected, "127.0.0.1", 0, process_request=gateway.http, ssl=tls, ping_interval=None, compression=None
    ) as gateway.server:
        (listening,) = gateway.server.sockets
        gateway.url = f"http{'s' if tls else ''}://127.0.0.1:{listening.getsockname()[1]}"
        yield gateway
