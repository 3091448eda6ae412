"""One verified connection to one accessory or bridge: asked, commanded and listened to.

Whatever goes wrong comes out as ``Unavailable`` or ``Rejected`` with a sentence.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, suppress
from http import HTTPStatus
from itertools import groupby, islice
from typing import Any

from aiohomekit import hkjson
from aiohomekit.http import HttpContentTypes
from aiohomekit.http.response import HttpResponse

from gladys_companion.drivers.following import Following
from gladys_companion.drivers.homekit._accessories import (
    Characteristic,
    Id,
    Told,
    accessories,
    answered,
    number,
    pushed,
)
from gladys_companion.drivers.homekit._config import Config
from gladys_companion.drivers.homekit._judged import judged, refused, where
from gladys_companion.drivers.homekit._pairing import Pairing, verify
from gladys_companion.drivers.homekit._part import Command, Part, State, readers
from gladys_companion.drivers.homekit._parts import parts
from gladys_companion.drivers.homekit._wire import Nonsense, Wire, open_wire
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Device

__all__ = ["Session", "open_session"]

AT_ONCE = 64  # characteristics in one question
HELD_BACK = 2.0  # seconds after a command in which what contradicts it is asked for
LOOK_AGAIN = 1.0  # seconds between two looks at what should have been told
TIMED_WRITE = 2_500  # milliseconds from the announcement of a write to the write


class Session:
    """What ``open_session`` yields. ``parts`` is what there is, by component."""

    def __init__(self, device: Device, config: Config) -> None:
        self.parts: Mapping[str, Part] = {}
        self.following: Following[Session] | None = None
        self.wire: Wire
        self._device = device
        self._config = config
        self._readers: Mapping[Id, Sequence[Part]] = {}
        self._characteristics: dict[Id, Characteristic] = {}
        self._silent: frozenset[Id] = frozenset()  # what tells no changes
        self._values: dict[Id, Any] = {}
        self._wrote: dict[Id, tuple[object, float]] = {}  # what, and when
        self._doubted: set[Id] = set()
        self._news = asyncio.Event()
        self._asked_at = -math.inf

    @property
    def open(self) -> bool:
        """Whether it can be used."""
        return self.wire.open

    @property
    def silent(self) -> bool:
        """Whether something has to be asked for, because the accessory does not tell it."""
        return bool(self._silent)

    def leads_to(self, device: Device) -> bool:
        """Whether this is where a device is said to be, too."""
        return (self._device.address, self._device.port) == (device.address, device.port)

    async def learn(self) -> None:
        """Ask what there is; if it is listened to, listen to what is new as well.

        Raises:
            Unavailable: no answer, or none that makes sense.
        """
        with self._judged():
            found = accessories(_whole(await self.wire.request("GET", "/accessories")).body)
            characteristics = {
                (accessory.aid, one.iid): one
                for accessory in found
                for service in accessory.services
                for one in service.characteristics
            }
            self.parts = parts(found)
            self._readers = readers(self.parts.values())
            new = characteristics.keys() - self._characteristics.keys()
            self._characteristics = characteristics
            self._values |= {id_: one.value for id_, one in characteristics.items() if one.value is not None}
        if self.following is not None and new:
            await self._subscribe(new)
            self._tell(self._used())

    async def listen(self, following: Following[Session]) -> None:
        """Have it tell its changes to ``following`` from now on, and tell what it has now."""
        self.following = following
        await self._subscribe(self._characteristics.keys())
        await following.tell_answer(self.ask())

    async def ask(self) -> dict[str, float]:
        """Return the value of each component that has one; asks for what is not told or in doubt, and for all when due.

        Raises:
            Unavailable: no answer, or none that makes sense.
        """
        now = time.monotonic()
        due = now - self._asked_at >= self._config.poll_every
        ids = self._used() if due else self._silent | self._doubted
        self._doubted.clear()
        with self._judged():
            self.wire.check()
        await self._read(ids)
        if due:
            self._asked_at = now
        return self._told(self.parts.values())

    async def set(self, component: str, wanted: float) -> None:
        """Give a component a value, and return when the accessory took it; a lock: when it is there.

        Raises:
            Unavailable: no answer, or it can not do it now.
            Rejected: there is no such component, it can not have this value, or the lock did not move.
        """
        part = self.parts.get(component)
        if part is None or part.command is None:
            raise Rejected(f"{where(self._device)} has no {component!r} that could be set.")
        try:
            command = part.command(wanted, self._values)
        except Rejected as error:
            raise Rejected(f"{part.name} of {self._device.name}: {error}") from error
        try:
            await self._write(command)
        except BaseException:
            self._doubted |= command.writes.keys()  # some of it may be so
            raise
        now = time.monotonic()
        self._wrote |= {id_: (value, now) for id_, value in command.writes.items()}
        self._values |= {**command.writes, **command.presumed}
        if command.state is not None:
            await self._arrive(part, command.state)
        self._tell(command.writes.keys() | command.presumed.keys())

    def take(self, body: bytes) -> None:
        """Take an event.

        Raises:
            Nonsense: it makes no sense.
        """
        try:
            said = pushed(body)
        except (ValueError, TypeError) as error:
            raise Nonsense("an event makes no sense") from error
        self._doubted |= (doubtful := {(one.aid, one.iid) for one in said if self._contradicts(one)})
        sure = [one for one in said if (one.aid, one.iid) not in doubtful]
        self._heard(sure)
        if self.following is None:
            return
        if doubtful:
            self.following.wake()
        for one in sure:
            for part in self._readers.get((one.aid, one.iid), ()):
                if part.press is not None and (pressed := part.press(one.value)) is not None:
                    self.following.happened(part.component, pressed)
        self._tell((one.aid, one.iid) for one in sure)

    def ended(self) -> None:
        """Have who waits look again, and see that the connection has ended."""
        self._news.set()
        if self.following is not None:
            self.following.wake()

    def _used(self) -> frozenset[Id]:
        """Return what has values that are told on."""
        found = {id_ for part in self.parts.values() if part.press is None for id_ in part.reads}
        return frozenset(id_ for id_ in found if id_ in self._characteristics and self._characteristics[id_].readable)

    async def _subscribe(self, ids: AbstractSet[Id]) -> None:
        """Have the accessory tell changes of those of these characteristics that anything is made of."""
        wanted_of = self._readers.keys() & self._characteristics.keys() & ids
        pushed = sorted(id_ for id_ in wanted_of if self._characteristics[id_].pushed)
        taken: set[Id] = set()
        with self._judged():
            for aid, group in groupby(pushed, key=lambda id_: id_[0]):  # one accessory at a time, as iPhones do it
                wanted = list(group)
                body = {"characteristics": [{"aid": aid, "iid": iid, "ev": True} for _, iid in wanted]}
                said = answered(await self._put("/characteristics", body), wanted)
                taken |= {id_ for id_ in wanted if id_ not in said or not said[id_].status}
        self._silent = frozenset(
            id_ for id_ in self._used() if id_ not in taken and (id_ in ids or id_ in self._silent)
        )

    async def _read(self, ids: Iterable[Id]) -> None:
        remaining = iter(sorted(ids))
        with self._judged():
            while some := list(islice(remaining, AT_ONCE)):
                target = "/characteristics?id=" + ",".join(f"{aid}.{iid}" for aid, iid in some)
                self._heard(answered(_whole(await self.wire.request("GET", target)).body, some).values())

    async def _write(self, command: Command) -> None:
        body: dict[str, Any] = {
            "characteristics": [
                {"aid": aid, "iid": iid, "value": value} for (aid, iid), value in command.writes.items()
            ]
        }
        with self._judged():
            if any(self._characteristics[id_].timed for id_ in command.writes):
                body["pid"] = time.monotonic_ns() >> 10
                await self._put("/prepare", {"ttl": TIMED_WRITE, "pid": body["pid"]})
            said = answered(await self._put("/characteristics", body), command.writes)
        for one in said.values():
            if one.status:
                raise refused(self._device, one.status)

    async def _put(self, target: str, body: dict[str, Any]) -> bytes | bytearray:
        response = await self.wire.request("PUT", target, hkjson.dumps(body).encode(), HttpContentTypes.JSON.value)
        return _whole(response).body or b"{}"

    async def _arrive(self, part: Part, state: State) -> None:
        """Return when it is where it was told to be."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._config.moves_within
        while True:
            self._news.clear()
            await self._read(part.reads)
            where_now = state(self._values)
            if where_now == "there":
                return
            left = until - loop.time()
            if where_now == "failed" or left <= 0:
                late = f"it is not there after {self._config.moves_within:g} s"
                says = "it says that it is jammed" if where_now == "failed" else late
                raise Rejected(f"{part.name} of {where(self._device)} took the command, but {says}: look after it.")
            with suppress(TimeoutError):
                async with asyncio.timeout(min(LOOK_AGAIN, left)):
                    await self._news.wait()

    def _contradicts(self, one: Told) -> bool:
        """Return whether an event may be of before a command: accessories hold them back for up to a second."""
        value, at = self._wrote.get((one.aid, one.iid), (None, -math.inf))
        return time.monotonic() - at < HELD_BACK and number(one.value) != number(value)

    def _heard(self, said: Iterable[Told]) -> None:
        for one in said:
            if (one.aid, one.iid) in self._characteristics and not one.status:
                self._values[one.aid, one.iid] = one.value
        self._news.set()

    def _tell(self, changed: Iterable[Id]) -> None:
        if self.following is not None:
            self.following.tell(self._told(part for id_ in changed for part in self._readers.get(id_, ())))

    def _told(self, concerned: Iterable[Part]) -> dict[str, float]:
        found = {part.component: part.value(self._values) for part in concerned}
        return {component: value for component, value in found.items() if value is not None}

    def _judged(self) -> AbstractContextManager[None]:
        return judged(self._device, self._config.answer_within)


def _whole(response: HttpResponse) -> HttpResponse:
    """Return an answer whose status says that it is one; one that says of each characteristic what is wrong too."""
    status: Any = response.code  # a whole answer has one; the library's type says None
    if status >= HTTPStatus.BAD_REQUEST and b'"status"' not in response.body:
        raise Nonsense(f"HTTP status {status}")
    return response


@asynccontextmanager
async def open_session(device: Device, pairing: Pairing, config: Config) -> AsyncIterator[Session]:
    """Yield a connection to the accessory of a pairing, where the device is; nothing is asked yet.

    Raises:
        Unavailable: nobody answers there, or not as HomeKit does.
        Rejected: it does not know us any more.
        AnotherDevice: it is another accessory.
    """
    if device.address is None or device.port is None:
        raise Unavailable(f"{device.name} has not been seen on the network yet.")
    session = Session(device, config)
    async with AsyncExitStack() as stack:
        with judged(device, config.answer_within):
            session.wire = await stack.enter_async_context(
                open_wire((device.address, device.port), config.answer_within, session.take, session.ended)
            )
            await verify(session.wire, pairing)
        yield session
