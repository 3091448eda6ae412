"""The table ``[drivers.homekit]``."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from gladys_companion.drivers.following import FIRST_RETRY

__all__ = ["Config"]


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """``[drivers.homekit]``, in seconds.

    ``answer_within`` for each answer, ``pair_within`` for each while pairing; ``moves_within`` for a lock to be where
    it was told; ``poll_every`` between two looks at everything; ``reconnect_most`` between attempts to reach one.
    """

    answer_within: Annotated[float, Meta(gt=0, le=60)] = 5.0
    pair_within: Annotated[float, Meta(gt=0, le=60)] = 20.0
    moves_within: Annotated[float, Meta(gt=0, le=60)] = 7.0
    poll_every: Annotated[float, Meta(ge=1, le=3600)] = 60.0
    reconnect_most: Annotated[float, Meta(ge=FIRST_RETRY, le=3600)] = 30.0
