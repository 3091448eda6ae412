"""Drives Elgato lights with the ``elgato`` library: on, brightness, temperature and colour, asked again and again."""

from gladys_companion.drivers.elgato._driver import PLUGIN, Config, ElgatoDriver

__all__ = ["PLUGIN", "Config", "ElgatoDriver"]
