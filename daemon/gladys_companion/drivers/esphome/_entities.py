"""Which features an ESPHome device's entities are: pure.

A device is not trusted: what it calls itself and its parts is cut to what an id and a name may be.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aioesphomeapi import (
    APIVersion,
    BinarySensorInfo,
    ButtonInfo,
    ColorMode,
    CoverInfo,
    EntityCategory,
    EntityInfo,
    LightColorCapability,
    LightInfo,
    LockInfo,
    NumberInfo,
    SelectInfo,
    SensorInfo,
    SwitchInfo,
    TextInfo,
    TextMode,
    TextSensorInfo,
)
from msgspec import Struct

from gladys_companion.drivers.esphome._classes import (
    UNITS,
    Meaning,
    binary_meaning,
    cover_category,
    sensor_meaning,
)
from gladys_companion.model import Device, Feature

__all__ = ["KINDS", "MOST_FEATURES", "WHITES", "Part", "color_mode", "parts"]

MOST_FEATURES = 256  # of one device, as many as discovery takes
MOST_NAME = 100
MOST_ID = 60
WHITE = 0xFFFFFF
WHITES = LightColorCapability.COLOR_TEMPERATURE | LightColorCapability.COLD_WARM_WHITE

KINDS: Mapping[type[EntityInfo], str] = {
    SwitchInfo: "switch",
    LightInfo: "light",
    CoverInfo: "cover",
    LockInfo: "lock",
    NumberInfo: "number",
    SelectInfo: "select",
    TextInfo: "text",
    ButtonInfo: "button",
    BinarySensorInfo: "binary_sensor",
    SensorInfo: "sensor",
    TextSensorInfo: "text_sensor",
}
"""The kinds of entity that are driven, and what they are called in an external id, as in ESPHome's YAML."""


class Part(Struct, frozen=True):
    """One feature of a device, and the entity that it is an ``aspect`` of; ``aspect`` is empty where there is one only.

    ``modes`` are the color modes of a light.
    """

    component: str
    aspect: str
    entity: Any  # an EntityInfo of KINDS
    feature: Feature
    modes: tuple[int, ...] = ()


def parts(
    device: Device, entities: Sequence[EntityInfo], annexes: Mapping[int, str], version: APIVersion
) -> dict[str, Part]:
    """Return the parts by component, ``switch:pump`` or ``light:lamp:color``.

    Args:
        device: whose they are.
        entities: as the device lists them; those that are disabled by default, or hold a password, are left out.
        annexes: names of its sub-devices by id.
        version: of the API, because lights told otherwise what they can before 1.6.
    """
    wanted = [one for one in entities if type(one) in KINDS and not one.disabled_by_default and not _secret(one)]
    ids = _ids(wanted)
    found: dict[str, Part] = {}
    for entity, id_ in zip(wanted, ids, strict=True):
        annex = f"{annexes.get(entity.device_id, '')} " if entity.device_id else ""
        name = _name(f"{annex}{entity.name or device.name}")
        modes = tuple(int(mode) for mode in _modes(entity, version))
        for aspect, members in _features(entity, modes):
            component = f"{KINDS[type(entity)]}:{id_}{':' if aspect else ''}{aspect}"
            called = f"{name} {aspect}".rstrip()
            feature = Feature(external_id=f"{device.id}:{component}", device=device.id, name=called, **members)
            found[component] = Part(component, aspect, entity, feature, modes)
    return dict(list(found.items())[:MOST_FEATURES])


def color_mode(modes: Iterable[int], wanted: LightColorCapability) -> int | None:
    """Return the color mode that can do what is wanted, and as little else as possible; None if none can."""
    return min((mode for mode in modes if mode & wanted), key=lambda mode: (mode.bit_count(), mode), default=None)


def _secret(entity: EntityInfo) -> bool:
    return isinstance(entity, TextInfo) and entity.mode is TextMode.PASSWORD


def _ids(entities: Sequence[EntityInfo]) -> list[str]:
    """Return an id for each: its object id, with its sub-device's; where two would be the same, with its key."""
    plain = [_id(one) for one in entities]
    seen = Counter((KINDS[type(one)], id_) for one, id_ in zip(entities, plain, strict=True))
    return [
        id_ if seen[KINDS[type(one)], id_] == 1 else f"{id_}-{one.key & 0xFFFFFFFF:08x}"
        for one, id_ in zip(entities, plain, strict=True)
    ]


