"""Which phone a message is of, by the names that it gives itself and the key that it came with. Pure.

A name is no proof: only the key of a request is. So a phone that nobody announced becomes somebody's by itself only
where that can be no lie: the first one that calls itself after a person, or one with a key that this person uses.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from gladys_companion.store.people import Person, Phone

__all__ = ["UNNAMED", "Names", "find", "make", "names_of", "owner", "slug"]

UNNAMED = "one"  # the id of what has no letter that an id may have
_LONGEST_ID = 40
_PLUS = "plus"  # names the user of Gladys whose key it was, and not what the phone says


class Names(NamedTuple):
    """Who a message says it is of; ``key_id`` and ``key_name`` are of the key that it came with at the gateway."""

    app: str
    user: str | None = None
    device: str | None = None
    key_id: str | None = None
    key_name: str | None = None

    def shown(self) -> str:
        """Return it for people."""
        called = "/".join(part for part in (self.user, self.device) if part)
        by = f" with the key {self.key_name or self.key_id}" if self.key_id else ""
        return f"{self.app}{f' {called}' if called else ''}{by}"


def find(phones: Iterable[Phone], names: Names) -> Phone | None:
    """Return the phone that a message is of: what somebody announced before what was only seen, who says most first."""
    fitting = [(phone.origin != "seen", _says(phone), phone.id, phone) for phone in phones if _fits(phone, names)]
    return max(fitting, key=lambda one: one[:3])[3] if fitting else None


def names_of(phone: Phone) -> Names:
    """Return the names that a phone that was only seen is known by."""
    return Names(phone.app or "", phone.user or None, phone.device or None, phone.key_id or None)


def _says(phone: Phone) -> int:
    return sum(name is not None for name in (phone.user, phone.device, phone.key_id))


def _fits(phone: Phone, names: Names) -> bool:
    if phone.app is not None and names.app not in {phone.app, ""}:
        return False
    return (_says(phone) > 0 or phone.app is not None) and all(
        (
            phone.user is None or _same(phone.user, names.user),
            phone.device is None or _same(phone.device, names.device),
            phone.key_id is None or phone.key_id in {names.key_id or "", names.key_name},
        )
    )


def _same(one: str, other: str | None) -> bool:
    return one.casefold() == (other or "").casefold()


def owner(names: Names, people: Iterable[Person], phones: Collection[Phone]) -> Person | None:
    """Return whose a phone is that nobody announced; None where only its owner can say."""
    if names.user is None:
        return None
    user = names.user.casefold()
    called = [one for one in people if user in {one.id, one.name.casefold(), one.gladys_user, one.gladys_user_id}]
    if len(called) != 1:
        return None
    theirs = [phone for phone in phones if phone.person == called[0].id and _says(phone)]
    known = any(phone.key_id is not None and phone.key_id == names.key_id for phone in theirs)
    return called[0] if not theirs or known or names.app == _PLUS else None


def make(names: Names, people: Sequence[Person], phones: Collection[Phone], now: float) -> Phone:
    """Return a phone for the first message of such names, which is known by exactly these."""
    person = owner(names, people, phones)
    wished = slug("-".join(part for part in (names.user, names.device) if part) or names.key_name or names.app)
    taken, free, number = {phone.id for phone in phones}, wished, 1
    while free in taken:
        number += 1
        free = f"{wished}-{number}"
    return Phone(
        id=free,
        name=names.device or names.user or names.key_name or names.app,
        person=person.id if person else None,
        user=names.user or "",
        device=names.device or "",
        key_id=names.key_id or "",
        origin="seen",
        created_at=now,
    )


def slug(name: str) -> str:
    """Return a name as an id: lower case, letters without accents, digits and dashes."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.casefold()).strip("-")[:_LONGEST_ID].strip("-") or UNNAMED
