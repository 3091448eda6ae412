"""Runs work over a ledger on the writer, and after its commit sets going what it began."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from sqlite_utils import Database

from gladys_companion.clock import Clock
from gladys_companion.presence.ledger import Books, Known, Ledger
from gladys_companion.presence.rulebook import Rulebook
from gladys_companion.presence.timekeeping import Timekeeper
from gladys_companion.store import whereabouts
from gladys_companion.store.journal import Planner
from gladys_companion.store.writer import Store

__all__ = ["Desk"]

T = TypeVar("T")


class _Begun(NamedTuple):
    """What a job on the writer began: the lanes to wake, and when whom to look at again."""

    lanes: frozenset[str]
    books: Books
    wakes: dict[str, float]


class Desk:
    """``books`` are people, phones and zones as of the last commit; ``wakes`` when whom to look at again.

    Args:
        store: the daemon's.
        planner: ``Registry.plan``.
        rulebook: by what is judged; may be replaced.
        wake: told the lanes in which something new waits.
        clock: wall and boot time of this machine.
        time_to_live: of what Gladys is told now, in seconds.
    """

    def __init__(
        self,
        store: Store,
        planner: Planner,
        rulebook: Rulebook,
        *,
        wake: Callable[[Iterable[str]], None],
        clock: Clock,
        time_to_live: float,
    ) -> None:
        self.time = Timekeeper(clock)
        self.rulebook = rulebook
        self.books = Books({}, {}, ())
        self.wakes: dict[str, float] = {}
        self.changed = asyncio.Event()
        self._store = store
        self._planner = planner
        self._wake = wake
        self._clock = clock
        self._time_to_live = time_to_live
        self._known: Known = {}

    async def write(self, work: Callable[[Ledger], T]) -> T:
        """Run work on the writer and return its result after the commit.

        Raises:
            StoreError: nothing of it was stored.
        """

        def job(database: Database) -> tuple[T, _Begun]:
            ledger = self._ledger(database)
            result = work(ledger)
            known = ledger.books.people
            wakes = {person: at for person, at in whereabouts.wakes(database).items() if person in known}
            return result, _Begun(frozenset(ledger.lanes), ledger.books, wakes)

        return (await self._store.write(job, self._committed))[0]

    async def read(self, query: Callable[[Ledger], T]) -> T:
        """Run a query that only reads, and return its result."""
        return await self._store.read(lambda database: query(self._ledger(database)))

    def _ledger(self, database: Database) -> Ledger:
        return Ledger(
            database,
            rulebook=self.rulebook,
            planner=self._planner,
            clock=self._clock,
            now=self.time.now(),
            time_to_live=self._time_to_live,
            known=self._known,
        )

    def _committed(self, done: tuple[object, _Begun]) -> None:
        begun = done[1]
        self.books, self.wakes = begun.books, begun.wakes
        self.changed.set()
        self._wake(begun.lanes)
