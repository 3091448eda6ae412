"""The Tasmota driver against the simulated device, at a real Mosquitto."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import MappingProxyType

import msgspec
import pytest

from gladys_companion.config import Mqtt
from gladys_companion.drivers.tasmota import PLUGIN
from gladys_companion.errors import Unavailable
from gladys_companion.model import Device, Feature
from gladys_companion.ports import Driver
from gladys_companion.sim.conformance import DriverConformance, Rig, _delivery
from gladys_companion.sim.tasmota import Shape, Tasmota, open_tasmota
from tests.mosquitto import Broker, open_broker

pytestmark = pytest.mark.needs("mosquitto")

SHAPE = Shape(relays=1, shutters=1, light=5, switches=1, sensors={"AM2301": {"Temperature": 20.5, "Humidity": 40.0}})


class TasmotaRig(Rig):
    name = "tasmota"
    plugin = PLUGIN
    config = MappingProxyType({"answer_within": 0.7, "reconnect_most": 1.0})

    def __init__(self, broker: Broker, tasmota: Tasmota) -> None:
        self.mqtt = Mqtt(port=broker.port, reconnect_most=0.5)
        self._tasmota = tasmota
        self.device = self._where()

    def _where(self) -> Device:
        mac, address = self._tasmota.mac, self._tasmota.ip
        return Device(id=f"tasmota:{mac}", driver="tasmota", name="salon", address=address, port=80)

    async def read(self, feature: Feature) -> float:
        state = self._tasmota.state
        part, _, index = feature.external_id.removeprefix(f"{self.device.id}:").rpartition(":")
        light, shutter = state.light, state.shutters[0]
        if part == "power":
            return int(state.powers[int(index) - 1])
        if part.startswith("shutter"):
            if shutter.position != shutter.target:
                await self._tasmota.arrive()
                shutter = self._tasmota.state.shutters[0]
            ends = {100: 1, 0: -1}
            return shutter.position if part == "shutter-position" else ends.get(shutter.position, 0)
        white = light.saturation == 0
        color = 0 if not state.powers[-1] else 0xFFFFFF if white else -1
        return {"dimmer": light.dimmer if state.powers[-1] else 0, "ct": light.ct, "color": color}[part]

    async def touch(self) -> tuple[str, float]:
        await self._tasmota.until(lambda one: ("STATUS", "10") in one.commands)
        await self._tasmota.press(1)
        return f"{self.device.id}:power:1", int(self._tasmota.state.powers[0])

    async def move(self) -> Device:
        self._tasmota.ip = "192.0.2.11"
        await self._tasmota.announce()
        return self._where()

    async def hang(self) -> None:
        self._tasmota.freeze()

    async def recover(self) -> None:
        self._tasmota.thaw()

    async def babble(self) -> None:
        self._tasmota.babble(b'{"POWER1": [], "Dimmer": "\\u0000", "StatusNET": {"Mac": {}}}')

    async def flood(self, number: int) -> tuple[str, float]:
        for _ in range(number):
            await self._tasmota.press(1)
        return f"{self.device.id}:power:1", int(self._tasmota.state.powers[0])


class TestTasmota(DriverConformance):
    @pytest.fixture
    async def rig(self, tmp_path: Path) -> AsyncIterator[Rig]:
        async with (
            open_broker(tmp_path) as broker,
            open_tasmota(broker=("127.0.0.1", broker.port), name="salon", shape=SHAPE) as tasmota,
        ):
            await tasmota.until(lambda one: one.connected)
            yield TasmotaRig(broker, tasmota)

    async def test_a_device_that_left_is_unavailable(self, rig: Rig, driver: Driver) -> None:
        """Its address does not matter, the broker leads to it; one without power is unavailable until it is back."""
        assert isinstance(rig, TasmotaRig)
        (feature, *_) = await driver.describe(rig.device)
        await driver.deliver(_delivery(rig, msgspec.structs.replace(rig.device, address=None), feature, 1))
        await rig._tasmota.vanish()
        with pytest.raises(Unavailable, match=r"salon .+\.$"):
            await driver.deliver(_delivery(rig, rig.device, feature, 0))
        rig._tasmota.return_()
        await rig._tasmota.until(lambda one: one.connected)
        await driver.deliver(_delivery(rig, rig.device, feature, 0))
        assert await rig.read(feature) == 0
