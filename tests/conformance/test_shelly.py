"""The Shelly driver against simulated Shellies of both generations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import MappingProxyType

import pytest

from gladys_companion.drivers.shelly import PLUGIN
from gladys_companion.model import Device, Feature, Service
from gladys_companion.sim import shelly_gen1, shelly_gen2
from gladys_companion.sim.conformance import DriverConformance, Rig
from gladys_companion.sim.shelly_gen1 import open_shelly_gen1
from gladys_companion.sim.shelly_gen2 import open_shelly_gen2

MOVES = {"open": 1, "closed": -1, "stopped": 0}


class ShellyRig(Rig):
    name = "shelly"
    plugin = PLUGIN
    config = MappingProxyType(
        {"answer_within": 0.7, "poll_least": 0.1, "poll_most": 0.3, "check_every": 1.0, "reconnect_most": 0.6}
    )

    def __init__(self, shelly: shelly_gen1.Shelly | shelly_gen2.Shelly) -> None:
        self._any = shelly
        announced = shelly.announced()[-1]
        self.service = Service(
            type=announced.type,
            name=f"{announced.label}.{announced.type}",
            host=f"{announced.label}.local.",
            addresses=(shelly.address,),
            port=shelly.port,
            txt=announced.txt,
        )
        self.device = self._where()

    def _where(self) -> Device:
        shelly = self._any
        return Device(
            id=f"shelly:{shelly.mac}", driver="shelly", name="kitchen", address=shelly.address, port=shelly.port
        )

    async def move(self) -> Device:
        await self._any.move()
        return self._where()

    async def hang(self) -> None:
        self._any.freeze()

    async def recover(self) -> None:
        self._any.thaw()

    async def dawdle(self) -> None:
        self._any.dawdle()

    async def babble(self) -> None:
        self._any.refuse(200, '{"mac": [{}], "gen": "many"}')


class Gen1Rig(ShellyRig):
    def __init__(self, shelly: shelly_gen1.Shelly) -> None:
        super().__init__(shelly)
        self._shelly = shelly

    async def read(self, feature: Feature) -> float:
        assert feature.external_id.endswith(":switch:0")
        return int(self._shelly.state["ison"])

    async def touch(self) -> tuple[str, float]:
        await self._shelly.press()
        return f"{self.device.id}:switch:0", int(self._shelly.state["ison"])


class Gen2Rig(ShellyRig):
    def __init__(self, shelly: shelly_gen2.Shelly) -> None:
        super().__init__(shelly)
        self._shelly = shelly

    async def read(self, feature: Feature) -> float:
        status = self._shelly.status[self._shelly.part]
        match feature.external_id.removeprefix(f"{self.device.id}:{self._shelly.part}"):
            case "" if "state" in status:
                return MOVES[status["state"]]
            case "":
                return int(status["output"])
            case ":brightness":
                return int(status["brightness"]) if status["output"] else 0
            case ":color":
                red, green, blue = status["rgb"]
                return int(red << 16 | green << 8 | blue)
            case _:
                return int(status["current_pos"])

    async def touch(self) -> tuple[str, float]:
        await self._shelly.until(lambda one: one.listeners > 0)
        await self._shelly.press()
        feature = Feature(
            external_id=f"{self.device.id}:{self._shelly.part}", device=self.device.id, name="", category="", type=""
        )
        return feature.external_id, await self.read(feature)

    async def flood(self, number: int) -> tuple[str, float]:
        for change in range(number):
            await self._shelly.set("input:0", state=change % 2 == 0)
        return await self.touch()


class TestGen1(DriverConformance):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[Rig]:
        async with open_shelly_gen1() as shelly:
            yield Gen1Rig(shelly)


class TestGen2Switch(DriverConformance):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[Rig]:
        async with open_shelly_gen2() as shelly:
            yield Gen2Rig(shelly)


class TestGen2Light(DriverConformance):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[Rig]:
        async with open_shelly_gen2(kind="light") as shelly:
            yield Gen2Rig(shelly)


class TestGen2Color(DriverConformance):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[Rig]:
        async with open_shelly_gen2(kind="color") as shelly:
            yield Gen2Rig(shelly)


class TestGen2Cover(DriverConformance):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[Rig]:
        async with open_shelly_gen2(kind="cover") as shelly:
            yield Gen2Rig(shelly)
