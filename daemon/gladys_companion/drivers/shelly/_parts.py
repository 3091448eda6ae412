"""What the state of a Shelly means to Gladys: features with their category, type and range, and their values. Pure.

A component of ours is a key, alone for the thing itself (``switch:0``, ``cover:1``) or with what else it tells
(``switch:0:power``, ``light:0:brightness``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct

from gladys_companion.drivers.shelly._state import Field, Setting, State
from gladys_companion.model import Device, Feature

__all__ = ["LIGHTS", "PUSHES", "buttons", "features", "mired", "values"]

Fields = Mapping[str, Field]

LIGHTS = frozenset({"light", "rgb", "rgbw", "cct"})
PUSHES = {
    "single_push": 1,
    "double_push": 2,
    "long_push": 3,
    "triple_push": 18,
}  # BUTTON_STATUS of Gladys: click, double click, long click, triple
MOVES: dict[Field, float] = {"open": 1, "opening": 1, "closed": -1, "closing": -1, "stopped": 0}
NAMES = {
    **dict.fromkeys(LIGHTS, "Light"),
    **dict.fromkeys(("pm1", "em", "em1", "emdata", "em1data"), "Meter"),
    "devicepower": "Battery",
}
RESTS = frozenset({"open", "closed", "stopped"})


class Part(Struct, frozen=True):
    """One feature of a component: what follows its key, what it is to Gladys, and where its value is."""

    suffix: str
    category: str
    type: str
    field: str
    min: float
    max: float
    unit: str | None = None
    writable: bool = False
    value: Callable[[Fields], float | None] | None = None
    per: float = 1.0

    def now(self, fields: Fields) -> float | None:
        """Return the value, None where there is none."""
        if self.value is not None:
            return self.value(fields)
        found = fields.get(self.field)
        if not isinstance(found, int | float):
            return None
        return found if self.per == 1 else round(found / self.per, 6)


def mired(kelvin: float) -> int:
    """Return the colour temperature as Gladys counts it, and back again."""
    return round(1_000_000 / kelvin)


def _brightness(fields: Fields) -> float | None:
    """A light that is off shines with 0, whatever it will have when turned on: what is commanded and told agree."""
    found = fields.get("brightness")
    if not fields.get("output"):
        return 0
    return found if isinstance(found, int | float) else None


def _color(fields: Fields) -> float | None:
    rgb = fields.get("rgb")
    if not isinstance(rgb, tuple) or len(rgb) != 3 or fields.get("mode") == "white":  # noqa: PLR2004 - three colours
        return None
    red, green, blue = (min(max(int(part), 0), 255) for part in rgb)
    return red << 16 | green << 8 | blue


def _temperature(fields: Fields) -> float | None:
    kelvin = fields.get("ct")
    if not isinstance(kelvin, int | float) or not 1000 <= kelvin <= 20_000 or fields.get("mode") == "color":  # noqa: PLR2004
        return None
    return mired(kelvin)


def _position(fields: Fields) -> float | None:
    """Where a cover rests; on its way it is nowhere yet, so that what is commanded does not come back as news."""
    at = fields.get("current_pos")
    return at if fields.get("state") in RESTS and isinstance(at, int | float) and 0 <= at <= 100 else None  # noqa: PLR2004


def _meters(category: str) -> tuple[Part, ...]:
    return (
        Part("power", category, "power", "apower", -25_000, 25_000, "watt"),
        Part("energy", category, "energy", "aenergy.total", 0, 1_000_000, "kilowatt-hour", per=1000),
        Part("voltage", category, "voltage", "voltage", 0, 500, "volt"),
        Part("current", category, "current", "current", 0, 100, "ampere"),
        Part("temperature", "device-temperature-sensor", "decimal", "temperature.tC", -50, 150, "celsius"),
    )


def _phase(field: str, suffix: str) -> tuple[Part, ...]:
    return (
        Part(f"{suffix}power", "energy-sensor", "power", f"{field}act_power", -75_000, 75_000, "watt"),
        Part(f"{suffix}voltage", "energy-sensor", "voltage", f"{field}voltage", 0, 500, "volt"),
        Part(f"{suffix}current", "energy-sensor", "current", f"{field}current", 0, 500, "ampere"),
    )


_LIGHT = (
    Part("", "light", "binary", "output", 0, 1, writable=True),
    Part("brightness", "light", "brightness", "brightness", 0, 100, "percent", writable=True, value=_brightness),
    Part("color", "light", "color", "rgb", 0, 0xFFFFFF, writable=True, value=_color),
    Part("temperature", "light", "temperature", "ct", 0, 0, writable=True, value=_temperature),
    *(part for part in _meters("energy-sensor") if part.suffix != "temperature"),
    Part("device-temperature", "device-temperature-sensor", "decimal", "temperature.tC", -50, 150, "celsius"),
)
_PARTS: dict[str, tuple[Part, ...]] = {
    "switch": (Part("", "switch", "binary", "output", 0, 1, writable=True), *_meters("switch")),
    **dict.fromkeys(LIGHTS, _LIGHT),
    "cover": (
        Part(
            "", "shutter", "state", "state", -1, 1, writable=True, value=lambda fields: MOVES.get(fields.get("state"))
        ),
        Part("position", "shutter", "position", "current_pos", 0, 100, "percent", writable=True, value=_position),
        *_meters("energy-sensor"),
    ),
    "input": (
        Part("", "input", "binary", "state", 0, 1),
        Part("percent", "unknown", "unknown", "percent", 0, 100, "percent"),
    ),
    "pm1": _meters("energy-sensor"),
    "em": (
        Part("power", "energy-sensor", "power", "total_act_power", -75_000, 75_000, "watt"),
        *_phase("a_", "a-"),
        *_phase("b_", "b-"),
        *_phase("c_", "c-"),
    ),
    "em1": _phase("", ""),
    "emdata": (Part("energy", "energy-sensor", "energy", "total_act", 0, 1_000_000, "kilowatt-hour", per=1000),),
    "em1data": (
        Part("energy", "energy-sensor", "energy", "total_act_energy", 0, 1_000_000, "kilowatt-hour", per=1000),
    ),
    "temperature": (Part("", "temperature-sensor", "decimal", "tC", -50, 150, "celsius"),),
    "humidity": (Part("", "humidity-sensor", "decimal", "rh", 0, 100, "percent"),),
    "illuminance": (Part("", "light-sensor", "decimal", "lux", 0, 100_000, "lux"),),
    "voltmeter": (Part("", "energy-sensor", "voltage", "voltage", -500, 500, "volt"),),
    "flood": (Part("", "leak-sensor", "binary", "alarm", 0, 1),),
    "smoke": (Part("", "smoke-sensor", "binary", "alarm", 0, 1),),
    "devicepower": (Part("", "battery", "integer", "battery.percent", 0, 100, "percent"),),
}
_BUTTON = Part("", "button", "click", "", min(PUSHES.values()), max(PUSHES.values()))


def features(device: Device, settings: Mapping[str, Setting], state: State) -> tuple[Feature, ...]:
    """Return what this device can do and tell."""
    found = []
    for key, part in _parts(settings, state):
        kind, _, number = key.partition(":")
        setting = settings.get(key, Setting())
        name = setting.name or f"{NAMES.get(kind, kind.capitalize())} {number}"
        least, most = (mired(one) for one in reversed(setting.kelvin)) if part.field == "ct" else (part.min, part.max)
        found.append(
            Feature(
                external_id=f"{device.id}:{_component(key, part)}",
                device=device.id,
                name=f"{name} {part.suffix}".rstrip(),
                category=part.category,
                type=part.type,
                unit=part.unit,
                min=least,
                max=most,
                writable=part.writable,
            )
        )
    return tuple(found)


def values(settings: Mapping[str, Setting], state: State) -> dict[str, float]:
    """Return the value of each component that has one now."""
    found = {_component(key, part): part.now(state[key]) for key, part in _parts(settings, state)}
    return {component: value for component, value in found.items() if value is not None}


def buttons(settings: Mapping[str, Setting]) -> frozenset[str]:
    """Return the inputs that a button hangs on, which is pushed and has no state."""
    return frozenset(key for key, setting in settings.items() if key.startswith("input:") and setting.type == "button")


def _parts(settings: Mapping[str, Setting], state: State) -> Iterator[tuple[str, Part]]:
    pushed = buttons(settings)
    for key, fields in state.items():
        if key in pushed:
            yield key, _BUTTON
            continue
        for part in _PARTS[key.partition(":")[0]]:
            movable = part.field != "current_pos" or bool(fields.get("pos_control"))
            if part.field in fields and movable:
                yield key, part


def _component(key: str, part: Part) -> str:
    return f"{key}:{part.suffix}" if part.suffix else key
