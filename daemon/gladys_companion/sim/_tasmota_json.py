"""The JSON of a Tasmota device, as firmware 12 writes it: what it announces, and what commands make of its state. Pure.

Source: Tasmota's xdrv_12_discovery.ino and tasmota.github.io/docs/Commands; announcements of real devices.
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, structs

__all__ = ["Light", "Shape", "Shutter", "State", "arrived", "changed", "config", "sensors", "status", "telemetry"]

MOST_RELAYS, MOST_SWITCHES, MOST_NAMES = 28, 28, 8
RELAY, LIGHT, SHUTTER = 1, 2, 3
COLD_WARM, RGB, RGB_COLD_WARM = 2, 3, 5  # subtypes of lights; 1 is a dimmer, 4 RGB with white
SETTINGS = ("4", "11", "13", "17", "20", "30", "68", "73", "82", "114", "117")


class Shape(Struct, frozen=True, kw_only=True):
    """What the device is built of; ``light`` is a subtype, 0 for none."""

    relays: int = 1
    shutters: int = 0
    light: int = 0
    switches: int = 0
    buttons: int = 0
    sensors: Mapping[str, Any] = {}
    battery: bool = False
    deep_sleep: bool = False
    settings: Mapping[str, int] = {}

    @property
    def powers(self) -> int:
        """How many POWERs it has: relays, two for each shutter, and the light."""
        return self.relays + 2 * self.shutters + bool(self.light)


class Light(Struct, frozen=True):
    """Dimmer in percent, hue in degrees, saturation in percent, colour temperature in mired."""

    dimmer: int = 100
    hue: int = 30
    saturation: int = 100
    ct: int = 153


class Shutter(Struct, frozen=True):
    """Position and where it goes, 0 to 100; direction -1, 0 or 1."""

    position: int = 0
    target: int = 0
    direction: int = 0


class State(Struct, frozen=True, kw_only=True):
    """What the device is now."""

    powers: tuple[bool, ...]
    light: Light = Light()
    shutters: tuple[Shutter, ...] = ()


def config(shape: Shape, *, mac: str, name: str, topic: str, ip: str) -> dict[str, Any]:
    """Return what it says on ``tasmota/discovery/<MAC>/config``."""
    kinds = [RELAY] * shape.relays + [SHUTTER] * 2 * shape.shutters + [LIGHT] * bool(shape.light)
    names = [name if index == 0 else f"{name} {index + 1}" for index in range(max(1, shape.powers))]
    nothing = [None] * MOST_SWITCHES
    switches = list(range(1, shape.switches + 1))
    return {
        "ip": ip,
        "dn": name,
        "fn": ([*names, *nothing])[:MOST_NAMES],
        "hn": f"{topic}-{int(mac[-4:], 16) % 8192:04d}",
        "mac": mac.upper(),
        "md": "Generic",
        "ty": 0,
        "if": 0,
        "ofln": "Offline",
        "onln": "Online",
        "state": ["OFF", "ON", "TOGGLE", "HOLD"],
        "sw": "12.4.0",
        "t": topic,
        "ft": "%prefix%/%topic%/",
        "tp": ["cmnd", "stat", "tele"],
        "rl": ([*kinds, *[0] * MOST_RELAYS])[:MOST_RELAYS],
        "swc": ([*[1] * shape.switches, *[-1] * MOST_SWITCHES])[:MOST_SWITCHES],
        "swn": ([*(f"Switch{index}" for index in switches), *nothing])[:MOST_SWITCHES],
        "btn": ([*[1] * shape.buttons, *[0] * MOST_SWITCHES])[:MOST_SWITCHES],
        "so": {
            **dict.fromkeys(SETTINGS, 0),
            "73": int(shape.buttons > 0),
            "114": int(shape.switches > 0),
            **shape.settings,
        },
        "lk": int(shape.light > 0),
        "lt_st": shape.light,
        "bat": int(shape.battery),
        "dslp": int(shape.deep_sleep),
        "sho": [0] * shape.shutters,
        "sht": [[0, 0, 0]] * shape.shutters,
        "ver": 1,
    }


def sensors(shape: Shape, measured: Mapping[str, Any]) -> dict[str, Any]:
    """Return what it says on ``tasmota/discovery/<MAC>/sensors``."""
    return {"sn": {"Time": _TIME, **_measured(shape, measured)}, "ver": 1}


_TIME = "2026-01-01T00:00:00"


def _measured(shape: Shape, measured: Mapping[str, Any]) -> dict[str, Any]:
    unit = {"TempUnit": "C"} if any("Temperature" in one for one in measured.values() if isinstance(one, dict)) else {}
    switches = {f"Switch{index + 1}": "OFF" for index in range(shape.switches)}
    return switches | dict(measured) | unit


def telemetry(shape: Shape, state: State) -> dict[str, Any]:
    """Return what it says on ``tele/<topic>/STATE``, and in answer to ``STATE``."""
    told: dict[str, Any] = {"Time": _TIME, "Uptime": "0T00:40:09", "UptimeSec": 2409, "SleepMode": "Dynamic"}
    for index in range(1, shape.powers + 1):
        told |= power(shape, state, index)
    if shape.light:
        told |= _light(shape, state)
    if shape.battery:
        told["BatteryPercentage"] = 87
    return told | {"Wifi": {"AP": 1, "SSId": "home", "RSSI": 92, "Signal": -54, "LinkCount": 1}}


def power(shape: Shape, state: State, index: int) -> dict[str, Any]:
    """Return ``{"POWER1": "ON"}``, without a number where there is one only."""
    return {f"POWER{index if shape.powers > 1 else ''}": "ON" if state.powers[index - 1] else "OFF"}


def _light(shape: Shape, state: State) -> dict[str, Any]:
    light = state.light
    told: dict[str, Any] = {"Dimmer": light.dimmer}
    if shape.light >= RGB:
        channels = colorsys.hsv_to_rgb(light.hue / 360 % 1, light.saturation / 100, light.dimmer / 100)
        told["Color"] = "".join(f"{round(channel * 255):02X}" for channel in channels) + "0000" * (shape.light > RGB)
        told["HSBColor"] = f"{light.hue},{light.saturation},{light.dimmer}"
    if shape.light in {COLD_WARM, RGB_COLD_WARM}:
        told["CT"] = light.ct
    return told


def _shutter(state: State, index: int) -> dict[str, Any]:
    shutter = state.shutters[index - 1]
    told = {"Position": shutter.position, "Direction": shutter.direction, "Target": shutter.target, "Tilt": 0}
    return {f"Shutter{index}": told}


def status(
    shape: Shape, state: State, number: str, *, mac: str, topic: str, ip: str, measured: Mapping[str, Any]
) -> object:
    """Return what it says on ``stat/<topic>/STATUS<number>``; None for those that are not simulated."""
    colons = ":".join(mac[index : index + 2] for index in range(0, 12, 2)).upper()
    shutters = {key: told for index in range(1, shape.shutters + 1) for key, told in _shutter(state, index).items()}
    return {
        "5": {"StatusNET": {"Hostname": topic, "IPAddress": ip, "Mac": colons, "Webserver": 2, "HTTP_API": 1}},
        "10": {"StatusSNS": {"Time": _TIME, **shutters, **_measured(shape, measured)}},
        "11": {"StatusSTS": telemetry(shape, state)},
    }.get(number)


def changed(shape: Shape, state: State, command: str, argument: str) -> tuple[State, dict[str, Any]]:
    """Return what a command makes of the state, and its answer on ``stat/<topic>/RESULT``."""
    match = re.fullmatch(r"([a-z]+)(\d*)", command.lower())
    name, index = (match[1], int(match[2] or 1)) if match else (command, 1)
    unknown = {"Command": "Unknown"}
    if name == "state":
        return state, telemetry(shape, state)
    if name == "power" and 1 <= index <= shape.powers:
        state = _switched(state, index, argument.upper())
        return state, power(shape, state, index)
    if name.startswith("shutter") and 1 <= index <= shape.shutters:
        return _moved(state, name, index, argument)
    if not shape.light:
        return state, unknown
    light = _shone(state.light, name, index, argument)
    if light is None:
        return state, unknown
    on = light.dimmer > 0 if name == "dimmer" else True
    state = structs.replace(state, light=light, powers=(*state.powers[:-1], on))
    return state, power(shape, state, shape.powers) | _light(shape, state)


def _switched(state: State, index: int, argument: str) -> State:
    was = state.powers[index - 1]
    on = {"ON": True, "1": True, "OFF": False, "0": False, "TOGGLE": not was, "2": not was}.get(argument, was)
    return structs.replace(state, powers=(*state.powers[: index - 1], on, *state.powers[index:]))


def _moved(state: State, name: str, index: int, argument: str) -> tuple[State, dict[str, Any]]:
    shutter = state.shutters[index - 1]
    target = {"shutteropen": 100, "shutterclose": 0, "shutterstop": shutter.position}.get(name)
    if name == "shutterposition":
        target = min(100, max(0, int(argument)))
    if target is None:
        return state, {"Command": "Unknown"}
    direction = (target > shutter.position) - (target < shutter.position)
    moved = Shutter(position=shutter.position, target=target, direction=direction)
    state = structs.replace(state, shutters=(*state.shutters[: index - 1], moved, *state.shutters[index:]))
    return state, _shutter(state, index)


def arrived(state: State, index: int) -> tuple[State, dict[str, Any]]:
    """Return the state when a shutter is where it went, and what is told of it."""
    there = Shutter(position=state.shutters[index - 1].target, target=state.shutters[index - 1].target)
    state = structs.replace(state, shutters=(*state.shutters[: index - 1], there, *state.shutters[index:]))
    return state, _shutter(state, index)


def _shone(light: Light, name: str, index: int, argument: str) -> Light | None:
    """Return the light after a command; None where there is no such command."""
    if name == "dimmer":
        return structs.replace(light, dimmer=min(100, max(0, int(argument))))
    if name == "ct":
        return structs.replace(light, ct=min(500, max(153, int(argument))))
    if name == "color" and index == 2:  # noqa: PLR2004 - Color2 keeps the brightness
        red, green, blue = (int(channel) / 255 for channel in argument.rstrip("=").split(",")[:3])
        hue, saturation, _ = colorsys.rgb_to_hsv(red, green, blue)
        return structs.replace(light, hue=round(hue * 360), saturation=round(saturation * 100))
    return None
