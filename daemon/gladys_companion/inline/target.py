"""Gives Gladys what Gladys Plus sent it, from the journal: in order, as it came, once, and late as history.

Source: ``@gladysassistant/gladys-gateway-js`` (``open-api-message``) and Gladys 4.86: it acks states and positions when
it has them, never acks events and messages, and takes a state with ``created_at`` for history.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import msgspec
from msgspec import Raw

from gladys_companion.errors import Rejected, Unanswered, Unsure
from gladys_companion.inline.gladys import GladysSide
from gladys_companion.model import Delivery, Event
from gladys_companion.protocol.open_api import decode_receipt
from gladys_companion.resolve import once

__all__ = ["InlineTarget", "message_for"]

CONFIRMED_WITHIN = 8.0  # seconds of one attempt; the next one waits for the same ack
SILENT_WITHIN = 2.0  # the same for what Gladys 4 never acks
SILENT = frozenset({"message", "signal"})
BAD_REQUEST = 400

HANDED_OVER = "handed over; Gladys 4 does nothing with it, and says so to nobody"

_object = msgspec.json.Decoder(dict[str, Raw])


def message_for(event: Event, *, late: bool) -> str:
    """Return the message that Gladys is given, JSON: as it came, or dated when it is late, so that no scene runs.

    Raises:
        Rejected: what came was kept no longer.
    """
    if event.relayed is None:
        raise Rejected("What Gladys Plus sent is not kept any more.")
    if not late or event.dated:
        return event.relayed
    message = _object.decode(event.relayed)
    data = _object.decode(message["data"])
    happened = datetime.fromtimestamp(event.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    data["created_at"] = Raw(msgspec.json.encode(happened))
    message["data"] = Raw(msgspec.json.encode(data))
    return msgspec.json.encode(message).decode()


class InlineTarget:
    """A ``ports.Target``; of one lane, so that it is asked for one thing after another."""

    def __init__(self, gladys: GladysSide) -> None:
        self._gladys = gladys
        self._asked: tuple[str, asyncio.Future[Raw | None]] | None = None  # an event that Gladys has, and its ack

    async def deliver(self, delivery: Delivery) -> str | None:
        """Give Gladys an event, and return when it has it; see ``ports.Target``.

        Raises:
            Unsure: it is not known whether Gladys has it, and twice would be one too many.
        """
        event = delivery.event
        try:
            told = await self._answer(event, message_for(event, late=delivery.late))
        except Unanswered as error:
            if once(delivery.target, event, delivery.feature):
                raise Unsure(str(error)) from error
            raise
        if isinstance(told, str):
            return told
        if told is None:
            raise Unsure("Gladys was given it, and never said that it has it.")
        answer = decode_receipt(told)
        status = answer.get("status")
        if isinstance(status, int) and status >= BAD_REQUEST:
            code, says = answer.get("error_code"), answer.get("error_message")
            raise Rejected(f"Gladys refused it: {says or code or status}.")
        return None

    async def _answer(self, event: Event, message: str) -> Raw | str | None:
        """Return Gladys' ack, or a remark where none is to come.

        Raises:
            Unavailable: it is not connected.
            Unanswered: it has not said anything yet, or has left.
        """
        if self._asked is None or self._asked[0] != event.id:
            self._asked = event.id, await self._gladys.ask("open-api-message", message)
        answer, silent = self._asked[1], event.kind in SILENT
        done, _ = await asyncio.wait({answer}, timeout=SILENT_WITHIN if silent else CONFIRMED_WITHIN)
        if done:
            self._asked = None
            return answer.result()
        if silent:
            return HANDED_OVER
        raise Unanswered("Gladys is connected, and does not answer.")
