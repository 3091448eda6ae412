"""What the drivers of devices at the MQTT broker share: they say what is wrong with the broker, and wait for it."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import TypeVar

from msgspec import structs

from gladys_companion.drivers.following import Following, FollowingDriver
from gladys_companion.model import Service
from gladys_companion.mqtt import Connection
from gladys_companion.ports import Kit, Trouble

__all__ = ["BrokerDriver"]

C = TypeVar("C")


class BrokerDriver(FollowingDriver[C]):
    """A ``FollowingDriver`` whose devices are at the broker. ``broker`` is the plug-in's connection."""

    def __init__(self, broker: Connection, kit: Kit, group: asyncio.TaskGroup, *, reconnect_most: float = 30.0) -> None:
        super().__init__(kit, group, reconnect_most=reconnect_most)
        self.broker = broker

    @property
    def hindrance(self) -> str | None:
        """See ``ports.Hindered``."""
        return self.broker.trouble

    def identify(self, service: Service) -> None:  # noqa: ARG002 - the port's
        """Return None: nothing at a broker speaks mDNS."""
        return

    def trouble(self, device_id: str) -> Trouble | None:
        """See ``ports.Troubled``; where the broker is away, that is it."""
        told, broker = super().trouble(device_id), self.broker.trouble
        return structs.replace(told, says=broker) if told is not None and broker is not None else told

    async def listen(self, following: Following[C]) -> None:
        """Wait for the broker; then ``listen_there``."""
        if self.broker.trouble is not None:
            following.troubled(self.broker.trouble)
        await self.broker.connected()
        await self.listen_there(following)

    @abstractmethod
    async def listen_there(self, following: Following[C]) -> None:
        """As ``FollowingDriver.listen``, with a broker that was there a moment ago."""
