"""One authenticated connection: frames in, acks and receipts out.

It reads while there is room; what it reads goes to the intake in order of arrival, and is acked when that says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Protocol

import structlog
from msgspec import Raw, structs
from websockets.asyncio.client import ClientConnection

from gladys_companion.clock import Clock
from gladys_companion.errors import ProtocolError, RequestError, StoreError, Unavailable
from gladys_companion.ids import new_id
from gladys_companion.intake import Intake
from gladys_companion.model import Event
from gladys_companion.protocol import open_api, socketio
from gladys_companion.store.writer import Chain

__all__ = ["Passing", "Reply", "Session", "leave", "no_reply"]

Reply = Callable[[Event], Awaitable[bytes | None]]

MOST_UNDER_WAY = 1_024
MOST_BYTES_UNDER_WAY = 64 * 1024 * 1024
ROOM_WITHIN = 3.0  # seconds without reading: less than any gateway waits for the answer to a ping
TRY_AGAIN_LATER = 1013  # a close code of websockets
LEAVE_WITHIN = 2.0
TELL_WITHIN = 10.0
STORE_RETRY = 5.0
TRY_AGAIN = 503
UNSUPPORTED = "UNSUPPORTED_ACTION"

log = structlog.get_logger(__name__)


class Passing(Protocol):
    """Where the frames go that are not for us, while somebody else's traffic shares the connection."""

    def up(self, send: Callable[[str], Awaitable[None]]) -> None:
        """The connection is there: by ``send``, frames go to the gateway, which may hold the sender up.

        ``send`` raises ``ConnectionClosed`` of websockets once it has ended.
        """

    def down(self) -> None:
        """It has ended."""

    async def take(self, frame: str) -> bool:
        """Take a frame that the gateway sent; return whether it is not for us.

        Raises:
            ProtocolError: it is malformed; ``data.get("ack_id")`` says to whom that can be told.
        """

    async def pass_on(self, frame: str) -> None:
        """Take an ``open-api-message`` of a kind that is unknown here."""


async def leave(socket: ClientConnection, code: int = 1000, reason: str = "") -> None:
    """Close a connection, with a goodbye if the other end takes it soon: one that reads no more never would."""
    try:
        async with asyncio.timeout(LEAVE_WITHIN):
            await socket.close(code, reason)
    except TimeoutError:
        pass
    finally:
        socket.transport.abort()


async def no_reply(_: Event) -> None:
    """Tell nobody anything."""


