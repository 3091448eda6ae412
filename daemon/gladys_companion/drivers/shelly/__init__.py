"""Drives Shelly devices of all generations: Gen2 and later by websocket, which tells changes; Gen1 by HTTP, asked."""

from gladys_companion.drivers.shelly._driver import PLUGIN, Config, ShellyDriver

__all__ = ["PLUGIN", "Config", "ShellyDriver"]
