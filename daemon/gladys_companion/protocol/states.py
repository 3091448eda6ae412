"""A state as phones post it and the gateway relays it: the same rule at both ends, for JSON and form bodies.

Source: the gladys-gateway server (route ``/v1/api/device/state/:key``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from gladys_companion.errors import RequestError

__all__ = ["StateBody", "read_created_at", "read_state"]

FUTURE_TOLERANCE = 60.0
MILLISECONDS = 1e11  # a time above it can not be seconds: that would be after the year 5138
LONGEST_ID = 64 * 1024


class StateBody(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A checked body of ``POST /v1/api/device/state/:key``. ``created_at``: seconds since the epoch."""

    external_id: str
    value: float | None = None
    text: str | None = None
    created_at: float | None = None


def _invalid(field: str, sentence: str) -> RequestError:
    return RequestError(422, "INVALID_STATE" if field == "state" else "INVALID_FIELD", sentence, field=field)


def read_created_at(given: object, now: float) -> float | None:
    """Return a ``created_at`` as seconds since the epoch; None if it is absent.

    Args:
        given: ISO 8601 text (without an offset: UTC), or a number of seconds, or of milliseconds if above 1e11.
        now: the wall clock that decides what the future is.

    Raises:
        RequestError: 422 when it can not be read or is more than a minute in the future.
    """
    if given is None:
        return None
    try:
        if isinstance(given, bool):
            raise TypeError  # noqa: TRY301 - JSON's true is not a time
        if isinstance(given, str) and not given.replace(".", "", 1).isdigit():
            moment = datetime.fromisoformat(given.strip())
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        else:
            seconds = float(given)  # type: ignore[arg-type]  # what is neither number nor digits raises TypeError
            seconds = seconds / 1000 if seconds > MILLISECONDS else seconds
    except (ValueError, TypeError, OverflowError):
        raise _invalid("created_at", "created_at is not a time: send ISO 8601, such as 2026-01-31T18:02:00Z.") from None
    if not math.isfinite(seconds) or seconds < 0:
        raise _invalid("created_at", "created_at is not a time: send ISO 8601, such as 2026-01-31T18:02:00Z.")
    if seconds > now + FUTURE_TOLERANCE:
        raise _invalid("created_at", "created_at is more than a minute in the future: check the sender's clock.")
    return seconds


def _number(state: object) -> float | None:
    """Return state as a finite number; None if it is other text.

    Raises:
        RequestError: 422 when it is a number that is not finite, or nothing that can be a state.
    """
    if isinstance(state, bool):
        return float(state)
    if isinstance(state, str):
        word = state.strip().lower()
        if word in {"true", "false"}:
            return float(word == "true")
        try:
            state = float(word) if "_" not in word else None
        except ValueError:
            return None
        if state is None:
            return None
    elif not isinstance(state, int | float):
        raise _invalid("state", "state must be a number, true or false, or a text.")
    try:
        value = float(state)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise _invalid("state", "state must be finite: NaN and infinity say nothing.")
    return value


def read_state(body: Mapping[str, Any], now: float) -> StateBody:
    """Return the checked body of a state; the same rule for JSON and form bodies, at the gateway and at home.

    Raises:
        RequestError: 422 naming the field.
    """
    external_id = body.get("device_feature_external_id")
    if not isinstance(external_id, str) or not external_id.strip():
        raise _invalid(
            "device_feature_external_id", "device_feature_external_id must be a text, such as mqtt:my-phone-presence."
        )
    if len(external_id.encode("utf-8", "surrogatepass")) > LONGEST_ID:
        raise _invalid("device_feature_external_id", "device_feature_external_id is longer than 64 KiB.")
    if "\x00" in external_id or any("\ud800" <= letter <= "\udfff" for letter in external_id):
        raise _invalid("device_feature_external_id", "device_feature_external_id holds characters that are not text.")
    state, text = body.get("state"), body.get("text")
    if (state is None) == (text is None):
        raise _invalid("state", "Send either state (a number) or text, not both and not neither.")
    created_at = read_created_at(body.get("created_at"), now)
    if text is not None:
        if not isinstance(text, str):
            raise _invalid("text", "text must be a text.")
        return StateBody(external_id=external_id, text=text, created_at=created_at)
    return StateBody(
        external_id=external_id,
        value=_number(state),
        text=state if isinstance(state, str) else None,
        created_at=created_at,
    )
