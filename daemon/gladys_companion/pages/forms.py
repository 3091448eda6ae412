"""What is asked of a request before it is believed: by which name it came, and from a page of which site."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from aiohttp import web

__all__ = ["host_name", "is_named", "is_own", "see_other"]


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


def is_own(request: web.BaseRequest) -> bool:
    """Return whether a form was sent by a page of this server, as the browser says."""
    origin = request.headers.get("Origin")
    if origin is not None and origin != "null":
        return origin.partition("://")[2] == request.host
    return request.headers.get("Sec-Fetch-Site", "same-origin") in {"same-origin", "none"}


def see_other(path: str) -> web.Response:
    """Send a browser on, after a form."""
    return web.Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})
