"""What a WLED lamp says and understands, as pure functions over its JSON.

Shapes and rules are those of the WLED JSON API (kno.wled.ge/interfaces/json-api) as firmware 0.15 serves it;
the lists of effects, palettes and presets are a short excerpt.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "EFFECTS",
    "EFFECT_METADATA",
    "LED_COUNT",
    "PALETTES",
    "PRESETS",
    "changed",
    "config",
    "factory_state",
    "info",
]

Json = dict[str, Any]

LED_COUNT = 30
EFFECTS = ("Solid", "Blink", "Breathe", "Wipe", "Random Colors", "Dynamic", "Rainbow", "Fade", "Theater", "Running")
EFFECT_METADATA = ("", "!,Duty cycle;!,!;!;01", "!;!,!;!;01", "!,!;!,!;!", "!,Fade time;;!;01", *("!,!;!,!;!",) * 5)
PALETTES = ("Default", "* Random Cycle", "* Color 1", "* Colors 1&2", "* Color Gradient", "Party", "Cloud", "Lava")
PRESETS: Mapping[str, Json] = {
    "0": {},
    "1": {"n": "Reading", "on": True, "bri": 200, "seg": [{"id": 0, "fx": 0, "col": [[255, 180, 90]]}]},
    "2": {"n": "Night", "on": True, "bri": 8, "seg": [{"id": 0, "fx": 0, "col": [[255, 60, 0]]}]},
}

_BYTES = ("bri", "sx", "ix", "c1", "c2", "cct")
_FLAGS = ("frz", "sel", "rev", "mi", "o1", "o2", "o3")
_SYNC = {"send": bool, "recv": bool, "sgrp": int, "rgrp": int}


def factory_state() -> Json:
    """The state of a lamp fresh from its box: on, half bright, solid orange."""
    segment: Json = {"id": 0, "start": 0, "stop": LED_COUNT, "len": LED_COUNT, "grp": 1, "spc": 0, "of": 0}
    segment |= {
        "on": True,
        "frz": False,
        "bri": 255,
        "cct": 127,
        "set": 0,
        "col": [[255, 160, 0], [0, 0, 0], [0, 0, 0]],
    }
    segment |= {"fx": 0, "sx": 128, "ix": 128, "pal": 0, "c1": 128, "c2": 128, "c3": 16}
    segment |= {"sel": True, "rev": False, "mi": False, "o1": False, "o2": False, "o3": False, "si": 0, "m12": 0}
    return {
        "on": True,
        "bri": 128,
        "transition": 7,
        "ps": -1,
        "pl": -1,
        "ledmap": 0,
        "nl": {"on": False, "dur": 60, "mode": 1, "tbri": 0, "rem": -1},
        "udpn": {"send": False, "recv": True, "sgrp": 1, "rgrp": 1},
        "lor": 0,
        "mainseg": 0,
        "seg": [segment],
    }


def info(*, mac: str, name: str, address: str, port: int, uptime: int, sockets: int, state: Json) -> Json:
    """The body of ``/json/info``: ``mac`` is 12 hex digits, ``uptime`` in seconds, ``sockets`` how many are open."""
    return {
        "ver": "0.15.3",
        "vid": 2509100,
        "cn": "Kōsen",
        "release": "ESP32",
        "repo": "wled/WLED",
        "leds": {
            "count": LED_COUNT,
            "pwr": 120 + (state["bri"] * LED_COUNT // 12 if state["on"] else 0),
            "fps": 42 if state["on"] else 0,
            "maxpwr": 850,
            "maxseg": 32,
            "bootps": 0,
            "seglc": [1],
            "lc": 1,
            "rgbw": False,
            "wv": False,
            "cct": False,
        },
        "str": False,
        "name": name,
        "udpport": 21324,
        "simplifiedui": False,
        "live": False,
        "liveseg": -1,
        "lm": "",
        "lip": "",
        "ws": sockets,
        "fxcount": len(EFFECTS),
        "palcount": len(PALETTES),
        "cpalcount": 0,
        "maps": [{"id": 0}],
        "wifi": {"bssid": "02:00:00:00:00:01", "rssi": -58, "signal": 84, "channel": 6, "ap": False},
        "fs": {"u": 12, "t": 983, "pmt": 0},
        "ndc": 0,
        "arch": "esp32",
        "core": "v3.3.6-16-gcc5440f6a2",
        "clock": 240,
        "flash": 4,
        "lwip": 0,
        "freeheap": 168_000,
        "uptime": uptime,
        "time": "",
        "opt": 79,
        "brand": "WLED",
        "product": "FOSS",
        "mac": mac,
        "ip": address,
        "port": port,
    }


def config(*, mac: str, name: str) -> Json:
    """The part of ``/json/cfg`` that clients read: identity and one WS281x output."""
    output = {"start": 0, "len": LED_COUNT, "pin": [16], "order": 0, "rev": False, "skip": 0, "type": 22, "rgbwm": 0}
    led = {
        "total": LED_COUNT,
        "maxpwr": 850,
        "cct": False,
        "cr": False,
        "cb": 0,
        "fps": 42,
        "rgbwm": 255,
        "ins": [output],
    }
    return {"id": {"mdns": f"wled-{mac[-6:]}", "name": name, "inv": "Light"}, "hw": {"led": led}}


def changed(state: Json, body: Json) -> Json:
    """The state after the lamp took ``body``; what it does not know or cannot read it ignores, as the firmware does.

    A brightness above 0 turns a lamp on unless ``on`` says otherwise; brightness 0 turns it off and keeps the last one.
    """
    new = copy.deepcopy(state)
    if (preset := PRESETS.get(str(body.get("ps")))) is not None and preset:
        new = changed(new, preset)
        new["ps"] = body["ps"]
    _set_power(new, body)
    if (transition := _number(body.get("transition"), 65_535)) is not None:
        new["transition"] = transition
    if (override := _number(body.get("lor"), 2)) is not None:
        new["lor"] = override
    if isinstance(nightlight := body.get("nl"), dict):
        _set_nightlight(new["nl"], nightlight)
    if isinstance(sync := body.get("udpn"), dict):
        new["udpn"] |= {key: kind(sync[key]) for key, kind in _SYNC.items() if isinstance(sync.get(key), int)}
    for segment, change in _addressed(new["seg"], body.get("seg")):
        _set_segment(segment, change)
    if "ps" not in body and new != state:
        new["ps"] = -1  # what the preset had set is changed: it is shown no more
    return new


def _set_power(state: Json, body: Json) -> None:
    brightness = _number(body.get("bri"), 255)
    on = body.get("on")
    if on == "t":
        state["on"] = not state["on"]
    elif isinstance(on, bool):
        state["on"] = on
    elif brightness is not None:
        state["on"] = brightness > 0
    state["bri"] = brightness or state["bri"]


def _set_nightlight(nightlight: Json, change: Json) -> None:
    for key, top in (("dur", 255), ("mode", 3), ("tbri", 255)):
        if (value := _number(change.get(key), top)) is not None:
            nightlight[key] = value
    if isinstance(on := change.get("on"), bool):
        nightlight["on"] = on
        nightlight["rem"] = nightlight["dur"] * 60 if on else -1


def _addressed(segments: Sequence[Json], changes: object) -> list[tuple[Json, Json]]:
    """Which change goes to which segment: by id, else by place; one object without an id goes to all selected."""
    if isinstance(changes, dict) and "id" not in changes:
        return [(segment, changes) for segment in segments if segment["sel"]]
    listed = [changes] if isinstance(changes, dict) else changes if isinstance(changes, list) else []
    by_id = {segment["id"]: segment for segment in segments}
    pairs = [
        (by_id.get(change.get("id", place)), change) for place, change in enumerate(listed) if isinstance(change, dict)
    ]
    return [(segment, change) for segment, change in pairs if segment is not None]


def _set_segment(segment: Json, change: Json) -> None:
    tops = dict.fromkeys(_BYTES, 255) | {"c3": 31, "fx": len(EFFECTS) - 1, "pal": len(PALETTES) - 1}
    for key, top in tops.items():
        if (value := _number(change.get(key), top)) is not None:
            segment[key] = value
    segment |= {key: change[key] for key in (*_FLAGS, "on") if isinstance(change.get(key), bool)}
    if isinstance(change.get("n"), str):
        segment["n"] = change["n"]
    if isinstance(colors := change.get("col"), list):
        for place, color in enumerate(colors[:3]):
            segment["col"][place] = _color(color) or segment["col"][place]


def _color(value: object) -> list[int] | None:
    if isinstance(value, str) and len(value) in {6, 8}:
        try:
            return list(bytes.fromhex(value))[:3]
        except ValueError:
            return None
    if isinstance(value, list) and len(value) in {3, 4}:
        channels = [_number(channel, 255) for channel in value[:3]]
        return None if None in channels else [channel or 0 for channel in channels]
    return None


def _number(value: object, top: int) -> int | None:
    """``value`` cut to 0..``top``, or None where it is no number."""
    return None if isinstance(value, bool) or not isinstance(value, int) else max(0, min(value, top))
