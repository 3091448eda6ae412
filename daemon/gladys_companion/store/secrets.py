"""Pairings and tokens, each plug-in's its own; never in a listing, a log or ``--json``."""

from __future__ import annotations

from sqlite_utils import Database

from gladys_companion.store.writer import Store

__all__ = ["StoredSecrets"]


class StoredSecrets:
    """The secrets of one owner: a plug-in's name, or ``link`` for the pairing. Implements ``ports.Secrets``."""

    def __init__(self, store: Store, owner: str) -> None:
        self._store = store
        self._owner = owner

    async def get(self, name: str) -> bytes | None:
        """Return the secret of that name, or None."""

        def query(database: Database) -> bytes | None:
            row = database.conn.execute(
                "SELECT value FROM secrets WHERE owner = ? AND name = ?", (self._owner, name)
            ).fetchone()
            return bytes(row[0]) if row else None

        return await self._store.read(query)

    async def set(self, name: str, value: bytes | None) -> None:
        """Keep it, or with None forget it; returns when committed."""

        def job(database: Database) -> None:
            database.conn.execute("DELETE FROM secrets WHERE owner = ? AND name = ?", (self._owner, name))
            if value is not None:
                database.conn.execute("INSERT INTO secrets VALUES (?,?,?)", (self._owner, name, value))

        await self._store.write(job)
