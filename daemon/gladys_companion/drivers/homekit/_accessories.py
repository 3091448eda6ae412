"""What an accessory says that it consists of, and what it says about its characteristics: read into bounded values.

Source: HomeKit Accessory Protocol, 6.6 (attribute database), 6.7 (reading and writing characteristics).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from aiohomekit import hkjson
from aiohomekit.model.characteristics import CharacteristicsTypes
from aiohomekit.model.services import ServicesTypes
from aiohomekit.uuid import normalize_uuid
from msgspec import Struct

__all__ = [
    "Accessory",
    "Characteristic",
    "Id",
    "Service",
    "Told",
    "accessories",
    "answered",
    "number",
    "pushed",
    "shown",
]

MOST_TEXT = 60

Id = tuple[int, int]
"""A characteristic: the ids of its accessory (``aid``) and of its own within (``iid``), which never change."""


class Characteristic(Struct, frozen=True, rename={"least": "minValue", "most": "maxValue", "step": "minStep"}):
    """One thing that can be read, written or told; ``valid-values`` and bounds where the accessory narrows them."""

    type: str
    iid: int
    perms: tuple[str, ...] = ()
    format: str = ""
    value: Any = None
    least: Any = None
    most: Any = None
    step: Any = None
    valid: Any = msgspec.field(default=None, name="valid-values")

    @property
    def readable(self) -> bool:
        """Whether it has a value that may be asked for or told."""
        return "pr" in self.perms and "hd" not in self.perms

    @property
    def writable(self) -> bool:
        """Whether it may be commanded."""
        return "pw" in self.perms and "hd" not in self.perms

    @property
    def pushed(self) -> bool:
        """Whether the accessory tells its changes by itself."""
        return "ev" in self.perms

    @property
    def timed(self) -> bool:
        """Whether a write must be announced first."""
        return "tw" in self.perms


class Service(Struct, frozen=True):
    """What an accessory does: a lamp, a lock."""

    type: str
    iid: int
    characteristics: tuple[Characteristic, ...] = ()

    def first(self, type_: str) -> Characteristic | None:
        """Return its characteristic of a type."""
        return next((one for one in self.characteristics if one.type == type_), None)

    def text(self, type_: str) -> str:
        """Return the text of a characteristic, fit to be shown; empty where there is none."""
        found = self.first(type_)
        return shown(found.value) if found is not None else ""


class Accessory(Struct, frozen=True):
    """One thing with a name; a bridge tells several."""

    aid: int
    services: tuple[Service, ...] = ()

    @property
    def name(self) -> str:
        """What its maker or owner calls it."""
        about = next((one for one in self.services if one.type == ServicesTypes.ACCESSORY_INFORMATION), None)
        return about.text(CharacteristicsTypes.NAME) if about is not None else ""


class Told(Struct, frozen=True):
    """What was said about one characteristic; ``status`` is not 0 where it could not be read, written or subscribed."""

    aid: int
    iid: int
    value: Any = None
    status: int = 0


class _Database(Struct, frozen=True):
    accessories: tuple[Accessory, ...]


class _Characteristics(Struct, frozen=True):
    characteristics: tuple[Told, ...] = ()
    status: int = 0


def accessories(body: bytes | bytearray) -> tuple[Accessory, ...]:
    """Return what ``GET /accessories`` answered.

    Raises:
        ValueError: it is not that.
    """
    found = msgspec.convert(hkjson.loads(body), _Database).accessories
    return tuple(
        msgspec.structs.replace(accessory, services=tuple(_normal(service) for service in accessory.services))
        for accessory in found
    )


def _normal(service: Service) -> Service:
    return Service(
        normalize_uuid(service.type),
        service.iid,
        tuple(msgspec.structs.replace(one, type=normalize_uuid(one.type)) for one in service.characteristics),
    )


def answered(body: bytes | bytearray, asked: Iterable[Id] = ()) -> Mapping[Id, Told]:
    """Return what an answer about characteristics says; a status for all is one for each that was asked.

    Raises:
        ValueError: it is not that.
    """
    said = msgspec.convert(hkjson.loads(body), _Characteristics)
    found = {(aid, iid): Told(aid, iid, status=said.status) for aid, iid in asked} if said.status else {}
    return found | {(one.aid, one.iid): one for one in said.characteristics}


def pushed(body: bytes | bytearray) -> tuple[Told, ...]:
    """Return what an event says, the newest last: accessories list it first, as Apple reads it from behind.

    Raises:
        ValueError: it is not that.
    """
    return msgspec.convert(hkjson.loads(body), _Characteristics).characteristics[::-1]


def number(raw: object) -> float | None:
    """Return a value as a number; None if it is none."""
    if isinstance(raw, bool):
        return int(raw)
    return raw if isinstance(raw, int | float) and math.isfinite(raw) else None


def shown(raw: object) -> str:
    """Return a text fit to be shown, at most 60 characters; empty if it is none."""
    return "".join(one for one in raw[:MOST_TEXT] if one.isprintable()).strip() if isinstance(raw, str) else ""
