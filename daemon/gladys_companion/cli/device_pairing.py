"""``devices pair`` and ``devices unpair``: the PIN, key, password or button that some devices want of their owner."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from gladys_companion.cli.client import Client
from gladys_companion.cli.daemon import ask
from gladys_companion.cli.names import find_announced
from gladys_companion.cli.output import json_option, print_json
from gladys_companion.cli.settings import Settings

__all__ = ["pair", "unpair"]

WITHIN = 90.0  # a small processor takes long over large numbers, and is described after that


def _path(device_id: str) -> str:
    return f"/api/devices/{quote(device_id, safe=':')}/pairing"


@click.command()
@click.argument("device")
@click.option("--code", help="The PIN, key or password; asked for if not given, and kept out of the shell's history.")
@json_option
@click.pass_obj
def pair(settings: Settings, device: str, code: str | None, as_json: bool) -> None:
    """Gain the trust of DEVICE, by its id or the name that `scan` shows: with its PIN, key or password, or its button.

    What is gained stays in the home's database, and is shown nowhere.
    """

    async def wanted(client: Client) -> tuple[str, dict[str, Any]]:
        found = await find_announced(client, device)
        return found, await client.ask("GET", _path(found))

    device_id, wish = ask(settings.config(), wanted)
    if code is None:
        click.echo(wish["says"], err=True)
        if wish["code"]:
            code = click.prompt("Code", type=str, hide_input=True, err=True)
        else:
            click.pause("Press any key when that is done.", err=True)
    body = {"code": code} if wish["code"] else {}
    found = ask(settings.config(), lambda client: client.ask("POST", _path(device_id), body, within=WITHIN))
    if as_json:
        print_json(found)
    else:
        click.echo(f"{device_id} is paired. {found['says']}")


@click.command()
@click.argument("device")
@click.pass_obj
def unpair(settings: Settings, device: str) -> None:
    """Give the trust of DEVICE back; it stays known, and can be commanded again once it is paired again."""

    async def work(client: Client) -> tuple[str, dict[str, Any]]:
        found = await find_announced(client, device)
        return found, await client.ask("DELETE", _path(found), within=WITHIN)

    device_id, told = ask(settings.config(), work)
    click.echo(f"{device_id} is not paired any more.")
    if told["warning"]:
        click.echo(f"WARNING: {told['warning']}", err=True)
