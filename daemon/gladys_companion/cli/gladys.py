"""``gladys setup``: makes in Gladys the scenes by which people leave home, or removes them; shown first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import click

from gladys_companion.cli.client import Client
from gladys_companion.cli.daemon import ask
from gladys_companion.cli.output import json_option, print_json, print_table
from gladys_companion.cli.settings import Settings
from gladys_companion.config import Config

__all__ = ["gladys"]

Scenes = list[dict[str, Any]]


@click.group()
def gladys() -> None:
    """Have Gladys ready for what only a scene of its own can do."""


@gladys.command()
@click.option("--zone", "zones", multiple=True, help="Also scenes that are started when somebody enters or leaves it.")
@click.option("--remove", is_flag=True, help="Delete all of them in Gladys.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
def setup(settings: Settings, zones: Sequence[str], remove: bool, yes: bool, as_json: bool) -> None:
    """Make the scenes by which Gladys learns that somebody left home; it has no other way for that.

    What will be made is shown first. Once more does no harm: what is there stays, with what you added to it.
    """
    if remove and zones:
        raise click.UsageError("--remove deletes the scenes of all zones: leave --zone out.")
    config = settings.config()
    query = "&".join(f"zone={quote(zone, safe='')}" for zone in zones)
    found = ask(config, lambda client: client.ask("GET", f"/api/gladys/scenes?{query}", within=_within(config, 30)))
    for sentence in found["without"]:
        click.echo(sentence, err=True)
    scenes: Scenes = found["scenes"]
    if remove:
        there = [one for one in scenes if one["state"] != "missing"]
        _confirmed(there, "Delete these scenes in Gladys", yes=yes)
        _each(config, "DELETE", there)
        _tell([{**one, "state": "removed"} for one in there], "Gladys has no scene of ours.", as_json=as_json)
        return
    wrong = [one for one in scenes if one["wanted"] and one["state"] != "there"]
    _confirmed(wrong, "Make these scenes in Gladys, or mend them", yes=yes)
    made = {one["selector"]: one for one in _each(config, "POST", wrong)}
    shown = [made.get(one["selector"], one) for one in scenes]
    _tell(shown, "Gladys needs no scene: nobody here is a user of it.", as_json=as_json)


def _within(config: Config, requests: int) -> float:
    return requests * config.gladys.answer_within + 10


def _confirmed(scenes: Scenes, question: str, *, yes: bool) -> None:
    """Go on only if the user wants it."""
    if scenes and not yes:
        for one in scenes:
            added = f", and {one['added']} of your own" if one["added"] else ""
            does = f": {one['does']}" if one["does"] else ""
            click.echo(f"  {one['selector']} ({one['name']}, {one['state']}){does}{added}", err=True)
        click.confirm(f"{question}?", abort=True, err=True)


def _each(config: Config, method: str, scenes: Scenes) -> Scenes:
    async def work(client: Client) -> Scenes:
        paths = [f"/api/gladys/scenes/{quote(one['selector'], safe='')}" for one in scenes]
        return [await client.ask(method, path, within=_within(config, 6)) for path in paths]

    return ask(config, work) if scenes else []


def _tell(scenes: Scenes, nothing: str, *, as_json: bool) -> None:
    if as_json:
        print_json(scenes)
        return
    rows = ((one["selector"], one["state"], one["does"] or one["says"]) for one in scenes)
    print_table(("SCENE", "STATE", "DOES"), rows, nothing)
