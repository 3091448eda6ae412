"""The MQTT service of a Gladys, on a real broker: what it takes from topics, what it discovers, how it commands.

As ``server/services/mqtt/lib`` of Gladys Assistant 4 does it, its Home Assistant discovery included; the database is
that of ``tests/gladys_server.py``.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiomqtt import Client, Message

from tests.gladys_server import MQTT, GladysServer
from tests.mosquitto import Broker

__all__ = ["GladysMqtt", "open_gladys_mqtt"]

Members = dict[str, Any]

PARAM = "ha_discovery_config:"
SENSORS = {
    "temperature": ("temperature-sensor", "decimal"),
    "humidity": ("humidity-sensor", "decimal"),
    "illuminance": ("light-sensor", "decimal"),
    "battery": ("battery", "integer"),
    "power": ("energy-sensor", "power"),
    "energy": ("energy-sensor", "index"),
}
BINARY_SENSORS = {
    "motion": "motion-sensor",
    "opening": "opening-sensor",
    "presence": "presence-sensor",
    "smoke": "smoke-sensor",
    "moisture": "leak-sensor",
}
UNITS = {"°C": "celsius", "%": "percent", "W": "watt", "kWh": "kilowatt-hour", "lx": "lux"}


class GladysMqtt:
    """``told`` are the states that came, by external id and in order; ``unknown`` ids that Gladys only logs."""

    def __init__(self, server: GladysServer, client: Client) -> None:
        self._server = server
        self._client = client
        self.told: list[tuple[str, Any]] = []
        self.unknown: list[str] = []
        self.discovered: dict[str, Members] = {}  # by topic: identifier, info and entities
        self._bindings: dict[str, list[tuple[str, str, str, Members]]] = {}
        self.changed = asyncio.Condition()
        server.on_value = self._set_value

    async def run(self) -> None:
        """Listen until cancelled."""
        for topic in ("gladys/master/#", "homeassistant/#"):
            await self._client.subscribe(topic, qos=0)
        async for message in self._client.messages:
            async with self.changed:
                self._hear(message)
                self.changed.notify_all()

    async def until_told(self, external_id: str, value: Any) -> None:  # noqa: ANN401 - JSON
        """Return when Gladys has this value of a feature."""
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(lambda: (external_id, value) in self.told)

    async def until_discovered(self, number: int = 1) -> list[Members]:
        """Return the discovered devices as Gladys would create them, when there are so many."""
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(lambda: len(self.discovered) == number)
        return [self._device(one) for one in self.discovered.values()]

    async def add_discovered(self) -> Members:
        """Create the one discovered device, as its user does with one click."""
        (found,) = await self.until_discovered()
        device = self._server.create({**found, "service_id": MQTT}, found.pop("features"), found.pop("params"))
        for param in device["params"]:
            key, config = param["name"].removeprefix(PARAM), json.loads(param["value"])
            for feature in features_of(device["external_id"], key, config):
                base = f"{device['external_id']}:{key}"
                its = feature["external_id"].removeprefix(base).removeprefix(":") or "state"
                topic = config.get(STATES.get(its, "state_topic"))
                if topic:
                    binding = (feature["external_id"], key.partition(":")[0], its, config)
                    self._bindings.setdefault(topic, []).append(binding)
                    await self._client.subscribe(topic, qos=0)
        return device

    # handler/handleGladysMessage.js and homeAssistant/handleHomeAssistant*Message.js

    def _hear(self, message: Message) -> None:
        topic, payload = message.topic.value, message.payload.decode()
        if found := re.fullmatch(r"homeassistant/([^/]+)/(?:([^/]+)/)?([^/]+)/config", topic):
            self._discover(topic, found[1], found[3], payload)
        for external_id, component, its, config in self._bindings.get(topic, ()):
            if (state := incoming(component, its, config, payload)) is not None:
                self._save(external_id, state)
        parts = topic.split("/")
        if parts[:3] == ["gladys", "master", "device"]:
            if parts[-1] == "text":
                self._save(parts[5], payload)
            elif parts[-1] == "state":
                self._save(parts[5], float(payload))

    def _save(self, external_id: str, state: float | str) -> None:
        try:
            self._server.save_state(external_id, state)
        except StopIteration:
            self.unknown.append(external_id)
        else:
            self.told.append((external_id, state))

    def _discover(self, topic: str, component: str, object_id: str, payload: str) -> None:
        self.discovered.pop(topic, None)
        if not payload:
            return
        config = json.loads(payload)
        assert component == "device", "the only form that we announce"
        identifier = re.sub(r"[^a-zA-Z0-9_-]", "-", str(config["device"]["identifiers"][0]))
        shared = {name: one for name, one in config.items() if name not in {"components", "device", "origin"}}
        entities = {
            f"{one['platform']}:{object_id}:{key}": {**shared, **one} for key, one in config["components"].items()
        }
        self.discovered[topic] = {"identifier": identifier, "info": config["device"], "entities": entities}

    # homeAssistant/convertToGladysDevice.js

    def _device(self, found: Members) -> Members:
        external_id = f"homeassistant:{found['identifier']}"
        features: list[Members] = []
        params = []
        for key, config in sorted(found["entities"].items()):
            its = features_of(external_id, key, config)
            features += its
            if its:
                params.append({"name": f"{PARAM}{key}", "value": json.dumps(config)})
        name = found["info"].get("name", found["identifier"])[:80]
        model = found["info"].get("model")
        members = {"name": name, "external_id": external_id, "selector": external_id, "model": model}
        return {**members, "features": features, "params": params}

    # setValue.js and homeAssistant/setValueHomeAssistant.js

    async def _set_value(self, device: Members, feature: Members, value: Any) -> None:  # noqa: ANN401 - JSON
        if not device["external_id"].startswith("homeassistant:"):
            topic = f"gladys/device/{device['external_id']}/feature/{feature['external_id']}/state"
            await self._client.publish(topic, str(value), qos=0)
            return
        for param in device["params"]:
            key, config = param["name"].removeprefix(PARAM), json.loads(param["value"])
            base = f"{device['external_id']}:{key}"
            if feature["external_id"] == base or feature["external_id"].startswith(f"{base}:"):
                its = feature["external_id"].removeprefix(base).removeprefix(":") or "state"
                topic, payload = outgoing(key.partition(":")[0], its, config, value)
                await self._client.publish(topic, payload, qos=0)


def features_of(device_id: str, key: str, config: Members) -> list[Members]:
    """Return the features of an entity: convertEntityToFeatures, for the components that we announce."""
    component = key.partition(":")[0]
    name = str(config.get("name") or key.rpartition(":")[2])[:80]
    made = []
    for suffix, category, type_, more in _kinds(component, config):
        external_id = f"{device_id}:{key}:{suffix}" if suffix else f"{device_id}:{key}"
        about = {"name": name, "external_id": external_id, "selector": external_id, "category": category, "type": type_}
        defaults = {"read_only": True, "has_feedback": True, "keep_history": True, "min": 0, "max": 1, "unit": None}
        made.append({**about, **defaults, **more})
    return made


def _kinds(component: str, config: Members) -> list[tuple[str, str, str, Members]]:
    """Return suffix, category, type and further members of each feature."""
    heard, said = bool(config.get("state_topic")), bool(config.get("command_topic"))
    does: Members = {"read_only": False, "has_feedback": "state_topic" in config}
    kind = str(config.get("device_class", ""))
    if component == "sensor" and kind in SENSORS and heard:
        unit = UNITS.get(config.get("unit_of_measurement", ""))
        return [("", *SENSORS[kind], {"unit": unit, "min": -100_000, "max": 100_000})]
    if component == "binary_sensor" and heard:
        return [("", BINARY_SENSORS.get(kind, "switch"), "binary", {})]
    if component in {"switch", "lock"} and said:
        return [("", component, "binary", does)]
    if component == "button" and said:
        return [("", "switch", "binary", {"read_only": False, "has_feedback": False, "keep_history": False})]
    if component == "climate" and config.get("temperature_command_topic"):
        ends = {"read_only": False, "min": config.get("min_temp", 7), "max": config.get("max_temp", 35)}
        return [("target_temperature", "thermostat", "target-temperature", ends)]
    return (_light if component == "light" else _cover)(config, does) if said else []


def _light(config: Members, does: Members) -> list[tuple[str, str, str, Members]]:
    made: list[tuple[str, str, str, Members]] = [("state", "light", "binary", does)]
    if "brightness_command_topic" in config:
        most = config.get("brightness_scale") or 255
        made.append(("brightness", "light", "brightness", {"read_only": False, "max": most}))
    if "color_temp_command_topic" in config:
        ends = {"min": config.get("min_mireds") or 153, "max": config.get("max_mireds") or 500}
        made.append(("color_temp", "light", "temperature", {"read_only": False, **ends}))
    if "rgb_command_topic" in config:
        made.append(("color", "light", "color", {"read_only": False, "max": 16_777_215}))
    return made


def _cover(config: Members, does: Members) -> list[tuple[str, str, str, Members]]:
    made: list[tuple[str, str, str, Members]] = [("state", "shutter", "state", {**does, "min": -1})]
    if config.get("set_position_topic"):
        made.append(("position", "shutter", "position", {"read_only": False, "max": 100}))
    return made


STATES = {  # getStateTopic
    "brightness": "brightness_state_topic",
    "color_temp": "color_temp_state_topic",
    "color": "rgb_state_topic",
    "position": "position_topic",
    "target_temperature": "temperature_state_topic",
}
COMMANDS = {  # buildHomeAssistantCommand
    "brightness": "brightness_command_topic",
    "color_temp": "color_temp_command_topic",
    "color": "rgb_command_topic",
    "position": "set_position_topic",
    "target_temperature": "temperature_command_topic",
}


def incoming(component: str, its: str, config: Members, message: str) -> float | None:
    """Return the state that a message is: parseHomeAssistantIncomingState; the value templates left out."""
    if its == "color":
        red, green, blue = map(int, message.split(","))
        return float((red << 16) + (green << 8) + blue)
    if its in STATES or component == "sensor":
        return float(message)
    if component == "cover":
        words = {"state_open": 1.0, "state_closed": -1.0, "state_stopped": 0.0}
        return next((state for name, state in words.items() if config.get(name) == message), None)
    on, off = ("state_locked", "state_unlocked") if component == "lock" else ("payload_on", "payload_off")
    return {config.get(on, "ON"): 1.0, config.get(off, "OFF"): 0.0}.get(message)


def outgoing(component: str, its: str, config: Members, value: Any) -> tuple[str, str]:  # noqa: ANN401 - JSON
    """Return topic and payload of a command: buildHomeAssistantCommand."""
    topic: str = config[COMMANDS.get(its, "command_topic")]
    if its == "color":
        return topic, f"{value >> 16 & 255},{value >> 8 & 255},{value & 255}"
    if its in COMMANDS:
        return topic, str(value if its == "target_temperature" else round(value))
    if component == "button":
        return topic, config.get("payload_press", "PRESS")
    if component == "cover":
        return topic, config[{1: "payload_open", -1: "payload_close"}.get(value, "payload_stop")]
    on, off = ("payload_lock", "payload_unlock") if component == "lock" else ("payload_on", "payload_off")
    return topic, config.get(on if value else off, "ON" if value else "OFF")


@asynccontextmanager
async def open_gladys_mqtt(server: GladysServer, broker: Broker) -> AsyncIterator[GladysMqtt]:
    """Run the service of this Gladys on this broker."""
    async with broker.client("gladys-main-instance-1") as client:
        service = GladysMqtt(server, client)
        task = asyncio.create_task(service.run())
        try:
            yield service
        finally:
            task.cancel()
            await asyncio.wait([task])
