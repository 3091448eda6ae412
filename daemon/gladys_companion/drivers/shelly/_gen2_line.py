"""A way to one Shelly Gen2 or later: a websocket that calls and is notified, once it is known who is there.

The transport and the digest are those of ``aioshelly``; what it would do for whatever a device says (answer calls, keep
every member of every notification, log all nonsense) is not done here, so that a device can not have us work for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, NoReturn

from aiohttp import ClientError, ClientSession
from aioshelly.exceptions import ShellyError
from aioshelly.rpc_device.wsrpc import RPCSource, WsRPC

from gladys_companion.drivers._http import BoundedWebSocket
from gladys_companion.drivers._json import at
from gladys_companion.drivers.following import Following, poll
from gladys_companion.drivers.shelly._commands import Wish, call
from gladys_companion.drivers.shelly._parts import PUSHES, buttons, features, values
from gladys_companion.drivers.shelly._password import Password
from gladys_companion.drivers.shelly._place import Place, judged, recognise
from gladys_companion.drivers.shelly._state import Setting, State, merged, settings_of, state_of
from gladys_companion.errors import Unavailable
from gladys_companion.model import Feature

__all__ = ["CalmWebSocket", "Gen2Line", "open_gen2"]

USER = "admin"  # always, see shelly-api-docs.shelly.cloud/gen2/General/Authentication
GOODBYE_WITHIN = 0.2  # seconds for the closing handshake, which a device that hangs never answers
MOST_EVENTS = 16  # in one notification
AT_ONCE, A_SECOND = 1_000, 5_000  # frames that are read; a device that sends more has to wait


class CalmWebSocket(BoundedWebSocket):
    """A websocket that reads so many frames a second and no more: a flood is left to the network to hold back."""

    _credit = float(AT_ONCE)
    _counted_at = 0.0

    async def receive(self, timeout: float | None = None) -> Any:  # noqa: ANN401, ASYNC109 - as aiohttp has it
        """Return the next frame."""
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            self._credit = min(AT_ONCE, self._credit + (now - self._counted_at) * A_SECOND)
            self._counted_at = now
            if self._credit >= 1:
                break
            await asyncio.sleep(AT_ONCE / A_SECOND / 10)
        self._credit -= 1
        return await super().receive(timeout)


class _Rpc(WsRPC):
    """The transport, which hands on what is notified, and drops what is neither that nor an answer."""

    def __init__(self, host: str, line: Gen2Line) -> None:
        super().__init__(host, self._told)
        self._line = line

    def handle_frame(self, source: RPCSource, frame: object) -> None:
        if not isinstance(frame, dict):
            return
        if isinstance(frame.get("id"), int) and "method" not in frame:
            super().handle_frame(source, {key: frame[key] for key in ("id", "result", "error") if key in frame})
        elif "id" not in frame:
            self._line.heard(frame)

    def _told(self, _source: RPCSource, _method: str, _params: dict[str, Any] | None) -> None:
        """Take note of the one thing that is told here: the end."""
        self._line.ended()


@asynccontextmanager
async def open_gen2(session: ClientSession, place: Place, password: Password | None) -> AsyncIterator[Gen2Line]:
    """Yield a way to a device, connected and recognised.

    Args:
        session: reaches the device and nobody else; with ``CalmWebSocket``.
        place: where it is.
        password: None of one that is open to all.

    Raises:
        Unavailable: no answer, or none of a Shelly.
        Rejected: another device answers here, or the password is wrong.
    """
    line = Gen2Line(place)
    try:
        with judged(place):
            await line.connect(session, password)
        yield line
    finally:
        await line.close()


class Gen2Line:
    """What ``open_gen2`` yields."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._rpc = _Rpc(place.host, self)
        self._settings: Mapping[str, Setting] = {}
        self._state: State = {}
        self._following: Following[Any] | None = None

    async def connect(self, session: ClientSession, password: Password | None) -> None:
        """Connect, see who is there, and only then prove to know the password and ask for more."""
        async with asyncio.timeout(self._place.answer_within):
            await self._rpc.connect(session)
        info = await self._call("Shelly.GetDeviceInfo")
        recognise(self._place, at(info, ("mac",)))
        if password is not None:
            realm = at(info, ("auth_domain",)) or at(info, ("id",))
            self._rpc.set_auth_data(str(realm), USER, password.password)
        self._settings = settings_of(await self._call("Shelly.GetConfig"))

    async def close(self) -> None:
        """Say goodbye, and be gone soon whatever the device says to that."""
        with suppress(TimeoutError, ClientError, ShellyError, OSError):
            async with asyncio.timeout(GOODBYE_WITHIN):
                await self._rpc.disconnect()
        task = asyncio.current_task()
        if task is not None and task.cancelling():  # the library can not tell ours from its own, and goes on
            raise asyncio.CancelledError

    async def features(self) -> tuple[Feature, ...]:
        """Return what the device can do.

        Raises:
            Unavailable, Rejected: as ``ask``.
        """
        await self.ask()
        return features(self._place.device, self._settings, self._state)

    async def ask(self) -> dict[str, float]:
        """Return the values of the components now.

        Raises:
            Unavailable: no answer, or one that is none of a Shelly.
            Rejected: the password is wrong.
        """
        if not self._rpc.connected:
            raise Unavailable(f"{self._place} ended the connection.")
        with judged(self._place):
            self._state = state_of(await self._call("Shelly.GetStatus"))
        return values(self._settings, self._state)

    async def set(self, wish: Wish) -> None:
        """Give a component a value, and return when the device said that it did so.

        Raises:
            Unavailable: no answer, or the device could not.
            Rejected: it has no such component, or the password is wrong.
        """
        method, params = call(wish, self._settings)
        with judged(self._place):
            await self._call(method, params)

    async def listen(self, following: Following[Any], *, every: float) -> NoReturn:
        """Tell what is notified, and now and then what is asked, until the connection ends.

        Raises:
            Unavailable: it ended.
            Rejected: as ``ask``.
        """
        self._following = following
        try:
            await poll(following, self.ask, quick=every, slow=every)
        finally:
            self._following = None

    def heard(self, frame: Mapping[str, Any]) -> None:
        """Take a notification."""
        if self._following is None:
            return
        params = frame.get("params")
        if frame.get("method") in {"NotifyStatus", "NotifyFullStatus"}:
            self._state = merged(self._state, params)
            self._following.tell(values(self._settings, self._state))
        elif frame.get("method") == "NotifyEvent":
            events = at(params, ("events",))
            for event in events[:MOST_EVENTS] if isinstance(events, Sequence) else ():
                component, push = str(at(event, ("component",))), PUSHES.get(str(at(event, ("event",))))
                if push is not None and component in buttons(self._settings):
                    self._following.happened(component, push)

    def ended(self) -> None:
        """Have ``listen`` notice that the connection ended."""
        if self._following is not None:
            self._following.wake()

    async def _call(self, method: str, params: dict[str, Any] | None = None) -> object:
        found: object = await self._rpc.call(method, params, self._place.answer_within)
        return found
