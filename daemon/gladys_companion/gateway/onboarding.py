"""Single-use links that make a phone known: opened within ten minutes, exchanged once for a key of that phone's own.

All of it is in memory: a link does not outlive its gateway, and a key is shown for half an hour, to that browser only
which made it. Opening a link changes nothing, so that whoever previews it spends nothing.
"""

from __future__ import annotations

import secrets
import unicodedata
from collections import OrderedDict
from typing import TypeVar
from urllib.parse import quote

from msgspec import Struct

from gladys_companion.errors import RequestError
from gladys_companion.gateway import keys
from gladys_companion.gateway._names import fresh_name
from gladys_companion.gateway.accounts import Accounts

__all__ = ["LINK_LASTS", "SHOWN_FOR", "Link", "Onboarding", "Phone", "slug"]

LINK_LASTS = 600.0
SHOWN_FOR = 1_800.0
MOST = 100

T = TypeVar("T")


class Link(Struct, frozen=True):
    """What a link will make: a key of this name, for a phone of ``user``, in a home."""

    home_id: str
    name: str
    user: str
    until: float  # boot clock


class Phone(Struct, frozen=True):
    """A phone that was made known, as its own browser may see it: with its key, and a tag of its own."""

    key_id: str
    secret: str
    name: str
    user: str
    tag: str
    since: float  # wall clock
    until: float  # boot clock

    def __repr__(self) -> str:
        return f"Phone(key_id={self.key_id!r}, name={self.name!r}, ...)"


class Onboarding:
    """The links and the phones of the last half hour."""

    def __init__(self, accounts: Accounts, public_url: str) -> None:
        self._accounts = accounts
        self._clock = accounts.clock
        self.public_url = public_url.rstrip("/")
        self._links: OrderedDict[bytes, Link] = OrderedDict()
        self._phones: OrderedDict[bytes, Phone] = OrderedDict()

    def link(self, home: str | None, name: str, user: str = "") -> tuple[str, Link]:
        """Return a fresh link's address, and what it will make.

        Raises:
            RequestError: 404, no such home; 409, a key has this name; 422, that is no name.
        """
        found = self._accounts.home(home)
        checked = fresh_name(name, [one for one in self._accounts.keys(found.id) if one.revoked_at is None])
        token = secrets.token_urlsafe(24)
        made = Link(found.id, checked, slug(user or checked), self._clock.elapsed() + LINK_LASTS)
        _keep(self._links, keys.digest(token), made)
        return f"{self.public_url}/add/{quote(token)}", made

    def opened(self, token: str) -> Link | None:
        """Return what a link will make; None when it is unknown, used or too old."""
        link = self._links.get(keys.digest(token))
        return link if link is not None and self._clock.elapsed() < link.until else None

    async def exchange(self, token: str) -> tuple[str, Phone] | None:
        """Use a link up: return what its browser is to show from now on (a cookie), and the phone; None as ``opened``.

        Raises:
            RequestError: 409, a key got this name meanwhile.
            StoreError: nothing was made, and the link is as good as before.
        """
        link = self.opened(token)
        if link is None:
            return None
        del self._links[keys.digest(token)]  # before anything is awaited, so that no two can use it
        try:
            issued = await self._accounts.create_key(link.home_id, link.name)
        except BaseException:
            self._links[keys.digest(token)] = link
            raise
        cookie, now = secrets.token_urlsafe(32), self._clock.now()
        phone = Phone(
            key_id=issued.value.id,
            secret=issued.secret,
            name=link.name,
            user=link.user,
            tag=f"tag:{secrets.token_hex(5)}",
            since=now,
            until=self._clock.elapsed() + SHOWN_FOR,
        )
        _keep(self._phones, keys.digest(cookie), phone)
        return cookie, phone

    def phone(self, cookie: str) -> Phone | None:
        """Return the phone of a browser; None when that was too long ago."""
        phone = self._phones.get(keys.digest(cookie))
        return phone if phone is not None and self._clock.elapsed() < phone.until else None

    @property
    def secure(self) -> bool:
        """Whether browsers reach this by https."""
        return self.public_url.startswith("https://")

    def address(self) -> str:
        """Return where phones post.

        Raises:
            RequestError: 409 ``PUBLIC_URL_MISSING``.
        """
        if not self.public_url:
            sentence = "[gateway] public_url is not set: phones have to be told where this gateway is, as they see it."
            raise RequestError(409, "PUBLIC_URL_MISSING", sentence)
        return self.public_url


def slug(name: str) -> str:
    """Return a name as it may stand in an id: ``Anna's phone`` is ``anna-s-phone``."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = "".join(letter if letter.isalnum() else " " for letter in plain).split()
    return "-".join(words)[:40].strip("-") or "phone"


def _keep(among: OrderedDict[bytes, T], digest: bytes, value: T) -> None:
    among[digest] = value
    if len(among) > MOST:
        among.popitem(last=False)
