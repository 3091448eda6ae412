"""Which request gives a component of a Shelly a value: a method of Gen2, or a route of Gen1. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gladys_companion.drivers._json import at
from gladys_companion.drivers.shelly._parts import LIGHTS, mired
from gladys_companion.drivers.shelly._state import Setting, State
from gladys_companion.errors import Rejected

__all__ = ["Wish", "call", "request", "wish", "wrong"]

METHODS = {"switch": "Switch", "light": "Light", "rgb": "RGB", "rgbw": "RGBW", "cct": "CCT", "cover": "Cover"}
MOVES = {1: "open", 0: "stop", -1: "close"}
WHOLE = {"": (0, 1), "brightness": (0, 100), "color": (0, 0xFFFFFF), "temperature": (1, 1000), "position": (0, 100)}


class Wish(Struct, frozen=True):
    """What a component is to be: ``brightness`` of the kind ``light``, number 0, to 40."""

    kind: str
    number: int
    part: str
    value: int


def wish(component: str, wanted: float) -> Wish:
    """Return what is meant.

    Raises:
        Rejected: no Shelly has such a component to be set, or it can not have this value.
    """
    found = re.fullmatch(r"([a-z0-9]+):(\d{1,3})(?::([a-z]+))?", component)
    kind, number, part = (found[1], int(found[2]), found[3] or "") if found else ("", 0, "")
    settable = (
        (kind in LIGHTS and part in {"", "brightness", "color", "temperature"})
        or (kind == "cover" and part in {"", "position"})
        or (kind == "switch" and not part)
    )
    if not settable:
        raise Rejected(f"A Shelly has no {component[:64]!r} that could be set.")
    least, most = (-1, 1) if kind == "cover" and not part else WHOLE[part]
    if not least <= wanted <= most or wanted != int(wanted):
        raise Rejected(f"{component} of a Shelly is a whole number from {least} to {most}.")
    return Wish(kind, number, part, int(wanted))


def call(one: Wish, settings: Mapping[str, Setting]) -> tuple[str, dict[str, Any]]:
    """Return the method of Gen2 and its parameters."""
    kind, params = METHODS[one.kind], {"id": one.number}
    match one.part:
        case "brightness":
            return f"{kind}.Set", {**params, **({"on": True, "brightness": one.value} if one.value else {"on": False})}
        case "color":
            return f"{kind}.Set", {**params, "rgb": list(_rgb(one.value))}
        case "temperature":
            least, most = settings.get(f"{one.kind}:{one.number}", Setting()).kelvin
            return f"{kind}.Set", {**params, "ct": min(max(mired(one.value), least), most)}
        case "position":
            return "Cover.GoToPosition", {**params, "pos": one.value}
    if one.kind == "cover":
        return f"Cover.{MOVES[one.value].capitalize()}", params
    return f"{kind}.Set", {**params, "on": bool(one.value)}


def request(one: Wish, settings: object, state: State) -> tuple[str, dict[str, str]]:
    """Return the route of Gen1 and its query; ``settings`` are the device's own.

    Raises:
        Rejected: the device has no such thing.
    """
    key = f"{one.kind}:{one.number}"
    if key not in state:
        raise Rejected(f"The Shelly has no {key}.")
    turn = {"turn": "on" if one.value else "off"}
    if one.kind == "switch":
        return f"/relay/{one.number}", turn
    if one.kind == "cover":
        to = {"go": "to_pos", "roller_pos": str(one.value)} if one.part else {"go": MOVES[one.value]}
        return f"/roller/{one.number}", to
    mode = state[key].get("mode")
    route = f"/{mode}/{one.number}" if _is_strip(settings) else f"/light/{one.number}"
    match one.part:
        case "brightness":
            name = "gain" if mode == "color" else "brightness"
            return route, {**turn, name: str(one.value)} if one.value else turn
        case "color":
            red, green, blue = _rgb(one.value)
            return route, {**_mode(settings, "color"), "red": str(red), "green": str(green), "blue": str(blue)}
        case "temperature":
            return route, {**_mode(settings, "white"), "temp": str(mired(one.value))}
    return route, turn


def wrong(one: Wish, answer: object) -> bool:
    """Return whether the answer of Gen1 says that it is not so."""
    if one.kind == "cover" or one.part not in {"", "brightness"}:
        return False
    return at(answer, ("ison",)) is not bool(one.value)


def _rgb(value: int) -> tuple[int, int, int]:
    return value >> 16, value >> 8 & 255, value & 255


def _is_strip(settings: object) -> bool:
    """Return whether it is a RGBW2, whose route is its mode."""
    return at(settings, ("device", "type")) == "SHRGBW2"


def _mode(settings: object, mode: str) -> dict[str, str]:
    """Return what makes a bulb show colours or white; a strip is what it was configured to be."""
    return {} if _is_strip(settings) else {"mode": mode}
