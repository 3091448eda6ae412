"""``config check``."""

from __future__ import annotations

import click

from gladys_companion.cli.settings import Settings
from gladys_companion.config import DEFAULT_PATH, Config
from gladys_companion.plugins import configure

__all__ = ["check_plugins", "config"]


@click.group()
def config() -> None:
    """Check the configuration file."""


@config.command()
@click.pass_obj
def check(settings: Settings) -> None:
    """Read the file; if something is wrong say line, path and the nearest option, with exit code 78."""
    check_plugins(settings.config())
    path = settings.path or DEFAULT_PATH
    click.echo(f"{path} is fine." if path.exists() else f"There is no {path}: all options have their defaults.")


def check_plugins(found: Config) -> None:
    """Check the tables of plug-ins too.

    Raises:
        ConfigError: with its line.
    """
    configure("drivers", found.drivers)
    configure("sinks", found.sinks)
