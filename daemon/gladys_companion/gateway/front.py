"""The TCP side of the gateway: one function from a request to an answer, over aiohttp's low-level server.

Phones come first and take the shortest way. No answer and no log holds a path or a key, not even of what is no HTTP.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import msgspec
import structlog
from aiohttp import web

from gladys_companion.clock import Clock
from gladys_companion.config import Gateway
from gladys_companion.engine_io import SOCKET_PATH
from gladys_companion.errors import CompanionError, RequestError
from gladys_companion.gateway import not_offered, openapi
from gladys_companion.gateway.answers import ROUTE_ID
from gladys_companion.gateway.limits import Limit, networks, sender_of
from gladys_companion.gateway.measures import Answers
from gladys_companion.gateway.responses import refusal, respond
from gladys_companion.gateway.routes import PREFIX, PhoneRoutes, too_many, tracks
from gladys_companion.gateway.sockets import Sockets
from gladys_companion.pages import STATIC, static_file

__all__ = ["Front", "Server"]


LIVE = frozenset({"/add/phone/live"})  # what goes on for as long as its page is looked at

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = structlog.get_logger(__name__)


class Front:
    """Answers what comes in over TCP.

    Args:
        phones: the routes below ``/v1/api/``.
        sockets: what is behind ``/socket.io/``.
        routes: all others; they are matched whole.
        healthy: returns when the gateway can commit, or raises StoreError.
        options: ``[gateway]`` of the configuration.
        clock: its boot clock counts the rates.
        within: the seconds that any request but a socket's may take to come in.
    """

    def __init__(
        self,
        *,
        phones: PhoneRoutes,
        sockets: Sockets,
        routes: Iterable[web.RouteDef],
        healthy: Callable[[], Awaitable[object]],
        options: Gateway,
        clock: Clock,
        within: float,
    ) -> None:
        self.answers = Answers()
        self._phones = phones
        self._sockets = sockets
        self._healthy = healthy
        self._within = within
        self._trusted = networks(options.trusted_proxies)
        self._by_address = Limit(options.rate_per_address, options.burst_per_address, clock)
        self._document = msgspec.json.encode(openapi.document())
        self._routes: dict[str, dict[str, Handler]] = {
            "/healthz": {"GET": self._health},
            "/openapi.json": {"GET": self._openapi},
        }
        for route in routes:
            self._routes.setdefault(route.path, {})[route.method] = route.handler

    def sender(self, request: web.BaseRequest) -> str:
        """Return who sent a request, seen through trusted proxies."""
        return sender_of(request, self._trusted)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        path = request.raw_path.partition("?")[0]
        sender = self.sender(request)
        try:
            if path == SOCKET_PATH:
                return await self._socket(request, sender)
            if over := self._by_address.take(sender):
                error = too_many("Too many requests came from this address", over)
                error.status = 503 if tracks(path) else error.status  # type: ignore[misc]  # its own
                raise error
            if path.startswith(PREFIX):
                return await self._phone(request, path, sender)
            return await self._other(request, path)
        except CompanionError as error:
            return refusal(error)

    async def _phone(self, request: web.BaseRequest, path: str, sender: str) -> web.StreamResponse:
        began = time.perf_counter()
        response: web.StreamResponse
        try:
            not_offered.refuse(path)
            response = await self._phones.handle(request, path, sender)
        except CompanionError as error:
            response = refusal(error)
        self.answers.add(path, response.status, began)
        return response

    async def _socket(self, request: web.BaseRequest, sender: str) -> web.StreamResponse:
        if "sid" not in request.query and (over := self._by_address.take(sender)):
            raise too_many("Too many requests came from this address", over)
        if request.method != "POST":
            return await self._sockets.handle(request)
        return await self._in_time(self._sockets.handle(request))

    async def _other(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        if path.startswith(STATIC) and (file := await asyncio.to_thread(static_file, path)) is not None:
            return file
        methods = self._routes.get(path)
        if methods is None:
            methods, request[ROUTE_ID] = self._routed(path)
        if methods is None:
            not_offered.refuse(path)
            raise RequestError(404, "ROUTE_NOT_FOUND", "There is no such route: /openapi.json lists those there are.")
        handler = methods.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            names = ", ".join(methods)
            raise RequestError(405, "METHOD_NOT_ALLOWED", f"This route knows {names} only.", allow=list(methods))
        if path in LIVE:
            return await self._answer(request, handler)
        return await self._in_time(self._answer(request, handler))

    def _routed(self, path: str) -> tuple[dict[str, Handler] | None, str]:
        """Return the methods of a route that holds an id, and the id."""
        parts = path.split("/")
        for place in range(2, min(len(parts), 5)):
            template = "/".join((*parts[:place], "{id}", *parts[place + 1 :]))
            if parts[place] and (methods := self._routes.get(template)) is not None:
                return methods, unquote(parts[place])
        return None, ""

    async def _answer(self, request: web.BaseRequest, handler: Handler) -> web.StreamResponse:
        return await handler(request)  # type: ignore[arg-type]  # they need no more than a BaseRequest has

    async def _in_time(self, answer: Awaitable[web.StreamResponse]) -> web.StreamResponse:
        try:
            async with asyncio.timeout(self._within):
                return await answer
        except TimeoutError:
            raise RequestError(408, "REQUEST_TIMEOUT", f"The request took longer than {self._within:g} s.") from None
        except web.HTTPRequestEntityTooLarge:
            raise RequestError(413, "BODY_TOO_LARGE", "The body is too large for this route.") from None

    async def _health(self, _: web.BaseRequest) -> web.Response:
        await self._healthy()
        return respond(200, b'{"status":200}')

    async def _openapi(self, _: web.BaseRequest) -> web.Response:
        return respond(200, self._document)


class _Connection(web.RequestHandler):
    """A connection whose errors show nothing of what came in."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it quotes the request
    ) -> web.StreamResponse:
        """Answer what is no HTTP (400), or what failed here (500), and close."""
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("gateway.request_failed", exc_info=exc)
        code = "INTERNAL" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "BAD_REQUEST"
        sentence = "Something failed in the gateway; its log says what." if code == "INTERNAL" else "This is no HTTP."
        if request.writer.output_size > 0:
            raise ConnectionError("an answer had begun")
        response = refusal(RequestError(status, code, sentence))
        response.force_close()
        return response


class Server(web.Server):
    """aiohttp's low-level server; a protocol factory.

    ``idle``: seconds until a silent connection is closed. ``linger``: seconds in which a refused body may still come,
    so that its sender hears why.
    """

    def __init__(
        self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], idle: float, linger: float
    ) -> None:
        super().__init__(handler)
        self._idle = idle
        self._linger = linger

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a new connection."""
        loop = asyncio.get_running_loop()
        quiet: Any = None  # what aiohttp's own runner passes for no access log
        return _Connection(self, loop=loop, access_log=quiet, keepalive_timeout=self._idle, lingering_time=self._linger)
