"""A device of ours as Gladys wants it to create it. Pure.

Gladys makes a device that exists the same as what it is given, and deletes its other features with their history: so
what it has of such a device is given back to it as it is, but for what we know better.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gladys_companion.gladys_api.kinds import CATEGORIES, UNITS
from gladys_companion.model import Device, Feature

__all__ = ["offer"]

ANYTHING = 100_000.0  # Gladys wants a range of everything; its own integrations use this one where there is none
OPENINGS = frozenset({"garage-door", "awning", "pergola"})
GLADYS_KEEPS = frozenset(
    {"created_at", "updated_at", "last_value", "last_value_string", "last_value_changed", "last_value_is_too_old"}
)

Members = dict[str, Any]


def offer(
    device: Device, features: Sequence[Feature], service_id: str, existing: Mapping[str, Any] | None
) -> Members | None:
    """Return the members of a device to be created, or to be made the same; None where it is as it should be already.

    Args:
        device: of ours.
        features: all of its own.
        service_id: of Gladys' MQTT service, which carries values and commands.
        existing: what Gladys has of this external id, as it wrote it; None if nothing.
    """
    ours = {feature.external_id: _members(feature) for feature in features}
    if existing is None:
        return {
            "name": device.name or device.id,
            "external_id": device.id,
            "selector": device.id,
            "model": device.model or None,
            "service_id": service_id,
            "should_poll": False,
            "features": list(ours.values()),
            "params": [],
        }
    theirs = [one for one in existing.get("features") or () if isinstance(one, dict)]
    told = {str(one.get("external_id")): one for one in theirs}
    merged = [{**one, **_ours_to_say(ours[id_])} if id_ in ours else one for id_, one in told.items()]
    merged += [members for id_, members in ours.items() if id_ not in told]
    if merged == theirs:
        return None
    kept = {name: existing.get(name) for name in ("name", "external_id", "selector", "model", "room_id", "service_id")}
    return {**kept, "features": _without(merged, GLADYS_KEEPS), "params": _without(existing.get("params") or (), ())}


def _members(feature: Feature) -> Members:
    category, type_ = _kind(feature)
    low, high = _range(feature)
    return {
        "name": feature.name or feature.external_id,
        "external_id": feature.external_id,
        "selector": feature.external_id,  # else it would be made of the name, which many have
        "category": category,
        "type": type_,
        "read_only": not feature.writable,
        "keep_history": feature.keep_history,
        "has_feedback": feature.writable,  # so that Gladys shows a lamp as on when we say that it is
        "unit": feature.unit if feature.unit in UNITS else None,
        "min": low,
        "max": high,
    }


def _ours_to_say(members: Members) -> Members:
    return {name: members[name] for name in ("read_only", "has_feedback")}


def _kind(feature: Feature) -> tuple[str, str]:
    """Return category and type, or the nearest that Gladys has."""
    if feature.category in CATEGORIES:
        return feature.category, feature.type or "unknown"
    if feature.category in OPENINGS and feature.type in {"state", "position"}:
        return "shutter", feature.type
    return ("switch", "binary") if feature.type == "binary" else ("unknown", "unknown")


def _range(feature: Feature) -> tuple[float, float]:
    low, high = (0.0, 1.0) if feature.type == "binary" or feature.momentary else (-ANYTHING, ANYTHING)
    if feature.unit == "percent":
        low, high = 0.0, 100.0
    if feature.textual:
        low, high = 0.0, 0.0
    return (low if feature.min is None else feature.min), (high if feature.max is None else feature.max)


def _without(some: Iterable[Any], names: Iterable[str]) -> list[Members]:
    return [{name: value for name, value in one.items() if name not in names} for one in some]
