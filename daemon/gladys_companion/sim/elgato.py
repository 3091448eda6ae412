"""A simulated Elgato light that the real ``elgato`` library and any mDNS browser take for a real one.

It speaks the lights' HTTP API, which pushes nothing, and announces itself as ``_elg._tcp.local.``. Beside the wire it
has a person's hands (``press``, ``set``) and the faults of a device (``freeze``, ``refuse``, ``move``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

from aiohttp import web
from msgspec import Struct
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.sim._device import Announced, HttpDevice, compact, json_object

__all__ = ["ElgatoLight", "Kind", "open_elgato"]

SERVICE = "_elg._tcp.local."

Kind = Literal["key-light", "light-strip"]
"""A panel that is white, or LEDs that have colours too."""


class _Model(Struct, frozen=True):
    """What the models differ in; ``bounds`` of each member of a light, ``factory`` its values at first."""

    product: str
    board: int
    code: str
    bounds: Mapping[str, tuple[float, float]]
    factory: Mapping[str, float]
    at_power_on: Mapping[str, float]


MODELS: Mapping[Kind, _Model] = {
    "key-light": _Model(
        product="Elgato Key Light",
        board=53,
        code="20GAK9901",
        bounds={"on": (0, 1), "brightness": (0, 100), "temperature": (143, 344)},
        factory={"on": 1, "brightness": 20, "temperature": 213},
        at_power_on={"powerOnTemperature": 213},
    ),
    "light-strip": _Model(
        product="Elgato Light Strip",
        board=70,
        code="20LAA9901",
        bounds={
            "on": (0, 1),
            "brightness": (0, 100),
            "temperature": (143, 344),
            "hue": (0, 360),
            "saturation": (0, 100),
        },
        factory={"on": 1, "brightness": 50, "hue": 358.0, "saturation": 60.0},
        at_power_on={"powerOnHue": 40.0, "powerOnSaturation": 15.0, "powerOnTemperature": 0},
    ),
}


@asynccontextmanager
async def open_elgato(
    *,
    mac: str = "3c6a9d14d765",
    name: str = "Elgato",
    kind: Kind = "key-light",
    host: str = "127.0.0.1",
    port: int = 0,
    zeroconf: AsyncZeroconf | None = None,
) -> AsyncIterator[ElgatoLight]:
    """Run a light that listens on ``host``, and announce it where ``zeroconf`` is given (the caller's, left open).

    Args:
        mac: its identity, 12 hex digits, with colons or without.
        name: its display name.
        kind: ``key-light`` (white) or ``light-strip`` (colours too).
        host: one IP address of this machine; it is announced, so a wildcard will not do.
        port: 0 takes a free one.
        zeroconf: speaks on its own interfaces only; with ``interfaces=["127.0.0.1"]`` the light stays on this machine.

    Raises:
        ValueError: ``mac`` or ``host`` is not what it must be.
        OSError: the address can not be listened on.
    """
    async with ElgatoLight(mac=mac, name=name, kind=kind).running(host, port, zeroconf) as light:
        yield light


class ElgatoLight(HttpDevice):
    """What ``open_elgato`` gives. ``mac`` is 12 lower-case hex digits, ``address`` and ``port`` where it listens now.

    ``tells_mac`` false makes it an older firmware, which tells its serial number only.
    """

    def __init__(self, *, mac: str, name: str, kind: Kind = "key-light") -> None:
        """Make a light as it leaves the factory."""
        super().__init__(mac=mac, name=name)
        self.kind: Kind = kind
        self.serial = f"CN{self.mac[-10:].upper()}"
        self.tells_mac = True
        self.identified = 0
        self._model = MODELS[kind]
        self._state: dict[str, Any] = dict(self._model.factory)
        self._commands: tuple[dict[str, Any], ...] = ()

    @property
    def state(self) -> dict[str, Any]:
        """The light as it is served; replaced, never changed.

        ``on`` 0 or 1, ``brightness`` 0-100, and ``temperature`` in mireds or ``hue`` 0-360 and ``saturation`` 0-100.
        """
        return self._state

    @property
    def commands(self) -> tuple[dict[str, Any], ...]:
        """The members of the lights that were put since the start, in order."""
        return self._commands

    async def press(self) -> None:
        """Toggle it, as a person at its switch does."""
        await self.set(on=1 - self._state["on"])

    async def set(self, **state: float) -> None:
        """Change it by hand, in the words of the API: ``on=1``, ``brightness=40``, ``temperature=200``."""
        self._state = _changed(self._state, state)
        await self.told()

    def announced(self) -> Sequence[Announced]:
        """Return ``_elg._tcp`` with the MAC as ``id``, maker, model and version of the protocol."""
        txt = {"mf": "Elgato", "md": f"{self._model.product} {self._model.code}", "id": self._mac(), "pv": "1.0"}
        return (Announced(SERVICE, f"elgato-{self.kind}-{self.mac[-4:]}", txt),)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the API."""
        return [
            web.get("/elgato/accessory-info", self._get(self._info)),
            web.get("/elgato/lights", self._get(self._lights)),
            web.put("/elgato/lights", self._put),
            web.get("/elgato/lights/settings", self._get(self._settings)),
            web.post("/elgato/identify", self._identify),
        ]

    def _get(self, content: Callable[[], object]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(_request: web.Request) -> web.Response:
            return web.json_response(content(), dumps=compact)

        return answer

    async def _put(self, request: web.Request) -> web.Response:
        wanted = self._wanted(await request.text())
        if wanted is None:
            return web.json_response({"errors": [{"message": "invalid value"}]}, status=400, dumps=compact)
        self._commands = (*self._commands, wanted)
        await self.set(**wanted)
        return web.json_response(self._lights(), dumps=compact)

    def _wanted(self, text: str) -> dict[str, Any] | None:
        """Return the members of the one light, or None where they are not what they must be."""
        lights = (json_object(text) or {}).get("lights")
        if not isinstance(lights, list) or len(lights) != 1 or not isinstance(lights[0], dict):
            return None
        wanted: dict[str, Any] = lights[0]
        for member, value in wanted.items():
            least, most = self._model.bounds.get(member, (1, 0))
            if not isinstance(value, int | float) or not least <= value <= most:
                return None
        return wanted

    async def _identify(self, _request: web.Request) -> web.Response:
        self.identified += 1
        await self.told()
        return web.Response()

    def _mac(self) -> str:
        return ":".join(self.mac[at : at + 2] for at in range(0, 12, 2)).upper()

    def _info(self) -> dict[str, Any]:
        return {
            "productName": self._model.product,
            "hardwareBoardType": self._model.board,
            "hardwareRevision": "1",
            "firmwareBuildNumber": 233,
            "firmwareVersion": "1.0.4",
            "serialNumber": self.serial,
            "displayName": self.name,
            "features": ["lights"],
            "wifi-info": {"ssid": "home", "frequencyMHz": 2437, "rssi": -48},
        } | ({"macAddress": self._mac()} if self.tells_mac else {})

    def _lights(self) -> dict[str, Any]:
        return {"numberOfLights": 1, "lights": [self._state]}

    def _settings(self) -> dict[str, Any]:
        return {
            "powerOnBehavior": 1,
            "powerOnBrightness": 20,
            "switchOnDurationMs": 100,
            "switchOffDurationMs": 300,
            "colorChangeDurationMs": 100,
        } | dict(self._model.at_power_on)


def _changed(state: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state with what is wanted: a light is either white or has a colour, and tells only that."""
    changed = {**state, **wanted}
    if "temperature" in wanted:
        for member in ("hue", "saturation"):
            changed.pop(member, None)
    elif "hue" in wanted or "saturation" in wanted:
        changed.pop("temperature", None)
        changed = {"hue": 0.0, "saturation": 0.0} | changed
    return changed
