"""Answers of the routes that phones use: bytes and headers that are ready, or an error body shaped as Gladys' own."""

from __future__ import annotations

import msgspec
from aiohttp import web
from multidict import CIMultiDict

from gladys_companion.errors import CompanionError

__all__ = ["refusal", "respond"]

_HEADERS = CIMultiDict(
    {
        "Content-Type": "application/json; charset=utf-8",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Server": "gladys-companion",
    }
)


def respond(status: int, body: bytes) -> web.Response:
    """Return JSON."""
    return web.Response(body=body, status=status, headers=_HEADERS)


def refusal(error: CompanionError) -> web.Response:
    """Return the error's body; its ``retry_after`` and ``allow``, if there are, become headers."""
    response = respond(error.status, msgspec.json.encode(error.body()))
    if (seconds := error.data.get("retry_after")) is not None:
        response.headers["Retry-After"] = str(seconds)
    if (methods := error.data.get("allow")) is not None:
        response.headers["Allow"] = ", ".join(methods)
    if error.status == 408:  # noqa: PLR2004 - HTTP's own number: what comes next would be the rest of that body
        response.force_close()
    return response
