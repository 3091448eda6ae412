"""Which call gives an entity of an ESPHome device a value, and how its state shows that it has it: pure."""

from __future__ import annotations

import math
from typing import Any

from aioesphomeapi import (
    ButtonInfo,
    CoverInfo,
    CoverOperation,
    CoverState,
    EntityState,
    LightColorCapability,
    LightInfo,
    LockCommand,
    LockEntityState,
    LockInfo,
    LockState,
    NumberInfo,
    SelectInfo,
    SwitchInfo,
    TextInfo,
)
from msgspec import Struct

from gladys_companion.drivers.esphome._entities import WHITES, Part, color_mode
from gladys_companion.drivers.esphome._values import value
from gladys_companion.drivers.following import Value
from gladys_companion.errors import Rejected

__all__ = ["Call", "call", "fails", "has"]

MOST_SHOWN = 12  # options of a select in a sentence
EXACT = 1e-4  # what a number of 32 bits may lose, of itself
NO_EFFECT = "None"  # what ESPHome calls the effect of having none


class Call(Struct, frozen=True):
    """A method of ``aioesphomeapi.APIClient`` and its arguments, the entity's key among them."""

    method: str
    arguments: dict[str, Any]


def call(part: Part, wanted: Value) -> Call:
    """Return the call that gives a part this value.

    Raises:
        Rejected: it takes no values, or not this one; the sentence says which.
    """
    entity, name = part.entity, part.feature.name
    if not part.feature.writable:
        why = "wants a code, which can not be sent" if isinstance(entity, LockInfo) else "tells values and takes none"
        raise Rejected(f"{name} {why}.")
    match entity:
        case SelectInfo() | TextInfo():
            method, arguments = _textual(entity, name, wanted)
        case NumberInfo():
            method, arguments = "number_command", {"state": _between(name, wanted, entity.min_value, entity.max_value)}
        case SwitchInfo():
            method, arguments = "switch_command", {"state": bool(_whole(part, wanted))}
        case LockInfo():
            locks = LockCommand.LOCK if _whole(part, wanted) else LockCommand.UNLOCK
            method, arguments = "lock_command", {"command": locks}
        case ButtonInfo():
            _whole(part, wanted)
            method, arguments = "button_command", {}
        case CoverInfo():
            method, arguments = "cover_command", _cover(entity, part, _whole(part, wanted))
        case _:
            method, arguments = "light_command", _light(entity, part, _whole(part, wanted))
    return Call(method, {"key": entity.key, "device_id": entity.device_id, **arguments})


def has(part: Part, wanted: Value, state: EntityState | None) -> bool:
    """Return whether an entity with this state has the value, or is on its way there and takes long by its nature."""
    told = value(part.entity, part.aspect, state)
    if isinstance(state, CoverState):
        return _moves(part.aspect, wanted, told, state)
    if isinstance(told, str) or isinstance(wanted, str) or told is None:
        return told == wanted
    if isinstance(part.entity, NumberInfo):
        step = part.entity.step if math.isfinite(part.entity.step) else 0
        return abs(told - wanted) <= max(step / 2, EXACT * abs(wanted)) + EXACT
    return told == wanted


def fails(state: EntityState | None) -> str | None:
    """Return why an entity with this state can not do what it was told just before; None where it still may."""
    if isinstance(state, LockEntityState) and state.state is LockState.JAMMED:
        return "is jammed: free it by hand"
    return None


def _whole(part: Part, wanted: Value) -> int:
    """Return a value that is a whole number within the part's bounds."""
    least, most = int(part.feature.min or 0), int(part.feature.max or 0)
    if isinstance(wanted, str) or not least <= wanted <= most or wanted != int(wanted):
        bounds = f"{least}" if least == most else f"a whole number from {least} to {most}"
        raise Rejected(f"{part.feature.name} takes {bounds}.")
    return int(wanted)


