"""What an id that means nothing here may have been meant for: ids and names that are most like it. Pure."""

from __future__ import annotations

from itertools import chain, islice

from gladys_companion.model import RegistrySnapshot
from gladys_companion.resolve import addressable

__all__ = ["likely", "nearest"]

MOST_COMPARED = 1_000  # ids that are looked at, so that a stranger's id never costs more
MOST_READ = 100  # characters of an id
ALIKE = 0.3  # share of common trigrams


def nearest(registry: RegistrySnapshot, external_id: str, key_id: str | None) -> tuple[str, ...]:
    """Return up to three external ids most like this one, only such as this key may address.

    Costs a few milliseconds in a large registry: not for the writer, nor for the loop.
    """
    wanted = _trigrams(external_id)
    alike: list[tuple[float, str]] = []
    for candidate in islice(chain(registry.aliases, registry.features), MOST_COMPARED):
        share = _share(wanted, _trigrams(candidate))
        if share >= ALIKE:
            alike.append((-share, candidate))
    found = []
    for _, candidate in sorted(alike):
        feature = registry.feature(candidate)
        if feature is not None and addressable(registry, feature, candidate, key_id):
            found.append(candidate)
    return tuple(found[:3])


def likely(registry: RegistrySnapshot, external_id: str) -> tuple[str, ...]:
    """Return up to three features that an unknown id may mean, by what they and their devices are called.

    Costs a few milliseconds in a large registry, as ``nearest``.
    """
    wanted = _trigrams(external_id)
    alike: list[tuple[float, str]] = []
    for feature in islice(registry.features.values(), MOST_COMPARED):
        device = registry.devices.get(feature.device)
        called = f"{device.name if device is not None else ''} {feature.name}"
        share = max(_share(wanted, _trigrams(feature.external_id)), _share(wanted, _trigrams(called)))
        if share >= ALIKE:
            alike.append((-share, feature.external_id))
    return tuple(found for _, found in sorted(alike)[:3])


def _share(some: frozenset[str], others: frozenset[str]) -> float:
    return len(some & others) / len(some | others)


def _trigrams(text: str) -> frozenset[str]:
    padded = f" {text[:MOST_READ].lower()} "
    return frozenset(padded[start : start + 3] for start in range(len(padded) - 2))
