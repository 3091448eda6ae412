"""Which phone posted an OwnTracks message: user and device, each from the first place that names it.

The order: the headers ``X-Limit-U`` and ``X-Limit-D``, the user of HTTP Basic, the message's ``topic``
(``owntracks/<user>/<device>``), the query ``?u=&d=``. An iPhone that was told no names sends the words ``user`` and
``device``; they name nobody, wherever they stand.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping

from msgspec import Struct

__all__ = ["Identity", "identify"]

_UNSET = {"user": "user", "device": "device"}
_LONGEST = 255


class Identity(Struct, frozen=True):
    """Who posted; None is who did not say. It is a name, not a proof: the key of the request proves who may post."""

    user: str | None
    device: str | None


def identify(headers: Mapping[str, str], query: Mapping[str, str], topic: object = None) -> Identity:
    """Return the user and the device that a request names.

    Args:
        headers: of the request, their names in any case.
        query: of its URL.
        topic: the message's member of this name, if it has one; an envelope has none that can be believed.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    parts = _parts(topic)
    return Identity(
        user=_first(
            "user", (lower.get("x-limit-u"), _basic_user(lower.get("authorization")), parts[0], query.get("u"))
        ),
        device=_first("device", (lower.get("x-limit-d"), parts[1], query.get("d"))),
    )


def _first(kind: str, names: Iterable[str | None]) -> str | None:
    for name in names:
        cleaned = (name or "").strip()
        if cleaned and cleaned != _UNSET[kind] and len(cleaned) <= _LONGEST and cleaned.isprintable():
            return cleaned
    return None


def _parts(topic: object) -> tuple[str | None, str | None]:
    """Return user and device of a topic; what stands before ``owntracks`` is its owner's taste."""
    levels = topic.split("/") if isinstance(topic, str) else []
    if "owntracks" not in levels:
        return None, None
    named: list[str | None] = [*levels[levels.index("owntracks") + 1 :], None, None]
    return named[0], named[1]


def _basic_user(authorization: str | None) -> str | None:
    scheme, _, rest = (authorization or "").strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[0]
    except (binascii.Error, ValueError):
        return None
