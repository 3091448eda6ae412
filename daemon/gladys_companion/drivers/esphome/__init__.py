"""Drives ESPHome devices over their native API with ``aioesphomeapi``, plain or encrypted; they tell what changes."""

from gladys_companion.drivers.esphome._driver import PLUGIN, Config, EsphomeDriver

__all__ = ["PLUGIN", "Config", "EsphomeDriver"]
