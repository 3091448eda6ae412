"""The journal as a stream: each event when it comes, and once more when its outcome changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from sqlite_utils import Database

from gladys_companion.intake import Intake
from gladys_companion.store import trace
from gladys_companion.store.writer import Store

__all__ = ["follow"]

PAUSE = 0.1  # between two looks, so that a thousand events a second cost ten looks
PAGE = 200
QUIET = 15.0  # after so many seconds without news a None is yielded, so that a stream can show that it lives
OPEN = frozenset({"accepted", "held"})
MOST_OPEN = 200  # events whose outcome is still watched
MOST_UNBOUND = 50  # and of those that wait for a meaning, perhaps for days

Row = dict[str, Any]


async def follow(store: Store, intake: Intake) -> AsyncGenerator[Row | None]:
    """Return what yields rows as ``store.trace.events`` returns them, for ever; skips none. None: nothing new.

    They are those of events that are committed after this has returned, and perhaps some from before.
    """
    newest = next((row["seq"] for row in await store.read(lambda database: trace.events(database, limit=1))), 0)
    return _rows(store, intake, newest)


async def _rows(store: Store, intake: Intake, newest: int) -> AsyncGenerator[Row | None]:
    opened: dict[int, str] = {}
    unbound: dict[int, str] = {}
    while True:
        arrived = intake.arrived
        while rows := await store.read(lambda database: trace.events(database, after=newest, limit=PAGE)):  # noqa: B023
            newest = rows[0]["seq"]
            for row in reversed(rows):
                yield row
            opened |= {row["seq"]: row["outcome"] for row in rows if row["outcome"] in OPEN}
            unbound |= {row["seq"]: row["outcome"] for row in rows if row["state"] == "unbound"}
        changed = await _changed(store, unbound, MOST_UNBOUND)
        opened |= {row["seq"]: row["outcome"] for row in changed if row["outcome"] in OPEN}
        for row in [*changed, *await _changed(store, opened, MOST_OPEN)]:
            yield row
        try:
            async with asyncio.timeout(QUIET):
                await arrived.wait()
        except TimeoutError:
            yield None
        else:
            await asyncio.sleep(PAUSE)


async def _changed(store: Store, watched: dict[int, str], most: int) -> list[Row]:
    """Return the rows whose outcome is another than the one noted, and stop watching those and the oldest."""
    for seq in sorted(watched)[:-most]:
        del watched[seq]

    def look(database: Database) -> dict[int, Row]:
        rows = [row for seq in watched for row in trace.events(database, after=seq - 1, limit=1)]
        return {row["seq"]: row for row in rows}

    now = await store.read(look) if watched else {}
    found = []
    for seq, outcome in tuple(watched.items()):
        row = now.get(seq)  # None: deleted meanwhile
        if row is None or row["outcome"] != outcome:
            del watched[seq]
            found += [row] if row else []
    return found
