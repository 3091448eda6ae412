"""Track files as what a phone says when: GPX, OwnTracks messages one a line, or the same as a JSON array. Pure.

In an array or a line, ``received_at`` (seconds since the epoch) is when the message leaves the phone, else ``tst`` is;
``source`` tells the phones of one person apart. That is how the tests' own corpus is written.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
from msgspec import Struct

from gladys_companion.protocol.fields import numeric

__all__ = ["Said", "later", "read_track"]

TIMES = ("tst", "created_at")
FARTHEST = 1e11  # seconds since the epoch; what is later is no time of these


class Said(Struct, frozen=True):
    """One message: when it leaves the phone (seconds since the epoch), which phone that is, and the OwnTracks body."""

    at: float
    source: str
    payload: Mapping[str, Any]


def read_track(text: str) -> tuple[Said, ...]:
    """Return what a track file says, in the order in which it is sent.

    Raises:
        ValueError: it is no track, with a sentence.
    """
    found = tuple(_gpx(text) if text.lstrip("\ufeff \t\r\n").startswith("<") else _messages(text))
    if not found:
        raise ValueError("There is nothing in the track that a phone would send.")
    return tuple(sorted(found, key=lambda said: said.at))


def later(said: Said, seconds: float) -> Said:
    """Return the same as if all of it had happened so much later."""
    shifted = {
        name: type(value)(value + seconds)
        for name, value in said.payload.items()
        if name in TIMES and isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
    return Said(said.at + seconds, said.source, {**said.payload, **shifted})


def _messages(text: str) -> Iterable[Said]:
    last = None
    for number, one in enumerate(_objects(text), start=1):
        if not isinstance(one, dict):
            raise ValueError(f"Message {number} is not a JSON object.")  # noqa: TRY004 - of the file, not of a type
        payload = {name: value for name, value in one.items() if name not in {"received_at", "source"}}
        if not isinstance(payload.get("_type"), str):
            continue  # a hint of the tests' corpus, which no app sends
        at = next((found for name in ("received_at", *TIMES) if (found := numeric(one.get(name))) is not None), last)
        if at is None or abs(at) > FARTHEST:
            raise ValueError(f"Message {number} says neither received_at nor tst: when is it to be sent?")
        last = at
        source = one.get("source")
        yield Said(at, source if isinstance(source, str) and source else "phone", payload)


def _objects(text: str) -> Iterable[Any]:
    try:
        whole = msgspec.json.decode(text)
    except msgspec.DecodeError:
        pass
    else:
        return whole if isinstance(whole, list) else [whole]
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                found.append(msgspec.json.decode(line))
            except msgspec.DecodeError as error:
                raise ValueError(f"Line {number} is neither JSON nor GPX: {error}.") from error
    return found


def _gpx(text: str) -> Iterable[Said]:
    try:
        root = ET.fromstring(text.lstrip("\ufeff \t\r\n"))  # noqa: S314 - the user's own file, and expat bounds entities
    except ET.ParseError as error:
        raise ValueError(f"It begins as GPX, and is not XML: {error}.") from error
    for number, point in enumerate(root.iterfind(".//{*}trkpt"), start=1):
        latitude, longitude = (numeric(point.get(name)) for name in ("lat", "lon"))
        time = _iso(point.findtext("{*}time"))
        if latitude is None or longitude is None:
            raise ValueError(f"Point {number} of the GPX has no lat and lon.")
        if time is None:
            raise ValueError(f"Point {number} of the GPX has no time: it is a route, not a recorded track.")
        payload = {"_type": "location", "lat": latitude, "lon": longitude, "tst": int(time)}
        hdop = numeric(point.findtext("{*}hdop"))
        payload["acc"] = round(hdop * 5) if hdop else 10  # metres; a receiver under an open sky
        altitude = numeric(point.findtext("{*}ele"))
        if altitude is not None:
            payload["alt"] = round(altitude)
        yield Said(time, "phone", payload)


def _iso(text: str | None) -> float | None:
    try:
        at = datetime.fromisoformat((text or "").strip())
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
