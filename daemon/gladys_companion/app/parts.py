"""What runs beside the link: plug-ins, what they tell and are told, discovery, and tidying up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from functools import partial

import structlog
from aiohttp import ClientSession
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from gladys_companion import plugins
from gladys_companion.app.daemon import Daemon
from gladys_companion.app.silence import LOOK_EVERY, tell_silence
from gladys_companion.config import Retention
from gladys_companion.discovery import Discovery, open_mdns
from gladys_companion.dispatch import Dispatch
from gladys_companion.errors import Rejected, StoreError, Unavailable
from gladys_companion.gladys_api.household import Household
from gladys_companion.intake import Intake
from gladys_companion.model import Event
from gladys_companion.plugins import PluginRecord, contained
from gladys_companion.ports import Acquainted, Kit, Source
from gladys_companion.presence.catch_up import catch_up, missed
from gladys_companion.presence.in_step import in_step
from gladys_companion.presence.service import PresenceService
from gladys_companion.resolve import INLINE
from gladys_companion.schedule import every, keep_tidy, schedule
from gladys_companion.store.secrets import StoredSecrets

__all__ = ["run_parts"]

STORE_RETRY = 1.0
TIDY_EVERY = 3_600.0

log = structlog.get_logger(__name__)


async def run_parts(
    daemon: Daemon, http: ClientSession, wakers: list[Callable[[Iterable[str]], None]], keep: Callable[[], Retention]
) -> None:
    """Run until cancelled; ``wakers`` gains who is told the lanes in which something waits; ``keep``: how long what."""
    tidy = asyncio.Event()
    tidy.set()
    with schedule() as scheduler:
        every(TIDY_EVERY, tidy.set, scheduler, "tidy")
        async with asyncio.TaskGroup() as group:
            group.create_task(keep_tidy(daemon.store, keep, tidy, daemon.clock), name="tidy")
            group.create_task(daemon.keep_link(), name="link")
            if daemon.inline is not None:
                group.create_task(daemon.inline.run(), name="inline")
            if language := daemon.config.link.notify_gladys:
                group.create_task(_told_silence(daemon, language, scheduler), name="silence")
            await _run_plugins(daemon, http, wakers, scheduler)


async def _run_plugins(
    daemon: Daemon, http: ClientSession, wakers: list[Callable[[Iterable[str]], None]], scheduler: AsyncIOScheduler
) -> None:
    """Open drivers and sinks; then deliver to them, listen to them, and discover for them."""
    config = daemon.config
    async with AsyncExitStack() as stack:
        mdns = daemon.mdns = await stack.enter_async_context(open_mdns(config.discovery))
        seen_again: asyncio.Queue[str] = asyncio.Queue()

        def kit(name: str) -> Kit:
            return Kit(
                clock=daemon.clock,
                zeroconf=mdns.zeroconf,
                http=http,
                secrets=StoredSecrets(daemon.store, name),
                registry=lambda: daemon.registry.snapshot,
                retry=seen_again.put_nowait,
                time_to_live=config.commands.time_to_live,
                mqtt=config.mqtt,
                gladys=config.gladys,
                every=partial(every, scheduler=scheduler),
            )

        drivers = await plugins.load("drivers", config.drivers, kit, stack)
        sinks = await plugins.load("sinks", config.sinks, kit, stack)
        daemon.plugins = {**drivers, **sinks}
        daemon.discovery = Discovery(mdns, daemon.registry, drivers, clock=daemon.clock)
        dispatch = Dispatch(
            daemon.store,
            daemon.registry,
            daemon.intake,
            {**daemon.plugins, **daemon.targets},
            attempt_time_out=config.commands.attempt_time_out,
            clock=daemon.clock,
        )
        if daemon.inline is not None:
            daemon.inline.relay.back = partial(seen_again.put_nowait, INLINE)
        wakers += [dispatch.wake, daemon.presence.watch.noticed]
        daemon.opened.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(dispatch.run(), name="dispatch")
            group.create_task(_retry(dispatch, seen_again), name="retry")
            group.create_task(daemon.presence.run(), name="presence")
            group.create_task(daemon.discovery.run(), name="discovery")
            for record in daemon.plugins.values():
                group.create_task(_listen(record, daemon.intake), name=f"listen {record.name}")
                group.create_task(_keep_in_step(record, daemon.presence), name=f"keep in step {record.name}")


async def _told_silence(daemon: Daemon, language: str, scheduler: AsyncIOScheduler) -> None:
    look = asyncio.Event()
    every(LOOK_EVERY, look.set, scheduler, "silence")
    await tell_silence(
        lambda: daemon.silent_for,
        daemon.config.link.silent_after,
        language,
        intake=daemon.intake,
        clock=daemon.clock,
        timezone=lambda: daemon.presence.rulebook.timezone,
        woken=look,
    )


async def _retry(dispatch: Dispatch, seen_again: asyncio.Queue[str]) -> None:
    """Try at once what waits for a device or broker that a plug-in just saw again."""
    while True:
        lane = await seen_again.get()
        try:
            await dispatch.retry_now(lane)
        except StoreError as error:  # the backoff in its rows ends by itself
            log.warning("a lane is not tried at once", lane=lane, reason=str(error))


async def _listen(record: PluginRecord, intake: Intake) -> None:
    """Take in what a plug-in tells, for as long as it tells."""
    if not isinstance(record.target, Source):
        return
    try:
        async with contained(record):
            async for event in record.target.events():
                await _take(event, intake)
    except (Unavailable, Rejected) as error:
        log.warning("a plug-in tells no more", plugin=record.name, reason=str(error))


async def _keep_in_step(record: PluginRecord, presence: PresenceService) -> None:
    """Let people and zones follow what a plug-in has of them, for as long as it looks."""
    if not isinstance(record.target, Acquainted):
        return
    try:
        async with contained(record):
            async for found in record.target.households():
                await _follow(found, presence)
    except (Unavailable, Rejected) as error:
        log.warning("people and zones are kept in step no more", plugin=record.name, reason=str(error))


async def _follow(found: Household, presence: PresenceService) -> None:
    step = in_step(presence.books, found, presence.time.now())
    try:
        if step.news:
            await presence.keep_in_step(step.people, step.zones)
        if found.catch_up and await presence.desk.read(lambda ledger: bool(missed(ledger, found))):
            await presence.desk.write(lambda ledger: catch_up(ledger, found))
    except StoreError as error:  # the next look comes
        log.warning("people and zones wait for the database", reason=str(error))


async def _take(event: Event, intake: Intake) -> None:
    """Commit what a device told; while the database can not take it, the device's next words wait behind it."""
    while True:
        try:
            await intake.take(event)
        except StoreError as error:
            log.warning("a report waits for the database", reason=str(error))
            await asyncio.sleep(STORE_RETRY)
        else:
            return
