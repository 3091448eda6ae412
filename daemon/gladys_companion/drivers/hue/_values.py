"""What the resources of a Hue bridge mean as features and their values, and which body commands one: pure.

Resources are aiohue's models of CLIP v2, which come without types.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from aiohue.v2.models.button import ButtonEvent
from aiohue.v2.models.contact import ContactState
from aiohue.v2.models.device import DeviceArchetypes
from aiohue.v2.models.feature import ColorFeatureBase, ColorPoint, ColorTemperatureFeatureBase, DimmingFeatureBase
from aiohue.v2.models.feature import OnFeature as On
from aiohue.v2.models.grouped_light import GroupedLightPut
from aiohue.v2.models.light import LightPut
from msgspec import Struct

from gladys_companion.drivers.hue._color import GAMUT, Gamut, Point, color_of, xy_of
from gladys_companion.errors import Rejected
from gladys_companion.model import Device, Feature

__all__ = ["Chosen", "Find", "Part", "click", "command", "device_parts", "features", "group_parts", "value"]

Find = Callable[[str, str], Any]
"""Returns the resource of a type (``light``) and id, or None."""

WHITE = 0xFFFFFF
CLOSE = 0.003  # on the chart, by which a lamp may round: less than an eye sees


class Kind(NamedTuple):
    """What a part is to Gladys."""

    category: str
    type: str
    unit: str | None = None
    min: float | None = None
    max: float | None = None
    writable: bool = False


KINDS: Mapping[str, Kind] = {
    "on": Kind("light", "binary", min=0, max=1, writable=True),
    "brightness": Kind("light", "brightness", "percent", 0, 100, writable=True),
    "temperature": Kind("light", "temperature", None, 153, 500, writable=True),
    "color": Kind("light", "color", None, 0, WHITE, writable=True),
    "plug": Kind("switch", "binary", min=0, max=1, writable=True),
    "motion": Kind("motion-sensor", "binary", min=0, max=1),
    "contact": Kind("opening-sensor", "binary", min=0, max=1),
    "celsius": Kind("temperature-sensor", "decimal", "celsius", -50, 100),
    "light-level": Kind("light-sensor", "decimal", "lux", 0, 100_000),
    "button": Kind("button", "click", min=1, max=4),
    "battery": Kind("battery", "integer", "percent", 0, 100),
}
SENSORS = {  # the type of a service, and the kind and component that it is
    "motion": ("motion", "motion"),
    "contact": ("contact", "contact"),
    "temperature": ("celsius", "temperature"),
    "light_level": ("light-level", "light-level"),
    "device_power": ("battery", "battery"),
}
CLICKS = {  # BUTTON_STATUS in Gladys' server/utils/constants.js
    ButtonEvent.SHORT_RELEASE: 1,
    ButtonEvent.DOUBLE_SHORT_RELEASE: 2,
    ButtonEvent.LONG_PRESS: 3,
    ButtonEvent.LONG_RELEASE: 4,
}


class Part(Struct, frozen=True):
    """One feature of a device, and the resource that it is: ``kind`` is a key of ``KINDS``."""

    component: str
    name: str
    kind: str
    rtype: str
    rid: str
    least: float | None = None
    most: float | None = None


class Chosen(NamedTuple):
    """A colour as it was commanded, and where it is on the lamp's chart, which is all that the lamp tells of it."""

    color: int
    point: Point


def device_parts(device: Any, find: Find) -> tuple[Part, ...]:  # noqa: ANN401 - aiohue's Device
    """Return what can be driven of a device of the bridge; the parts of a second lamp in it end in ``-2``."""
    plug = device.product_data.product_archetype is DeviceArchetypes.PLUG
    used: dict[str, int] = {}
    found: list[Part] = []
    for part in _parts(device.services, find, plug=plug):
        number = used[part.component] = used.get(part.component, 0) + 1
        suffix = f"-{number}" if number > 1 else ""
        found.append(_named(part, f"{part.component}{suffix}", f"{part.name} {number}" if suffix else part.name))
    return tuple(found)


def group_parts(group: Any, find: Find) -> tuple[Part, ...]:  # noqa: ANN401 - aiohue's Room, Zone or BridgeHome
    """Return what can be driven of a room, a zone or the whole home: all its lamps as one."""
    found: list[Part] = []
    for service in group.services:
        light = find("grouped_light", service.rid) if service.rtype.value == "grouped_light" else None
        if light is not None and light.on is not None:
            found.append(Part("on", "All lights", "on", "grouped_light", light.id))
            if light.dimming is not None:
                found.append(Part("brightness", "Brightness", "brightness", "grouped_light", light.id))
    return tuple(found)


def features(device: Device, parts: Iterable[Part]) -> tuple[Feature, ...]:
    """Return the features of a device; temperature of light is in mireds, as in Gladys."""
    return tuple(
        Feature(
            external_id=f"{device.id}:{part.component}",
            device=device.id,
            name=part.name,
            category=KINDS[part.kind].category,
            type=KINDS[part.kind].type,
            unit=KINDS[part.kind].unit,
            min=KINDS[part.kind].min if part.least is None else part.least,
            max=KINDS[part.kind].max if part.most is None else part.most,
            writable=KINDS[part.kind].writable,
        )
        for part in parts
    )


def value(part: Part, resource: Any, chosen: Chosen | None = None) -> float | None:  # noqa: ANN401 - aiohue's model
    """Return what a part is now, in the feature's unit; None where it tells nothing of it, or nothing that is sure.

    A lamp that is off shines with brightness 0 and has no colour, whatever it will have when turned on, so that what
    was commanded and what is told are the same; so is a colour that was ``chosen``.

    Raises:
        ValueError: it is none that there can be.
    """
    found = _value(part.kind, resource, chosen)
    if found is not None and not math.isfinite(found):
        msg = f"a {part.kind} of {found}"
        raise ValueError(msg)
    return found


