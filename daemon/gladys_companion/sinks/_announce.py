"""A device of ours as a Home Assistant discovery message, in the words that Gladys understands. Pure.

One retained message describes all of a device. Values travel as the numbers that we have, and colours as ``r,g,b``.
Source: ``server/services/mqtt/lib/homeAssistant`` of Gladys Assistant 4; Home Assistant's own manual agrees.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from gladys_companion.model import Device, Feature

__all__ = ["Announcement", "announcement", "config_topic", "identifier", "rgb", "shown_value"]

ON, OFF = "1", "0"

SENSORS = {  # by category and type, or by category alone
    "temperature-sensor": "temperature",
    "humidity-sensor": "humidity",
    "soil-moisture-sensor": "moisture",
    "pressure-sensor": "pressure",
    "light-sensor": "illuminance",
    "battery": "battery",
    "co2-sensor": "carbon_dioxide",
    "pm25-sensor": "pm25",
    "pm10-sensor": "pm10",
    "voc-sensor": "volatile_organic_compounds",
    "signal": "signal_strength",
    "speed-sensor": "speed",
    "precipitation-sensor": "precipitation",
    "duration": "duration",
    "airquality-sensor": "aqi",
    "energy-sensor/power": "power",
    "energy-sensor/energy": "energy",
    "energy-sensor/index": "energy",
    "energy-sensor/voltage": "voltage",
    "energy-sensor/current": "current",
    "switch/power": "power",
    "switch/energy": "energy",
    "switch/voltage": "voltage",
    "switch/current": "current",
}
BINARY_SENSORS = {
    "motion-sensor": "motion",
    "opening-sensor": "opening",
    "presence-sensor": "presence",
    "smoke-sensor": "smoke",
    "co-sensor": "carbon_monoxide",
    "leak-sensor": "moisture",
    "vibration-sensor": "vibration",
    "tamper": "tamper",
    "battery-low": "battery",
    "rain-sensor": "rain",
}
UNITS = {
    "celsius": "°C",
    "fahrenheit": "°F",
    "kelvin": "K",
    "percent": "%",
    "pascal": "Pa",
    "hPa": "hPa",
    "kPa": "kPa",
    "bar": "bar",
    "milli-bar": "mbar",
    "psi": "psi",
    "lux": "lx",
    "watt": "W",
    "kilowatt": "kW",
    "watt-hour": "Wh",
    "kilowatt-hour": "kWh",
    "megawatt-hour": "MWh",
    "volt": "V",
    "millivolt": "mV",
    "ampere": "A",
    "milliampere": "mA",
    "ppm": "ppm",
    "ppb": "ppb",
    "microgram-per-cubic-meter": "µg/m³",
    "decibel": "dB",
    "kilometer-per-hour": "km/h",
    "millimeter-per-hour": "mm/h",
    "millimeter-per-day": "mm/d",
}
LIGHT = {"brightness": "brightness", "temperature": "color_temp", "color": "rgb"}

Topics = Callable[[Feature], tuple[str, str]]
"""Returns where the state of a feature is told, and where its commands are heard."""


class Announcement(Struct, frozen=True):
    """What to publish, retained, and which features can be shown by it."""

    topic: str
    payload: bytes
    shown: tuple[Feature, ...]


def identifier(device_id: str) -> str:
    """Return a device's identifier; Gladys makes ``homeassistant:`` and this the external id of what it creates."""
    return f"gladys-companion-{_slug(device_id)}"


def config_topic(device_id: str) -> str:
    """Return where a device is announced; an empty message there takes it back."""
    return f"homeassistant/device/{identifier(device_id)}/config"


def announcement(
    device: Device, features: Sequence[Feature], topics: Topics, *, availability: str, version: str
) -> Announcement:
    """Return what announces a device.

    Args:
        device: of ours.
        features: all of its own.
        topics: where each is told and commanded.
        availability: the topic that says whether we are there.
        version: ours.
    """
    shown: list[Feature] = []
    components: dict[str, Any] = {}
    for key, kind, members, of in _components(device, features, topics):
        components[key] = {"platform": kind, "unique_id": f"{identifier(device.id)}-{key}", **members}
        shown += of
    payload = {
        "device": {"identifiers": [identifier(device.id)], "name": device.name, "model": device.model or "device"},
        "origin": {"name": "Gladys Companion", "sw_version": version},
        "availability_topic": availability,
        "qos": 1,
        "components": components,
    }
    return Announcement(config_topic(device.id), msgspec.json.encode(payload), tuple(shown))


_Component = tuple[str, str, Mapping[str, Any], list[Feature]]


def _components(device: Device, features: Sequence[Feature], topics: Topics) -> Iterable[_Component]:
    """Yield key, platform, members and features of each component."""
    grouped: set[str] = set()
    for group in _groups(features):
        kind, members = _light(group, topics) if group[0].category == "light" else _cover(group, topics)
        yield _key(device, group[0]), kind, {"name": group[0].name, **members}, group
        grouped |= {one.external_id for one in group}
    for one in features:
        if one.external_id not in grouped and (found := _single(one, *topics(one))) is not None:
            kind, members = found
            yield _key(device, one), kind, {"name": one.name, **members}, [one]


