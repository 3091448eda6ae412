"""A kettle at an MQTT broker that speaks nobody's protocol, and its description in the configuration."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiomqtt import Client

from tests.mosquitto import Broker

__all__ = ["DESCRIBED", "Kettle", "kettle"]

DESCRIBED: dict[str, Any] = {
    "id": "kettle",
    "name": "Kettle",
    "availability_topic": "kettle/there",
    "features": [
        {
            "component": "on",
            "category": "switch",
            "type": "binary",
            "min": 0,
            "max": 1,
            "state_topic": "kettle/state",
            "json_path": "on",
            "command_topic": "kettle/set",
            "payload": '{"on": {json}}',
            "values": {"ON": 1, "OFF": 0},
        },
        {
            "component": "target",
            "min": 40,
            "max": 100,
            "state_topic": "kettle/state",
            "json_path": "water.target",
            "command_topic": "kettle/target",
        },
        {
            "component": "note",
            "type": "text",
            "state_topic": "kettle/note",
            "command_topic": "kettle/say",
            "payload": "{text}",
        },
        {"component": "button", "category": "button", "type": "click", "state_topic": "kettle/button"},
        {"component": "beep", "category": "button", "type": "push", "command_topic": "kettle/beep"},
    ],
}


class Kettle:
    """What it is, and what it was told; ``deaf`` takes commands and does nothing, ``mad`` answers nonsense."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.on, self.target, self.note, self.beeps = "OFF", 80.0, "", 0
        self.deaf = self.mad = False
        self.told: list[tuple[str, bytes]] = []
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Obey, until cancelled."""
        for topic in ("set", "target", "say", "beep"):
            await self._client.subscribe(f"kettle/{topic}", qos=1)
        await self.there("online")
        await self.tell()
        self.ready.set()
        async for message in self._client.messages:
            payload = message.payload
            self.told.append((message.topic.value, payload))
            if not self.deaf:
                await self._obey(message.topic.value, payload.decode())

    async def _obey(self, topic: str, payload: str) -> None:
        match topic:
            case "kettle/set":
                self.on = json.loads(payload)["on"]
            case "kettle/target":
                self.target = float(payload)
            case "kettle/say":
                self.note = payload
            case _:
                self.beeps += 1
        await self.tell()

    async def tell(self) -> None:
        """Say what it is, retained as such devices do."""
        state = "[nonsense" if self.mad else json.dumps({"on": self.on, "water": {"target": self.target}})
        await self._client.publish("kettle/state", state, qos=1, retain=True)
        await self._client.publish("kettle/note", self.note, qos=1, retain=True)

    async def there(self, word: str) -> None:
        """Say ``online`` or ``offline``."""
        await self._client.publish("kettle/there", word, qos=1, retain=True)

    async def press(self) -> None:
        """Have its button pressed once."""
        await self._client.publish("kettle/button", "1", qos=1)


@asynccontextmanager
async def kettle(broker: Broker) -> AsyncIterator[Kettle]:
    """Run one at a broker."""
    async with broker.client("kettle") as client, asyncio.TaskGroup() as group:
        one = Kettle(client)
        running = group.create_task(one.run())
        async with asyncio.timeout(20):
            await one.ready.wait()
        yield one
        while not running.done():  # aiomqtt loses a cancellation that comes as a publication is acknowledged
            running.cancel()
            await asyncio.wait([running], timeout=0.1)
