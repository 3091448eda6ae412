"""Delays between attempts: bounded, growing, spread."""

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from gladys_companion.backoff import backoff, delay

_seconds = st.floats(0.001, 3600)
_chance = st.floats(0, 1, exclude_max=True)


@given(st.integers(0, 10_000), _seconds, _seconds, _chance)
def test_a_delay_keeps_its_bounds(attempt: int, one: float, other: float, chance: float) -> None:
    """No delay is under the first or over the most, however often it failed."""
    first, most = sorted((one, other))
    assert first <= delay(attempt, first, most, random=lambda: chance) <= most


@given(_seconds, _seconds, _chance)
def test_delays_never_shrink_and_reach_the_upper_half(one: float, other: float, chance: float) -> None:
    """With the same luck each delay is at least the one before, and in the end at least half of the most."""
    first, most = sorted((one, other))
    delays = list(islice(backoff(first, most, random=lambda: chance), 40))
    assert delays == sorted(delays)
    assert delays[-1] >= most / 2


def test_delays_double() -> None:
    """Without luck the delays are the first one, doubled until half of the most."""
    assert list(islice(backoff(0.5, 30, random=lambda: 0.0), 8)) == [0.5, 1, 2, 4, 8, 15, 15, 15]


def test_the_first_delay_is_spread_too() -> None:
    """Homes that lost their gateway in the same moment do not all return in the same moment."""
    assert len({next(backoff(0.5, 5)) for _ in range(100)}) > 50


def test_a_new_backoff_starts_over() -> None:
    """A series has no memory of another one: who saw a stable minute takes a new one."""
    worn = backoff(0.5, 5, random=lambda: 0.0)
    assert list(islice(worn, 10))[-1] == 2.5
    assert next(backoff(0.5, 5, random=lambda: 0.0)) == 0.5
