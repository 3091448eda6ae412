"""The SQL of homes, instances, keys and codes, as functions on a connection, each run inside one job of the writer."""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct

from gladys_companion.gateway.storage import Home, Instance, Key, PairCode, Secret

__all__ = [
    "Loaded",
    "Notes",
    "load",
    "put_home",
    "put_instance",
    "put_key",
    "put_pair_code",
    "remove_home",
    "signing_secret",
    "take_pair_code",
    "write_notes",
    "write_secrets",
]

_HOME = Home.__struct_fields__
_INSTANCE = Instance.__struct_fields__
_SECRET = Secret.__struct_fields__
_CODE = PairCode.__struct_fields__


class Loaded(Struct, frozen=True, kw_only=True):
    """All rows. ``tokens``: instance by digest of its refresh token; ``secrets``: by key, oldest first."""

    homes: Sequence[Home]
    instances: Sequence[Instance]
    tokens: Mapping[bytes, str]
    keys: Sequence[Key]
    secrets: Mapping[str, Sequence[Secret]]


class Notes(Struct, frozen=True, kw_only=True):
    """What was noted in memory and is written behind: last uses by key, last seen by instance, secrets by key."""

    used: Mapping[str, float]
    seen: Mapping[str, float]
    secrets: Mapping[str, Sequence[Secret]]


def load(connection: sqlite3.Connection) -> Loaded:
    """Return all rows, oldest first."""
    secrets: dict[str, list[Secret]] = {}
    for key_id, *columns in connection.execute(f"SELECT key_id, {', '.join(_SECRET)} FROM key_secrets ORDER BY id"):  # noqa: S608
        secrets.setdefault(key_id, []).append(Secret(**dict(zip(_SECRET, columns, strict=True))))
    instances = connection.execute(f"SELECT {', '.join(_INSTANCE)} FROM instances ORDER BY created_at, id").fetchall()  # noqa: S608
    homes = connection.execute(f"SELECT {', '.join(_HOME)} FROM homes ORDER BY created_at, id").fetchall()  # noqa: S608
    keys = connection.execute(
        "SELECT id, home_id, name, scopes, allowed_ids, created_at, expires_at, revoked_at, last_used "
        "FROM keys ORDER BY created_at, id"
    ).fetchall()
    return Loaded(
        homes=[Home(**dict(zip(_HOME, row, strict=True))) for row in homes],
        instances=[Instance(**dict(zip(_INSTANCE, row, strict=True))) for row in instances],
        tokens=dict(connection.execute("SELECT token_digest, id FROM instances")),
        keys=[_key(row, secrets[row[0]]) for row in keys],
        secrets=secrets,
    )


def _key(row: Sequence[str | float | None], secrets: Sequence[Secret]) -> Key:
    id_, home_id, name, scopes, allowed_ids, created_at, expires_at, revoked_at, last_used = row
    return msgspec.convert(
        {
            "id": id_,
            "home_id": home_id,
            "name": name,
            "prefix": secrets[-1].prefix,
            "scopes": msgspec.json.decode(str(scopes)),
            "allowed_ids": None if allowed_ids is None else msgspec.json.decode(str(allowed_ids)),
            "created_at": created_at,
            "expires_at": expires_at,
            "revoked_at": revoked_at,
            "last_used": last_used,
        },
        Key,
    )


def signing_secret(connection: sqlite3.Connection, fresh: bytes, now: float) -> bytes:
    """Return the secret that access tokens are signed with; the fresh one if there was none."""
    connection.execute("INSERT OR IGNORE INTO signing_secret (id, secret, created_at) VALUES (1, ?, ?)", (fresh, now))
    secret: bytes = connection.execute("SELECT secret FROM signing_secret").fetchone()[0]
    return secret


def put_home(connection: sqlite3.Connection, home: Home) -> None:
    """Insert or replace a home."""
    updates = ", ".join(f"{name} = excluded.{name}" for name in _HOME[1:])
    connection.execute(
        f"INSERT INTO homes ({', '.join(_HOME)}) VALUES ({', '.join('?' * len(_HOME))}) "  # noqa: S608
        f"ON CONFLICT (id) DO UPDATE SET {updates}",
        msgspec.structs.astuple(home),
    )


