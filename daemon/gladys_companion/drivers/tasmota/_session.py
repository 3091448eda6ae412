"""One Tasmota device at the broker: it is heard, asked, and commanded once it has said that it is the right one.

Whatever it says, this holds: a message that is nonsense is as good as none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from gladys_companion.drivers._json import at, decoded
from gladys_companion.drivers.following import Following, Value
from gladys_companion.drivers.identity import mac_of
from gladys_companion.drivers.tasmota._announced import Announced
from gladys_companion.drivers.tasmota._parts import Command, Part
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.mqtt import Connection, Message

__all__ = ["Session", "open_session"]

NOBODY = "000000000000"  # the MAC of a network interface that is switched off
MOST_MACS = 8


@asynccontextmanager
async def open_session(broker: Connection, announced: Announced, answer_within: float) -> AsyncIterator[Session]:
    """Yield a session that hears the device from now on; nothing is asked yet.

    Raises:
        Unavailable: the broker is away, or went, which ends the block.
    """
    session = Session(broker, announced, answer_within)
    async with broker.hearing(announced.topics, session.hear):
        yield session


class Session:
    """What ``open_session`` yields. ``online`` is what the device's last will says, None while it said nothing."""

    def __init__(self, broker: Connection, announced: Announced, answer_within: float) -> None:
        self.online: bool | None = None
        self._announced = announced
        self._name = announced.device.name
        self._broker = broker
        self._answer_within = answer_within
        self._keys = frozenset(key for part in announced.parts for key in part.keys)
        self._seen: dict[str, Any] = {}
        self._macs: set[str] = set()
        self._wanted: dict[str, float] = {}
        self._answered: set[str] = set()  # keys told since the last command, and what it answered to a wrong one
        self._following: Following[Session] | None = None
        self._outdated = False
        self._news = asyncio.Event()

    @property
    def offline(self) -> bool:
        """Whether it says that it is offline, and is not one that is so most of the time."""
        return self.online is False and not self._announced.sleeps

    def hear(self, message: Message) -> None:
        """Take one message on a topic of the device; see ``mqtt.Hear``."""
        announced = self._announced
        if message.topic.value == f"{announced.tele}LWT":
            word = message.payload[:64].decode(errors="replace")
            self.online = {announced.online: True, announced.offline: False}.get(word, self.online)
        elif not message.retain:  # who knows how old that is; it is asked anyway
            try:
                told = decoded(message.payload)
            except ValueError:
                return
            if isinstance(told, dict):
                self._take(told)
        self._changed()

    def outdate(self) -> None:
        """End it: the device announced itself anew."""
        self._outdated = True
        self._changed()

    def _changed(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _take(self, told: dict[str, Any]) -> None:
        net = told.get("StatusNET")
        if isinstance(net, dict) and len(self._macs) < MOST_MACS:
            macs = (mac_of(str(mac)) for mac in (net.get("Mac"), at(net, ("Ethernet", "Mac"))))
            self._macs.update(mac for mac in macs if mac is not None and mac != NOBODY)
        for wrapped in ("StatusSNS", "StatusSTS"):
            if isinstance(told.get(wrapped), dict):
                told = told[wrapped]
        if told.get("Command") in ("Unknown", "Error"):
            self._answered.add("Unknown")
        keys = self._keys & told.keys()
        self._answered |= keys
        self._seen |= {key: told[key] for key in keys}
        if self._following is not None:
            for part in self._announced.parts:
                if (moment := part.happened(told)) is not None:
                    self._following.happened(part.component, moment)
            self._following.tell(self._values(keys))

    def _values(self, keys: frozenset[str]) -> dict[str, Value]:
        """Return the values of the parts that these keys belong to."""
        found: dict[str, Value] = {}
        for part in self._announced.parts:
            value = part.value(self._seen) if keys.intersection(part.keys) else None
            if value is not None:
                wanted = self._wanted.get(part.component)
                found[part.component] = wanted if wanted is not None and part.same(wanted, value) else value
        return found

    async def verify(self) -> None:
        """Return when the device has answered with its MAC. One that sleeps is taken at its topics' word.

        Raises:
            Unavailable: it is offline, or did not answer.
            Rejected: another one answers.
        """
        if self._announced.sleeps:
            return
        self._macs.clear()
        await self._ask((("STATUS", "5"),), lambda: bool(self._macs), "answer")
        self._check()

    def _check(self) -> None:
        if self._outdated:
            raise Unavailable(f"{self._name} announced itself anew.")
        if self._macs and self._announced.mac not in self._macs:
            raise Rejected(
                f"Another device answers on the topics of {self._name}: its MAC is {min(self._macs)}, "
                f"not {self._announced.mac}. Give each device a Topic of its own."
            )

    async def listen(self, following: Following[Session]) -> None:
        """Tell its values now and at each push, until it goes offline; returns then.

        Raises:
            Unavailable: it announced itself anew, or did not answer.
            Rejected: another device answers in its place.
        """
        self._following = following
        try:
            if not self._announced.sleeps:
                await self._ask((("STATE", ""), ("STATUS", "10")), lambda: True, "answer")
            following.tell({})
            while not self.offline:
                self._check()
                await self._news.wait()
        finally:
            self._following = None

    async def until_online(self) -> None:
        """Return when it does not say any more that it is offline."""
        while self.offline:
            self._check()
            await self._news.wait()

    async def set(self, part: Part, wanted: float) -> None:
        """Give a part a value, and return when the device said that it has it, or goes there.

        Raises:
            Unavailable: it is offline, did not answer, or says something else.
            Rejected: it does not know the command.
        """
        before = dict(self._wanted)
        self._wanted[part.component] = wanted
        self._answered.clear()
        try:
            await self._ask(part.commands(wanted), lambda: self._is(part, wanted), "say that it has done so")
        except BaseException:
            self._wanted = before
            raise

    def _is(self, part: Part, wanted: float) -> bool:
        if "Unknown" in self._answered:
            raise Rejected(f"{self._name} does not know how: its firmware is too old, or built without it.")
        return not self._answered.isdisjoint(part.keys) and part.reached(wanted, self._seen)

    async def _ask(self, commands: tuple[Command, ...], enough: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(self._answer_within):
                for name, argument in () if self.offline else commands:
                    await self._broker.publish(f"{self._announced.command}{name}", argument.encode())
                while not enough():
                    if self.offline:
                        raise Unavailable(f"{self._name} is offline: it has no power, or no network.")
                    await self._news.wait()
        except TimeoutError:
            raise Unavailable(f"{self._name} did not {what} within {self._answer_within:g} s.") from None
