"""Where a device may be, decided without asking anybody: pure functions on what is announced and what was verified."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec
from msgspec import Struct, structs

from gladys_companion.discovery.limits import HIGHEST_PORT, MOST_FEATURES, MOST_HOST, MOST_NAME, MOST_PLACES, Pace
from gladys_companion.discovery.services import clean
from gladys_companion.discovery.sightings import Key
from gladys_companion.errors import Rejected
from gladys_companion.model import Device, Feature

__all__ = ["Claim", "Place", "View", "admitted", "check", "elsewhere", "is_due", "places", "view_of", "wait_for"]

MOST_ID = 2 * MOST_NAME  # of a feature: that of its device, and its own

T = TypeVar("T", bound=Struct)


class Claim(Struct, frozen=True):
    """One announcement that says to be a device: what the driver made of it, and everything it announces."""

    device: Device
    addresses: tuple[str | None, ...]
    txt: Mapping[str, str]


class Place(Struct, frozen=True):
    """Where to look for a device; ``verified`` if it was found there before."""

    device: Device
    verified: bool


View = frozenset[tuple[tuple[str | None, ...], int | None, tuple[tuple[str, str], ...]]]
"""All that is announced of a device at one moment, to be compared."""


def admitted(device: Device, driver: str) -> Device:
    """Return the device that a driver identified, its texts fit to be shown.

    Raises:
        Rejected: its identity can not be one, or is not the driver's own.
    """
    known = _typed(device, Device, driver)
    if not _is_id(known.id, MOST_NAME):
        raise Rejected(f"The driver {driver} gave it an id that can not be one.")
    if known.driver != driver:
        raise Rejected(f"The driver {driver} identified it as a device of {clean(known.driver)!r}.")
    if known.port is not None and not 0 < known.port <= HIGHEST_PORT:
        raise Rejected(f"The driver {driver} gave it a port that can not be one.")
    return structs.replace(
        known,
        name=clean(known.name) or known.id,
        model=clean(known.model),
        host=None if known.host is None else clean(known.host, MOST_HOST),
        address=None if known.address is None else clean(known.address, MOST_HOST),
    )


def check(device: Device, features: Iterable[Feature]) -> tuple[Feature, ...]:
    """Return the features that a driver described, fit to be kept and shown.

    Raises:
        Rejected: there are too many, one belongs to another device, or one can not be a feature.
    """
    listed = tuple(features)
    if len(listed) > MOST_FEATURES:
        raise Rejected(f"It has {len(listed)} features, more than {MOST_FEATURES}.")
    return tuple(_checked(device, _typed(one, Feature, device.driver)) for one in listed)


def _checked(device: Device, feature: Feature) -> Feature:
    if feature.device != device.id:
        raise Rejected(f"It told a feature of another device, {clean(feature.device)!r}.")
    if not _is_id(feature.external_id, MOST_ID):
        raise Rejected(f"The driver {device.driver} told a feature whose id can not be one.")
    if not all(math.isfinite(bound) for bound in (feature.min, feature.max) if bound is not None):
        raise Rejected(f"The driver {device.driver} told bounds of {feature.external_id!r} that are no numbers.")
    return structs.replace(
        feature,
        name=clean(feature.name) or feature.external_id,
        category=clean(feature.category),
        type=clean(feature.type),
        unit=None if feature.unit is None else clean(feature.unit),
    )


def _typed(told: object, type_: type[T], driver: str) -> T:
    """Return what a driver made, if each of its members is what its type says: a third party's need not be."""
    try:
        return msgspec.convert(structs.asdict(told) if isinstance(told, type_) else told, type_)
    except msgspec.ValidationError as error:
        raise Rejected(f"The driver {driver} told what is no {type_.__name__}: {clean(str(error))}.") from error


def _is_id(text: str, most: int) -> bool:
    return 0 < len(text) <= most and text.isprintable() and text == text.strip()


def view_of(claims: Iterable[Claim]) -> View:
    """Return what is announced, in a form that can be compared."""
    return frozenset((claim.addresses, claim.device.port, tuple(sorted(claim.txt.items()))) for claim in claims)


def _is_at(claim: Claim, device: Device) -> bool:
    return claim.device.port == device.port and device.address in claim.addresses


def places(verified: Device | None, claims: Sequence[Claim]) -> tuple[Place, ...]:
    """Return where to look for a device, in order: where it was verified before, then where it is announced newly.

    Who was verified keeps the identity as long as it answers, whoever else announces it.
    """
    found: list[Place] = []
    if verified is not None:
        here = next((claim for claim in claims if _is_at(claim, verified)), None)
        if here is not None:
            found.append(Place(structs.replace(here.device, address=verified.address), verified=True))
        elif verified.address is not None:
            found.append(Place(verified, verified=True))
    for claim in reversed(claims):  # the newest first: a device that moved says so last
        if all((claim.device.address, claim.device.port) != (one.device.address, one.device.port) for one in found):
            found.append(Place(claim.device, verified=False))
    return tuple(found[:MOST_PLACES])


def elsewhere(device: Device, claims: Mapping[Key, Claim]) -> frozenset[Key]:
    """Return the claims that announce a device in another place than the one where it was found."""
    return frozenset(key for key, claim in claims.items() if not _is_at(claim, device))


def wait_for(pace: Pace, asked_at: float, *, moved: bool, now: float) -> float:
    """Return the seconds until a device whose announcement changed may be asked; 0 if at once.

    Args:
        pace: the intervals.
        asked_at: when it was asked last, on the boot clock.
        moved: it is announced in a new place, so asking can not wait long.
        now: boot clock.
    """
    return max(0.0, asked_at + (pace.contested if moved else pace.again) - now)


def is_due(age: float, every: float) -> bool:
    """Return whether something that is looked at each ``every`` seconds is to be tried: at 1, 2, 4, 8... times that."""
    times = max(0, int(age / every))
    return times.bit_count() == 1
