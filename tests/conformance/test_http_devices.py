"""The HTTP driver against a heater that its owner described."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from gladys_companion.drivers.http import PLUGIN
from gladys_companion.model import Device, Feature
from gladys_companion.sim.conformance import DriverConformance, Rig
from tests.heater import Heater, described, heater


class HeaterRig(Rig):
    name = "http"
    plugin = PLUGIN

    def __init__(self, one: Heater) -> None:
        self._heater = one
        self.config = {
            "answer_within": 0.7,
            "poll_least": 0.1,
            "poll_most": 0.1,
            "reconnect_most": 1.0,
            "devices": [described(one.port)],
        }
        self.device = Device(id="http:heater", driver="http", name="Heater", address="127.0.0.1", port=one.port)

    async def read(self, feature: Feature) -> float | str:
        found = getattr(self._heater, feature.external_id.rpartition(":")[2])
        return found if isinstance(found, str) else float(found)

    def values(self, feature: Feature) -> Sequence[float | str]:
        return ("a & b", "", "a & b") if feature.textual else super().values(feature)

    async def touch(self) -> tuple[str, float]:
        await self._heater.count(len(self._heater.asked) + 4)  # whatever was asked before is answered
        self._heater.on = 1 - self._heater.on
        return "http:heater:on", self._heater.on

    async def hang(self) -> None:
        self._heater.hung.clear()

    async def recover(self) -> None:
        self._heater.hung.set()

    async def babble(self) -> None:
        self._heater.refusal = (200, "\x00 garbage")

    async def dawdle(self) -> None:
        self._heater.byte_after = 0.1


class TestHttp(DriverConformance):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[Rig]:
        async with heater() as one:
            yield HeaterRig(one)
