"""``people``: list, why, add, edit, remove; what they carry is in ``phones``."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from gladys_companion.cli.client import Client
from gladys_companion.cli.daemon import ask
from gladys_companion.cli.names import find_named
from gladys_companion.cli.output import json_option, number, print_json, print_table, when
from gladys_companion.cli.phones import PHONE_COMMANDS
from gladys_companion.cli.settings import Settings

__all__ = ["people"]

NOBODY = "Nobody is known yet: `people add NAME`, or [people.NAME] in the configuration."


def _path(person_id: str, *more: str) -> str:
    return "/".join(("/api/people", quote(person_id, safe=""), *more))


@click.group()
def people() -> None:
    """See who is where, and why; say whose phone is whose."""


for command in PHONE_COMMANDS:
    people.add_command(command)


@people.command("list")
@json_option
@click.pass_obj
def list_(settings: Settings, as_json: bool) -> None:
    """List everybody: where they are, and why."""
    found = ask(settings.config(), lambda client: client.ask("GET", "/api/people"))
    if as_json:
        print_json(found)
        return
    rows = ((one["id"], one["name"], one["zone"], ", ".join(one["phones"]) or "(none)", one["why"]) for one in found)
    print_table(("PERSON", "NAME", "WHERE", "CARRIES", "WHY"), rows, NOBODY)


@people.command()
@click.argument("person")
@click.option("--limit", default=10, show_default=True, type=click.IntRange(0, 1_000), help="How many of each.")
@json_option
@click.pass_obj
def why(settings: Settings, person: str, limit: int, as_json: bool) -> None:
    """Say why PERSON is where they are: each zone, what was decided, and what the phones told."""

    async def work(client: Client) -> dict[str, Any]:
        known = await find_named(client, "person", person)
        found: dict[str, Any] = await client.ask("GET", f"{_path(known['id'], 'why')}?limit={limit}")
        return found

    found = ask(settings.config(), work)
    if as_json:
        print_json(found)
        return
    click.echo(f"{found['person']['name']} ({found['person']['id']}): {found['person']['why']}.")
    click.echo()
    rows = ((one["name"], _state(one["state"]), one["why"]) for one in found["zones"])
    print_table(("ZONE", "", "WHY"), rows, "There are no zones yet: `zones add NAME --at LATITUDE,LONGITUDE`.")
    if found["decisions"]:
        click.echo()
        told = ((_known(one), one["zone"], _state(one["state"]), one["reason"]) for one in found["decisions"])
        print_table(("DECIDED", "ZONE", "", "REASON"), told, "")
    if found["positions"]:
        click.echo()
        print_table(("AT", "PHONE", "WHERE", "ACCURACY", ""), map(_position, found["positions"]), "")


def _state(state: str) -> str:
    return {"in": "inside", "out": "outside"}.get(state, state)


def _known(one: dict[str, Any]) -> str:
    return f"{when(one['known_at'])}{' (late)' if one['late'] else ''}"


def _position(one: dict[str, Any]) -> tuple[str, ...]:
    accuracy = "unknown" if one["accuracy"] is None else f"{number(one['accuracy'])} m"
    return when(one["at"]), one["phone"], f"{one['latitude']:.5f},{one['longitude']:.5f}", accuracy, one["note"] or ""


@people.command()
@click.argument("name")
@click.option("--id", "person_id", help="What commands and features call them. [default: made of the name]")
@click.option("--home", help="The zone that is their home. [default: the zone that is home for all]")
@click.option("--gladys-user", help="The selector of their user in Gladys.")
@click.option("--gladys-house", help="The selector of the house in Gladys that they live in.")
@json_option
@click.pass_obj
def add(
    settings: Settings,
    name: str,
    person_id: str | None,
    home: str | None,
    gladys_user: str | None,
    gladys_house: str | None,
    as_json: bool,
) -> None:
    """Add a person. A phone that calls itself NAME is theirs, unless another phone is already."""

    async def work(client: Client) -> dict[str, Any]:
        wish = {"name": name, "id": person_id, "gladys_user": gladys_user, "gladys_house": gladys_house}
        wish["home"] = (await find_named(client, "zone", home))["id"] if home else None
        found: dict[str, Any] = await client.ask("POST", "/api/people", wish)
        return found

    found = ask(settings.config(), work)
    if as_json:
        print_json(found)
        return
    click.echo(f"{found['name']} is {found['id']}.")
    if not found["phones"]:
        click.echo(f"Carries no phone yet: have its app say the user {found['id']!r}, or see `people phones`.")


@people.command()
@click.argument("person")
@click.option("--name", help="Call them so.")
@click.option("--home", help="The zone that is their home; an empty text: the one that is home for all.")
@click.option("--gladys-user", help="The selector of their user in Gladys; an empty text: none.")
@click.option("--gladys-house", help="The selector of their house in Gladys; an empty text: none.")
@json_option
@click.pass_obj
def edit(settings: Settings, /, person: str, as_json: bool, **changes: str | None) -> None:
    """Change what is known of PERSON."""
    wish = {name: change or None for name, change in changes.items() if change is not None}
    if not wish:
        raise click.UsageError("Say what is to be otherwise: --name, --home, --gladys-user or --gladys-house.")

    async def work(client: Client) -> dict[str, Any]:
        known = await find_named(client, "person", person)
        if wish.get("home"):
            wish["home"] = (await find_named(client, "zone", wish["home"] or ""))["id"]
        found: dict[str, Any] = await client.ask("PATCH", _path(known["id"]), wish)
        return found

    found = ask(settings.config(), work)
    if as_json:
        print_json(found)
    else:
        click.echo(f"{found['name']} ({found['id']}): {found['why']}.")


@people.command()
@click.argument("person")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def remove(settings: Settings, person: str, yes: bool) -> None:
    """Forget PERSON, and where they were; their phones are nobody's then."""
    known = ask(settings.config(), lambda client: find_named(client, "person", person))
    if not yes:
        click.confirm(f"Forget {known['name']} ({known['id']}), and where they were?", abort=True)
    ask(settings.config(), lambda client: client.ask("DELETE", _path(known["id"])))
    click.echo(f"{known['name']} is forgotten.")
