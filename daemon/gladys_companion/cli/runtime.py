"""``settings``: list, set, reset; ``password``: set, remove."""

from __future__ import annotations

from urllib.parse import quote

import click

from gladys_companion.cli.daemon import ask_one
from gladys_companion.cli.output import json_option, print_json, print_table
from gladys_companion.cli.settings import Settings

__all__ = ["password", "settings"]


@click.group()
def settings() -> None:
    """Change settings while the daemon runs."""


@settings.command("list")
@json_option
@click.pass_obj
def list_(settings: Settings, as_json: bool) -> None:
    """List the settings that may be changed while the daemon runs."""
    found = ask_one(settings, "GET", "/api/settings")
    if as_json:
        print_json(found)
        return
    rows = ((one["name"], _shown(one["value"]), _shown(one["configured"]) if one["changed"] else "") for one in found)
    print_table(("SETTING", "VALUE", "CONFIGURED"), rows, "")


@settings.command("set")
@click.argument("name")
@click.argument("value")
@click.pass_obj
def set_(settings: Settings, name: str, value: str) -> None:
    """Let a setting have another VALUE, from now on and after restarts, until it is reset."""
    done = ask_one(settings, "PUT", f"/api/settings/{quote(name)}", {"value": value})
    click.echo(f"{done['name']} is {_shown(done['value'])} now; the configuration says {_shown(done['configured'])}.")


@settings.command()
@click.argument("name")
@click.pass_obj
def reset(settings: Settings, name: str) -> None:
    """Let the configuration hold again."""
    done = ask_one(settings, "DELETE", f"/api/settings/{quote(name)}")
    click.echo(f"{done['name']} is {_shown(done['value'])} now, as the configuration says.")


@click.group()
def password() -> None:
    """Protect the home's pages by a password."""


@password.command("set")
@click.password_option(prompt="New password", help="Better left out: it is asked for then, and seen by nobody.")
@click.pass_obj
def set_password(settings: Settings, password: str) -> None:
    """Set the password of the home's pages; all browsers are logged out."""
    ask_one(settings, "PUT", "/api/password", {"password": password})
    click.echo("Set. From this machine the pages can be read without it; to change something there it is asked for.")


@password.command()
@click.pass_obj
def remove(settings: Settings) -> None:
    """Let the pages be changed from this machine without a password, and be seen from no other."""
    ask_one(settings, "PUT", "/api/password", {"password": None})
    click.echo("Removed. Pages that other machines can reach need one at the next start.")


def _shown(value: str | float) -> str:
    return f"{value:g}" if isinstance(value, int | float) else value
