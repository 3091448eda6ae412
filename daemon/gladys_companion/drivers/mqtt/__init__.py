"""Drives what has no driver and speaks MQTT, as its owner describes it in the configuration."""

from gladys_companion.drivers.mqtt._driver import PLUGIN, MqttDriver
from gladys_companion.drivers.mqtt._tables import Config, DeviceTable, MqttFeature

__all__ = ["PLUGIN", "Config", "DeviceTable", "MqttDriver", "MqttFeature"]
