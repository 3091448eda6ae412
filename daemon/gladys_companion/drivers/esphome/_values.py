"""What the states that an ESPHome device pushes mean as feature values: pure."""

from __future__ import annotations

import math

from aioesphomeapi import (
    BinarySensorInfo,
    BinarySensorState,
    CoverOperation,
    CoverState,
    EntityInfo,
    EntityState,
    LightColorCapability,
    LightInfo,
    LightState,
    LockEntityState,
    LockState,
    NumberState,
    SelectState,
    SensorInfo,
    SensorState,
    SwitchState,
    TextSensorState,
    TextState,
)

from gladys_companion.drivers.esphome._classes import binary_meaning
from gladys_companion.drivers.following import Value

__all__ = ["STATES", "value"]

MOST_TEXT = 1024  # characters; a device can push 64 KiB, as often as it likes
MOST_DECIMALS = 6

OPEN, STOPPED, CLOSED = 1, 0, -1

STATES: dict[type[EntityState], str] = {
    SwitchState: "switch",
    LightState: "light",
    CoverState: "cover",
    LockEntityState: "lock",
    NumberState: "number",
    SelectState: "select",
    TextState: "text",
    BinarySensorState: "binary_sensor",
    SensorState: "sensor",
    TextSensorState: "text_sensor",
}
"""Whose state each is, in the words of ``KINDS``; a button has none."""


def value(entity: EntityInfo, aspect: str, state: EntityState | None) -> Value | None:
    """Return the value of one aspect; None where the device does not know it, or can not say it in this feature."""
    if state is None or getattr(state, "missing_state", False):
        return None
    match state:
        case SelectState() | TextState() | TextSensorState():
            return state.state[:MOST_TEXT]
        case CoverState():
            return _cover(aspect, state)
        case LightState() if isinstance(entity, LightInfo):
            return _light(entity, aspect, state)
    return _simple(entity, state)


def _simple(entity: EntityInfo, state: EntityState) -> float | None:
    match state:
        case SwitchState():
            return int(state.state)
        case BinarySensorState():
            inverted = isinstance(entity, BinarySensorInfo) and binary_meaning(entity.device_class).inverted
            return int(state.state != inverted)
        case SensorState():
            decimals = entity.accuracy_decimals if isinstance(entity, SensorInfo) else 0
            return _number(state.state, min(max(decimals, 0), MOST_DECIMALS))
        case NumberState():
            return _number(state.state, MOST_DECIMALS)
        case LockEntityState():
            return _LOCKED.get(state.state)
    return None


# While it turns, it is neither.
_LOCKED: dict[LockState | None, float] = {LockState.LOCKED: 1, LockState.UNLOCKED: 0, LockState.OPEN: 0}


def _number(number: float, decimals: int) -> float | None:
    return round(number, decimals) + 0.0 if math.isfinite(number) else None  # -0.0 is 0


def _cover(aspect: str, state: CoverState) -> float | None:
    """Return ``position`` in percent, 100 is open, or ``state``: where it goes, and where it is when it stands.

    One that stands half open is stopped.
    """
    position = _number(state.position * 100, 0)
    if aspect == "position":
        return position
    match state.current_operation:
        case CoverOperation.IS_OPENING:
            return OPEN
        case CoverOperation.IS_CLOSING:
            return CLOSED
    return _ENDS.get(position, STOPPED) if position is not None else None


_ENDS: dict[float, float] = {0: CLOSED, 100: OPEN}


def _light(light: LightInfo, aspect: str, state: LightState) -> float | None:
    """Return ``on`` as 0 or 1, ``brightness`` in percent, ``color`` as 0xRRGGBB, ``temperature`` in mireds.

    A light that is off shines with brightness 0, whatever it will have when it is turned on, so that what was commanded
    and what is told are the same. One that shines white has no color, and one that shines in a color no temperature.
    """
    match aspect:
        case "on":
            return int(state.state)
        case "brightness":
            return _number(state.brightness * 100, 0) if state.state else 0
        case "color" if state.color_mode & LightColorCapability.RGB:
            return _color(state)
        case "temperature" if state.color_mode & LightColorCapability.COLOR_TEMPERATURE:
            return _number(state.color_temperature, 0)
        case "temperature" if state.color_mode & LightColorCapability.COLD_WARM_WHITE:
            both = state.cold_white + state.warm_white
            if both > 0:
                warmth = state.warm_white / both
                return _number(light.min_mireds + warmth * (light.max_mireds - light.min_mireds), 0)
    return None


def _color(state: LightState) -> float | None:
    channels = [_number(255 * state.color_brightness * one, 0) for one in (state.red, state.green, state.blue)]
    red, green, blue = (min(max(int(one or 0), 0), 255) for one in channels)
    return None if None in channels else red << 16 | green << 8 | blue
