"""Drives what has no driver and speaks HTTP, as its owner describes it in the configuration."""

from gladys_companion.drivers.http._driver import PLUGIN, HttpDriver
from gladys_companion.drivers.http._tables import Config, DeviceTable, HttpFeature

__all__ = ["PLUGIN", "Config", "DeviceTable", "HttpDriver", "HttpFeature"]
