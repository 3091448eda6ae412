"""Which tests one process runs, one after the other, where several processes run all of them."""

from __future__ import annotations

from fnmatch import fnmatch

from xdist.scheduler import LoadScopeScheduling

__all__ = ["Dealer", "together"]

# These announce or look for devices by mDNS on the one loopback, and would hear each other.
MDNS = (
    "conformance/*",
    "integration/test_d*",
    "integration/test_network*",
    "integration/test_s*",
    "integration/test_w*",
)


def together(test: str) -> str:
    """Return the name of what stays together with a test: those of its file, or of all files that use mDNS."""
    file = test.partition("::")[0]
    return "mDNS" if any(fnmatch(file, f"tests/{pattern}") for pattern in MDNS) else file


class Dealer(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Deals the tests out by ``together``."""

    def _split_scope(self, nodeid: str) -> str:
        return together(nodeid)
