"""The composition root of the gateway: storage, accounts, relay, sockets and routes, on TCP and on a Unix socket.

Nothing but a loopback address is listened on without TLS, unless a proxy in front of it speaks TLS.
"""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import structlog
from aiohttp import web
from msgspec import Struct

from gladys_companion import systemd
from gladys_companion.clock import SYSTEM, Clock
from gladys_companion.config import Config, Gateway, address, complaints
from gladys_companion.engine_io import UPGRADE_WITHIN
from gladys_companion.errors import AddressInUse, ConfigError, StoreError
from gladys_companion.gateway._engine import PING_INTERVAL, PING_TIMEOUT
from gladys_companion.gateway.accounts import Accounts
from gladys_companion.gateway.add_phone import add_phone_routes, phone_link_routes
from gladys_companion.gateway.admin import admin_routes
from gladys_companion.gateway.admin_pages import admin_link_routes, admin_page_routes
from gladys_companion.gateway.answers import answer_errors
from gladys_companion.gateway.front import Front, Server
from gladys_companion.gateway.heartbeat import Heartbeats, Notice, notify
from gladys_companion.gateway.instances import instance_routes
from gladys_companion.gateway.limits import networks, sender_of
from gladys_companion.gateway.login_flow import LoginFlow
from gladys_companion.gateway.login_routes import login_routes
from gladys_companion.gateway.measures import Answers, families
from gladys_companion.gateway.onboarding import Onboarding
from gladys_companion.gateway.relay import UNACKED_AFTER, Relay
from gladys_companion.gateway.routes import BODY_WITHIN, PhoneRoutes
from gladys_companion.gateway.sockets import AUTHENTICATE_WITHIN, Sockets
from gladys_companion.gateway.sqlite import SqliteStorage, open_storage
from gladys_companion.gateway.users import user_routes
from gladys_companion.metrics import CONTENT_TYPE, exposition
from gladys_companion.pages import Pages
from gladys_companion.unix_socket import listening as listening_at

__all__ = ["RunningGateway", "Times", "database_path", "open_gateway", "run_gateway", "socket_path"]

_SHUTDOWN = 0.5
_BACKLOG = 512

_log = structlog.get_logger(__name__)


class Times(Struct, frozen=True, kw_only=True):
    """How long who says nothing is waited for, in seconds; tests scale it.

    ``idle``: a connection before its first request, or its next, is whole. ``body``: a request's body.
    ``authenticate``: a socket that has not said who it is. ``handshake``: TLS. ``unacked``: a home's ack.
    ``linger``: the rest of a refused body. ``goodbye``: a socket that was told to close. ``look``: how often they are
    looked after. ``ping_interval``, ``ping_timeout``: of Engine.IO. ``upgrade``: from a websocket's
    opening until it has taken over from polling.
    """

    idle: float = 75.0
    body: float = BODY_WITHIN
    authenticate: float = AUTHENTICATE_WITHIN
    handshake: float = 15.0
    unacked: float = UNACKED_AFTER
    linger: float = 5.0
    goodbye: float = 2.0
    look: float = 1.0
    ping_interval: float = PING_INTERVAL
    ping_timeout: float = PING_TIMEOUT
    upgrade: float = UPGRADE_WITHIN


_TIMES = Times()


class RunningGateway(Struct, frozen=True, kw_only=True):
    """What runs: where it listens, with the port that was taken, its Unix socket, and its parts."""

    host: str
    port: int
    tls: bool
    socket: Path
    storage: SqliteStorage
    accounts: Accounts
    relay: Relay
    sockets: Sockets

    @property
    def url(self) -> str:
        """The address as a URL, without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


def database_path(state_directory: Path) -> Path:
    """Return where the gateway's database is."""
    return state_directory / "gateway.db"


def socket_path(runtime_directory: Path) -> Path:
    """Return where the gateway's Unix socket is."""
    return runtime_directory / "gateway.sock"


@asynccontextmanager
async def open_gateway(
    config: Gateway, state_directory: Path, runtime_directory: Path, clock: Clock = SYSTEM, times: Times = _TIMES
) -> AsyncIterator[RunningGateway]:
    """Open the gateway and serve until the block ends.

    Raises:
        ConfigError: it can not listen as configured.
        AddressInUse: another program listens there.
        StoreError: its database can not be used.
    """
    host, port = _checked(config)
    context = await asyncio.to_thread(_tls, config)

    def changed(home_id: str) -> None:
        sockets.changed(home_id)

    async def tell(home_id: str, event: str) -> None:
        await sockets.tell(home_id, event)

    def is_connected(instance_id: str) -> bool:
        return sockets.is_connected(instance_id)

    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        storage = await enter(open_storage(database_path(state_directory), clock))
        relay = Relay(storage, config, clock, times.unacked, times.look)
        await relay.load()
        accounts = Accounts(storage, clock, changed=changed, tell=tell, is_connected=is_connected)
        notices: asyncio.Queue[Notice] = asyncio.Queue()
        heartbeats = Heartbeats(clock, config.silent_after, notices.put_nowait)
        sockets = Sockets(
            storage,
            accounts,
            relay,
            heartbeats,
            clock,
            authenticate_within=times.authenticate,
            look_every=times.look,
            goodbye=times.goodbye,
            ping_interval=times.ping_interval,
            ping_timeout=times.ping_timeout,
            upgrade_within=times.upgrade,
        )
        onboarding = Onboarding(accounts, config.public_url)
        trusted, flow, pages = networks(config.trusted_proxies), LoginFlow(accounts), Pages()
        front = Front(
            phones=PhoneRoutes(storage, relay, config, clock, body_within=times.body),
            sockets=sockets,
            routes=[
                *instance_routes(accounts, clock, lambda request: sender_of(request, trusted)),
                *login_routes(accounts, flow, lambda request: sender_of(request, trusted)),
                *user_routes(accounts, flow),
                *add_phone_routes(onboarding, storage, pages),
                *admin_page_routes(
                    storage.admins,
                    accounts,
                    onboarding,
                    heartbeats,
                    pages,
                    lambda request: sender_of(request, trusted),
                ),
            ],
            healthy=storage.prove,
            options=config,
            clock=clock,
            within=times.body,
        )
        if config.metrics_listen:
            await enter(_measuring(config.metrics_listen, accounts, sockets, heartbeats, front.answers))
        path = await enter(_unix_socket(accounts, onboarding, storage, socket_path(runtime_directory)))
        listening = await enter(_listening(front, sockets, (host, port), context, times))
        host, port = listening.sockets[0].getsockname()[:2]
        running = RunningGateway(
            host=host,
            port=port,
            tls=context is not None,
            socket=path,
            storage=storage,
            accounts=accounts,
            relay=relay,
            sockets=sockets,
        )
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(storage.write_behind(), name="write behind"),
                group.create_task(sockets.run(), name="sockets"),
            ]
            if config.notify_webhook:
                tasks.append(group.create_task(notify(config.notify_webhook, notices), name="notify"))
            with relay.running(group):
                await listening.start_serving()
                _log.info("gateway.listening", url=running.url, socket=str(path))
                try:
                    yield running
                finally:
                    for task in tasks:
                        task.cancel()


