"""Socket.IO packets that pass from one connection to another: each looked at by its first characters only.

A packet may hold 25 MB that concern nobody here, so its JSON is never parsed: an event's name and its ack id are read,
and the id is replaced, since each connection counts its own. Source: https://socket.io/docs/v4/socket-io-protocol/.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec
from msgspec import Struct

from gladys_companion.errors import ProtocolError

__all__ = ["Head", "head", "with_ack_id"]

MOST_NAME = 128  # characters; Gladys' own have at most 28
_HEAD = re.compile(r"4([23])(\d{0,16})\[", re.ASCII)
_NAME = re.compile(r'[ \t\r\n]*("(?:[^"\\\x00-\x1f]|\\.)*")', re.ASCII)


class Head(Struct, frozen=True):
    """How an event or ack begins. ``name`` is the event's, None for an ack; ``array`` is where its JSON begins."""

    kind: Literal["event", "ack"]
    ack_id: int | None
    name: str | None
    array: int


def head(frame: str) -> Head | None:
    """Return how an event or ack begins, or None for any other packet of either protocol.

    Raises:
        ProtocolError: it is of that kind and malformed: of another namespace or binary, an ack without an id, an event
            without a name, or one longer than any that there is. ``data["ack_id"]`` says to whom that can be told.
    """
    if not frame.startswith(("42", "43", "45", "46")):
        return None
    found = _HEAD.match(frame)
    if found is None:
        raise ProtocolError("A packet is of another namespace, binary, or holds no JSON array.")
    ack_id = int(found[2]) if found[2] else None
    if found[1] == "3":
        if ack_id is None:
            raise ProtocolError("An ack came without an id.")
        return Head("ack", ack_id, None, found.end() - 1)
    named = _NAME.match(frame, found.end(), found.end() + MOST_NAME)
    if named is None:
        raise ProtocolError("An event came without a name.", ack_id=ack_id)
    try:
        name = msgspec.json.decode(named[1], type=str)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise ProtocolError("An event came with a malformed name.", ack_id=ack_id) from error
    return Head("event", ack_id, name, found.end() - 1)


def with_ack_id(frame: str, of: Head, ack_id: int | None) -> str:
    """Return the same packet under another ack id, or with None as one that wants no ack."""
    return f"{frame[:2]}{'' if ack_id is None else ack_id}{frame[of.array :]}"
