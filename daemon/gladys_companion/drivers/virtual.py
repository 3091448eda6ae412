"""Devices without hardware, such as phones: what was written is what they are.

The journal writes the value of such a feature with the event itself, in one transaction, so nothing is left to deliver;
``deliver`` is there for the port's sake.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from msgspec import Struct

from gladys_companion.errors import Rejected
from gladys_companion.model import Delivery, Device, Event, Feature, Service
from gladys_companion.ports import Kit, Plugin

__all__ = ["PLUGIN", "Config", "VirtualDriver"]


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """``[drivers.virtual]`` has no options."""


class VirtualDriver:
    """A ``Driver`` whose devices exist in the registry only; ``PLUGIN.open`` makes one."""

    services: Sequence[str] = ()

    def __init__(self, kit: Kit) -> None:
        self._registry = kit.registry

    def identify(self, service: Service) -> None:  # noqa: ARG002 - the port's
        """Return None: nothing virtual announces itself."""
        return

    async def describe(self, device: Device) -> Sequence[Feature]:
        """Return the features that the device was added with."""
        if device.id not in self._registry().devices:
            raise Rejected(f"No virtual device {device.id!r} has been added.")
        return tuple(feature for feature in self._registry().features.values() if feature.device == device.id)

    async def deliver(self, delivery: Delivery) -> None:
        """Accept what the journal would have written."""
        feature, event = delivery.feature, delivery.event
        if feature is None or feature.external_id not in self._registry().features:
            raise Rejected("A virtual device can only be told a value of one of its features.")
        if (event.text if feature.textual else event.value) is None:
            raise Rejected(f"{feature.name} takes a {'text' if feature.textual else 'number'}.")

    async def events(self) -> AsyncIterator[Event]:
        """Wait for ever: nothing virtual changes by itself."""
        await asyncio.get_running_loop().create_future()
        none: tuple[Event, ...] = ()
        for event in none:
            yield event

    def follow(self, device: Device) -> None:
        """Do nothing: it is nowhere."""

    def forget(self, device_id: str) -> None:
        """Do nothing: it was not followed."""

    async def discover(self) -> AsyncIterator[Device]:
        """Yield nothing: virtual devices are added by their owner."""
        none: tuple[Device, ...] = ()
        for device in none:
            yield device


@asynccontextmanager
async def _open(_config: Config, kit: Kit) -> AsyncIterator[VirtualDriver]:
    yield VirtualDriver(kit)


PLUGIN = Plugin(config=Config, open=_open)
