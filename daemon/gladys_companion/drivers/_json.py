"""JSON of devices that are not trusted: bounded, total, and looked into without surprise. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

__all__ = ["LARGEST", "Path", "at", "decoded", "number"]

LARGEST = 65_536  # bytes
LARGEST_NUMBER = 1e300

Path = tuple[str | int, ...]
"""Steps into JSON: names of members, indexes of arrays."""


def decoded(payload: bytes) -> object:
    """Return what JSON means.

    Raises:
        ValueError: it is none, or more than ``LARGEST``, or nested too deeply.
    """
    if len(payload) > LARGEST:
        raise ValueError(f"more than {LARGEST} bytes")
    try:
        found: object = msgspec.json.decode(payload)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return found


def at(told: object, path: Path) -> object:
    """Return what stands at a path; None where nothing does."""
    for step in path:
        if isinstance(step, str):
            told = told.get(step) if isinstance(told, Mapping) else None
        else:
            holds = isinstance(told, Sequence) and not isinstance(told, str) and -len(told) <= step < len(told)
            told = told[step] if holds else None  # type: ignore[index]  # a sequence, as just asked
    return told


def number(told: object) -> float | None:
    """Return a number that a feature can have; None where it is none. True and false are none."""
    usable = isinstance(told, int | float) and not isinstance(told, bool) and abs(told) <= LARGEST_NUMBER
    return float(told) if usable else None  # type: ignore[arg-type]  # a number, as just asked
