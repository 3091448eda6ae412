"""The page of phones: whose each is, what waits for it, and the encryption key of its app, which is made here.

The key goes from this page to the phone by a QR code, so that the gateway, which carries what the phone tells, never
sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aiohttp import web
from msgspec import structs
from sqlite_utils import Database

from gladys_companion.pages.forms import see_other
from gladys_companion.pages.qr import qr_picture
from gladys_companion.presence import asked
from gladys_companion.protocol.owntracks.remote import configuration_link, encryption, new_key
from gladys_companion.store import people as rows
from gladys_companion.web.page import Do, Form, field, page
from gladys_companion.web.route import SERVICE

__all__ = ["PHONE_FORMS", "phones_page"]


async def phones_page(request: web.Request) -> web.Response:
    """Show all phones."""
    desk = request.app[SERVICE].presence.desk
    return await page(
        request, "phones.html", phones=await desk.read(asked.phones), people=await desk.read(asked.people)
    )


async def _give(request: web.Request, form: Form) -> web.Response:
    """Say whose a phone is; nobody's, where none is chosen."""
    phone_id, person_id = field(form, "phone"), field(form, "person") or None

    def job(database: Database) -> None:
        before = rows.phone(database, phone_id)
        if person_id is not None:
            rows.person(database, person_id)
        rows.put_phone(database, structs.replace(before, person=person_id, origin="user"))

    await request.app[SERVICE].presence.change(job)
    return see_other("/phones?done=given")


async def _seal(request: web.Request, form: Form) -> web.Response:
    """Make a key, keep it, and show it this once."""
    service, phone_id, key = request.app[SERVICE], field(form, "phone"), new_key()
    phone = await service.presence.desk.read(lambda ledger: rows.phone(ledger.database, phone_id))
    await service.presence.set_passphrase(phone_id, key)
    link = configuration_link(encryption(key))
    return await page(request, "phone_key.html", phone=phone, key=key, link=link, picture=await qr_picture(link, 4))


async def _unseal(request: web.Request, form: Form) -> web.Response:
    await request.app[SERVICE].presence.set_passphrase(field(form, "phone"), None)
    return see_other("/phones?done=unsealed")


PHONE_FORMS: Mapping[str, Do] = MappingProxyType(
    {"/phones/give": _give, "/phones/seal": _seal, "/phones/unseal": _unseal}
)
