"""The Elgato driver against simulated lights, white and coloured."""

from __future__ import annotations

import colorsys
from collections.abc import AsyncIterator
from types import MappingProxyType

import pytest

from gladys_companion.drivers.elgato import PLUGIN
from gladys_companion.model import Device, Feature, Service
from gladys_companion.sim.conformance import DriverConformance, Rig
from gladys_companion.sim.elgato import ElgatoLight, open_elgato


class ElgatoRig(Rig):
    name = "elgato"
    plugin = PLUGIN
    config = MappingProxyType({"answer_within": 0.7, "poll_least": 0.1, "poll_most": 0.1, "reconnect_most": 1.0})

    def __init__(self, light: ElgatoLight) -> None:
        self._light = light
        (one,) = light.announced()
        self.service = Service(
            type=one.type,
            name=f"{one.label}.{one.type}",
            host=f"{one.label}.local.",
            addresses=(light.address,),
            port=light.port,
            txt=one.txt,
        )
        self.device = self._where()

    def _where(self) -> Device:
        light = self._light
        return Device(id=f"elgato:{light.mac}", driver="elgato", name="desk", address=light.address, port=light.port)

    async def read(self, feature: Feature) -> float:
        state = self._light.state
        component = feature.external_id.rpartition(":")[2]
        if component == "on" or not state["on"]:
            return int(state["on"])
        if component == "color":
            shines = colorsys.hsv_to_rgb(state["hue"] / 360, state["saturation"] / 100, 1)
            return int.from_bytes(bytes(round(255 * channel) for channel in shines), "big")
        return int(state[component])

    async def touch(self) -> tuple[str, float]:
        await self._light.press()
        return f"{self.device.id}:on", int(self._light.state["on"])

    async def move(self) -> Device:
        await self._light.move()
        return self._where()

    async def hang(self) -> None:
        self._light.freeze()

    async def recover(self) -> None:
        self._light.thaw()

    async def babble(self) -> None:
        self._light.refuse(200, '{"lights": [{}], "macAddress": 3}')

    async def dawdle(self) -> None:
        self._light.dawdle()


class TestElgato(DriverConformance):
    @pytest.fixture(params=["key-light", "light-strip"])
    async def rig(self, request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
        async with open_elgato(kind=request.param) as light:
            yield ElgatoRig(light)
