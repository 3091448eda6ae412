"""Browsers in which somebody is logged in. In memory: a restart ends them all."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict

from aiohttp import web
from msgspec import Struct

from gladys_companion.clock import Clock

__all__ = ["COOKIE", "Session", "Sessions", "give", "take"]

COOKIE = "session"
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
    """The sessions, by their cookies: each lasts twelve hours, or one without a request."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
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

    def find(self, cookie: str) -> Session | None:
        """Return the session of a cookie, which goes on by this; None when there is none (any more)."""
        session, now = self._sessions.get(_digest(cookie)), self._clock.elapsed()
        if session is None or now >= session.ends or now >= session.idle:
            return None
        session.idle = now + IDLE
        return session

    def end(self, cookie: str) -> None:
        """End the session of a cookie."""
        self._sessions.pop(_digest(cookie), None)

    def end_all(self, name: str) -> None:
        """End all sessions of somebody."""
        for digest in [digest for digest, session in self._sessions.items() if session.name == name]:
            del self._sessions[digest]


def give(response: web.Response, cookie: str, *, secure: bool) -> web.Response:
    """Give a browser its cookie: not for scripts, nor for requests that other sites make."""
    response.set_cookie(COOKIE, cookie, max_age=int(LASTS), path="/", httponly=True, samesite="Strict", secure=secure)
    return response


def take(response: web.Response) -> web.Response:
    """Take the cookie back."""
    response.del_cookie(COOKIE, path="/")
    return response


def _digest(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode("utf-8", "surrogateescape")).digest()
