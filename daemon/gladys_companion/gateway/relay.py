"""The path of one event from its phone to its home: committed first, sent in order, answered truthfully, sent again.

An event counts as sent only when home has acked it. Whatever ends a socket puts the rest back among the held ones, and
those are sent again, in order, to the next one; at most 64 are under way at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import structlog

from gladys_companion.clock import Clock
from gladys_companion.config import Gateway
from gladys_companion.errors import StoreError
from gladys_companion.gateway import messages
from gladys_companion.gateway._homes import WINDOW, Flight, HomeState, Socket
from gladys_companion.gateway._patience import Patience
from gladys_companion.gateway.messages import Answer
from gladys_companion.gateway.storage import Key, NewEvent, Settlement, Storage, StoredEvent

__all__ = ["UNACKED_AFTER", "WINDOW", "Relay", "Socket"]

UNACKED_AFTER = 32.0
"""Seconds after which an event that was sent and not acked is given up (the socket of a companion, with all on it).

Long enough that the socket has answered a ping that was sent after it: what was sent before that has been read.
"""

_PAGE = 128
_TIDY_EVERY = 60.0
_STORE_RETRY = 1.0
_DAY = 86_400.0

_log = structlog.get_logger(__name__)


class Relay:
    """All homes of this process. It is to ``load`` before anything else, and serves while it is ``running``.

    Args:
        storage: what keeps the events.
        options: ``[gateway]`` of the configuration.
        clock: wall and boot time.
        unacked_after: as ``UNACKED_AFTER``.
        look_every: seconds between two looks for what is not acked.
    """

    def __init__(
        self,
        storage: Storage,
        options: Gateway,
        clock: Clock,
        unacked_after: float = UNACKED_AFTER,
        look_every: float = 1.0,
    ) -> None:
        self._storage = storage
        self._options = options
        self._clock = clock
        self._unacked_after = unacked_after
        self._look_every = look_every
        self._homes: dict[str, HomeState] = {}
        self._patience = Patience[Answer](options.answer_within)
        self._time = asyncio.get_running_loop().time
        self._began = clock.now() - clock.elapsed()
        self._group: asyncio.TaskGroup | None = None  # while it is running

    async def post(self, event: NewEvent, key: Key) -> Answer:
        """Commit an event, send it, and return its receipt, or after ``answer_within`` that it is held.

        Raises:
            RequestError: 507 ``HOLD_FULL``, 422 ``IDEMPOTENCY_MISMATCH``.
            StoreError: it is not stored.
        """
        home = self._home(event.home_id)
        seq, first = await self._accept(home, event)
        if first is not None:
            return messages.repeated(first, self._held_until(first.received_at))
        if not home.takes(self._time()):
            await self._relay(home, event, seq, key)
            return messages.held(event.id, self._held_until(event.received_at))
        future = home.waiting[event.id] = self._patience.future()
        try:
            await self._relay(home, event, seq, key)
            answer = await future
        finally:
            home.waiting.pop(event.id, None)
        return answer or messages.held(event.id, self._held_until(event.received_at))

    async def take(self, event: NewEvent, key: Key) -> None:
        """Commit an event and send it; nobody waits for what becomes of it.

        Raises:
            RequestError: 507 ``HOLD_FULL``.
            StoreError: it is not stored.
        """
        home = self._home(event.home_id)
        seq, first = await self._accept(home, event)
        if first is None:
            await self._relay(home, event, seq, key)

    def use(self, home_id: str, socket: Socket | None) -> None:
        """Send the home's events to this socket from now on; what another had not acked is sent to it again."""
        home = self._home(home_id)
        if self._group is None:
            socket = None
        if home.socket is socket:
            return
        if home.replay is not None:
            home.replay.cancel()
            home.replay = None
        home.socket = socket
        lost = list(home.flights.values())
        home.flights.clear()
        home.under_way.clear()
        home.put_back(lost)
        home.well()
        home.resume_at = 0.0
        if socket is None or self._group is None:
            home.answer_held()
        else:
            home.replay = self._group.create_task(self._replay(home, socket), name=f"replay {home_id}")

    def acked(self, socket: Socket, ack_id: int, args: Sequence[Any]) -> None:
        """Take a home's answer to an event; one that comes too late says nothing any more."""
        home = self._homes.get(socket.home_id)
        if home is None or home.socket is not socket:
            return
        flight = home.land(ack_id)
        if flight is None:
            return
        answer = messages.read_ack(flight.id, args, companion=socket.companion)
        if answer is None:
            home.put_back([flight])
            home.pause(self._time())
            home.answer_held()
            return
        home.well()
        self._settled(home, flight, answer, flight.sent_at)

    async def told(self, home_id: str, members: object) -> dict[str, Any]:
        """Take a later receipt of an event (``open-api-receipt``) and return the ack.

        Raises:
            StoreError: it is to be told again.
        """
        event_id = members.get("id") if isinstance(members, dict) else None
        answer = messages.read_ack(event_id, [members], companion=True) if isinstance(event_id, str) else None
        if answer is None or not isinstance(event_id, str):
            return {"status": 422, "error_code": "INVALID_FIELD", "error_message": "A receipt has an id and a status."}
        stored = await self._storage.event(event_id)
        if stored is None or stored.home_id != home_id:
            return {"status": 404, "error_code": "EVENT_NOT_FOUND", "error_message": "There is no such event."}
        home = self._home(home_id)
        if (flight := home.land(home.under_way.get(event_id, 0))) is not None:
            self._settled(home, flight, answer, flight.sent_at)
        elif stored.settled_at is None:
            home.settle(event_id, stored.order_key)
            self._settled(home, stored, answer, stored.sent_at)
        else:
            self._settle(event_id, answer, stored.sent_at)
        return {"status": 200}

    def forget(self, home_id: str) -> None:
        """Forget a home that was removed."""
        self.use(home_id, None)
        del self._homes[home_id]

    async def load(self) -> None:
        """Learn what is held."""
        for total in await self._storage.held_totals():
            self._home(total.home_id).count(total.key_id, total.events, total.bytes)
        for home_id, order_key, events in await self._storage.held_orders():
            self._home(home_id).add(order_key, events)

    @contextmanager
    def running(self, group: asyncio.TaskGroup) -> Iterator[None]:
        """Look after what is under way, and what is too old, in tasks of the group, until the block ends."""
        self._group = group
        look = group.create_task(self._look(), name="relay")
        try:
            yield
        finally:
            look.cancel()
            self._group = None
            for home_id in list(self._homes):
                self.use(home_id, None)

    async def _look(self) -> None:
        tidied = self._time()
        while True:
            await asyncio.sleep(self._look_every)
            for home in list(self._homes.values()):
                self._give_up(home)
            if self._time() - tidied >= _TIDY_EVERY:
                try:
                    await self.tidy()
                except StoreError as error:
                    _log.warning("gateway.tidy_failed", reason=str(error))
                tidied = self._time()

    async def tidy(self) -> None:
        """Settle what was held too long as expired, and forget old receipts.

        A clock that was set forward while this ran expires nothing: age is what the boot clock counted since.
        """
        now = self._clock.now()
        steady = min(now, self._began + self._clock.elapsed())
        while expired := await self._storage.expire(steady - self._options.held_days * _DAY, now):
            self._expired(expired)
        while await self._storage.prune(steady - self._options.receipts_days * _DAY):
            pass

    def _home(self, home_id: str) -> HomeState:
        home = self._homes.get(home_id)
        if home is None:
            home = self._homes[home_id] = HomeState(home_id)
        return home

    def _held_until(self, received_at: float) -> float:
        return received_at + self._options.held_days * _DAY

    async def _accept(self, home: HomeState, event: NewEvent) -> tuple[int, StoredEvent | None]:
        home.reserve(event.key_id, event.size, self._options)
        try:
            accepted = await self._storage.accept(event)
        except BaseException:
            home.release(event.key_id, event.size)
            raise
        if accepted.duplicate is not None:
            home.release(event.key_id, event.size)
        return accepted.seq, accepted.duplicate

    async def _relay(self, home: HomeState, event: NewEvent, seq: int, key: Key) -> None:
        """Send what was just committed, unless it must wait for others."""
        if home.is_known(event.id):  # the replay was faster
            return
        if home.socket is not None and home.may_go(event.order_key, self._time()):
            await self._send(home, home.socket, event, seq, key.name)
        else:
            home.enqueue(event, seq, key.name)

    async def _send(
        self, home: HomeState, socket: Socket, event: NewEvent | StoredEvent, seq: int, key_name: str
    ) -> None:
        account = self._storage.home(home.id)
        if account is None:  # removed just now, with its events
            return
        message = messages.compose(
            event, account, socket.instance_id, key_name, self._clock, companion=socket.companion
        )
        now = self._clock.now()
        if message is None:
            self._settled(home, event, messages.unable(event.id), None)
            return
        await socket.emit(home.take_off(event, seq, now, self._time()), message)

    async def _replay(self, home: HomeState, socket: Socket) -> None:
        """Send what waits, in order, whenever the window has room, for as long as this is the home's socket."""
        found, additions = True, home.additions
        while True:
            if not home.backlog or not home.room(self._time()):
                pause = home.resume_at - self._time()
                home.wake.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause if pause > 0 else None):
                        await home.wake.wait()
                continue
            if queued := home.next_in_queue():
                await self._send(home, socket, queued.event, queued.seq, queued.key_name)
                continue
            if home.page:
                found = True
                event = home.page.popleft()
                home.take_out(event.order_key)
                key = self._storage.key(event.key_id)
                await self._send(home, socket, event, event.seq, key.name if key else "")
                continue
            if await self._turn_page(home):
                continue
            if not found and additions == home.additions:
                home.nothing_waits()
            found, additions = False, home.additions
            home.rewind()

    async def _turn_page(self, home: HomeState) -> bool:
        """Read on where the replay stands; False at the end."""
        rewinds = home.rewinds
        try:
            page = await self._storage.held(home.id, home.cursor, _PAGE)
        except StoreError as error:
            _log.warning("gateway.replay_waits", home=home.id, reason=str(error))
            await asyncio.sleep(_STORE_RETRY)
            return True
        if rewinds == home.rewinds:
            home.turn(page)
        return bool(page) or rewinds != home.rewinds

    def _settled(
        self, home: HomeState, event: Flight | NewEvent | StoredEvent, answer: Answer, sent_at: float | None
    ) -> None:
        home.release(event.key_id, event.size)
        home.answer(event.id, answer)
        self._settle(event.id, answer, sent_at)

    def _settle(self, event_id: str, answer: Answer, sent_at: float | None) -> None:
        now = self._clock.now()
        self._storage.settle(Settlement(id=event_id, receipt=answer.body, settled_at=now, sent_at=sent_at))

    def _give_up(self, home: HomeState) -> None:
        """Give up what was not acked: of a companion the socket, which then gets it again; of others the event."""
        before = self._time() - self._unacked_after
        for ack_id, flight in list(home.flights.items()):
            if flight.since > before or home.socket is None:
                break
            if home.socket.companion:
                _log.warning("gateway.home_does_not_ack", home=home.id, event_id=flight.id)
                socket = home.socket
                self.use(home.id, None)
                socket.condemn()
                break
            home.land(ack_id)
            answer = messages.unacked(flight.id, "home was sent it, and did not answer")
            self._settled(home, flight, answer, flight.sent_at)

    def _expired(self, events: Iterable[StoredEvent]) -> None:
        for event in events:
            home = self._home(event.home_id)
            if event.id not in home.under_way:  # else it is counted when it lands
                home.settle(event.id, event.order_key)
                home.release(event.key_id, event.size)
