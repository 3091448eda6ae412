"""Who may look at the home's pages, and who may change things there.

From this machine (loopback, and no proxy in between) everybody may look; and change things, unless a password is set.
From other machines nothing is shown without the password.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import secrets
from collections import OrderedDict

from aiohttp import web

from gladys_companion.clock import SYSTEM, Clock
from gladys_companion.pages.passwords import fits, hashed
from gladys_companion.pages.sessions import Session, Sessions
from gladys_companion.pages.tries import Tries
from gladys_companion.store.secrets import StoredSecrets
from gladys_companion.store.writer import Store

__all__ = ["Visitors"]

OWNER = "owner"  # of whom there is one
MOST_WRONG, WRONG_WITHIN = 10, 900.0
MOST_KNOWN = 100
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP")


class Visitors:
    """The password of the pages, and the browsers that gave it."""

    def __init__(self, store: Store, clock: Clock = SYSTEM) -> None:
        self._secrets = StoredSecrets(store, "pages")
        self.sessions = Sessions(clock, "home_session")
        self._wrong = Tries(clock, MOST_WRONG, WRONG_WITHIN, "wrong passwords came from this address")
        self._here = secrets.token_urlsafe(24)  # the token of forms that are sent from this machine
        self._known: OrderedDict[bytes, None] = OrderedDict()  # right ``Authorization`` headers, to hash each once
        self._kept: str | None = None
        self._loaded = False

    @property
    def protected(self) -> bool:
        """Whether there is a password, or it is not known that there is none."""
        return self._kept is not None or not self._loaded

    async def load(self) -> None:
        """Learn the password, once.

        Raises:
            StoreError: the database does not answer: until it does nobody may change anything.
        """
        if not self._loaded:
            kept = await self._secrets.get("password")
            self._kept, self._loaded = kept.decode() if kept is not None else None, True

    async def set_password(self, password: str | None) -> None:
        """Set another password, or with None have none; everybody is logged out.

        Raises:
            RequestError: 422, it is too short or too long.
            StoreError: it was not set.
        """
        kept = await hashed(password) if password is not None else None
        await self._secrets.set("password", kept.encode() if kept is not None else None)
        self._kept, self._loaded = kept, True
        self._known.clear()
        self.sessions.end_all(OWNER)

    async def log_in(self, password: str, sender: str) -> str | None:
        """Return the cookie of a fresh session; None if the password is wrong.

        Raises:
            RequestError: 429, too many wrong ones came from there.
        """
        return self.sessions.begin(OWNER) if await self._is_right(password, sender) else None

    def session(self, request: web.BaseRequest) -> Session | None:
        """Return the session of a browser."""
        return self.sessions.find(request)

    async def may_look(self, request: web.BaseRequest) -> bool:
        """Return whether this request is answered.

        Raises:
            RequestError: 429, too many wrong passwords came from there.
        """
        return _is_near(request) or self.session(request) is not None or await self._knows(request)

    def token(self, request: web.BaseRequest) -> str | None:
        """Return what forms of this browser carry; None where it may change nothing before it is logged in."""
        session = self.session(request)
        if session is not None:
            return session.csrf
        return self._here if _is_near(request) and not self.protected else None

    async def _knows(self, request: web.BaseRequest) -> bool:
        """Return whether a program gave the password (HTTP Basic, RFC 7617; any user name)."""
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        digest = hashlib.sha256(given.encode("utf-8", "surrogateescape")).digest()
        if digest in self._known:
            return True
        try:
            password = base64.b64decode(given, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return False
        if not await self._is_right(password, request.remote or ""):
            return False
        self._known[digest] = None
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return True

    async def _is_right(self, password: str, sender: str) -> bool:
        self._wrong.spend(sender)
        await self.load()
        kept = self._kept
        right = await fits(kept, password) and kept == self._kept  # it may be changed meanwhile
        if right:
            self._wrong.forgive(sender)
        return right


def _is_near(request: web.BaseRequest) -> bool:
    """Return whether a request was made on this machine, and not only passed on by a proxy on it."""
    if any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.remote or "").is_loopback
    except ValueError:
        return False
