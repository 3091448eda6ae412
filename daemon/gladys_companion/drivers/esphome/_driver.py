"""The driver of ESPHome devices: a device is its MAC address, wherever it is, and a connection to each is kept open."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Annotated

from msgspec import Meta, Struct

from gladys_companion.drivers.esphome._node import Node, open_node
from gladys_companion.drivers.esphome._trouble import AnotherDevice, NotEncrypted
from gladys_companion.drivers.following import FIRST_RETRY, Following, FollowingDriver, Value, opened
from gladys_companion.drivers.identity import best_address, mac_of
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Delivery, Device, Feature, Service
from gladys_companion.ports import Kit, Plugin, Wanted

__all__ = ["PLUGIN", "Config", "EsphomeDriver"]

SERVICE = "_esphomelib._tcp.local."
KEY_BYTES = 32


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """``[drivers.esphome]``, in seconds: for each step of an answer, between pings, between attempts to connect."""

    answer_within: Annotated[float, Meta(gt=0, le=60)] = 5.0
    ping_every: Annotated[float, Meta(ge=0.1, le=3600)] = 10.0
    reconnect_most: Annotated[float, Meta(ge=FIRST_RETRY, le=3600)] = 30.0


class EsphomeDriver(FollowingDriver[Node]):
    """A ``Driver`` and ``Pairable``; ``PLUGIN.open`` makes one."""

    name = "esphome"
    services: Sequence[str] = (SERVICE,)

    def __init__(self, config: Config, kit: Kit, group: asyncio.TaskGroup) -> None:
        super().__init__(kit, group, reconnect_most=config.reconnect_most)
        self._config = config

    def identify(self, service: Service) -> Device | None:
        """Return the device of an announcement that names a MAC, or None."""
        mac, address = mac_of(service.txt.get("mac", "")), best_address(service.addresses)
        if service.type != SERVICE or mac is None or address is None:
            return None
        return Device(
            id=f"{self.name}:{mac}",
            driver=self.name,
            name=service.txt.get("friendly_name") or service.name.removesuffix(f".{SERVICE}"),
            model=service.txt.get("project_name") or f"ESPHome {service.txt.get('platform', '')}".rstrip(),
            host=service.host,
            address=address,
            port=service.port,
        )

    async def describe(self, device: Device) -> Sequence[Feature]:
        """Ask the device; see ``ports.Driver``."""
        async with await self._open(device) as node:
            return tuple(part.feature for part in (await node.list()).values())

    async def deliver(self, delivery: Delivery) -> None:
        """Command the device, and return when it said that it has the value; see ``ports.Target``.

        What takes long by its nature returns earlier: a cover when it said that it moves there. A button has no value
        that could be confirmed: it returns when the device answered after the press, and is never pressed twice.
        """
        feature, device = delivery.feature, delivery.device
        if feature is None or device is None:
            raise Rejected("A device can only be given a value for one of its features.")
        wanted = delivery.event.text if feature.textual else delivery.event.value
        if wanted is None:
            raise Rejected(f"{feature.name} takes a {'text' if feature.textual else 'number'}.")
        component = feature.external_id.removeprefix(f"{device.id}:")
        node = self.connection(device.id)
        try:
            if node is not None:
                await self._set(node, device, component, wanted)
            else:
                async with await self._open(device) as node:
                    await node.subscribe(_nobody)
                    await self._set(node, device, component, wanted)
        except AnotherDevice as error:  # the device itself may yet be found elsewhere
            raise Unavailable(str(error)) from error

    async def listen(self, following: Following[Node]) -> None:
        """Keep the connection; see ``FollowingDriver``."""
        async with await self._open(following.device) as node:
            await node.subscribe(following.tell)
            following.connection = node
            following.tell({})  # it is there, even if it has nothing to tell
            await node.until_it_ends()

    def wants(self, device: Device) -> Wanted:
        """Return what is wanted; see ``ports.Pairable``."""
        says = f"The encryption key of {device.name}: the `key` in `api:`, `encryption:` of its ESPHome configuration."
        return Wanted(says=says, code=True)

    async def pair(self, device: Device, code: str | None) -> None:
        """Keep its key, once the device talked with it; see ``ports.Pairable``."""
        key = _key(code or "")
        try:
            async with open_node(device, key, self._config.answer_within, self._config.ping_every):
                await self.kit.secrets.set(_mac(device), key.encode())
        except NotEncrypted as error:
            raise Rejected(f"{device.name} is not encrypted: it needs no key.") from error

    async def unpair(self, device: Device) -> None:
        """Forget its key; it has nothing of ours to forget; see ``ports.Pairable``."""
        await self.kit.secrets.set(_mac(device), None)

    async def _set(self, node: Node, device: Device, component: str, wanted: Value) -> None:
        with self.commanding(device.id, component, wanted):
            await node.set(component, wanted)

    async def _open(self, device: Device) -> AbstractAsyncContextManager[Node]:
        key = await self.kit.secrets.get(_mac(device))
        return open_node(device, key.decode() if key else None, self._config.answer_within, self._config.ping_every)


def _mac(device: Device) -> str:
    return device.id.partition(":")[2]


def _key(text: str) -> str:
    """Return a key as it is written in a configuration.

    Raises:
        Rejected: it can not be one; it is not repeated in the sentence.
    """
    key = text.strip().strip("\"'")
    try:
        found = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != KEY_BYTES or not any(found):
        raise Rejected("That is no encryption key: it is 44 characters of base64, the last of them `=`.")
    return key


def _nobody(_: Mapping[str, Value]) -> None:
    """Tell nobody."""


@asynccontextmanager
async def _open(config: Config, kit: Kit) -> AsyncIterator[EsphomeDriver]:
    async with opened(partial(EsphomeDriver, config, kit)) as driver:
        yield driver


PLUGIN = Plugin(config=Config, open=_open)
