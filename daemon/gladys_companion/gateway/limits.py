"""How often somebody may ask: a rate with a burst for each key, address or home, in memory that does not grow.

Each sender is one number (the generic cell rate algorithm: when its bucket will be full again); the ones that were
silent longest are forgotten first, and those had full buckets anyway unless more than 20,000 senders ask at once.
"""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache

from aiohttp import web

from gladys_companion.clock import Clock

__all__ = ["MOST_SENDERS", "Limit", "Network", "networks", "sender_of", "wait"]

MOST_SENDERS = 20_000

_ROUNDING = 1e-9

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Limit:
    """``rate`` times a second in the long run, ``burst`` times at once, for each sender."""

    def __init__(self, rate: float, burst: int, clock: Clock) -> None:
        self._interval = 1 / rate
        self._burst = burst / rate
        self._elapsed = clock.elapsed
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, sender: str) -> float:
        """Count one and return 0.0; or, if that is too many, count nothing and return the seconds to wait."""
        now = self._elapsed()
        full_at = max(self._full_at.get(sender, now), now) + self._interval
        over = full_at - now - self._burst
        if over > _ROUNDING:
            return over
        self._full_at[sender] = full_at
        self._full_at.move_to_end(sender)
        if len(self._full_at) > MOST_SENDERS:
            self._full_at.popitem(last=False)
        return 0.0


def wait(seconds: float) -> int:
    """Return the value of a ``Retry-After`` header: whole seconds, at least one."""
    return max(1, math.ceil(seconds))


def networks(trusted_proxies: Sequence[str]) -> tuple[Network, ...]:
    """Return the networks whose word about a sender's address is believed."""
    return tuple(ipaddress.ip_network(proxy) for proxy in trusted_proxies)


def sender_of(request: web.BaseRequest, trusted: tuple[Network, ...]) -> str:
    """Return who sent a request: an IPv4 address, or the /64 that one person has of IPv6.

    ``X-Forwarded-For`` is believed only from a trusted proxy, and only its part that trusted proxies wrote.
    """
    peer = request.remote or ""
    if not trusted or not _is_trusted(peer, trusted):
        return _whole(peer)
    hops = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")
    for hop in reversed([hop.strip() for hop in hops]):
        if not _is_address(hop):
            break
        peer = hop
        if not _is_trusted(hop, trusted):
            break
    return _whole(peer)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1024)
def _is_trusted(text: str, trusted: tuple[Network, ...]) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return any((mapped or address) in network for network in trusted)


@lru_cache(maxsize=1024)
def _whole(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv4Address):
        return text
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), 64), strict=False))
