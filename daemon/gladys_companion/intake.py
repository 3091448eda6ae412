"""The only door in: an event is committed here, once, before anyone is told that it was.

``submit`` answers with a receipt that is true at that moment; what changes afterwards is kept until ``receipts`` has
handed it to the gateway.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from functools import partial
from time import perf_counter

import msgspec
from sqlite_utils import Database

from gladys_companion.clock import SYSTEM, Clock
from gladys_companion.likeness import nearest
from gladys_companion.metrics import Durations
from gladys_companion.model import Event, Plan, Receipt, RegistrySnapshot
from gladys_companion.store.journal import Recorded, Settlement, record
from gladys_companion.store.receipts import OPEN, receipt
from gladys_companion.store.trace import told, untold
from gladys_companion.store.writer import Chain, Store

__all__ = ["Counts", "Intake"]

UNKNOWN_ID = "DEVICE_FEATURE_NOT_FOUND"


class _Waiter:
    """Somebody who waits for an event's deliveries; ``left`` are the targets that have not settled."""

    def __init__(self) -> None:
        self.seq: int | None = None
        self.left: set[str] = set()
        self.done = asyncio.Event()
        self.gone = False


class Counts:
    """What happened since the start, for who measures."""

    def __init__(self) -> None:
        self.events: Counter[tuple[str, ...]] = Counter()  # by kind and origin
        self.deliveries: Counter[tuple[str, ...]] = Counter()  # by target and the state that they settled in
        self.receipts = Durations()


class Intake:
    """Takes events in, and tells what became of them.

    Args:
        store: the daemon's.
        planner: ``Registry.plan``.
        registry: its snapshot of the moment.
        wake: told the lanes in which something new waits.
        settle_within: for how many seconds a receipt waits for deliveries.
        clock: wall and boot time.
    """

    def __init__(
        self,
        store: Store,
        planner: Callable[[Event], Plan],
        registry: Callable[[], RegistrySnapshot],
        *,
        wake: Callable[[Iterable[str]], None],
        settle_within: float = 1.0,
        clock: Clock = SYSTEM,
    ) -> None:
        self._store = store
        self._planner = planner
        self._registry = registry
        self._wake = wake
        self._settle_within = settle_within
        self._clock = clock
        self.counts = Counts()
        self._waiters: dict[int, _Waiter] = {}
        self._changed = asyncio.Event()
        self.arrived = asyncio.Event()  # pulsed at each commit, for who follows the journal

    async def submit(self, event: Event, chain: Chain | None = None) -> Receipt:
        """Commit an event and return its receipt, when its deliveries settled or ``settle_within`` passed.

        Events are committed in the order in which the calls began; of a ``chain``, none after one that was not.

        Raises:
            StoreError: nothing was stored; the sender has to keep it.
        """
        began = perf_counter()
        told = await self._submit(event, chain)
        self.counts.receipts.add(perf_counter() - began)
        return told

    async def _submit(self, event: Event, chain: Chain | None) -> Receipt:
        waiter = _Waiter()
        try:
            recorded = await self._store.write(self._job(event), partial(self._committed, event, waiter), chain)
            if not recorded.lanes:
                return await self._helped(recorded.receipt, event)
            async with asyncio.timeout(self._settle_within):
                await waiter.done.wait()
        except TimeoutError:
            pass
        finally:
            waiter.gone = True
            if waiter.seq is not None:
                self._waiters.pop(waiter.seq, None)
        # through the writer: behind every settlement that still saw somebody waiting, before every one that will not
        return await self._store.write(lambda database: receipt(database, event.id))

    async def prove(self) -> None:
        """Return when the database has answered behind all that was to be written before.

        Raises:
            StoreError: it can not.
        """
        await self._store.write(lambda database: database.conn.execute("SELECT 1").fetchone())

    async def take(self, event: Event) -> None:
        """Commit an event whose sender waits for no receipt.

        Raises:
            StoreError: nothing was stored; the sender has to keep it.
        """
        await self._store.write(self._job(event), partial(self._committed, event, None))

    async def _helped(self, told: Receipt, event: Event) -> Receipt:
        """Add to a 404 the ids that the sender may have meant; beside the loop, for there may be thousands."""
        if told.error_code != UNKNOWN_ID or event.external_id is None:
            return told
        key_id = event.key.id if event.key else None
        found = await asyncio.to_thread(nearest, self._registry(), event.external_id, key_id)
        return msgspec.structs.replace(told, nearest=found)

    def _committed(self, event: Event, waiter: _Waiter | None, recorded: Recorded) -> None:
        """Set going what an event began; also when whoever submitted it is gone."""
        self._pulse()
        if recorded.seq:
            self.counts.events[event.kind, event.origin] += 1
        if waiter is not None and not waiter.gone and recorded.lanes:
            waiter.seq = recorded.seq
            waiter.left = {target.target for target in recorded.receipt.targets if target.state in OPEN}
            self._waiters[recorded.seq] = waiter
        if recorded.superseded:
            self.settled(recorded.superseded)
        if recorded.lanes:
            self._wake(recorded.lanes)

    def _job(self, event: Event) -> Callable[[Database], Recorded]:
        clock = self._clock
        return lambda database: record(
            database, event, self._planner, self.waits, now=clock.now(), elapsed=clock.elapsed()
        )

    def _pulse(self) -> None:
        self.arrived.set()
        self.arrived = asyncio.Event()

    def waits(self, seq: int) -> bool:
        """Return whether somebody still waits for the receipt of an event (asked on the writer thread)."""
        return seq in self._waiters

    def settled(self, settlements: Sequence[Settlement]) -> None:
        """Take note of deliveries that were committed as settled, or as waiting again."""
        for one in settlements:
            if one.state in OPEN:
                continue
            self.counts.deliveries[one.target, one.state] += 1
            waiter = self._waiters.get(one.seq)
            if waiter is None:
                self._changed.set()
                continue
            waiter.left.discard(one.target)
            if not waiter.left:
                waiter.done.set()
        self._pulse()

    def changed(self) -> None:
        """Take note that receipts changed by other means than a delivery (an id was bound)."""
        self._changed.set()
        self._pulse()

    async def receipts(self) -> AsyncGenerator[Receipt]:
        """Yield, oldest first, receipts that changed after their ack left; asked for the next, one counts as told.

        Closed before that, it is yielded again by the next iterator, also after a crash.
        """
        after = 0
        while True:
            self._changed.clear()
            page = await self._store.read(lambda database: untold(database, after))  # noqa: B023 - read at once
            for seq, change, changed in page:
                yield changed
                tellings = [(seq, change)]
                await self._store.write(lambda database: told(database, tellings))  # noqa: B023
                after = seq
            if not page and not after:
                await self._changed.wait()
            elif not page:
                after = 0  # from the start once more: an earlier one may have changed meanwhile
