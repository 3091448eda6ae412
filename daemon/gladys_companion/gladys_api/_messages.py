"""What Gladys answers, as frozen values: only what is used, and each device by itself, so that an odd one costs none.

Shapes: the models ``device`` and ``device_feature`` of Gladys Assistant 4.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

__all__ = ["GladysDevice", "GladysFeature", "Listing", "device", "moment", "page"]


class GladysFeature(Struct, frozen=True, kw_only=True):
    """A feature as Gladys has it; ``selector`` is its name in routes, ``last_value_changed`` as ``moment`` reads it."""

    external_id: str
    selector: str
    name: str
    category: str
    type: str
    read_only: bool
    keep_history: bool = True
    has_feedback: bool = False
    unit: str | None = None
    min: float | None = None
    max: float | None = None
    last_value: float | None = None
    last_value_string: str | None = None
    last_value_changed: str | None = None


class GladysDevice(Struct, frozen=True, kw_only=True):
    """A device as Gladys has it."""

    external_id: str
    selector: str
    name: str
    features: tuple[GladysFeature, ...] = ()
    model: str | None = None
    service_id: str | None = None


class Listing(Struct, frozen=True, kw_only=True):
    """All devices. ``odd`` are the external ids of those that could not be read, "" where not even that could be.

    It came in so many ``pages``, between which some devices may have moved.
    """

    devices: tuple[GladysDevice, ...] = ()
    odd: tuple[str, ...] = ()
    pages: int = 0


class _Named(Struct, frozen=True):
    external_id: str = ""


def page(body: bytes) -> Listing:
    """Return the devices of one answer.

    Raises:
        msgspec.DecodeError: it is no list.
    """
    found: list[GladysDevice] = []
    odd: list[str] = []
    for raw in msgspec.json.decode(body, type=list[msgspec.Raw]):
        try:
            found.append(msgspec.json.decode(raw, type=GladysDevice, strict=False))
        except msgspec.ValidationError:
            odd.append(_named(raw))
    return Listing(devices=tuple(found), odd=tuple(odd), pages=1)


def _named(raw: msgspec.Raw) -> str:
    try:
        return msgspec.json.decode(raw, type=_Named).external_id
    except msgspec.ValidationError:
        return ""


def device(members: dict[str, Any]) -> GladysDevice:
    """Return a device of its JSON members.

    Raises:
        msgspec.ValidationError: it is none.
    """
    return msgspec.convert(members, GladysDevice, strict=False)


def moment(written: str | None) -> float | None:
    """Return a time that Gladys wrote in seconds since the epoch; None where there is none that makes sense."""
    if not written:
        return None
    try:
        read = datetime.fromisoformat(written.replace(" +00:00", "+00:00"))  # SQLite's own way of writing it
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
