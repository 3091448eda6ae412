"""The bounded table of all that announces itself: what was verified stays, of the rest the oldest makes room."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from msgspec import Struct, structs

from gladys_companion.discovery.limits import MOST_PER_TYPE, MOST_SERVICES
from gladys_companion.model import Service

__all__ = ["FOUND", "Key", "Sighting", "Sightings"]

FOUND = "discover"  # in place of a service type: what a driver found without mDNS

Key = tuple[str, str]
"""Service type and full instance name in lower case (DNS does not tell cases apart)."""


class Sighting(Struct, frozen=True, kw_only=True):
    """One announced name and what came of it."""

    name: str
    service: Service | None = None
    driver: str | None = None
    device: str | None = None
    says: str = "It was not resolved yet."
    tries: int = 0


class Sightings:
    """At most ``most`` names, and ``most_per_type`` of a type; ``evicted`` is told which one had to go.

    A type that is ``apart`` has a bound of its own, and takes nobody's room.
    """

    def __init__(
        self,
        evicted: Callable[[Key, Sighting], None],
        *,
        most: int = MOST_SERVICES,
        most_per_type: int = MOST_PER_TYPE,
        apart: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self.dropped = 0
        self._evicted = evicted
        self._most = most
        self._most_per_type = most_per_type
        self._apart = apart
        self._all: dict[Key, Sighting] = {}
        self._loose: dict[str, dict[Key, None]] = {}
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, key: Key) -> bool:
        return key in self._all

    def __iter__(self) -> Iterator[tuple[Key, Sighting]]:
        return iter(tuple(self._all.items()))

    def get(self, key: Key) -> Sighting | None:
        """Return what is known of a name."""
        return self._all.get(key)

    def admit(self, key: Key, name: str) -> bool:
        """Make room for a name and note it; False if there is none. A name already noted stays as it is."""
        if key in self._all:
            return True
        full = self._counts.get(key[0], 0) >= self._apart.get(key[0], self._most_per_type)
        others = [type_ for type_ in self._loose if type_ not in self._apart]
        crowded = key[0] if full else max(others, key=lambda type_: len(self._loose[type_]), default=key[0])
        together = len(self._all) - sum(self._counts.get(type_, 0) for type_ in self._apart)
        if full or (key[0] not in self._apart and together >= self._most):
            self.dropped += 1
            oldest = next(iter(self._loose.get(crowded, ())), None)
            removed = self.remove(oldest) if oldest else None
            if oldest is None or removed is None:
                return False
            self._evicted(oldest, removed)
        self._all[key] = Sighting(name=name)
        self._loose.setdefault(key[0], {})[key] = None
        self._counts[key[0]] = self._counts.get(key[0], 0) + 1
        return True

    def put(self, key: Key, sighting: Sighting) -> None:
        """Replace what is known of a name, if it is still noted."""
        if key in self._all:
            self._all[key] = sighting

    def failed(self, key: Key) -> None:
        """Count an attempt to resolve it that failed."""
        if key in self._all:
            self._all[key] = structs.replace(self._all[key], tries=self._all[key].tries + 1)

    def keep(self, key: Key) -> None:
        """Never drop this one for another: a device was verified there."""
        self._loose.get(key[0], {}).pop(key, None)

    def release(self, key: Key) -> None:
        """Let it make room for others again."""
        if key in self._all:
            self._loose.setdefault(key[0], {}).setdefault(key, None)

    def remove(self, key: Key) -> Sighting | None:
        """Forget a name."""
        found = self._all.pop(key, None)
        if found is not None:
            self._loose.get(key[0], {}).pop(key, None)
            self._counts[key[0]] -= 1
        return found
