"""The driver of Tasmota devices: a device is the MAC that it announces, and its topics at the broker are listened to.

Protocol: tasmota.github.io/docs/MQTT, and its discovery (SetOption19 0), firmware 9.2 and newer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated

from msgspec import Meta, Struct, structs

from gladys_companion.drivers._broker import BrokerDriver
from gladys_companion.drivers.following import FIRST_RETRY, Following, opened
from gladys_companion.drivers.tasmota._announced import NAME, Announced
from gladys_companion.drivers.tasmota._directory import Directory
from gladys_companion.drivers.tasmota._session import Session, open_session
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Delivery, Device, Feature
from gladys_companion.mqtt import Connection
from gladys_companion.ports import Kit, Plugin

__all__ = ["PLUGIN", "Config", "TasmotaDriver"]


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """``[drivers.tasmota]``; times in seconds: for a device's answer, and between attempts to listen to it at most."""

    discovery_prefix: Annotated[str, Meta(pattern=r"^[^+#\x00]{1,200}$")] = "tasmota/discovery"
    answer_within: Annotated[float, Meta(gt=0, le=60)] = 5.0
    reconnect_most: Annotated[float, Meta(ge=FIRST_RETRY, le=3600)] = 30.0


class TasmotaDriver(BrokerDriver[Session]):
    """A ``Driver``; ``PLUGIN.open`` makes one."""

    name = NAME

    def __init__(self, config: Config, broker: Connection, kit: Kit, group: asyncio.TaskGroup) -> None:
        super().__init__(broker, kit, group, reconnect_most=config.reconnect_most)
        self._answer_within = config.answer_within
        self._directory = Directory(config.discovery_prefix, self._announced_anew)
        self._sessions: dict[str, Session] = {}  # by MAC
        self._found: dict[str, Device] = {}  # by id: the newest replaces the older
        self._some_found = asyncio.Event()
        broker.always(dict.fromkeys(self._directory.topics, self._directory.hear))

    async def discover(self) -> AsyncIterator[Device]:
        """Yield who announces itself at the broker, and who went offline or came back; see ``ports.Driver``."""
        while True:
            await self._some_found.wait()
            self._some_found.clear()
            while self._found:
                yield self._found.pop(next(iter(self._found)))

    async def describe(self, device: Device) -> Sequence[Feature]:
        """Have the device answer, and return what it announced; see ``ports.Driver``."""
        announced = await self._announced(device)
        if announced is None:
            raise Rejected(f"Nothing announces itself as {device.id} at the broker. See SetOption19 of the device.")
        if announced.elsewhere:
            raise Rejected(f"{device.name} answers on topics of their own: give it the command SetOption4 0.")
        async with open_session(self.broker, announced, self._answer_within) as session:
            await session.verify()
        return tuple(part.feature(device) for part in announced.parts)

    async def deliver(self, delivery: Delivery) -> None:
        """Command the device, and return when it said that it has the value; see ``ports.Target``."""
        feature, device, value = delivery.feature, delivery.device, delivery.event.value
        if feature is None or device is None or value is None:
            raise Rejected("A Tasmota device can only be given a number for one of its features.")
        announced = await self._announced(device)
        if announced is None:
            raise Unavailable(f"{device.name} does not announce itself at the broker.")
        component = feature.external_id.removeprefix(f"{device.id}:")
        part = announced.part(component)
        if part is None:
            raise Rejected(f"{device.name} has no {component!r} any more.")
        wanted = part.checked(value)
        with self.commanding(device.id, component, wanted):
            session = self.connection(device.id)
            if session is not None:
                await session.set(part, wanted)
                return
            async with open_session(self.broker, announced, self._answer_within) as session:
                await self._verify(session)
                await session.set(part, wanted)

    async def listen_there(self, following: Following[Session]) -> None:
        """Hear the device, whether it is online or not; see ``BrokerDriver``."""
        announced = await self._announced(following.device)
        if announced is None:
            raise Unavailable(f"{following.device.name} does not announce itself at the broker.")
        async with open_session(self.broker, announced, self._answer_within) as session:
            self._sessions[announced.mac] = session
            try:
                while True:
                    await self._listen_while_online(session, following)
                    following.connection = None
                    following.troubled(f"{following.device.name} is offline: it has no power, or no network.")
                    self._put(structs.replace(following.device, away_since=self.kit.clock.now()))
                    await session.until_online()
                    self._put(announced.device)
            finally:
                del self._sessions[announced.mac]

    async def _listen_while_online(self, session: Session, following: Following[Session]) -> None:
        try:
            await session.verify()
        except Unavailable:
            if session.offline:
                return
            raise
        following.connection = session
        await session.listen(following)

    async def _verify(self, session: Session) -> None:
        try:
            await session.verify()
        except Rejected as error:  # the device itself may yet answer
            raise Unavailable(str(error)) from error

    async def _announced(self, device: Device) -> Announced | None:
        """Return what the device announces; what the broker kept of that may be on its way still."""
        await self.broker.reached()
        return await self._directory.wait_for(device.id.removeprefix(f"{NAME}:"), self._answer_within)

    def _announced_anew(self, mac: str, news: bool) -> None:  # noqa: FBT001 - see ``Directory``
        announced, now = self._directory.get(mac), self.kit.clock.now()
        if announced is None:
            self._put(Device(id=f"{NAME}:{mac}", driver=NAME, name=mac, away_since=now))
        else:
            self._put(structs.replace(announced.device, seen_at=now))  # so that it is described again
        if news and mac in self._sessions:
            self._sessions[mac].outdate()

    def _put(self, device: Device) -> None:
        self._found[device.id] = device
        self._some_found.set()


@asynccontextmanager
async def _open(config: Config, kit: Kit) -> AsyncIterator[TasmotaDriver]:
    broker = await Connection.prepared(kit.mqtt, NAME, kit.clock)
    async with broker.kept(), opened(lambda group: TasmotaDriver(config, broker, kit, group)) as driver:
        yield driver


PLUGIN = Plugin(config=Config, open=_open)
