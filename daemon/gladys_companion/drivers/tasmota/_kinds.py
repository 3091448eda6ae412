"""What Tasmota's quantities are in Gladys. Pure; the words are those of ``hatasmota.const`` and Gladys' constants."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["Kind", "kind_of"]

Kind = tuple[str, str, str | None]
"""Category, type and unit."""

UNKNOWN: Kind = ("unknown", "unknown", None)

_KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "ActivePower": ("energy-sensor", "power", "watt"),
        "Ambient": ("light-sensor", "decimal", "lux"),
        "ApparentPower": ("unknown", "unknown", "volt-ampere"),
        "Battery": ("battery", "integer", "percent"),
        "CarbonDioxide": ("co2-sensor", "decimal", "ppm"),
        "Current": ("energy-sensor", "current", "ampere"),
        "Distance": ("distance-sensor", "decimal", "cm"),
        "Energy": ("energy-sensor", "energy", "kilowatt-hour"),
        "Humidity": ("humidity-sensor", "decimal", "percent"),
        "Illuminance": ("light-sensor", "decimal", "lux"),
        "Moisture": ("soil-moisture-sensor", "decimal", "percent"),
        "PM10": ("pm10-sensor", "decimal", "microgram-per-cubic-meter"),
        "PM2.5": ("pm25-sensor", "decimal", "microgram-per-cubic-meter"),
        "Power": ("energy-sensor", "power", "watt"),
        "ReactivePower": ("unknown", "unknown", "volt-ampere-reactive"),
        "TVOC": ("voc-sensor", "decimal", "ppb"),
        "Today": ("energy-sensor", "index-today", "kilowatt-hour"),
        "Total": ("energy-sensor", "energy", "kilowatt-hour"),
        "Voltage": ("energy-sensor", "voltage", "volt"),
        "Yesterday": ("energy-sensor", "index-yesterday", "kilowatt-hour"),
        "eCO2": ("co2-sensor", "decimal", "ppm"),
    }
)

_BY_UNIT: Mapping[str, tuple[str, Mapping[str, str]]] = MappingProxyType(
    {  # those whose unit the device chooses: the category, and Gladys' words for Tasmota's units
        "Pressure": ("pressure-sensor", {"hPa": "hPa", "mmHg": "mmHg"}),
        "SeaPressure": ("pressure-sensor", {"hPa": "hPa", "mmHg": "mmHg"}),
        "Speed": ("speed-sensor", {"m/s": "meter-per-second", "km/h": "kilometer-per-hour"}),
        "Temperature": ("temperature-sensor", {"C": "celsius", "F": "fahrenheit"}),
    }
)

_CHIPS = frozenset({"ESP32"})  # who tells its own temperature, which is not that of a room


def kind_of(quantity: str, unit: str | None, sensor: str) -> Kind:
    """Return what a quantity is in Gladys.

    Args:
        quantity: such as ``Temperature``.
        unit: as Tasmota writes it.
        sensor: who measures, such as ``SHT3X`` or ``ESP32``.
    """
    if quantity not in _BY_UNIT:
        return _KINDS.get(quantity, UNKNOWN)
    category, units = _BY_UNIT[quantity]
    if sensor in _CHIPS and category == "temperature-sensor":
        category = "device-temperature-sensor"
    word = units.get(unit or "")
    return (category, "decimal", word) if word is not None else UNKNOWN
