"""``run``: the daemon, until it is told to stop."""

from __future__ import annotations

import click

from gladys_companion import logs
from gladys_companion.app import run_daemon
from gladys_companion.cli.serve import serve
from gladys_companion.cli.settings import Settings

__all__ = ["run"]


@click.command()
@click.pass_obj
def run(settings: Settings) -> None:
    """Run the daemon at home, in the foreground.

    It stops at SIGTERM or Ctrl-C; nothing is lost by that, nor by a power cut.
    """
    config = settings.config()
    logs.configure(config.log_level)
    serve(run_daemon(config))