async def run_gateway(config: Config) -> None:
    """Run until cancelled, telling systemd when it is ready and, while loop and writer answer, that it lives."""
    state, runtime = Path(config.state_directory), Path(config.runtime_directory)
    async with open_gateway(config.gateway, state, runtime) as running:
        systemd.ready()
        _log.info("ready", pid=os.getpid())
        interval = systemd.watchdog_interval()
        while interval is not None:
            try:
                await running.storage.prove()
            except StoreError as error:  # a writer that says "disk full" is alive
                systemd.status(str(error))
            systemd.alive()
            await asyncio.sleep(interval)
        await asyncio.get_running_loop().create_future()


def _checked(config: Gateway) -> tuple[str, int]:
    for path, sentence in complaints(Config(gateway=config)):
        raise ConfigError(f"[gateway] {path.removeprefix('gateway.')}: {sentence}")
    if config.behind_proxy and not config.trusted_proxies:
        _log.warning("gateway.proxy_not_trusted", what="all senders share one rate limit: name it in trusted_proxies")
    return address(config.listen)


def _tls(config: Gateway) -> ssl.SSLContext | None:
    if not config.tls_certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(config.tls_certificate, config.tls_key or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"[gateway] tls_certificate: {config.tls_certificate} and {config.tls_key or 'its key'} can not be used: "
            f"{error.strerror or error}."
        ) from error
    return context


@asynccontextmanager
async def _listening(
    front: Front, sockets: Sockets, at: tuple[str, int], context: ssl.SSLContext | None, times: Times
) -> AsyncIterator[asyncio.Server]:
    """Take the TCP address; it is served from ``start_serving`` on."""
    server = Server(front.handle, times.idle, times.linger)
    handshake = times.handshake if context else None
    loop = asyncio.get_running_loop()
    try:
        listening = await loop.create_server(
            server, *at, ssl=context, ssl_handshake_timeout=handshake, backlog=_BACKLOG, start_serving=False
        )
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            sentence = (
                f"[gateway] listen: another program already uses {at[0]}:{at[1]}. Stop it, or choose another port."
            )
            raise AddressInUse(sentence) from error
        raise ConfigError(f"[gateway] listen: {at[0]}:{at[1]} can not be listened on: {error.strerror}.") from error
    try:
        yield listening
    finally:
        listening.close()
        await sockets.close()
        await server.shutdown(_SHUTDOWN)


@asynccontextmanager
async def _measuring(
    listen: str, accounts: Accounts, sockets: Sockets, heartbeats: Heartbeats, answers: Answers
) -> AsyncIterator[None]:
    """Serve ``/metrics``, and nothing else, where Prometheus asks for it."""

    async def metrics(_: web.Request) -> web.Response:
        told = await exposition(await families(accounts, sockets, heartbeats, answers))
        return web.Response(body=told, headers={"Content-Type": CONTENT_TYPE})

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, *address(listen)).start()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                sentence = f"[gateway] metrics_listen: another program already uses {listen}."
                raise AddressInUse(sentence) from error
            sentence = f"[gateway] metrics_listen: {listen} can not be listened on: {error.strerror}."
            raise ConfigError(sentence) from error
        yield
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _unix_socket(
    accounts: Accounts, onboarding: Onboarding, storage: SqliteStorage, path: Path
) -> AsyncIterator[Path]:
    """Serve what only the machine's own people may do, mode 0660; a socket that a dead process left is replaced."""

    async def health(_: web.Request) -> web.Response:
        await storage.prove()
        return web.json_response({"status": 200})

    app = web.Application(middlewares=[answer_errors])
    app.add_routes(
        [
            *phone_link_routes(onboarding),
            *admin_link_routes(storage.admins, onboarding),
            *admin_routes(accounts),
            web.get("/healthz", health),
        ]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN)
    await runner.setup()
    try:
        async with listening_at(path) as listener:
            await web.SockSite(runner, listener).start()
            yield path
    finally:
        await runner.cleanup()
