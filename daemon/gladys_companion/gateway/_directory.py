"""The ``Directory`` half of the SQLite storage: homes, instances and keys, read from memory, changed in the file first.

What any request changes (last uses, the end of a rotated secret) is changed in memory at once and written behind.
"""

from __future__ import annotations

import asyncio
import secrets as chance
from collections.abc import Iterable, Sequence

from msgspec.structs import replace
from sqlite_utils import Database

from gladys_companion.clock import Clock
from gladys_companion.errors import RequestError
from gladys_companion.gateway import _events, _tables, keys
from gladys_companion.gateway.admins import Admins
from gladys_companion.gateway.login_storage import SqliteLogins
from gladys_companion.gateway.storage import Home, Instance, Key, PairCode, Secret
from gladys_companion.store.writer import Store

__all__ = ["SqliteDirectory"]

_BATCH = 500


class SqliteDirectory:
    """The tables in memory, and the jobs that change them."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._homes: dict[str, Home] = {}
        self._instances: dict[str, Instance] = {}
        self._tokens: dict[bytes, str] = {}
        self._keys: dict[str, Key] = {}
        self._secrets: dict[str, tuple[Secret, ...]] = {}
        self._doors: dict[bytes, tuple[Key, Secret]] = {}
        self._used: dict[str, float] = {}
        self._unsaved_used: set[str] = set()
        self._unsaved_seen: set[str] = set()
        self._unsaved_secrets: set[str] = set()
        self._signing_secret = b""
        self.logins = SqliteLogins(store)
        self.admins = Admins(store, clock)
        self._noted = asyncio.Event()  # there is something to write behind

    async def load(self) -> None:
        """Fill the tables in memory; to be called once, before anything else."""
        fresh, now = chance.token_bytes(32), self._clock.now()
        self._signing_secret = await self._store.write(lambda db: _tables.signing_secret(db.conn, fresh, now))
        loaded = await self._store.read(lambda db: _tables.load(db.conn))
        self._homes = {home.id: home for home in loaded.homes}
        self._instances = {instance.id: instance for instance in loaded.instances}
        self._tokens = dict(loaded.tokens)
        self._used = {key.id: key.last_used for key in loaded.keys if key.last_used is not None}
        for key in loaded.keys:
            self._remember(key, tuple(loaded.secrets[key.id]))
        await self.logins.load()
        await self.admins.load()

    def signing_secret(self) -> bytes:
        """Return the secret that access tokens are signed with."""
        return self._signing_secret

    def homes(self) -> Sequence[Home]:
        """Return all homes, oldest first."""
        return tuple(self._homes.values())

    def home(self, home_id: str) -> Home | None:
        """Return a home."""
        return self._homes.get(home_id)

    async def put_home(self, home: Home) -> None:
        """Add or replace a home."""
        await self._store.write(lambda db: _tables.put_home(db.conn, home))
        self._homes[home.id] = home

    async def remove_home(self, home_id: str) -> None:
        """Remove a home with its keys, instances, codes and held events (those in batches: it may be 100 MB)."""
        await self._store.write(lambda db: _tables.remove_home(db.conn, home_id))
        self._homes.pop(home_id, None)
        self.logins.home_removed(home_id)
        gone = {instance.id for instance in self.instances(home_id)}
        self._instances = {id_: instance for id_, instance in self._instances.items() if id_ not in gone}
        self._tokens = {digest: id_ for digest, id_ in self._tokens.items() if id_ not in gone}
        for key in self.keys(home_id):
            for secret in self._secrets.pop(key.id):
                del self._doors[secret.digest]
            del self._keys[key.id]
        while await self._store.write(_prune_orphans):
            pass

    def instances(self, home_id: str) -> Sequence[Instance]:
        """Return the instances of a home, oldest first."""
        return tuple(instance for instance in self._instances.values() if instance.home_id == home_id)

    def instance(self, instance_id: str) -> Instance | None:
        """Return an instance."""
        return self._instances.get(instance_id)

    def instance_of(self, token_digest: bytes) -> Instance | None:
        """Return the instance of a refresh token's digest."""
        return self._instances.get(self._tokens.get(token_digest, ""))

    async def put_instance(self, instance: Instance, token_digest: bytes | None = None) -> None:
        """Add an instance (with the digest of its refresh token), or replace one."""
        await self._store.write(lambda db: _tables.put_instance(db.conn, instance, token_digest))
        self._instances[instance.id] = instance
        if token_digest is not None:
            self._tokens[token_digest] = instance.id

    def seen(self, instance_id: str) -> None:
        """Note that an instance came or left now."""
        instance = self._instances.get(instance_id)
        if instance is not None:
            self._instances[instance_id] = replace(instance, last_seen=self._clock.now())
            self._unsaved_seen.add(instance_id)
            self._noted.set()

    def keys(self, home_id: str) -> Sequence[Key]:
        """Return the keys of a home, oldest first, with their last use."""
        return tuple(self._dated(key) for key in self._keys.values() if key.home_id == home_id)

    def key(self, key_id: str) -> Key | None:
        """Return a key with its last use."""
        key = self._keys.get(key_id)
        return self._dated(key) if key else None

    def secrets(self, key_id: str) -> Sequence[Secret]:
        """Return the secrets of a key, oldest first."""
        return self._secrets.get(key_id, ())

    async def put_key(self, key: Key, secrets: Iterable[Secret]) -> None:
        """Add or replace a key with all its secrets."""
        given = tuple(secrets)
        await self._store.write(lambda db: _tables.put_key(db.conn, key, given))
        for old in self._secrets.get(key.id, ()):  # a first use while this was written must not be undone
            if old.used_at is not None and any(new.digest == old.digest and new.used_at is None for new in given):
                given = keys.first_use(given, old.digest, old.used_at)
                self._unsaved_secrets.add(key.id)
                self._noted.set()
        self._remember(key, given)

    async def put_pair_code(self, code: PairCode) -> None:
        """Add a pairing code, in the place of the earlier one of its home."""
        await self._store.write(lambda db: _tables.put_pair_code(db.conn, code))

    async def take_pair_code(self, lookup: str, digest: bytes, now: float) -> PairCode | None:
        """Use a code up and return it, or count the try and return None."""
        return await self._store.write(lambda db: _tables.take_pair_code(db.conn, lookup, digest, now))

    def key_for(self, secret: str) -> Key:
        """Return the key of a secret, note its use, and end the secret that it replaces."""
        digest = keys.digest(secret)
        door = self._doors.get(digest)
        if door is None:
            raise RequestError(401, "UNAUTHORIZED", "This key is not known here: check that it was copied whole.")
        key, own = door
        now = self._clock.now()
        refused = keys.refusal(key, own, now)
        if refused is not None:
            raise refused
        if own.used_at is None:
            self._remember(key, keys.first_use(self._secrets[key.id], digest, now))
            self._unsaved_secrets.add(key.id)
            self._noted.set()
        self._used[key.id] = now
        self._unsaved_used.add(key.id)
        return self._doors[digest][0]

    def _dated(self, key: Key) -> Key:
        return replace(
            keys.with_secrets(key, self._secrets[key.id], self._clock.now()), last_used=self._used.get(key.id)
        )

    def _remember(self, key: Key, secrets: tuple[Secret, ...]) -> None:
        key = keys.with_secrets(key, secrets, self._clock.now())
        self._keys[key.id] = key
        self._secrets[key.id] = secrets
        for secret in secrets:
            self._doors[secret.digest] = (key, secret)

    def _unsaved(self) -> _tables.Notes:
        return _tables.Notes(
            used={id_: self._used[id_] for id_ in self._unsaved_used},
            seen={id_: at for id_ in self._unsaved_seen if (at := self._last_seen(id_)) is not None},
            secrets={id_: self._secrets[id_] for id_ in self._unsaved_secrets if id_ in self._secrets},
        )

    def _last_seen(self, instance_id: str) -> float | None:
        instance = self._instances.get(instance_id)
        return instance.last_seen if instance else None

    def _saved(self, notes: _tables.Notes) -> None:
        """Take note that this is committed; what changed again meanwhile stays unsaved."""
        self._unsaved_used -= {id_ for id_, at in notes.used.items() if self._used.get(id_) == at}
        self._unsaved_seen -= {id_ for id_ in self._unsaved_seen if self._last_seen(id_) == notes.seen.get(id_)}
        self._unsaved_secrets -= {
            id_ for id_ in self._unsaved_secrets if self._secrets.get(id_) == notes.secrets.get(id_)
        }


def _prune_orphans(database: Database) -> int:
    return _events.prune_orphans(database.conn, _BATCH)
