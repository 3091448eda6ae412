"""The connection that Gladys has to the companion in the place of its gateway: who is there, and what is said.

Spoken is what Gladys' official client wants of a gateway: long-polling, then an upgrade; ``instance-authentication``
with an access token, which is believed once Gladys Plus believes it. Of several connections the newest is Gladys.
Source: @gladysassistant/gladys-gateway-js (``instanceConnect``) and the gladys-gateway server.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import engineio
import msgspec
import structlog
from aiohttp import web
from msgspec import Raw, Struct

from gladys_companion.engine_io import Quiet, Sessions, use_text
from gladys_companion.errors import ProtocolError, RequestError
from gladys_companion.ids import new_id
from gladys_companion.inline.frames import Head, head
from gladys_companion.protocol import socketio

__all__ = ["MOST_FRAME", "Local", "Side"]

MOST_FRAME = 26_214_400  # bytes, as Gladys Plus announces
PING_INTERVAL, PING_TIMEOUT = 25, 20  # seconds, as Gladys Plus
AUTHENTICATE_WITHIN = 90.0  # as there
TRY_AGAIN_WITHIN = 15.0  # the same while Gladys could not authenticate, as Plus could not be reached
ASKS_WITHIN = 5.0  # the time in which Gladys asks for a token and authenticates, where nothing is wrong
MOST_SESSIONS = 16  # Gladys has one, and one more when it comes back before the first is known to be dead
MOST_TOKEN = 8_192
LOOK_EVERY = 1.0
MOST_UNREAD = 1

log = structlog.get_logger(__name__)


class Side(Protocol):
    """Whoever is told what Gladys says."""

    async def believes(self, access_token: str) -> bool:
        """Return whether an access token is good."""

    async def said(self, sid: str, frame: str, found: Head) -> None:
        """Take an event or an ack of an authenticated connection."""

    def came(self, sid: str) -> None:
        """A connection is authenticated: it is Gladys from now on."""

    def left(self, sid: str) -> None:
        """An authenticated connection has ended."""


class _Peer(Struct):
    """One connection, ``since`` when (monotonic). ``holding`` counts what it said that is still being taken."""

    since: float
    joined: bool = False
    refused: bool = False
    authenticated: bool = False
    holding: int = 0


class _Auth(Struct):
    access_token: str = ""


class Local:
    """The connections. ``run`` it in a task, and route ``/socket.io/`` to ``handle``."""

    def __init__(self, side: Side, *, ping_interval: float = PING_INTERVAL, ping_timeout: float = PING_TIMEOUT) -> None:
        self._side = side
        self._peers: dict[str, _Peer] = {}  # the newest authentication last
        self._eio = engineio.AsyncServer(
            async_mode="aiohttp",
            async_handlers=False,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            max_http_buffer_size=MOST_FRAME,
            http_compression=False,
            cors_allowed_origins=[],
            monitor_clients=False,
            logger=Quiet("inline.socket_failed"),
        )
        use_text(self._eio)
        self._sessions = Sessions(self._eio, _body, unread=MOST_UNREAD)
        self._eio.on("connect", self._opened)
        self._eio.on("message", self._message)
        self._eio.on("disconnect", self._closed)

    @property
    def working(self) -> str | None:
        """The connection that is Gladys; None while there is none."""
        return next((sid for sid, peer in reversed(self._peers.items()) if peer.authenticated), None)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve a request of ``/socket.io/``.

        Raises:
            RequestError: 400; 503, there are too many connections.
        """
        if "sid" not in request.query and len(self._eio.sockets) >= MOST_SESSIONS:
            raise RequestError(503, "UNAVAILABLE", "Too many connections are open: only Gladys should connect here.")
        return await self._sessions.handle(request)

    async def run(self, answers: Callable[[], bool]) -> None:
        """Cut what is dead, or still nobody, for ever; ``answers`` says whether Gladys Plus answers at all."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            for sid, peer in self._peers.items():
                if peer.holding:
                    self._hears(sid)
            known = {sid for sid, peer in self._peers.items() if peer.authenticated or peer.holding}
            await self._sessions.look(known, AUTHENTICATE_WITHIN if answers() else TRY_AGAIN_WITHIN)

    async def send(self, sid: str, frame: str) -> bool:
        """Send a packet; return False when the connection has ended. One that does not read holds up its sender."""
        peer = self._peers.get(sid)
        if peer is None or not await self._sessions.reads(sid):
            return False
        if peer.holding:
            self._hears(sid)
        await self._eio.send(sid, frame[1:])
        return sid in self._peers

    async def dismiss(self, *, everybody: bool) -> None:
        """Cut the connections that could not authenticate, or all: Gladys comes again, and asks Plus for a token."""
        now = time.monotonic()
        for sid, peer in list(self._peers.items()):
            stuck = not peer.authenticated and (peer.refused or now - peer.since > ASKS_WITHIN)
            if everybody or stuck:
                await self._sessions.cut(sid)

    async def close(self) -> None:
        """Cut all."""
        await self._sessions.close()

    def _hears(self, sid: str) -> None:
        """Do not take a connection for silent, from which we read nothing ourselves."""
        session = self._eio.sockets.get(sid)
        if session is not None and session.last_ping:
            session.last_ping = time.time()

    def _opened(self, sid: str, environ: dict[str, Any]) -> None:
        self._sessions.opened(sid, environ)
        self._peers[sid] = _Peer(time.monotonic())

    def _closed(self, sid: str, _reason: str) -> None:
        peer = self._peers.pop(sid, None)
        self._sessions.unlock(sid)
        if peer is not None and peer.authenticated:
            log.info("gladys left", connections=len(self._peers))
            self._side.left(sid)

    async def _message(self, sid: str, data: str) -> None:
        peer = self._peers.get(sid)
        if peer is None or not await self._sessions.reads(sid):
            return
        try:
            async with self._held(peer):
                await self._take(sid, peer, f"4{data}")
        except ProtocolError as error:
            log.warning("a connection to the place of the gateway makes no sense", reason=str(error))
            await self._sessions.end(sid)

    @asynccontextmanager
    async def _held(self, peer: _Peer) -> AsyncIterator[None]:
        peer.holding += 1
        try:
            yield
        finally:
            peer.holding -= 1

    async def _take(self, sid: str, peer: _Peer, frame: str) -> None:
        """Do what one packet asks for.

        Raises:
            ProtocolError: it makes no sense.
        """
        kind = frame[1:2]
        if kind == "0" and frame[2:3] == "/":
            namespace = frame[2:].partition(",")[0][:64]
            await self._eio.send(sid, f'4{namespace},{{"message":"Invalid namespace"}}')
        elif kind == "0" and not peer.joined:
            peer.joined = True
            await self._eio.send(sid, f'0{{"sid":"{new_id()}"}}')
        elif kind == "1" and peer.joined:
            await self._sessions.end(sid)
        elif peer.joined and (found := head(frame)) is not None:
            await self._event(sid, peer, frame, found)
        else:
            raise ProtocolError("It sent a packet that only a gateway sends, or before it joined.")

    async def _event(self, sid: str, peer: _Peer, frame: str, found: Head) -> None:
        if found.name in socketio.RESERVED:
            raise ProtocolError(f"It sent an event of the reserved name {found.name!r}.")
        if found.name == "instance-authentication":
            await self._authenticate(sid, peer, frame, found)
        elif peer.authenticated:
            await self._side.said(sid, frame, found)
        elif found.kind == "event" and found.ack_id is not None:
            refused = RequestError(401, "UNAUTHORIZED", "Authenticate first.")
            await self.send(sid, socketio.ack(found.ack_id, refused.body()))

    async def _authenticate(self, sid: str, peer: _Peer, frame: str, found: Head) -> None:
        """Believe an access token that Gladys Plus believes.

        One that is refused leaves the connection as it is: the official client comes back at once when it is
        dismissed, for ever, but waits a second when its connection was cut.
        """
        believed = len(frame) < MOST_TOKEN and await self._side.believes(_token(frame[found.array :]))
        if sid not in self._peers:  # it left meanwhile
            return
        peer.refused = not believed
        if found.ack_id is not None:
            await self.send(sid, socketio.ack(found.ack_id, {"authenticated": believed}))
        if believed and self._peers.pop(sid, None) is peer:
            self._peers[sid] = peer
            again, peer.authenticated = peer.authenticated, True
            log.info("gladys came", connections=len(self._peers))
            if not again:
                self._side.came(sid)


async def _body(request: web.BaseRequest) -> bytes:
    """Return what was posted.

    Raises:
        RequestError: 413, it is too large.
    """
    size, parts = 0, []
    async for part in request.content.iter_any():
        size += len(part)
        if size > MOST_FRAME:
            raise RequestError(413, "BODY_TOO_LARGE", f"A body has at most {MOST_FRAME} bytes here.")
        parts.append(part)
    return b"".join(parts)


def _token(array: str) -> str:
    """Return the access token of the arguments; empty when there is none."""
    try:
        arguments = msgspec.json.decode(array, type=tuple[Raw, ...])
        return msgspec.json.decode(arguments[1], type=_Auth).access_token
    except (msgspec.DecodeError, IndexError, RecursionError, UnicodeEncodeError):
        return ""