def remove_home(connection: sqlite3.Connection, home_id: str) -> None:
    """Delete a home, its instances, keys and codes; its events are ``_events.prune_orphans``'."""
    connection.execute("DELETE FROM homes WHERE id = ?", (home_id,))


def put_instance(connection: sqlite3.Connection, instance: Instance, token_digest: bytes | None) -> None:
    """Insert an instance with its digest, or update one."""
    if token_digest is not None:
        connection.execute(
            "INSERT INTO instances (id, home_id, name, token_digest, created_at, rsa_public_key, ecdsa_public_key) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                instance.id,
                instance.home_id,
                instance.name,
                token_digest,
                instance.created_at,
                instance.rsa_public_key,
                instance.ecdsa_public_key,
            ),
        )
        return
    connection.execute(
        "UPDATE instances SET name = ?, last_seen = ?, revoked_at = ? WHERE id = ?",
        (instance.name, instance.last_seen, instance.revoked_at, instance.id),
    )


def put_key(connection: sqlite3.Connection, key: Key, secrets: Iterable[Secret]) -> None:
    """Insert or update a key (not its last use, which is a note), and write its secrets."""
    allowed = None if key.allowed_ids is None else msgspec.json.encode(sorted(key.allowed_ids)).decode()
    connection.execute(
        "INSERT INTO keys (id, home_id, name, scopes, allowed_ids, created_at, expires_at, revoked_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name, "
        "scopes = excluded.scopes, allowed_ids = excluded.allowed_ids, "
        "expires_at = excluded.expires_at, revoked_at = excluded.revoked_at",
        (
            key.id,
            key.home_id,
            key.name,
            msgspec.json.encode(sorted(key.scopes)).decode(),
            allowed,
            key.created_at,
            key.expires_at,
            key.revoked_at,
        ),
    )
    write_secrets(connection, key.id, secrets)


def write_secrets(connection: sqlite3.Connection, key_id: str, secrets: Iterable[Secret]) -> None:
    """Insert or update the secrets of a key, in the order of their making; nothing if the key is gone."""
    connection.executemany(
        "INSERT INTO key_secrets (key_id, digest, prefix, created_at, used_at, ends_at) "
        "SELECT id, ?2, ?3, ?4, ?5, ?6 FROM keys WHERE id = ?1 "
        "ON CONFLICT (digest) DO UPDATE SET used_at = excluded.used_at, ends_at = excluded.ends_at",
        [(key_id, *msgspec.structs.astuple(secret)) for secret in secrets],
    )


def put_pair_code(connection: sqlite3.Connection, code: PairCode) -> None:
    """Insert a code in the place of the earlier one of its home."""
    connection.execute(
        "INSERT OR REPLACE INTO pair_codes (home_id, lookup, digest, expires_at, tries_left) VALUES (?, ?, ?, ?, ?)",
        (code.home_id, code.lookup, code.digest, code.expires_at, code.tries_left),
    )


def take_pair_code(connection: sqlite3.Connection, lookup: str, digest: bytes, now: float) -> PairCode | None:
    """Delete the code and return it, or count a try of every code that begins like it."""
    connection.execute("DELETE FROM pair_codes WHERE expires_at <= ? OR tries_left <= 0", (now,))
    rows = connection.execute(
        f"SELECT {', '.join(_CODE)} FROM pair_codes WHERE lookup = ?",  # noqa: S608
        (lookup,),
    ).fetchall()
    for code in [PairCode(**dict(zip(_CODE, row, strict=True))) for row in rows]:
        if hmac.compare_digest(code.digest, digest):
            connection.execute("DELETE FROM pair_codes WHERE home_id = ?", (code.home_id,))
            return code
    connection.execute("UPDATE pair_codes SET tries_left = tries_left - 1 WHERE lookup = ?", (lookup,))
    return None


def write_notes(connection: sqlite3.Connection, notes: Notes) -> None:
    """Write what was noted in memory."""
    connection.executemany("UPDATE keys SET last_used = ? WHERE id = ?", [(at, id_) for id_, at in notes.used.items()])
    connection.executemany(
        "UPDATE instances SET last_seen = ? WHERE id = ?", [(at, id_) for id_, at in notes.seen.items()]
    )
    for key_id, secrets in notes.secrets.items():
        write_secrets(connection, key_id, secrets)
