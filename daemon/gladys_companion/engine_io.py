"""A server's side of Engine.IO 4: python-engineio's sessions, with an end to those that are over.

That is: whose peer is silent, makes no sense, or does not read what it is told. What is no packet ends its session, as
with the official server. Source: https://socket.io/docs/v4/engine-io-protocol/ and https://python-engineio.readthedocs.io.
"""

from __future__ import annotations

import asyncio
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Container
from http import HTTPStatus
from typing import Any

import engineio
import engineio.exceptions
import engineio.packet
import structlog
from aiohttp import web
from engineio.async_drivers.aiohttp import WebSocket

from gladys_companion.errors import RequestError

__all__ = ["SOCKET_PATH", "UPGRADE_WITHIN", "Quiet", "Sessions", "use_text"]

SOCKET_PATH = "/socket.io/"
UPGRADE_WITHIN = 10.0  # as with the official server
_POLL_EVERY = 0.1  # seconds, as there
_MOST_PACKETS = 4 * 64  # in a post: a client that polls may ack a whole window at once
_MESSAGES = ("40", "41", "42", "43", "44", "45", "46")  # all of Engine.IO that holds something of Socket.IO
_OTHERS = ("1", "2", "3", "5", "6")
_NOOP = "6"
_MOST_OTHER = 16  # characters: "2probe" is the longest that there is

_log = structlog.get_logger(__name__)


def _is_packet(frame: object) -> bool:
    """Return whether python-engineio may see a frame: it takes anything else for JSON, however deep."""
    if not isinstance(frame, str):
        return False
    return frame.startswith(_MESSAGES) or (frame.startswith(_OTHERS) and len(frame) <= _MOST_OTHER)


class Quiet:
    """A logger for these libraries that says nothing of what peers do wrong, and tells our own errors as ``event``.

    They go on as if such an error had not been. ``but`` is a module of ours whose errors are about peers.
    """

    def __init__(self, event: str, but: str = "") -> None:
        self._event = event
        self._but = but

    def info(self, *_: object) -> None:
        """Say nothing."""

    warning = info
    error = info

    def exception(self, *_: object) -> None:
        """Tell of an error that came out of our handlers."""
        error = sys.exc_info()[1]
        steps = traceback.walk_tb(error.__traceback__ if error else None)
        modules = {frame.f_globals.get("__name__", "") for frame, _line in steps}
        if any(module.startswith("gladys_companion.") for module in modules - {__name__, self._but}):
            _log.error(self._event, exc_info=error)


class _TextSocket(WebSocket):  # type: ignore[misc]  # python-engineio has no types
    """A websocket whose end is whatever is no packet of Engine.IO."""

    async def wait(self) -> str:
        frame = await super().wait()
        if not _is_packet(frame):
            raise OSError("this is no packet of Engine.IO")
        return str(frame)


def use_text(eio: engineio.AsyncServer) -> None:
    """Let a server take text only, over websockets too."""
    eio._async = {**eio._async, "websocket": _TextSocket}  # noqa: SLF001 - it has no option for it


