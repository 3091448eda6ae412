"""The driver of HomeKit accessories: an accessory is its device id, wherever it is, and is driven once it is paired.

Protocol: HomeKit Accessory Protocol, release R2, over IP.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import islice

import structlog
from aiohomekit.exceptions import AccessoryDisconnectedError

from gladys_companion.drivers.following import Following, FollowingDriver, opened, poll
from gladys_companion.drivers.homekit._announced import SERVICE, announced
from gladys_companion.drivers.homekit._config import Config
from gladys_companion.drivers.homekit._judged import (
    AnotherDevice,
    PairedElsewhere,
    again,
    elsewhere,
    judged,
    judged_pairing,
    where,
)
from gladys_companion.drivers.homekit._pairing import Pairing, identity, kept, pin_of, remove, set_up, to_keep
from gladys_companion.drivers.homekit._part import feature
from gladys_companion.drivers.homekit._session import Session, open_session
from gladys_companion.drivers.homekit._wire import open_wire
from gladys_companion.drivers.identity import best_address, mac_of
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Delivery, Device, Feature, Service
from gladys_companion.ports import Kit, Plugin, Wanted

__all__ = ["PLUGIN", "HomekitDriver"]

MOST_FEATURES = 256  # as many as discovery takes of one device
QUICK = 2.0  # seconds between two looks at what is not told, after a change

log = structlog.get_logger(__name__)


class HomekitDriver(FollowingDriver[Session]):
    """A ``Driver`` and a ``Pairable``; ``PLUGIN.open`` makes one."""

    name = "homekit"
    services: Sequence[str] = (SERVICE,)

    def __init__(self, config: Config, kit: Kit, group: asyncio.TaskGroup) -> None:
        super().__init__(kit, group, reconnect_most=config.reconnect_most)
        self._config = config

    def identify(self, service: Service) -> Device | None:
        """Return the accessory of an announcement that names its id, or None."""
        mac, address = mac_of(service.txt.get("id", "")), best_address(service.addresses)
        if service.type != SERVICE or mac is None or address is None:
            return None
        return Device(
            id=f"{self.name}:{mac}",
            driver=self.name,
            name=service.name.removesuffix(f".{SERVICE}"),
            model=service.txt.get("md", ""),
            host=service.host,
            address=address,
            port=service.port,
        )

    async def describe(self, device: Device) -> Sequence[Feature]:
        """Ask the accessory, on the connection that is kept to it if there is one; see ``ports.Driver``."""
        session = self._session(device)
        if session is not None:
            try:
                await session.learn()
            except Unavailable as error:
                if not isinstance(error.__cause__, AccessoryDisconnectedError | ConnectionError):
                    raise  # else it had just hung up, and may say why to who calls anew
            else:
                return _features(device, session)
        async with open_session(device, await self._pairing(device), self._config) as session:
            await session.learn()
            return _features(device, session)

    async def deliver(self, delivery: Delivery) -> None:
        """Command the accessory, and return when it took it; a lock: when it is there. See ``ports.Target``."""
        feature, device, value = delivery.feature, delivery.device, delivery.event.value
        if feature is None or device is None or value is None:
            raise Rejected("An accessory can only be given a number for one of its features.")
        component = feature.external_id.removeprefix(f"{device.id}:")
        with self.commanding(device.id, component, value):
            session = self._session(device)
            if session is not None:
                await session.set(component, value)
            else:
                await self._set(device, component, value)

    async def listen(self, following: Following[Session]) -> None:
        """Keep a connection and have it tell changes; see ``FollowingDriver``."""
        device = following.device
        async with open_session(device, await self._pairing(device), self._config) as session:
            await session.learn()
            await session.listen(following)
            following.connection = session
            slow = self._config.poll_every  # asked even where everything is told: so it is seen when it is gone
            await poll(following, session.ask, quick=min(QUICK, slow) if session.silent else slow, slow=slow)

    def wants(self, device: Device) -> Wanted:
        """Return that it wants its PIN; see ``ports.Pairable``."""
        return Wanted(
            says=f"The PIN of {device.name}: eight digits such as 031-45-154, on the accessory, on its box or on its "
            "screen.",
            code=True,
        )

    async def pair(self, device: Device, code: str | None) -> None:
        """Pair with the accessory by its PIN and keep the pairing; see ``ports.Pairable``."""
        pin = pin_of(code or "")
        if pin is None:
            raise Rejected("The PIN of a HomeKit accessory has eight digits, such as 031-45-154.")
        mac = device.id.partition(":")[2]
        try:
            pairing = await self._set_up(device, pin, certified=announced(self.kit.zeroconf.zeroconf, mac).certified)
        except PairedElsewhere:
            if await self._works(device):  # it is paired, with us
                return
            raise
        if identity(pairing) != mac:
            raise AnotherDevice(
                f"Another accessory answers at {where(device)}: its id is {pairing['AccessoryPairingID'][:32]!r}. It "
                "is paired now and nobody has the key: reset it."
            )
        await self.kit.secrets.set(device.id, to_keep(pairing))

    async def unpair(self, device: Device) -> None:
        """Have the accessory forget us, and forget it; see ``ports.Pairable``."""
        secret = await self.kit.secrets.get(device.id)
        if secret is None:
            raise Rejected(f"{device.name} is not paired with this companion.")
        pairing = kept(secret)
        try:
            if pairing is not None:
                await self._remove(device, pairing)
        except (Unavailable, AnotherDevice) as error:
            raise Rejected(
                f"The pairing of {device.name} is forgotten here, but it could not be told: reset it before it is "
                f"paired again. {error}"
            ) from error
        finally:
            await self.kit.secrets.set(device.id, None)
            self.forget(device.id)

    def _session(self, device: Device) -> Session | None:
        """Return the connection that is kept to a device, if it leads to where the device is said to be."""
        session = self.connection(device.id)
        return session if session is not None and session.open and session.leads_to(device) else None

    async def _pairing(self, device: Device) -> Pairing:
        """Return what is kept of a device.

        Raises:
            Rejected: nothing, or nothing that can be read; the sentence says what to do.
        """
        secret = await self.kit.secrets.get(device.id)
        if secret is None:
            mac = device.id.partition(":")[2]
            if announced(self.kit.zeroconf.zeroconf, mac).unpaired is False:
                raise Rejected(elsewhere(device))
            raise Rejected(f"{device.name} is not paired: {again(device)}.")
        pairing = kept(secret)
        if pairing is None or identity(pairing) != device.id.partition(":")[2]:
            raise Rejected(
                f"What is kept of the pairing of {device.name} can not be read: pair it again, {again(device)}."
            )
        return pairing

    async def _set(self, device: Device, component: str, value: float) -> None:
        try:
            async with open_session(device, await self._pairing(device), self._config) as session:
                await session.learn()
                await session.set(component, value)
        except AnotherDevice as error:  # the accessory itself may yet be found elsewhere
            raise Unavailable(str(error)) from error

    async def _set_up(self, device: Device, pin: str, *, certified: bool) -> Pairing:
        if device.address is None or device.port is None:
            raise Unavailable(f"{device.name} has not been seen on the network yet.")
        within = self._config.pair_within
        with judged(device, within), judged_pairing(device):
            async with open_wire((device.address, device.port), within, lambda _: None, lambda: None) as wire:
                return await set_up(wire, pin, certified=certified)

    async def _works(self, device: Device) -> bool:
        """Return whether what is kept of a device still opens it."""
        try:
            async with open_session(device, await self._pairing(device), self._config):
                return True
        except Rejected:
            return False

    async def _remove(self, device: Device, pairing: Pairing) -> None:
        try:
            async with open_session(device, pairing, self._config) as session:
                with judged(device, self._config.answer_within):
                    await remove(session.wire, pairing)
        except AnotherDevice:
            raise
        except Rejected:
            log.info("an accessory had forgotten us already", device=device.id)


def _features(device: Device, session: Session) -> Sequence[Feature]:
    if len(session.parts) > MOST_FEATURES:
        log.warning("only some features are taken", device=device.id, of=len(session.parts), most=MOST_FEATURES)
    return tuple(feature(device, part) for part in islice(session.parts.values(), MOST_FEATURES))


@asynccontextmanager
async def _open(config: Config, kit: Kit) -> AsyncIterator[HomekitDriver]:
    async with opened(partial(HomekitDriver, config, kit)) as driver:
        yield driver


PLUGIN = Plugin(config=Config, open=_open)