def _between(name: str, wanted: Value, least: float, most: float) -> float:
    if isinstance(wanted, str) or not math.isfinite(wanted) or wanted < least or wanted > most:
        raise Rejected(f"{name} takes a number from {least:g} to {most:g}.")
    return wanted


def _textual(entity: SelectInfo | TextInfo, name: str, wanted: Value) -> tuple[str, dict[str, Any]]:
    if not isinstance(wanted, str):
        raise Rejected(f"{name} takes a text.")
    if isinstance(entity, SelectInfo):
        if wanted not in entity.options:
            rest = ", ..." if len(entity.options) > MOST_SHOWN else ""
            options = ", ".join(repr(one[:40]) for one in entity.options[:MOST_SHOWN])
            raise Rejected(f"{name} is one of {options}{rest}.")
        return "select_command", {"state": wanted}
    if not entity.min_length <= len(wanted.encode()) <= entity.max_length:
        raise Rejected(f"{name} takes a text of {entity.min_length} to {entity.max_length} bytes.")
    return "text_command", {"state": wanted}


def _cover(cover: CoverInfo, part: Part, wanted: int) -> dict[str, Any]:
    if part.aspect == "position":
        return {"position": wanted / 100}
    if wanted:
        return {"position": 1.0 if wanted > 0 else 0.0}
    if not cover.supports_stop:
        raise Rejected(f"{part.feature.name} can not stop on its way: it takes 1 to open and -1 to close.")
    return {"stop": True}


def _moves(aspect: str, wanted: Value, told: Value | None, state: CoverState) -> bool:
    """Return whether a cover is where it is to be, or moves there."""
    operation = state.current_operation
    if aspect == "state":
        return operation is CoverOperation.IDLE if not wanted else told == wanted
    if isinstance(wanted, str) or isinstance(told, str) or told is None or operation is CoverOperation.IDLE:
        return told == wanted
    return (operation is CoverOperation.IS_OPENING) == (wanted > told)


def _light(light: LightInfo, part: Part, wanted: int) -> dict[str, Any]:
    match part.aspect:
        case "on":
            return {"state": bool(wanted)}
        case "brightness":
            return {"state": True, "brightness": wanted / 100} if wanted else {"state": False}
        case "color":
            return _color(light, part, wanted)
    return _temperature(light, part, wanted)


def _color(light: LightInfo, part: Part, wanted: int) -> dict[str, Any]:
    """Return a color as ESPHome has it: how bright the strongest channel is, and the others as shares of it.

    It ends a running effect, which would hide it.
    """
    mode = color_mode(part.modes, LightColorCapability.RGB) or 0
    channels = wanted >> 16, wanted >> 8 & 255, wanted & 255
    strongest = max(channels)
    shares = tuple(one / strongest for one in channels) if strongest else (1.0, 1.0, 1.0)
    arguments: dict[str, Any] = {"color_mode": mode, "color_brightness": strongest / 255, "rgb": shares}
    if light.effects:
        arguments["effect"] = NO_EFFECT
    if mode & LightColorCapability.WHITE:
        arguments["white"] = 0.0
    if mode & LightColorCapability.COLD_WARM_WHITE:
        arguments |= {"cold_white": 0.0, "warm_white": 0.0}
    return arguments


def _temperature(light: LightInfo, part: Part, wanted: int) -> dict[str, Any]:
    mode = color_mode(part.modes, WHITES) or 0
    arguments: dict[str, Any] = {"color_mode": mode}
    if light.effects:
        arguments["effect"] = NO_EFFECT
    if mode & LightColorCapability.COLOR_TEMPERATURE:
        arguments["color_temperature"] = float(wanted)
    else:
        warmth = (wanted - light.min_mireds) / (light.max_mireds - light.min_mireds)
        stronger = max(warmth, 1 - warmth)
        arguments |= {"cold_white": (1 - warmth) / stronger, "warm_white": warmth / stronger}
    if mode & LightColorCapability.WHITE:
        arguments["white"] = 1.0
    if mode & LightColorCapability.RGB:
        arguments["color_brightness"] = 0.0
    return arguments
