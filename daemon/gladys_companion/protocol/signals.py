"""What the body of a signal says: its name, or of one that starts a scene of Gladys, which scene. JSON, as posted.

``POST /v1/api/event`` takes any object. Its name is the first of ``event``, ``name`` and ``tag`` that is a text (or a
whole number, as some readers of NFC tags tell them).
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

__all__ = ["NAMED_BY", "StartScene", "signal_name"]

NAMED_BY = ("event", "name", "tag")

_any = msgspec.json.Decoder()


class StartScene(Struct, frozen=True):
    """Body of a derived ``signal``: Gladys is to start the scene of this selector."""

    scene: str


def signal_name(body: bytes | str) -> str | None:
    """Return the name of a posted signal, without space around it; None where it has none."""
    try:
        members: Any = _any.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(members, dict):
        return None
    for member in NAMED_BY:
        named = members.get(member)
        if isinstance(named, int) and not isinstance(named, bool):
            return str(named)
        if isinstance(named, str) and named.strip():
            return named.strip()
    return None
