"""Gateways that a home can not use, each bad in its own way, and how often one is asked in an hour."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

from msgspec import Struct
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed

from tests.home import ON, Home, open_home
from tests.linking import linked
from tests.odd_gateway import Gateway, Peer, message, open_gateway
from tests.virtual_time import LoopClock, VirtualLoop, waits

__all__ = ["CASES", "Asked", "measure"]

MOST_PAYLOAD = 26_214_400
PING_EVERY = 10.0  # seconds of the hour that is played, in which time jumps: nothing waits for them
_REFUSED = '{"status":%d,"error_code":"X","error_message":"no"}'


class Asked(Struct, frozen=True, kw_only=True):
    """How often the home tried, what the gateway saw of it (tokens asked for, websockets, frames), how it ended."""

    attempts: int
    tokens: int
    sockets: int
    frames: int
    state: str
    reason: str | None


class _Front:
    """What a gateway sees, whatever it is."""

    def __init__(self) -> None:
        self.url = ""
        self.tokens = 0
        self.sockets = 0
        self.frames = 0


Served = Callable[[Peer, _Front], Awaitable[None]]


def _answering(status: HTTPStatus, body: str) -> Callable[[], tuple[HTTPStatus, str]]:
    return lambda: (status, body)


async def _count(peer: Peer, front: _Front) -> None:
    """Read until the home leaves."""
    async for _ in peer.socket:
        front.frames += 1


async def _hang_up_at_once(_: Peer, __: _Front) -> None:
    return


async def _accept_and_hang_up(peer: Peer, _: _Front) -> None:
    await peer.join()


async def _accept_and_dismiss(peer: Peer, front: _Front) -> None:
    await peer.join()
    await peer.socket.send('42["instance-authentication-failed",{"reason":"jwt expired"}]')
    await peer.socket.send("41")
    await _count(peer, front)


async def _never_answer(peer: Peer, front: _Front) -> None:
    await peer.welcome()
    await _count(peer, front)


async def _fall_silent(peer: Peer, front: _Front) -> None:
    await peer.join()
    await _count(peer, front)


async def _ping(peer: Peer) -> None:
    while True:
        await asyncio.sleep(PING_EVERY)
        await peer.socket.send("2")


async def _say_nonsense(peer: Peer, front: _Front) -> None:
    await peer.join()
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(_count(peer, front))
        while not reading.done():
            for frame in ("", "9", "42{}", '421["nonsense"]', b"\x00"):
                await peer.socket.send(frame)
            await asyncio.sleep(PING_EVERY)


async def _say_too_much(peer: Peer, front: _Front) -> None:
    await peer.join()
    await peer.socket.send("x" * (MOST_PAYLOAD + 1))
    await _count(peer, front)


async def _refuse(peer: Peer, front: _Front) -> None:
    await peer.welcome()
    await peer.socket.send('42["instance-authentication-failed",{"reason":"invalid token"}]')
    await _count(peer, front)


async def _never_ack(peer: Peer, front: _Front) -> None:
    """Ask for what settles late, and ack no word of it."""
    await peer.join()
    for number in range(100):
        await peer.say(number, message(ON.external_id, number % 2, f"event-{number}"))
    async with asyncio.TaskGroup() as group:
        pinging = group.create_task(_ping(peer))
        await _count(peer, front)
        pinging.cancel()


async def _ask_ten_thousand(peer: Peer, front: _Front) -> None:
    await peer.join()
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(_count(peer, front))
        for number in range(10_000):
            await peer.say(number, message("mqtt:nobody-knows", number, f"event-{number}"))
        pinging = group.create_task(_ping(peer))
        await reading
        pinging.cancel()


class Case(Struct, frozen=True, kw_only=True):
    """One bad gateway. ``parks``: the home asks no more. ``stays``: it stays connected.

    ``revoked_after`` so many tokens it gives no more.
    """

    name: str
    serve: Served | None = None
    token: Callable[[], tuple[HTTPStatus, str]] | None = None
    refuses_websockets: bool = False
    revoked_after: int | None = None
    raw: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] | None = None
    absent: bool = False
    parks: bool = False
    stays: bool = False


async def _take_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def _answer_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"SSH-2.0-OpenSSH_9.2p1\r\n")
    await writer.drain()


CASES = (
    Case(name="nobody listens", absent=True),
    Case(name="takes the connection and never answers", raw=_take_nothing),
    Case(name="is no HTTP server", raw=_answer_nonsense),
    Case(name="answers 500 for a token", token=_answering(HTTPStatus.INTERNAL_SERVER_ERROR, "oops")),
    Case(name="answers 429 for a token", token=_answering(HTTPStatus.TOO_MANY_REQUESTS, _REFUSED % 429)),
    Case(name="gives a token and refuses the websocket (503)", refuses_websockets=True),
    Case(name="closes the websocket at once", serve=_hang_up_at_once),
    Case(name="never answers the authentication", serve=_never_answer),
    Case(name="accepts, then hangs up", serve=_accept_and_hang_up),
    Case(name="accepts, then refuses and dismisses", serve=_accept_and_dismiss),
    Case(name="accepts, then falls silent", serve=_fall_silent),
    Case(name="sends a frame of 25 MB and a byte", serve=_say_too_much),
    Case(name="sends malformed and binary frames for ever", serve=_say_nonsense, stays=True),
    Case(name="acks no receipt", serve=_never_ack, stays=True),
    Case(name="sends ten thousand events at once", serve=_ask_ten_thousand, stays=True),
    Case(name="refuses each fresh access token", serve=_refuse, parks=True),
    Case(
        name="knows the refresh token no more (401)",
        token=_answering(HTTPStatus.UNAUTHORIZED, _REFUSED % 401),
        parks=True,
    ),
    Case(name="has revoked the instance (403)", token=_answering(HTTPStatus.FORBIDDEN, _REFUSED % 403), parks=True),
    Case(
        name="accepts, hangs up, and has revoked the instance then",
        serve=_accept_and_hang_up,
        revoked_after=1,
        parks=True,
    ),
)


@asynccontextmanager
async def _opened(case: Case, front: _Front) -> AsyncIterator[None]:
    if case.raw is not None:
        answer = case.raw

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            front.tokens += 1
            try:
                await answer(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        async with server:
            front.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield
        return
    async with open_gateway() as gateway:
        front.url = gateway.url
        if case.absent:
            gateway.server.close()
            await gateway.server.wait_closed()
        _counted(gateway, case, front)
        yield


def _counted(gateway: Gateway, case: Case, front: _Front) -> None:
    given = case.token or gateway.token_answer

    def token() -> tuple[HTTPStatus, str]:
        front.tokens += 1
        if case.revoked_after is not None and front.tokens > case.revoked_after:
            return HTTPStatus.FORBIDDEN, _REFUSED % 403
        return given()

    async def serve(peer: Peer) -> None:
        front.sockets += 1
        if case.serve is None:
            return
        if case.revoked_after is not None and front.sockets > 1:
            await _refuse(peer, front)
            return
        try:
            await case.serve(peer, front)
        except* ConnectionClosed:
            pass

    gateway.token_answer = token
    gateway.serve = serve
    gateway.refuse = case.refuses_websockets


async def _live(case: Case, home: Home, seconds: float, *, own: bool) -> Asked:
    front = _Front()
    waited: list[float] = []

    def delays(attempt: int, first: float, most: float) -> float:
        waited.append(waits(attempt, first, most))
        return waited[-1]

    async with _opened(case, front), linked(home, front.url, delays=delays, own=own) as link:
        await asyncio.sleep(seconds)
        return Asked(
            attempts=len(waited) + 1,
            tokens=front.tokens,
            sockets=front.sockets,
            frames=front.frames,
            state=link.state.state,
            reason=link.state.reason,
        )


async def _at_home(case: Case, seconds: float, *, own: bool) -> Asked:
    with capture_logs(), tempfile.TemporaryDirectory(prefix="gladys-retries-") as directory:
        async with open_home(Path(directory), clock=LoopClock()) as home:
            await home.slow_lamp()
            return await _live(case, home, seconds, own=own)


def measure(case: Case, seconds: float, *, own: bool) -> Asked:
    """Return how often a gateway is asked in so many seconds of a home's life, which takes far fewer."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(_at_home(case, seconds, own=own))
