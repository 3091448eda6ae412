"""Looks at what changes by itself: dwells that are over, phones that fell silent, things that answer on the network."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import NoReturn

import structlog

from gladys_companion.errors import StoreError
from gladys_companion.presence.desk import Desk
from gladys_companion.presence.ledger import Ledger
from gladys_companion.presence.posted import met
from gladys_companion.store.people import Phone
from gladys_companion.store.registry import Registry

__all__ = ["Watch"]

STORE_RETRY = 1.0
LONGEST_SLEEP = 30.0  # seconds; the machine may sleep meanwhile, and its loop's clock with it
SAME = 1.0  # seconds by which the time of one answer may seem to differ

log = structlog.get_logger(__name__)


class Watch:
    """``run`` it in a task; ``noticed`` may be called before.

    Args:
        desk: where it is written down.
        registry: of which devices are there.
    """

    def __init__(self, desk: Desk, registry: Registry) -> None:
        self._desk = desk
        self._registry = registry
        self._met: dict[str, float] = {}

    def noticed(self, lanes: Iterable[str]) -> None:
        """Take note that something changed of these devices, of which some may be what a person carries."""
        if any(lane in phone.devices for phone in self._desk.books.phones.values() for lane in lanes):
            self._desk.changed.set()

    async def run(self) -> NoReturn:
        """Look at what changes by itself when it does; for ever."""
        while True:
            self._desk.changed.clear()
            try:
                await self._look()
                wait = min((at - self._desk.time.now() for at in self._desk.wakes.values()), default=LONGEST_SLEEP)
            except StoreError as error:
                log.warning("presence waits for the database", reason=str(error))
                wait = STORE_RETRY
            with suppress(TimeoutError):
                async with asyncio.timeout(min(max(wait, 0.0), LONGEST_SLEEP)):
                    await self._desk.changed.wait()

    async def _look(self) -> None:
        """Judge by the time of now whom that may change, and what answered on the network."""
        now = self._desk.time.now()
        due = [person for person, at in self._desk.wakes.items() if at <= now]
        answered = self._answered()
        if not due and not answered:
            return

        def job(ledger: Ledger) -> None:
            for phone, device_id, at in answered:
                met(ledger, phone, device_id, at)
            ledger.advance(due)

        await self._desk.write(job)
        self._met.update({device_id: at for _, device_id, at in answered})

    def _answered(self) -> list[tuple[Phone, str, float]]:
        """Return what carried devices answered since that was looked at last, and when."""
        found, devices = [], self._registry.snapshot.devices
        for phone in self._desk.books.phones.values():
            for device_id in phone.devices:
                device = devices.get(device_id)
                if device is None or device.away_since is not None or device.seen_at is None:
                    continue
                at = device.seen_at + self._desk.time.ahead()
                if phone.person is not None and self._met.get(device_id, 0.0) < at - SAME:
                    found.append((phone, device_id, at))
        return found
