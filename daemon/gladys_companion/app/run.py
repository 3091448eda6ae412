"""Opens every part, hands each what it needs, and runs them in one group of tasks until cancelled."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
from aiohttp import ClientSession
from sqlite_utils import Database

from gladys_companion import logs, systemd
from gladys_companion.app.daemon import Daemon
from gladys_companion.app.parts import run_parts
from gladys_companion.clock import SYSTEM, Clock
from gladys_companion.config import Config
from gladys_companion.errors import StoreError
from gladys_companion.intake import Intake
from gladys_companion.link import tls_context
from gladys_companion.presence.service import PresenceService
from gladys_companion.resolve import INLINE, SIGNALS
from gladys_companion.signals import SignalService
from gladys_companion.store.registry import open_registry
from gladys_companion.store.schema import MIGRATIONS
from gladys_companion.store.writer import open_store
from gladys_companion.web import database_path
from gladys_companion.web.server import open_local, open_socket, socket_path
from gladys_companion.web.service import Service
from gladys_companion.web.settings import Settings
from gladys_companion.web.visitors import Visitors

__all__ = ["open_daemon", "run_daemon"]

READY_WITHIN = 0.8

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_daemon(config: Config, *, clock: Clock = SYSTEM) -> AsyncIterator[Daemon]:
    """Open the daemon and run it until the block ends. The link is tried at once; plug-ins open beside it.

    Raises:
        ConfigError, StoreError: it can not run; nothing was changed.
    """
    wakers: list[Callable[[Iterable[str]], None]] = []

    def wake(lanes: Iterable[str]) -> None:
        for waker in wakers:
            waker(lanes)

    context = await asyncio.to_thread(tls_context, config.link.ca_certificate)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        store = await enter(open_store(database_path(config), MIGRATIONS))
        registry = await open_registry(store, wake=wake, clock=clock)
        inline = [INLINE] if config.inline.enabled else []
        # known before they are open, so that no event passes them by
        await registry.use_targets([*config.sinks, *inline])
        intake = Intake(
            store,
            registry.plan,
            lambda: registry.snapshot,
            wake=wake,
            settle_within=config.link.settle_within,
            clock=clock,
        )
        wakers.append(lambda _: intake.changed())
        presence = PresenceService(store, registry, config, wake=wake, clock=clock)

        def apply(now: Config) -> None:
            logs.set_level(now.log_level)
            presence.use(now.presence)

        settings, visitors = Settings(store, config, apply, clock), Visitors(store, clock)
        try:
            await settings.load()
            await presence.open()  # before the link, so that what comes is judged by all that is known
        except StoreError as error:
            log.warning("presence waits for the database", reason=str(error))
        try:
            await visitors.load()
        except StoreError as error:
            log.warning("pages change nothing before the database answers", reason=str(error))
        signals = SignalService(store, registry, config.signals, waits=intake.waits, wake=wake, clock=clock)
        try:
            await signals.open()
        except StoreError as error:
            log.warning("signals that were kept wait for the next start", reason=str(error))
        http = await enter(ClientSession())
        daemon = Daemon(config, store, registry, intake, presence, http=http, context=context, clock=clock)
        daemon.add_target(SIGNALS, signals)
        service = Service(
            config=config,
            store=store,
            registry=registry,
            intake=intake,
            presence=presence,
            host=daemon,
            settings=settings,
            visitors=visitors,
            clock=clock,
            started_at=clock.now(),
        )
        if config.inline.enabled:
            from gladys_companion.inline import InlineTarget, open_inline  # noqa: PLC0415 - only who wants it pays

            daemon.inline = await enter(open_inline(config.inline, context, daemon.inline_link))
            daemon.add_target(INLINE, InlineTarget(daemon.inline.relay))
        await enter(open_socket(service, socket_path(config)))
        daemon.local = await enter(open_local(service))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(
                run_parts(daemon, http, wakers, lambda: settings.config.retention), name="daemon"
            )
            yield daemon
            running.cancel()


async def run_daemon(config: Config) -> None:
    """Run until cancelled, telling systemd when it is ready and, while loop and writer answer, that it lives."""
    async with open_daemon(config) as daemon:
        try:
            async with asyncio.timeout(READY_WITHIN):
                await daemon.attempted()
        except TimeoutError:
            pass
        systemd.ready()
        log.info("ready", pid=os.getpid())
        try:
            await daemon.opened.wait()
            _keep_for_good()
            await _feed_watchdog(daemon)
        finally:
            systemd.stopping()


def _keep_for_good() -> None:
    """Let no later collection look at what was imported, which stays: each would hold up the loop for 50 ms."""
    gc.collect()
    gc.freeze()


async def _feed_watchdog(daemon: Daemon) -> None:
    interval = systemd.watchdog_interval()
    while interval is not None:
        try:
            await daemon.store.write(_nothing)
        except StoreError as error:  # a writer that says "disk full" is alive
            systemd.status(str(error))
        systemd.alive()
        await asyncio.sleep(interval)
    await asyncio.get_running_loop().create_future()


def _nothing(_: Database) -> None:
    """Ask the writer for an answer, and the disk for none."""
