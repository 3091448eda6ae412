"""The parts of a Tasmota device that only tell: switches, buttons and sensors, by what it announced. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from hatasmota import discovery
from hatasmota.button import TasmotaButtonTriggerConfig
from hatasmota.sensor import TasmotaSensorConfig
from hatasmota.switch import TasmotaSwitchConfig, TasmotaSwitchTriggerConfig

from gladys_companion.drivers._json import number
from gladys_companion.drivers.tasmota._kinds import kind_of
from gladys_companion.drivers.tasmota._parts import Binary, Button, Part, Sensor

__all__ = ["inputs", "sensors"]

CLICK, DOUBLE, LONG = 1, 2, 3
CLICKS = {"button_short_press": CLICK, "button_double_press": DOUBLE, "button_long_press": LONG}


def inputs(message: Mapping[str, Any]) -> Iterator[Part]:
    """Yield what hands do to the device: switches that stand somewhere, and what is pressed."""
    for switch, _ in discovery.get_binary_sensor_entities(message):
        if isinstance(switch, TasmotaSwitchConfig):
            yield _switch(switch)
    pressed: dict[str, tuple[str, dict[str, int]]] = {}
    for trigger in discovery.get_triggers(message):
        if trigger.type in CLICKS and isinstance(trigger, TasmotaButtonTriggerConfig | TasmotaSwitchTriggerConfig):
            key = f"Button{trigger.idx + 1}" if trigger.source == "button" else trigger.switchname
            _, actions = pressed.setdefault(f"{trigger.source}-click:{trigger.idx + 1}", (key, {}))
            actions[trigger.event] = CLICKS[trigger.type]
    for component, (key, actions) in pressed.items():
        yield Button(
            component=component,
            name=key,
            category="button",
            type="click",
            keys=(key,),
            min=min(actions.values()),
            max=max(actions.values()),
            actions=actions,
        )


def _switch(config: TasmotaSwitchConfig) -> Part:
    """Return a switch that tells on and off, or a motion sensor, which tells on only."""
    index = int(config.idx or 0) + 1
    if config.off_delay is not None:
        return Button(
            component=f"motion:{index}",
            name=config.friendly_name or config.switchname,
            category="motion-sensor",
            type="push",
            keys=(config.switchname,),
            min=0,
            max=1,
            actions={config.state_power_on: 1},
        )
    return Binary(
        component=f"switch:{index}",
        name=config.friendly_name or config.switchname,
        category="switch",
        type="binary",
        keys=(config.switchname,),
        min=0,
        max=1,
        on=config.state_power_on,
        off=config.state_power_off,
    )


def sensors(message: Mapping[str, Any], sensed: object) -> Iterator[Part]:
    """Yield what is measured, as far as it is a number."""
    for sensor, _ in discovery.get_sensor_entities(discovery.TASMOTA_SENSOR_DISCOVERY_SCHEMA(sensed), message):
        if not isinstance(sensor, TasmotaSensorConfig) or number(sensor.discovered_value) is None:
            continue
        category, kind, unit = kind_of(sensor.quantity, sensor.unit, str(sensor.value_path[0]))
        steps = ".".join(re.sub(r"[^A-Za-z0-9_]", "_", str(step)) for step in sensor.value_path)
        yield Sensor(
            component=f"sensor:{steps}",
            name=" ".join(map(str, sensor.value_path)),
            category=category,
            type=kind,
            keys=(str(sensor.value_path[0]),),
            unit=unit,
            path=tuple(sensor.value_path),
        )
    if message["bat"] == 1:
        yield Sensor(
            component="battery",
            name="Battery",
            category="battery",
            type="integer",
            keys=("BatteryPercentage",),
            unit="percent",
            min=0,
            max=100,
            path=("BatteryPercentage",),
        )
