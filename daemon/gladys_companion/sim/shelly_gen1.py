"""A simulated Shelly Gen1 that the real ``aioshelly`` and any mDNS browser take for a real one.

It speaks HTTP (``/shelly``, ``/status``, ``/settings``, ``/relay/0``, ``/light/0``, ``/roller/0``), with Basic
authentication where it has a password, and CoIoT where that is asked for; it pushes nothing. Beside the wire it has a
person's hands (``press``, ``push``, ``set``) and the faults of every simulated device.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from aiohttp import web
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.sim import _shelly_http as wire
from gladys_companion.sim._coiot import answering
from gladys_companion.sim._device import Announced, HttpDevice, compact
from gladys_companion.sim._shelly_rpc import Kind

__all__ = ["Shelly", "open_shelly_gen1"]

SERVICE = "_http._tcp.local."
REALM = 'Basic realm="Shelly"'

Handler = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def open_shelly_gen1(  # noqa: PLR0913 - what a device is
    *,
    kind: Kind = "switch",
    mac: str = "a8032ab10001",
    name: str = "Shelly",
    host: str = "127.0.0.1",
    port: int = 0,
    password: str | None = None,
    buttons: str = "toggle",
    travel: float = 0.0,
    short_id: bool = False,
    coiot: bool = False,
    zeroconf: AsyncZeroconf | None = None,
) -> AsyncIterator[Shelly]:
    """Run a device that listens on ``host``, and announce it where ``zeroconf`` is given (the caller's, left open).

    Args:
        kind: what hangs on it: a ``switch`` (1PM), a ``light`` (Dimmer 2), a ``color`` light (Bulb RGBW) or a
            ``cover`` (2.5).
        mac: its identity, 12 hex digits, with colons or without.
        name: its friendly name.
        host: one IP address of this machine; it is announced, so a wildcard will not do.
        port: 0 takes a free one.
        password: of the user ``admin``; None leaves it open.
        buttons: the ``btn_type`` of its inputs: ``toggle`` or ``momentary``.
        travel: seconds that a cover takes from closed to open.
        short_id: whether it announces only the last six digits of its MAC, as those made before 2020 do.
        coiot: whether it answers CoIoT at UDP port 5683.
        zeroconf: speaks on its own interfaces only.

    Raises:
        ValueError: ``mac`` or ``host`` is not what it must be.
        OSError: the address can not be listened on.
    """
    shelly = Shelly(kind=kind, mac=mac, name=name, password=password, buttons=buttons, travel=travel)
    shelly.id = shelly.id.replace(shelly.mac, shelly.mac[-6:]) if short_id else shelly.id
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(shelly.running(host, port, zeroconf))
        if coiot:
            device_id = f"{wire.MODELS[kind].type}#{shelly.mac[-6:].upper()}#2"
            await stack.enter_async_context(answering(host, device_id, shelly.cit))
        yield shelly


class Shelly(HttpDevice):
    """What ``open_shelly_gen1`` gives; ``id`` is its own id, as it announces it."""

    def __init__(self, *, kind: Kind, mac: str, name: str, password: str | None, buttons: str, travel: float) -> None:
        """Make a device as it leaves the factory."""
        super().__init__(mac=mac, name=name)
        self.id = f"{wire.MODELS[kind].prefix}-{self.mac}"
        self._kind = kind
        self._password = password
        self._buttons = buttons
        self._travel = travel
        self._state = wire.factory_state(kind)
        self._moving: tuple[float, int] | None = None  # since when, and from where
        self._inputs = [{"input": 0, "event": "", "event_cnt": 0} for _ in range(2 if kind == "cover" else 1)]
        self._commands: tuple[dict[str, str], ...] = ()
        self._credentials: tuple[str, ...] = ()
        self._started = time.monotonic()

    @property
    def state(self) -> dict[str, Any]:
        """What hangs on it, in the words of its route: ``ison``, ``brightness``, ``current_pos``; where it is now."""
        if self._moving is not None:
            since, at = self._moving
            to = self._state["to"]
            way = int((time.monotonic() - since) / self._travel * 100) if self._travel else abs(to - at)
            if way >= abs(to - at):
                self._moving = None
                self._state = {**self._state, "state": "stop", "current_pos": to}
            else:
                self._state = {**self._state, "current_pos": at + way if to > at else at - way}
        return {key: value for key, value in self._state.items() if key != "to"}

    @property
    def commands(self) -> tuple[dict[str, str], ...]:
        """The parameters that commanded something since the start, in order."""
        return self._commands

    @property
    def credentials(self) -> tuple[str, ...]:
        """The ``Authorization`` headers that it was ever given, in order."""
        return self._credentials

    async def press(self) -> None:
        """Toggle what hangs on it, as a person at the wall does; a cover goes to the other end."""
        state = self.state
        query = {"turn": "toggle"} if "ison" in state else {"go": "close" if state["current_pos"] else "open"}
        await self._become(query)

    async def push(self, event: str = "S", number: int = 0) -> None:
        """Push the button on an input: ``S`` short, ``SS`` twice, ``SSS`` three times, ``L`` long."""
        count = int(str(self._inputs[number]["event_cnt"])) + 1
        self._inputs[number] = {**self._inputs[number], "event": event, "event_cnt": count}
        await self.told()

    async def flip(self, number: int = 0) -> None:
        """Flip the switch on an input."""
        self._inputs[number] = {**self._inputs[number], "input": 1 - int(str(self._inputs[number]["input"]))}
        await self.told()

    async def set(self, **state: Any) -> None:
        """Change it by hand, in the words of its route: ``ison=True``, ``brightness=40``."""
        self._state = {**self.state, **state}
        await self.told()

    def cit(self, path: str) -> dict[str, Any]:
        """Return what CoIoT tells at ``d`` and ``s``."""
        return wire.described(self._kind) if path == "d" else wire.told(self._kind, self.state)

    def announced(self) -> Sequence[Announced]:
        """Return ``_http._tcp`` with its id."""
        return (Announced(SERVICE, self.id, {"id": self.id, "fw_id": wire.FIRMWARE, "arch": "esp8266"}),)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes; all but ``/shelly`` want the password, if there is one."""
        return [
            web.get("/shelly", self._answer(self._shelly)),
            web.get("/status", self._guarded(self._answer(self._status))),
            web.get("/settings", self._guarded(self._answer(self._settings))),
            web.get("/cit/d", self._guarded(self._answer(lambda: wire.described(self._kind)))),
            web.get(f"/{wire.MODELS[self._kind].route}/0", self._guarded(self._command)),
        ]

    def _shelly(self) -> dict[str, Any]:
        model = wire.MODELS[self._kind]
        protected = self._password is not None
        found = {"type": model.type, "mac": self.mac.upper(), "auth": protected, "fw": wire.FIRMWARE}
        return {**found, "discoverable": True, "num_outputs": 1, "num_meters": 1}

    def _status(self) -> dict[str, Any]:
        uptime = int(time.monotonic() - self._started)
        return wire.status(self._kind, self.mac, self.state, self._inputs, uptime)

    def _settings(self) -> dict[str, Any]:
        return wire.settings(self._kind, self.mac, self.id, self.name, self._buttons)

    def _answer(self, content: Callable[[], dict[str, Any]]) -> Handler:
        async def answer(_request: web.Request) -> web.Response:
            return web.json_response(content(), dumps=compact)

        return answer

    def _guarded(self, handler: Handler) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            given = request.headers.get("Authorization")
            if given is not None:
                self._credentials = (*self._credentials, given)
            if self._password is not None:
                right = "Basic " + b64encode(f"admin:{self._password}".encode()).decode()
                if given != right:
                    return web.Response(status=401, text="401 Unauthorized", headers={"WWW-Authenticate": REALM})
            return await handler(request)

        return answer

    async def _command(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        try:
            if query:
                wire.commanded(self._kind, self.state, query)
                self._commands = (*self._commands, query)
                await self._become(query)
        except ValueError as error:
            return web.Response(status=400, text=str(error))
        return web.json_response(wire.measured(self._kind, self.state), dumps=compact)

    async def _become(self, query: dict[str, str]) -> None:
        now = self.state
        changes = wire.commanded(self._kind, now, query)
        self._moving = (time.monotonic(), now["current_pos"]) if "to" in changes else None
        self._state = {**now, **changes}
        await self.told()
