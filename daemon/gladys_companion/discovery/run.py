"""Asks the open drivers what is announced, and says what became of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import structlog
from msgspec import Struct, structs
from zeroconf.asyncio import AsyncServiceInfo

from gladys_companion.backoff import delay
from gladys_companion.clock import SYSTEM, Clock
from gladys_companion.discovery import pairing
from gladys_companion.discovery.claims import Claim, admitted, is_due
from gladys_companion.discovery.devices import Devices
from gladys_companion.discovery.hints import KINDS, hint, kinds_without
from gladys_companion.discovery.limits import MOST_FOUND, Pace
from gladys_companion.discovery.network import Mdns
from gladys_companion.discovery.services import HTTP, bounded, is_gladys, label
from gladys_companion.discovery.sightings import FOUND, Key, Sighting, Sightings
from gladys_companion.discovery.watch import Watch
from gladys_companion.errors import ProtocolError, Rejected, Unavailable
from gladys_companion.model import Device, Service
from gladys_companion.plugins import PluginRecord, contained
from gladys_companion.ports import Trouble, Wanted
from gladys_companion.store.registry import Registry

__all__ = ["Discovery", "Seen"]

log = structlog.get_logger(__name__)


class Seen(Struct, frozen=True, kw_only=True):
    """One announced service and what became of it, for people.

    ``state``: ``followed``; ``asking`` the device; ``silent``, it does not answer (any more); ``refused``, it is not
    what it says or can not be driven; ``conflict``, its device answers in another place; ``gladys``; ``unrecognised``
    by the drivers; ``unresolved``, nobody says where it is. ``says`` is a sentence. ``type`` is ``discover`` for what a
    driver found without mDNS.
    """

    type: str
    name: str
    state: Literal["followed", "asking", "silent", "refused", "conflict", "gladys", "unrecognised", "unresolved"]
    says: str
    service: Service | None = None
    driver: str | None = None
    device: str | None = None


class Discovery:
    """Runs in one task (``run``); the rest may be called from the loop at any time.

    Args:
        mdns: of ``open_mdns``.
        registry: where devices are kept.
        drivers: the loaded plug-ins of the group ``drivers``, by name; those that are not open are left out.
        clock: wall and boot time.
        pace: how long to wait for what.
    """

    def __init__(
        self,
        mdns: Mdns,
        registry: Registry,
        drivers: Mapping[str, PluginRecord],
        *,
        clock: Clock = SYSTEM,
        pace: Pace = Pace(),  # noqa: B008 - frozen
    ) -> None:
        self._mdns = mdns
        self._clock = clock
        self._pace = pace
        self._drivers = {name: record for name, record in drivers.items() if record.target is not None}
        self._services: dict[str, tuple[str, ...]] = {}
        self._unused = kinds_without(drivers)
        self._sightings = Sightings(self._evicted, apart={FOUND: MOST_FOUND})
        self._watch = Watch(mdns, self._sightings, pace, self)
        self._devices = Devices(registry, self._sightings, self.settled, clock, pace)
        self._gladys: dict[Key, Service] = {}
        self.changed = asyncio.Event()  # pulsed at each change, for who follows `scan`

    @property
    def gladys(self) -> Service | None:
        """The home Gladys as it announces itself; the first one if there are several."""
        return next(iter(self._gladys.values()), None)

    @property
    def dropped(self) -> int:
        """How many announcements found no room, or made room for others."""
        return self._sightings.dropped

    def unused(self) -> dict[str, int]:
        """Return how many services are announced by what a driver would drive that is not switched on, by driver."""
        return dict(Counter(self._unused[key[0]].driver for key, _ in self._sightings if key[0] in self._unused))

    def scan(self) -> tuple[Seen, ...]:
        """Return all that is announced now, which driver recognised it, and if none, why."""
        return tuple(self._seen(key, sighting) for key, sighting in self._sightings)

    def trouble(self, device_id: str) -> Trouble | None:
        """Return what the driver of a device says is wrong with it now; None when all is well, or it does not tell."""
        return self._devices.trouble(device_id)

    def forget(self, device_id: str) -> None:
        """Have its driver forget a device that the user made the registry forget."""
        self._devices.forget(device_id)

    def wants(self, device_id: str) -> Wanted:
        """Return what a device wants of its owner before it can be driven; see ``discovery.pairing``."""
        return pairing.wants(self._devices, device_id)

    async def pair(self, device_id: str, code: str | None) -> Seen:
        """Gain a device's trust, and return what became of it; see ``discovery.pairing``."""
        await pairing.pair(self._devices, device_id, code)
        try:
            async with asyncio.timeout(self._pace.describe_within + self._pace.rest):
                while (one := self._devices.get(device_id)) is not None and one.state == "asking":
                    await self.changed.wait()
        except TimeoutError:
            pass  # what is known of it says so
        found = next((one for one in self.scan() if one.device == device_id), None)
        if found is None:
            raise Unavailable(f"{device_id} is paired, and is announced no more: it is used once it is back.")
        return found

    async def unpair(self, device_id: str) -> None:
        """Forget a device's trust; see ``discovery.pairing``."""
        await pairing.unpair(self._devices, device_id)

    async def run(self) -> None:
        """Follow the devices that the registry knows at once, then discover for ever."""
        async with asyncio.TaskGroup() as group:
            self._devices.start(lambda coroutine, name: group.create_task(coroutine, name=name), self._drivers)
            for record in self._drivers.values():
                group.create_task(self._listen(record), name=f"discover {record.name}")
            if self._mdns.state == "off":
                await asyncio.Event().wait()
            await self._watch.run(self._wanted())

    def _wanted(self) -> list[str]:
        for name, record in self._drivers.items():
            try:
                with contained(record):
                    types = tuple(record.target.services)
                    for type_ in types:
                        AsyncServiceInfo(type_, type_)  # raises where it is none, which would end all browsing
                    self._services[name] = types
            except (Unavailable, Rejected) as error:
                log.warning("nothing is browsed for a driver", driver=name, reason=str(error))
        return sorted({HTTP}.union(KINDS, *self._services.values()))

    def _seen(self, key: Key, sighting: Sighting) -> Seen:
        one = self._devices.get(sighting.device) if sighting.device else None
        state: Any
        if one is not None:
            state, says = one.state, one.says
            if state == "followed" and (trouble := self._devices.trouble(one.id)):
                state, says = state if trouble.reached else "silent", trouble.says
            if key in one.conflicts:
                state, says = "conflict", f"{one.id} is announced here too, but was found elsewhere. {one.says}"
        elif key in self._gladys:
            state, says = "gladys", "A Gladys Assistant."
        elif sighting.driver is not None:
            state, says = "refused", sighting.says
        else:
            state, says = "unrecognised" if sighting.service else "unresolved", sighting.says
        return Seen(
            type=key[0],
            name=sighting.name,
            state=state,
            says=says,
            service=sighting.service,
            driver=sighting.driver,
            device=sighting.device,
        )

    # What the watch tells.

    def settled(self) -> None:
        """Tell who follows ``scan``."""
        self.changed.set()
        self.changed = asyncio.Event()

    def gone(self, key: Key) -> None:
        """Take back what a name claimed."""
        self._withdraw(key, self._sightings.remove(key))

    def unresolved(self, key: Key, says: str) -> None:
        """Note why nothing came of a name; what it claimed before stands until it says goodbye."""
        sighting = self._sightings.get(key)
        if sighting is not None and sighting.service is None:
            self._sightings.put(key, structs.replace(sighting, says=says))

    def lost(self) -> Iterator[Key]:
        """Yield the names of devices out of reach, each time twice as long after the last."""
        now = self._clock.now()
        for key, sighting in self._sightings:
            if sighting.device is None or key[0] == FOUND:
                continue
            trouble = self._devices.trouble(sighting.device)
            if trouble is not None and not trouble.reached and is_due(now - trouble.since, self._pace.rescan):
                yield key

    def resolved(self, key: Key, info: AsyncServiceInfo) -> None:
        """Ask the drivers what it is."""
        before = self._sightings.get(key)
        if before is None:
            return
        try:
            service = bounded(
                service_type=key[0],
                name=info.name,
                host=info.server,
                addresses=info.parsed_scoped_addresses(),
                port=info.port,
                txt=info.text,
                loopback=self._mdns.loopback,
            )
        except ProtocolError as error:
            self._withdraw(key, before)
            self._sightings.put(key, Sighting(name=before.name, says=str(error)))
            return
        if is_gladys(service):
            self._gladys[key] = service
            if len(self._gladys) == 1:
                self._sightings.keep(key)
        else:
            self._gladys.pop(key, None)
        driver, device, says = self._identified(key, service)
        if before.device is not None and before.device != device:
            self._devices.withdraw(key, before.device)
        known = Sighting(name=before.name, service=service, driver=driver, device=device, says=says)
        self._sightings.put(key, known)

    def _identified(self, key: Key, service: Service) -> tuple[str | None, str | None, str]:
        """Ask the drivers in the order of the configuration; return driver, device and a sentence."""
        for name, record in self._drivers.items():
            if key[0] not in self._services.get(name, ()) or record.target is None:
                continue
            try:
                with contained(record):
                    device = record.target.identify(service)
                    if device is None:
                        continue
                    claim = Claim(admitted(device, name), service.addresses, service.txt)
                self._devices.claim(key, record, claim)
            except (Unavailable, Rejected) as error:
                return name, None, str(error)
            return name, claim.device.id, ""
        kind = self._unused.get(key[0])
        return None, None, hint(kind) if kind is not None else "No driver recognises it."

    def _evicted(self, key: Key, sighting: Sighting) -> None:
        if self._sightings.dropped == 1:
            log.warning("too many services are announced; the oldest that are not ours are dropped", type=key[0])
        self._withdraw(key, sighting)

    def _withdraw(self, key: Key, sighting: Sighting | None) -> None:
        self._gladys.pop(key, None)
        if sighting is not None and sighting.device is not None:
            self._devices.withdraw(key, sighting.device)

    # What drivers find without mDNS.

    async def _listen(self, record: PluginRecord) -> None:
        attempts = 0
        while record.target is not None:
            try:
                async with contained(record):
                    async for device in record.target.discover():
                        attempts = 0
                        self._found(record, device)
            except Unavailable as error:
                log.info("a driver can not look for devices now", driver=record.name, reason=str(error))
                await asyncio.sleep(delay(attempts, self._pace.first_retry, self._pace.last_retry))
                attempts += 1
            except Rejected as error:
                log.warning("a driver looks for devices no more", driver=record.name, reason=str(error))
                return
            else:
                return
            finally:
                self.settled()

    def _found(self, record: PluginRecord, device: Device) -> None:
        key = (FOUND, f"{record.name}:{device.id}")
        if device.away_since is not None:
            self._withdraw(key, self._sightings.remove(key))
            self._devices.miss(device.id, record)
        elif self._sightings.admit(key, label(FOUND, device.name)):
            known = Sighting(name=label(FOUND, device.name), driver=record.name)
            try:
                self._devices.claim(key, record, Claim(admitted(device, record.name), (device.address,), _said(device)))
            except Rejected as error:
                self._sightings.put(key, structs.replace(known, says=str(error)))
            else:
                self._sightings.put(key, structs.replace(known, device=device.id))
        self.settled()


def _said(device: Device) -> dict[str, str]:
    """Return what a driver says of a device that it found: where that changes, the device is described again."""
    return {"name": device.name, "model": device.model, "seen_at": repr(device.seen_at)}
