"""Gladys' devices and features as ours, and what is left alone of them. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import Struct

from gladys_companion.gladys_api import GladysDevice, GladysFeature, moment
from gladys_companion.model import Device, Feature, RegistrySnapshot
from gladys_companion.resolve import GLADYS, GLADYS_DEVICES, VIRTUAL

__all__ = ["NAME", "OFFERED", "Known", "Shown", "agrees", "known", "shown"]

NAME = GLADYS_DEVICES
OFFERED = "homeassistant:gladys-companion-"  # how the ids of devices begin that Gladys made of what we announced
LONGEST_ID = 200
LONGEST_TEXT = 10_000
MOST_FEATURES = 256
SAME = 0.02  # of a range: devices round what they are given
CHANNEL = 8  # of 255, likewise
FEW = 2  # on and off, or open, stop and close: nothing there to round


class Known(Struct, frozen=True, kw_only=True):
    """A device of Gladys as one of ours; ``theirs`` maps our external ids, which are Gladys' own, onto its features.

    ``taken`` names those of its external ids that already mean something here, and what.
    """

    device: Device
    features: tuple[Feature, ...]
    theirs: Mapping[str, GladysFeature]
    taken: Mapping[str, str] = {}


class Shown(Struct, frozen=True):
    """The last value that Gladys has of a feature, and since when (epoch seconds)."""

    value: float | str
    at: float


def known(one: GladysDevice, registry: RegistrySnapshot, *, host: str, port: int) -> Known | None:
    """Return a device of Gladys as one of ours; None where it is one of ours already, and Gladys has it from us.

    Args:
        one: as Gladys has it.
        registry: what is ours. What has the same id keeps it.
        host: of Gladys, through which it is reached.
        port: likewise.
    """
    ours = registry.devices.get(one.external_id)
    if one.external_id.startswith(OFFERED) or one.external_id in {NAME, VIRTUAL, GLADYS, *registry.targets}:
        return None
    if ours is not None and ours.driver != NAME and (ours.driver != VIRTUAL or ours.id in registry.shared):
        return None
    if not _is_id(one.external_id):
        return None
    features: list[Feature] = []
    theirs: dict[str, GladysFeature] = {}
    taken: dict[str, str] = {}
    for feature in one.features[:MOST_FEATURES]:
        if not _is_id(feature.external_id) or feature.external_id in theirs or not feature.selector:
            continue
        if (here := _taken(feature.external_id, one.external_id, registry)) is not None:
            taken[feature.external_id] = here
        else:
            features.append(_feature(one, feature))
            theirs[feature.external_id] = feature
    device = Device(
        id=one.external_id,
        driver=NAME,
        name=_shown_name(one.name) or one.external_id,
        model=_shown_name(one.model or ""),
        address=host,
        port=port,
    )
    return Known(device=device, features=tuple(features), theirs=theirs, taken=taken)


def _taken(external_id: str, device_id: str, registry: RegistrySnapshot) -> str | None:
    """Return what an external id means here already, other than this device of Gladys; None if nothing."""
    owner = registry.features.get(external_id)
    if owner is not None:
        device = registry.devices.get(owner.device)
        return None if owner.device == device_id and device is not None and device.driver == NAME else owner.device
    meant = registry.aliases.get(external_id)
    return None if meant is None else f"an alias of {meant}"


def _feature(one: GladysDevice, feature: GladysFeature) -> Feature:
    low, high = _finite(feature.min), _finite(feature.max)
    if low is None or high is None or low >= high:  # such as 0 and 0, where nobody thought of a range
        low = high = None
    return Feature(
        external_id=feature.external_id,
        device=one.external_id,
        name=_shown_name(feature.name) or feature.external_id,
        category=_shown_name(feature.category),
        type=_shown_name(feature.type),
        unit=_shown_name(feature.unit) if feature.unit else None,
        min=low,
        max=high,
        writable=not feature.read_only,
        keep_history=feature.keep_history,
    )


def _is_id(text: str) -> bool:
    return 0 < len(text) <= LONGEST_ID and text.isprintable() and text == text.strip()


def _shown_name(text: str) -> str:
    """Return a text that can not move the cursor of who reads it, and is not too long to be read."""
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[:LONGEST_ID]


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def shown(feature: GladysFeature, *, textual: bool, now: float) -> Shown | None:
    """Return the last value of a feature; None where Gladys has none, or does not say since when.

    A clock of Gladys' that is ahead of ours does not make its values newer than now.
    """
    value = (feature.last_value_string or "")[:LONGEST_TEXT] or None if textual else _finite(feature.last_value)
    at = moment(feature.last_value_changed)
    return None if value is None or at is None else Shown(value, min(at, now))


def agrees(feature: Feature, before: Shown | None, last: Shown | None, wanted: float | str) -> bool:
    """Return whether the value that Gladys has is the one that was wanted.

    Args:
        feature: whose it is.
        before: what Gladys had when it was asked to command the device; a value that came since may be rounded.
        last: what it has now.
        wanted: what it was asked for.
    """
    if last is None or isinstance(wanted, str) or isinstance(last.value, str):
        return last is not None and last.value == wanted
    if last.value == wanted:
        return True
    return (before is None or last.at > before.at) and _is_near(feature, last.value, wanted)


def _is_near(feature: Feature, value: float, wanted: float) -> bool:
    if feature.type == "color":
        channels = ((int(value) >> shift & 255, int(wanted) >> shift & 255) for shift in (16, 8, 0))
        return all(abs(one - other) <= CHANNEL for one, other in channels)
    if feature.min is None or feature.max is None or feature.max - feature.min <= FEW:
        return False
    return abs(value - wanted) <= (feature.max - feature.min) * SAME
