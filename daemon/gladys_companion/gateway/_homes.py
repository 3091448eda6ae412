"""What the relay knows of one home, in numbers: how much is held for whom, what is under way, where the replay stands.

Bodies stay in the storage but for one page. Everything here is plain bookkeeping, without input or output.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import count
from typing import Protocol

from msgspec import Struct

from gladys_companion.backoff import delay
from gladys_companion.config import Gateway
from gladys_companion.errors import RequestError
from gladys_companion.gateway.messages import Answer
from gladys_companion.gateway.storage import NewEvent, StoredEvent

__all__ = ["WINDOW", "Flight", "HomeState", "Socket"]

WINDOW = 64
_MOST_QUEUED = 256
_MOST_QUEUED_BYTES = 1_000_000
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0
_MEGABYTE = 1_000_000


class Socket(Protocol):
    """An authenticated socket of an instance. ``companion``: it announced itself as one, and takes our own fields."""

    home_id: str
    instance_id: str
    companion: bool

    async def emit(self, ack_id: int, message: bytes) -> None:
        """Send ``open-api-message``, in order of the calls, without waiting for the peer."""

    def condemn(self) -> None:
        """Give it up: it is told nothing more, and closed soon."""


class Flight(Struct, frozen=True):
    """An event on its way: sent at the wall time ``sent_at`` and the loop's time ``since``."""

    id: str
    key_id: str
    seq: int
    order_key: str
    size: int
    sent_at: float
    since: float


class Queued(Struct, frozen=True):
    """An event that came just now, and waits for nothing but room in the window."""

    event: NewEvent
    seq: int
    key_name: str


class _Total:
    """Held events, and their bytes."""

    __slots__ = ("bytes", "events")

    def __init__(self, events: int = 0, size: int = 0) -> None:
        self.events, self.bytes = events, size

    def add(self, events: int, size: int) -> None:
        self.events, self.bytes = max(0, self.events + events), max(0, self.bytes + size)

    def fits(self, size: int, events: float, most_bytes: float) -> bool:
        return self.events < max(1, events) and self.bytes + size <= most_bytes


