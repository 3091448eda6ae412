"""What a lamp's state means as feature values, and which body commands one: pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wled import Device as Answer
from wled import LightCapability, Segment, State

from gladys_companion.errors import Rejected
from gladys_companion.model import Device, Feature

__all__ = ["body", "features", "value", "values"]

WHITE = 0xFFFFFF
MOST = {"on": 1, "brightness": 255, "color": WHITE, "effect": 255, "preset": 250}  # of any lamp
KINDS = {
    "on": ("light", "binary"),
    "brightness": ("light", "brightness"),
    "color": ("light", "color"),
    "effect": ("light", "effect-mode"),
    "preset": ("unknown", "unknown"),  # Gladys has nothing like it
}
SOLID = 0  # the effect that shows nothing but the segment's first colour


def features(device: Device, answer: Answer, presets: Iterable[int] = ()) -> tuple[Feature, ...]:
    """Return what this lamp can do: colour only where its LEDs have any, presets where its owner made some.

    Args:
        device: the lamp.
        answer: its state and info.
        presets: their numbers.
    """
    most = {**MOST, "effect": max(0, answer.info.effect_count - 1), "preset": max(presets, default=0)}
    return tuple(
        Feature(
            external_id=f"{device.id}:{component}",
            device=device.id,
            name=component.capitalize(),
            category=KINDS[component][0],
            type=KINDS[component][1],
            min=0,
            max=most[component],
            writable=True,
        )
        for component in (*_components(answer), "effect", "preset")
        if most[component]
    )


def values(answer: Answer) -> dict[str, float]:
    """Return the value of each component that the lamp has."""
    found = {component: value(component, answer.state) for component in (*_components(answer), "effect", "preset")}
    return {component: number for component, number in found.items() if number is not None}


def value(component: str, state: State) -> float | None:
    """Return ``on`` as 0 or 1, ``brightness`` as 0-255, ``color`` of the main segment as 0xRRGGBB; None for no other.

    ``effect`` is the number of the main segment's effect, ``preset`` that of the preset which shows, 0 if none does.

    A lamp that is off shines with brightness 0, whatever it will have when turned on, so that what was commanded and
    what is told are the same.
    """
    if component == "on":
        return int(state.on)
    if component == "brightness":
        return state.brightness if state.on else 0
    if component == "preset":
        return max(0, state.preset_id or 0)
    segment = _main_segment(state)
    if component == "effect" and segment is not None and isinstance(segment.effect_id, int):
        return segment.effect_id
    if component != "color" or segment is None or segment.color is None:
        return None
    red, green, blue = segment.color.primary[:3]
    return red << 16 | green << 8 | blue


def body(component: str, wanted: float, state: State) -> dict[str, Any]:
    """Return the ``/json/state`` body that gives a component this value.

    A colour ends a running effect of the main segment, which would hide it.

    Raises:
        Rejected: the component is none of ours, or can not have this value.
    """
    most = MOST.get(component)
    if most is None:
        raise Rejected(f"A WLED lamp has no {component!r} that could be set.")
    if not 0 <= wanted <= most or wanted != int(wanted):
        raise Rejected(f"The {component} of a WLED lamp is a whole number from 0 to {most}.")
    number = int(wanted)
    if component == "on":
        return {"on": bool(number)}
    if component == "brightness":
        return {"bri": number} if number else {"on": False}
    if component == "preset":
        if not number:
            raise Rejected("0 says that no preset shows. Choose one of the lamp's, by its number.")
        return {"ps": number}
    segment = _main_segment(state)
    if segment is None:
        raise Rejected("The lamp has no segment that could have a colour or an effect.")
    if component == "effect":
        return {"seg": {"id": segment.segment_id, "fx": number}}
    return {"seg": {"id": segment.segment_id, "fx": SOLID, "col": [[number >> 16, number >> 8 & 255, number & 255]]}}


def _components(answer: Answer) -> tuple[str, ...]:
    colored = LightCapability.RGB_COLOR in answer.info.leds.light_capabilities
    return ("on", "brightness", "color") if colored else ("on", "brightness")


def _main_segment(state: State) -> Segment | None:
    return state.segments.get(state.main_segment_id) or next(iter(state.segments.values()), None)
