"""Drives what is paired with a Philips Hue bridge, with the ``aiohue`` library: lamps, plugs, sensors and switches."""

from gladys_companion.drivers.hue._driver import PLUGIN, Config, HueDriver

__all__ = ["PLUGIN", "Config", "HueDriver"]
