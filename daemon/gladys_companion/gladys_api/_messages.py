"""What Gladys answers, as frozen values: only what is used, and each device by itself, so that an odd one costs none.

Shapes: the models ``device`` and ``device_feature`` of Gladys Assistant 4.
"""

from __future__ import annotations

from collections.abc import Iterable
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
    """All devices. ``odd`` ones could not be read; it came in so many ``pages``, between which some may have moved."""

    devices: tuple[GladysDevice, ...] = ()
    odd: int = 0
    pages: int = 0


def page(body: bytes) -> tuple[tuple[GladysDevice, ...], int]:
    """Return the devices of an answer, and how many there are that can not be read.

    Raises:
        msgspec.DecodeError, msgspec.ValidationError: it is no list.
    """
    raws = msgspec.json.decode(body, type=list[msgspec.Raw])
    found = tuple(_readable(raws))
    return found, len(raws) - len(found)


def _readable(raws: Iterable[msgspec.Raw]) -> Iterable[GladysDevice]:
    for raw in raws:
        try:
            one = msgspec.json.decode(raw, type=GladysDevice, strict=False)
        except msgspec.ValidationError:
            continue
        if one.external_id and all(feature.external_id and feature.selector for feature in one.features):
            yield one


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
