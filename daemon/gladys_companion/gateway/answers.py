"""JSON in and out of the gateway's quieter routes; what is raised becomes an error body shaped as Gladys' own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from aiohttp import web

from gladys_companion.errors import CompanionError, RequestError

__all__ = ["ROUTE_ID", "answer", "answer_errors", "read_json", "token_of"]

ROUTE_ID = web.RequestKey("id", str)  # what a path has in the place of {id}

T = TypeVar("T")


def answer(body: object, status: int = 200) -> web.Response:
    """Return anything that msgspec can encode as JSON that nobody caches; sets come sorted."""
    return web.Response(
        body=msgspec.json.encode(body, order="deterministic"),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


async def read_json(request: web.Request, shape: type[T]) -> T:
    """Return the request's body as a value of that type; no body counts as ``{}``.

    Raises:
        RequestError: 400 if it is no JSON, 422 naming the member that is not as it should be.
    """
    try:
        return msgspec.json.decode(await request.read() or b"{}", type=shape)
    except msgspec.ValidationError as error:
        raise RequestError(422, "INVALID_FIELD", f"{error}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(400, "BAD_REQUEST", "The body is not JSON.") from error


def token_of(request: web.Request) -> str:
    """Return the token that came with a request: the whole Authorization header, as Gladys sends it, or a Bearer's."""
    return request.headers.get("Authorization", "").removeprefix("Bearer ").strip()


@web.middleware
async def answer_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer what a handler raised of ours; anything else is a bug and stays one."""
    try:
        return await handler(request)
    except CompanionError as error:
        refused = answer(error.body(), error.status)
        if "retry_after" in error.data:
            refused.headers["Retry-After"] = str(error.data["retry_after"])
        return refused
