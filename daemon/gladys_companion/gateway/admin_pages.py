"""The gateway's pages: homes, keys, what is held, and phones to be set up; for admins who are logged in.

Every form carries the session's token, is refused from another site, and works without scripts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from aiohttp import web

from gladys_companion.errors import CompanionError, RequestError
from gladys_companion.gateway.accounts import REVOKE_WARNING, Accounts
from gladys_companion.gateway.admins import Admins
from gladys_companion.gateway.answers import ROUTE_ID, answer, read_json
from gladys_companion.gateway.heartbeat import Heartbeats
from gladys_companion.gateway.keys import SCOPES
from gladys_companion.gateway.onboarding import Onboarding
from gladys_companion.gateway.storage import Home, Key
from gladys_companion.pages import Pages
from gladys_companion.pages.forms import demand_own, demand_token, host_name, is_named, see_other
from gladys_companion.pages.qr import qr_picture
from gladys_companion.pages.sessions import Session

__all__ = ["admin_link_routes", "admin_page_routes"]

MOST_HELD = 50
Handler: TypeAlias = Callable[[web.Request], Awaitable[web.Response]]
Do: TypeAlias = Callable[[web.Request, Session, Any], Awaitable[web.Response]]


def admin_link_routes(admins: Admins, onboarding: Onboarding) -> Sequence[web.RouteDef]:
    """Return the routes about admins, for the Unix socket."""

    async def link(_: web.Request) -> web.Response:
        return answer({"url": f"{onboarding.address()}/setup/{admins.link()}"})

    async def listed(_: web.Request) -> web.Response:
        return answer([{"name": one.name, "created_at": one.created_at} for one in admins.all()])

    async def remove(request: web.Request) -> web.Response:
        wanted = await read_json(request, dict[str, str])
        return answer({"name": (await admins.remove(wanted.get("name", ""))).name})

    return [
        web.post("/admin/admin.link", link),
        web.post("/admin/admin.list", listed),
        web.post("/admin/admin.remove", remove),
    ]


def admin_page_routes(
    admins: Admins,
    accounts: Accounts,
    onboarding: Onboarding,
    heartbeats: Heartbeats,
    pages: Pages,
    sender: Callable[[web.Request], str],
) -> Sequence[web.RouteDef]:
    """Return the routes; ``sender`` says who sent a request, seen through trusted proxies."""
    shown = _AdminPages(admins, accounts, onboarding, heartbeats, pages, sender)
    return [
        web.get("/", shown.here(shown.root)),
        web.get("/setup/{id}", shown.here(shown.set_up)),
        web.post("/setup/{id}", shown.here(shown.do_set_up)),
        web.get("/login", shown.here(shown.login)),
        web.post("/login", shown.here(shown.do_login)),
        web.post("/logout", shown.here(shown.doing(shown.logout))),
        web.get("/homes", shown.here(shown.looking(shown.homes))),
        web.get("/homes/{id}", shown.here(shown.looking(shown.home))),
        web.post("/homes/{id}/keys", shown.here(shown.doing(shown.create_key))),
        web.post("/homes/{id}/phones", shown.here(shown.doing(shown.add_phone))),
        web.post("/keys/{id}/rename", shown.here(shown.doing(shown.rename_key))),
        web.post("/keys/{id}/rotate", shown.here(shown.doing(shown.rotate_key))),
        web.post("/keys/{id}/revoke", shown.here(shown.doing(shown.revoke_key))),
    ]


class _AdminPages:
    def __init__(
        self,
        admins: Admins,
        accounts: Accounts,
        onboarding: Onboarding,
        heartbeats: Heartbeats,
        pages: Pages,
        sender: Callable[[web.Request], str],
    ) -> None:
        self._admins = admins
        self._accounts = accounts
        self._onboarding = onboarding
        self._names = {host_name(urlsplit(onboarding.public_url).netloc)}
        self._sender = sender
        self._heartbeats = heartbeats
        self._pages = pages

    # What every page and form goes through.

    def here(self, handler: Handler) -> Handler:
        """Refuse a name that somebody makes resolve to this gateway, and forms of other sites; show errors as pages."""

        async def handle(request: web.Request) -> web.Response:
            if not is_named(request.host, self._names):
                raise RequestError(421, "HOST_REFUSED", "Open this by its own name, as public_url says it.")
            try:
                if request.method == "POST":
                    demand_own(request)
                return await handler(request)
            except CompanionError as error:
                return await self._page(request, "failed.html", error.status, says=str(error), session=None)

        return handle

    def looking(self, handler: Callable[[web.Request, Session], Awaitable[web.Response]]) -> Handler:
        """Let those who are logged in through, and send others to where one logs in."""

        async def handle(request: web.Request) -> web.Response:
            session = self._session(request)
            return see_other("/login") if session is None else await handler(request, session)

        return handle

    def doing(self, handler: Do) -> Handler:
        """The same for what changes something, which carries the session's token."""

        async def handle(request: web.Request) -> web.Response:
            session = self._session(request)
            if session is None:
                return see_other("/login")
            form = await request.post()
            demand_token(form.get("csrf"), session.csrf)
            return await handler(request, session, form)

        return handle

    def _session(self, request: web.Request) -> Session | None:
        return self._admins.sessions.find(request)

    async def _page(self, request: web.Request, template: str, status: int = 200, **values: object) -> web.Response:
        return await self._pages.page(request, template, status, **values)

    # Who one is.

    async def root(self, request: web.Request) -> web.Response:
        return see_other("/homes" if self._session(request) is not None else "/login")

    async def set_up(self, request: web.Request) -> web.Response:
        if not self._admins.opened(request[ROUTE_ID]):
            return await self._page(request, "setup_over.html", 410, session=None)
        return await self._page(request, "setup.html", session=None, says=None, name="")

    async def do_set_up(self, request: web.Request) -> web.Response:
        form = await request.post()
        name, password = str(form.get("name", "")), str(form.get("password", ""))
        try:
            cookie = await self._admins.set_up(request[ROUTE_ID], name, password)
        except RequestError as error:
            if error.code == "LINK_OVER":
                return await self._page(request, "setup_over.html", 410, session=None)
            return await self._page(request, "setup.html", error.status, session=None, says=str(error), name=name[:100])
        return self._logged_in(cookie)

    async def login(self, request: web.Request) -> web.Response:
        return await self._page(request, "login.html", session=None, wrong=False, says=None, name="")

    async def do_login(self, request: web.Request) -> web.Response:
        form = await request.post()
        name = str(form.get("name", ""))[:100]
        try:
            cookie = await self._admins.log_in(name, str(form.get("password", "")), self._sender(request))
        except RequestError as error:
            return await self._page(
                request, "login.html", error.status, session=None, wrong=False, says=str(error), name=name
            )
        if cookie is None:
            return await self._page(request, "login.html", 403, session=None, wrong=True, says=None, name=name)
        return self._logged_in(cookie)

    async def logout(self, request: web.Request, _: Session, __: Any) -> web.Response:  # noqa: ANN401 - a form
        return self._admins.sessions.end(request, see_other("/login"))

    def _logged_in(self, cookie: str) -> web.Response:
        return self._admins.sessions.give(see_other("/homes"), cookie, secure=self._onboarding.secure)

    # What there is.

    async def homes(self, request: web.Request, session: Session) -> web.Response:
        held = await self._accounts.held()
        homes = [
            {
                "id": home.id,
                "name": home.name,
                "online": self._online(home),
                "silent": self._heartbeats.silent(home.id),
                "since": self._last_seen(home),
                "held": held[home.id].events if home.id in held else 0,
                "keys": len(self._live(home)),
            }
            for home in self._accounts.homes()
        ]
        return await self._page(request, "homes.html", session=session, homes=homes)

    async def home(self, request: web.Request, session: Session) -> web.Response:
        return await self._home(request, session, self._accounts.home(request[ROUTE_ID]))

    async def _home(self, request: web.Request, session: Session, home: Home, **shown: object) -> web.Response:
        storage = self._accounts.storage
        keys = []
        for key in self._live(home):
            last = await storage.newest_of(key.id)
            what = None if last is None else (last.external_id or last.action)
            keys.append({"key": key, "scopes": sorted(key.scopes), "sent": what})
        held = await storage.held(home.id, 0, MOST_HELD)
        values: dict[str, object] = {"secret": None, "link": None, "picture": None, "says": None, **shown}
        return await self._page(
            request,
            "home.html",
            session=session,
            home=home,
            online=self._online(home),
            since=self._last_seen(home),
            beat=self._heartbeats.beats.get(home.id),
            silent=self._heartbeats.silent(home.id),
            keys=keys,
            held=[(event.received_at, event.external_id or event.action) for event in held],
            scopes=SCOPES,
            values=values,
        )

    # What is changed.

    async def create_key(self, request: web.Request, session: Session, form: Any) -> web.Response:  # noqa: ANN401
        home = self._accounts.home(request[ROUTE_ID])
        wanted = [str(scope) for scope in form.getall("scope", [])]
        try:
            issued = await self._accounts.create_key(home.id, str(form.get("name", "")), scopes=wanted)
        except RequestError as error:
            return await self._home(request, session, home, says=str(error))
        return await self._home(request, session, home, secret=(issued.value.name, issued.secret))

    async def rename_key(self, request: web.Request, session: Session, form: Any) -> web.Response:  # noqa: ANN401
        key = self._key(request)
        try:
            await self._accounts.rename_key(key.home_id, key.id, str(form.get("name", "")))
        except RequestError as error:
            return await self._home(request, session, self._accounts.home(key.home_id), says=str(error))
        return see_other(f"/homes/{key.home_id}")

    async def rotate_key(self, request: web.Request, session: Session, _: Any) -> web.Response:  # noqa: ANN401
        key = self._key(request)
        issued = await self._accounts.rotate_key(key.home_id, key.id)
        home = self._accounts.home(key.home_id)
        return await self._home(request, session, home, secret=(key.name, issued.secret))

    async def revoke_key(self, request: web.Request, session: Session, _: Any) -> web.Response:  # noqa: ANN401
        key = self._key(request)
        await self._accounts.revoke_key(key.home_id, key.id)
        return await self._home(request, session, self._accounts.home(key.home_id), says=REVOKE_WARNING)

    async def add_phone(self, request: web.Request, session: Session, form: Any) -> web.Response:  # noqa: ANN401
        home = self._accounts.home(request[ROUTE_ID])
        try:
            self._onboarding.address()
            link, _ = self._onboarding.link(home.id, str(form.get("name", "")), str(form.get("user", "")))
        except RequestError as error:
            return await self._home(request, session, home, says=str(error))
        return await self._home(request, session, home, link=link, picture=await qr_picture(link, 5))

    def _key(self, request: web.Request) -> Key:
        key = self._accounts.storage.key(request[ROUTE_ID])
        if key is None or key.revoked_at is not None:
            raise RequestError(404, "KEY_NOT_FOUND", "There is no such key, or it was revoked.")
        return key

    def _live(self, home: Home) -> list[Key]:
        return [key for key in self._accounts.keys(home.id) if key.revoked_at is None]

    def _online(self, home: Home) -> bool:
        return home.primary_instance is not None and self._accounts.is_connected(home.primary_instance)

    def _last_seen(self, home: Home) -> float | None:
        return next(
            (one.last_seen for one in self._accounts.instances(home.id) if one.id == home.primary_instance), None
        )