def _id(entity: EntityInfo) -> str:
    id_ = re.sub(r"[^a-z0-9_-]", "_", entity.object_id.lower())[:MOST_ID] or f"{entity.key & 0xFFFFFFFF:08x}"
    return f"{id_}-{entity.device_id & 0xFFFFFFFF:08x}" if entity.device_id else id_


def _name(text: str) -> str:
    return " ".join("".join(filter(str.isprintable, text)).split())[:MOST_NAME] or "?"


def _modes(entity: EntityInfo, version: APIVersion) -> Sequence[ColorMode]:
    return entity.supported_color_modes_compat(version) if isinstance(entity, LightInfo) else ()


Members = dict[str, Any]
"""Of a feature: all but what it is called and whose it is."""


def _features(entity: EntityInfo, modes: tuple[int, ...]) -> Sequence[tuple[str, Members]]:
    """Return (aspect, members of the feature) of an entity."""
    match entity:
        case LightInfo():
            return _light_features(entity, modes)
        case CoverInfo():
            category = cover_category(entity.device_class)
            state = ("state", _of(category, "state", -1, 1) | _WRITABLE)
            position = ("position", _of(category, "position", 0, 100, unit="percent") | _WRITABLE)
            return (state, position) if entity.supports_position else (state,)
        case BinarySensorInfo() | SensorInfo() | TextSensorInfo():
            return (("", _read(entity)),)
    return (("", _written(entity)),)


def _read(entity: EntityInfo) -> Members:
    match entity:
        case BinarySensorInfo():
            return _measured(binary_meaning(entity.device_class), 0, 1)
        case SensorInfo():
            diagnostic = entity.entity_category is EntityCategory.DIAGNOSTIC
            meaning = sensor_meaning(entity.device_class, entity.unit_of_measurement, diagnostic=diagnostic)
            percent = meaning.unit == "percent"
            return _measured(meaning, 0 if percent else None, 100 if percent else None)
    return _of("text", "text")


def _written(entity: EntityInfo) -> Members:
    match entity:
        case SwitchInfo():
            return _of("switch", "binary", 0, 1) | _WRITABLE
        case LockInfo():
            return _of("lock", "binary", 0, 1) | {"writable": not entity.requires_code}
        case NumberInfo():
            known = math.isfinite(entity.min_value) and math.isfinite(entity.max_value)
            bounds = (entity.min_value, entity.max_value) if known and entity.min_value <= entity.max_value else ()
            return _of("unknown", "unknown", *bounds, unit=UNITS.get(entity.unit_of_measurement)) | _WRITABLE
        case ButtonInfo():
            return _of("button", "push", 1, 1) | _WRITABLE
    return _of("text", "text") | _WRITABLE


def _light_features(light: LightInfo, modes: tuple[int, ...]) -> Sequence[tuple[str, Members]]:
    able = [("on", _of("light", "binary", 0, 1) | _WRITABLE)]
    if color_mode(modes, LightColorCapability.BRIGHTNESS) is not None:
        able.append(("brightness", _of("light", "brightness", 0, 100, unit="percent") | _WRITABLE))
    if color_mode(modes, LightColorCapability.RGB) is not None:
        able.append(("color", _of("light", "color", 0, WHITE) | _WRITABLE))
    known = math.isfinite(light.min_mireds) and math.isfinite(light.max_mireds)
    least, most = (math.ceil(light.min_mireds), math.floor(light.max_mireds)) if known else (0, 0)
    if color_mode(modes, WHITES) is not None and 0 < least < most:
        able.append(("temperature", _of("light", "temperature", least, most) | _WRITABLE))
    return able


_WRITABLE = {"writable": True}


def _of(
    category: str, type_: str, least: float | None = None, most: float | None = None, *, unit: str | None = None
) -> Members:
    return {"category": category, "type": type_, "min": least, "max": most, "unit": unit}


def _measured(meaning: Meaning, least: float | None, most: float | None) -> Members:
    return _of(meaning.category, meaning.type, least, most, unit=meaning.unit)
