"""The composition root of the daemon: opens every part, hands each what it needs, and runs them in one group of tasks.

Crash-only: to stop is to cancel, to start is to read what is pending.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import structlog
from aiohttp import ClientSession
from sqlite_utils import Database

from gladys_companion import plugins, systemd
from gladys_companion.clock import SYSTEM, Clock
from gladys_companion.config import Config
from gladys_companion.discovery import Discovery, Mdns, Seen, open_mdns
from gladys_companion.dispatch import Dispatch
from gladys_companion.errors import Rejected, StoreError, Unavailable
from gladys_companion.intake import Intake
from gladys_companion.link import Link, Pairing, pairing, tls_context
from gladys_companion.model import Event
from gladys_companion.plugins import PluginRecord, contained
from gladys_companion.ports import Kit, Source
from gladys_companion.schedule import every, keep_tidy, schedule
from gladys_companion.store.history import Keep
from gladys_companion.store.registry import Registry, open_registry
from gladys_companion.store.schema import MIGRATIONS
from gladys_companion.store.secrets import StoredSecrets
from gladys_companion.store.writer import SqliteStore, open_store
from gladys_companion.web.server import open_local, open_socket, socket_path
from gladys_companion.web.service import Service
from gladys_companion.web.views import LinkStatus, MdnsStatus, Pair, Paired, PluginStatus, Vitals

__all__ = ["Daemon", "database_path", "open_daemon", "run_daemon"]

READY_WITHIN = 0.8
STORE_RETRY = 1.0
TIDY_EVERY = 3_600.0

log = structlog.get_logger(__name__)


def database_path(config: Config) -> Path:
    """Return where the daemon's database is."""
    return Path(config.state_directory, "companion.db")


class Daemon:
    """The running daemon; made by ``open_daemon``. Implements ``web.service.Host``."""

    def __init__(self, config: Config, store: SqliteStore, registry: Registry, intake: Intake, clock: Clock) -> None:
        self.config = config
        self.store = store
        self.registry = registry
        self.intake = intake
        self.clock = clock
        self.plugins: dict[str, PluginRecord] = {}
        self.discovery: Discovery | None = None
        self.mdns: Mdns | None = None
        self.local: tuple[str, int] | None = None
        self.pairing: Pairing | None = None
        self.link: Link | None = None
        self._secrets = StoredSecrets(store, "link")
        self._repaired = asyncio.Event()
        self._linked = asyncio.Event()
        self.opened = asyncio.Event()  # set when every plug-in is open, or failed
        self._http: ClientSession
        self._context: ssl.SSLContext

    def vitals(self) -> Vitals:
        """Return how link, discovery and plug-ins are, now."""
        state = LinkStatus(state="unpaired")
        if self.pairing is not None and self.link is not None:
            told = self.link.state
            state = LinkStatus(
                state=told.state,
                url=self.pairing.url,
                home=self.pairing.home_name,
                since=told.since,
                reason=told.reason,
                clock_offset=told.clock_offset,
            )
        records = tuple(
            PluginStatus(name=one.name, group=one.group, status=one.status, reason=one.reason or _trouble(one))
            for one in self.plugins.values()
        )
        return Vitals(link=state, mdns=self._mdns_status(), plugins=records)

    def _mdns_status(self) -> MdnsStatus:
        if self.discovery is None or self.mdns is None:
            return MdnsStatus(state="off")
        gladys = self.discovery.gladys
        return MdnsStatus(
            state=self.mdns.state,
            services=len(self.discovery.scan()),
            gladys=f"{gladys.addresses[0]}:{gladys.port}" if gladys and gladys.addresses else None,
            reason=self.mdns.reason,
        )

    def scan(self) -> tuple[Seen, ...]:
        """Return what is announced on the network, and what became of it."""
        return self.discovery.scan() if self.discovery is not None else ()

    async def pair(self, wish: Pair) -> Paired:
        """Pair with a gateway, keep the token, and connect.

        Raises:
            RequestError, AuthError: the gateway refused; the sentence says why.
            Unavailable: it can not be reached.
        """
        made, warning = await pairing.pair(self._http, wish.url, wish.code, wish.name, ssl=self._context)
        await self._change_pairing(made)
        return Paired(
            url=made.url,
            home_id=made.home_id,
            home_name=made.home_name,
            instance_id=made.instance_id,
            warning=warning,
        )

    async def unpair(self) -> None:
        """Forget the token and disconnect; harmless when there is none."""
        await self._change_pairing(None)

    async def _change_pairing(self, changed: Pairing | None) -> None:
        await pairing.save(self._secrets, changed)
        self.pairing = changed
        self._repaired.set()

    async def forget(self, device_id: str) -> None:
        """Forget a device, in the registry and at its driver.

        Raises:
            RequestError: 404 when there is no such device.
        """
        await self.registry.forget(device_id)
        if self.discovery is not None:
            self.discovery.forget(device_id)

    async def keep_link(self, http: ClientSession) -> None:
        """Keep the link of the present pairing; a changed pairing ends it and begins another."""
        self._http, self._context = http, await asyncio.to_thread(tls_context, self.config.link.ca_certificate)
        self.pairing = await pairing.load(self._secrets)
        while True:
            self._repaired.clear()
            async with asyncio.TaskGroup() as group:
                running = None
                if self.pairing is not None:
                    self.link = Link(
                        self.pairing,
                        self.intake,
                        options=self.config.link,
                        http=http,
                        context=self._context,
                        clock=self.clock,
                    )
                    running = group.create_task(self.link.run(), name="link")
                self._linked.set()
                await self._repaired.wait()
                if running is not None:
                    running.cancel()

    async def attempted(self) -> None:
        """Return when the link's first attempt ended, or at once when there is nothing to attempt."""
        await self._linked.wait()
        if self.pairing is not None and self.link is not None:
            await self.link.attempted.wait()


