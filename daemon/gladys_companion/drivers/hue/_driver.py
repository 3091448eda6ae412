"""The driver of Philips Hue: a bridge is paired once, and each lamp, plug, sensor, switch and room of it is a device.

Protocol: CLIP v2 (developers.meethue.com/develop/hue-api-v2), with server-sent events; bridges of the second
generation and newer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gladys_companion.drivers._resolver import Endpoint
from gladys_companion.drivers.following import FIRST_RETRY, Following, FollowingDriver, opened
from gladys_companion.drivers.hue._bridge import Bridge, Spot, open_bridge
from gladys_companion.drivers.hue._devices import Found, Listener, member_of, members
from gladys_companion.drivers.hue._hub import Hub, Link
from gladys_companion.drivers.hue._identity import bridge_of
from gladys_companion.drivers.hue._pairing import mac_of_bridge, meet, pair, pairing_of
from gladys_companion.drivers.hue._values import features
from gladys_companion.drivers.identity import best_address
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Delivery, Device, Feature, Service
from gladys_companion.ports import Kit, Plugin, Wanted

__all__ = ["PLUGIN", "Config", "HueDriver"]

SERVICE = "_hue._tcp.local."


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """``[drivers.hue]``, in seconds: for an answer, between two checks of a silent bridge, and between two attempts."""

    answer_within: Annotated[float, Meta(gt=0, le=60)] = 5.0
    check_every: Annotated[float, Meta(ge=0.1, le=3600)] = 30.0
    reconnect_most: Annotated[float, Meta(ge=FIRST_RETRY, le=3600)] = 30.0


class HueDriver(FollowingDriver[Link]):
    """A ``Driver``, and ``Pairable``; ``PLUGIN.open`` makes one."""

    name = "hue"
    services: Sequence[str] = (SERVICE,)

    def __init__(self, config: Config, kit: Kit, group: asyncio.TaskGroup) -> None:
        super().__init__(kit, group, reconnect_most=config.reconnect_most)
        self._config = config
        self._hub = Hub(group, self._connect, self._run, kit.contained)
        self._found = Found(kit.clock, kit.registry)
        self._places: dict[str, Endpoint] = {}  # where bridges that are followed are; their lamps are there too

    def identify(self, service: Service) -> Device | None:
        """Return the bridge of an announcement that names its id, or None."""
        mac, address = mac_of_bridge(service.txt.get("bridgeid", "")), best_address(service.addresses)
        if service.type != SERVICE or mac is None or address is None:
            return None
        return Device(
            id=f"{self.name}:{mac}",
            driver=self.name,
            name=service.name.removesuffix(f".{SERVICE}"),
            model=service.txt.get("modelid", "Hue Bridge"),
            host=service.host,
            address=address,
            port=service.port,
        )

    async def discover(self) -> AsyncIterator[Device]:
        """Yield what is behind the bridges."""
        while True:
            yield await self._found.get()

    async def describe(self, device: Device) -> Sequence[Feature]:
        """Ask the bridge; see ``ports.Driver``. A bridge that is not paired is asked who it is, no more."""
        spot = self._spot(device)
        if device.id != f"{self.name}:{spot.mac}" and (device.address, device.port) != spot.where:
            raise Unavailable(f"{device.name} is where its bridge is, and that is {spot} now.")
        if device.id == f"{self.name}:{spot.mac}":
            spot = msgspec.structs.replace(spot, where=_where(device))
            if await pairing_of(spot.mac, self.kit.secrets) is None:
                await meet(spot)
                raise self._unpaired(spot.mac, spot.name)
        async with self._reached(spot) as bridge:
            found = features(device, member_of(bridge, device).parts())
        if not found:
            raise Unavailable(f"{spot} tells nothing of {device.name} that could be driven.")
        return found

    async def deliver(self, delivery: Delivery) -> None:
        """Command a device, and return when its bridge took the command; see ``ports.Target``."""
        feature, device, wanted = delivery.feature, delivery.device, delivery.event.value
        if feature is None or device is None or wanted is None:
            raise Rejected("What is behind a Hue bridge can only be given a number for one of its features.")
        component = feature.external_id.removeprefix(f"{device.id}:")
        async with self._hub.joined(self._spot(device)) as link:
            for part in member_of(link.bridge, device).parts():
                if part.component == component:
                    with self.commanding(device.id, component, wanted):
                        await link.bridge.set(part, wanted, device.name)
                    return
        raise Rejected(f"{device.name} has no {component!r} that could be set.")

    def follow(self, device: Device) -> None:
        """See ``FollowingDriver``. Where a bridge is, its lamps are."""
        super().follow(device)
        mac = bridge_of(device.id)
        if device.id == f"{self.name}:{mac}" and device.address is not None and device.port is not None:
            self._places[mac] = (device.address, device.port)

    def forget(self, device_id: str) -> None:
        """See ``FollowingDriver``."""
        self._places.pop(device_id.removeprefix(f"{self.name}:"), None)
        self._found.forget(device_id)
        super().forget(device_id)

    async def listen(self, following: Following[Link]) -> None:
        """Hear what becomes of one device, by the connection to its bridge; see ``FollowingDriver``."""
        async with self._hub.joined(self._spot(following.device)) as link:
            member = member_of(link.bridge, following.device)
            ear = Listener(following, member)
            with link.bridge.heard_by(ear, member.rid):
                ear.changed()
                following.connection = link
                await link.end()

    def wants(self, device: Device) -> Wanted:
        """Return that the button has to be pressed; see ``ports.Pairable``."""
        return Wanted(f"Press the round button on the Hue bridge {bridge_of(device.id)}, then go on.", code=False)

    async def pair(self, device: Device, code: str | None) -> None:  # noqa: ARG002 - none is wanted
        """Gain the key of the bridge, and keep it with the fingerprint of its certificate; see ``ports.Pairable``."""
        spot = self._spot(device)
        gained = await pair(spot)
        await self.kit.secrets.set(spot.mac, msgspec.json.encode(gained))
        self._hub.drop(spot.mac, Unavailable(f"{spot} was just paired anew."))
        for one in self.kit.registry().devices:
            following = self.following(one) if bridge_of(one) == spot.mac else None
            if following is not None:
                following.wake()

    async def unpair(self, device: Device) -> None:
        """Forget the key; see ``ports.Pairable``. Only its owner can have the bridge forget it."""
        mac = bridge_of(device.id)
        await self.kit.secrets.set(mac, None)
        self._hub.drop(mac, self._unpaired(mac, device.name))
        raise Rejected(
            f"{device.name} is forgotten here. It still lists us, and only its owner can change that: remove "
            "gladys_companion#home among the apps of your account at account.meethue.com."
        )

    def _spot(self, device: Device) -> Spot:
        """Return the bridge of a device: where it is followed, else where the device is said to be."""
        mac = bridge_of(device.id)
        bridge = self.kit.registry().devices.get(f"{self.name}:{mac}")
        name = bridge.name if bridge is not None else device.name
        return Spot(mac, name, self._places.get(mac) or _where(device), self._config.answer_within)

    def _unpaired(self, mac: str, name: str) -> Rejected:
        return Rejected(
            f"{name} is not paired: press its round button and run `gladys-companion devices pair {self.name}:{mac}`."
        )

    @asynccontextmanager
    async def _connect(self, spot: Spot) -> AsyncIterator[Bridge]:
        pairing = await pairing_of(spot.mac, self.kit.secrets)
        if pairing is None:
            raise self._unpaired(spot.mac, spot.name)
        async with open_bridge(spot, pairing) as bridge:
            yield bridge

    @asynccontextmanager
    async def _reached(self, spot: Spot) -> AsyncIterator[Bridge]:
        """Yield a bridge at one place, by the connection that leads there if there is one."""
        if self._places.get(spot.mac, spot.where) == spot.where:
            async with self._hub.joined(spot) as link:
                yield link.bridge
        else:
            async with self._connect(spot) as bridge:
                yield bridge

    async def _run(self, bridge: Bridge) -> None:
        self._tell_of(bridge)
        await bridge.run(self._config.check_every, partial(self._tell_of, bridge))

    def _tell_of(self, bridge: Bridge) -> None:
        self._found.put(f"{self.name}:{bridge.spot.mac}", members(bridge, self.name))


def _where(device: Device) -> Endpoint:
    if device.address is None or device.port is None:
        raise Unavailable(f"{device.name} has not been seen on the network yet.")
    return (device.address, device.port)


@asynccontextmanager
async def _open(config: Config, kit: Kit) -> AsyncIterator[HueDriver]:
    async with opened(partial(HueDriver, config, kit)) as driver:
        yield driver


PLUGIN = Plugin(config=Config, open=_open)