def _groups(features: Sequence[Feature]) -> Iterable[list[Feature]]:
    """Yield lights and covers: what is switched or opened first, and then what goes with it."""
    for category, first, others in (("light", "binary", LIGHT), *((one, "state", {"position": ""}) for one in COVERS)):
        some = [one for one in features if one.category == category and one.writable]
        heads = [one for one in some if one.type == first]
        free = {one.external_id for one in some if one.type in others}
        for head in heads:
            near = (one for one in some if len(heads) == 1 or _stem(one) == _stem(head))
            mine = {one.type: one for one in near if one.external_id in free}
            free -= {one.external_id for one in mine.values()}
            yield [head, *mine.values()]


COVERS = ("curtain", "shutter")


def _stem(feature: Feature) -> str:
    return feature.external_id.rpartition(":")[0]


def _light(group: Sequence[Feature], topics: Topics) -> tuple[str, dict[str, Any]]:
    head, *others = group
    state, command = topics(head)
    members: dict[str, Any] = {
        "state_topic": state,
        "command_topic": command,
        "payload_on": ON,
        "payload_off": OFF,
    }
    for one in others:
        word = LIGHT[one.type]
        members[f"{word}_state_topic"], members[f"{word}_command_topic"] = topics(one)
        if one.type == "brightness":
            members["brightness_scale"] = one.max or 255
        elif one.type == "temperature":
            members |= _range(one, "min_mireds", "max_mireds")
    return "light", members


def _cover(group: Sequence[Feature], topics: Topics) -> tuple[str, dict[str, Any]]:
    head, *others = group
    state, command = topics(head)
    members = {
        "state_topic": state,
        "command_topic": command,
        "payload_open": "1",
        "payload_stop": "0",
        "payload_close": "-1",
        "state_open": "1",
        "state_stopped": "0",
        "state_closed": "-1",
    }
    for one in others:
        members["position_topic"], members["set_position_topic"] = topics(one)
    return "cover", members


def _single(one: Feature, state: str, command: str) -> tuple[str, dict[str, Any]] | None:
    """Return the component of a feature that stands alone; None where Gladys makes nothing of it."""
    heard, said = {"state_topic": state}, {"state_topic": state, "command_topic": command}
    found: tuple[str, dict[str, Any]] | None = None
    if one.textual:
        return None
    if one.writable and one.category == "lock" and one.type == "binary":
        words = {"payload_lock": ON, "payload_unlock": OFF, "state_locked": ON, "state_unlocked": OFF}
        found = "lock", {**said, **words}
    elif one.writable and one.category == "thermostat" and one.type == "target-temperature":
        topics = {"temperature_state_topic": state, "temperature_command_topic": command, "modes": []}
        unit = {"temperature_unit": "F" if one.unit == "fahrenheit" else "C"}
        found = "climate", {**topics, **unit, **_range(one, "min_temp", "max_temp")}
    elif one.writable and one.momentary:
        found = "button", {"command_topic": command, "payload_press": ON}
    elif one.writable and one.type == "binary":
        found = "switch", {**said, "payload_on": ON, "payload_off": OFF}
    elif not one.writable and one.type == "binary":
        kind = {"device_class": BINARY_SENSORS[one.category]} if one.category in BINARY_SENSORS else {}
        found = "binary_sensor", {**heard, **kind, "payload_on": ON, "payload_off": OFF}
    elif not one.writable and (sensor := SENSORS.get(f"{one.category}/{one.type}") or SENSORS.get(one.category)):
        unit = {"unit_of_measurement": UNITS[one.unit]} if one.unit in UNITS else {}
        found = "sensor", {**heard, "device_class": sensor, **unit}
    return found


def _range(one: Feature, low: str, high: str) -> dict[str, float]:
    ends = {low: one.min, high: one.max}
    return {name: end for name, end in ends.items() if end is not None}


def _key(device: Device, feature: Feature) -> str:
    return _slug(feature.external_id.removeprefix(f"{device.id}:"))


def _slug(text: str) -> str:
    """Return an id as a topic and Gladys' external ids can hold it; two that would be alike are told apart."""
    slug = re.sub(r"[^a-zA-Z0-9_-]", "-", text)
    return slug if slug == text.replace(":", "-") and "-" not in text else f"{slug}-{zlib.crc32(text.encode()):08x}"


def shown_value(feature: Feature, value: float) -> bytes:
    """Return a value as ``announcement`` says that it is told."""
    if feature.type == "color":
        number = int(value)
        return f"{number >> 16 & 255},{number >> 8 & 255},{number & 255}".encode()
    return f"{value:.0f}".encode() if value.is_integer() else repr(value).encode()


def rgb(text: str) -> float | None:
    """Return the number of a colour that came as ``r,g,b``; None if it is none."""
    parts = re.fullmatch(r"([0-9]{1,3}),([0-9]{1,3}),([0-9]{1,3})", text)
    channels = [int(part) for part in parts.groups()] if parts else []
    return float(channels[0] << 16 | channels[1] << 8 | channels[2]) if channels and max(channels) < 256 else None  # noqa: PLR2004 - a byte
