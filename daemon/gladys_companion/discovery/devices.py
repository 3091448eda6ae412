"""Follows each device from announcement to announcement: asks it, keeps the registry true, tells its driver.

One task a device while there is something to do, so that one that hangs keeps no other waiting.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Coroutine
from typing import Any, Literal

import structlog
from msgspec import structs

from gladys_companion.backoff import delay
from gladys_companion.clock import Clock
from gladys_companion.discovery.claims import Claim, Place, View, check, elsewhere, places, view_of, wait_for
from gladys_companion.discovery.limits import Pace
from gladys_companion.discovery.sightings import FOUND, Key, Sightings
from gladys_companion.errors import CompanionError, Rejected, RequestError, StoreError, Unavailable
from gladys_companion.model import Device, Feature
from gladys_companion.plugins import PluginRecord, contained
from gladys_companion.ports import Trouble, Troubled
from gladys_companion.store.registry import Registry

__all__ = ["Devices", "Followed"]

ASKED_AT_ONCE = 8  # of one driver; and as many that are not known yet

Spawn = Callable[[Coroutine[Any, Any, None], str], object]

log = structlog.get_logger(__name__)


class Followed:
    """What is known of one device beyond the registry."""

    def __init__(self, id_: str, record: PluginRecord, verified: Device | None) -> None:
        self.id = id_
        self.record = record
        self.verified = verified  # where describe() found it last, or where the registry says it was
        self.claims: dict[Key, Claim] = {}
        self.state: Literal["asking", "followed", "refused", "silent"] = "asking"
        self.says = "It was not asked yet."
        self.since = 0.0  # when it was refused or fell silent, on the wall's clock
        self.conflicts: frozenset[Key] = frozenset()
        self.asked: View | None = None
        self.asked_at = -math.inf
        self.next_at = math.inf  # when to ask again although nothing changed
        self.attempts = 0
        self.gone: tuple[float, float] | None = None  # on the boot clock and on the wall's
        self.woken = asyncio.Event()
        self.running = False


class Devices:
    """All devices, by id. ``start`` first; the rest returns at once and may be called from the loop only."""

    def __init__(
        self, registry: Registry, sightings: Sightings, changed: Callable[[], None], clock: Clock, pace: Pace
    ) -> None:
        self._registry = registry
        self._sightings = sightings
        self._changed = changed
        self._clock = clock
        self._pace = pace
        self._all: dict[str, Followed] = {}
        self._gates: dict[tuple[str, bool], asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(ASKED_AT_ONCE))
        self._spawn: Spawn | None = None

    def start(self, spawn: Spawn, records: dict[str, PluginRecord]) -> None:
        """Follow what the registry knows where it was last, before anything is announced."""
        self._spawn = spawn
        for device in self._registry.snapshot.devices.values():
            record = records.get(device.driver)
            if record is not None and record.target is not None:
                self._all[device.id] = Followed(device.id, record, device)
                self._follow(record, device)

    def get(self, device_id: str) -> Followed | None:
        """Return what is known of a device."""
        return self._all.get(device_id)

    def trouble(self, device_id: str) -> Trouble | None:
        """Return what the driver of a device says is wrong with it now; None when all is well, or it does not tell."""
        one = self._all.get(device_id)
        if one is None:
            return None
        told = None
        if isinstance(one.record.target, Troubled):
            try:
                with contained(one.record):
                    told = one.record.target.trouble(device_id)
            except (Unavailable, Rejected) as error:
                return Trouble(str(error), self._clock.now())
        if told is None and one.state in {"refused", "silent"}:
            return Trouble(one.says, one.since)
        return told

    def claim(self, key: Key, record: PluginRecord, claim: Claim) -> None:
        """Take note that an announcement says to be a device."""
        one = self._all.get(claim.device.id)
        if one is None:
            known = self._registry.snapshot.devices.get(claim.device.id)
            if known is not None and known.driver != record.name:
                raise Rejected(_taken(known.id, known.driver))
            one = self._all[claim.device.id] = Followed(claim.device.id, record, known)
        elif one.record is not record:
            raise Rejected(_taken(one.id, one.record.name))
        if one.claims.get(key) != claim:
            one.claims.pop(key, None)  # so that it becomes the newest
            one.claims[key] = claim
            self._wake(one)

    def withdraw(self, key: Key, device_id: str) -> None:
        """Take note that an announcement says so no more."""
        one = self._all.get(device_id)
        if one is not None and one.claims.pop(key, None) is not None:
            self._wake(one)

    def miss(self, device_id: str, record: PluginRecord) -> None:
        """Take note that a driver says that a device is gone, also one that it has not found since the start."""
        one = self._all.get(device_id)
        if one is not None and one.record is record and not one.claims:
            self._wake(one)

    def forget(self, device_id: str) -> None:
        """Follow a device no more; one that is still announced is looked at as a new one."""
        one = self._all.pop(device_id, None)
        if one is not None and one.record.target is not None:
            try:
                with contained(one.record):
                    one.record.target.forget(device_id)
            except (Unavailable, Rejected) as error:
                log.warning("driver did not forget", device=device_id, reason=str(error))
            for key, claim in one.claims.items():
                self.claim(key, one.record, claim)

    def ask_again(self, one: Followed) -> None:
        """Have a device described and followed as if it had just appeared: what it is asked with has changed."""
        if one.record.target is not None:
            with contained(one.record):
                one.record.target.forget(one.id)
        one.asked, one.asked_at, one.attempts = None, -math.inf, 0
        one.state, one.says = "asking", "It was not asked yet."
        self._wake(one)

    def _wake(self, one: Followed) -> None:
        one.woken.set()
        if not one.running and self._spawn is not None:
            one.running = True
            self._spawn(self._look_after(one), f"device {one.id}")

    async def _look_after(self, one: Followed) -> None:
        try:
            while True:
                one.woken.clear()
                wait = await self._step_or_wait(one)
                self._changed()
                if wait is None and not one.woken.is_set():
                    return
                await asyncio.sleep(self._pace.rest)
                if wait is not None:
                    try:
                        async with asyncio.timeout(max(0.0, wait - self._pace.rest)):
                            await one.woken.wait()
                    except TimeoutError:
                        pass
        finally:
            one.running = False

    async def _step_or_wait(self, one: Followed) -> float | None:
        try:
            return await self._step(one)
        except StoreError as error:
            log.warning("a device waits for the database", device=one.id, reason=str(error))
            one.asked = None
            return self._pace.first_retry
        except RequestError as error:  # the registry does not take it, or the user just made it forget the device
            one.asked, one.state, one.says = None, "refused", str(error)
            return self._pace.refused_retry if one.claims and self._all.get(one.id) is one else None

    async def _step(self, one: Followed) -> float | None:
        """Do what is due; return the seconds until something will be, or None."""
        if self._all.get(one.id) is not one:
            return None
        if not one.claims:
            return await self._miss(one)
        one.gone = None
        now = self._clock.elapsed()
        claims = tuple(one.claims.values())
        view, candidates = view_of(claims), places(one.verified, claims)
        if view == one.asked:
            wait = max(0.0, one.next_at - now)
        else:
            told = all(key[0] == FOUND for key in one.claims)  # its driver says that it changed
            moved = len(candidates) > 1 or one.state != "followed" or told
            wait = wait_for(self._pace, one.asked_at, moved=moved, now=now)
        if wait > 0:
            if one.state == "followed" and not one.conflicts and len(candidates) == 1:
                await self._return(one, candidates[0].device)
            return None if math.isinf(wait) else wait
        return await self._ask(one, view, candidates)

    async def _return(self, one: Followed, device: Device) -> None:
        """Take note that a device is back where it was, if it was away."""
        known = self._registry.snapshot.devices.get(one.id)
        if known is not None and known.away_since is not None:
            at = self._clock.now()
            await self._registry.seen(one.id, host=device.host, address=device.address, port=device.port, at=at)
            self._follow(one.record, self._registry.snapshot.devices[one.id])

    async def _miss(self, one: Followed) -> float | None:
        known = self._registry.snapshot.devices.get(one.id)
        if one.verified is None or known is None:
            del self._all[one.id]
            return None
        one.conflicts = frozenset()
        if known.away_since is not None:
            return None
        now = self._clock.elapsed()
        one.gone = one.gone or (now, self._clock.now())
        wait = one.gone[0] + self._pace.away_after - now
        if wait > 0:
            return wait
        one.asked = None  # it may come back changed
        await self._registry.away(one.id, one.gone[1])
        self._follow(one.record, self._registry.snapshot.devices[one.id])
        return None

    async def _ask(self, one: Followed, view: View, candidates: tuple[Place, ...]) -> float | None:
        one.asked, one.next_at = view, math.inf
        refusal: CompanionError = Unavailable("It is announced nowhere.")
        for place in candidates:
            within = self._pace.describe_within if place is candidates[-1] else self._pace.check_within
            try:
                features = await self._describe(one, place, within)
            except (Unavailable, Rejected) as error:
                refusal = error
            else:
                one.asked_at = self._clock.elapsed()
                return await self._found(one, place, features)
        now = one.asked_at = self._clock.elapsed()
        rejected = isinstance(refusal, Rejected)
        first = self._pace.refused_retry if rejected else self._pace.first_retry
        wait = delay(one.attempts, first, max(first, self._pace.last_retry))
        one.attempts += 1
        if one.state not in {"refused", "silent"}:
            one.since = self._clock.now()
        one.state, one.says = ("refused" if rejected else "silent"), str(refusal)
        one.next_at = now + wait
        return wait

    async def _describe(self, one: Followed, place: Place, within: float) -> tuple[Feature, ...]:
        record = one.record
        async with self._gates[record.name, one.verified is not None]:
            if record.target is None:
                raise Unavailable(f"The driver {record.name} is not open.")
            try:
                async with asyncio.timeout(within), contained(record):
                    features = tuple(await record.target.describe(place.device))
            except TimeoutError:
                raise Unavailable(f"It did not answer within {within:g} s at {_where(place.device)}.") from None
        return check(place.device, features)

    async def _found(self, one: Followed, place: Place, features: tuple[Feature, ...]) -> float | None:
        if self._all.get(one.id) is not one:  # forgotten while it was asked
            return None
        device = structs.replace(place.device, seen_at=self._clock.now(), away_since=None)
        await self._registry.put_device(device, features)
        stored = self._registry.snapshot.devices.get(one.id)
        if stored is None:  # forgotten while it was stored: whoever forgot it has it looked at anew
            return None
        before, one.verified = one.verified, stored
        one.state, one.says, one.attempts = "followed", f"It answers at {_where(device)}.", 0
        conflicts_before, one.conflicts = one.conflicts, elsewhere(device, one.claims)
        for key in one.claims:
            (self._sightings.release if key in one.conflicts else self._sightings.keep)(key)
        if before is None or _where(before) != _where(device):
            log.info("device found", device=one.id, driver=one.record.name, at=_where(device))
        if one.conflicts - conflicts_before:
            log.warning("device announced elsewhere too", device=one.id, at=_where(device), claims=len(one.conflicts))
        self._follow(one.record, one.verified)
        if not one.conflicts:
            return None
        one.next_at = one.asked_at + self._pace.recheck
        return self._pace.recheck

    def _follow(self, record: PluginRecord, device: Device) -> None:
        try:
            with contained(record):
                record.target.follow(device)
        except (Unavailable, Rejected) as error:
            log.warning("driver does not follow", device=device.id, reason=str(error))


def _taken(device_id: str, driver: str) -> str:
    return (
        f"{device_id!r} already is a device of the driver {driver}. "
        "To have this one instead, forget that one: `gladys-companion devices forget`."
    )


def _where(device: Device) -> str:
    if device.address is None:
        return "an address that only its driver knows"
    address = f"[{device.address}]" if ":" in device.address else device.address
    return f"{address}:{device.port}"
