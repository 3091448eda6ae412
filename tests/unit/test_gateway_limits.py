"""How often somebody may ask, and who somebody is."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from gladys_companion.gateway import limits
from gladys_companion.gateway.limits import Limit, networks, sender_of, wait
from tests.home import SetClock


def test_burst_then_rate() -> None:
    """A burst passes, then as many as the rate allows, and what is refused costs nothing."""
    clock = SetClock()
    limit = Limit(2, 3, clock)
    assert [limit.take("a") for _ in range(3)] == [0, 0, 0]
    assert limit.take("a") == pytest.approx(0.5)
    assert limit.take("b") == 0
    clock.up += 0.5
    assert limit.take("a") == 0
    assert limit.take("a") > 0
    clock.up += 1_000
    assert [limit.take("a") for _ in range(4)][:3] == [0, 0, 0]
    assert limit.take("a") > 0


def test_wall_clock_does_not_matter() -> None:
    """A clock that is set back locks nobody out."""
    clock = SetClock()
    limit = Limit(1, 1, clock)
    limit.take("a")
    clock.wall -= 10_000
    clock.up += 1
    assert limit.take("a") == 0


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender that was silent longest is forgotten, and the one that goes on is not."""
    monkeypatch.setattr(limits, "MOST_SENDERS", 10)
    limit = Limit(1, 3, SetClock())
    assert limit.take("busy") == 0
    for number in range(9):
        limit.take(f"sender {number}")
    assert limit.take("busy") == 0
    limit.take("one more")
    assert limit.take("busy") == 0
    assert limit.take("busy") > 0
    assert len(limit._full_at) == 10


@pytest.mark.parametrize(("seconds", "header"), [(0.01, 1), (1.0, 1), (1.2, 2), (59.5, 60)])
def test_retry_after_is_whole_seconds(seconds: float, header: int) -> None:
    """It is never too early, and never zero."""
    assert wait(seconds) == header


@pytest.mark.parametrize(
    ("peer", "forwarded", "sender"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["6.6.6.6"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", ["6.6.6.6, 192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", ["6.6.6.6", "192.0.2.7, 10.0.0.2"], "192.0.2.7"),
        ("10.0.0.1", ["6.6.6.6, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.3"], "10.0.0.3"),
        ("::ffff:10.0.0.1", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        ("2001:db8::1", [], "2001:db8::/64"),
        ("::ffff:192.0.2.1", [], "192.0.2.1"),
        ("", [], ""),
    ],
)
def test_sender(peer: str, forwarded: list[str], sender: str) -> None:
    """Only what trusted proxies wrote is believed; of IPv6 the network counts."""
    headers = [("X-Forwarded-For", value) for value in forwarded]
    request = make_mocked_request("GET", "/").clone(remote=peer, headers=CIMultiDict(headers))
    assert sender_of(request, networks(["10.0.0.0/8"])) == sender
