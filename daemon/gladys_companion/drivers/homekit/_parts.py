"""What services and characteristics mean to Gladys: a table of what is simple, and a way to what needs more; pure.

Source: HomeKit Accessory Protocol, 8 (services), 9 (characteristics); categories and types are those of Gladys 4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from aiohomekit.model.characteristics import CharacteristicsTypes as Of
from aiohomekit.model.services import ServicesTypes as Kinds
from msgspec import Struct, structs

from gladys_companion.drivers.homekit import _light, _movers
from gladys_companion.drivers.homekit._accessories import Accessory, Characteristic, Id, Service, number
from gladys_companion.drivers.homekit._part import Command, Names, Part, Range, Values, fitting, range_of

__all__ = ["parts"]


class _Row(Struct, frozen=True):
    """A characteristic that is a feature by itself, with what its range is where the accessory says none."""

    name: str
    category: str
    type: str
    range: Range
    unit: str | None = None
    written: bool = False
    turned: bool = False  # HomeKit's 1 is Gladys' 0


YES: Range = (0, 1)
PERCENT: Range = (0, 100)

ROWS = {
    Of.ON: _Row("Switch", "switch", "binary", YES, written=True),
    Of.TEMPERATURE_TARGET: _Row(
        "Target temperature", "thermostat", "target-temperature", (10, 38), "celsius", written=True
    ),
    Of.HEATING_COOLING_TARGET: _Row("Mode", "thermostat", "mode", (0, 3), written=True),
    Of.HEATING_COOLING_CURRENT: _Row("Activity", "thermostat", "operating-state", (0, 2)),
    Of.TEMPERATURE_CURRENT: _Row("Temperature", "temperature-sensor", "decimal", (-270, 100), "celsius"),
    Of.RELATIVE_HUMIDITY_CURRENT: _Row("Humidity", "humidity-sensor", "decimal", PERCENT, "percent"),
    Of.LIGHT_LEVEL_CURRENT: _Row("Light", "light-sensor", "decimal", (0, 100_000), "lux"),
    Of.CONTACT_STATE: _Row("Opening", "opening-sensor", "binary", YES, turned=True),
    Of.MOTION_DETECTED: _Row("Motion", "motion-sensor", "binary", YES),
    Of.OCCUPANCY_DETECTED: _Row("Presence", "presence-sensor", "binary", YES),
    Of.LEAK_DETECTED: _Row("Leak", "leak-sensor", "binary", YES),
    Of.SMOKE_DETECTED: _Row("Smoke", "smoke-sensor", "binary", YES),
    Of.CARBON_MONOXIDE_DETECTED: _Row("Carbon monoxide", "co-sensor", "binary", YES),
    Of.CARBON_DIOXIDE_LEVEL: _Row("Carbon dioxide", "co2-sensor", "decimal", (0, 100_000), "ppm"),
    Of.BATTERY_LEVEL: _Row("Battery", "battery", "integer", PERCENT, "percent"),
    Of.STATUS_LO_BATT: _Row("Battery low", "battery-low", "binary", YES),
    Of.VENDOR_EVE_ENERGY_WATT: _Row("Power", "switch", "power", (0, 100_000), "watt"),
    Of.VENDOR_EVE_ENERGY_KW_HOUR: _Row("Energy", "switch", "energy", (0, 1_000_000), "kilowatt-hour"),
    Of.VENDOR_EVE_ENERGY_VOLTAGE: _Row("Voltage", "switch", "voltage", (0, 1_000), "volt"),
    Of.VENDOR_EVE_ENERGY_AMPERE: _Row("Current", "switch", "current", (0, 1_000), "ampere"),
}

WAYS: dict[str, Callable[[int, Service, Names], Iterator[Part]]] = {
    Kinds.LIGHTBULB: _light.lamp,
    Kinds.LOCK_MECHANISM: _movers.lock,
    Kinds.GARAGE_DOOR_OPENER: _movers.garage_door,
    Kinds.WINDOW_COVERING: _movers.cover,
    Kinds.WINDOW: _movers.cover,
    Kinds.DOOR: _movers.cover,
}

PRESSES = {0: 1, 1: 2, 2: 3}  # single, double, long; as Gladys counts them: click, double click, long click


def parts(accessories: Sequence[Accessory]) -> dict[str, Part]:
    """Return everything that can be driven, by component; each name is there once, and tells which it is."""
    found: dict[str, Part] = {}
    uses = Counter[str]()
    for accessory in accessories:
        for service in accessory.services:
            names = _names(accessory.name if len(accessories) > 1 else "", _own_name(accessory, service), service)
            for part in _of(accessory.aid, service, names):
                if part.component not in found:
                    uses[part.name] += 1
                    name = part.name if uses[part.name] == 1 else f"{part.name} {uses[part.name]}"
                    found[part.component] = structs.replace(part, name=name)
    return found


def _names(accessory: str, own: str, service: Service) -> Names:
    index = service.first(Of.SERVICE_LABEL_INDEX)  # printed beside a button
    number_ = number(index.value) if index is not None else None
    label = "" if own or number_ is None else f"{number_:g}"
    whose = [own] if own.startswith(accessory) else [accessory, own]

    def name(what: str) -> str:
        return " ".join(word for word in (*whose, what, label) if word)

    return name


def _own_name(accessory: Accessory, service: Service) -> str:
    """Return what a service is called, if that says more than the accessory's own name."""
    name = service.text(Of.CONFIGURED_NAME) or service.text(Of.NAME)
    return "" if name == accessory.name else name


def _of(aid: int, service: Service, names: Names) -> Iterator[Part]:
    if service.type in WAYS:
        yield from WAYS[service.type](aid, service, names)
    for one in service.characteristics:
        if one.type == Of.INPUT_EVENT:
            yield _button((aid, one.iid), names)
        elif one.type in ROWS and one.readable and (one.type, service.type) != (Of.ON, Kinds.LIGHTBULB):
            yield _plain((aid, one.iid), one, ROWS[one.type], names)


def _plain(id_: Id, one: Characteristic, row: _Row, names: Names) -> Part:
    limits = range_of(one, row.range)

    def value(values: Values) -> float | None:
        found = number(values.get(id_))
        return found if found is None or not row.turned else 1 - min(max(found, 0), 1)

    def command(wanted: float, _: Values) -> Command:
        return Command({id_: fitting(one, wanted, limits)})

    return Part(
        component=f"{id_[0]}.{id_[1]}",
        name=names(row.name),
        category=row.category,
        type=row.type,
        range=limits,
        unit=row.unit,
        reads=(id_,),
        value=value,
        command=command if row.written and one.writable else None,
    )


def _button(id_: Id, names: Names) -> Part:
    return Part(
        component=f"{id_[0]}.{id_[1]}",
        name=names("Button"),
        category="button",
        type="click",
        range=(1, 3),
        reads=(id_,),
        press=lambda raw: PRESSES.get(raw) if isinstance(raw, int) and not isinstance(raw, bool) else None,
    )
