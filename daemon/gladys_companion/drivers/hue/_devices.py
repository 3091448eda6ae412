"""What is behind a bridge, as devices: which there are, what each can do, and who hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

from aiohue.v2.models.zigbee_connectivity import ConnectivityServiceStatus
from msgspec import structs

from gladys_companion.clock import Clock
from gladys_companion.drivers.following import Following
from gladys_companion.drivers.hue._bridge import Bridge, judged
from gladys_companion.drivers.hue._values import Find, Part, device_parts, group_parts
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Device, RegistrySnapshot

__all__ = ["Found", "Listener", "Member", "member_of", "members"]

MOST = 500  # behind one bridge; the largest takes 200 devices
OUT_OF_REACH = frozenset({ConnectivityServiceStatus.CONNECTIVITY_ISSUE, ConnectivityServiceStatus.DISCONNECTED})


class Member:
    """A device, room or zone at one connection, or the bridge itself, which is its whole home.

    Args:
        bridge: the connection.
        name: for people.
        rtype: of its resource: ``device``, ``room``, ``zone`` or ``bridge_home``.
        rid: of its resource.
    """

    def __init__(self, bridge: Bridge, name: str, rtype: str, rid: str) -> None:
        self.bridge = bridge
        self.name = name
        self.rtype = rtype
        self.rid = rid

    def parts(self) -> tuple[Part, ...]:
        """Return what it can do now.

        Raises:
            Unavailable: the bridge told nonsense of it.
            Rejected: the bridge does not know it any more.
        """
        client = self.bridge.client
        resource = client.find(self.rtype, self.rid)
        if resource is None:
            raise Rejected(f"{self.bridge.spot} does not know {self.name} any more: it was removed in the Hue app.")
        with judged(self.bridge.spot):
            return _parts(self.rtype, resource, client.find)

    def in_reach(self) -> bool:
        """Return whether the bridge can talk to it, as far as it knows."""
        radios = self.bridge.client.sensors.zigbee_connectivity
        return not any(radio.owner.rid == self.rid and radio.status in OUT_OF_REACH for radio in radios)


class Listener:
    """Tells the home what becomes of a device; a ``_bridge.Ear``."""

    def __init__(self, following: Following[Any], member: Member) -> None:
        self._following = following
        self._member = member

    def changed(self) -> None:
        """Tell its values, or what is wrong with it: what one device says amiss is no other's trouble."""
        member, following = self._member, self._following
        if not member.in_reach():
            following.troubled(f"{member.name} does not answer its bridge: does it have power?")
            return
        try:
            told = member.bridge.values(member.parts())
        except (Unavailable, Rejected) as error:
            following.troubled(str(error))
        else:
            following.tell(told)

    def clicked(self, rid: str, clicks: int) -> None:
        """Tell what was done to a button."""
        with suppress(Unavailable, Rejected):  # told by ``changed``
            for part in self._member.parts():
                if part.rid == rid:
                    self._following.happened(part.component, clicks)


class Found:
    """A queue of devices that are new, changed or gone, on their way to ``discover()``."""

    def __init__(self, clock: Clock, registry: Callable[[], RegistrySnapshot]) -> None:
        self._clock = clock
        self._registry = registry
        self._known: dict[str, tuple[Device, tuple[Part, ...]]] = {}
        self._news: dict[str, Device] = {}
        self._some = asyncio.Event()

    async def get(self) -> Device:
        """Return the next, waiting for it; ``away_since`` is set where it is gone."""
        while not self._news:
            self._some.clear()
            await self._some.wait()
        return self._news.pop(next(iter(self._news)))

    def put(self, bridge: str, devices: Mapping[str, tuple[Device, tuple[Part, ...]]]) -> None:
        """Take all that is behind a bridge now, and what each can do; what was there at the last start may be gone."""
        now, begin = self._clock.now(), f"{bridge}-"
        before = {one: device for one, (device, _) in self._known.items() if one.startswith(begin)}
        before |= {
            one: device
            for one, device in self._registry().devices.items()
            if one.startswith(begin) and device.away_since is None
        }
        for one, (device, parts) in devices.items():
            if self._known.get(one) != (device, parts):
                self._known[one] = device, parts
                self._news[one] = structs.replace(device, seen_at=now)
        for one in before.keys() - devices.keys():
            self._known.pop(one, None)
            self._news[one] = structs.replace(before[one], away_since=now)
        self._some.set()

    def forget(self, device_id: str) -> None:
        """Have a device be new when it is found again."""
        self._known.pop(device_id, None)


def member_of(bridge: Bridge, device: Device) -> Member:
    """Return what a device is at a connection.

    Raises:
        Rejected: its bridge does not know it.
    """
    own = device.id.partition("-")[2]
    homes = [("bridge_home", home.id) for home in bridge.client.config.bridge_home] if not own else []
    for rtype, rid in homes or [bridge.members.get(own, ("", ""))]:
        if rid:
            return Member(bridge, device.name, rtype, rid)
    raise Rejected(f"{bridge.spot} does not know {device.name}: it was removed, or never added, in the Hue app.")


def members(bridge: Bridge, driver: str) -> dict[str, tuple[Device, tuple[Part, ...]]]:
    """Return the devices, rooms and zones behind a bridge that can be driven, by id, with what each can do."""
    address, port = bridge.spot.where
    found: dict[str, tuple[Device, tuple[Part, ...]]] = {}
    with judged(bridge.spot):
        for own, (rtype, rid) in islice(bridge.members.items(), MOST):
            resource = bridge.client.find(rtype, rid)
            parts = _parts(rtype, resource, bridge.client.find) if resource is not None else ()
            if parts:
                one = Device(
                    id=f"{driver}:{bridge.spot.mac}-{own}",
                    driver=driver,
                    name=resource.metadata.name,
                    model=resource.product_data.product_name if rtype == "device" else f"Hue {rtype}",
                    address=address,
                    port=port,
                )
                found[one.id] = one, parts
    return found


def _parts(rtype: str, resource: Any, find: Find) -> tuple[Part, ...]:  # noqa: ANN401 - aiohue's models
    return device_parts(resource, find) if rtype == "device" else group_parts(resource, find)
