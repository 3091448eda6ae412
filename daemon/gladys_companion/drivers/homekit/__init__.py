"""Drives HomeKit accessories over IP with the ``aiohomekit`` library: paired by their PIN, their changes pushed."""

from gladys_companion.drivers.homekit._config import Config
from gladys_companion.drivers.homekit._driver import PLUGIN, HomekitDriver

__all__ = ["PLUGIN", "Config", "HomekitDriver"]
