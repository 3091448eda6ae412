"""``gateway``: run the cloud end, and manage its homes and keys."""

from __future__ import annotations

import click

from gladys_companion import logs
from gladys_companion.cli.gateway_account import account
from gladys_companion.cli.gateway_admins import admin
from gladys_companion.cli.gateway_homes import home
from gladys_companion.cli.gateway_keys import key
from gladys_companion.cli.gateway_phone import phone
from gladys_companion.cli.settings import Settings

__all__ = ["gateway"]


@click.group()
def gateway() -> None:
    """Run the cloud end, and manage its homes and keys."""


gateway.add_command(home)
gateway.add_command(key)
gateway.add_command(account)
gateway.add_command(phone)
gateway.add_command(admin)


@gateway.command()
@click.pass_obj
def run(settings: Settings) -> None:
    """Run the gateway, in the foreground, until SIGTERM or Ctrl-C."""
    from gladys_companion.cli.serve import serve  # noqa: PLC0415 - a server costs half a second to import,
    from gladys_companion.gateway.server import run_gateway  # noqa: PLC0415 - and the other commands need none

    config = settings.config()
    logs.configure(config.log_level)
    serve(run_gateway(config))