def _trouble(record: PluginRecord) -> str | None:
    """Return what an open plug-in says it can not do right now, if it is one that says so."""
    told = getattr(record.target, "trouble", None)
    return told if isinstance(told, str) else None


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

    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        store = await enter(open_store(database_path(config), MIGRATIONS))
        registry = await open_registry(store, wake=wake, clock=clock)
        await registry.use_targets(config.sinks)  # known before they are open, so that no event passes them by
        intake = Intake(store, registry.plan, wake=wake, settle_within=config.link.settle_within, clock=clock)
        wakers.append(lambda _: intake.changed())
        daemon = Daemon(config, store, registry, intake, clock)
        service = Service(
            config=config,
            store=store,
            registry=registry,
            intake=intake,
            host=daemon,
            clock=clock,
            started_at=clock.now(),
        )
        await enter(open_socket(service, socket_path(config)))
        daemon.local = await enter(open_local(service))
        http = await enter(ClientSession())
        async with asyncio.TaskGroup() as group:
            running = group.create_task(_run(daemon, http, wakers), name="daemon")
            yield daemon
            running.cancel()


async def _run(daemon: Daemon, http: ClientSession, wakers: list[Callable[[Iterable[str]], None]]) -> None:
    config, retention = daemon.config, daemon.config.retention
    tidy = asyncio.Event()
    tidy.set()
    with schedule() as scheduler:
        every(TIDY_EVERY, tidy.set, scheduler, "tidy")
        async with asyncio.TaskGroup() as group:
            keep = Keep(
                events_days=retention.events_days,
                unbound_days=retention.unbound_days,
                unbound_per_id=retention.unbound_per_id,
                history_days=retention.history_days,
            )
            group.create_task(keep_tidy(daemon.store, keep, tidy, daemon.clock), name="tidy")
            group.create_task(daemon.keep_link(http), name="link")
            await _run_plugins(daemon, http, wakers, config)


async def _run_plugins(
    daemon: Daemon, http: ClientSession, wakers: list[Callable[[Iterable[str]], None]], config: Config
) -> None:
    """Open drivers and sinks; then deliver to them, listen to them, and discover for them."""
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
            )

        drivers = await plugins.load("drivers", config.drivers, kit, stack)
        sinks = await plugins.load("sinks", config.sinks, kit, stack)
        daemon.plugins = {**drivers, **sinks}
        daemon.discovery = Discovery(mdns, daemon.registry, drivers, clock=daemon.clock)
        dispatch = Dispatch(
            daemon.store,
            daemon.registry,
            daemon.intake,
            daemon.plugins,
            attempt_time_out=config.commands.attempt_time_out,
            clock=daemon.clock,
        )
        wakers.append(dispatch.wake)
        daemon.opened.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(dispatch.run(), name="dispatch")
            group.create_task(_retry(dispatch, seen_again), name="retry")
            group.create_task(daemon.discovery.run(), name="discovery")
            for record in daemon.plugins.values():
                group.create_task(_listen(record, daemon.intake), name=f"listen {record.name}")


async def _retry(dispatch: Dispatch, seen_again: asyncio.Queue[str]) -> None:
    """Try at once what waits for a device or broker that a plug-in just saw again."""
    while True:
        lane = await seen_again.get()
        try:
            await dispatch.retry_now(lane)
        except StoreError as error:  # the backoff in its rows ends by itself
            log.warning("a lane is not tried at once", lane=lane, reason=str(error))


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
        await _feed_watchdog(daemon)


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
