"""What ESPHome's device classes and units are in Gladys: tables, and the functions that look into them; pure.

Sources: the classes and units of esphome.io/components (those of Home Assistant), and the constants of Gladys
(server/utils/constants.js).
"""

from __future__ import annotations

from msgspec import Struct

__all__ = ["UNITS", "Meaning", "binary_meaning", "cover_category", "sensor_meaning"]

UNITS = {
    "%": "percent",
    "°C": "celsius",
    "°F": "fahrenheit",
    "K": "kelvin",
    "Pa": "pascal",
    "hPa": "hPa",
    "kPa": "kPa",
    "bar": "bar",
    "mbar": "milli-bar",
    "psi": "psi",
    "lx": "lux",
    "ppm": "ppm",
    "ppb": "ppb",
    "W": "watt",
    "kW": "kilowatt",
    "Wh": "watt-hour",
    "kWh": "kilowatt-hour",
    "MWh": "megawatt-hour",
    "A": "ampere",
    "mA": "milliampere",
    "mV": "millivolt",
    "V": "volt",
    "VA": "volt-ampere",
    "kVA": "kilovolt-ampere",
    "var": "volt-ampere-reactive",
    "mm": "mm",
    "cm": "cm",
    "m": "m",
    "km": "km",
    "in": "inch",
    "ft": "feet",
    "mi": "mile",
    "°": "degree",
    "L": "liter",
    "mL": "milliliter",
    "m³": "cubicmeter",
    "m³/h": "cubic-meter-per-hour",
    "m/s": "meter-per-second",
    "km/h": "kilometer-per-hour",
    "mph": "mile-per-hour",
    "mm/h": "millimeter-per-hour",
    "mm/d": "millimeter-per-day",
    "µs": "microseconds",
    "ms": "milliseconds",
    "s": "seconds",
    "min": "minutes",
    "h": "hours",
    "d": "days",
    "µg/m³": "microgram-per-cubic-meter",
    "mg/m³": "milligram-per-cubic-meter",
    "dB": "decibel",
    "dBA": "decibel",
    "pH": "ph",
}
"""Gladys' unit of each symbol that it has a unit for. µ is U+00B5, as ESPHome writes it."""

_SENSORS = {
    "temperature": ("temperature-sensor", "decimal"),
    "humidity": ("humidity-sensor", "decimal"),
    "moisture": ("soil-moisture-sensor", "decimal"),
    "illuminance": ("light-sensor", "decimal"),
    "battery": ("battery", "integer"),
    "pressure": ("pressure-sensor", "decimal"),
    "atmospheric_pressure": ("pressure-sensor", "decimal"),
    "power": ("energy-sensor", "power"),
    "energy": ("energy-sensor", "energy"),
    "voltage": ("energy-sensor", "voltage"),
    "current": ("energy-sensor", "current"),
    "carbon_dioxide": ("co2-sensor", "decimal"),
    "carbon_monoxide": ("co-sensor", "decimal"),
    "pm25": ("pm25-sensor", "decimal"),
    "volatile_organic_compounds": ("voc-sensor", "decimal"),
    "volatile_organic_compounds_parts": ("voc-sensor", "decimal"),
    "aqi": ("airquality-sensor", "aqi"),
    "distance": ("distance-sensor", "decimal"),
    "speed": ("speed-sensor", "decimal"),
    "wind_speed": ("speed-sensor", "decimal"),
    "precipitation_intensity": ("precipitation-sensor", "decimal"),
    "sound_pressure": ("noise-sensor", "decimal"),
    "volume": ("volume-sensor", "decimal"),
    "water": ("volume-sensor", "decimal"),
    "gas": ("volume-sensor", "decimal"),
    "duration": ("duration", "decimal"),
}

# Where a sensor has no class, a unit that leaves no doubt says it.
_BY_UNIT = {
    "°C": "temperature",
    "°F": "temperature",
    "lx": "illuminance",
    "hPa": "pressure",
    "W": "power",
    "kW": "power",
    "Wh": "energy",
    "kWh": "energy",
    "MWh": "energy",
    "V": "voltage",
    "mV": "voltage",
    "A": "current",
    "mA": "current",
}

_BINARY = {
    "motion": ("motion-sensor", "binary"),
    "moving": ("motion-sensor", "binary"),
    "occupancy": ("presence-sensor", "binary"),
    "presence": ("presence-sensor", "binary"),
    "moisture": ("leak-sensor", "binary"),
    "smoke": ("smoke-sensor", "binary"),
    "carbon_monoxide": ("co-sensor", "binary"),
    "vibration": ("vibration-sensor", "binary"),
    "battery": ("battery-low", "binary"),
    "tamper": ("tamper", "binary"),
}
_OPENINGS = frozenset({"door", "window", "garage_door", "opening"})

_COVERS = {
    "curtain": "curtain",
    "awning": "awning",
    "garage": "garage-door",
    "gate": "garage-door",
    "door": "garage-door",
}


class Meaning(Struct, frozen=True):
    """What a sensor is in Gladys. ``inverted``: Gladys counts the other way round."""

    category: str = "unknown"
    type: str = "unknown"
    unit: str | None = None
    inverted: bool = False


def sensor_meaning(device_class: str, symbol: str, *, diagnostic: bool) -> Meaning:
    """Return what a sensor with this class and unit is; ``diagnostic``: it watches the device itself."""
    category, type_ = _SENSORS.get(device_class or _BY_UNIT.get(symbol, ""), ("unknown", "unknown"))
    if category == "temperature-sensor" and diagnostic:
        category = "device-temperature-sensor"
    return Meaning(category, type_, UNITS.get(symbol))


def binary_meaning(device_class: str) -> Meaning:
    """Return what a binary sensor of this class is. ESPHome says 1 of what is open, and Gladys 0."""
    if device_class in _OPENINGS:
        return Meaning("opening-sensor", "binary", inverted=True)
    return Meaning(*_BINARY.get(device_class, ("unknown", "unknown")))


def cover_category(device_class: str) -> str:
    """Return the category of a cover; whatever lets people in is a garage door, and guarded as one."""
    return _COVERS.get(device_class, "shutter")
