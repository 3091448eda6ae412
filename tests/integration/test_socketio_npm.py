"""The Socket.IO codec, over websockets, against the official npm server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from msgspec import Raw
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from gladys_companion.errors import ProtocolError
from gladys_companion.protocol import socketio
from tests.npm_modules import Node, node

pytestmark = pytest.mark.timeout(360)  # the first of them waits for npm


@asynccontextmanager
async def server(npm_modules: Path, ping_interval: int = 25_000) -> AsyncIterator[tuple[Node, ClientConnection]]:
    """Run the server and open one websocket to it, before the handshake."""
    async with node(npm_modules, "server.cjs", str(ping_interval), "20000") as script:
        port = (await script.hear())["port"]
        async with (
            asyncio.timeout(30),
            connect(f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket", proxy=None) as websocket,
        ):
            yield script, websocket


@asynccontextmanager
async def joined(npm_modules: Path, ping_interval: int = 25_000) -> AsyncIterator[tuple[Node, ClientConnection]]:
    """Run the server and join it with a good token, as far as its first event."""
    async with server(npm_modules, ping_interval) as (script, websocket):
        assert isinstance(await receive(websocket), socketio.Open)
        await websocket.send(socketio.connect({"auth_type": "instance", "access_token": "good"}))
        assert isinstance(await receive(websocket), socketio.Connected)
        assert await receive(websocket) == socketio.ServerEvent("instance-authenticated")
        yield script, websocket


async def receive(websocket: ClientConnection) -> socketio.Packet:
    return socketio.decode(await websocket.recv())


def values(args: tuple[Raw, ...]) -> list[object]:
    return [msgspec.json.decode(arg) for arg in args]


async def test_handshake_and_connect(npm_modules: Path) -> None:
    """The server's handshake carries its timings, and a connect with auth joins under a session of its own."""
    async with server(npm_modules, 12_345) as (_, websocket):
        opened = await receive(websocket)
        assert isinstance(opened, socketio.Open)
        assert (opened.ping_interval, opened.ping_timeout, opened.max_payload) == (12_345, 20_000, 1_000_000)
        await websocket.send(socketio.connect({"access_token": "good"}))
        connected = await receive(websocket)
        assert isinstance(connected, socketio.Connected)
        assert connected.sid != opened.sid


async def test_connect_error(npm_modules: Path) -> None:
    """A refused token is told with the server's reason and data."""
    async with server(npm_modules) as (_, websocket):
        await receive(websocket)
        await websocket.send(socketio.connect({"access_token": "old"}))
        assert await receive(websocket) == socketio.ConnectError("jwt expired", {"code": "EXPIRED"})


async def test_server_asks_and_we_ack(npm_modules: Path) -> None:
    """An event with an ack comes in, and the server receives our answer to it, each time."""
    message = {"action": "create-device-state", "data": {"state": 0.5, "text": 'é "\u2028" 🏠'}, "local_user_id": None}
    async with joined(npm_modules) as (_, websocket):
        for status in (200, 422):
            await websocket.send(socketio.event("ask", "open-api-message", message))
            asked = await receive(websocket)
            assert isinstance(asked, socketio.ServerEvent)
            assert asked.name == "open-api-message"
            assert values(asked.args) == [message]
            assert asked.ack_id is not None
            await websocket.send(socketio.ack(asked.ack_id, {"status": status}))
            answered = await receive(websocket)
            assert isinstance(answered, socketio.ServerEvent)
            assert (answered.name, values(answered.args)) == ("answered", [{"status": status}])


async def test_we_ask_and_the_server_acks(npm_modules: Path) -> None:
    """Our event with an ack id is answered under that id, also under the largest."""
    async with joined(npm_modules) as (_, websocket):
        for ack_id in (0, 1, 2**53 - 1):
            await websocket.send(socketio.event("echo", "é", [1.5], {"a": None}, ack_id=ack_id))
            answer = await receive(websocket)
            assert isinstance(answer, socketio.Ack)
            assert (answer.ack_id, values(answer.args)) == (ack_id, ["é", [1.5], {"a": None}])


async def test_pong_keeps_the_link(npm_modules: Path) -> None:
    """The server pings, and pings again only because it understood the pong."""
    async with joined(npm_modules, ping_interval=50) as (_, websocket):
        for _ in range(3):
            ping = await receive(websocket)
            assert isinstance(ping, socketio.Ping)
            await websocket.send(socketio.pong(ping.data))


async def test_binary_is_refused_and_the_link_lives(npm_modules: Path) -> None:
    """A binary event and its attachment are refused one by one, and what follows is understood."""
    async with joined(npm_modules) as (_, websocket):
        await websocket.send(socketio.event("blob"))
        for _ in range(2):
            with pytest.raises(ProtocolError):
                await receive(websocket)
        await websocket.send(socketio.event("echo", ack_id=1))
        assert await receive(websocket) == socketio.Ack(1)


async def test_we_leave(npm_modules: Path) -> None:
    """The server takes our disconnect as a client's leave, not as a lost transport."""
    async with joined(npm_modules) as (script, websocket):
        await websocket.send(socketio.disconnect())
        assert await script.hear() == {"disconnected": "client namespace disconnect"}


async def test_server_leaves(npm_modules: Path) -> None:
    """The server's disconnect is understood, and told to its own side as its own."""
    async with joined(npm_modules) as (script, websocket):
        await websocket.send(socketio.event("dismiss"))
        assert await receive(websocket) == socketio.Disconnected()
        assert await script.hear() == {"disconnected": "server namespace disconnect"}


async def test_server_hangs_up(npm_modules: Path) -> None:
    """A server that ends the transport too says so before it closes the websocket."""
    async with joined(npm_modules) as (_, websocket):
        await websocket.send(socketio.event("hang-up"))
        assert await receive(websocket) == socketio.Disconnected()
        with pytest.raises(ConnectionClosed):
            await receive(websocket)
