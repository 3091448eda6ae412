"""What a Shelly Gen2 says and understands: its components, and what a method does to them. Pure.

Shapes as in shelly-api-docs.shelly.cloud/gen2 (firmware 1.4): a status or config is one object per component, by its
key (``switch:0``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

__all__ = [
    "KINDS",
    "METHODS",
    "MODELS",
    "VERSION",
    "Kind",
    "Model",
    "RpcError",
    "called",
    "components",
    "info",
    "merged",
    "rested",
    "system",
]

Kind = Literal["switch", "light", "color", "cover"]
KINDS: tuple[Kind, ...] = ("switch", "light", "color", "cover")

Status = Mapping[str, Mapping[str, Any]]
Changes = dict[str, dict[str, Any]]

VERSION = "1.4.4"
FIRMWARE = f"20241011-114455/{VERSION}-g6d2a586"
LOAD = 40.0  # watts, when on
MOTOR = 120.0  # watts, when moving
MAINS = 230.0  # volts


class Model(NamedTuple):
    """A product: its model id, ``app``, and how its own id begins."""

    model: str
    app: str
    prefix: str
    profile: str | None = None


MODELS: dict[Kind, Model] = {
    "switch": Model("SNSW-001P16EU", "Plus1PM", "shellyplus1pm"),
    "light": Model("SNDM-00100WW", "Plus10V", "shellyplus10v"),
    "color": Model("SNDC-0D4P10WW", "PlusRGBWPM", "shellyplusrgbwpm", "rgbw"),
    "cover": Model("SNSW-102P16EU", "Plus2PM", "shellyplus2pm", "cover"),
}

METHODS = (
    "Switch.Set",
    "Switch.Toggle",
    "Light.Set",
    "Light.Toggle",
    "RGBW.Set",
    "RGBW.Toggle",
    "Cover.Open",
    "Cover.Close",
    "Cover.Stop",
    "Cover.GoToPosition",
)


class RpcError(Exception):
    """An error of the RPC protocol: a code, and a message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def components(kind: Kind, buttons: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return config and status of the components as they leave the factory; ``buttons`` is the type of the inputs."""
    meter = {"apower": 0.0, "voltage": MAINS, "current": 0.0, "aenergy": {"total": 1234.5, "by_minute": [0.0, 0.0]}}
    heat = {"temperature": {"tC": 41.5, "tF": 106.7}}
    parts: dict[Kind, tuple[str, dict[str, Any]]] = {
        "switch": ("switch:0", {"output": False, **meter, **heat}),
        "light": ("light:0", {"output": False, "brightness": 50}),
        "color": ("rgbw:0", {"output": False, "brightness": 50, "rgb": [255, 160, 0], "white": 0, **meter, **heat}),
        "cover": (
            "cover:0",
            {"state": "stopped", **meter, **heat, "pos_control": True, "last_direction": None, "current_pos": 50},
        ),
    }
    key, status = parts[kind]
    inputs = ("input:0", "input:1") if kind == "cover" else ("input:0",)
    own = {"id": 0, "source": "init", **status}
    state = None if buttons == "button" else False
    return (
        {key: {"id": 0, "name": None}}
        | {one: {"id": at, "name": None, "type": buttons, "invert": False} for at, one in enumerate(inputs)},
        {key: own} | {one: {"id": at, "state": state} for at, one in enumerate(inputs)},
    )


def info(kind: Kind, mac: str, name: str, *, protected: bool) -> dict[str, Any]:
    """Return what ``Shelly.GetDeviceInfo`` and ``/shelly`` tell."""
    model = MODELS[kind]
    own = f"{model.prefix}-{mac}"
    return {
        "name": name,
        "id": own,
        "mac": mac.upper(),
        "slot": 0,
        "model": model.model,
        "gen": 2,
        "fw_id": FIRMWARE,
        "ver": VERSION,
        "app": model.app,
        "auth_en": protected,
        "auth_domain": own if protected else None,
        **({"profile": model.profile} if model.profile else {}),
    }


def system(info: Mapping[str, Any], address: str, uptime: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return config and status of what every device has."""
    device = {"name": info["name"], "mac": info["mac"], "fw_id": FIRMWARE, "addon_type": None}
    status = {"mac": info["mac"], "uptime": uptime, "cfg_rev": 1}
    return (
        {"sys": {"device": device, "cfg_rev": 1}, "wifi": {"sta": {"enable": True}}},
        {"sys": status, "wifi": {"sta_ip": address, "status": "got ip", "rssi": -61}},
    )


def called(status: Status, method: str, params: Mapping[str, Any]) -> tuple[Any, Changes]:
    """Return the result of a method and what it changes; a cover that begins to move has a ``target_pos``.

    Raises:
        RpcError: there is no such method or component, or an argument is wrong.
    """
    kind, _, verb = method.partition(".")
    if method not in METHODS:
        raise RpcError(404, f"No handler for {method}")
    number = params.get("id")
    if type(number) is not int:
        raise RpcError(-103, "Missing required argument 'id'!")
    key = f"{kind.lower()}:{number}"
    if key not in status:
        raise RpcError(-105, f"Argument 'id', value {number} not found!")
    now = status[key]
    if kind == "Cover":
        return None, {key: _cover(now, verb, params)}
    on = not now["output"] if verb == "Toggle" else params.get("on", now["output"])
    changes = {name: _checked(name, params[name]) for name in ("brightness", "rgb", "white") if name in params}
    if verb == "Set" and not ({"on"} | changes.keys()) & params.keys():
        raise RpcError(-103, "At least one of the arguments must be provided!")
    if type(on) is not bool:
        raise RpcError(-103, f"Invalid argument 'on': {on!r}!")
    result = {"was_on": now["output"]} if kind == "Switch" else None
    return result, {key: {"output": on, "source": "WS_in", **changes, **_drawn(now, LOAD if on else 0.0)}}


def rested(now: Mapping[str, Any], at: int) -> dict[str, Any]:
    """Return what changes of a cover when it comes to rest at this position."""
    state = {0: "closed", 100: "open"}.get(at, "stopped")
    return {"state": state, "current_pos": at, "target_pos": None, **_drawn(now, 0.0)}


def merged(status: Status, changes: Status) -> dict[str, Any]:
    """Return the status with the changes in it."""
    return {**status, **{key: {**status.get(key, {}), **change} for key, change in changes.items()}}


def _cover(now: Mapping[str, Any], verb: str, params: Mapping[str, Any]) -> dict[str, Any]:
    if verb == "Stop":
        return rested(now, now["current_pos"]) | {"source": "WS_in"}
    at = now["current_pos"]
    to = {"Open": 100, "Close": 0}.get(verb, params.get("pos"))
    if type(to) is not int or not 0 <= to <= 100:  # noqa: PLR2004 - percent
        raise RpcError(-103, f"Invalid argument 'pos': {to!r}!")
    if to == at:
        return rested(now, at) | {"source": "WS_in"}
    way = "open" if to > at else "close"
    state = {"open": "opening", "close": "closing"}[way]
    return {"state": state, "source": "WS_in", "target_pos": to, "last_direction": way, **_drawn(now, MOTOR)}


def _drawn(now: Mapping[str, Any], watts: float) -> dict[str, Any]:
    return {"apower": watts, "current": round(watts / MAINS, 3)} if "apower" in now else {}


def _byte(value: object) -> bool:
    return type(value) is int and 0 <= value <= 255  # noqa: PLR2004 - a byte


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "brightness": lambda value: type(value) is int and 0 <= value <= 100,  # noqa: PLR2004 - percent
    "rgb": lambda value: isinstance(value, list) and len(value) == 3 and all(map(_byte, value)),  # noqa: PLR2004
    "white": _byte,
}


def _checked(name: str, value: Any) -> Any:  # noqa: ANN401 - JSON
    if not _CHECKS[name](value):
        raise RpcError(-103, f"Invalid argument {name!r}: {value!r}!")
    return value
