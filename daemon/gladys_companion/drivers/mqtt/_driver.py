"""The driver of devices that are described in the configuration, and are heard and told at the MQTT broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from msgspec import structs

from gladys_companion.drivers import _templates as templates
from gladys_companion.drivers._broker import BrokerDriver
from gladys_companion.drivers.following import Following, opened
from gladys_companion.drivers.mqtt._session import Session
from gladys_companion.drivers.mqtt._tables import Config, DeviceTable, MqttFeature, check
from gladys_companion.errors import Rejected
from gladys_companion.model import Delivery, Device, Feature
from gladys_companion.mqtt import Connection
from gladys_companion.ports import Kit, Plugin, Trouble

__all__ = ["PLUGIN", "MqttDriver"]


class MqttDriver(BrokerDriver[Session]):
    """A ``Driver``; ``PLUGIN.open`` makes one."""

    name = "mqtt"

    def __init__(self, config: Config, broker: Connection, kit: Kit, group: asyncio.TaskGroup) -> None:
        super().__init__(broker, kit, group, reconnect_most=config.reconnect_most)
        self._answer_within = config.answer_within
        self._tables = {f"{self.name}:{table.id}": table for table in config.devices}
        self._found: asyncio.Queue[Device] = asyncio.Queue()
        for device_id, table in self._tables.items():
            self._found.put_nowait(Device(id=device_id, driver=self.name, name=table.name or table.id, model="MQTT"))

    async def discover(self) -> AsyncIterator[Device]:
        """Yield the devices of the configuration, and which of them went offline or came back."""
        while True:
            yield await self._found.get()

    async def describe(self, device: Device) -> Sequence[Feature]:
        """Return what its owner described, once the broker is there; see ``ports.Driver``."""
        table = self._table(device.id)
        await self.broker.reached()
        return [
            templates.feature_of(device, feature, writable=bool(feature.command_topic)) for feature in table.features
        ]

    async def deliver(self, delivery: Delivery) -> None:
        """Tell it, and return when its state says so; see ``ports.Target``."""
        feature, device, event = delivery.feature, delivery.device, delivery.event
        value = event.text if feature is not None and feature.textual else event.value
        if feature is None or device is None or value is None:
            raise Rejected("A device can only be given a value for one of its features.")
        table = self._table(device.id)
        component = feature.external_id.removeprefix(f"{device.id}:")
        described = next((one for one in table.features if one.component == component), None)
        if described is None:
            raise Rejected(f"[drivers.mqtt] describes no {component!r} of {device.name} (any more).")
        with self.commanding(device.id, component, value):
            session = self.connection(device.id)
            if session is not None:
                await session.set(described, value, momentary=feature.momentary)
                return
            session = Session(table, self.broker, self._answer_within, self.kit.clock)
            async with self.broker.hearing(session.topics, session.hear):
                await session.set(described, value, momentary=feature.momentary)

    async def listen_there(self, following: Following[Session]) -> None:
        """Hear the device, whether it is online or not; see ``BrokerDriver``."""
        table, device = self._table(following.device.id), following.device
        presses = {
            one.component for one in table.features if templates.feature_of(device, one, writable=False).momentary
        }

        def told(feature: MqttFeature, value: templates.Value, kept: bool) -> None:  # noqa: FBT001 - its name says it
            if feature.component not in presses:
                following.tell({feature.component: value})
            elif not isinstance(value, str) and not kept:  # a press that the broker kept is one of yesterday
                following.happened(feature.component, value)
            self._say_offline(session, following)

        def changed() -> None:
            away = self.kit.clock.now() if session.offline else None
            self._found.put_nowait(structs.replace(device, away_since=away))
            if not session.offline:
                following.tell({})
            self._say_offline(session, following)

        session = Session(table, self.broker, self._answer_within, self.kit.clock, told, changed)
        async with self.broker.hearing(session.topics, session.hear):
            following.connection = session
            if not session.offline:
                following.tell({})
            await asyncio.Event().wait()  # until the broker goes

    def trouble(self, device_id: str) -> Trouble | None:
        """See ``ports.Troubled``; also what can not be read of what a device says."""
        told, session = super().trouble(device_id), self.connection(device_id)
        return told if told is not None or session is None else session.fault

    def _say_offline(self, session: Session, following: Following[Session]) -> None:
        if session.offline:
            following.troubled(f"{following.device.name} says that it is offline.")

    def _table(self, device_id: str) -> DeviceTable:
        table = self._tables.get(device_id)
        if table is None:
            raise Rejected(f"[drivers.mqtt] describes no device {device_id!r} (any more).")
        return table


@asynccontextmanager
async def _open(config: Config, kit: Kit) -> AsyncIterator[MqttDriver]:
    check(config)
    broker = await Connection.prepared(kit.mqtt, "devices", kit.clock)
    async with broker.kept(), opened(lambda group: MqttDriver(config, broker, kit, group)) as driver:
        yield driver


PLUGIN = Plugin(config=Config, open=_open, check=check)
