"""Where people were: positions, what was decided of them and why, and what is kept until its owner has said more.

Every function is one job on the writer, or a query.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct
from sqlite_utils import Database

from gladys_companion.model import Event
from gladys_companion.store.receipts import EVENT_COLUMNS, read_event

__all__ = [
    "Decided",
    "StoredPosition",
    "Why",
    "add_decision",
    "add_position",
    "came_with",
    "decisions",
    "forget_kept",
    "keep",
    "kept_counts",
    "last_told",
    "load_state",
    "mark",
    "positions",
    "save_state",
    "take_kept",
    "wakes",
]

SAME_FOR = 60.0  # seconds within which an undated position that is told again is the same one

Why = Literal["sealed", "nobody"]


class StoredPosition(Struct, frozen=True, kw_only=True):
    """A position as a phone told it. Degrees, metres, metres per second, percent, seconds since the epoch.

    ``told``: it became its person's position; ``note`` says why not.
    """

    phone: str
    key: str
    at: float
    person: str | None
    received_at: float
    latitude: float
    longitude: float
    accuracy: float | None
    altitude: float | None
    vertical_accuracy: float | None
    speed: float | None
    course: float | None
    battery: float | None
    told: bool
    note: str | None
    event: str


class Decided(Struct, frozen=True, kw_only=True):
    """A decision of the presence engine, and the event that it became; see ``presence.Decision``."""

    event: str
    person: str
    zone: str
    state: str
    since: float
    decided: float
    known_at: float
    late: bool
    reason: str
    evidence: tuple[str, ...]
    source: str | None


_POSITION = ", ".join(StoredPosition.__struct_fields__)
_DECISION = ", ".join(Decided.__struct_fields__)


def _position(row: Sequence[Any]) -> StoredPosition:
    fields = dict(zip(StoredPosition.__struct_fields__, row, strict=True))
    return StoredPosition(**{**fields, "told": bool(fields["told"])})


def add_position(database: Database, row: StoredPosition, *, dated: bool) -> bool:
    """Keep a position; False if it is known already: by its key, or if it is not dated, by its key within a minute.

    One that was nobody's and is somebody's now is new once more.
    """
    same = "" if dated else f"AND at > ?3 - {SAME_FOR} AND at < ?3 + {SAME_FOR}"
    known = database.conn.execute(
        f"SELECT person, at FROM positions WHERE phone = ?1 AND key = ?2 AND ?3 > 0 {same} LIMIT 1",
        (row.phone, row.key, row.at),
    ).fetchone()
    if known is not None:
        if known[0] is not None or row.person is None:
            return False
        database.conn.execute(
            "UPDATE positions SET person = ?, note = NULL WHERE phone = ? AND key = ? AND at = ?",
            (row.person, row.phone, row.key, known[1]),
        )
        return True
    values = msgspec.structs.astuple(row)
    marks = ", ".join("?" for _ in values)
    database.conn.execute(f"INSERT INTO positions ({_POSITION}) VALUES ({marks})", values)
    return True


def came_with(database: Database, phone_id: str, key: str, event_id: str) -> bool:
    """Return whether a known position came with this very event: a crash came between its commit and the next."""
    row = database.conn.execute(
        "SELECT 1 FROM positions WHERE phone = ? AND key = ? AND event = ? LIMIT 1", (phone_id, key, event_id)
    ).fetchone()
    return row is not None


def mark(database: Database, row: StoredPosition, *, told: bool, note: str | None = None) -> None:
    """Take note whether a position became its person's, and why not."""
    database.conn.execute(
        "UPDATE positions SET told = ?, note = ? WHERE phone = ? AND key = ? AND at = ?",
        (told, note, row.phone, row.key, row.at),
    )


def last_told(database: Database, person_id: str) -> StoredPosition | None:
    """Return where a person was last, as it was told."""
    row = database.conn.execute(
        f"SELECT {_POSITION} FROM positions WHERE person = ? AND told = 1 ORDER BY at DESC LIMIT 1", (person_id,)
    ).fetchone()
    return None if row is None else _position(row)