def click(button: Any) -> int | None:  # noqa: ANN401 - aiohue's Button
    """Return what was just done to a button as Gladys counts it (1 click, 2 double, 3 long, 4 its end), or None.

    A button that knows only one thing clicks as soon as it is pressed.
    """
    event, known = button.button.value, button.button.event_values
    if event is ButtonEvent.INITIAL_PRESS and known is not None and ButtonEvent.SHORT_RELEASE not in known:
        return 1
    return CLICKS.get(event)


def command(part: Part, wanted: float, resource: Any) -> tuple[Any, Chosen | None]:  # noqa: ANN401 - aiohue's models
    """Return the body that gives a part this value, and for a colour what it will be at the lamp.

    Brightness, temperature and colour turn a lamp on; brightness 0 and black turn it off.

    Raises:
        Rejected: it can not be commanded, or not have this value.
    """
    kind = KINDS[part.kind]
    if not kind.writable:
        raise Rejected(f"{part.name} tells something, and can not be commanded.")
    least = kind.min if part.least is None else part.least
    most = kind.max if part.most is None else part.most
    if least is None or most is None or not least <= wanted <= most or wanted != int(wanted):
        raise Rejected(f"{part.name} is a whole number from {least:g} to {most:g}.")
    number = int(wanted)
    body = (GroupedLightPut if part.rtype == "grouped_light" else LightPut)(on=On(on=bool(number)))
    chosen = None
    if number and part.kind == "brightness":
        body.dimming = DimmingFeatureBase(brightness=float(number))
    elif part.kind == "temperature":
        body.color_temperature = ColorTemperatureFeatureBase(mirek=number)
    elif number and part.kind == "color":
        chosen = Chosen(number, xy_of(number, _gamut(resource)))
        body.color = ColorFeatureBase(xy=ColorPoint(*chosen.point))
    return body, chosen


def _parts(services: Iterable[Any], find: Find, *, plug: bool) -> Iterator[Part]:
    for service in services:
        rtype = service.rtype.value
        resource = find(rtype, service.rid)
        if resource is None:
            continue
        if rtype == "light":
            yield from _light_parts(resource, plug=plug)
        elif rtype == "button":
            number = resource.metadata.control_id
            yield Part(f"button-{number}", f"Button {number}", "button", rtype, resource.id)
        elif rtype in SENSORS:
            kind, component = SENSORS[rtype]
            yield Part(component, component.replace("-", " ").capitalize(), kind, rtype, resource.id)


def _light_parts(light: Any, *, plug: bool) -> Iterator[Part]:  # noqa: ANN401 - aiohue's Light
    yield Part("on", "On", "plug" if plug else "on", "light", light.id)
    if light.dimming is not None:
        yield Part("brightness", "Brightness", "brightness", "light", light.id)
    if light.color_temperature is not None:
        schema = light.color_temperature.mirek_schema
        least, most = sorted((schema.mirek_minimum, schema.mirek_maximum))
        yield Part("temperature", "Temperature", "temperature", "light", light.id, max(1, least), max(1, most))
    if light.color is not None:
        yield Part("color", "Color", "color", "light", light.id)


def _named(part: Part, component: str, name: str) -> Part:
    return Part(component, name, part.kind, part.rtype, part.rid, part.least, part.most)


def _value(kind: str, resource: Any, chosen: Chosen | None) -> float | None:  # noqa: ANN401 - aiohue's model
    match kind:
        case "on" | "plug":
            return int(resource.on.on)
        case "brightness":
            percent = round(resource.dimming.brightness) if resource.dimming is not None else 0
            return min(100, max(1, percent)) if resource.on.on else 0
        case "temperature" | "color":
            return _shines(kind, resource, chosen) if resource.on.on else None
        case "battery":
            level = resource.power_state.battery_level
            return None if level is None else min(100, max(0, level))
    return _sensed(kind, resource) if resource.enabled else None


def _shines(kind: str, light: Any, chosen: Chosen | None) -> float | None:  # noqa: ANN401 - aiohue's Light
    white = light.color_temperature
    is_white = white is not None and white.mirek_valid and white.mirek is not None
    if kind == "temperature":
        return white.mirek if is_white else None
    if is_white or light.color is None:
        return None
    point = Point(light.color.xy.x, light.color.xy.y)
    if chosen is not None and math.dist(point, chosen.point) <= CLOSE:
        return chosen.color
    return color_of(point)


def _sensed(kind: str, resource: Any) -> float | None:  # noqa: ANN401 - aiohue's model
    match kind:
        case "motion":
            moves = resource.motion.value if resource.motion is not None else None
            return None if moves is None else int(moves)
        case "contact":  # 1 is closed in Gladys
            report = resource.contact_report
            return None if report is None else int(report.state is ContactState.CONTACT)
        case "celsius":
            degrees = resource.temperature.value
            return None if degrees is None or resource.temperature.temperature_valid is False else round(degrees, 2)
        case "light-level":
            level = resource.light.value
            if level is None or resource.light.light_level_valid is False:
                return None
            return round(10 ** ((min(level, 65_535) - 1) / 10_000), 2) if level > 0 else 0
    return None


def _gamut(light: Any) -> Gamut:  # noqa: ANN401 - aiohue's Light
    told = light.color.gamut if light.color is not None else None
    if told is None:
        return GAMUT
    return (Point(told.red.x, told.red.y), Point(told.green.x, told.green.y), Point(told.blue.x, told.blue.y))
