"""Logins and the devices that they were used on: read from memory, changed in the file first.

Not even this storage holds a password: its SRP verifier is here, and private keys that only the password opens.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gladys_companion.store.writer import Store

__all__ = ["Device", "Login", "SqliteLogins"]


class Login(Struct, frozen=True, kw_only=True):
    """How the one user of a home logs in.

    ``two_factor_since`` is when a second factor was set up; ``two_factor_step`` the number of the last code that was
    used, so that none is used twice. The encrypted keys are JSON of ``jwk.Locked``.
    """

    email: str
    home_id: str
    srp_salt: str
    srp_verifier: str
    rsa_encrypted_private_key: str
    ecdsa_encrypted_private_key: str
    created_at: float
    language: str = "en"
    two_factor_secret: str | None = None
    two_factor_since: float | None = None
    two_factor_step: int = -1

    def __repr__(self) -> str:
        return f"Login(email={self.email!r}, home_id={self.home_id!r}, ...)"


class Device(Struct, frozen=True, kw_only=True):
    """Where somebody is logged in; times are seconds since the epoch."""

    id: str
    email: str
    name: str
    created_at: float
    last_seen: float
    revoked_at: float | None = None


_LOGIN = Login.__struct_fields__
_DEVICE = Device.__struct_fields__


class SqliteLogins:
    """All logins and devices, by e-mail and by id."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._logins: dict[str, Login] = {}
        self._devices: dict[str, Device] = {}
        self._tokens: dict[bytes, str] = {}

    async def load(self) -> None:
        """Fill the memory; to be called once, before anything else."""
        logins, devices, tokens = await self._store.read(lambda db: _load(db.conn))
        self._logins = {login.email: login for login in logins}
        self._devices = {device.id: device for device in devices}
        self._tokens = tokens

    def all(self) -> Sequence[Login]:
        """Return all logins, oldest first."""
        return tuple(self._logins.values())

    def login(self, email: str) -> Login | None:
        """Return a login."""
        return self._logins.get(email)

    def of_home(self, home_id: str) -> Login | None:
        """Return the login of a home's user."""
        return next((login for login in self._logins.values() if login.home_id == home_id), None)

    async def put(self, login: Login) -> None:
        """Add or replace a login."""
        await self._store.write(lambda db: _put(db.conn, "logins", _LOGIN, login))
        self._logins[login.email] = login

    async def remove(self, email: str) -> None:
        """Remove a login and its devices."""
        await self._store.write(lambda db: db.conn.execute("DELETE FROM logins WHERE email = ?", (email,)))
        self._forget(email)

    def home_removed(self, home_id: str) -> None:
        """Take note that a home was removed, and its login with it."""
        login = self.of_home(home_id)
        if login is not None:
            self._forget(login.email)

    def devices(self, email: str) -> Sequence[Device]:
        """Return the devices of a login, revoked ones too, oldest first."""
        return tuple(device for device in self._devices.values() if device.email == email)

    def device(self, device_id: str) -> Device | None:
        """Return a device, revoked or not."""
        return self._devices.get(device_id)

    def device_of(self, token_digest: bytes) -> Device | None:
        """Return the device of a refresh token's digest, revoked or not."""
        return self._devices.get(self._tokens.get(token_digest, ""))

    async def add_device(self, device: Device, token_digest: bytes) -> None:
        """Add a device."""
        await self._store.write(lambda db: _add(db.conn, device, token_digest))
        self._devices[device.id] = device
        self._tokens[token_digest] = device.id

    async def put_devices(self, devices: Sequence[Device]) -> None:
        """Replace devices."""

        def job(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "UPDATE devices SET last_seen = ?, revoked_at = ? WHERE id = ?",
                [(device.last_seen, device.revoked_at, device.id) for device in devices],
            )

        await self._store.write(lambda db: job(db.conn))
        self._devices |= {device.id: device for device in devices}

    async def revoke_devices(self, email: str, now: float) -> None:
        """Refuse all devices of a login."""
        live = [device for device in self.devices(email) if device.revoked_at is None]
        await self.put_devices([replace(device, revoked_at=now) for device in live])

    def _forget(self, email: str) -> None:
        self._logins.pop(email, None)
        gone = {device.id for device in self.devices(email)}
        self._devices = {id_: device for id_, device in self._devices.items() if id_ not in gone}
        self._tokens = {digest: id_ for digest, id_ in self._tokens.items() if id_ not in gone}


def _load(connection: sqlite3.Connection) -> tuple[list[Login], list[Device], dict[bytes, str]]:
    logins = connection.execute(f"SELECT {', '.join(_LOGIN)} FROM logins ORDER BY created_at, email").fetchall()  # noqa: S608
    devices = connection.execute(f"SELECT {', '.join(_DEVICE)} FROM devices ORDER BY created_at, id").fetchall()  # noqa: S608
    return (
        [Login(**dict(zip(_LOGIN, row, strict=True))) for row in logins],
        [Device(**dict(zip(_DEVICE, row, strict=True))) for row in devices],
        dict(connection.execute("SELECT token_digest, id FROM devices")),
    )


def _put(connection: sqlite3.Connection, table: str, columns: Sequence[str], row: Struct) -> None:
    updates = ", ".join(f"{name} = excluded.{name}" for name in columns[1:])
    connection.execute(
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) "  # noqa: S608
        f"ON CONFLICT ({columns[0]}) DO UPDATE SET {updates}",
        msgspec.structs.astuple(row),
    )


def _add(connection: sqlite3.Connection, device: Device, token_digest: bytes) -> None:
    columns = (*_DEVICE, "token_digest")
    connection.execute(
        f"INSERT INTO devices ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",  # noqa: S608
        (*msgspec.structs.astuple(device), token_digest),
    )
