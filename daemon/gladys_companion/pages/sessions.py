"""Browsers in which somebody is logged in. In memory: a restart ends them all."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict

from aiohttp import web
from msgspec import Struct

from gladys_companion.clock import Clock

__all__ = ["Session", "Sessions"]

LASTS = 12 * 3_600.0
IDLE = 3_600.0
MOST = 100


class Session(Struct, kw_only=True):
    """A browser in which somebody is logged in; ``csrf`` must come with all that it changes. Boot clock."""

    name: str
    csrf: str
    ends: float
    idle: float

    def __repr__(self) -> str:
        return f"Session(name={self.name!r}, ...)"


class Sessions:
    """The sessions, by their cookies: each lasts twelve hours, or one without a request.

    Args:
        clock: boot time.
        cookie: its name. Browsers do not tell ports apart, so servers that may share a machine need names of their own.
    """

    def __init__(self, clock: Clock, cookie: str) -> None:
        self._clock = clock
        self._name = cookie
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()

    def begin(self, name: str) -> str:
        """Begin a session, and return its cookie."""
        cookie, now = secrets.token_urlsafe(32), self._clock.elapsed()
        self._sessions[_digest(cookie)] = Session(
            name=name, csrf=secrets.token_urlsafe(24), ends=now + LASTS, idle=now + IDLE
        )
        if len(self._sessions) > MOST:
            self._sessions.popitem(last=False)
        return cookie

    def find(self, request: web.BaseRequest) -> Session | None:
        """Return the session of a browser, which goes on by this; None when there is none (any more)."""
        session, now = self._sessions.get(self._digest_of(request)), self._clock.elapsed()
        if session is None or now >= session.ends or now >= session.idle:
            return None
        session.idle = now + IDLE
        return session

    def end(self, request: web.BaseRequest, response: web.Response) -> web.Response:
        """End a browser's session, and take its cookie back."""
        self._sessions.pop(self._digest_of(request), None)
        response.del_cookie(self._name, path="/")
        return response

    def end_all(self, name: str) -> None:
        """End all sessions of somebody."""
        for digest in [digest for digest, session in self._sessions.items() if session.name == name]:
            del self._sessions[digest]

    def give(self, response: web.Response, cookie: str, *, secure: bool) -> web.Response:
        """Give a browser its cookie: not for scripts, nor for requests that other sites make."""
        response.set_cookie(
            self._name, cookie, max_age=int(LASTS), path="/", httponly=True, samesite="Strict", secure=secure
        )
        return response

    def _digest_of(self, request: web.BaseRequest) -> bytes:
        return _digest(request.cookies.get(self._name, ""))


def _digest(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode("utf-8", "surrogateescape")).digest()
