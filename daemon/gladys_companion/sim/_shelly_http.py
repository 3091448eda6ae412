"""What a Shelly Gen1 says and understands: status, settings, and what a request does to it. Pure.

Shapes as in shelly-api-docs.shelly.cloud/gen1 (firmware 1.14). The state is one flat object per kind of device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gladys_companion.sim._shelly_rpc import Kind

__all__ = ["MODELS", "Model", "commanded", "described", "factory_state", "measured", "settings", "status", "told"]

State = Mapping[str, Any]

FIRMWARE = "20230913-114008/v1.14.0-gcb84623"
LOAD = 40.0  # watts, when on
WORN = 74_070  # watt-minutes on the meter when it leaves the factory
BYTE, PERCENT = 255, 100


class Model(NamedTuple):
    """A product: its type, how its own id begins, and the route of what hangs on it."""

    type: str
    prefix: str
    route: str


MODELS: dict[Kind, Model] = {
    "switch": Model("SHSW-PM", "shelly1pm", "relay"),
    "light": Model("SHDM-2", "shellydimmer2", "light"),
    "color": Model("SHCB-1", "shellycolorbulb", "light"),
    "cover": Model("SHSW-25", "shellyswitch25", "roller"),
}

_COLORS = {"red": 255, "green": 160, "blue": 0, "white": 0, "gain": 50}
_MOST = {"brightness": PERCENT, "gain": PERCENT, "red": BYTE, "green": BYTE, "blue": BYTE, "white": BYTE}


def factory_state(kind: Kind) -> dict[str, Any]:
    """Return the state that a device leaves the factory with."""
    states: dict[Kind, dict[str, Any]] = {
        "switch": {"ison": False},
        "light": {"ison": False, "brightness": 50},
        "color": {"ison": False, "mode": "color", **_COLORS, "temp": 4000, "brightness": 50, "effect": 0},
        "cover": {"state": "stop", "current_pos": 50, "last_direction": "open"},
    }
    return {**states[kind], "source": "http"}


def commanded(kind: Kind, state: State, query: Mapping[str, str]) -> dict[str, Any]:
    """Return what the parameters of a request change; a roller that begins to move has a ``to``.

    Raises:
        ValueError: a parameter is wrong.
    """
    if kind == "cover":
        return _rolled(state, query)
    turns = {"on": True, "off": False, "toggle": not state["ison"], None: state["ison"]}
    if query.get("turn") not in turns:
        raise ValueError("Bad turn!")
    changes: dict[str, Any] = {"ison": turns[query.get("turn")], "source": "http"}
    for name, most in _MOST.items():
        if name in query and name in state:
            number = int(query[name])
            if not 0 <= number <= most:
                raise ValueError(f"Bad {name}!")
            changes[name] = number
    return changes


def _rolled(state: State, query: Mapping[str, str]) -> dict[str, Any]:
    go = query.get("go")
    if go is None:
        return {}
    ends = {"open": 100, "close": 0, "stop": state["current_pos"]}
    to = int(query.get("roller_pos", "")) if go == "to_pos" else ends.get(go, -1)
    if not 0 <= to <= PERCENT:
        raise ValueError("Bad go!")
    if to == state["current_pos"]:
        return {"state": "stop"}
    way = "open" if to > state["current_pos"] else "close"
    return {"state": way, "last_direction": way, "to": to}


def status(kind: Kind, mac: str, state: State, inputs: list[dict[str, Any]], uptime: int) -> dict[str, Any]:
    """Return ``/status``."""
    watts = LOAD if state.get("ison") or state.get("state") in {"open", "close"} else 0.0
    meters = [{"power": watts, "overpower": 0.0, "is_valid": True, "counters": [0.0, 0.0, 0.0], "total": WORN}]
    heat = {"temperature": 41.5, "tmp": {"tC": 41.5, "tF": 106.7, "is_valid": True}, "overtemperature": False}
    parts: dict[Kind, dict[str, Any]] = {
        "switch": {"relays": [{**state, "has_timer": False, "overpower": False}], "meters": meters, **heat},
        "light": {"lights": [{**state, "mode": "white", "transition": 0}], "meters": meters, **heat},
        "color": {"lights": [dict(state)], "meters": meters},
        "cover": {"rollers": [measured(kind, state)], "meters": meters, "voltage": 230.0, **heat},
    }
    common = {"wifi_sta": {"connected": True, "rssi": -61}, "mac": mac.upper(), "uptime": uptime, "has_update": False}
    return {**common, "inputs": inputs, **parts[kind]}


def measured(kind: Kind, state: State) -> dict[str, Any]:
    """Return what the route of what hangs on it answers."""
    if kind != "cover":
        return dict(state)
    watts = LOAD if state["state"] != "stop" else 0.0
    return {**state, "power": watts, "is_valid": True, "safety_switch": False, "positioning": True}


def settings(kind: Kind, mac: str, hostname: str, name: str, buttons: str) -> dict[str, Any]:
    """Return ``/settings``; ``buttons`` is the ``btn_type``: ``momentary``, ``toggle`` and others."""
    device = {"type": MODELS[kind].type, "mac": mac.upper(), "hostname": hostname, "num_outputs": 1}
    part = {"name": None, "btn_type": buttons, "default_state": "last"}
    parts: dict[Kind, dict[str, Any]] = {
        "switch": {"relays": [part]},
        "light": {"mode": "white", "lights": [part]},
        "color": {"mode": "color", "lights": [{"name": None}]},
        "cover": {"mode": "roller", "rollers": [{"button_type": buttons, "positioning": True}]},
    }
    return {"device": device, "name": name, "fw": FIRMWARE, "login": {"username": "admin"}, **parts[kind]}


Sensor = tuple[int, str, str, Callable[[State], Any]]

_SENSORS: dict[Kind, list[Sensor]] = {
    "switch": [(1101, "S", "output", lambda state: int(state["ison"]))],
    "light": [
        (1101, "S", "output", lambda state: int(state["ison"])),
        (5101, "S", "brightness", lambda state: state["brightness"]),
    ],
    "color": [
        (1101, "S", "output", lambda state: int(state["ison"])),
        (5102, "S", "gain", lambda state: state["gain"]),
        (5105, "S", "red", lambda state: state["red"]),
        (5106, "S", "green", lambda state: state["green"]),
        (5107, "S", "blue", lambda state: state["blue"]),
    ],
    "cover": [
        (1102, "S", "roller", lambda state: state["state"]),
        (1103, "S", "rollerPos", lambda state: state["current_pos"]),
    ],
}


def described(kind: Kind) -> dict[str, Any]:
    """Return ``/cit/d``, the description of what CoIoT tells."""
    sensors = [{"I": at, "T": type_, "D": name, "L": 1} for at, type_, name, _ in _SENSORS[kind]]
    return {"blk": [{"I": 1, "D": f"{MODELS[kind].route}_0"}], "sen": sensors}


def told(kind: Kind, state: State) -> dict[str, Any]:
    """Return ``/cit/s``, what CoIoT tells."""
    return {"G": [[0, at, value(state)] for at, _, _, value in _SENSORS[kind]]}
