"""Drives WLED lamps with the ``wled`` library: on, brightness and colour, their own changes told by websocket."""

from gladys_companion.drivers.wled._driver import PLUGIN, Config, WledDriver

__all__ = ["PLUGIN", "Config", "WledDriver"]
