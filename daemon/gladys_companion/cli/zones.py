"""``zones``: list, add, edit, remove."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import click

from gladys_companion.cli.client import Client
from gladys_companion.cli.daemon import ask
from gladys_companion.cli.names import find_named
from gladys_companion.cli.output import json_option, number, print_json, print_table
from gladys_companion.cli.settings import Settings
from gladys_companion.errors import RequestError

__all__ = ["zones"]


def _path(zone_id: str) -> str:
    return f"/api/zones/{quote(zone_id, safe='')}"


def _place(_: click.Context, __: click.Parameter, given: str | None) -> tuple[float, float] | None:
    if given is None:
        return None
    try:
        latitude, longitude = (float(part) for part in given.split(","))
    except ValueError:
        raise click.BadParameter("give latitude and longitude in degrees, as 48.8566,2.3522") from None
    return latitude, longitude


def _shape(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say where a zone is and how large."""
    for option in (
        click.option("--wifi", "networks", multiple=True, help="A Wi-Fi name that reaches no farther than the zone."),
        click.option("--exit-radius", type=float, help="Metres beyond which one has left; 0: by rule."),
        click.option("--radius", type=float, help="Metres within which one is inside. [default: 100]"),
        click.option("--of", "person", help="Where this person was last, in the place of --at."),
        click.option("--at", "place", callback=_place, help="Latitude and longitude, as 48.8566,2.3522."),
    ):
        command = option(command)
    return command


@click.group()
def zones() -> None:
    """List and change zones."""


@zones.command("list")
@json_option
@click.pass_obj
def list_(settings: Settings, as_json: bool) -> None:
    """List all zones, and who is in them."""
    found = ask(settings.config(), lambda client: client.ask("GET", "/api/zones"))
    if as_json:
        print_json(found)
        return
    rows = (
        (
            one["id"],
            f"{one['name']}{' (home)' if one['home'] else ''}",
            f"{one['latitude']:.5f},{one['longitude']:.5f}",
            f"{number(one['radius'])} m, left at {number(one['leaves_at'])} m",
            ", ".join(one["networks"]),
            one["gladys"] or one["origin"],
            ", ".join(one["inside"]),
        )
        for one in found
    )
    heads = ("ZONE", "NAME", "AT", "RADIUS", "WI-FI", "FROM", "INSIDE")
    print_table(heads, rows, "There are no zones yet: `zones add NAME --at LATITUDE,LONGITUDE`.")


async def _located(client: Client, place: tuple[float, float] | None, person: str | None) -> dict[str, float]:
    if person is not None:
        position = (await find_named(client, "person", person))["position"]
        if position is None:
            sentence = f"Nothing is known yet of where {person} is: say it with --at."
            raise RequestError(404, "PERSON_NOT_FOUND", sentence, field="position")
        return {"latitude": position["latitude"], "longitude": position["longitude"]}
    return {} if place is None else {"latitude": place[0], "longitude": place[1]}


@zones.command()
@click.argument("name")
@_shape
@click.option("--home", is_flag=True, help="It is the home of whoever names no other.")
@click.option("--id", "zone_id", help="What commands call it. [default: made of the name]")
@json_option
@click.pass_obj
def add(settings: Settings, /, name: str, home: bool, zone_id: str | None, as_json: bool, **shape: Any) -> None:
    """Add a zone: a circle around --at, or around where a person was last."""
    place, person = shape.pop("place"), shape.pop("person")
    if (place is None) == (person is None):
        raise click.UsageError("Say where it is: --at LATITUDE,LONGITUDE, or --of PERSON for where they were last.")

    async def work(client: Client) -> dict[str, Any]:
        wish = {"name": name, "id": zone_id, "home": home, **await _located(client, place, person), **_given(shape)}
        found: dict[str, Any] = await client.ask("POST", "/api/zones", wish)
        return found

    _tell(ask(settings.config(), work), as_json=as_json)


def _given(shape: dict[str, Any]) -> dict[str, Any]:
    wish = {name: value for name, value in shape.items() if value not in (None, ())}
    if "exit_radius" in wish:
        wish["exit_radius"] = wish["exit_radius"] or None
    return wish


@zones.command()
@click.argument("zone")
@click.option("--name", help="Call it so.")
@_shape
@click.option("--home/--no-home", default=None, help="Whether it is the home of whoever names no other.")
@json_option
@click.pass_obj
def edit(settings: Settings, /, zone: str, name: str | None, home: bool | None, as_json: bool, **shape: Any) -> None:
    """Change a zone; everybody is judged by it at once. Of one that comes from Gladys: Wi-Fi, exit radius, home."""
    place, person = shape.pop("place"), shape.pop("person")
    wish = _given({**shape, "name": name, "home": home})
    if not wish and place is None and person is None:
        raise click.UsageError("Say what is to be otherwise, such as --radius 150.")

    async def work(client: Client) -> dict[str, Any]:
        known = await find_named(client, "zone", zone)
        found: dict[str, Any] = await client.ask(
            "PATCH", _path(known["id"]), {**wish, **await _located(client, place, person)}
        )
        return found

    _tell(ask(settings.config(), work), as_json=as_json)


def _tell(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    inside = f" Inside: {', '.join(found['inside'])}." if found["inside"] else ""
    size = f"{number(found['radius'])} m around {found['latitude']:.5f},{found['longitude']:.5f}"
    click.echo(f"{found['name']} ({found['id']}) is {size}, left at {number(found['leaves_at'])} m.{inside}")


@zones.command()
@click.argument("zone")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def remove(settings: Settings, zone: str, yes: bool) -> None:
    """Forget a zone, and who was in it."""
    known = ask(settings.config(), lambda client: find_named(client, "zone", zone))
    if not yes:
        click.confirm(f"Forget {known['name']} ({known['id']}), and who was in it?", abort=True)
    ask(settings.config(), lambda client: client.ask("DELETE", _path(known["id"])))
    click.echo(f"{known['name']} is forgotten.")
