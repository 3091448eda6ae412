"""The driver of devices that are described in the configuration, and are asked and commanded over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

from msgspec import Struct

from gladys_companion.drivers import _templates as templates
from gladys_companion.drivers.following import Following, FollowingDriver, opened, poll
from gladys_companion.drivers.http._client import Client, open_client
from gladys_companion.drivers.http._tables import Config, DeviceTable, Tls, check, context, header
from gladys_companion.errors import Rejected
from gladys_companion.model import Delivery, Device, Feature, Service
from gladys_companion.ports import Kit, Plugin

__all__ = ["PLUGIN", "HttpDriver"]

FOR_EVER = 3600.0


class _Known(Struct, frozen=True):
    """A device of the configuration, with what its files held at the start."""

    table: DeviceTable
    context: Tls
    header: Mapping[str, str]


class HttpDriver(FollowingDriver[Client]):
    """A ``Driver``; ``PLUGIN.open`` makes one."""

    name = "http"

    def __init__(self, config: Config, known: Mapping[str, _Known], kit: Kit, group: asyncio.TaskGroup) -> None:
        super().__init__(kit, group, reconnect_most=config.reconnect_most)
        self._config = config
        self._known = known

    def identify(self, service: Service) -> None:  # noqa: ARG002 - the port's
        """Return None: these devices are told, not found."""
        return

    async def discover(self) -> AsyncIterator[Device]:
        """Yield the devices of the configuration."""
        for device_id, known in self._known.items():
            base = known.table.base
            yield Device(
                id=device_id,
                driver=self.name,
                name=known.table.name or known.table.id,
                model="HTTP",
                host=base.host,
                address=base.host,
                port=base.port,
            )
        await asyncio.Event().wait()

    async def describe(self, device: Device) -> Sequence[Feature]:
        """Ask it once, and return what its owner described; see ``ports.Driver``."""
        known = self._table(device.id)
        async with self._open(known) as client:
            await client.values()
        return [templates.feature_of(device, feature, writable=bool(feature.write)) for feature in known.table.features]

    async def deliver(self, delivery: Delivery) -> None:
        """Write, and return when a reading says that it is so; see ``ports.Target``."""
        feature, device, event = delivery.feature, delivery.device, delivery.event
        value = event.text if feature is not None and feature.textual else event.value
        if feature is None or device is None or value is None:
            raise Rejected("A device can only be given a value for one of its features.")
        known = self._table(device.id)
        component = feature.external_id.removeprefix(f"{device.id}:")
        table = next((one for one in known.table.features if one.component == component), None)
        if table is None or not table.write:
            raise Rejected(f"[drivers.http] tells of no way to write {component!r} of {device.name}.")
        with self.commanding(device.id, component, value):
            async with self._open(known) as client:
                await client.set(table, value)

    async def listen(self, following: Following[Client]) -> None:
        """Ask it for ever; see ``FollowingDriver``."""
        known = self._table(following.device.id)
        async with self._open(known) as client:
            following.connection = client
            if not any(feature.read for feature in known.table.features):
                await client.recognise()
                following.tell({})
                while True:  # there is nothing to ask
                    await following.pause(FOR_EVER)
            await poll(following, client.values, quick=self._config.poll_least, slow=self._config.poll_most)

    def _table(self, device_id: str) -> _Known:
        known = self._known.get(device_id)
        if known is None:
            raise Rejected(f"[drivers.http] describes no device {device_id!r} (any more).")
        return known

    def _open(self, known: _Known) -> AbstractAsyncContextManager[Client]:
        return open_client(known.table, known.context, known.header, self._config.answer_within)


def _look_up(config: Config) -> dict[str, _Known]:
    """Return the devices by id. Reads the files that they name."""
    check(config)
    return {f"http:{table.id}": _Known(table, context(table), header(table)) for table in config.devices}


@asynccontextmanager
async def _open(config: Config, kit: Kit) -> AsyncIterator[HttpDriver]:
    known = await asyncio.to_thread(_look_up, config)
    async with opened(partial(HttpDriver, config, known, kit)) as driver:
        yield driver


PLUGIN = Plugin(config=Config, open=_open, check=check)
