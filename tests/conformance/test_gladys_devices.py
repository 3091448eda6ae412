"""The conformance suite on the devices that Gladys has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import pytest

from gladys_companion.config import Gladys
from gladys_companion.drivers.gladys_devices import PLUGIN
from gladys_companion.model import Device, Feature, RegistrySnapshot
from gladys_companion.sim.conformance import DriverConformance, Rig
from tests.gladys_server import KEY, GladysServer, feature, open_gladys

LAMP = Device(id="zigbee2mqtt:lamp", driver="gladys_devices", name="Lamp", address="127.0.0.1", port=80)
ON = "zigbee2mqtt:lamp:on"
BRIGHTNESS = "zigbee2mqtt:lamp:brightness"


class GladysRig(Rig):
    """A lamp that Gladys has; its owner sits at Gladys' dashboard."""

    name = "gladys_devices"
    plugin = PLUGIN
    config = MappingProxyType({"confirm_within": 0.5})

    def __init__(self, server: GladysServer, key: Path) -> None:
        self._server = server
        self.gladys = Gladys(url=server.url, api_key_file=str(key), sync_every=0.1, answer_within=0.5)
        self.device = LAMP
        features = {
            name: Feature(external_id=name, device=LAMP.id, name=name, category="light", type="binary", writable=True)
            for name in (ON, BRIGHTNESS)
        }
        self.registry = RegistrySnapshot(devices={LAMP.id: LAMP}, features=features)

    async def read(self, feature: Feature) -> float | str | None:
        try:
            value: float | None = self._server.feature(feature.external_id)["last_value"]
        except StopIteration:
            return None
        return value

    async def touch(self) -> tuple[str, float]:
        value = 1.0 - (self._server.feature(ON)["last_value"] or 0)
        self._server.save_state(ON, value)
        return ON, value

    async def hang(self) -> None:
        self._server.fault = "hang"

    async def recover(self) -> None:
        self._server.fault = None

    async def babble(self) -> None:
        self._server.fault = "garbage"

    async def dawdle(self) -> None:
        self._server.fault = "slow"


class TestGladysDevices(DriverConformance):
    """A device of Gladys does all that a driver must."""

    @pytest.fixture
    async def rig(self, tmp_path: Path) -> AsyncIterator[Rig]:
        key = tmp_path / "key"
        await asyncio.to_thread(key.write_text, f"{KEY}\n")
        async with open_gladys() as server:
            brightness = feature(BRIGHTNESS, "light", "brightness", max=100)
            server.add(LAMP.id, feature(ON, "light"), brightness, name="Lamp", selector=LAMP.id)
            yield GladysRig(server, key)
            with suppress(KeyError):
                server.remove(LAMP.id)
