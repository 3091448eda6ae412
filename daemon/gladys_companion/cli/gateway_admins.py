"""``gateway admin``: who may use the gateway's pages."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from gladys_companion.cli.gateway_admin import ask_running
from gladys_companion.cli.output import json_option, print_json, print_table, when
from gladys_companion.cli.settings import Settings

__all__ = ["admin"]


@click.group()
def admin() -> None:
    """Who may use the gateway's pages."""


@admin.command("link")
@json_option
@click.pass_obj
def admin_link(settings: Settings, as_json: bool) -> None:
    """Make a link on which somebody chooses a name and a password: once, within 10 minutes.

    With the name of an admin, that one gets another password.
    """
    found = _ask(settings, "admin.link", {})
    if as_json:
        print_json(found)
    else:
        click.echo(f"Open this, once and within 10 minutes: {found['url']}")


@admin.command("list")
@json_option
@click.pass_obj
def admin_list(settings: Settings, as_json: bool) -> None:
    """List the admins."""
    found = _ask(settings, "admin.list", {})
    if as_json:
        print_json(found)
    else:
        rows = ((one["name"], when(one["created_at"])) for one in found)
        print_table(("ADMIN", "SINCE"), rows, "Nobody yet: `gladys-companion gateway admin link`.")


@admin.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def admin_remove(settings: Settings, name: str, yes: bool) -> None:
    """Let the admin NAME in no more, and log out everywhere."""
    if not yes:
        click.confirm(f"Let {name} in no more?", abort=True)
    found = _ask(settings, "admin.remove", {"name": name})
    click.echo(f"{found['name']} is no admin any more.")


def _ask(settings: Settings, operation: str, wish: dict[str, str]) -> Any:  # noqa: ANN401 - JSON
    return asyncio.run(ask_running(settings.config(), operation, wish))
