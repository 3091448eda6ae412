"""What Gladys' own client said to npm's server, said again to our gateway, and read by the codec of the link."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect

from gladys_companion.protocol import socketio
from tests.gateway_world import Reply, World, open_world
from tests.wire import FIXTURES, SEPARATOR, Step, Transcript, bind, bound, load, packets

NAMES = sorted(path.stem for path in FIXTURES.glob("*.json"))
SPOKEN = [name for name in NAMES if any(step.kind == "frame" for step in load(name).steps)]
ROUTES = {"create-device-state": "device/state", "create-event": "event"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


def _split(packet: str) -> tuple[str, Any]:
    """Part a packet into what precedes its JSON, and that."""
    found = re.match(r"(\d*(?:<ack-\d+>)?)([\[{].*)?", packet, re.DOTALL)
    assert found, packet
    return found[1], msgspec.json.decode(found[2]) if found[2] else None


class Player:
    """Says the client's part of a transcript to a gateway, and compares what that says with the server's part."""

    def __init__(self, world: World, given: dict[str, str]) -> None:
        self.answers: list[Reply] = []
        self._world = world
        self._given = given
        self._socket: ClientConnection | None = None
        self._upgraded = False
        self._inbox: list[str] = []
        self._due: list[str] = []
        self._polling = ""
        self._uri = ""
        self._posting: list[asyncio.Task[Reply]] = []

    async def play(self, transcript: Transcript) -> None:
        """Play all of it."""
        responses = {step.on: step for step in transcript.steps if step.kind == "response"}
        async with asyncio.timeout(20):
            for step in packets(transcript.steps):
                if step.by == "client":
                    await self._say(step, responses)
                elif step.path or step.kind == "frame" or self._is_polled(step, transcript):
                    await self._expect(step.body)
            self.answers = [await task for task in self._posting]
            if self._socket is not None:
                await self._socket.close()

    @staticmethod
    def _is_polled(step: Step, transcript: Transcript) -> bool:
        asked = next(one for one in transcript.steps if one.on == step.on)
        return asked.method == "GET" and asked.path.startswith("/socket.io/")

    async def _say(self, step: Step, responses: dict[int, Step]) -> None:
        path = bound(step.path, self._given)
        match step.kind:
            case "request" if not path.startswith("/socket.io/"):
                headers = {"Authorization": bound(step.authorization, self._given)}
                answer = await self._world.ask(step.method, path, headers=headers)
                recorded = responses[step.on]
                assert answer.status == recorded.status
                assert bind(msgspec.json.decode(recorded.body), answer.body, self._given), answer.body
            case "request" if step.method == "POST":
                body = bound(step.body, self._given)
                async with self._world.http.post(f"{self._world.gateway.url}{path}", data=body) as posted:
                    assert posted.status == 200
            case "request":
                self._polling = path
                if "sid=" not in path:
                    await self._poll()
            case "open":  # opened with its first frame: from then on, our gateway keeps for it what it has to send
                self._uri = f"{self._world.gateway.url.replace('http', 'ws', 1)}{path}"
            case "frame" if step.body != "3":  # pings come when they come
                if self._socket is None:
                    self._socket = await connect(self._uri, compression=None, ping_interval=None, proxy=None)
                await self._socket.send(bound(step.body, self._given))
                if step.body == "5":
                    self._upgraded = True
                    for template in self._due:
                        await self._expect(template)

    async def _poll(self) -> None:
        async with self._world.http.get(f"{self._world.gateway.url}{self._polling}") as answer:
            assert answer.status == 200
            self._inbox += (await answer.text()).split(SEPARATOR)

    async def _next(self, template: str) -> str:
        while True:
            while self._inbox:
                packet = self._inbox.pop(0)
                if packet not in {"2", "6"}:
                    return packet
            if self._socket is not None and (self._upgraded or template == "3probe"):
                self._inbox.append(str(await self._socket.recv()))
            else:
                await self._poll()

    async def _expect(self, template: str) -> None:
        if template in {"2", "6"}:
            return
        if self._socket is not None and not self._upgraded and template != "3probe":
            self._due.append(template)  # our gateway keeps it for the websocket
            return
        head, recorded = _split(template)
        if isinstance(recorded, list) and recorded[0] == "open-api-message":
            data = {name: value for name, value in recorded[1]["data"].items() if name != "user"}
            posting = self._world.post(ROUTES[recorded[1]["action"]], json=data)
            self._posting.append(asyncio.create_task(posting))
        packet = await self._next(template)
        if template == "3probe":
            assert packet == template
            return
        said_head, said = _split(packet)
        kind, _, ack = head.partition("<")
        if ack:
            self._given[f"<{ack}"] = said_head.removeprefix(kind)
        assert bound(head, self._given) == said_head
        assert bind(recorded, said, self._given), (template, packet)


async def test_an_instance_again(world: World) -> None:
    """Said again to our gateway, the client's part of a session gets the server's part, and phones hear its acks."""
    player = Player(world, {"<refresh-token>": world.paired.instance.secret})
    await player.play(load("instance"))
    assert [answer.status for answer in player.answers] == [200, 422]


def _sample(body: str) -> str:
    return re.sub(r"<ack-(\d+)>", r"\1", body)


def _as_ours(frame: str) -> str:
    """Return what our codec says in place of a client's frame."""
    head, said = _split(frame)
    if frame == "41":
        return socketio.disconnect()
    if head.startswith("43"):
        return socketio.ack(int(head[2:]), *said)
    if head.startswith("42"):
        return socketio.event(said[0], *said[1:], ack_id=int(head[2:]) if head[2:] else None)
    return socketio.pong(frame[1:])


