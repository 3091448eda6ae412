"""What the local API does, apart from HTTP: asked by its routes, its page, and a command line that finds no daemon."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from msgspec import Struct, structs
from sqlite_utils import Database

import gladys_companion
from gladys_companion.clock import SYSTEM, Clock
from gladys_companion.config import Config
from gladys_companion.errors import RequestError, StoreError
from gladys_companion.ids import new_id
from gladys_companion.intake import Intake
from gladys_companion.likeness import likely
from gladys_companion.link import Pairing
from gladys_companion.model import Device, Event, Feature, Receipt
from gladys_companion.ports import Acquainted
from gladys_companion.presence.in_step import advice
from gladys_companion.presence.service import PresenceService
from gladys_companion.resolve import GLADYS_API, VIRTUAL
from gladys_companion.store import backup, trace
from gladys_companion.store.registry import Registry
from gladys_companion.store.whereabouts import kept_counts
from gladys_companion.store.writer import Store
from gladys_companion.web import doctor
from gladys_companion.web.follow import follow
from gladys_companion.web.host import Host
from gladys_companion.web.settings import Settings
from gladys_companion.web.views import AddDevice, AliasView, DeviceView, Expose, Exposed, FeatureView, Paired, SetValue
from gladys_companion.web.visitors import Visitors
from gladys_companion.web.vitals import Check, Counts, Status

__all__ = ["VERSION", "Service"]

_KEY_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # a UUID

VERSION = gladys_companion.__version__  # read here, because reading it touches the disk


class Service(Struct, frozen=True, kw_only=True):
    """The parts that the local API works on."""

    config: Config
    store: Store
    registry: Registry
    intake: Intake
    presence: PresenceService
    host: Host
    settings: Settings
    visitors: Visitors
    clock: Clock = SYSTEM
    started_at: float = 0.0
    running: bool = True

    async def status(self) -> Status:
        """Return how it goes; a database that fails is part of the answer, not an error."""
        counts, failed, kept = None, None, dict[str, dict[str, int]]()
        registry = self.registry.snapshot
        try:
            counts = Counts(
                devices=len(registry.devices),
                features=len(registry.features),
                aliases=len(registry.aliases),
                **await self.store.read(trace.counts),
            )
            kept = await self.store.read(kept_counts)
        except StoreError as error:
            failed = str(error)
        return Status(
            **structs.asdict(self.host.vitals()),
            running=self.running,
            version=VERSION,
            pid=os.getpid(),
            started_at=self.started_at,
            counts=counts,
            store=failed,
            kept=kept,
            advice=self._advice(),
        )

    def _advice(self) -> tuple[str, ...]:
        """Return what is to be done for Gladys to be told of people."""
        record = self.host.plugin(GLADYS_API)
        if record is None or not isinstance(record.target, Acquainted) or record.target.household is None:
            return ()
        return advice(self.presence.books, record.target.household)

    async def doctor(self) -> tuple[Check, ...]:
        """Return what is well, what is not, and what to do about it."""
        return self.examined(await self.status())

    def examined(self, status: Status) -> tuple[Check, ...]:
        """Return what ``doctor`` says of a status."""
        return doctor.examine(status, self.config, self.clock)

    async def devices(self) -> tuple[DeviceView, ...]:
        """Return all devices by name."""
        registry = self.registry.snapshot
        return await self._views(
            sorted(registry.devices.values(), key=lambda device: (device.name.casefold(), device.id))
        )

    async def device(self, device_id: str) -> DeviceView:
        """Return one device.

        Raises:
            RequestError: 404 ``DEVICE_NOT_FOUND``.
        """
        device = self.registry.snapshot.devices.get(device_id)
        if device is None:
            raise RequestError(404, "DEVICE_NOT_FOUND", f"No device {device_id!r} is known here.", field="id")
        return (await self._views([device]))[0]

    async def _views(self, devices: list[Device]) -> tuple[DeviceView, ...]:
        registry = self.registry.snapshot
        wanted = {device.id for device in devices}
        features: dict[str, list[Feature]] = {}
        for feature in registry.features.values():
            if feature.device in wanted:
                features.setdefault(feature.device, []).append(feature)
        aliases: dict[str, list[str]] = {}
        for alias, external_id in registry.aliases.items():
            aliases.setdefault(external_id, []).append(alias)
        ids = [feature.external_id for some in features.values() for feature in some]
        values = await self.store.read(lambda database: trace.values(database, ids))

        def view(feature: Feature) -> FeatureView:
            last = values.get(feature.external_id, {})
            shown = structs.asdict(feature)
            del shown["device"], shown["keep_history"]
            return FeatureView(
                **shown,
                value=last.get("value"),
                text=last.get("text"),
                value_at=last.get("at"),
                aliases=tuple(sorted(aliases.get(feature.external_id, ()))),
                exposed=tuple(sorted(registry.exposed.get(feature.external_id, ()))),
            )

        return tuple(
            DeviceView(
                **structs.asdict(device),
                trouble=self.host.trouble(device.id),
                shared=registry.shared.get(device.id),
                features=tuple(view(one) for one in features.get(device.id, ())),
            )
            for device in devices
        )

    async def add_device(self, wish: AddDevice) -> DeviceView:
        """Make a virtual device.

        Raises:
            RequestError: 409 when its id or an external id is taken, 422 when a range is none.
        """
        registry = self.registry.snapshot
        device_id = wish.id or f"{VIRTUAL}:{re.sub(r'[^a-z0-9]+', '-', wish.name.lower()).strip('-') or new_id()}"
        if device_id in {VIRTUAL, *self.config.drivers, *self.config.sinks}:
            raise RequestError(
                422, "INVALID_FIELD", f"{device_id!r} is the name of a plug-in: choose another.", field="id"
            )
        if device_id in registry.devices:
            raise RequestError(409, "DEVICE_EXISTS", f"There is a device {device_id!r} already.", field="id")
        features = []
        for one in wish.features:
            if one.min is not None and one.max is not None and one.min > one.max:
                raise RequestError(422, "INVALID_FIELD", "min is above max.", field="min")
            if one.external_id in registry.features or one.external_id in registry.aliases:
                sentence = f"{one.external_id!r} already means a feature."
                raise RequestError(409, "EXTERNAL_ID_TAKEN", sentence, field="external_id")
            members = {**structs.asdict(one), "name": one.name or wish.name}
            features.append(Feature(device=device_id, **members))
        device = Device(id=device_id, driver=VIRTUAL, name=wish.name)
        await self.registry.put_device(device, features)
        await self.registry.rename(device_id, wish.name)
        return await self.device(device_id)

    def aliases(self) -> tuple[AliasView, ...]:
        """Return all aliases by name."""
        registry = self.registry.snapshot

        def view(alias: str, external_id: str) -> AliasView:
            feature = registry.features.get(external_id)
            device = registry.devices.get(feature.device) if feature else None
            return AliasView(alias=alias, external_id=external_id, device=device.name if device else None)

        return tuple(view(*pair) for pair in sorted(registry.aliases.items()))

    async def expose(self, wish: Expose) -> Exposed:
        """Let keys command a feature, beside those that may already; return all that may.

        Raises:
            RequestError: 404: no such feature; 422: what is no key's id, or a lock, door or cover without one.
        """
        for key_id in wish.key_ids:
            if not _KEY_ID.fullmatch(key_id):
                sentence = f"{key_id!r} is not the id of a key. `gladys-companion gateway key list` shows the ids."
                raise RequestError(422, "INVALID_FIELD", sentence, field="key_ids")
        await self.registry.expose(wish.external_id, wish.key_ids)
        registry = self.registry.snapshot
        feature = registry.feature(wish.external_id)
        own = feature.external_id if feature is not None else wish.external_id
        return Exposed(external_id=own, key_ids=tuple(sorted(registry.exposed.get(own, ()))))

    async def set_value(self, device_id: str, wish: SetValue) -> Receipt:
        """Send a value to a feature of a device, as an event like any other.

        Raises:
            RequestError: 404 when the device has no such feature.
        """
        feature = self.registry.snapshot.feature(wish.external_id)
        if feature is None or feature.device != device_id:
            sentence = f"The device {device_id!r} has no feature {wish.external_id!r}."
            raise RequestError(404, "DEVICE_FEATURE_NOT_FOUND", sentence, field="external_id")
        text = wish.value if isinstance(wish.value, str) else None
        return await self._submit(wish.external_id, None if isinstance(wish.value, str) else float(wish.value), text)

    async def _submit(self, external_id: str, value: float | None, text: str | None) -> Receipt:
        now, elapsed = self.clock.now(), self.clock.elapsed()
        return await self.intake.submit(
            Event(
                id=new_id(),
                origin="local",
                at=now,
                received_at=now,
                deadline=elapsed + self.config.commands.time_to_live,
                boot=self.clock.boot,
                external_id=external_id,
                value=value,
                text=text,
            ),
        )

    async def events(self, **wanted: Any) -> list[dict[str, Any]]:
        """Return events as ``store.trace.events`` does, with its arguments."""
        return await self.store.read(lambda database: trace.events(database, **wanted))

    async def waiting(self, most: int) -> list[dict[str, Any]]:
        """Return ids that nothing has and that something was sent to, as ``store.trace.waiting`` does."""
        return await self.store.read(lambda database: trace.waiting(database, most))

    def feature(self, external_id: str) -> Feature:
        """Return what an external id or alias means.

        Raises:
            RequestError: 404 ``DEVICE_FEATURE_NOT_FOUND``.
        """
        feature = self.registry.snapshot.feature(external_id)
        if feature is None:
            sentence = f"No device feature {external_id[:100]!r} is known here."
            raise RequestError(404, "DEVICE_FEATURE_NOT_FOUND", sentence)
        return feature

    async def likely(self, external_id: str) -> tuple[Feature, ...]:
        """Return the features that an id which nothing has may mean, the likeliest first; see ``resolve.likely``."""
        registry = self.registry.snapshot
        found = await asyncio.to_thread(likely, registry, external_id)
        return tuple(registry.features[one] for one in found)

    async def trace(self, event_id: str) -> dict[str, Any]:
        """Return one event hop by hop.

        Raises:
            RequestError: 404 ``EVENT_NOT_FOUND``.
        """
        try:
            return await self.store.read(lambda database: trace.trace(database, event_id))
        except KeyError:
            raise _no_event(event_id) from None

    async def replay(self, event_id: str) -> Receipt:
        """Send an event's content again, now, as a new event whose cause is the old one.

        Raises:
            RequestError: 404 ``EVENT_NOT_FOUND``.
        """
        try:
            event = await self.store.read(lambda database: trace.find_event(database, event_id))
        except KeyError:
            raise _no_event(event_id) from None
        now = self.clock.now()
        again = structs.replace(
            event,
            id=new_id(),
            origin="local",
            cause=event.id,
            at=now,
            received_at=now,
            dated=False,
            deadline=self.clock.elapsed() + self.config.commands.time_to_live,
            boot=self.clock.boot,
            key=None,
        )
        return await self.intake.submit(again)

    async def follow(self) -> AsyncGenerator[Mapping[str, Any] | None]:
        """Return what yields events from now on, and again when their outcome changes; None while there is none."""
        return await follow(self.store, self.intake)

    async def backup(self) -> BinaryIO:
        """Return a checked copy of the database, open for reading and already without a name.

        Raises:
            StoreError: it could not be written.
        """
        path = Path(self.config.state_directory, f"backup-{new_id()}.db")

        def copy(database: Database) -> BinaryIO:
            try:
                backup.backup(database, path)
                return path.open("rb")
            finally:
                path.unlink(missing_ok=True)

        return await self.store.read(copy)


def paired(made: Pairing, warning: str | None) -> Paired:
    """Return what people are told of a pairing: all but its token."""
    return Paired(
        url=made.url,
        home_id=made.home_id,
        home_name=made.home_name,
        instance_id=made.instance_id,
        warning=warning,
    )


def _no_event(event_id: str) -> RequestError:
    return RequestError(404, "EVENT_NOT_FOUND", f"No event {event_id[:80]!r} is known here.", field="id")
