"""Features that a user describes: what a payload says as a value, and which payload says a value. All pure.

A payload template is text in which ``{value}`` is replaced by the number (or its word in ``values``), ``{text}`` by the
text, and ``{json}`` by either as JSON, quotes included. Everything else, other braces too, stays as it is.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from gladys_companion.errors import ProtocolError, Rejected
from gladys_companion.model import Device, Feature

__all__ = ["Component", "FeatureTable", "Value", "complaints", "feature_of", "filled", "read_value", "repeated"]

Value = float | str

PLACEHOLDERS = ("value", "text", "json")
LARGEST_EXACT = 2**53  # above it a float is no exact whole number

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_NOTHING = object()

Component = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
"""The end of an external id: what MQTT and addresses can hold without a change."""


class FeatureTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a feature is, and how its value stands in a payload; the same for every way that payloads travel.

    ``json_path`` leads to the value in a JSON payload (``sensors.0.temp``); empty: the payload is the value. ``values``
    says which words mean which numbers (``{ON = 1, OFF = 0}``), in both directions; ``payload`` is the template of a
    command.
    """

    component: Component
    name: str = ""
    category: str = "unknown"
    type: str = "unknown"
    unit: str | None = None
    min: float | None = None
    max: float | None = None
    json_path: str = ""
    values: dict[str, float] = {}
    payload: str = "{value}"

    @property
    def textual(self) -> bool:
        """Whether its values are text."""
        return self.type == "text"


def feature_of(device: Device, table: FeatureTable, *, writable: bool) -> Feature:
    """Return the feature that a table describes."""
    return Feature(
        external_id=f"{device.id}:{table.component}",
        device=device.id,
        name=table.name or table.component,
        category=table.category,
        type=table.type,
        unit=table.unit,
        min=table.min,
        max=table.max,
        writable=writable,
    )


def complaints(table: FeatureTable, *templates: str) -> Iterator[str]:
    """Yield what is wrong with a table that its type allows: a sentence each, without where it stands.

    Args:
        table: the feature.
        templates: further ones beside its ``payload``.
    """
    if table.min is not None and table.max is not None and table.min > table.max:
        yield "min is above max."
    if table.textual and table.values:
        yield "values are numbers, and a feature of type text has none."
    if any(not math.isfinite(number) for number in table.values.values()):
        yield "values must be finite numbers."
    for template in (table.payload, *templates):
        for word in _PLACEHOLDER.findall(template):
            if word not in PLACEHOLDERS:
                yield f"{{{word}}} is no placeholder: {{value}}, {{text}} and {{json}} are."
            elif word != "json" and (word == "text") != table.textual:
                yield f"{{{word}}} has nothing to stand for in a feature of type {table.type}."


def repeated(tables: tuple[FeatureTable, ...]) -> str | None:
    """Return a component that two tables have."""
    counts = Counter(one.component for one in tables)
    return next((component for component, count in counts.items() if count > 1), None)


def read_value(table: FeatureTable, payload: str) -> Value:
    """Return what a payload says of a feature.

    Raises:
        ProtocolError: it says nothing of it, or nothing that the feature could be; the sentence says what it held.
    """
    found: object = payload
    if table.json_path:
        try:
            document = msgspec.json.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ProtocolError("It is not JSON.") from None
        found = _at(document, table.json_path)
        if found is _NOTHING:
            raise ProtocolError(f"It has nothing at {table.json_path!r}.")
    return _text(found) if table.textual else _number(table, found)


def _at(document: object, path: str) -> object:
    found = document
    for step in path.split("."):
        if isinstance(found, dict):
            found = found.get(step, _NOTHING)
        elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        else:
            return _NOTHING
    return found


def _text(found: object) -> str:
    if isinstance(found, str):
        return found
    if found is None or isinstance(found, dict | list):
        raise ProtocolError(f"It says {_shown(found)}, which is no text.")
    return msgspec.json.encode(found).decode()


def _number(table: FeatureTable, found: object) -> float:
    word = found.strip() if isinstance(found, str) else msgspec.json.encode(found).decode()
    if word in table.values:
        return table.values[word]
    if isinstance(found, bool):
        return float(found)
    try:
        number = float(word) if "_" not in word else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ProtocolError(f"It says {_shown(found)}, which is no number.")
    return number


def _shown(found: object) -> str:
    text = repr(found)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - as much as a sentence bears


def filled(table: FeatureTable, template: str, value: Value, quote: Callable[[str], str] = str) -> str:
    """Return the template with a value in it, each placeholder's text passed through ``quote``.

    Raises:
        Rejected: the feature has words for its values, and none for this one; or takes the other kind of value.
    """
    if isinstance(value, str) != table.textual:
        raise Rejected(f"{table.name or table.component} takes a {'text' if table.textual else 'number'}.")
    plain = _plain(table, value)
    as_json = msgspec.json.encode(plain).decode()
    spoken = {"value": plain if isinstance(plain, str) else as_json, "text": str(plain), "json": as_json}
    return _PLACEHOLDER.sub(lambda found: quote(spoken[found[1]]) if found[1] in spoken else found[0], template)


def _plain(table: FeatureTable, value: Value) -> Any:  # noqa: ANN401 - a JSON scalar
    if isinstance(value, str):
        return value
    if table.values:
        for word, number in table.values.items():
            if number == value:
                return word
        known = ", ".join(f"{number:g} ({word})" for word, number in table.values.items())
        raise Rejected(f"{table.name or table.component} can not be {value:g}: it is one of {known}.")
    return int(value) if float(value).is_integer() and abs(value) < LARGEST_EXACT else value
