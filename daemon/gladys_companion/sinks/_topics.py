"""What Gladys is told and what it tells, as MQTT topics and payloads. Pure.

Source: the MQTT service of Gladys Assistant 4. Only the feature part of a topic counts for Gladys, which splits it on
``/`` and unescapes nothing.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from gladys_companion.errors import Rejected
from gladys_companion.model import Delivery, Feature, RegistrySnapshot
from gladys_companion.sinks._announce import rgb, shown_value

__all__ = ["COMMANDS", "Command", "Publication", "command", "present", "publication", "topics"]

COMMANDS = "gladys/device/+/feature/+/state"
"""What to subscribe to for the values that Gladys wants our devices to have."""

LATE_TEXT = 60.0  # seconds after the time that its sender named; a text has no history at Gladys
LONGEST_TOPIC = 65_535  # bytes
LONGEST_COMMAND = 65_536  # bytes
LARGEST_EXACT = 2**53  # above it a float is no exact whole number

# What a topic can not hold, by MQTT or by how Gladys reads it. A broker hangs up on the second half, so that one
# such id, tried again and again, would keep everything else away from Gladys.
_SPECIAL = {"/": "separates the parts of a topic", "+": "is a wildcard", "#": "is a wildcard"}


class Publication(Struct, frozen=True):
    """One message to publish; the broker keeps a ``retain``-ed one for who comes later."""

    topic: str
    payload: bytes
    retain: bool = False


class Command(Struct, frozen=True):
    """A value that Gladys wants a feature to have; ``external_id`` is as Gladys named it, perhaps an alias."""

    feature: Feature
    external_id: str
    value: float | None = None
    text: str | None = None


def publication(delivery: Delivery, now: float, announced_by: str | None = None) -> Publication:
    """Return what tells Gladys of a delivery: a state or text of now, or a number of the past as history.

    Args:
        delivery: of any kind.
        now: wall clock.
        announced_by: see ``present``.

    Raises:
        Rejected: Gladys can not be told this; says why.
    """
    feature, event = delivery.feature, delivery.event
    if event.kind != "state" or feature is None:
        raise Rejected(f"Gladys is told states of features only, not a {event.kind}.")
    now_so = present(feature, event.value, event.text, announced_by=announced_by)
    if not (delivery.late or event.dated) or (feature.textual and not delivery.late and now - event.at <= LATE_TEXT):
        return now_so
    if feature.textual:
        raise Rejected("A text that is late can not be told to Gladys, which keeps no history of texts.")
    if announced_by is not None:
        raise Rejected("A value of the past can not be told to Gladys of a device that was shared by MQTT.")
    past = {"state": _number(event.value or 0.0), "created_at": _moment(event.at)}
    return Publication(f"{_base(feature)}/historical", msgspec.json.encode(past))


def topics(client_id: str, feature: Feature) -> tuple[str, str]:
    """Return where the state of a feature of an announced device is told, and where its commands are heard.

    Raises:
        Rejected: its external id can not be part of a topic.
    """
    _base(feature)  # the longer one
    part = f"device/{_part(feature.device)}/feature/{_part(feature.external_id)}/state"
    return f"{client_id}/{part}", f"gladys/{part}"


def present(feature: Feature, value: float | None, text: str | None, *, announced_by: str | None = None) -> Publication:
    """Return what tells Gladys the value that a feature has now.

    Args:
        feature: of ours.
        value: of one that takes a number.
        text: of one that takes a text.
        announced_by: the client id of who announced its device, if that is how Gladys knows it.

    Raises:
        Rejected: Gladys can not be told this; says why.
    """
    base = _base(feature)
    if feature.textual:
        if text is None:
            raise Rejected(f"{feature.name} takes a text.")
        payload = _encoded(text, "The text")
    elif value is None or not math.isfinite(value):
        raise Rejected(f"{feature.name} takes a number.")
    else:
        payload = shown_value(feature, value) if announced_by else msgspec.json.encode(_number(value))
    if announced_by is None:
        return Publication(f"{base}/{'text' if feature.textual else 'state'}", payload)
    return Publication(topics(announced_by, feature)[0], payload, retain=not feature.momentary)


def command(topic: str, payload: bytes, registry: RegistrySnapshot) -> Command | None:
    """Return what Gladys asks of a feature of ours; None if it is another's, or not a value for it."""
    parts = topic.split("/")
    if len(parts) != len(COMMANDS.split("/")) or len(payload) > LONGEST_COMMAND:
        return None
    external_id = parts[4]
    feature = registry.feature(external_id)
    if feature is None:
        return None
    try:
        text = payload.decode()
        if feature.textual:
            return Command(feature, external_id, text=text)
        color = rgb(text) if feature.type == "color" else None
        value = float(text) if color is None else color
    except ValueError:
        return None
    return Command(feature, external_id, value=value) if math.isfinite(value) and "_" not in text else None


def _base(feature: Feature) -> str:
    topic = f"gladys/master/device/{_part(feature.device)}/feature/{_part(feature.external_id)}"
    if len(topic.encode()) > LONGEST_TOPIC - len("/historical"):
        raise Rejected("The external id is too long for an MQTT topic: Gladys can not be told.")
    return topic


def _part(name: str) -> str:
    for letter in name:
        if letter in _SPECIAL:
            raise Rejected(
                f"{_shown(name)} holds {letter!r}, which {_SPECIAL[letter]} in MQTT: Gladys can not be told."
            )
        if _unspeakable(letter):
            raise Rejected(f"{_shown(name)} holds {letter!r}, which MQTT does not allow: Gladys can not be told.")
    if not name:
        raise Rejected("An empty external id can not be part of a topic: Gladys can not be told.")
    return name


def _shown(name: str) -> str:
    return repr(name if len(name) <= 100 else name[:97] + "...")  # noqa: PLR2004 - as much as a sentence bears


def _unspeakable(letter: str) -> bool:
    """Return whether a broker may hang up on this character: MQTT 3.1.1, section 1.5.3."""
    code = ord(letter)
    control = code < 0x20 or 0x7F <= code < 0xA0  # noqa: PLR2004
    surrogate = 0xD800 <= code < 0xE000  # noqa: PLR2004
    no_character = 0xFDD0 <= code < 0xFDF0 or code & 0xFFFE == 0xFFFE  # noqa: PLR2004
    return control or surrogate or no_character


def _encoded(text: str, what: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Rejected(f"{what} holds half a character: Gladys can not be told.") from None


def _number(value: float) -> float | int:
    return int(value) if value.is_integer() and abs(value) < LARGEST_EXACT else value


def _moment(seconds: float) -> str:
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        raise Rejected(f"{seconds:g} is no time that Gladys could be told.") from None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
