"""The Hue driver against a simulated bridge: the bridge as all its lamps, a lamp with colours, and a plug."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from types import MappingProxyType
from typing import Any

import pytest
from aiohttp import ClientSession
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.clock import SYSTEM
from gladys_companion.drivers.hue import PLUGIN, Config, HueDriver
from gladys_companion.model import Device, Feature, RegistrySnapshot, Service
from gladys_companion.ports import Kit
from gladys_companion.sim.conformance import DriverConformance, MemorySecrets, Rig
from gladys_companion.sim.hue import HueBridge, open_hue

WHITE = 0xFFFFFF
D65 = (0.3127, 0.329)


class HueRig(Rig):
    name = "hue"
    plugin = PLUGIN
    config = MappingProxyType({"answer_within": 0.8, "check_every": 1.0, "reconnect_most": 0.6})

    def __init__(self, bridge: HueBridge, secrets: MemorySecrets, device: str | None) -> None:
        self.secrets = secrets
        self._bridge = bridge
        self._lamp = device
        self.device = self._where()
        if device is None:
            (one,) = bridge.announced()
            self.service = Service(
                type=one.type,
                name=f"{one.label}.{one.type}",
                host=f"{one.label}.local.",
                addresses=(bridge.address,),
                port=bridge.port,
                txt=one.txt,
            )

    def _where(self) -> Device:
        bridge = self._bridge
        own = ""
        if self._lamp is not None:
            own = "-" + bridge.find(self._lamp, "zigbee_connectivity")["mac_address"].replace(":", "")
        name = self._lamp or "Hue Bridge"
        return Device(id=f"hue:{bridge.mac}{own}", driver="hue", name=name, address=bridge.address, port=bridge.port)

    def _home(self) -> dict[str, Any]:
        """The group of all lamps."""
        home = next(one for one in self._bridge.resources.values() if one["type"] == "bridge_home")
        return self._bridge.resources[home["services"][0]["rid"]]

    async def read(self, feature: Feature) -> float | None:
        component = feature.external_id.removeprefix(f"{self.device.id}:")
        light = self._bridge.find(self._lamp, "light") if self._lamp is not None else self._home()
        if component == "on" or not light["on"]["on"]:
            return int(light["on"]["on"])
        match component:
            case "brightness":
                return round(float(light["dimming"]["brightness"]))
            case "temperature":
                return int(light["color_temperature"]["mirek"])
        color = light["color"]["xy"]
        return WHITE if math.dist(D65, (color["x"], color["y"])) < 0.001 else None

    async def touch(self) -> tuple[str, float]:
        await self._bridge.until(lambda bridge: bridge.listeners > 0)
        names = ("Sofa", "Reading", "Coffee") if self._lamp is None else (self._lamp,)
        on = not self._bridge.find(names[0], "light")["on"]["on"]
        for name in names:
            await self._bridge.change(self._bridge.find(name, "light")["id"], on={"on": on})
        if self._lamp is not None:
            return f"{self.device.id}:on", int(on)
        return f"{self.device.id}:on", int(self._home()["on"]["on"])

    async def move(self) -> Device:
        await self._bridge.move()
        return self._where()

    async def hang(self) -> None:
        self._bridge.freeze()

    async def recover(self) -> None:
        self._bridge.thaw()

    async def babble(self) -> None:
        self._bridge.refuse(200, '{"errors": [], "data": [{}]}')

    async def dawdle(self) -> None:
        self._bridge.dawdle()

    async def flood(self, number: int) -> tuple[str, float]:
        external_id, last = await self.touch()
        for _ in range(number // 2):  # there and back, so that the last is as it was
            await self.touch()
            external_id, last = await self.touch()
        return external_id, last


async def paired(bridge: HueBridge) -> MemorySecrets:
    """What the driver keeps of a bridge whose button was pressed."""
    secrets = MemorySecrets()
    async with AsyncZeroconf(interfaces=["127.0.0.1"]) as zeroconf, ClientSession() as http:
        kit = Kit(clock=SYSTEM, zeroconf=zeroconf, http=http, secrets=secrets, registry=RegistrySnapshot)
        async with PLUGIN.open(Config(), kit) as driver:
            assert isinstance(driver, HueDriver)
            bridge.press_link_button()
            device = Device(
                id=f"hue:{bridge.mac}", driver="hue", name="Hue Bridge", address=bridge.address, port=bridge.port
            )
            await driver.pair(device, None)
    return secrets


class TestHue(DriverConformance):
    @pytest.fixture(params=[None, "Sofa", "Coffee"])
    async def rig(self, request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
        async with open_hue() as bridge:
            yield HueRig(bridge, await paired(bridge), request.param)
