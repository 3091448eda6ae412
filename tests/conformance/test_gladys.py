"""The Gladys sink against a real Mosquitto."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gladys_companion.config import Mqtt
from gladys_companion.model import Feature
from gladys_companion.sim.sink_conformance import TEXT, SinkConformance, SinkRig
from gladys_companion.sinks.gladys import PLUGIN
from tests.mosquitto import Broker, Listener, open_broker, open_listener

pytestmark = pytest.mark.needs("mosquitto")


class GladysRig(SinkRig):
    name = "gladys"
    plugin = PLUGIN

    def __init__(self, broker: Broker, listener: Listener) -> None:
        self.mqtt = Mqtt(port=broker.port, reconnect_most=0.5)
        self._broker = broker
        self._listener = listener

    async def told(self, feature: Feature, value: float | str) -> None:
        await self._listener.last(f"{value}".encode() if feature is TEXT else f"{value:g}".encode())

    async def leave(self) -> None:
        await self._broker.stop()

    async def come_back(self) -> None:
        await self._broker.start()

    async def command(self, feature: Feature, value: float) -> None:
        async with self._broker.client("gladys") as gladys:
            topic = f"gladys/device/{feature.device}/feature/{feature.external_id}/state"
            await gladys.publish(topic, f"{value:g}", qos=1)


class TestGladys(SinkConformance):
    @pytest.fixture
    async def rig(self, tmp_path: Path) -> AsyncIterator[SinkRig]:
        async with open_broker(tmp_path) as broker, open_listener(broker, "gladys/master/#") as listener:
            yield GladysRig(broker, listener)
