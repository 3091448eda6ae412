"""Serves the local API: all of it on a Unix socket, the reading part and the pages on a TCP address.

Whoever may open the socket (its group) may do everything. Who may look at the pages, and change things by their forms,
is in ``visitors``. A name that somebody makes resolve to this machine (DNS rebinding) is refused by its Host header.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from aiohttp import web

from gladys_companion.config import Config, address, is_loopback
from gladys_companion.errors import AddressInUse, CompanionError, ConfigError, RequestError
from gladys_companion.pages.forms import is_named
from gladys_companion.unix_socket import listening
from gladys_companion.web import socket_path
from gladys_companion.web.dashboard import add_dashboard
from gladys_companion.web.openapi import document
from gladys_companion.web.page import is_open, unknown_visitor
from gladys_companion.web.routes import OPENAPI, ROUTES, SERVICE, VISITORS, Route, json_response
from gladys_companion.web.service import VERSION, Service

__all__ = ["local_app", "open_local", "open_socket", "socket_app", "socket_path"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MOST_BODY = 1_048_576
NAMES = web.AppKey("names", Collection[str])
FORMS = web.AppKey("forms", Collection[Handler])

log = structlog.get_logger(__name__)


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what we raise, and aiohttp's own refusals, into Gladys' error body."""
    refusal: CompanionError
    try:
        return await handler(request)
    except CompanionError as error:
        refusal = error
    except web.HTTPNotFound:
        refusal = RequestError(404, "ROUTE_NOT_FOUND", f"There is no {request.path[:100]} here.")
    except web.HTTPMethodNotAllowed as error:
        sentence = f"{request.path[:100]} knows {', '.join(sorted(error.allowed_methods))}, not {request.method}."
        refusal = RequestError(405, "METHOD_NOT_ALLOWED", sentence)
    except web.HTTPRequestEntityTooLarge:
        refusal = RequestError(413, "BODY_TOO_LARGE", f"A body has at most {MOST_BODY} bytes.")
    return json_response(refusal.body(), refusal.status)


def _here(request: web.Request) -> str:
    at = request.transport.get_extra_info("sockname") if request.transport is not None else None
    return _url(*at[:2]) if at else "http://127.0.0.1/"


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


@web.middleware
async def _visited(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer who may look, by a name that is ours; take nothing but the forms of our own pages."""
    service = request.app[SERVICE]
    if not is_named(request.headers.get("Host"), request.app[NAMES]):
        raise RequestError(421, "HOST_REFUSED", f"Open this by its address: {_here(request)}.")
    if request.method not in {"GET", "HEAD"} and request.match_info.handler not in request.app[FORMS]:
        sentence = "This address only reads, but for the forms of its pages. Programs change things by the command "
        sentence += f"line, or the routes of the socket {socket_path(service.config)}."
        raise RequestError(405, "METHOD_NOT_ALLOWED", sentence)
    known = is_open(request) or await service.visitors.may_look(request)
    request[VISITORS] = service.visitors
    response = await handler(request) if known else unknown_visitor(request)
    if not response.prepared:
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _app(service: Service, routes: Sequence[Route], *middlewares: object) -> web.Application:
    app = web.Application(middlewares=[_errors, *middlewares], client_max_size=MOST_BODY)  # type: ignore[list-item]  # aiohttp's own type is private
    app[SERVICE] = service
    app[OPENAPI] = document(ROUTES, VERSION)
    for route in routes:
        app.router.add_route(route.method, route.path, route.handler)
    return app


def socket_app(service: Service) -> web.Application:
    """Return the application with all routes."""
    return _app(service, ROUTES)


def local_app(service: Service) -> web.Application:
    """Return the application with the reading routes and the pages."""
    app = _app(service, [route for route in ROUTES if route.reads], _visited)
    app[NAMES] = _names(service.config)
    app[FORMS] = add_dashboard(app)
    return app


def _names(config: Config) -> frozenset[str]:
    """Return the names by which the pages may be opened; on loopback there are none but its addresses."""
    named = frozenset(name.lower() for name in config.local.names)
    if is_loopback(address(config.local.listen)[0]):
        return named
    own = socket.gethostname().lower()
    return named | {own, f"{own.partition('.')[0]}.local"}


@asynccontextmanager
async def _serving(app: web.Application) -> AsyncIterator[web.AppRunner]:
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
    await runner.setup()
    try:
        yield runner
    finally:
        await runner.cleanup()


@asynccontextmanager
async def open_socket(service: Service, path: Path) -> AsyncIterator[None]:
    """Serve all routes on a Unix socket of mode 0660; a socket that a dead process left is replaced.

    Raises:
        ConfigError: the path is too long, or its directory can not be written.
    """
    async with _serving(socket_app(service)) as runner, listening(path) as listener:
        await web.SockSite(runner, listener).start()
        yield


@asynccontextmanager
async def open_local(service: Service) -> AsyncIterator[tuple[str, int]]:
    """Serve the reading routes and the pages on ``[local] listen``; gives the address, with the port that was taken.

    Raises:
        ConfigError: other machines reach it and there is no password, or it is no address of this machine.
        AddressInUse: another program listens there.
    """
    listen = service.config.local.listen
    try:
        host, port = address(listen)
    except ValueError as error:
        raise ConfigError(f"[local] listen: {error}.") from error
    if not is_loopback(host) and not service.visitors.protected:
        sentence = f"[local] listen: {host} can be reached by other machines. First set a password: "
        raise ConfigError(f"{sentence}`gladys-companion password set`.")
    async with _serving(local_app(service)) as runner:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                sentence = f"[local] listen: another program already uses {listen}. Stop it, or choose another port."
                raise AddressInUse(sentence) from error
            raise ConfigError(f"[local] listen: {listen} can not be listened on: {error.strerror}.") from error
        host, port = runner.addresses[0][:2]
        log.info("status page", url=_url(host, port))
        yield host, port
