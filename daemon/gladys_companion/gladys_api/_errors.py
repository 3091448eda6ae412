"""What Gladys did not do, in a sentence that says what to do about it.

Bodies: ``server/utils/httpErrors.js`` of Gladys Assistant 4.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from aiohttp import ClientConnectorCertificateError, ClientConnectorError

from gladys_companion.errors import AuthError, CompanionError, Rejected, Unavailable

__all__ = ["judged", "refused", "unreachable"]

OK = 200
ELSEWHERE = 300
WRONG = 400
UNAUTHORIZED = frozenset({401, 403})
TOO_MANY = 429
FAILED = 500
MOST_SHOWN = 200


@contextmanager
def judged() -> Iterator[None]:
    """Say of a refused key what a plug-in may say: nothing goes until the user acts."""
    try:
        yield
    except AuthError as error:
        raise Rejected(str(error)) from error


def unreachable(name: str, error: BaseException, within: float) -> str:
    """Return why there was no answer."""
    if isinstance(error, TimeoutError):
        return f"{name} did not answer within {within:g} s."
    if isinstance(error, ClientConnectorCertificateError):
        return f"{name} can not be reached: its certificate is not trusted ({error.certificate_error})."
    if isinstance(error, ClientConnectorError):
        errno = error.os_error.errno
        known = os.strerror(errno).lower() if errno and errno > 0 else error.os_error.strerror  # below: getaddrinfo's
        return f"{name} can not be reached: {known or 'there is no such host'}."
    return f"{name} did not answer as it should: {_plain(str(error)) or 'the connection ended before the answer'}."


def refused(name: str, status: int, body: bytes, to: str = "") -> CompanionError | None:
    """Return the error that an answer means; None where it is a good one.

    Args:
        name: what is called Gladys in the sentence.
        status: of HTTP; in the ``data`` of what can not be done.
        body: Gladys' own error, perhaps.
        to: where it sends us, if it does.
    """
    if OK <= status < ELSEWHERE:
        return None
    if status < WRONG:
        where = f" to {_plain(to)}" if to else ""
        return Rejected(f"{name} sends us elsewhere{where}: set [gladys] url to where Gladys really is.")
    if status in UNAUTHORIZED:
        why = f" ({reason})" if (reason := _reason(body)) else ""
        return AuthError(f"{name} refuses the API key{why}: make a new one, and put it where the old one is.")
    why = _reason(body) or f"status {status}"
    if status == TOO_MANY or status >= FAILED:
        return Unavailable(f"{name} failed: {why}.")
    return Rejected(f"{name} refused it: {why}.", status=status)


def _reason(body: bytes) -> str:
    """Return what Gladys says is wrong, on one line and without a full stop."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    if not isinstance(told, dict):
        return ""
    return _plain(_told(told.get("message")) or _told(told.get("error")) or _told(told.get("properties")))


def _told(one: Any) -> str:  # noqa: ANN401 - JSON
    if isinstance(one, str):
        return one
    if isinstance(one, dict):
        return _told(one.get("message"))
    return ", ".join(filter(None, map(_told, one))) if isinstance(one, list) else ""


def _plain(text: str) -> str:
    shown = "".join(letter if letter.isprintable() else " " for letter in text).strip().rstrip(".")
    return shown if len(shown) <= MOST_SHOWN else f"{shown[: MOST_SHOWN - 3]}..."