class Session:
    """Takes frames in; ``open`` until the gateway says goodbye.

    ``malformed`` is called for each frame that is dropped, ``welcomed`` with what the gateway says of itself,
    ``beaten`` for each heartbeat that was answered, and
    ``reply`` returns the JSON array that the app which sent an event is to be told beside its receipt, or None.
    With ``passing``, what is not for us goes there.
    """

    def __init__(  # noqa: PLR0913 - the parts of a session, each named at its call
        self,
        socket: ClientConnection,
        intake: Intake,
        clock: Clock,
        time_to_live: float,
        *,
        malformed: Callable[[], None],
        welcomed: Callable[[tuple[Raw, ...]], object],
        beaten: Callable[[], None],
        reply: Reply,
        passing: Passing | None = None,
    ) -> None:
        self._socket = socket
        self._intake = intake
        self._clock = clock
        self._time_to_live = time_to_live
        self._malformed = malformed
        self._welcomed = welcomed
        self._beaten = beaten
        self._reply = reply
        self._passing = passing
        self._under_way = 0
        self._bytes_under_way = 0
        self._ended = asyncio.Event()
        self._chain = Chain()
        self._number = 0
        self._told: dict[int, asyncio.Future[bool]] = {}
        self.open = True

    async def take(self, frame: str | bytes, group: asyncio.TaskGroup) -> None:
        """Do what one frame asks for; events are begun in order, and end in tasks of the group."""
        try:
            if self._passing is not None and isinstance(frame, str) and await self._passing.take(frame):
                return
            packet = socketio.decode(frame)
        except ProtocolError as error:
            self._malformed()
            log.warning("malformed frame dropped", reason=str(error))
            await self._nack(error.data.get("ack_id"), 422, error.code, str(error))
            return
        match packet:
            case socketio.ServerEvent(name="open-api-message"):
                event = await self._read(packet, frame)
                if event is None:
                    return
                await self._make_room(len(frame))
                group.create_task(self._submit(event, packet.ack_id, len(frame)))
            case socketio.Ping():
                await self._socket.send(socketio.pong(packet.data))
            case socketio.Ack(ack_id=ack_id) if ack_id in self._told:
                told = open_api.decode_receipt(packet.args[0]) if packet.args else {}
                self._told.pop(ack_id).set_result(told.get("status") != TRY_AGAIN)
            case socketio.ServerEvent():
                await self._other(packet, group)
            case socketio.Disconnected() | socketio.Closed():
                self.open = False

    async def _make_room(self, size: int) -> None:
        """Note that an event of so many bytes is under way; while there are too many, read no further.

        Raises:
            Unavailable: none of them came to an end for too long.
        """
        try:
            async with asyncio.timeout(ROOM_WITHIN):
                while self._under_way >= MOST_UNDER_WAY or (
                    self._under_way and self._bytes_under_way + size > MOST_BYTES_UNDER_WAY
                ):
                    self._ended.clear()
                    await self._ended.wait()
        except TimeoutError:
            reason = f"{self._under_way} events are under way, and none ends: the rest is to be sent again"
            await leave(self._socket, TRY_AGAIN_LATER, reason)
            raise Unavailable(reason) from None
        self._under_way += 1
        self._bytes_under_way += size

    async def _read(self, packet: socketio.ServerEvent, frame: str | bytes) -> Event | None:
        """Return the event of a message; None when it was refused, or is somebody else's."""
        clock = self._clock
        try:
            if not packet.args:
                raise ProtocolError("open-api-message came without its object.")  # noqa: TRY301
            event = open_api.to_event(
                open_api.decode_message(packet.args[0]),
                new_id=new_id(),
                now=clock.now(),
                elapsed=clock.elapsed(),
                boot=clock.boot,
                time_to_live=self._time_to_live,
            )
        except RequestError as error:
            if self._passing is not None and isinstance(frame, str) and error.code == UNSUPPORTED:
                await self._passing.pass_on(frame)
            elif packet.ack_id is not None:
                await self._socket.send(socketio.ack(packet.ack_id, error.body()))
        except ProtocolError as error:
            self._malformed()
            await self._nack(packet.ack_id, 422, error.code, str(error))
        else:
            relayed = None if self._passing is None else bytes(packet.args[0]).decode()
            return structs.replace(event, relayed=relayed)
        return None

    async def _nack(self, ack_id: int | None, status: int, code: str, sentence: str) -> None:
        if ack_id is not None:
            await self._socket.send(socketio.ack(ack_id, RequestError(status, code, sentence).body()))

    async def _other(self, packet: socketio.ServerEvent, group: asyncio.TaskGroup) -> None:
        """Take what is no message of a phone."""
        match packet.name:
            case "instance-authenticated":
                self._welcomed(packet.args)
            case "companion-heartbeat":
                group.create_task(self._beat(packet.ack_id))
            case _:
                await self._nack(packet.ack_id, 501, UNSUPPORTED, "This home does not know such a message.")

    async def _beat(self, ack_id: int | None) -> None:
        """Answer whether this home still does its work: its database takes what is written."""
        try:
            await self._intake.prove()
        except StoreError as error:
            await self._nack(ack_id, error.status, error.code, str(error))
        else:
            if ack_id is not None:
                await self._socket.send(socketio.ack(ack_id, {"status": 200}))
            self._beaten()

    async def _submit(self, event: Event, ack_id: int | None, size: int) -> None:
        """Hand one event in and ack it.

        Raises:
            Unavailable: it, or one before it, could not be stored, and no other is under way. What the gateway sent
                before it read that must not be stored ahead of it, so the session ends, and all of it is sent again.
        """
        try:
            receipt = await self._intake.submit(event, self._chain)
        except StoreError as error:
            await self._nack(ack_id, error.status, error.code, str(error))
            if self._under_way == 1:
                raise Unavailable(f"an event could not be stored: {error}") from error
        else:
            if ack_id is not None:
                told = await self._replied(event)
                await self._socket.send(socketio.ack(ack_id, Raw(open_api.encode_receipt(receipt, told))))
        finally:
            self._under_way -= 1
            self._bytes_under_way -= size
            self._ended.set()

    async def _replied(self, event: Event) -> bytes | None:
        try:
            return await self._reply(event)
        except StoreError as error:  # the phone does without
            log.warning("a phone is told nothing in return", reason=str(error))
            return None

    async def tell(self) -> None:
        """Tell the gateway what receipts became after their acks; each counts as told when it acked. For ever."""
        while True:
            try:
                await self._tell_all()
            except StoreError as error:
                log.warning("receipts wait for the database", reason=str(error))
            await asyncio.sleep(STORE_RETRY)

    async def _tell_all(self) -> None:
        """Tell until one of both databases can not take it."""
        async with aclosing(self._intake.receipts()) as receipts:
            async for receipt in receipts:
                self._number += 1
                acked = self._told[self._number] = asyncio.get_running_loop().create_future()
                await self._socket.send(socketio.event("open-api-receipt", receipt.body(), ack_id=self._number))
                try:
                    async with asyncio.timeout(TELL_WITHIN):
                        if not await acked:
                            return
                except TimeoutError:
                    self._told.pop(self._number, None)
                    return
