"""Asks each connected home every minute whether it still does its work, and tells a webhook when one has fallen silent.

The question goes through the home's link and its database and back, so that what is measured is the way of an event. A
home of an older version refuses it: then it counts as well for as long as it is connected.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

import aiohttp
import structlog
from msgspec import Struct

from gladys_companion.backoff import backoff
from gladys_companion.clock import Clock
from gladys_companion.gateway.storage import Home

__all__ = ["FIRST_ID", "Beat", "Heartbeats", "Notice", "notify"]

FIRST_ID = 1_000_000_000  # of acks; those of events are below
EVERY = 60.0
MOST_TRIES = 6
NOTIFY_WITHIN = aiohttp.ClientTimeout(total=15)
OK = 200

log = structlog.get_logger(__name__)


class Beat(Struct, frozen=True):
    """The last answer of a home: when (epoch seconds), and after how many seconds."""

    at: float
    seconds: float


class Notice(Struct, frozen=True):
    """What a webhook is told: ``state`` is ``silent`` or ``back``, ``since`` when that began (epoch seconds)."""

    home: str
    name: str
    state: str
    since: float


class Heartbeats:
    """The questions that are under way, and the last answer of each home.

    Args:
        clock: wall and boot time.
        silent_after: seconds without an answer, or without a connection, after which a home is silent.
        notice: is told when one falls silent, and when it is back; once each.
    """

    def __init__(self, clock: Clock, silent_after: float, notice: Callable[[Notice], None]) -> None:
        self._clock = clock
        self._silent_after = silent_after
        self._notice = notice
        self._ids = count(FIRST_ID)
        self._asked: dict[int, tuple[str, float]] = {}  # home, and when (perf counter)
        self._last_asked: dict[str, float] = {}  # by home, boot clock
        self._well: dict[str, tuple[float, float]] = {}  # by home: boot and wall clock of the last sign of life
        self._silent: set[str] = set()
        self.beats: dict[str, Beat] = {}

    def due(self, home_id: str) -> int | None:
        """Return the ack id of a question that is to be asked now; None while it is not time."""
        now = self._clock.elapsed()
        if now - self._last_asked.get(home_id, -EVERY) < EVERY:
            return None
        self._last_asked[home_id] = now
        self._asked = {id_: asked for id_, asked in self._asked.items() if asked[0] != home_id}
        ack_id = next(self._ids)
        self._asked[ack_id] = home_id, time.perf_counter()
        return ack_id

    def answered(self, ack_id: int, args: Any) -> None:  # noqa: ANN401 - JSON
        """Take an answer."""
        home_id, began = self._asked.pop(ack_id, ("", 0.0))
        if not home_id:
            return
        told = args[0] if args and isinstance(args[0], dict) else {}
        if told.get("status") == OK:
            self.beats[home_id] = Beat(self._clock.now(), time.perf_counter() - began)
        if told.get("status") in {OK, 501}:  # an older one is there, and does not know the question
            self._alive(home_id)

    def connected(self, home_id: str) -> None:
        """Take note that a home has connected just now."""
        self._alive(home_id)

    def silent(self, home_id: str) -> float | None:
        """Return since when (epoch) a home is silent, once that was told; None: it is not, or never was here."""
        return self._well[home_id][1] if home_id in self._silent else None

    def _alive(self, home_id: str) -> None:
        self._well[home_id] = self._clock.elapsed(), self._clock.now()

    def look(self, homes: Iterable[Home]) -> None:
        """Tell of homes that have fallen silent, or are back; of those that were there since the start."""
        now = self._clock.elapsed()
        for home in homes:
            if home.id not in self._well:
                continue
            boot, wall = self._well[home.id]
            silent = now - boot >= self._silent_after
            if silent and home.id not in self._silent:
                self._silent.add(home.id)
                log.warning("gateway.home_silent", home=home.id, since=wall)
                self._notice(Notice(home.id, home.name, "silent", wall))
            elif not silent and home.id in self._silent:
                self._silent.discard(home.id)
                log.info("gateway.home_back", home=home.id)
                self._notice(Notice(home.id, home.name, "back", wall))


async def notify(url: str, notices: asyncio.Queue[Notice]) -> None:
    """Tell a webhook, for ever: each notice in order, tried again for about ten minutes while it fails."""
    async with aiohttp.ClientSession(timeout=NOTIFY_WITHIN) as http:
        while True:
            notice = await notices.get()
            delays = backoff(5.0, 300.0)
            for _ in range(MOST_TRIES):
                if await _told(http, url, notice):
                    break
                await asyncio.sleep(next(delays))


async def _told(http: aiohttp.ClientSession, url: str, notice: Notice) -> bool:
    body = {"home": notice.home, "name": notice.name, "state": notice.state, "since": notice.since}
    try:
        async with http.post(url, json=body, allow_redirects=False) as answer:
            status = answer.status
    except (aiohttp.ClientError, TimeoutError) as error:
        log.warning("gateway.webhook_failed", reason=str(error) or "it did not answer in time")
        return False
    if status >= 300:  # noqa: PLR2004 - HTTP
        log.warning("gateway.webhook_failed", status=status)
    return status < 300  # noqa: PLR2004
