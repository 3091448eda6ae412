"""No gateway that a home can not use is hammered by it; ``python -m bench.retries`` tells the figures."""

from __future__ import annotations

import pytest

from tests.retrying import CASES, Case, measure

TEN_MINUTES = 600.0


@pytest.mark.may_block("the loop's time jumps where it would wait")
@pytest.mark.parametrize("own", [True, False], ids=["ours", "plus"])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_nobody_is_hammered(case: Case, *, own: bool) -> None:
    """It is asked ever more slowly, once if that is final, and not again as long as it serves."""
    asked = measure(case, TEN_MINUTES, own=own)
    if case.parks:
        assert asked.state == "parked"
        assert asked.attempts <= 3
        assert asked.tokens <= 2
    elif case.stays:
        assert asked.state == "connected"
        assert (asked.attempts, asked.tokens, asked.sockets) == (1, 1, 1)
    else:
        most = 5.0 if own else 30.0
        assert 3 <= asked.attempts <= TEN_MINUTES / (most / 2) + 8  # the first ones are closer together
        assert asked.tokens <= asked.attempts
