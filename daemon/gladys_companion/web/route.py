"""What a route of the local API is, and how its handler answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from gladys_companion.errors import RequestError
from gladys_companion.model import Receipt
from gladys_companion.web.service import Service

__all__ = ["OPENAPI", "SERVICE", "Call", "Handler", "Route", "json_response", "number", "receipt_response", "route"]

SERVICE = web.AppKey("service", Service)
OPENAPI = web.AppKey("openapi", dict[str, Any])

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Call = Callable[[Service, web.Request], Awaitable[object]]


class Route(Struct, frozen=True, kw_only=True):
    """One route. ``reads`` ones are served on TCP too. ``query`` names its query parameters with what they mean."""

    method: str
    path: str
    handler: Handler
    summary: str
    answer: Any
    body: type[Struct] | None = None
    query: dict[str, str] = {}
    reads: bool = False
    media: str = "application/json"


def json_response(value: object, status: int = 200) -> web.Response:
    """Return any value of ours as JSON."""
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


def receipt_response(receipt: Receipt) -> web.Response:
    """Return a receipt with its own status."""
    return json_response(receipt.body(), receipt.status)


def number(request: web.Request, name: str) -> int | None:
    """Return a query parameter that is a number; None if it is absent.

    Raises:
        RequestError: 422 when it is none.
    """
    given = request.query.get(name)
    if given is None:
        return None
    if not given.isdecimal() or len(given) > 18:  # noqa: PLR2004 - what fits SQLite's integers
        raise RequestError(422, "INVALID_FIELD", f"{name} is not a number.", field=name)
    return int(given)


def _answering(call: Call) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        return json_response(await call(request.app[SERVICE], request))

    return handler


def route(method: str, path: str, call: Call, **more: Any) -> Route:
    """Return a route that answers what ``call`` returns as JSON."""
    return Route(method=method, path=path, handler=_answering(call), **more)
