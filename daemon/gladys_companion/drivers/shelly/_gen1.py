"""The status and settings of a Shelly Gen1 in the words of Gen2, so that both mean the same from here on. Pure.

Source: shelly-api-docs.shelly.cloud/gen1. Energy is in watt-minutes there, except for that of energy meters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gladys_companion.drivers._json import at, number
from gladys_companion.drivers.shelly._parts import PUSHES
from gladys_companion.drivers.shelly._state import Setting, State, settings_of, state_of

__all__ = ["Pushed", "pushed", "pushes", "settings_of_gen1", "state_of_gen1"]

MOST = 8  # of anything; no device has more
PROBES = 100  # where Gen2 begins to count what hangs on the add-on
MOMENTARY = frozenset({"momentary", "momentary_on_release"})
LETTERS = {"S": "single_push", "SS": "double_push", "L": "long_push", "SSS": "triple_push"}
WHITES = (3000, 6500)  # of the bulb that has colours too

Pushed = dict[str, tuple[float, str]]
"""By input: how often something was done to its button, and what the last time."""


def state_of_gen1(settings: object, status: object) -> State:
    """Return what ``/status`` says."""
    mode = at(settings, ("mode",))
    found: dict[str, Any] = {}
    if mode != "roller":
        found |= {f"switch:{index}": {"output": at(one, ("ison",))} for index, one in _each(status, "relays")}
    if mode != "relay":
        found |= {f"cover:{index}": _cover(one) for index, one in _each(status, "rollers")}
    found |= {f"light:{index}": _light(one, mode) for index, one in _each(status, "lights")}
    for index, one in _each(status, "meters"):
        for key in (f"switch:{index}", f"light:{index}", f"cover:{index}"):
            if key in found:
                found[key] = {**_metered(one), **found[key]}
    for index, one in _each(status, "emeters"):
        found[f"em1:{index}"] = {"act_power": at(one, ("power",)), **_members(one, "voltage", "current")}
        found[f"em1data:{index}"] = {"total_act_energy": at(one, ("total",))}
    for index, one in _each(status, "inputs"):
        state = number(at(one, ("input",)))
        found[f"input:{index}"] = {"state": None if state is None else bool(state)}
    found |= _probed(status)
    _own(status, found)
    return state_of(found)


def settings_of_gen1(settings: object) -> dict[str, Setting]:
    """Return what ``/settings`` says of each component."""
    found: dict[str, Any] = {}
    for list_, kind in (("relays", "switch"), ("lights", "light"), ("rollers", "cover")):
        for index, one in _each(settings, list_):
            whites = WHITES if "red" in _members(one, "red") else None
            found[f"{kind}:{index}"] = {"name": at(one, ("name",)), "ct_range": whites}
    for index in range(MOST):
        kind = "button" if _is_button(settings, index) else "switch"
        found[f"input:{index}"] = {"name": at(settings, ("inputs", index, "name")), "type": kind}
    return settings_of(found)


def pushed(status: object) -> Pushed:
    """Return what was last done to each button, to be compared with what is later."""
    found: Pushed = {}
    for index, one in _each(status, "inputs"):
        count, letters = number(at(one, ("event_cnt",))), at(one, ("event",))
        if count is not None and isinstance(letters, str):
            found[f"input:{index}"] = count, letters
    return found


def pushes(before: Pushed, after: Pushed) -> dict[str, int]:
    """Return what was done between, as Gladys counts it; of several pushes the last. After a restart none are known."""
    return {
        key: PUSHES[LETTERS[letters]]
        for key, (count, letters) in after.items()
        if key in before and before[key][0] != count and count > 0 and letters in LETTERS
    }


def _each(told: object, name: str) -> Iterator[tuple[int, object]]:
    members = at(told, (name,))
    yield from enumerate(members[:MOST] if isinstance(members, list) else [])


def _members(told: object, *names: str) -> dict[str, Any]:
    return {name: told[name] for name in names if name in told} if isinstance(told, Mapping) else {}


def _light(one: object, mode: object) -> dict[str, Any]:
    mode = at(one, ("mode",)) or mode
    found = {"output": at(one, ("ison",)), "mode": mode, **_members(one, "brightness")}
    if "red" in _members(one, "red"):
        found["rgb"] = [at(one, (part,)) for part in ("red", "green", "blue")]
        if mode == "color":
            found["brightness"] = at(one, ("gain",))
    if "temp" in _members(one, "temp"):
        found["ct"] = at(one, ("temp",))
    return found


def _cover(one: object) -> dict[str, Any]:
    position = number(at(one, ("current_pos",)))
    positioning = at(one, ("positioning",)) is True
    rests = {0: "closed", 100: "open"}.get(position if positioning else None, "stopped")  # type: ignore[call-overload]
    state = {"open": "opening", "close": "closing", "stop": rests}.get(str(at(one, ("state",))))
    power = {"apower": at(one, ("power",))} if "power" in _members(one, "power") else {}
    return {"state": state, "pos_control": positioning, "current_pos": position, **power}


def _metered(one: object) -> dict[str, Any]:
    if at(one, ("is_valid",)) is False:
        return {}
    found = {"apower": at(one, ("power",))} if "power" in _members(one, "power") else {}
    total = number(at(one, ("total",)))
    return found if total is None else {**found, "aenergy": {"total": total / 60}}


def _probed(status: object) -> dict[str, Any]:
    """Return what the add-on's probes measure."""
    told = {
        f"{kind}:{PROBES + index}": {name: at(status, (source, str(index), member))}
        for kind, name, source, member in (
            ("temperature", "tC", "ext_temperature", "tC"),
            ("humidity", "rh", "ext_humidity", "hum"),
        )
        for index in range(MOST)
    }
    return {key: fields for key, fields in told.items() if None not in fields.values()}


def _own(status: object, found: dict[str, Any]) -> None:
    """Put the device's own temperature and voltage with the first thing that hangs on it, where Gen2 has it."""
    first = next((key for key in found if key in {"switch:0", "cover:0", "light:0"}), None)
    heat = number(at(status, ("tmp", "tC")))
    if first is not None and heat is not None:
        found[first] = {**found[first], "temperature": {"tC": heat}}
    if first is not None and (voltage := number(at(status, ("voltage",)))) is not None:
        found[first] = {**found[first], "voltage": voltage}


def _is_button(settings: object, index: int) -> bool:
    """Return whether a button hangs on an input, which is said in another place by each kind of device."""
    if str(at(settings, ("device", "type"))).startswith("SHBTN"):
        return True
    if at(settings, ("mode",)) == "roller":
        return at(settings, ("rollers", 0, "button_type")) in {"momentary", "detached"}
    channels = next((found for name in ("relays", "lights", "inputs") if (found := at(settings, (name,)))), None)
    if not isinstance(channels, list):
        return False
    if at(settings, ("device", "type")) == "SHSW-L":
        return at(channels, (0, f"btn{index + 1}_type")) in MOMENTARY
    return at(channels, (min(index, len(channels) - 1), "btn_type")) in MOMENTARY
