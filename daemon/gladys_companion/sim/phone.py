"""A simulated phone: it keeps what it has to say until it is taken, and says it in order, as its app does."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from itertools import islice
from typing import Any, NoReturn

import aiohttp
from msgspec import Struct

from gladys_companion.sim._phone_apps import APPS, App, Request, Who
from gladys_companion.sim._tracks import Said, later, read_track

__all__ = ["APPS", "App", "Phone", "Said", "Tried", "Who", "later", "play", "read_track"]

MOST_KEPT = 100_000  # as OwnTracks for Android; then the oldest is lost
ENOUGH_DOUBLINGS = 16
ANSWER_WITHIN = aiohttp.ClientTimeout(30)

Payload = Mapping[str, Any]
Sleep = Callable[[float], Awaitable[object]]


class Tried(Struct, frozen=True, kw_only=True):
    """One request and what came of it: ``status`` None where nobody answered.

    ``refused`` says why the messages stay at the head of the queue, None where they are gone from it; ``again_in`` is
    when they are tried again, in seconds; ``waiting`` is how many messages are in the queue now.
    """

    payloads: tuple[Payload, ...]
    status: int | None
    body: bytes
    seconds: float
    refused: str | None
    again_in: float
    waiting: int


class Phone:
    """Sends what it is given to ``keep``; ``run`` it in a task.

    Args:
        http: a session.
        url: address of the gateway.
        app: how it speaks, one of ``APPS``.
        who: whose it is.
        told: called with each try.
        sleep: how time passes between two tries.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        url: str,
        app: App,
        who: Who,
        *,
        told: Callable[[Tried], None],
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.who = who
        self.lost = 0  # messages that the queue had no room for
        self.left_out = 0  # messages that such an app does not send
        self._http = http
        self._url = url.rstrip("/")
        self._app = app
        self._told = told
        self._sleep = sleep
        self._queue: deque[Payload] = deque()
        self._changed = asyncio.Condition()

    @property
    def waiting(self) -> int:
        """How many messages are not taken yet."""
        return len(self._queue)

    async def keep(self, payload: Payload) -> None:
        """Put a message at the end of the queue; one that has no id of its own is given one, as by OwnTracks."""
        if not self._app.takes(payload):
            self.left_out += 1
            return
        async with self._changed:
            if len(self._queue) == MOST_KEPT:
                self._queue.popleft()
                self.lost += 1
            self._queue.append({**payload, "_id": payload.get("_id") or uuid.uuid4().hex[:8]})
            self._changed.notify_all()

    async def sent(self) -> None:
        """Return when the queue is empty."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._queue)

    async def run(self) -> NoReturn:
        """Send, for ever."""
        failures = 0
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._queue)
                payloads = tuple(islice(self._queue, self._app.batch))
            status, body, seconds = await self._post(self._app.request(self.who, payloads))
            refused = "nobody answers" if status is None else self._app.refuses(status, body)
            first, most = self._app.waits
            again_in = 0.0 if refused is None else min(first * 2.0 ** min(failures, ENOUGH_DOUBLINGS), most)
            if refused is None:
                failures = 0
                await self._take_off(payloads)
            else:
                failures += 1
            self._told(
                Tried(
                    payloads=payloads,
                    status=status,
                    body=body,
                    seconds=seconds,
                    refused=refused,
                    again_in=again_in,
                    waiting=len(self._queue),
                )
            )
            if refused is not None:
                await self._sleep(again_in)

    async def _take_off(self, payloads: Iterable[Payload]) -> None:
        gone = {id(one) for one in payloads}
        async with self._changed:
            while self._queue and id(self._queue[0]) in gone:
                self._queue.popleft()
            self._changed.notify_all()

    async def _post(self, request: Request) -> tuple[int | None, bytes, float]:
        time = asyncio.get_running_loop().time
        began = time()
        try:
            async with self._http.request(
                request.method,
                self._url + request.path,
                headers=request.headers,
                data=request.body or None,
                timeout=ANSWER_WITHIN,
                allow_redirects=False,
            ) as answer:
                return answer.status, await answer.read(), time() - began
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None, b"", time() - began


async def play(
    track: Iterable[Said], phone: Callable[[str], Phone], *, began: float, now: Callable[[], float], speed: float = 1.0
) -> None:
    """Have phones say what a track says, each message when its time comes, ``speed`` times as fast.

    Args:
        track: in order.
        phone: returns the phone of a source.
        began: the time in the track at which it begins now.
        now: the time of the machine, in seconds.
        speed: 1 is as it was.
    """
    start = now()
    for said in track:
        await asyncio.sleep(max(0.0, start + (said.at - began) / speed - now()))
        await phone(said.source).keep(said.payload)
