"""Tells Gladys, in a message, when the gateway has fallen silent, and when it is back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import structlog

from gladys_companion.clock import Clock
from gladys_companion.errors import StoreError
from gladys_companion.ids import new_id
from gladys_companion.intake import Intake
from gladys_companion.model import Event
from gladys_companion.pages import Translator
from gladys_companion.presence.reasons import clock_time

__all__ = ["LOOK_EVERY", "tell_silence"]

LOOK_EVERY = 15.0
LASTS = 3_600.0  # seconds for which such a message is worth being told

log = structlog.get_logger(__name__)


async def tell_silence(
    silent_for: Callable[[], float],
    silent_after: float,
    language: str,
    *,
    intake: Intake,
    clock: Clock,
    timezone: Callable[[], str],
    woken: asyncio.Event,
) -> None:
    """Look each time ``woken`` is set, for ever; tell each silence once, and once that it is over.

    Args:
        silent_for: seconds for which the gateway was not heard.
        silent_after: seconds after which that is told.
        language: of the messages.
        intake: takes them; without a sink for messages they are only in the journal.
        clock: wall and boot time.
        timezone: the IANA name of the zone in which times are said.
        woken: set when it is time to look.
    """
    t = await asyncio.to_thread(Translator, language)  # it reads a file
    silent = False
    while True:
        await woken.wait()
        woken.clear()
        lasted = silent_for()
        if (lasted >= silent_after) == silent:
            continue
        silent = not silent
        since = await asyncio.to_thread(clock_time, clock.now() - lasted, clock.now(), timezone())
        says = t("silence.began", since=since) if silent else t("silence.ended")
        log.warning("gateway silent" if silent else "gateway heard again", since=since)
        try:
            await intake.take(_message(says, clock))
        except StoreError as error:
            log.warning("gladys is not told of the silence", reason=str(error))


def _message(text: str, clock: Clock) -> Event:
    now = clock.now()
    return Event(
        id=new_id(),
        kind="message",
        origin="local",
        at=now,
        received_at=now,
        deadline=clock.elapsed() + LASTS,
        boot=clock.boot,
        body=json.dumps({"text": text}),
    )
