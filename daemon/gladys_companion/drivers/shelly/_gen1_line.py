"""A way to one Shelly Gen1, by plain HTTP; who answers is asked before each command and before each secret.

``aioshelly`` reads a Gen1 only with CoIoT: a UDP socket on port 5683 and the multicast group 224.0.1.187, one for the
whole machine, to which any device on the network may write. Its few HTTP routes are spoken here instead, and it is
asked again and again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NoReturn

from aiohttp import ClientSession

from gladys_companion.drivers._json import at
from gladys_companion.drivers.following import Following, poll
from gladys_companion.drivers.shelly._commands import Wish, request, wrong
from gladys_companion.drivers.shelly._gen1 import Pushed, pushed, pushes, settings_of_gen1, state_of_gen1
from gladys_companion.drivers.shelly._parts import buttons, features, values
from gladys_companion.drivers.shelly._place import Place, get, hello, judged, recognise
from gladys_companion.drivers.shelly._state import State
from gladys_companion.errors import Unavailable
from gladys_companion.model import Feature

__all__ = ["Gen1Line"]

FRESH = 1.0  # seconds for which who answers is known: every request is a connection of its own


class Gen1Line:
    """The way to a device that was recognised just now; ``headers`` carry its password, if it has one."""

    def __init__(self, session: ClientSession, place: Place, headers: Mapping[str, str]) -> None:
        self._session = session
        self._place = place
        self._headers = headers
        self._loop = asyncio.get_running_loop()
        self._recognised_at = self._loop.time()
        self._settings: object = None
        self._state: State = {}
        self._pushed: Pushed | None = None

    async def features(self) -> tuple[Feature, ...]:
        """Return what the device can do.

        Raises:
            Unavailable, Rejected: as ``ask``.
        """
        await self.ask()
        return features(self._place.device, settings_of_gen1(self._settings), self._state)

    async def ask(self) -> dict[str, float]:
        """Return the values of the components now.

        Raises:
            Unavailable: no answer, or one that is none of a Shelly.
            Rejected: another device answers here, or the password is wrong.
        """
        await self._read()
        return values(settings_of_gen1(self._settings), self._state)

    async def set(self, wish: Wish) -> None:
        """Give a component a value, and return when the device said that it has it.

        Raises:
            Unavailable: no answer, or the device has another value all the same.
            Rejected: it has no such component, or as ``ask``.
        """
        if not self._state:
            await self._read()
        path, query = request(wish, self._settings, self._state)
        with judged(self._place):
            answer = await self._get(path, query)
        if wrong(wish, answer):
            raise Unavailable(f"{self._place} took the command, but did not do it.")

    async def listen(self, following: Following[Any], *, least: float, most: float) -> NoReturn:
        """Ask for ever, and tell what changed; see ``following.poll``."""

        async def ask() -> dict[str, float]:
            before = self._pushed
            found = await self.ask()
            if before is not None and self._pushed is not None:
                for component, push in pushes(before, self._pushed).items():
                    if component in buttons(settings_of_gen1(self._settings)):
                        following.happened(component, push)
            return found

        await poll(following, ask, quick=least, slow=most)

    async def _read(self) -> None:
        with judged(self._place):
            if self._settings is None:
                self._settings = await self._get("/settings")
                recognise(self._place, at(self._settings, ("device", "mac")))
            status = await self._get("/status")
            recognise(self._place, at(status, ("mac",)))
        self._state, self._pushed = state_of_gen1(self._settings, status), pushed(status)

    async def _get(self, path: str, query: Mapping[str, str] | None = None) -> object:
        if (query or self._headers) and self._loop.time() - self._recognised_at > FRESH:
            await hello(self._session, self._place)
            self._recognised_at = self._loop.time()
        return await get(self._session, self._place, path, query, self._headers)
