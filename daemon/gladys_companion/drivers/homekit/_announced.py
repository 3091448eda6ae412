"""What an accessory announces of its own pairing, as the shared zeroconf has just heard it; nobody is asked.

Source: HomeKit Accessory Protocol, 6.4 (``sf``: status flags, ``ff``: feature flags). A claim, good for a sentence.
"""

from __future__ import annotations

from aiohomekit.model.feature_flags import FeatureFlags
from aiohomekit.model.status_flags import StatusFlags
from msgspec import Struct
from zeroconf import BadTypeInNameException, DNSPointer, Zeroconf  # type: ignore[attr-defined]  # not in its __all__
from zeroconf.asyncio import AsyncServiceInfo

from gladys_companion.drivers.identity import mac_of

__all__ = ["SERVICE", "Announced", "announced"]

SERVICE = "_hap._tcp.local."


class Announced(Struct, frozen=True):
    """Whether it says to be unpaired (None: it says nothing), and to prove with a chip of Apple's."""

    unpaired: bool | None = None
    certified: bool = False


def announced(zeroconf: Zeroconf, mac: str) -> Announced:
    """Return what the accessory of this id announces."""
    for record in zeroconf.cache.entries_with_name(SERVICE):
        if isinstance(record, DNSPointer) and (txt := _txt(zeroconf, record.alias)) and _mac(txt) == mac:
            status, features = _flags(txt, b"sf"), _flags(txt, b"ff")
            unpaired = None if status is None else bool(status & StatusFlags.UNPAIRED)
            certified = bool((features or 0) & FeatureFlags.SUPPORTS_APPLE_AUTHENTICATION_COPROCESSOR)
            return Announced(unpaired, certified)
    return Announced()


def _txt(zeroconf: Zeroconf, name: str) -> dict[bytes, bytes | None]:
    try:
        info = AsyncServiceInfo(SERVICE, name)
    except BadTypeInNameException:
        return {}
    info.load_from_cache(zeroconf)
    return info.properties


def _mac(txt: dict[bytes, bytes | None]) -> str | None:
    return mac_of((txt.get(b"id") or b"").decode("utf-8", "replace"))


def _flags(txt: dict[bytes, bytes | None], key: bytes) -> int | None:
    value = txt.get(key) or b""
    return int(value) if value.isdigit() and len(value) <= 3 else None  # noqa: PLR2004 - flags of a byte
