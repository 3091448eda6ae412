"""Lanes: what the journal says is pending is delivered in order, one lane a device or other target, until it settles.

All that a lane knows is in its rows, so that to stop is to cancel and to start is to look for lanes that wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import structlog
from sqlite_utils import Database

from gladys_companion.backoff import delay
from gladys_companion.clock import SYSTEM, Clock
from gladys_companion.errors import Rejected, StoreError, Unanswered, Unavailable, Unsure
from gladys_companion.intake import Intake
from gladys_companion.model import Delivery, DeliveryState, PlannedDelivery, RegistrySnapshot
from gladys_companion.plugins import PluginRecord, contained
from gladys_companion.resolve import late_reason, once
from gladys_companion.store import journal, lanes
from gladys_companion.store.journal import Settled, Settlement
from gladys_companion.store.lanes import Lease, Leased
from gladys_companion.store.registry import Registry
from gladys_companion.store.writer import Store

__all__ = ["Dispatch"]

FIRST_RETRY, LAST_RETRY = 0.5, 15.0
STORE_RETRY = 1.0

log = structlog.get_logger(__name__)


class Dispatch:
    """Delivers; ``run`` it in a task. ``wake`` may be called before.

    Args:
        store, registry, intake: the daemon's.
        targets: the open plug-ins by name.
        attempt_time_out: seconds after which an attempt that has not returned is given up, and tried again.
        clock: wall and boot time.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        intake: Intake,
        targets: Mapping[str, PluginRecord],
        *,
        attempt_time_out: float = 10.0,
        clock: Clock = SYSTEM,
    ) -> None:
        self._store = store
        self._registry = registry
        self._intake = intake
        self._targets = targets
        self._attempt_time_out = attempt_time_out
        self._clock = clock
        self._running: dict[str, asyncio.Event] = {}
        self._woken: asyncio.Queue[str] = asyncio.Queue()

    def wake(self, names: Iterable[str]) -> None:
        """Say that something new waits in these lanes; from the loop's thread."""
        for lane in names:
            running = self._running.get(lane)
            if running is None:
                self._woken.put_nowait(lane)
            else:
                running.set()

    async def retry_now(self, lane: str) -> None:
        """Forget the backoff of a lane whose device or broker was just seen again."""
        await self._store.write(lambda database: lanes.retry_now(database, lane))
        self.wake([lane])

    async def run(self) -> None:
        """Judge what the last process left under way, then deliver for ever."""
        while True:
            try:
                await self._store.write(lambda database: lanes.recover(database, self._clock.now()))
                break
            except StoreError as error:
                log.warning("deliveries wait for the database", reason=str(error))
                await asyncio.sleep(STORE_RETRY)
        self._intake.changed()
        self.wake(await self._store.read(lanes.waiting_lanes))
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    lane = await self._woken.get()
                    if lane in self._running:
                        self._running[lane].set()
                        continue
                    self._running[lane] = asyncio.Event()
                    group.create_task(self._lane(lane), name=f"lane {lane}")
        except asyncio.CancelledError:
            try:
                await self._store.write(lanes.hand_back)  # an end in order is no crash of what was under way
            except StoreError as error:
                log.warning("what was under way counts as a crash", reason=str(error))
            raise
        finally:
            self._running.clear()

    async def _lane(self, lane: str) -> None:
        woken = self._running[lane]
        while True:
            woken.clear()
            try:
                leased = await self._store.write(lambda database: self._lease(database, lane))
            except StoreError as error:
                log.warning("lane waits for the database", lane=lane, reason=str(error))
                leased = Lease(wait=STORE_RETRY)
            self._intake.settled(leased.settled)
            if leased.taken:
                await self._attempt_all(lane, leased.taken)
            elif leased.wait is None:
                if not leased.settled and not woken.is_set():
                    del self._running[lane]
                    return
            else:
                try:
                    async with asyncio.timeout(max(0.0, leased.wait)):
                        await woken.wait()
                except TimeoutError:
                    pass

    def _lease(self, database: Database, lane: str) -> Lease:
        clock = self._clock
        return lanes.lease(
            database,
            lane,
            self._registry.snapshot,
            self._intake.waits,
            now=clock.now(),
            elapsed=clock.elapsed(),
            boot=clock.boot,
        )

    async def _attempt_all(self, lane: str, taken: Iterable[Leased]) -> None:
        """Attempt in order; at the first that must wait, hand the rest back untried."""
        done: list[Settlement] = []
        for one in taken:
            done.append(await self._attempt(lane, one))
            if done[-1].state == "pending":
                break
        await self._settle(lane, done)

    async def _settle(self, lane: str, done: list[Settlement]) -> None:
        def job(database: Database) -> tuple[list[Settlement], Settled]:
            superseded = lanes.overtaken(database, lane, done)
            settled = [superseded.get((one.seq, one.target), one) for one in done]
            following = journal.settle(database, settled, self._clock.now(), self._intake.waits)
            lanes.hand_back(database, lane)
            return settled, following

        while True:
            try:
                settled, following = await self._store.write(job)
            except StoreError as error:  # delivered, and can not be written down: hold the lane until it can
                log.warning("a settled delivery waits for the database", lane=lane, reason=str(error))
                await asyncio.sleep(STORE_RETRY)
            else:
                self._intake.settled([*settled, *following.also])
                self.wake(following.lanes)
                return

    async def _attempt(self, lane: str, one: Leased) -> Settlement:
        late = one.event.boot != self._clock.boot or self._clock.elapsed() >= one.event.deadline
        if late and (reason := late_reason(PlannedDelivery(one.target, lane), one.feature, one.event)):
            return _settled(one, "unknown", journal.SENT) if one.sent else _settled(one, "expired", reason)
        try:
            remark = await self._deliver(lane, one, late=late)
        except TimeoutError:
            reason = f"no answer within {self._attempt_time_out:g} s"
            unsure = once(one.target, one.event, one.feature)
            return _settled(one, "unknown", reason) if unsure else self._again(one, reason, sent=True)
        except Unsure as error:
            return _settled(one, "unknown", str(error))
        except Unavailable as error:
            return self._again(one, str(error), sent=isinstance(error, Unanswered))
        except Rejected as error:
            return _settled(one, "rejected", str(error))
        return _settled(one, "delivered", remark)

    async def _deliver(self, lane: str, one: Leased, *, late: bool) -> str | None:
        record = self._targets.get(one.target)
        if record is None or record.target is None:
            raise Unavailable(f"the plug-in {one.target} is not open")
        delivery = _delivery(lane, one, self._registry.snapshot, late=late)
        async with asyncio.timeout(self._attempt_time_out), contained(record):
            remark: str | None = await record.target.deliver(delivery)
        return remark

    def _again(self, one: Leased, reason: str, *, sent: bool) -> Settlement:
        wait = delay(one.attempts - 1, FIRST_RETRY, LAST_RETRY)
        return Settlement(
            seq=one.seq,
            target=one.target,
            state="pending",
            reason=reason,
            retry_at=self._clock.elapsed() + wait,
            sent=sent,
        )


def _settled(one: Leased, state: DeliveryState, reason: str | None = None) -> Settlement:
    return Settlement(seq=one.seq, target=one.target, state=state, reason=reason, newest=one.newest)


def _delivery(lane: str, one: Leased, registry: RegistrySnapshot, *, late: bool) -> Delivery:
    feature = one.feature
    return Delivery(
        seq=one.seq,
        event=one.event,
        target=one.target,
        lane=lane,
        feature=feature,
        device=registry.devices.get(feature.device) if feature else None,
        late=late,
        attempts=one.attempts,
    )
