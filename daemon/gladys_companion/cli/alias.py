"""``alias``: list, add, remove."""

from __future__ import annotations

from urllib.parse import quote

import click

from gladys_companion.cli.daemon import ask
from gladys_companion.cli.output import json_option, print_json, print_table
from gladys_companion.cli.settings import Settings

__all__ = ["alias"]


@click.group()
def alias() -> None:
    """Give features other external ids."""


@alias.command("list")
@json_option
@click.pass_obj
def list_(settings: Settings, as_json: bool) -> None:
    """List all aliases."""
    found = ask(settings.config(), lambda client: client.ask("GET", "/api/aliases"))
    if as_json:
        print_json(found)
        return
    rows = ((one["alias"], one["external_id"], one["device"] or "(gone)") for one in found)
    print_table(("ALIAS", "MEANS", "OF"), rows, "No aliases yet.")


@alias.command()
@click.argument("name", metavar="ALIAS")
@click.argument("external_id")
@click.pass_obj
def add(settings: Settings, name: str, external_id: str) -> None:
    """Let ALIAS mean the feature EXTERNAL_ID; events that wait for it are delivered."""
    wish = {"alias": name, "external_id": external_id}
    ask(settings.config(), lambda client: client.ask("POST", "/api/aliases", wish))
    click.echo(f"{name} means {external_id} now.")


@alias.command()
@click.argument("name", metavar="ALIAS")
@click.pass_obj
def remove(settings: Settings, name: str) -> None:
    """Take an alias back."""
    ask(settings.config(), lambda client: client.ask("DELETE", f"/api/aliases/{quote(name, safe=':')}"))
    click.echo(f"{name} means nothing any more.")
