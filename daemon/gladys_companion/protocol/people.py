"""The bodies of events about people, as JSON in the journal: what a phone told, and what presence made of it.

Sinks read the derived ones, so they carry all that Gladys has to be told.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from gladys_companion.errors import ProtocolError
from gladys_companion.protocol.fields import moment

__all__ = ["Located", "Present", "Reported", "glance", "presentable"]


class Reported(Struct, frozen=True, kw_only=True):
    """Body of a ``location`` or ``transition`` that came in: what the phone posted, unchanged.

    ``app``: whose protocol ``raw`` is (``owntracks``, ``overland``, ``osmand``, ``traccar``, or ``plus``: the data of
    Gladys Plus). ``user`` and ``device`` as the phone calls itself. ``gateway_at``: when the gateway got it, by its
    clock, which the phone's times are judged by.
    """

    app: str
    user: str | None = None
    device: str | None = None
    raw: Raw
    gateway_at: float


class Present(Struct, frozen=True, kw_only=True):
    """Body of a derived ``presence``: a person came to be in or out of a zone, or nobody knows any more.

    ``before`` is what was told last of this person and zone. ``since`` when it is so, ``decided`` when that was sure;
    ``late``: history, which must start nothing. ``home``: the zone is the person's home. ``reason`` in words, without
    a full stop. ``evidence``: what shows it, by event id. ``zone_in_gladys``: ``house:`` or ``area:`` and the selector
    that the zone was imported from.
    """

    person: str
    name: str
    zone: str
    zone_name: str
    home: bool
    state: Literal["in", "out", "unknown"]
    before: Literal["in", "out", "unknown"]
    since: float
    decided: float
    late: bool
    reason: str
    evidence: tuple[str, ...] = ()
    source: str | None = None
    gladys_user: str | None = None
    gladys_house: str | None = None
    zone_in_gladys: str | None = None


class Located(Struct, frozen=True, kw_only=True):
    """Body of a derived ``location``: where a person was at ``at``, newer than any told before. Degrees and metres."""

    person: str
    name: str
    phone: str
    at: float
    latitude: float
    longitude: float
    accuracy: float | None = None
    altitude: float | None = None
    gladys_user: str | None = None


class _Head(Struct, frozen=True):
    """The members of an OwnTracks message that say what it is and when it happened; others have none."""

    kind: Any = msgspec.field(name="_type", default=None)
    tst: Any = None


_head = msgspec.json.Decoder(_Head)


def glance(reported: Reported) -> tuple[Literal["location", "transition"], float | None]:
    """Return what kind of event it is, and when it happened if it says so; judges nothing else."""
    try:
        head = _head.decode(reported.raw)
        if reported.app != "owntracks":
            return "location", None
        at = moment(head.tst, "It", reported.gateway_at)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "location", None
    except ProtocolError:
        at = None
    return "transition" if head.kind == "transition" else "location", at


_reported = msgspec.json.Decoder(Reported)


def presentable(body: str | None) -> str | None:
    """Return the body of an event as people may see it: the settings of an app may hold its password."""
    if body is None or "configuration" not in body:
        return body
    try:
        reported = _reported.decode(body)
        hidden = _head.decode(reported.raw).kind == "configuration"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body
    if not hidden:
        return body
    raw = Raw(b'{"_type":"configuration"}')
    return msgspec.json.encode(msgspec.structs.replace(reported, raw=raw)).decode()
