"""Drives Tasmota devices at the MQTT broker: relays, lights, shutters, sensors, switches and buttons."""

from gladys_companion.drivers.tasmota._driver import PLUGIN, Config, TasmotaDriver

__all__ = ["PLUGIN", "Config", "TasmotaDriver"]
