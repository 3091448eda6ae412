"""What is asked of a request before it is believed: by which name it came, and from a page of which site."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from aiohttp import web

from gladys_companion.errors import RequestError

__all__ = ["demand_own", "demand_token", "host_name", "is_named", "see_other"]


def host_name(host: str | None) -> str:
    """Return the name or address in a Host header, without its port; empty if it is none."""
    try:
        return (urlsplit(f"//{host or ''}").hostname or "").lower()
    except ValueError:
        return ""


def is_named(host: str | None, names: Collection[str]) -> bool:
    """Return whether a Host is one of these names, or an address: nobody can make those resolve to another machine."""
    name = host_name(host)
    if name in {"localhost", *names} and name:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def demand_own(request: web.BaseRequest) -> None:
    """Let a form through that a page of this server sent, as the browser says.

    Raises:
        RequestError: 403: another site sent it.
    """
    if not _is_own(request):
        raise RequestError(403, "FORBIDDEN", "This form was sent by another site.")


def demand_token(given: object, token: str) -> None:
    """Let a form through that carries the token of the page that it stood on.

    Raises:
        RequestError: 403: it carries another, or none.
    """
    if not hmac.compare_digest(str(given).encode(), token.encode()):
        raise RequestError(403, "FORBIDDEN", "This form is too old: go back, reload the page, and send it again.")


def _is_own(request: web.BaseRequest) -> bool:
    origin = request.headers.get("Origin")
    if origin is not None and origin != "null":
        return origin.partition("://")[2] == request.host
    return request.headers.get("Sec-Fetch-Site", "same-origin") in {"same-origin", "none"}


def see_other(path: str) -> web.Response:
    """Send a browser on, after a form."""
    return web.Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})
