"""Which id what is behind a bridge has: the bridge's MAC, and the address of the device in its own radio: pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from gladys_companion.drivers.hue._values import Find

__all__ = ["bridge_of", "identities"]

RADIO = "zigbee_connectivity"


def bridge_of(device_id: str) -> str:
    """Return the MAC of the bridge of ``hue:BRIDGE`` or ``hue:BRIDGE-DEVICE``."""
    return device_id.partition(":")[2].partition("-")[0]


def identities(devices: Iterable[Any], groups: Iterable[Any], find: Find) -> dict[str, tuple[str, str]]:
    """Return the DEVICE part of the id of each device, room and zone: type and id of its resource.

    A device has its Zigbee address, 16 hex digits: that stays when a lamp is removed and paired again, and stands on
    the lamp. What has none, or one that another device has too, is called by its resource's id without hyphens. One
    whose address is still to come, because it was just added, is left out.
    """
    addresses = {device.id: _address(device, find) for device in devices if _is_whole(device, find)}
    times = Counter(addresses.values())
    found = {
        address if address is not None and times[address] == 1 else _plain(rid): ("device", rid)
        for rid, address in addresses.items()
    }
    return found | {_plain(group.id): (group.type.value, group.id) for group in groups}


def _plain(rid: str) -> str:
    return re.sub(r"[^0-9a-z]", "", rid.lower())


def _is_whole(device: Any, find: Find) -> bool:  # noqa: ANN401 - aiohue's Device
    radios = [one.rid for one in device.services if one.rtype.value == RADIO]
    return all(find(RADIO, rid) is not None for rid in radios)


def _address(device: Any, find: Find) -> str | None:  # noqa: ANN401 - aiohue's Device
    for service in device.services:
        radio = find(RADIO, service.rid) if service.rtype.value == RADIO else None
        if radio is not None:
            digits = re.sub(r"[:.-]", "", radio.mac_address).lower()
            return digits if re.fullmatch(r"[0-9a-f]{16}", digits) else None
    return None
