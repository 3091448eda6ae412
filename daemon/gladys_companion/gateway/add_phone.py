"""The pages of a phone that is made known: the link, how to set its apps up, its first event live, and tags.

No secret is in any address but that of the link, which is good once. Without scripts all can be read, and reloaded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import msgspec
from aiohttp import web
from msgspec import Struct

from gladys_companion.errors import CompanionError, RequestError
from gladys_companion.gateway import phone_apps
from gladys_companion.gateway.answers import ROUTE_ID, answer, read_json
from gladys_companion.gateway.onboarding import LINK_LASTS, SHOWN_FOR, Onboarding, Phone
from gladys_companion.gateway.storage import Storage, StoredEvent
from gladys_companion.pages import Pages, Translator
from gladys_companion.protocol.owntracks.remote import configuration_link

__all__ = ["add_phone_routes", "phone_link_routes"]

COOKIE = "phone"
LOOK_EVERY = 0.3  # seconds between looks for an event, while a page waits for it
MOST_WAITING = 50
GLADYS = frozenset({"gladys", "gladys_api", "inline"})  # the ways by which a home tells it
DELIVERED = frozenset({"delivered", "accepted"})


def add_phone_routes(onboarding: Onboarding, storage: Storage, pages: Pages) -> Sequence[web.RouteDef]:
    """Return the routes."""
    shown = _PhonePages(onboarding, storage, pages)
    return [
        web.get("/add/{id}", shown.opened),
        web.post("/add/{id}", shown.exchange),
        web.get("/add/phone", shown.phone),
        web.get("/add/phone/live", shown.live),
        web.get("/add/phone/owntracks.otrc", shown.otrc),
        web.get("/add/phone/tasker/{id}", shown.tasker),
        web.get("/tag/{id}", shown.tag),
    ]


class _NewLink(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    user: str = ""
    home: str | None = None


def phone_link_routes(onboarding: Onboarding) -> Sequence[web.RouteDef]:
    """Return the route that makes a link, for the Unix socket: the address, and what it will make."""

    async def make(request: web.Request) -> web.Response:
        wanted = await read_json(request, _NewLink)
        onboarding.address()
        url, link = onboarding.link(wanted.home, wanted.name, wanted.user)
        return answer({"url": url, "name": link.name, "user": link.user, "lasts": LINK_LASTS})

    return [web.post("/admin/phone.add", make)]


class _PhonePages:
    def __init__(self, onboarding: Onboarding, storage: Storage, pages: Pages) -> None:
        self._onboarding = onboarding
        self._storage = storage
        self._waiting = 0
        self._pages = pages

    async def _page(self, request: web.Request, template: str, status: int = 200, **values: object) -> web.Response:
        return await self._pages.page(request, template, status, **values)

    async def opened(self, request: web.Request) -> web.Response:
        link = self._onboarding.opened(request[ROUTE_ID])
        if link is None:
            return await self._page(request, "add_over.html", 410)
        return await self._page(request, "add.html", name=link.name)

    async def exchange(self, request: web.Request) -> web.Response:
        try:
            made = await self._onboarding.exchange(request[ROUTE_ID])
        except CompanionError as error:
            return await self._page(request, "add_failed.html", error.status, says=str(error))
        if made is None:
            return await self._page(request, "add_over.html", 410)
        response = web.Response(status=303, headers={"Location": "/add/phone", "Cache-Control": "no-store"})
        response.set_cookie(
            COOKIE,
            made[0],
            max_age=int(SHOWN_FOR),
            path="/add",
            httponly=True,
            samesite="Strict",
            secure=self._onboarding.secure,
        )
        return response

    async def phone(self, request: web.Request) -> web.Response:
        phone = self._whose(request)
        if phone is None:
            return await self._page(request, "add_over.html", 410)
        url = self._onboarding.address()
        network = request.query.get("network", "")[:100].strip()
        configuration = phone_apps.owntracks(url, phone.user, phone.secret)
        profiles = phone_apps.tasker_profiles(phone.user, phone.tag, network or "*")
        links = [phone_apps.tasker_link(phone_apps.tasker_xml(one, url, phone.secret)) for one in profiles]
        said = _said(await self._newest(phone), phone, await self._pages.translator(request))
        return await self._page(
            request,
            "phone.html",
            phone=phone,
            url=url,
            owntracks=configuration_link(configuration),
            network=network,
            profiles=[(number, one.name, link) for number, (one, link) in enumerate(zip(profiles, links, strict=True))],
            tag_url=f"{url}/tag/{quote(phone.tag.removeprefix('tag:'))}",
            said=said,
        )

    async def otrc(self, request: web.Request) -> web.Response:
        phone = self._must(request)
        configuration = phone_apps.owntracks(self._onboarding.address(), phone.user, phone.secret)
        return _download("gladys.otrc", "application/json", msgspec.json.format(msgspec.json.encode(configuration)))

    async def tasker(self, request: web.Request) -> web.Response:
        phone = self._must(request)
        network = request.query.get("network", "")[:100].strip() or "*"
        profiles = phone_apps.tasker_profiles(phone.user, phone.tag, network)
        number = request[ROUTE_ID]
        if not number.isascii() or not number.isdecimal() or int(number) >= len(profiles):
            raise RequestError(404, "ROUTE_NOT_FOUND", "There is no such profile.")
        xml = phone_apps.tasker_xml(profiles[int(number)], self._onboarding.address(), phone.secret)
        return _download(f"gladys-{number}.prf.xml", "application/xml", xml)

    async def tag(self, request: web.Request) -> web.Response:
        return await self._page(request, "tag.html", event=f"tag:{request[ROUTE_ID][:100]}")

    async def live(self, request: web.Request) -> web.StreamResponse:
        """Tell each event of the phone, and what became of it, for as long as its page may be shown."""
        phone = self._must(request)
        if self._waiting >= MOST_WAITING:
            raise RequestError(503, "UNAVAILABLE", "Too many pages wait: reload this one instead.", retry_after=60)
        t = await self._pages.translator(request)
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        self._waiting += 1
        try:
            await response.prepare(request)
            told: dict[str, Any] | None = None
            while self._whose(request) is not None and request.transport is not None:
                said = _said(await self._newest(phone), phone, t)
                if said is not None and said != told:
                    told = said
                    await response.write(b"event: event\ndata: " + msgspec.json.encode(said) + b"\n\n")
                await asyncio.sleep(LOOK_EVERY)
            await response.write(b"event: over\ndata: {}\n\n")
        except ConnectionError:  # the page was left
            pass
        finally:
            self._waiting -= 1
        return response

    async def _newest(self, phone: Phone) -> StoredEvent | None:
        return await self._storage.newest_of(phone.key_id)

    def _whose(self, request: web.BaseRequest) -> Phone | None:
        return self._onboarding.phone(request.cookies.get(COOKIE, ""))

    def _must(self, request: web.BaseRequest) -> Phone:
        phone = self._whose(request)
        if phone is None:
            raise RequestError(410, "LINK_OVER", "This page has ended: ask for another link.")
        return phone


def _said(event: StoredEvent | None, phone: Phone, t: Translator) -> dict[str, Any] | None:
    """Return what the page says of an event: a sentence, whether all is well, and each hop with its time."""
    if event is None:
        return None
    receipt: dict[str, Any] = msgspec.json.decode(event.receipt) if event.receipt else {}
    outcome, code = receipt.get("outcome"), receipt.get("error_code")
    hops = [(t("hop.gateway"), t("hop.received"))]
    if event.settled_at is not None:
        sent = event.sent_at if event.sent_at is not None else event.received_at
        hops.append((t("hop.home"), t("hop.after", ms=round((event.settled_at - sent) * 1000))))
    for target in receipt.get("targets", ()):
        ms = target.get("ms")
        what = target.get("state", "") if ms is None else t("hop.after", ms=round(ms))
        name = str(target.get("target"))
        hops.append(("Gladys" if name in GLADYS else name, what))
    if event.settled_at is None:
        return {"says": t("first.held"), "ok": False, "hops": hops}
    if outcome in DELIVERED or code == "SIGNAL_NOT_FOUND":  # of an older home
        return {"says": t("first.arrived", name=phone.name), "ok": True, "hops": hops}
    return {"says": str(receipt.get("error_message") or t("first.arrived", name=phone.name)), "ok": False, "hops": hops}


def _download(name: str, content_type: str, body: bytes) -> web.Response:
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return web.Response(body=body, content_type=content_type, headers=headers)
