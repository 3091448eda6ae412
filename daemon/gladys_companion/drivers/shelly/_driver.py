"""The driver of Shelly devices: a device is its MAC address, wherever it is and of whatever generation.

Protocols: shelly-api-docs.shelly.cloud/gen1 and /gen2, which is also that of Gen3 and Gen4.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from gladys_companion.drivers._http import open_session
from gladys_companion.drivers.following import FIRST_RETRY, Following, FollowingDriver, plugin
from gladys_companion.drivers.identity import best_address
from gladys_companion.drivers.shelly._commands import Wish, wish
from gladys_companion.drivers.shelly._gen1_line import Gen1Line
from gladys_companion.drivers.shelly._gen2_line import CalmWebSocket, Gen2Line, open_gen2
from gladys_companion.drivers.shelly._password import Password, basic, forget, keep, kept, wanted
from gladys_companion.drivers.shelly._place import AnotherDevice, Hello, Place, hello, judged
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Delivery, Device, Feature, Service
from gladys_companion.ports import Kit, Wanted

__all__ = ["PLUGIN", "Config", "ShellyDriver"]

OWN, HTTP = "_shelly._tcp.local.", "_http._tcp.local."  # every generation announces the second, Gen2 and later both
NAME = re.compile(r"(shelly[a-z0-9-]*)-([0-9a-f]{12}|[0-9a-f]{6})")

Line: TypeAlias = Gen1Line | Gen2Line
Seconds = Annotated[float, Meta(ge=0.1, le=3600)]


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """``[drivers.shelly]``: how long an answer may take, how often is asked, in seconds; the user of Gen1."""

    answer_within: Annotated[float, Meta(gt=0, le=60)] = 5.0
    poll_least: Seconds = 1.0
    poll_most: Seconds = 10.0
    check_every: Seconds = 60.0
    reconnect_most: Annotated[float, Meta(ge=FIRST_RETRY, le=3600)] = 30.0
    username: Annotated[str, Meta(pattern=r"^[^:\s]{1,50}$")] = "admin"


class ShellyDriver(FollowingDriver[Line]):
    """A ``Driver`` that is ``Pairable``; ``PLUGIN.open`` makes one."""

    name = "shelly"
    services: Sequence[str] = (OWN, HTTP)

    def __init__(self, config: Config, kit: Kit, group: asyncio.TaskGroup) -> None:
        super().__init__(kit, group, reconnect_most=config.reconnect_most)
        self._config = config
        # What aioshelly says of a device is said by us, once; of nonsense it would say it as often as it comes.
        logging.getLogger("aioshelly").setLevel(logging.CRITICAL)

    def identify(self, service: Service) -> Device | None:
        """Return the Shelly of an announcement whose name ends with its MAC, or with half of it; or None."""
        label = service.name.removesuffix(f".{service.type}").lower()
        found, address = NAME.fullmatch(label), best_address(service.addresses)
        if service.type not in self.services or found is None or address is None:
            return None
        return Device(
            id=f"{self.name}:{found[2]}",
            driver=self.name,
            name=label,
            model=found[1],
            host=service.host,
            address=address,
            port=service.port,
        )

    async def describe(self, device: Device) -> Sequence[Feature]:
        """Ask the device; see ``ports.Driver``."""
        async with self._open(device) as line:
            return await line.features()

    async def deliver(self, delivery: Delivery) -> None:
        """Command the device, and return when it said that it did so; see ``ports.Target``."""
        feature, device, value = delivery.feature, delivery.device, delivery.event.value
        if feature is None or device is None or value is None:
            raise Rejected("A Shelly can only be given a number for one of its features.")
        component = feature.external_id.removeprefix(f"{device.id}:")
        what = wish(component, value)
        with self.commanding(device.id, component, value):
            line = self.connection(device.id)
            try:
                if line is not None:
                    await line.set(what)
                else:
                    await self._set(device, what)
            except AnotherDevice as error:  # the device itself may yet be found elsewhere
                raise Unavailable(str(error)) from error

    async def listen(self, following: Following[Line]) -> None:
        """Keep a websocket to Gen2 and later, and ask Gen1 now and then; see ``FollowingDriver``."""
        config = self._config
        async with self._open(following.device) as line:
            following.connection = line
            if isinstance(line, Gen1Line):
                await line.listen(following, least=config.poll_least, most=config.poll_most)
            else:
                await line.listen(following, every=config.check_every)

    def wants(self, device: Device) -> Wanted:
        """Return that a password is wanted; see ``ports.Pairable``."""
        return Wanted(f"Give the password that was set for {device.name} on its own web page.", code=True)

    async def pair(self, device: Device, code: str | None) -> None:
        """Keep the password, once the device took it; see ``ports.Pairable``."""
        if not code:
            raise Rejected(f"{device.name} is paired by its password, and none was given.")
        place = Place.of(device, self._config.answer_within)
        password = Password(code, *place.endpoint)
        async with self._way(place, password) as (said, line):
            if not said.protected:
                raise Rejected(f"{place} has no password, so it needs no pairing.")
            await line.ask()
        await keep(self.kit.secrets, device.id, password)

    async def unpair(self, device: Device) -> None:
        """Forget the password, and whatever was opened by it; see ``ports.Pairable``."""
        await forget(self.kit.secrets, device.id)
        self.forget(device.id)

    async def _set(self, device: Device, what: Wish) -> None:
        async with self._open(device) as line:
            await line.set(what)

    @asynccontextmanager
    async def _open(self, device: Device) -> AsyncIterator[Line]:
        place = Place.of(device, self._config.answer_within)
        async with self._way(place, await kept(self.kit.secrets, device.id)) as (_, line):
            yield line

    @asynccontextmanager
    async def _way(self, place: Place, password: Password | None) -> AsyncIterator[tuple[Hello, Line]]:
        async with open_session(place.host, place.endpoint, ws_response_class=CalmWebSocket) as session:
            with judged(place):
                said = await hello(session, place)
            right = wanted(place, said, password)
            if said.gen == 1:
                yield said, Gen1Line(session, place, basic(self._config.username, right))
                return
            async with open_gen2(session, place, right) as line:
                yield said, line


PLUGIN = plugin(Config, ShellyDriver)
