"""What Gladys had at the last look: compared with each new look, it says what changed. Asks nobody."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import structs

from gladys_companion.drivers.gladys_devices._values import NAME, Known, Shown, known, shown
from gladys_companion.gladys_api import GladysDevice, Listing
from gladys_companion.model import Device, RegistrySnapshot

__all__ = ["Catalogue"]


class Catalogue:
    """The devices of Gladys that are none of ours otherwise, by external id.

    Args:
        host: of Gladys.
        port: likewise.
        since: what happens and passes (a click) is told from then on only (epoch seconds).
    """

    def __init__(self, host: str, port: int, since: float) -> None:
        self._host = host
        self._port = port
        self._since = since
        self._all: dict[str, Known] = {}
        self._told: dict[str, tuple[float | None, str | None, str | None]] = {}  # as Gladys writes them

    def get(self, device_id: str) -> Known | None:
        """Return what was seen of a device, if anything."""
        return self._all.get(device_id)

    def forget(self, device_id: str) -> None:
        """Take a device for a new one when it is seen again."""
        if (one := self._all.pop(device_id, None)) is not None:
            for external_id in one.theirs:
                self._told.pop(external_id, None)

    def lacks(self, listing: Listing, registry: RegistrySnapshot) -> bool:
        """Return whether a device that was there is not in this listing."""
        return next(self._gone(listing, registry), None) is not None

    def gone(self, listing: Listing, registry: RegistrySnapshot, now: float) -> tuple[Device, ...]:
        """Forget what is not in a new listing, and return it with ``away_since``."""
        found = []
        for device_id in tuple(self._gone(listing, registry)):
            before = self._all.get(device_id)
            self.forget(device_id)
            found.append(structs.replace(before.device if before else registry.devices[device_id], away_since=now))
        return tuple(found)

    def see(self, one: GladysDevice, registry: RegistrySnapshot, now: float) -> Device | None:
        """Take a new look at a device; return it if it is new or changed (``seen_at``: since when), or was refused."""
        mine = self.note(one, registry, now)
        if mine is None or (mine.device.seen_at != now and one.external_id in registry.devices):
            return None
        return mine.device

    def note(self, one: GladysDevice, registry: RegistrySnapshot, now: float) -> Known | None:
        """Take a look at one device; return it, or None if it is none for here."""
        mine = known(one, registry, host=self._host, port=self._port)
        before = self._all.pop(one.external_id, None)
        if mine is None:
            return None
        same = before is not None and _shape(before) == _shape(mine)
        since = before.device.seen_at if same and before is not None else now
        mine = structs.replace(mine, device=structs.replace(mine.device, seen_at=since))
        self._all[one.external_id] = mine
        return mine

    def news(self, device_id: str, registry: RegistrySnapshot, now: float) -> Iterator[tuple[str, Shown]]:
        """Yield, once, the last values of a device by external id, of those features that the registry has by now."""
        one = self._all.get(device_id)
        if one is None:
            return
        for feature in one.features:
            theirs, here = one.theirs[feature.external_id], registry.features.get(feature.external_id)
            if here is None or here.device != device_id:
                continue
            written = theirs.last_value, theirs.last_value_string, theirs.last_value_changed
            if self._told.get(feature.external_id) == written:
                continue
            self._told[feature.external_id] = written
            last = shown(theirs, textual=feature.textual, now=now)
            if last is not None and (not feature.momentary or last.at > self._since):
                yield feature.external_id, last

    def _gone(self, listing: Listing, registry: RegistrySnapshot) -> Iterator[str]:
        there = {*(one.external_id for one in listing.devices), *listing.odd}
        yield from (one for one in self._all if one not in there)
        for one in registry.devices.values():
            if one.driver == NAME and one.away_since is None and one.id not in there and one.id not in self._all:
                yield one.id


def _shape(one: Known) -> tuple[object, ...]:
    return one.device.name, one.device.model, one.device.address, one.device.port, one.features, tuple(one.taken)
