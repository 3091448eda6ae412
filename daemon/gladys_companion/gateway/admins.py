"""Who may look at the gateway's pages and change things there: made by a one-time link, known by a password.

Passwords are kept as argon2id. Sessions are in memory: a restart, a changed password or a removal ends them.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Sequence

from msgspec import Struct

from gladys_companion.clock import Clock
from gladys_companion.errors import RequestError
from gladys_companion.gateway import keys
from gladys_companion.gateway._names import checked_name
from gladys_companion.pages.passwords import fits, hashed
from gladys_companion.pages.sessions import Sessions
from gladys_companion.pages.tries import Tries
from gladys_companion.store.writer import Store

__all__ = ["LINK_LASTS", "Admin", "Admins"]

LINK_LASTS = 600.0
MOST_WRONG, WRONG_WITHIN = 10, 900.0
MOST = 100


class Admin(Struct, frozen=True, kw_only=True):
    """Somebody with a name and a password (its argon2id hash)."""

    name: str
    password: str
    created_at: float

    def __repr__(self) -> str:
        return f"Admin(name={self.name!r}, ...)"


class Admins:
    """The admins of a gateway, their sessions, and the links that make one."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._admins: dict[str, Admin] = {}
        self.sessions = Sessions(clock, "gateway_session")
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
        kept = await hashed(password) if self.opened(token) else ""
        if not self.opened(token) or self._links.pop(keys.digest(token), None) is None:
            raise RequestError(410, "LINK_OVER", "This link was used, or is older than ten minutes.")
        admin = Admin(name=checked, password=kept, created_at=self._clock.now())
        await self._store.write(
            lambda db: db.conn.execute(
                "INSERT INTO admins (name, password, created_at) VALUES (?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET password = excluded.password",
                (admin.name, admin.password, admin.created_at),
            )
        )
        self.sessions.end_all(checked)
        self._admins[checked] = admin
        return self.sessions.begin(checked)

    async def log_in(self, name: str, password: str, sender: str) -> str | None:
        """Return the cookie of a fresh session; None if name or password is wrong. Both take the same time.

        Raises:
            RequestError: 429, too many wrong ones came from there.
        """
        self._wrong.spend(sender)
        admin = self._admins.get(" ".join(name.split()))
        right = await fits(admin.password if admin is not None else None, password)
        if admin is None or not right or admin.name not in self._admins:
            return None
        self._wrong.forgive(sender)
        return self.sessions.begin(admin.name)

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
        self.sessions.end_all(name)
        return admin
