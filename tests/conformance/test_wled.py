"""The WLED driver against the simulated lamp."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from types import MappingProxyType

import pytest

from gladys_companion.drivers.wled import PLUGIN
from gladys_companion.model import Device, Feature, Service
from gladys_companion.sim.conformance import DriverConformance, Rig
from gladys_companion.sim.wled import Lamp, open_wled


class WledRig(Rig):
    name = "wled"
    plugin = PLUGIN
    config = MappingProxyType({"answer_within": 0.7, "reconnect_most": 1.0})

    def __init__(self, lamp: Lamp) -> None:
        self._lamp = lamp
        self.service = Service(
            type="_wled._tcp.local.",
            name=f"wled-{lamp.mac[-6:]}._wled._tcp.local.",
            host=f"wled-{lamp.mac[-6:]}.local.",
            addresses=(lamp.address,),
            port=lamp.port,
            txt={"mac": lamp.mac},
        )
        self.device = self._where()

    def _where(self) -> Device:
        lamp = self._lamp
        return Device(id=f"wled:{lamp.mac}", driver="wled", name="lamp", address=lamp.address, port=lamp.port)

    async def read(self, feature: Feature) -> float:
        state = self._lamp.state
        match feature.external_id.rpartition(":")[2]:
            case "on":
                return int(state["on"])
            case "brightness":
                return int(state["bri"]) if state["on"] else 0
            case "effect":
                return int(state["seg"][0]["fx"])
            case "preset":
                return max(0, int(state["ps"]))
            case _:
                red, green, blue = state["seg"][0]["col"][0]
                return int(red << 16 | green << 8 | blue)

    def values(self, feature: Feature) -> Sequence[float | str]:
        return (2, 1, 2, 2) if feature.external_id.endswith(":preset") else super().values(feature)

    async def touch(self) -> tuple[str, float]:
        await self._lamp.until(lambda lamp: lamp.listeners > 0)
        await self._lamp.press()
        return f"{self.device.id}:on", int(self._lamp.state["on"])

    async def move(self) -> Device:
        await self._lamp.move()
        return self._where()

    async def hang(self) -> None:
        self._lamp.freeze()

    async def recover(self) -> None:
        self._lamp.thaw()

    async def flood(self, number: int) -> tuple[str, float]:
        await self._lamp.set(on=True)
        for change in range(number):
            await self._lamp.set(bri=1 + change % 200)
        return f"{self.device.id}:brightness", int(self._lamp.state["bri"])

    async def dawdle(self) -> None:
        self._lamp.dawdle()

    async def babble(self) -> None:
        self._lamp.refuse(200, '{"state": [{}], "info": 3}')


class TestWled(DriverConformance):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[Rig]:
        async with open_wled() as lamp:
            yield WledRig(lamp)
