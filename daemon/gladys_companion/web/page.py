"""What every page of the home goes through: who may see it, which forms are believed, and errors shown as pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from aiohttp import web

from gladys_companion.errors import CompanionError, RequestError
from gladys_companion.pages import STATIC, Pages
from gladys_companion.pages.forms import demand_own, demand_token, see_other
from gladys_companion.web.route import SERVICE

__all__ = [
    "PAGES",
    "Do",
    "Form",
    "Handler",
    "doing",
    "field",
    "is_open",
    "own_form",
    "page",
    "readable",
    "unknown_visitor",
]

PAGES = web.AppKey("pages", Pages)

DONE = frozenset(
    {"renamed", "bound", "unbound", "exposed", "unexposed", "changed", "reset", "given", "unsealed"}
)  # what a page may say was done

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
Form: TypeAlias = Mapping[str, object]
Do: TypeAlias = Callable[[web.Request, Form], Awaitable[web.StreamResponse]]


async def page(request: web.Request, template: str, status: int = 200, **values: object) -> web.Response:
    """Return a page; ``csrf`` is what its forms carry, None where nothing may be changed before one is logged in."""
    visitors = request.app[SERVICE].visitors
    return await request.app[PAGES].page(
        request,
        template,
        status,
        csrf=visitors.token(request),
        logged_in=visitors.session(request) is not None,
        protected=visitors.protected,
        done=request.query.get("done", "") if request.query.get("done") in DONE else "",
        **values,
    )


def readable(handler: Handler) -> Handler:
    """Show what we raise as a page."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except CompanionError as error:
            return await page(request, "home_failed.html", error.status, says=str(error))

    return handle


def doing(handler: Do) -> Handler:
    """Let a form through that a page of ours sent for somebody who may change things; others log in first."""

    async def handle(request: web.Request) -> web.StreamResponse:
        form = await own_form(request)
        token = request.app[SERVICE].visitors.token(request)
        if token is None:
            return see_other("/login")
        demand_token(form.get("csrf"), token)
        return await handler(request, form)

    return readable(handle)


async def own_form(request: web.Request) -> Form:
    """Return a form that a page of ours sent.

    Raises:
        RequestError: 403: another site sent it.
    """
    demand_own(request)
    return await request.post()


def field(form: Form, name: str) -> str:
    """Return a field of a form; empty if it is missing."""
    given = form.get(name, "")
    return given if isinstance(given, str) else ""


def is_open(request: web.BaseRequest) -> bool:
    """Return whether somebody may have this whom we do not know: what it takes to log in, and that we live."""
    return request.path in {"/login", "/healthz"} or request.path.startswith(STATIC)


def unknown_visitor(request: web.BaseRequest) -> web.Response:
    """Send a browser to where one logs in.

    Raises:
        RequestError: 401 ``PASSWORD_REQUIRED``, for programs.
    """
    if request.path.startswith("/api/") or request.path == "/metrics":
        sentence = "From another machine this needs the password of the pages, as HTTP Basic sends it."
        raise RequestError(401, "PASSWORD_REQUIRED", sentence)
    return see_other("/login")
