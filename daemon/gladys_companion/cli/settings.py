"""What every command is given: where the configuration is."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from gladys_companion.config import Config, load

__all__ = ["Settings"]


class Settings(Struct, frozen=True):
    """The options before the command. ``config`` reads the file when it is asked for."""

    path: Path | None = None

    def config(self) -> Config:
        """Return the configuration.

        Raises:
            ConfigError: with file, line and path.
        """
        return load(self.path)
