"""The virtual driver: devices that are what was written."""

from __future__ import annotations

import pytest

from gladys_companion.drivers.virtual import PLUGIN
from gladys_companion.model import Device, Feature, RegistrySnapshot
from gladys_companion.sim.conformance import DriverConformance, Rig


class VirtualRig(Rig):
    name = "virtual"
    plugin = PLUGIN
    device = Device(id="virtual:phone", driver="virtual", name="Phone")
    registry = RegistrySnapshot(
        devices={device.id: device},
        features={
            external_id: Feature(
                external_id=external_id,
                device="virtual:phone",
                name="Battery",
                category="battery",
                type="integer",
                writable=writable,
            )
            for external_id, writable in (("virtual:phone:battery", False), ("virtual:phone:tag", True))
        },
    )

    async def read(self, feature: Feature) -> None:
        """The journal holds the value, and the driver never does."""


class TestVirtual(DriverConformance):
    @pytest.fixture
    def rig(self) -> Rig:
        return VirtualRig()
