"""What passes between Gladys and Gladys Plus over both websockets: unchanged but for the numbers of acks.

Whoever asked is always answered: by the other side, or with an error when that is not there, is too slow, or has left.
Nothing is kept: a side that does not read holds up the one that sends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias

import msgspec
import structlog
from msgspec import Raw
from websockets.exceptions import ConnectionClosed

from gladys_companion.errors import ProtocolError, RequestError, Unanswered, Unavailable
from gladys_companion.inline.acks import Acks
from gladys_companion.inline.frames import Head, head, with_ack_id
from gladys_companion.inline.local import Local
from gladys_companion.protocol import socketio

__all__ = ["ANSWER_WITHIN", "OUR_NUMBERS", "Relay"]

ANSWER_WITHIN = 60.0  # seconds that either side may take; Gladys Plus itself would wait for ever
MOST_UNDER_WAY = 1_024
LOOK_EVERY = 0.5
OUR_NUMBERS = 1_000_000_000  # under which the link itself counts
OURS = frozenset({"open-api-message", "instance-authenticated", "instance-authentication-failed"})

# Gladys Plus says it so when no instance is connected, and its front end knows the code.
AWAY = RequestError(404, "NO_INSTANCE_FOUND", "Gladys is not connected to its companion.").body()
SLOW = RequestError(504, "GLADYS_TIMEOUT", "Gladys is connected to its companion, and does not answer.").body()
BUSY = RequestError(503, "UNAVAILABLE", "Too much is under way: try again.").body()
CUT = RequestError(502, "UPSTREAM_UNREACHABLE", "Gladys Plus can not be reached: try again later.").body()
DUMB = RequestError(504, "UPSTREAM_UNREACHABLE", "Gladys Plus does not answer: try again later.").body()

log = structlog.get_logger(__name__)

Asker: TypeAlias = "int | asyncio.Future[Raw | None]"  # an ack id of Gladys Plus, or somebody here
Refusal: TypeAlias = dict[str, Any]
Send: TypeAlias = Callable[[str], Awaitable[None]]


async def _believe_nobody(_: str) -> bool:
    return False


def _nobody() -> None:
    """Tell nobody."""


class Relay:
    """Both sides together; ``inline.gladys.GladysSide``, ``inline.local.Side`` and ``link.session.Passing``.

    ``local`` is Gladys' side. ``back`` is called each time that Gladys came, ``believes`` asks Gladys Plus whether an
    access token is good, and ``dropped`` counts what could not be passed on and was not asked about.
    """

    def __init__(self, answer_within: float = ANSWER_WITHIN) -> None:
        self.local = Local(self)
        self.back: Callable[[], None] = _nobody
        self.believer: Callable[[str], Awaitable[bool]] = _believe_nobody
        self.reconnected = asyncio.Event()  # set when the connection to Gladys Plus is there again
        self.dropped = 0
        self._answer_within = answer_within
        self._up: Send | None = None
        self._asked_up: Acks[tuple[str, int]] = Acks(MOST_UNDER_WAY, answer_within, OUR_NUMBERS)
        self._asked_down: dict[str, Acks[Asker]] = {}  # by connection of Gladys
        self._owed: asyncio.Queue[Callable[[], Awaitable[object]]] = asyncio.Queue()  # answers that are no answers

    @property
    def connected(self) -> bool:
        """Whether Gladys is there."""
        return self.local.working is not None

    async def run(self) -> None:
        """Answer for those who do not, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look(), name="inline late")
            while True:
                await (await self._owed.get())()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            now = time.monotonic()
            for asked in self._asked_down.values():
                for asker in asked.late(now):
                    self._owed.put_nowait(partial(self._tell, asker, SLOW))
            for lost in self._asked_up.late(now):
                self._owe_gladys(lost, DUMB)

    def _owe_gladys(self, asker: tuple[str, int], error: Refusal) -> None:
        sid, ack_id = asker
        self._owed.put_nowait(partial(self.local.send, sid, socketio.ack(ack_id, error)))

    # What Gladys Plus says.

    def up(self, send: Send) -> None:
        """The connection to Gladys Plus is there."""
        self._up = send
        self.reconnected.set()

    def down(self) -> None:
        """It has ended: what Gladys asked is answered with an error, what Gladys Plus asked can not be answered."""
        self._up = None
        for asker in self._asked_up.lost():
            self._owe_gladys(asker, CUT)

    async def take(self, frame: str) -> bool:
        """Take a frame of Gladys Plus; return whether it is for Gladys, or an answer to what Gladys asked.

        Raises:
            ProtocolError: it is malformed.
        """
        found = head(frame)
        if found is None or found.name in OURS:
            return False
        if found.name in socketio.RESERVED:
            raise ProtocolError(f"An event came under the reserved name {found.name!r}.", ack_id=found.ack_id)
        if found.kind == "ack":
            if found.ack_id is None or found.ack_id < OUR_NUMBERS:
                return False
            asker = self._asked_up.answered(found.ack_id)
            if asker is not None:
                await self.local.send(asker[0], with_ack_id(frame, found, asker[1]))
            return True
        await self._to_gladys(frame, found)
        return True

    async def pass_on(self, frame: str) -> None:
        """Take an ``open-api-message`` that is nothing to us."""
        found = head(frame)
        if found is not None:
            await self._to_gladys(frame, found)

    async def _to_gladys(self, frame: str, found: Head) -> None:
        error = await self._ask_gladys(frame, found, found.ack_id)
        if error is None:
            return
        if found.ack_id is None:
            self.dropped += 1
        else:
            await self._tell(found.ack_id, error)

    async def _ask_gladys(self, frame: str, found: Head, asker: Asker | None) -> Refusal | None:
        """Send an event to Gladys, for ``asker`` if an ack is wanted; return what is wrong if it was not sent."""
        sid = self.local.working
        if sid is None:
            return AWAY
        asked, number = self._asked_down[sid], None
        if asker is not None:
            number = asked.ask(asker, time.monotonic())
            if number is None:
                return BUSY
        if await self.local.send(sid, with_ack_id(frame, found, number)):
            return None
        return AWAY if number is None or asked.answered(number) is not None else None

    async def _tell(self, asker: Asker, error: Refusal) -> None:
        if isinstance(asker, int):
            await self._to_plus(socketio.ack(asker, error))
        elif not asker.done():
            asker.set_result(None)

    async def ask(self, name: str, argument: str) -> asyncio.Future[Raw | None]:
        """Tell Gladys something; see ``inline.gladys.GladysSide``."""
        answer: asyncio.Future[Raw | None] = asyncio.get_running_loop().create_future()
        frame = f'42["{name}",{argument}]'
        found = head(frame)
        if found is None:
            raise ValueError(f"{name!r} is not the name of an event")
        error = await self._ask_gladys(frame, found, answer)
        if error is not None:
            raise Unavailable(error["error_message"])
        return answer

    # What Gladys says.

    async def believes(self, access_token: str) -> bool:
        """Return whether Gladys Plus believes an access token."""
        return bool(access_token) and await self.believer(access_token)

    def came(self, sid: str) -> None:
        """Gladys is there."""
        self._asked_down[sid] = Acks(MOST_UNDER_WAY, self._answer_within)
        self.back()

    def left(self, sid: str) -> None:
        """One connection of Gladys has ended: what was asked of it is answered with an error."""
        for asker in self._asked_down.pop(sid).lost():
            if isinstance(asker, int):
                self._owed.put_nowait(partial(self._tell, asker, AWAY))
            elif not asker.done():
                asker.set_exception(Unanswered("Gladys left before it answered."))
                asker.exception()  # whoever asked may have ceased to wait

    async def said(self, sid: str, frame: str, found: Head) -> None:
        """Take what Gladys says: an answer, or something for Gladys Plus."""
        if found.kind == "ack":
            asked = self._asked_down.get(sid)
            asker = asked.answered(found.ack_id) if asked is not None else None
            if isinstance(asker, int):
                await self._to_plus(with_ack_id(frame, found, asker))
            elif asker is not None and not asker.done():
                asker.set_result(_first(frame[found.array :]))
            return
        error = await self._ask_plus(sid, frame, found)
        if error is None:
            return
        if found.ack_id is None:
            self.dropped += 1
        else:
            await self.local.send(sid, socketio.ack(found.ack_id, error))

    async def _ask_plus(self, sid: str, frame: str, found: Head) -> Refusal | None:
        """Send an event to Gladys Plus; return what is wrong if it was not sent."""
        if self._up is None:
            return CUT
        number = None
        if found.ack_id is not None:
            number = self._asked_up.ask((sid, found.ack_id), time.monotonic())
            if number is None:
                return BUSY
        if await self._to_plus(with_ack_id(frame, found, number)):
            return None
        return CUT if number is None or self._asked_up.answered(number) is not None else None

    async def _to_plus(self, frame: str) -> bool:
        """Send a frame to Gladys Plus, as soon as that reads; return whether it could be sent."""
        if self._up is None:
            return False
        try:
            await self._up(frame)
        except ConnectionClosed:
            return False
        return True


def _first(array: str) -> Raw | None:
    """Return the first argument of an ack, unparsed; None when there is none, or it is no JSON."""
    try:
        arguments = msgspec.json.decode(array, type=tuple[Raw, ...])
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
    return arguments[0].copy() if arguments else None
