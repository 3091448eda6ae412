"""Members of what a phone sent, read one by one; what is missing or wrong gets the sentence that its quarantine shows.

Apps send numbers as text now and then (forms always do), so a number in text is that number.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from gladys_companion.errors import ProtocolError

__all__ = ["AHEAD", "OLDEST", "coordinates", "digest", "moment", "number", "numeric", "object_of", "texts", "word"]

AHEAD = 300.0  # seconds that a phone's clock may be fast
OLDEST = 366 * 86_400.0  # seconds; a phone's queue can be long, but not years

MOST_LATITUDE = 90.0
MOST_LONGITUDE = 180.0

_LONGEST = 255  # characters of a name that is kept
_MOST_TEXTS = 100
_SHOWN = 40  # characters of a wrong value that its sentence shows
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)

_any = msgspec.json.Decoder()


def object_of(body: bytes, what: str) -> dict[str, Any]:
    """Return the members of a JSON object; ``what`` names it, such as "An OwnTracks message".

    Raises:
        ProtocolError: it is not one.
    """
    try:
        value = _any.decode(body)
    except RecursionError:
        raise ProtocolError(f"{what} is nested too deeply to be read.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"{what} is not JSON: {error}.") from None
    if isinstance(value, list):
        raise ProtocolError(f"{what} is an array, where one object is allowed.")
    if not isinstance(value, dict):
        raise ProtocolError(f"{what} is no JSON object.")
    return value


def numeric(value: object) -> float | None:
    """Return a finite number, also one in text; None for anything else (true is not a number)."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = value.strip()
    elif isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def number(
    members: Mapping[str, Any], name: str, at_least: float = -math.inf, at_most: float = math.inf
) -> float | None:
    """Return a member that may be unknown: None if it is absent, no number or out of range."""
    found = numeric(members.get(name))
    return found if found is not None and at_least <= found <= at_most else None


def _needed(members: Mapping[str, Any], name: str, what: str) -> float:
    value = members.get(name)
    if value is None:
        raise ProtocolError(f"{what} has no {name}.")
    found = numeric(value)
    if found is None:
        raise ProtocolError(f"{what} has a {name} that is no finite number: {_shown(value)}.")
    return found


def coordinates(
    members: Mapping[str, Any], what: str, latitude: str = "lat", longitude: str = "lon"
) -> tuple[float, float]:
    """Return latitude and longitude in degrees.

    Raises:
        ProtocolError: one is missing, no finite number, or out of range.
    """
    found = []
    for name, most in ((latitude, MOST_LATITUDE), (longitude, MOST_LONGITUDE)):
        degrees = _needed(members, name, what)
        if not -most <= degrees <= most:
            raise ProtocolError(f"{what} has a {name} of {degrees:g}, which is not between -{most:g} and {most:g}.")
        found.append(degrees)
    return found[0], found[1]


def moment(value: object, what: str, now: float, name: str = "tst") -> float:
    """Return when something happened, in seconds since the epoch.

    Args:
        value: a number of seconds, or of milliseconds from 1e11 on, or ISO 8601 text (without an offset: UTC).
        what: names the message in sentences.
        now: when it was received, by a clock that can be believed.
        name: of the member.

    Raises:
        ProtocolError: it is missing, no time, zero, more than five minutes in the future or over a year old.
    """
    if value is None or value == "":
        raise ProtocolError(f"{what} has no {name}.")
    seconds = numeric(value)
    if seconds is None:
        seconds = _from_iso(value)
    elif seconds >= 1e11:  # noqa: PLR2004 - seconds that would lie after the year 5138 are milliseconds
        seconds /= 1000
    if seconds is None:
        raise ProtocolError(f"{what} has a {name} that is no time: {_shown(value)}.")
    if seconds <= 0:
        raise ProtocolError(f"{what} has a {name} of {seconds:g}: the phone did not know the time.")
    if seconds > now + AHEAD:
        raise ProtocolError(f"{what} has a {name} {_long(seconds - now)} in the future: check the phone's clock.")
    if seconds < now - OLDEST:
        raise ProtocolError(f"{what} has a {name} {_long(now - seconds)} in the past, which says nothing any more.")
    return seconds


def _from_iso(value: object) -> float | None:
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value.strip())
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _long(seconds: float) -> str:
    for unit, length in (("years", 365 * 86_400), ("days", 86_400), ("hours", 3_600)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 60:.0f} minutes"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def word(members: Mapping[str, Any], name: str) -> str | None:
    """Return a text without the white space around it; None if it is absent, empty, no text or over 255 characters."""
    value = members.get(name)
    if not isinstance(value, str):
        return None
    value = value.strip()
    return value if 0 < len(value) <= _LONGEST and value.isprintable() else None


def texts(members: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    """Return a list of names, an empty one too, at most a hundred; None if there is no list."""
    values = members.get(name)
    if not isinstance(values, list):
        return None
    return tuple(one.strip() for one in values[:_MOST_TEXTS] if isinstance(one, str) and len(one) <= _LONGEST)


def digest(*parts: object) -> str:
    """Return a short text that is the same for the same parts."""
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()[:32]
