"""A request's body, whole and in time: a sender that is slow, or says more than it may, is not waited for.

aiohttp sets no limit to how long a body takes.
"""

from __future__ import annotations

import asyncio
import hashlib

from aiohttp import web
from msgspec import Struct

from gladys_companion.errors import RequestError

__all__ = ["Body", "read_body", "read_whatever"]

_HEAD = 1_024
_MOST_DISCARDED = 64 * 1_024 * 1_024


class Body(Struct, frozen=True):
    """What came: ``whole`` is None if it was too large, and then ``head`` is its first KiB."""

    size: int
    sha256: bytes
    head: bytes
    whole: bytes | None


async def _go_on(request: web.BaseRequest) -> None:
    """Let a sender that asked first (``Expect: 100-continue``) send its body."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0


def _too_large(most: int) -> RequestError:
    return RequestError(413, "BODY_TOO_LARGE", f"A body has at most {most} bytes here.", most=most)


async def read_body(request: web.BaseRequest, most: int, within: float) -> bytes:
    """Return the body.

    Raises:
        RequestError: 413, it is larger than ``most`` bytes; 408, it took longer than ``within`` seconds; 400.
    """
    if (request.content_length or 0) > most:
        raise _too_large(most)
    content = request.content
    if content.is_eof():
        body = content.read_nowait()
        if len(body) > most:
            raise _too_large(most)
        return body
    await _go_on(request)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(within):
            while part := await content.readany():
                size += len(part)
                if size > most:
                    raise _too_large(most)
                parts.append(part)
    except TimeoutError:
        raise RequestError(408, "REQUEST_TIMEOUT", f"The body took longer than {within:g} s.") from None
    except web.RequestPayloadError as error:
        raise RequestError(400, "BAD_REQUEST", "The body is not encoded as its headers say.") from error
    return b"".join(parts)


async def read_whatever(request: web.BaseRequest, most: int, within: float) -> Body:
    """Return the body or, of one that is larger than ``most`` bytes, what it was; read to its end, up to 64 MiB.

    Raises:
        RequestError: 408 or 400.
    """
    await _go_on(request)
    digest, head, size = hashlib.sha256(), b"", 0
    parts: list[bytes] = []
    try:
        async with asyncio.timeout(within):
            while size < _MOST_DISCARDED and (part := await request.content.readany()):
                size += len(part)
                digest.update(part)
                head += part[: _HEAD - len(head)]
                if size <= most:
                    parts.append(part)
    except TimeoutError:
        raise RequestError(408, "REQUEST_TIMEOUT", f"The body took longer than {within:g} s.") from None
    except web.RequestPayloadError as error:
        raise RequestError(400, "BAD_REQUEST", "The body is not encoded as its headers say.") from error
    return Body(size, digest.digest(), head, b"".join(parts) if size <= most else None)
