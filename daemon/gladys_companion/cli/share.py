"""``devices share``: gives Gladys a device of ours, or takes it back."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from gladys_companion.cli.client import Client
from gladys_companion.cli.daemon import ask
from gladys_companion.cli.names import find_device
from gladys_companion.cli.output import json_option, print_json
from gladys_companion.cli.settings import Settings

__all__ = ["share"]


@click.command()
@click.argument("device")
@click.option(
    "--by",
    type=click.Choice(["rest", "mqtt"]),
    help="rest: create it in Gladys, with the API key. mqtt: announce it, for you to add it there. "
    "[default: rest where [gladys] names a url, else mqtt]",
)
@click.option("--remove", is_flag=True, help="Take it back; Gladys forgets its history of it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
def share(settings: Settings, device: str, by: str | None, remove: bool, yes: bool, as_json: bool) -> None:
    """Give Gladys DEVICE, by its id or name, to show and command; or with --remove take it back.

    Values and commands travel over MQTT: [sinks.gladys] has to be switched on.
    """
    if remove and by:
        raise click.UsageError("--remove takes it back however it was shared: leave --by out.")
    config = settings.config()
    known = ask(config, lambda client: find_device(client, device))
    if remove and known["shared"] == "rest" and not yes:
        click.confirm(
            f"Delete {known['name']} in Gladys, with the history that Gladys has of it?", abort=True, err=True
        )
    path = f"/api/devices/{quote(known['id'], safe=':')}/share"
    within = 4 * config.gladys.answer_within + 10

    async def work(client: Client) -> Any:  # noqa: ANN401 - JSON
        if remove:
            return await client.ask("DELETE", path, within=within)
        return await client.ask("POST", path, {"by": by}, within=within)

    found = ask(config, work)
    if as_json:
        print_json(found)
        return
    click.echo(found["says"])
    if found["left_out"]:
        click.echo(f"Gladys can not show: {', '.join(found['left_out'])}", err=True)
