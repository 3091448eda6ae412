"""The HomeKit driver against two accessories that are not of our making: HAP-python and hap-nodejs."""

from __future__ import annotations

import colorsys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from aiohttp import ClientSession
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.clock import SYSTEM
from gladys_companion.drivers.homekit import PLUGIN, Config, HomekitDriver
from gladys_companion.model import Device, Feature, RegistrySnapshot
from gladys_companion.ports import Kit
from gladys_companion.sim.conformance import DriverConformance, MemorySecrets, Rig
from tests.hap import PIN, Hap, device_of, service_of
from tests.hap_accessories import open_hap_python
from tests.hap_nodejs import open_hap_nodejs


class HomekitRig(Rig):
    name = "homekit"
    plugin = PLUGIN
    config = MappingProxyType({"answer_within": 0.8, "moves_within": 3.0, "reconnect_most": 0.6})

    def __init__(self, hap: Hap, secrets: MemorySecrets) -> None:
        self.secrets = secrets
        self._hap = hap
        self.device = device_of(hap)

    async def read(self, feature: Feature) -> float | None:
        aid, iid = feature.external_id.rpartition(":")[2].split(".")[:2]
        return MEANS[feature.category, feature.type](await self._hap.truth(int(aid), int(iid)))

    async def touch(self) -> tuple[str, float]:
        aid, iid = await self._hap.id_of("Lightbulb", "On")
        on = not (await self._hap.truth(aid, iid))["On"]
        await self._hap.set("Lightbulb", "On", on)
        return f"{self.device.id}:{aid}.{iid}", int(on)

    async def move(self) -> Device:
        await self._hap.gate.move()
        return device_of(self._hap)

    async def hang(self) -> None:
        self._hap.gate.mode = "silent"

    async def recover(self) -> None:
        self._hap.gate.open()

    async def babble(self) -> None:
        self._hap.gate.mode = "babbling"

    async def dawdle(self) -> None:
        self._hap.gate.mode = "dawdling"

    async def flood(self, number: int) -> tuple[str, float]:
        await self._hap.set("Lightbulb", "On", value=True)
        aid, iid = await self._hap.id_of("Lightbulb", "Brightness")
        return f"{self.device.id}:{aid}.{iid}", await self._hap.flood(number)


def color(truth: dict[str, Any]) -> int:
    hsv = truth["Hue"] / 360, truth["Saturation"] / 100, 1.0 if truth["On"] else 0.0
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(*hsv))
    return red << 16 | green << 8 | blue


# What a service that is so means to Gladys, by the words of both protocols alone.
MEANS: dict[tuple[str, str], Callable[[dict[str, Any]], float]] = {
    ("light", "binary"): lambda truth: int(truth["On"]),
    ("light", "brightness"): lambda truth: truth["Brightness"] if truth["On"] else 0,
    ("light", "color"): color,
    ("light", "temperature"): lambda truth: truth["ColorTemperature"],
    ("switch", "binary"): lambda truth: int(truth["On"]),
    ("lock", "binary"): lambda truth: int(truth["LockCurrentState"] == 1),
    ("garage-door", "state"): lambda truth: {0: 1, 1: -1}[truth["CurrentDoorState"]],
    ("shutter", "position"): lambda truth: truth["CurrentPosition"],
    ("shutter", "state"): lambda truth: {100: 1, 0: -1}.get(truth["CurrentPosition"], 0),
    ("thermostat", "mode"): lambda truth: truth["TargetHeatingCoolingState"],
    ("thermostat", "target-temperature"): lambda truth: truth["TargetTemperature"],
}


async def paired(hap: Hap) -> HomekitRig:
    """Return the rig of an accessory that the driver itself has paired with."""
    secrets = MemorySecrets()
    async with AsyncZeroconf(interfaces=["127.0.0.1"]) as zeroconf, ClientSession() as http:
        kit = Kit(clock=SYSTEM, zeroconf=zeroconf, http=http, secrets=secrets, registry=RegistrySnapshot)
        async with PLUGIN.open(Config(), kit) as driver:
            assert isinstance(driver, HomekitDriver)
            await driver.pair(device_of(hap), PIN)
    rig = HomekitRig(hap, secrets)
    rig.service = await service_of(hap)
    return rig


class TestHapPython(DriverConformance):
    @pytest.fixture
    async def rig(self, tmp_path: Path) -> AsyncIterator[Rig]:
        async with open_hap_python(tmp_path) as hap:
            yield await paired(hap)


@pytest.mark.needs("node", "npm")
class TestHapNodejs(DriverConformance):
    @pytest.fixture
    async def rig(self, tmp_path: Path, npm_modules: Path) -> AsyncIterator[Rig]:
        async with open_hap_nodejs(npm_modules, tmp_path) as hap:
            yield await paired(hap)
