"""Lamps: on, brightness, colour and colour temperature; pure.

A lamp that is off shines black with brightness 0, whatever it will have when it is turned on, so that what was
commanded and what is told are the same. Gladys' colours are 24 bits; how dark one is is left to the brightness.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterator

from aiohomekit.model.characteristics import CharacteristicsTypes as Of

from gladys_companion.drivers.homekit._accessories import Characteristic, Id, Service, number
from gladys_companion.drivers.homekit._part import Command, Names, Part, Values, fitting, range_of
from gladys_companion.errors import Rejected

__all__ = ["lamp"]

WHITE = 0xFFFFFF


def lamp(aid: int, service: Service, names: Names) -> Iterator[Part]:
    """Yield the parts of a Lightbulb service."""
    on, brightness, hue, saturation, warmth = (
        one if (one := service.first(type_)) is not None and one.readable else None
        for type_ in (Of.ON, Of.BRIGHTNESS, Of.HUE, Of.SATURATION, Of.COLOR_TEMPERATURE)
    )
    if on is None:
        return
    lit = (aid, on.iid)
    yield _switch(lit, on, names)
    if brightness is not None:
        yield _dimmer((aid, brightness.iid), brightness, lit, names)
    if hue is not None and saturation is not None:
        yield _paint(aid, hue, saturation, lit, names)
    if warmth is not None:
        yield _warmth((aid, warmth.iid), warmth, names)


def _switch(lit: Id, on: Characteristic, names: Names) -> Part:
    def command(wanted: float, _: Values) -> Command:
        return Command({lit: fitting(on, wanted, (0, 1))})

    return Part(
        component=f"{lit[0]}.{lit[1]}",
        name=names("On"),
        category="light",
        type="binary",
        range=(0, 1),
        reads=(lit,),
        value=lambda values: number(values.get(lit)),
        command=command if on.writable else None,
    )


def _dimmer(dim: Id, brightness: Characteristic, lit: Id, names: Names) -> Part:
    _, most = range_of(brightness, (0, 100))

    def value(values: Values) -> float | None:
        is_lit = number(values.get(lit))
        return number(values.get(dim)) if is_lit else is_lit

    def command(wanted: float, values: Values) -> Command:
        level = fitting(brightness, wanted, (0, most))
        if not level:
            return Command({lit: False})
        return Command({dim: level} if values.get(lit) else {lit: True, dim: level})

    return Part(
        component=f"{dim[0]}.{dim[1]}",
        name=names("Brightness"),
        category="light",
        type="brightness",
        unit="percent",
        range=(0, most),
        reads=(dim, lit),
        value=value,
        command=command if brightness.writable else None,
    )


def _paint(aid: int, hue: Characteristic, saturation: Characteristic, lit: Id, names: Names) -> Part:
    angle, purity = (aid, hue.iid), (aid, saturation.iid)
    meant = (aid, -hue.iid)  # what was commanded: degrees and percent can say only some of the colours

    def value(values: Values) -> float | None:
        is_lit, h, s = (number(values.get(one)) for one in (lit, angle, purity))
        if not is_lit or h is None or s is None:
            return is_lit and None
        remembered = values.get(meant)
        if remembered is not None and remembered[:2] == (h, s):
            return int(remembered[2])
        red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(h / 360 % 1, min(max(s / 100, 0), 1), 1))
        return red << 16 | green << 8 | blue

    def command(wanted: float, values: Values) -> Command:
        if not 0 <= wanted <= WHITE or wanted != int(wanted):
            raise Rejected(f"A color is a whole number from 0 to {WHITE} (0xRRGGBB).")
        color = int(wanted)
        if not color:
            return Command({lit: False})
        h, s, _ = colorsys.rgb_to_hsv(*((color >> shift & 255) / 255 for shift in (16, 8, 0)))
        writes = {
            angle: fitting(hue, h * 360, range_of(hue, (0, 360))),
            purity: fitting(saturation, s * 100, range_of(saturation, (0, 100))),
        }
        presumed = {meant: (number(writes[angle]), number(writes[purity]), color)}
        return Command(writes if values.get(lit) else {lit: True} | writes, presumed)

    return Part(
        component=f"{aid}.{hue.iid}.color",
        name=names("Color"),
        category="light",
        type="color",
        range=(0, WHITE),
        reads=(lit, angle, purity),
        value=value,
        command=command if hue.writable and saturation.writable else None,
    )


def _warmth(warm: Id, warmth: Characteristic, names: Names) -> Part:
    limits = range_of(warmth, (140, 500))

    def command(wanted: float, _: Values) -> Command:
        return Command({warm: fitting(warmth, wanted, limits)})

    return Part(
        component=f"{warm[0]}.{warm[1]}",
        name=names("Color temperature"),
        category="light",
        type="temperature",  # in mired, as HomeKit and Gladys have it
        range=limits,
        reads=(warm,),
        value=lambda values: number(values.get(warm)),
        command=command if warmth.writable else None,
    )