class Sessions:
    """The sessions of a server that was made for aiohttp; route its path to ``handle``, and call ``look`` now and then.

    Args:
        eio: the server, with its handlers; ``use_text`` was called for it.
        body: reads what was posted, whole.
        unread: how many packets a peer may leave unread before what it says is read no further.
        upgrade_within: seconds that a websocket has to take a polling session over.
    """

    def __init__(
        self,
        eio: engineio.AsyncServer,
        body: Callable[[web.BaseRequest], Awaitable[bytes]],
        *,
        unread: int,
        upgrade_within: float = UPGRADE_WITHIN,
    ) -> None:
        self._eio = eio
        self._body = body
        self._unread = unread
        self._upgrade_within = upgrade_within
        self._met: dict[str, float] = {}  # when a session was first seen here
        self._leaving: dict[str, float] = {}  # when it is cut
        self._transports: dict[str, asyncio.BaseTransport | None] = {}

    def opened(self, sid: str, environ: dict[str, Any]) -> None:
        """Take note of a session: call it from the server's handler of ``connect``, with what that was given."""
        request = environ["aiohttp.request"]
        if "Upgrade" in request.headers:  # one that polls may share its connection
            self._transports[sid] = request.transport

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve a request.

        Raises:
            RequestError: 400.
        """
        if "transport" not in request.query or "j" in request.query or request.method not in {"GET", "POST"}:
            raise _no_request()
        session = self._eio.sockets.get(request.query.get("sid", ""))
        if session is not None and (session.closed or session.closing):
            raise _no_request()
        if session is not None and "Upgrade" in request.headers:
            return await self._upgrade(session, request)
        if request.method == "POST":
            return await self._post(session, request)
        if session is not None and session.upgrading:
            await asyncio.sleep(_POLL_EVERY)  # it is answered by nothing, and the client asks again at once
        response: web.StreamResponse = await self._eio.handle_request(request)
        if response.status == HTTPStatus.BAD_REQUEST:  # its own words repeat what was asked
            raise _no_request()
        return response

    async def _post(self, session: Any, request: web.BaseRequest) -> web.StreamResponse:  # noqa: ANN401 - of engineio
        """Take what a session that polls has to say."""
        if session is None or not session.connected or session.upgraded:
            raise _no_request()
        if not await self._take(session, await self._body(request)):
            raise _no_request()
        return web.Response(text="ok")

    async def _upgrade(self, session: Any, request: web.BaseRequest) -> web.StreamResponse:  # noqa: ANN401 - of engineio
        """Serve a session's websocket; the session goes on polling where that does not come to anything in time."""
        if session.upgrading or session.upgraded:  # or two would share what is to be sent
            raise _no_request()
        transport = self._transports[session.sid] = request.transport

        def give_up() -> None:
            if not session.upgraded and isinstance(transport, asyncio.WriteTransport):
                transport.abort()

        giving_up = asyncio.get_running_loop().call_later(self._upgrade_within, give_up)
        try:
            response: web.StreamResponse = await self._eio.handle_request(request)
        finally:
            giving_up.cancel()
            session.upgrading = False  # python-engineio leaves it where the websocket ends before its first word
        return response

    async def _take(self, session: Any, body: bytes) -> bool:  # noqa: ANN401 - of engineio
        """Take what was posted to a session; return whether it was packets: if not, the session is over.

        In place of python-engineio's own way, which waits for ever where a packet is one that only servers send.
        """
        if not await self.reads(session.sid):
            return False
        try:
            frames = body.decode().split("\x1e")
        except UnicodeDecodeError:
            frames = []
        if 0 < len(frames) <= _MOST_PACKETS and all(map(_is_packet, frames)):
            try:
                for frame in (one for one in frames if one[0] != _NOOP):
                    await session.receive(engineio.packet.Packet(encoded_packet=frame))
            except engineio.exceptions.EngineIOError:  # also where one of them ended the session
                pass
            else:
                return True
        await self.end(session.sid)
        return False

    async def reads(self, sid: str) -> bool:
        """Return whether a peer reads what it is told, in time; one that does not is cut."""
        session = self._eio.sockets.get(sid)
        if session is None:
            return False
        if session.queue.qsize() > self._unread:
            try:
                async with asyncio.timeout(self._eio.ping_timeout):
                    await session.queue.join()
            except TimeoutError:
                await self.cut(sid)
                return False
        return True

    async def end(self, sid: str) -> None:
        """End a session for what its peer did wrong; what it was told before still goes out."""
        session = self._eio.sockets.get(sid)
        if session is not None:
            await session.close(wait=False, abort=True, reason=self._eio.reason.TRANSPORT_ERROR)

    def unlock(self, sid: str) -> None:
        """Let whoever waits for what a session that has ended still sends learn that nothing more comes."""
        session = self._eio.sockets.get(sid)
        if session is not None:
            if not session.upgraded:
                session.queue.put_nowait(engineio.packet.Packet(engineio.packet.NOOP))
            session.queue.put_nowait(None)

    def leave_within(self, sid: str, seconds: float) -> None:
        """Cut a session if it is still there then."""
        self._leaving.setdefault(sid, time.monotonic() + seconds)

    async def look(self, known: Container[str | None], authenticate_within: float) -> None:
        """Cut what is silent, was to leave, or is still not among the ``known`` sessions."""
        now = time.monotonic()
        live = dict(self._eio.sockets)
        tables: tuple[dict[str, Any], ...] = (self._met, self._leaving, self._transports)
        for table in tables:
            for sid in table.keys() - live.keys():
                del table[sid]
        for sid, session in live.items():
            since = self._met.setdefault(sid, now)
            nobody = sid not in known and now - since > authenticate_within
            silent = session.last_ping and time.time() - session.last_ping > self._eio.ping_timeout
            if nobody or silent or now > self._leaving.get(sid, now):
                await self.cut(sid)

    async def close(self) -> None:
        """Cut all."""
        for sid in list(self._eio.sockets):
            await self.cut(sid)

    async def cut(self, sid: str) -> None:
        """End a session and its connection, whether the peer listens or not."""
        session = self._eio.sockets.pop(sid, None)
        transport = self._transports.pop(sid, None)
        if session is not None:
            await session.close(wait=False, abort=True, reason=self._eio.reason.PING_TIMEOUT)
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()


def _no_request() -> RequestError:
    return RequestError(400, "BAD_REQUEST", "This is no request of Engine.IO 4, or its session has ended.")