def positions(
    database: Database, *, person: str | None = None, phone: str | None = None, limit: int = 50
) -> tuple[StoredPosition, ...]:
    """Return the newest positions, newest first."""
    rows = database.conn.execute(
        f"SELECT {_POSITION} FROM positions WHERE (?1 IS NULL OR person = ?1) AND (?2 IS NULL OR phone = ?2) "
        "ORDER BY at DESC LIMIT ?3",
        (person, phone, limit),
    )
    return tuple(_position(row) for row in rows)


def add_decision(database: Database, row: Decided) -> None:
    """Keep a decision, once."""
    values = [*msgspec.structs.astuple(row)]
    values[_EVIDENCE] = msgspec.json.encode(row.evidence).decode()
    marks = ", ".join("?" for _ in values)
    database.conn.execute(f"INSERT OR IGNORE INTO decisions ({_DECISION}) VALUES ({marks})", values)


_EVIDENCE = Decided.__struct_fields__.index("evidence")


def decisions(database: Database, person_id: str, *, zone: str | None = None, limit: int = 20) -> tuple[Decided, ...]:
    """Return what was decided of a person, what became known last first."""
    rows = database.conn.execute(
        f"SELECT {_DECISION} FROM decisions WHERE person = ?1 AND (?2 IS NULL OR zone = ?2) "
        "ORDER BY known_at DESC, since DESC LIMIT ?3",
        (person_id, zone, limit),
    )
    return tuple(_decided(row) for row in rows)


def _decided(row: Sequence[Any]) -> Decided:
    fields = dict(zip(Decided.__struct_fields__, row, strict=True))
    evidence = tuple(msgspec.json.decode(fields["evidence"]))
    return Decided(**{**fields, "late": bool(fields["late"]), "evidence": evidence})


def load_state(database: Database, person_id: str) -> bytes | None:
    """Return what is known of a person, as ``presence.dump`` made it."""
    row = database.conn.execute("SELECT state FROM presence WHERE person = ?", (person_id,)).fetchone()
    return None if row is None else bytes(row[0])


def save_state(database: Database, person_id: str, state: bytes, wake: float | None) -> None:
    """Keep what is known of a person, and when it will change by itself."""
    database.conn.execute(
        "INSERT OR REPLACE INTO presence (person, state, wake) VALUES (?,?,?)", (person_id, state, wake)
    )


def wakes(database: Database) -> dict[str, float]:
    """Return when what is known of whom changes by itself."""
    rows = database.conn.execute("SELECT person, wake FROM presence WHERE wake IS NOT NULL")
    return dict(rows.fetchall())


def keep(database: Database, event_id: str, phone_id: str, why: Why) -> None:
    """Keep an event until its phone's owner has said more."""
    database.conn.execute(
        "INSERT INTO kept (event, phone, why) SELECT id, ?2, ?3 FROM events WHERE id = ?1 "
        "ON CONFLICT (event) DO UPDATE SET phone = excluded.phone, why = excluded.why",
        (event_id, phone_id, why),
    )


def take_kept(database: Database, phone_id: str, why: Why) -> tuple[Event, ...]:
    """Return the events that are kept for a phone, in the order in which they came, and keep them no longer."""
    rows = database.conn.execute(
        f"SELECT {EVENT_COLUMNS} FROM kept k JOIN events e ON e.id = k.event WHERE k.phone = ? AND k.why = ? "
        "ORDER BY e.seq",
        (phone_id, why),
    ).fetchall()
    forget_kept(database, phone_id, why)
    return tuple(read_event(row) for row in rows)


def forget_kept(database: Database, phone_id: str, why: Why) -> None:
    """Keep nothing more for a phone, for this reason."""
    database.conn.execute("DELETE FROM kept WHERE phone = ? AND why = ?", (phone_id, why))


def kept_counts(database: Database) -> dict[str, dict[str, int]]:
    """Return how many events are kept for which phone, and why: ``{phone: {"sealed": 3}}``."""
    found: dict[str, dict[str, int]] = {}
    for phone_id, why, number in database.conn.execute("SELECT phone, why, count(*) FROM kept GROUP BY phone, why"):
        found.setdefault(phone_id, {})[why] = number
    return found
