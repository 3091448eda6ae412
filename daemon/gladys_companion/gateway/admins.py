"""Who may look at the gateway's pages and change things there: made by a one-time link, known by a password.

Passwords are kept as argon2id. Sessions are in memory: a restart, a changed password or a removal ends them.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct

from gladys_companion.clock import Clock
from gladys_companion.errors import RequestError
from gladys_companion.gateway import keys
from gladys_companion.gateway._names import checked_name
from gladys_companion.gateway.limits import Tries
from gladys_companion.store.writer import Store

if TYPE_CHECKING:
    from argon2 import PasswordHasher

__all__ = ["LINK_LASTS", "SESSION_LASTS", "Admin", "Admins", "Session"]

LINK_LASTS = 600.0
SESSION_LASTS = 12 * 3_600.0
IDLE = 3_600.0
SHORTEST, LONGEST = 10, 500
MOST_WRONG, WRONG_WITHIN = 10, 900.0
MOST = 100


class Admin(Struct, frozen=True, kw_only=True):
    """Somebody with a name and a password (its argon2id hash)."""

    name: str
    password: str
    created_at: float

    def __repr__(self) -> str:
        return f"Admin(name={self.name!r}, ...)"


class Session(Struct, kw_only=True):
    """A browser in which somebody is logged in; ``csrf`` must come with all that it changes. Boot clock."""

    name: str
    csrf: str
    ends: float
    idle: float

    def __repr__(self) -> str:
        return f"Session(name={self.name!r}, ...)"


class Admins:
    """The admins of a gateway, their sessions, and the links that make one."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._admins: dict[str, Admin] = {}
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()
        self._links: OrderedDict[bytes, float] = OrderedDict()
        self._wrong = Tries(clock, MOST_WRONG, WRONG_WITHIN, "wrong passwords came from this address")

    async def load(self) -> None:
        """Fill the memory; to be called once, before anything else."""
        rows = await self._store.read(
            lambda db: db.conn.execute("SELECT name, password, created_at FROM admins ORDER BY created_at").fetchall()
        )
        self._admins = {row[0]: Admin(name=row[0], password=row[1], created_at=row[2]) for row in rows}

    def all(self) -> Sequence[Admin]:
        """Return all admins, oldest first."""
        return tuple(self._admins.values())

    def link(self) -> str:
        """Return the token of a fresh link, good once and for ten minutes."""
        token = secrets.token_urlsafe(24)
        self._links[keys.digest(token)] = self._clock.elapsed() + LINK_LASTS
        if len(self._links) > MOST:
            self._links.popitem(last=False)
        return token

    def opened(self, token: str) -> bool:
        """Return whether a link is good."""
        return self._clock.elapsed() < self._links.get(keys.digest(token), 0.0)

    async def set_up(self, token: str, name: str, password: str) -> str:
        """Use a link up: make an admin, or give one another password; return the cookie of a session.

        Raises:
            RequestError: 410 ``LINK_OVER``; 422, name or password is none: then the link is as good as before.
        """
        checked = checked_name(name)
        if not len(password.strip()) >= SHORTEST or len(password) > LONGEST:
            sentence = f"A password has {SHORTEST} to {LONGEST} characters."
            raise RequestError(422, "INVALID_FIELD", sentence, field="password")
        if not self.opened(token) or self._links.pop(keys.digest(token), None) is None:
            raise RequestError(410, "LINK_OVER", "This link was used, or is older than ten minutes.")
        hashed = await asyncio.to_thread(_hash, password.strip())
        admin = Admin(name=checked, password=hashed, created_at=self._clock.now())
        await self._store.write(
            lambda db: db.conn.execute(
                "INSERT INTO admins (name, password, created_at) VALUES (?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET password = excluded.password",
                (admin.name, admin.password, admin.created_at),
            )
        )
        self._end(checked)
        self._admins[checked] = admin
        return self._begin(checked)

    async def log_in(self, name: str, password: str, sender: str) -> str | None:
        """Return the cookie of a fresh session; None if name or password is wrong. Both take the same time.

        Raises:
            RequestError: 429, too many wrong ones came from there.
        """
        self._wrong.spend(sender)
        admin = self._admins.get(" ".join(name.split()))
        right = await asyncio.to_thread(
            _fits, admin.password if admin is not None else None, password[:LONGEST].strip()
        )
        if admin is None or not right or admin.name not in self._admins:
            return None
        self._wrong.forgive(sender)
        return self._begin(admin.name)

    def session(self, cookie: str) -> Session | None:
        """Return the session of a cookie, which goes on by this; None when there is none (any more)."""
        session, now = self._sessions.get(keys.digest(cookie)), self._clock.elapsed()
        if session is None or now >= session.ends or now >= session.idle:
            return None
        session.idle = now + IDLE
        return session

    def log_out(self, cookie: str) -> None:
        """End a session."""
        self._sessions.pop(keys.digest(cookie), None)

    async def remove(self, name: str) -> Admin:
        """Remove an admin, who is logged out at once.

        Raises:
            RequestError: 404 ``ADMIN_NOT_FOUND``.
        """
        admin = self._admins.get(name)
        if admin is None:
            raise RequestError(404, "ADMIN_NOT_FOUND", f"There is no admin {name[:100]!r} here.")
        await self._store.write(lambda db: db.conn.execute("DELETE FROM admins WHERE name = ?", (name,)))
        self._admins.pop(name, None)
        self._end(name)
        return admin

    def _begin(self, name: str) -> str:
        cookie, now = secrets.token_urlsafe(32), self._clock.elapsed()
        self._sessions[keys.digest(cookie)] = Session(
            name=name, csrf=secrets.token_urlsafe(24), ends=now + SESSION_LASTS, idle=now + IDLE
        )
        if len(self._sessions) > MOST:
            self._sessions.popitem(last=False)
        return cookie

    def _end(self, name: str) -> None:
        for digest in [digest for digest, session in self._sessions.items() if session.name == name]:
            del self._sessions[digest]


def _hash(password: str) -> str:
    return _hasher().hash(password)


def _fits(hashed: str | None, password: str) -> bool:
    """Return whether a password is right; without a hash no password is, and that takes as long."""
    from argon2.exceptions import VerificationError  # noqa: PLC0415 - only who logs in pays for it

    try:
        _hasher().verify(hashed or _nobody(), password)
    except VerificationError:
        return False
    return hashed is not None


@cache
def _nobody() -> str:
    return _hash(secrets.token_hex())


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # noqa: PLC0415 - likewise

    return PasswordHasher(
        time_cost=2, memory_cost=19_456, parallelism=1
    )  # what OWASP asks for at least, on a small server
