"""How people name things: a name as they may type it, and the one thing that a name means. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from gladys_companion.errors import RequestError

__all__ = ["Named", "Revocable", "checked_name", "fresh_name", "pick", "pick_live"]

_LONGEST_NAME = 100


class Named(Protocol):
    """What has an id and a name."""

    @property
    def id(self) -> str:
        """Unique."""

    @property
    def name(self) -> str:
        """Unique among those that live."""


class Revocable(Named, Protocol):
    """What lives until it is revoked."""

    @property
    def revoked_at(self) -> float | None:
        """When it was; None: it lives."""


N = TypeVar("N", bound=Named)
R = TypeVar("R", bound=Revocable)


def pick(among: Sequence[N], named: str, kind: str) -> N:
    """Return the one of that id, else of that name.

    Raises:
        RequestError: 404 ``<KIND>_NOT_FOUND``, 409 ``AMBIGUOUS``.
    """
    for one in among:
        if one.id == named:
            return one
    found = [one for one in among if one.name == named]
    if not found:
        raise RequestError(404, f"{kind.upper()}_NOT_FOUND", f"There is no {kind} {named!r} here.")
    if len(found) > 1:
        raise RequestError(
            409, "AMBIGUOUS", f"More than one {kind} is named {named!r}: give its id, or its home with --home."
        )
    return found[0]


def pick_live(among: Sequence[R], named: str, kind: str) -> R:
    """Return the one that lives, of that id, else of that name.

    Raises:
        RequestError: 409 ``ALREADY_REVOKED``, or as ``pick``.
    """
    live = [one for one in among if one.revoked_at is None]
    if any(named in (one.id, one.name) for one in among) and not any(named in (one.id, one.name) for one in live):
        raise RequestError(409, "ALREADY_REVOKED", f"The {kind} {named!r} is revoked already.")
    return pick(live, named, kind)


def checked_name(name: str) -> str:
    """Return a name with its blanks in order.

    Raises:
        RequestError: 422, it is empty, too long or not printable.
    """
    checked = " ".join(name.split())
    if not 1 <= len(checked) <= _LONGEST_NAME or not checked.isprintable():
        raise RequestError(
            422, "INVALID_FIELD", f"name must be 1 to {_LONGEST_NAME} printable characters.", field="name"
        )
    return checked


def fresh_name(name: str, others: Iterable[Named]) -> str:
    """Return a checked name that no other has.

    Raises:
        RequestError: 409 ``ALREADY_EXIST``, or as ``checked_name``.
    """
    checked = checked_name(name)
    if any(other.name == checked for other in others):
        raise RequestError(409, "ALREADY_EXIST", f"There is one named {checked!r} already.", field="name")
    return checked
