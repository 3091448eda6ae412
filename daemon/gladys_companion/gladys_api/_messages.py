"""What Gladys answers, as frozen values: only what is used, and each device by itself, so that an odd one costs none.

Shapes: the models ``device``, ``device_feature``, ``user``, ``house``, ``area``, ``message`` and ``scene`` of Gladys
Assistant 4.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

__all__ = [
    "GladysArea",
    "GladysDevice",
    "GladysFeature",
    "GladysHouse",
    "GladysMessage",
    "GladysScene",
    "GladysUser",
    "Listing",
    "Some",
    "device",
    "moment",
    "one",
    "page",
    "some",
]

T = TypeVar("T", bound=Struct)


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


class GladysUser(Struct, frozen=True, kw_only=True):
    """A user, and where Gladys has them: in which house, and where last. Degrees; times as ``moment`` reads them."""

    id: str
    selector: str
    firstname: str | None = None
    current_house_id: str | None = None
    last_house_changed: str | None = None
    last_latitude: float | None = None
    last_longitude: float | None = None
    last_location_changed: str | None = None


class GladysHouse(Struct, frozen=True, kw_only=True):
    """A house, in degrees where its owner said where it is."""

    id: str
    selector: str
    name: str
    latitude: float | None = None
    longitude: float | None = None


class GladysArea(Struct, frozen=True, kw_only=True):
    """A zone of Gladys: degrees and metres."""

    selector: str
    name: str
    latitude: float
    longitude: float
    radius: float


class GladysMessage(Struct, frozen=True, kw_only=True):
    """A message of the chat; without ``sender_id`` it is Gladys that says it."""

    id: str
    text: str | None = None
    sender_id: str | None = None


class GladysScene(Struct, frozen=True, kw_only=True):
    """A scene: steps one after the other, each of actions side by side. One that is not active starts nothing."""

    selector: str
    name: str
    active: bool = True
    actions: list[list[dict[str, Any]]] = []


class Some(Struct, Generic[T], frozen=True, kw_only=True):
    """What of a list could be read, and how many could not."""

    all: tuple[T, ...] = ()
    odd: int = 0


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


def some(body: bytes, type_: type[T]) -> Some[T]:
    """Return what of a list can be read.

    Raises:
        msgspec.DecodeError: it is no list.
    """
    found: list[T] = []
    odd = 0
    for raw in msgspec.json.decode(body, type=list[msgspec.Raw]):
        try:
            found.append(msgspec.json.decode(raw, type=type_, strict=False))
        except msgspec.ValidationError:
            odd += 1
    return Some(all=tuple(found), odd=odd)


def one(body: bytes, type_: type[T]) -> T:
    """Return what an answer holds.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return msgspec.json.decode(body, type=type_, strict=False)


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
