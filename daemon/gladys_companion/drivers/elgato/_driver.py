"""The driver of Elgato lights: a light is its MAC address, wherever it is, and it is asked, because it tells nothing.

Protocol: the HTTP API on port 9123 that Elgato's own app speaks, which is not published; as the ``elgato`` library
(github.com/frenck/python-elgato) knows it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Annotated

from msgspec import Meta, Struct

from gladys_companion.drivers.elgato._light import AnotherDevice, Light, open_light
from gladys_companion.drivers.elgato._values import features
from gladys_companion.drivers.following import FIRST_RETRY, Following, FollowingDriver, opened, poll
from gladys_companion.drivers.identity import best_address, mac_of
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Delivery, Device, Feature, Service
from gladys_companion.ports import Kit, Plugin

__all__ = ["PLUGIN", "Config", "ElgatoDriver"]

SERVICE = "_elg._tcp.local."
MAKER = "Elgato"


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """``[drivers.elgato]``, in seconds: how long an answer may take, how often is asked, how long a pause may be."""

    answer_within: Annotated[float, Meta(gt=0, le=60)] = 5.0
    poll_least: Annotated[float, Meta(ge=0.1, le=3600)] = 1.0
    poll_most: Annotated[float, Meta(ge=0.1, le=3600)] = 10.0
    reconnect_most: Annotated[float, Meta(ge=FIRST_RETRY, le=3600)] = 30.0


class ElgatoDriver(FollowingDriver[Light]):
    """A ``Driver``; ``PLUGIN.open`` makes one."""

    name = "elgato"
    services: Sequence[str] = (SERVICE,)

    def __init__(self, config: Config, kit: Kit, group: asyncio.TaskGroup) -> None:
        super().__init__(kit, group, reconnect_most=config.reconnect_most)
        self._config = config

    def identify(self, service: Service) -> Device | None:
        """Return the light of an announcement that names a MAC, or None."""
        mac, address = mac_of(service.txt.get("id", "")), best_address(service.addresses)
        if service.type != SERVICE or mac is None or address is None:
            return None
        return Device(
            id=f"{self.name}:{mac}",
            driver=self.name,
            name=service.name.removesuffix(f".{SERVICE}"),
            model=service.txt.get("md", MAKER),
            host=service.host,
            address=address,
            port=service.port,
        )

    async def describe(self, device: Device) -> Sequence[Feature]:
        """Ask the light; see ``ports.Driver``."""
        async with self._open(device) as light:
            return features(device, await light.able())

    async def deliver(self, delivery: Delivery) -> None:
        """Command the light, and return when it said that it has the value; see ``ports.Target``."""
        feature, device, value = delivery.feature, delivery.device, delivery.event.value
        if feature is None or device is None or value is None:
            raise Rejected("A light can only be given a number for one of its features.")
        component = feature.external_id.removeprefix(f"{device.id}:")
        with self.commanding(device.id, component, value):
            light = self.connection(device.id)
            if light is not None:
                await _set(light, component, value)
            else:
                async with self._open(device) as light:
                    await _set(light, component, value)

    async def listen(self, following: Following[Light]) -> None:
        """Ask the light for ever; see ``FollowingDriver``."""
        async with self._open(following.device) as light:
            await light.able()
            following.connection = light
            await poll(following, light.ask, quick=self._config.poll_least, slow=self._config.poll_most)

    def _open(self, device: Device) -> AbstractAsyncContextManager[Light]:
        return open_light(device, self._config.answer_within, self.kit.secrets)


async def _set(light: Light, component: str, value: float) -> None:
    try:
        await light.set(component, value)
    except AnotherDevice as error:  # the light itself may yet be found elsewhere
        raise Unavailable(str(error)) from error


@asynccontextmanager
async def _open(config: Config, kit: Kit) -> AsyncIterator[ElgatoDriver]:
    async with opened(partial(ElgatoDriver, config, kit)) as driver:
        yield driver


PLUGIN = Plugin(config=Config, open=_open)
