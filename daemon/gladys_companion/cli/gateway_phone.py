"""``gateway phone``: a link, and its QR code, that sets a phone up."""

from __future__ import annotations

import asyncio

import click

from gladys_companion.cli.gateway_admin import ask_running, home_option
from gladys_companion.cli.output import json_option, print_json, print_qr
from gladys_companion.cli.settings import Settings

__all__ = ["phone"]


@click.group()
def phone() -> None:
    """Phones that are to be set up."""


@phone.command("add")
@click.argument("name")
@click.option("--user", default="", help="Whose it is, as OwnTracks and ids say it: anna. [default: from NAME]")
@home_option
@json_option
@click.pass_obj
def phone_add(settings: Settings, name: str, user: str, home: str | None, as_json: bool) -> None:
    """Make a link that sets up a phone NAME: opened on it within 10 minutes, once, it makes that phone's own key."""
    found = asyncio.run(ask_running(settings.config(), "phone.add", {"name": name, "user": user, "home": home}))
    if as_json:
        print_json(found)
        return
    print_qr(found["url"])
    click.echo(f"Scan this with the phone {found['name']!r}, or open it there: {found['url']}")
    click.echo("It is good once, and for 10 minutes.")
