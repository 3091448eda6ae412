"""The MQTT driver against a kettle that its owner described, at a real Mosquitto."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from gladys_companion.config import Mqtt
from gladys_companion.drivers.mqtt import PLUGIN
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Device, Feature
from gladys_companion.ports import Driver
from gladys_companion.sim.conformance import DriverConformance, Rig, _delivery
from tests.kettle import DESCRIBED, Kettle, kettle
from tests.mosquitto import Broker, open_broker

pytestmark = pytest.mark.needs("mosquitto")


class KettleRig(Rig):
    name = "mqtt"
    plugin = PLUGIN

    def __init__(self, broker: Broker, one: Kettle) -> None:
        self.mqtt = Mqtt(port=broker.port, reconnect_most=0.5)
        self.config = {"answer_within": 0.7, "reconnect_most": 1.0, "devices": [DESCRIBED]}
        self.device = Device(id="mqtt:kettle", driver="mqtt", name="Kettle")
        self._kettle = one

    async def read(self, feature: Feature) -> float | str:
        one = self._kettle
        match feature.external_id.rpartition(":")[2]:
            case "on":
                return float(one.on == "ON")
            case "target":
                return one.target
            case _:
                return one.note

    def values(self, feature: Feature) -> Sequence[float | str]:
        return ("warm", "", "{value} \u00e9") if feature.textual else super().values(feature)

    async def touch(self) -> tuple[str, float]:
        self._kettle.on = "OFF" if self._kettle.on == "ON" else "ON"
        await self._kettle.tell()
        return "mqtt:kettle:on", float(self._kettle.on == "ON")

    async def hang(self) -> None:
        self._kettle.deaf = True

    async def recover(self) -> None:
        self._kettle.deaf = False

    async def babble(self) -> None:
        self._kettle.mad = True
        await self._kettle.tell()

    async def flood(self, number: int) -> tuple[str, float]:
        for change in range(number):
            self._kettle.target = 40.0 + change % 60
            await self._kettle.tell()
        return "mqtt:kettle:target", self._kettle.target


class TestMqtt(DriverConformance):
    @pytest.fixture
    async def rig(self, tmp_path: Path) -> AsyncIterator[Rig]:
        async with open_broker(tmp_path) as broker, kettle(broker) as one:
            yield KettleRig(broker, one)

    async def test_a_device_that_hangs_is_unavailable_until_it_recovers(self, rig: Rig, driver: Driver) -> None:
        """It can be described without it, but what it does not say to have done is not delivered."""
        (feature, *_) = await driver.describe(rig.device)
        await rig.hang()
        with pytest.raises(Unavailable, match=r"Kettle was told, and says 0.0 within 0.7 s\.|said nothing"):
            await driver.deliver(_delivery(rig, rig.device, feature, 1))
        await rig.recover()
        await driver.deliver(_delivery(rig, rig.device, feature, 1))
        assert await rig.read(feature) == 1

    async def test_nonsense_is_unavailable(self, rig: Rig, driver: Driver) -> None:
        """What it says can not be read: the command has not been seen to be done."""
        (feature, *_) = await driver.describe(rig.device)
        await rig.babble()
        with pytest.raises(Unavailable):
            await driver.deliver(_delivery(rig, rig.device, feature, 1))

    async def test_another_identity_is_refused(self, rig: Rig, driver: Driver) -> None:
        """Nothing at a broker has an identity; what is not described is refused."""
        other = Device(id="mqtt:teapot", driver="mqtt", name="Teapot")
        with pytest.raises(Rejected, match="describes no device"):
            await driver.describe(other)
        (feature, *_) = await driver.describe(rig.device)
        with pytest.raises(Rejected, match="describes no device"):
            await driver.deliver(_delivery(rig, other, feature, 1))
        assert await rig.read(feature) == 0
