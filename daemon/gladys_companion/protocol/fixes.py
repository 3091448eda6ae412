"""A phone's position and state as one typed value, whatever app told it, and the features that its state becomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from gladys_companion.model import Feature

__all__ = ["Connection", "Fix", "Reading", "phone_feature", "readings"]

Connection = Literal["wifi", "mobile", "offline"]


class Fix(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a phone was at a time, and what it told of itself. None is unknown everywhere, never zero.

    ``key`` is the same for the same fix sent again, also with other fields changed. ``at`` is seconds since the epoch,
    by the phone, or of arrival where it named no time (then not ``dated``). Metres, metres per second, degrees and
    percent. ``regions`` are the names of the regions that the phone says it is in; None if it did not say.
    """

    key: str
    at: float
    latitude: float
    longitude: float
    accuracy: float | None = None
    altitude: float | None = None
    vertical_accuracy: float | None = None
    speed: float | None = None
    course: float | None = None
    battery: float | None = None
    charging: bool | None = None
    connection: Connection | None = None
    ssid: str | None = None
    bssid: str | None = None
    trigger: str | None = None
    regions: tuple[str, ...] | None = None
    region_ids: tuple[str, ...] | None = None
    tracker_id: str | None = None
    created_at: float | None = None
    dated: bool = True


class Reading(Struct, frozen=True):
    """What a feature of the phone's device has become: a number or a text."""

    component: str
    value: float | None = None
    text: str | None = None


class _Shape(Struct, frozen=True):
    name: str
    category: str
    type: str
    unit: str | None = None
    max: float | None = None


_SHAPES: Mapping[str, _Shape] = {
    "battery": _Shape("Battery", "battery", "integer", "percent", 100),
    "charging": _Shape("Charging", "unknown", "unknown", None, 1),  # Gladys has no category for it
    "connection": _Shape("Connection", "text", "text"),
    "wifi": _Shape("Wi-Fi", "text", "text"),
}


def phone_feature(device_id: str, component: str) -> Feature:
    """Return the feature of a phone's device that a reading's component belongs to.

    Components: ``battery`` (percent), ``charging`` (0 or 1), ``connection`` (the text wifi, mobile or offline) and
    ``wifi`` (the network's name, empty when there is none).
    """
    shape = _SHAPES[component]
    return Feature(
        external_id=f"{device_id}:{component}",
        device=device_id,
        name=shape.name,
        category=shape.category,
        type=shape.type,
        unit=shape.unit,
        min=None if shape.max is None else 0,
        max=shape.max,
    )


def readings(fix: Fix) -> tuple[Reading, ...]:
    """Return what a fix says of the phone's own state; nothing for what it does not know.

    A phone that says it is connected otherwise than by Wi-Fi is in no network; one that is, but may not say in which,
    says nothing.
    """
    found = []
    if fix.battery is not None:
        found.append(Reading("battery", value=float(round(fix.battery))))
    if fix.charging is not None:
        found.append(Reading("charging", value=float(fix.charging)))
    if fix.connection is not None:
        found.append(Reading("connection", text=fix.connection))
    if fix.ssid is not None:
        found.append(Reading("wifi", text=fix.ssid))
    elif fix.connection in {"mobile", "offline"}:
        found.append(Reading("wifi", text=""))
    return tuple(found)