@pytest.mark.parametrize("name", SPOKEN)
def test_the_codec_reads_and_says_the_same(name: str) -> None:
    """Each packet of the server is understood, and each of the client is what our link would send in its place."""
    kinds = {"0": socketio.Open, "40": socketio.Connected, "42": socketio.ServerEvent, "43": socketio.Ack,
             "2": socketio.Ping, "6": socketio.Noop, "41": socketio.Disconnected}  # fmt: skip
    read = said = 0
    for step in packets(load(name).steps):
        body = _sample(step.body)
        if step.kind == "frame" and step.by == "client" and body[:1] in {"3", "4"}:
            assert _as_ours(body) == body
            said += 1
        elif step.by == "server" and (step.kind == "frame" or body[:1] in {"0", "4", "6"}) and body != "3probe":
            head = body[:1] if body[0] != "4" else body[:2]
            assert isinstance(socketio.decode(body), kinds[head]), body
            read += 1
    assert read >= 3
    assert said >= 1


@pytest.mark.parametrize("name", NAMES)
def test_nothing_secret_is_in_a_transcript(name: str) -> None:
    """No token, key or id of a session is in the fixtures."""
    text = (FIXTURES / f"{name}.json").read_text()
    assert not re.search(r"[A-Za-z0-9_-]{40,}", text.replace("gladysassistant", ""))
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}", text)
    assert "eyJ" not in text


def test_a_refused_client_comes_back_at_once() -> None:
    """Why our gateway must not do as Plus does: a client that was dismissed opens its next session at once."""
    steps = load("refused").steps
    dismissed = next(number for number, step in enumerate(steps) if step.by == "server" and step.body == "41")
    assert any(step.by == "client" and step.path.endswith("transport=polling") for step in steps[dismissed:])


def test_what_a_login_shows() -> None:
    """A password never leaves the client, and each of its proofs is another: what was recorded opens no door again."""
    steps = load("account").steps
    proofs = [step.body for step in steps if step.path == "/users/login-finalize"]
    assert len(proofs) == len(set(proofs)) == 3
    assert not any("battery" in step.body for step in steps)
    for step in steps:
        if step.by == "client" and step.path.startswith("/users/login"):
            assert msgspec.json.decode(step.body).keys() <= {
                "email",
                "client_ephemeral_public",
                "login_session_key",
                "client_session_proof",
                "two_factor_code",
                "device_name",
            }
