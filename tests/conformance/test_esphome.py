"""The ESPHome driver against real firmware, plain and encrypted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import MappingProxyType

import pytest

from gladys_companion.drivers.esphome import PLUGIN
from gladys_companion.model import Device, Feature, Service
from gladys_companion.sim.conformance import DriverConformance, MemorySecrets, Rig
from tests.esphome import KEY, Firmware, open_babbler, open_dawdler, open_firmware

pytestmark = pytest.mark.timeout(600)  # the first one builds the firmware


class EsphomeRig(Rig):
    name = "esphome"
    plugin = PLUGIN
    config = MappingProxyType({"answer_within": 0.7, "ping_every": 0.3, "reconnect_most": 1.0})

    def __init__(self, firmware: Firmware, faults: AsyncExitStack) -> None:
        self._firmware = firmware
        self._faults = faults
        self._pump = 0
        self.device = self._where()
        self.service = Service(
            type="_esphomelib._tcp.local.",
            name="greenhouse._esphomelib._tcp.local.",
            host="greenhouse.local.",
            addresses=("127.0.0.1",),
            port=firmware.port,
            txt={"friendly_name": "Greenhouse", "mac": firmware.mac, "version": "2026.6.5", "platform": "HOST"},
        )

    def _where(self) -> Device:
        mac, port = self._firmware.mac, self._firmware.port
        return Device(id=f"esphome:{mac}", driver="esphome", name="greenhouse", address="127.0.0.1", port=port)

    async def read(self, feature: Feature) -> float | str | None:
        component = feature.external_id.removeprefix(f"{self.device.id}:")
        match component.split(":"):
            case ["light", "lamp", aspect]:
                return await self._lamp(aspect)
            case ["light", "desk", aspect]:
                return await self._desk(aspect)
            case ["cover", "blind", aspect]:
                said = await self._firmware.said("blind")
                percent = round(100 * float(said[-1])) if said else 100
                return percent if aspect == "position" else {0: -1, 100: 1}.get(percent, 0)
            case ["button", _]:
                return len(await self._firmware.said("water-now")) and 1
        said = await self._firmware.said(TRUTHS[component])
        return float(said[-1]) if said else None

    async def _lamp(self, aspect: str) -> float:
        on, brightness, colored, red, green, blue, temperature = (await self._firmware.said("lamp"))[-1].split()
        match aspect:
            case "on":
                return int(on)
            case "brightness":
                return round(100 * float(brightness)) if on == "1" else 0
            case "color":
                assert colored == "1"
                return round(float(red)) << 16 | round(float(green)) << 8 | round(float(blue))
        assert colored == "0"
        return round(float(temperature))

    async def _desk(self, aspect: str) -> float:
        on, brightness, cold, warm = (await self._firmware.said("desk"))[-1].split()
        match aspect:
            case "on":
                return int(on)
            case "brightness":
                return round(100 * float(brightness)) if on == "1" else 0
        return {("1.0000", "0.0000"): 153, ("0.0000", "1.0000"): 500}[cold, warm]

    async def touch(self) -> tuple[str, float]:
        self._pump = 1 - self._pump
        await self._firmware.act("turn_pump", turned_on=bool(self._pump))
        return f"{self.device.id}:switch:pump", self._pump

    async def flood(self, number: int) -> tuple[str, float]:
        await self._firmware.act("flood", times=number)
        return f"{self.device.id}:sensor:temperature", number

    async def move(self) -> Device:
        await self._firmware.move()
        return self._where()

    async def hang(self) -> None:
        self._firmware.freeze()

    async def recover(self) -> None:
        self._firmware.thaw()

    async def babble(self) -> None:
        await self._firmware.stop()
        says = b"\x01\x00\x02\x07\x07" if self._firmware.key else b"\x00\xff\xff\x03" * 40
        await self._faults.enter_async_context(open_babbler(self._firmware.port, says))

    async def dawdle(self) -> None:
        port = self._firmware.port
        await self._firmware.move()
        await self._faults.enter_async_context(open_dawdler(port, self._firmware.port, 0.05))


TRUTHS = {
    "switch:pump": "pump",
    "switch:pump-b89264ad": "annex-pump",
    "binary_sensor:door": "door",
    "light:bulb:on": "bulb",
    "lock:front_door": "front-door",
    "number:target": "target",
}


class TestPlain(DriverConformance):
    @pytest.fixture
    async def rig(self, esphome_firmware: Path, tmp_path: Path) -> AsyncIterator[Rig]:
        async with open_firmware(esphome_firmware, tmp_path) as firmware, AsyncExitStack() as faults:
            yield EsphomeRig(firmware, faults)


class TestEncrypted(DriverConformance):
    @pytest.fixture
    async def rig(self, esphome_firmware: Path, tmp_path: Path) -> AsyncIterator[Rig]:
        async with open_firmware(esphome_firmware, tmp_path) as firmware, AsyncExitStack() as faults:
            await firmware.encrypt()
            rig = EsphomeRig(firmware, faults)
            rig.secrets = MemorySecrets()
            await rig.secrets.set(firmware.mac, KEY.encode())
            yield rig
