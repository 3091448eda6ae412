"""Drivers, one file or folder each, loaded through the entry points of ``gladys_companion.drivers``."""
