"""The driver of WLED lamps: a lamp is its MAC address, wherever it is, and its websocket is kept open by one task each.

Protocol: the JSON API of WLED (kno.wled.ge/interfaces/json-api), firmware 0.14 and newer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct

from gladys_companion.drivers.following import FIRST_RETRY, Following, FollowingDriver, plugin
from gladys_companion.drivers.identity import best_address, mac_of
from gladys_companion.drivers.wled._lamp import AnotherDevice, Lamp, open_lamp
from gladys_companion.drivers.wled._values import features
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Delivery, Device, Feature, Service
from gladys_companion.ports import Kit

__all__ = ["PLUGIN", "Config", "WledDriver"]

SERVICE = "_wled._tcp.local."


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """``[drivers.wled]``, in seconds: ``answer_within`` for a lamp's answer, ``reconnect_most`` between attempts."""

    answer_within: Annotated[float, Meta(gt=0, le=60)] = 5.0
    reconnect_most: Annotated[float, Meta(ge=FIRST_RETRY, le=3600)] = 30.0


class WledDriver(FollowingDriver[Lamp]):
    """A ``Driver``; ``PLUGIN.open`` makes one."""

    name = "wled"
    services: Sequence[str] = (SERVICE,)

    def __init__(self, config: Config, kit: Kit, group: asyncio.TaskGroup) -> None:
        super().__init__(kit, group, reconnect_most=config.reconnect_most)
        self._config = config

    def identify(self, service: Service) -> Device | None:
        """Return the lamp of an announcement that names a MAC, or None."""
        mac, address = mac_of(service.txt.get("mac", "")), best_address(service.addresses)
        if service.type != SERVICE or mac is None or address is None:
            return None
        return Device(
            id=f"{self.name}:{mac}",
            driver=self.name,
            name=service.name.removesuffix(f".{SERVICE}"),
            model="WLED",
            host=service.host,
            address=address,
            port=service.port,
        )

    async def describe(self, device: Device) -> Sequence[Feature]:
        """Ask the lamp; see ``ports.Driver``."""
        async with open_lamp(device, self._config.answer_within) as lamp:
            return features(device, await lamp.ask(), await lamp.presets())

    async def deliver(self, delivery: Delivery) -> None:
        """Command the lamp, and return when it said that it has the value; see ``ports.Target``."""
        feature, device, value = delivery.feature, delivery.device, delivery.event.value
        if feature is None or device is None or value is None:
            raise Rejected("A lamp can only be given a number for one of its features.")
        component = feature.external_id.removeprefix(f"{device.id}:")
        with self.commanding(device.id, component, value):
            lamp = self.connection(device.id)
            if lamp is not None and lamp.listening:
                await lamp.set(component, value)
            else:
                await self._set(device, component, value)

    async def listen(self, following: Following[Lamp]) -> None:
        """Keep the lamp's websocket; see ``FollowingDriver``."""
        async with open_lamp(following.device, self._config.answer_within) as lamp:
            following.connection = lamp
            await lamp.listen(following.tell)

    async def _set(self, device: Device, component: str, value: float) -> None:
        async with open_lamp(device, self._config.answer_within) as lamp:
            try:
                await lamp.set(component, value)
            except AnotherDevice as error:  # the lamp itself may yet be found elsewhere
                raise Unavailable(str(error)) from error


PLUGIN = plugin(Config, WledDriver)
