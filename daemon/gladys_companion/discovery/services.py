"""An announcement as a bounded value: total over whatever a network can say."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from gladys_companion.discovery.limits import (
    HIGHEST_PORT,
    MOST_ADDRESSES,
    MOST_HOST,
    MOST_NAME,
    MOST_TXT_BYTES,
    MOST_TXT_ENTRIES,
)
from gladys_companion.errors import ProtocolError
from gladys_companion.model import Service

__all__ = ["HTTP", "bounded", "clean", "is_gladys", "label", "read_txt"]

HTTP = "_http._tcp.local."

_JOINER = "\u200d"  # holds an emoji of a family together


def clean(text: str, most: int = MOST_NAME) -> str:
    """Return text that can be shown anywhere: no control or direction marks, at most so many characters."""
    shown = (
        c if c.isprintable() or c == _JOINER else " " if c.isspace() and c > "\x7f" else "\ufffd" for c in text[:most]
    )
    return "".join(shown).strip()


def read_txt(raw: bytes) -> dict[str, str]:
    """Return the entries of a TXT record (RFC 6763, 6): at most 64 of 255 bytes, the first of a key.

    Keys are in lower case. A key without a value has an empty one; what is not UTF-8 is replaced. Never raises.
    """
    entries: dict[str, str] = {}
    position = 0
    while position < len(raw) and len(entries) < MOST_TXT_ENTRIES:
        end = position + 1 + raw[position]
        key, _, value = raw[position + 1 : end].partition(b"=")
        name = clean(key.decode("utf-8", "replace"), MOST_TXT_BYTES).lower()
        if name:
            entries.setdefault(name, clean(value.decode("utf-8", "replace"), MOST_TXT_BYTES))
        position = end
    return entries


def label(type_: str, name: str) -> str:
    """Return the instance name alone, fit to be shown: ``Salon`` of ``Salon._wled._tcp.local.``."""
    return clean(name.removesuffix(f".{type_}"))


def bounded(
    *,
    service_type: str,
    name: str,
    host: str | None,
    addresses: Iterable[str],
    port: int | None,
    txt: bytes,
    loopback: bool,
) -> Service:
    """Return what an announcement says, bounded; ``name`` becomes the instance name alone.

    Addresses stay in the order given. One that can not be a device's (unspecified, multicast, reserved, link-local
    without its scope; loopback unless ``loopback``) is left out.

    Raises:
        ProtocolError: it says nowhere to go.
    """
    usable = tuple(dict.fromkeys(address for address in addresses if _usable(address, loopback=loopback)))
    if not usable:
        raise ProtocolError("It announces no address that a device could have.")
    if port is None or not 0 < port <= HIGHEST_PORT:
        raise ProtocolError("It announces no port.")
    return Service(
        type=service_type,
        name=label(service_type, name),
        host=clean((host or "").rstrip("."), MOST_HOST),
        addresses=usable[:MOST_ADDRESSES],
        port=port,
        txt=read_txt(txt),
    )


def _usable(text: str, *, loopback: bool) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if address.is_loopback:
        return loopback
    if isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped or _nowhere(address)):
        return False
    return not (address.is_unspecified or address.is_multicast or address.is_reserved)


def _nowhere(address: ipaddress.IPv6Address) -> bool:
    return address.is_link_local and address.scope_id is None


def is_gladys(service: Service) -> bool:
    """Return whether this is a home Gladys (``_http._tcp``, TXT ``product=gladys``)."""
    return service.type == HTTP and service.txt.get("product", "").lower() == "gladys"
