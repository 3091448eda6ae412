"""Watches service types and resolves what is announced; a name that changes often is read once in a while."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from typing import Protocol

from zeroconf import BadTypeInNameException, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo

from gladys_companion.discovery.limits import MOST_TRIES, Pace
from gladys_companion.discovery.network import Mdns
from gladys_companion.discovery.services import label
from gladys_companion.discovery.sightings import Key, Sightings

__all__ = ["Reader", "Watch"]

RESOLVERS = 16
AT_A_STRETCH = 16  # announcements read before others get their turn


class Reader(Protocol):
    """Who is told; from the loop, and returns at once."""

    def resolved(self, key: Key, info: AsyncServiceInfo) -> None:
        """It is there, and all its records are known; again after each change."""

    def unresolved(self, key: Key, says: str) -> None:
        """It was announced, and nobody says where it is."""

    def gone(self, key: Key) -> None:
        """It said goodbye, or was not renewed."""

    def lost(self) -> Iterable[Key]:
        """Whose device is not found where it was said to be, and should be asked for now."""

    def settled(self) -> None:
        """A batch was told."""


class Watch:
    """Runs in one task; ``sightings`` bounds how much it takes note of."""

    def __init__(self, mdns: Mdns, sightings: Sightings, pace: Pace, reader: Reader) -> None:
        self._mdns = mdns
        self._sightings = sightings
        self._pace = pace
        self._reader = reader
        self._news: dict[Key, str | None] = {}  # the name as it was written, or None if it is gone
        self._fresh = asyncio.Event()
        self._late: set[Key] = set()
        self._slow: asyncio.Queue[Key] = asyncio.Queue()
        self._resolving: set[Key] = set()

    async def run(self, types: Collection[str]) -> None:
        """Watch these service types for ever."""
        async with asyncio.TaskGroup() as group:
            for number in range(RESOLVERS):
                group.create_task(self._resolve(), name=f"resolver {number}")
            group.create_task(self._browse(list(types)), name="browse")
            await self._read()

    async def _browse(self, types: list[str]) -> None:
        """Ask anew now and then, because multicast gets lost, and at once when the machine's network changed.

        A new browser tells again what is known, which is read as no change.
        """
        loop = asyncio.get_running_loop()
        while True:
            asked = loop.time()
            browser = AsyncServiceBrowser(self._mdns.zeroconf.zeroconf, types, handlers=[self._heard])
            try:
                last = asked + self._pace.ask_anew
                while (now := loop.time()) < last:
                    if await self._mdns.changed(min(self._pace.rescan, last - now)):
                        self._forget_places(key for key, _ in self._sightings)
                        break
                    self._retry()
            finally:
                await browser.async_cancel()
            await asyncio.sleep(asked + self._pace.calm - loop.time())  # a machine may have interfaces that flap

    def _heard(
        self,
        zeroconf: Zeroconf,  # noqa: ARG002 - zeroconf passes it by name
        service_type: str,
        name: str,
        state_change: ServiceStateChange,
    ) -> None:
        key = (service_type, name.lower())
        if state_change is ServiceStateChange.Removed:
            if key in self._sightings:
                self._note(key, None)
        elif self._sightings.admit(key, label(service_type, name)):
            self._note(key, name)
            if state_change is ServiceStateChange.Updated and key not in self._late:
                self._late.add(key)  # the record that was replaced is still there for a second
                asyncio.get_running_loop().call_later(self._pace.flush, self._look_again, key, name)

    def _look_again(self, key: Key, name: str) -> None:
        self._late.discard(key)
        if key in self._sightings:
            self._note(key, self._news.get(key, name))

    def _note(self, key: Key, name: str | None) -> None:
        self._news[key] = name
        self._fresh.set()

    async def _read(self) -> None:
        while True:
            await self._fresh.wait()
            for _ in range(min(AT_A_STRETCH, len(self._news))):
                key = next(iter(self._news))
                name = self._news.pop(key)
                if name is None:
                    self._reader.gone(key)
                elif key in self._sightings:
                    self._look(key, name)
            if not self._news:
                self._fresh.clear()
            self._reader.settled()
            await asyncio.sleep(0)

    def _look(self, key: Key, name: str) -> None:
        """Take what is in the cache, which nearly every announcement filled; ask for the rest in a while."""
        try:
            info = AsyncServiceInfo(key[0], name)
        except BadTypeInNameException:
            self._reader.unresolved(key, "Its name is not one that a service can have.")
            return
        if info.load_from_cache(self._mdns.zeroconf.zeroconf):
            self._reader.resolved(key, info)
        else:
            self._ask_for(key)

    def _ask_for(self, key: Key) -> None:
        if key not in self._resolving:
            self._resolving.add(key)
            self._slow.put_nowait(key)

    async def _resolve(self) -> None:
        while True:
            key = await self._slow.get()
            self._resolving.discard(key)
            if key not in self._sightings:
                continue
            info = AsyncServiceInfo(*key)
            if await info.async_request(self._mdns.zeroconf.zeroconf, self._pace.resolve_within * 1000):
                self._reader.resolved(key, info)
            else:
                self._sightings.failed(key)
                self._reader.unresolved(key, f"Nobody said within {self._pace.resolve_within:g} s where it is.")
            self._reader.settled()

    def _retry(self) -> None:
        """Ask for what nobody answered for, and for what is not where it was said to be."""
        for key, sighting in self._sightings:
            if sighting.service is None and 0 < sighting.tries < MOST_TRIES:
                self._ask_for(key)
        lost = tuple(self._reader.lost())
        self._forget_places(lost)
        for key in lost:
            self._ask_for(key)

    def _forget_places(self, keys: Iterable[Key]) -> None:
        """Forget what was said of where these are, so that the network is asked: it may not be so any more."""
        cache = self._mdns.zeroconf.zeroconf.cache
        for key in keys:
            sighting = self._sightings.get(key)
            host = sighting.service.host if sighting is not None and sighting.service is not None else ""
            for name in (key[1], f"{host}."):
                cache.async_remove_records(cache.async_entries_with_name(name))