class HomeState:
    """One home. ``waiting`` are the phones that wait for an answer, by event; ``page`` is what is replayed next.

    What just came and may pass what is held stands in ``queue``, which goes first whenever the window has room.
    """

    def __init__(self, home_id: str) -> None:
        self.id = home_id
        self.socket: Socket | None = None
        self.replay: asyncio.Task[None] | None = None
        self.flights: dict[int, Flight] = {}
        self.under_way: dict[str, int] = {}
        self.waiting: dict[str, asyncio.Future[Answer | None]] = {}
        self.wake = asyncio.Event()
        self.page: deque[StoredEvent] = deque()
        self.queue: dict[str, Queued] = {}
        self._queued_bytes = 0
        self.cursor = 0
        self.rewinds = 0
        self.additions = 0
        self.resume_at = 0.0
        self._refusals = 0
        self._ack_ids = count(1)
        self._waits: dict[str, int] = {}
        self._held = _Total()
        self._held_by_key: dict[str, _Total] = {}

    # Quotas

    def reserve(self, key_id: str, size: int, limits: Gateway) -> None:
        """Count an event as held.

        Raises:
            RequestError: 507 ``HOLD_FULL``.
        """
        own = self._held_by_key.get(key_id) or _Total()
        most_events, most_bytes, share = limits.held_events, limits.held_megabytes * _MEGABYTE, limits.key_share
        if not self._held.fits(size, most_events, most_bytes):
            sentence = "The gateway holds as much for this home as it may: home must connect and take it first."
            raise RequestError(507, "HOLD_FULL", sentence)
        if not own.fits(size, most_events * share, most_bytes * share):
            sentence = "The gateway holds as much of this key as it may: home must connect and take it first."
            raise RequestError(507, "HOLD_FULL", sentence)
        self.count(key_id, 1, size)

    def count(self, key_id: str, events: int, size: int) -> None:
        """Count events as held."""
        self._held.add(events, size)
        self._held_by_key.setdefault(key_id, _Total()).add(events, size)

    def release(self, key_id: str, size: int) -> None:
        """Count an event as held no more."""
        self._held.add(-1, -size)
        own = self._held_by_key.get(key_id)
        if own is not None:
            own.add(-1, -size)
            if not own.events:
                del self._held_by_key[key_id]

    # Order

    @property
    def backlog(self) -> bool:
        """Whether anything waits to be sent."""
        return bool(self._waits or self.queue)

    def room(self, now: float) -> bool:
        """Return whether the window has room, and home can store."""
        return len(self.flights) < (1 if self._refusals else WINDOW) and self.resume_at <= now

    def takes(self, now: float) -> bool:
        """Return whether it is worth while to wait for home's answer: it is there, and can store."""
        return self.socket is not None and self.resume_at <= now

    def may_go(self, order_key: str, now: float) -> bool:
        """Return whether an event that just came may be sent at once."""
        return self.room(now) and not self.queue and order_key not in self._waits

    def enqueue(self, event: NewEvent, seq: int, key_name: str) -> None:
        """Let an event that just came wait for room, or behind what has to come first."""
        fits = len(self.queue) < _MOST_QUEUED and self._queued_bytes + event.size <= _MOST_QUEUED_BYTES
        if self.socket is None or event.order_key in self._waits or not fits:
            self.add(event.order_key)
            return
        self.queue[event.id] = Queued(event, seq, key_name)
        self._queued_bytes += event.size
        self.wake.set()

    def next_in_queue(self) -> Queued | None:
        """Take the first of the queue."""
        if not self.queue:
            return None
        queued = self.queue.pop(next(iter(self.queue)))
        self._queued_bytes -= queued.event.size
        return queued

    def is_known(self, event_id: str) -> bool:
        """Return whether an event is under way or in the queue, and so is not for the replay."""
        return event_id in self.under_way or event_id in self.queue

    def add(self, order_key: str, events: int = 1) -> None:
        """Count events as waiting to be sent."""
        self._waits[order_key] = self._waits.get(order_key, 0) + events
        self.additions += 1
        self.wake.set()

    def settle(self, event_id: str, order_key: str) -> None:
        """Take note that an event that waits was settled otherwise."""
        queued = self.queue.pop(event_id, None)
        if queued is None:
            self.take_out(order_key)
            self.rewind()
        else:
            self._queued_bytes -= queued.event.size

    def take_out(self, order_key: str) -> None:
        """Count an event as waiting no more."""
        left = self._waits.get(order_key, 0) - 1
        if left > 0:
            self._waits[order_key] = left
        else:
            self._waits.pop(order_key, None)

    def turn(self, page: Sequence[StoredEvent]) -> None:
        """Replay these next, but for what is known: that may have landed when the replay comes to it."""
        if page:
            self.cursor = page[-1].seq
        self.page.extend(event for event in page if not self.is_known(event.id))

    def rewind(self) -> None:
        """Let the replay begin anew: what waits is not only behind where it stood."""
        self.cursor = 0
        self.rewinds += 1
        self.page.clear()

    def nothing_waits(self) -> None:
        """Correct the count: a whole replay found nothing."""
        self._waits.clear()

    # Under way

    def take_off(self, event: NewEvent | StoredEvent, seq: int, sent_at: float, now: float) -> int:
        """Note an event as under way and return its ack id."""
        ack_id = next(self._ack_ids)
        flight = Flight(event.id, event.key_id, seq, event.order_key, event.size, sent_at, now)
        self.flights[ack_id] = flight
        self.under_way[event.id] = ack_id
        return ack_id

    def land(self, ack_id: int) -> Flight | None:
        """Note an event as under way no more; None if it was not."""
        flight = self.flights.pop(ack_id, None)
        if flight is not None:
            del self.under_way[flight.id]
            if self.backlog:
                self.wake.set()
        return flight

    def put_back(self, flights: Sequence[Flight]) -> None:
        """Let events that were under way wait again, and what is queued wait behind them."""
        for flight in flights:
            self.add(flight.order_key)
        while queued := self.next_in_queue():
            self.add(queued.event.order_key)
        self.rewind()

    def pause(self, now: float) -> None:
        """Send nothing for a while, the longer the oftener home can not store; then one by one, until it can."""
        self.resume_at = now + delay(self._refusals, _FIRST_PAUSE, _LONGEST_PAUSE)
        self._refusals += 1

    def well(self) -> None:
        """Take note that home can store, or is another."""
        self._refusals = 0

    def answer_held(self) -> None:
        """Answer every phone whose event is not under way that it is held."""
        for event_id in self.waiting.keys() - self.under_way.keys():
            self.answer(event_id, None)

    def answer(self, event_id: str, answer: Answer | None) -> None:
        """Answer the phone that waits for this event, if one still does; None: it is held."""
        future = self.waiting.pop(event_id, None)
        if future is not None and not future.done():
            future.set_result(answer)
