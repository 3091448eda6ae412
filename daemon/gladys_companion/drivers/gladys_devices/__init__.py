"""The devices that Gladys has already: known by its own external ids, and commanded through it."""

from gladys_companion.drivers.gladys_devices._driver import PLUGIN, Config, GladysDevices

__all__ = ["PLUGIN", "Config", "GladysDevices"]
