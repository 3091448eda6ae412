"""When: APScheduler wakes the task that owns the work, and the work is done there, awaited and in bounded steps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC
from functools import partial

import structlog
from apscheduler.job import Job
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger
from sqlite_utils import Database

from gladys_companion.clock import SYSTEM, Clock
from gladys_companion.config import Retention
from gladys_companion.errors import StoreError
from gladys_companion.store.history import prune
from gladys_companion.store.writer import Store

__all__ = ["every", "keep_tidy", "schedule"]

log = structlog.get_logger(__name__)


@contextmanager
def schedule() -> Iterator[AsyncIOScheduler]:
    """Give a scheduler that runs on this loop until the block ends."""
    scheduler = AsyncIOScheduler(timezone=UTC)  # only intervals; to look for the local one would touch the disk
    scheduler.start()
    try:
        yield scheduler
    finally:
        scheduler.shutdown(wait=False)


def every(
    seconds: float, wake: Callable[[], None], scheduler: AsyncIOScheduler, name: str | None = None
) -> Callable[[], None]:
    """Have ``wake`` called every so many seconds; a run that was missed (the machine slept) is made up once.

    Returns what ends it; so does another one of the same ``name``.
    """
    job = scheduler.add_job(
        wake,
        IntervalTrigger(seconds=seconds, timezone=UTC),
        id=name,
        coalesce=True,
        misfire_grace_time=None,
        max_instances=1,
        replace_existing=True,
    )
    return partial(_end, job, scheduler)


def _end(job: Job, scheduler: AsyncIOScheduler) -> None:
    if scheduler.running:  # else it ended with it
        with suppress(JobLookupError):
            job.remove()


async def keep_tidy(store: Store, keep: Callable[[], Retention], woken: asyncio.Event, clock: Clock = SYSTEM) -> None:
    """Delete what is older than it is kept, each time ``woken`` is set; for ever.

    ``keep`` is asked each time, as it may be changed. A clock that is set forward meanwhile makes nothing older.
    """
    began = clock.now() - clock.elapsed()
    while True:
        await woken.wait()
        woken.clear()
        try:
            while await store.write(partial(_prune, keep=keep(), began=began, clock=clock)):
                pass
        except StoreError as error:
            log.warning("could not tidy up; tried again at the next hour", reason=str(error))


def _prune(database: Database, keep: Retention, began: float, clock: Clock) -> int:
    elapsed = clock.elapsed()
    return prune(database, keep, now=min(clock.now(), began + elapsed), elapsed=elapsed, boot=clock.boot)
