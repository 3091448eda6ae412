"""Makes the databases of both ends as large as years of use do, by SQL: each table's first row is the pattern."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

__all__ = ["fill_gateway", "fill_home", "filled_id"]

DEVICE_FEATURES = 20
KEPT_AT_HOME = 29 * 86_400.0  # within what is kept, so that nothing is pruned while the bench runs
KEPT_AT_GATEWAY = 6.5 * 86_400.0


def filled_id(number: int) -> str:
    """Return the external id of one of the features that ``fill_home`` makes."""
    return f"filled:{number}"


def fill_home(database: Path, *, events: int, features: int) -> None:
    """Add so many features, and so many settled events spread over them and over 29 days, with history.

    Args:
        database: of a home that has ended, and has taken at least one event of a virtual feature.
        events: how many.
        features: how many.
    """
    with _filling(database) as connection:
        numbers = f"WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n LIMIT {features})"
        device = f"'filled-device:' || (n / {DEVICE_FEATURES})"
        _copy(connection, "devices", numbers, f"n WHERE n % {DEVICE_FEATURES} = 0", {"id": device})
        names = {"id": "n + 1000", "external_id": "'filled:' || n", "device": device}
        _copy(connection, "features", numbers, "n", names)
        old = connection.execute("SELECT max(seq) FROM events").fetchone()[0]
        moment = f"{time.time() - KEPT_AT_HOME} + n * {KEPT_AT_HOME / events}"
        spread = f"'filled:' || (n * 7919 % {features})"
        changed = {
            "seq": f"{old} + 1 + n",
            "id": f"event_id({moment})",
            "external_id": spread,
            "feature": spread,
            "at": moment,
            "received_at": moment,
        }
        numbers = f"WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n LIMIT {events})"
        _copy(connection, "events", numbers, "n", changed)
        new = f"(SELECT seq, feature, received_at FROM events WHERE seq > {old}) e"
        _copy(
            connection, "deliveries", "", new, {"event": "e.seq", "feature": "e.feature", "settled_at": "e.received_at"}
        )
        connection.execute(
            "INSERT INTO history (feature, at, event, value) SELECT f.id, e.at, e.seq, e.value "
            "FROM events e JOIN features f ON f.external_id = e.feature WHERE e.seq > ? ORDER BY 1, 2",
            (old,),
        )


def fill_gateway(database: Path, *, events: int) -> None:
    """Add so many settled events of the last days, each with its receipt and its idempotency key.

    Args:
        database: of a gateway that has ended, and has relayed at least one event.
        events: how many.
    """
    with _filling(database) as connection:
        old = connection.execute("SELECT max(seq) FROM events").fetchone()[0]
        moment = f"{time.time() - KEPT_AT_GATEWAY} + n * {KEPT_AT_GATEWAY / events}"
        changed = {
            "seq": f"{old} + 1 + n",
            "id": f"event_id({moment})",
            "received_at": moment,
            "settled_at": moment,
            "idempotency_key": "'filled-' || n",
            "body": "NULL",
        }
        numbers = f"WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n LIMIT {events})"
        _copy(connection, "events", numbers, "n", changed)


@contextmanager
def _filling(database: Path) -> Iterator[sqlite3.Connection]:
    """Give a transaction that costs little; at its end all of it is on the disk, and no longer on its way there."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.create_function("event_id", 1, _event_id)
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.sync()


def _event_id(moment: float) -> str:
    """Return an id (UUIDv7) as if it had been made then."""
    text = f"{int(moment * 1000):012x}7{os.urandom(10).hex()[:19]}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _copy(connection: sqlite3.Connection, table: str, numbers: str, source: str, changed: Mapping[str, str]) -> None:
    """Insert the table's first row once for each row of the source, with some columns changed."""
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    values = [changed.get(name, f"pattern.{name}") for name in columns]
    connection.execute(
        f"{numbers} INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} "
        f"FROM (SELECT * FROM {table} LIMIT 1) AS pattern, {source}"
    )
