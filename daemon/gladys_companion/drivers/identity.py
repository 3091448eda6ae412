"""Who an announced device is and where it may be reached: pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

__all__ = ["best_address", "mac_of"]


def mac_of(text: str) -> str | None:
    """Return a MAC address as 12 lower-case hex digits, however it is written; None if it is none."""
    digits = re.sub(r"[:.-]", "", text).lower()
    return digits if re.fullmatch(r"[0-9a-f]{12}", digits) else None


def best_address(addresses: Sequence[str]) -> str | None:
    """Return the address most likely to work: IPv4, then IPv6 beyond the link, then what has a scope; None of none."""

    def rank(address: IPv4Address | IPv6Address) -> int:
        return 0 if address.version == 4 else 2 if address.is_link_local else 1  # noqa: PLR2004

    return min(addresses, key=lambda text: rank(ip_address(text)), default=None)
