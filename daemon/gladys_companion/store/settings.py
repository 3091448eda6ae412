"""What was changed while the daemon runs, and holds over the configuration until it is taken back."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlite_utils import Database

__all__ = ["put", "read", "remove"]


def read(database: Database) -> dict[str, Any]:
    """Return the values by their names, such as ``{"retention.history_days": 90}``."""
    rows = database.conn.execute("SELECT name, value FROM settings ORDER BY name")
    return {name: msgspec.json.decode(value) for name, value in rows}


def put(database: Database, name: str, value: object, now: float) -> None:
    """Keep a value."""
    database.conn.execute(
        "INSERT INTO settings (name, value, changed_at) VALUES (?, ?, ?) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value, changed_at = excluded.changed_at",
        (name, msgspec.json.encode(value).decode(), now),
    )


def remove(database: Database, name: str) -> None:
    """Take a value back, if there is one."""
    database.conn.execute("DELETE FROM settings WHERE name = ?", (name,))
