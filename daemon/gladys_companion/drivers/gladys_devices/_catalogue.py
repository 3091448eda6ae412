"""What Gladys had at the last look: compared with each new look, it says what changed. Asks nobody."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import structs

from gladys_companion.drivers.gladys_devices._values import NAME, Known, Shown, known, values
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
        self._told: dict[str, Shown] = {}

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

    def see(self, listing: Listing, registry: RegistrySnapshot, now: float) -> Iterator[Device]:
        """Take a new look; yield what is new, changed (``seen_at``: since when) or gone (``away_since``)."""
        for device_id in tuple(self._gone(listing, registry)):
            before = self._all.get(device_id)
            self.forget(device_id)
            yield structs.replace(before.device if before else registry.devices[device_id], away_since=now)
        for one in listing.devices:
            mine = self.note(one, registry, now)
            if mine is not None and (mine.device.seen_at == now or one.external_id not in registry.devices):
                yield mine.device

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

    def news(self, registry: RegistrySnapshot, now: float, device_id: str | None = None) -> Iterator[tuple[str, Shown]]:
        """Yield, once, the external ids of features that the registry has with their last values."""
        some = self._all.values() if device_id is None else filter(None, [self._all.get(device_id)])
        for one in some:
            for external_id, last in values(one, now):
                feature = registry.features.get(external_id)
                if feature is None or feature.device != one.device.id or self._told.get(external_id) == last:
                    continue
                self._told[external_id] = last
                if not feature.momentary or last.at > self._since:
                    yield external_id, last

    def _gone(self, listing: Listing, registry: RegistrySnapshot) -> Iterator[str]:
        there = {*(one.external_id for one in listing.devices), *listing.odd}
        yield from (one for one in self._all if one not in there)
        for one in registry.devices.values():
            if one.driver == NAME and one.away_since is None and one.id not in there and one.id not in self._all:
                yield one.id


def _shape(one: Known) -> tuple[object, ...]:
    return one.device.name, one.device.model, one.device.address, one.device.port, one.features, tuple(one.taken)
