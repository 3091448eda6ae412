"""How long to wait before trying again: doubling, and jittered, so that a thousand homes do not return at once."""

import random as _random
from collections.abc import Callable, Iterator
from itertools import count

__all__ = ["STABLE_AFTER", "backoff", "delay"]

STABLE_AFTER = 60.0
"""Seconds that a connection must have lasted before its loss begins a new `backoff`.

A handshake alone proves nothing: who starts anew after each one hammers a server that refuses just after it.
"""

_ENOUGH_DOUBLINGS = 64  # beyond any delay that someone configures, and far from where a float overflows


def delay(attempt: int, first: float, most: float, *, random: Callable[[], float] = _random.random) -> float:
    """Return the seconds to wait after failed attempt number `attempt`, the first being 0.

    Spread evenly between `first` and twice that for the first, between the doubles for each next one, and at last
    between half of `most` and `most`; never under `first` nor over `most`, where `first <= most`.
    """
    ceiling = min(first * 2.0 ** (1 + min(attempt, _ENOUGH_DOUBLINGS)), most)
    floor = max(first, ceiling / 2)
    return floor + (ceiling - floor) * random()


def backoff(first: float, most: float, *, random: Callable[[], float] = _random.random) -> Iterator[float]:
    """Yield the delays of `delay` from attempt 0 on, without end, in seconds."""
    return (delay(attempt, first, most, random=random) for attempt in count())
