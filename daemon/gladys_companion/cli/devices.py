"""``devices``: list, show, add, rename, forget, set, expose; the rest is in modules of its own."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from gladys_companion.cli.client import ANSWER_WITHIN, Client
from gladys_companion.cli.daemon import ask, ask_one
from gladys_companion.cli.device_pairing import pair, unpair
from gladys_companion.cli.names import find_device, find_feature
from gladys_companion.cli.output import json_option, number, print_json, print_receipt, print_table, value, when
from gladys_companion.cli.settings import Settings
from gladys_companion.cli.share import share

__all__ = ["devices"]

WORDS = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}


def _path(device: str, *more: str) -> str:
    return "/".join(("/api/devices", quote(device, safe=":"), *more))


@click.group()
def devices() -> None:
    """List and change devices."""


devices.add_command(pair)
devices.add_command(unpair)
devices.add_command(share)


@devices.command("list")
@json_option
@click.pass_obj
def list_(settings: Settings, as_json: bool) -> None:
    """List all devices with their features and last values."""
    found = ask_one(settings, "GET", "/api/devices")
    if as_json:
        print_json(found)
        return
    rows = []
    for one in found:
        told: tuple[str, ...] = (one["id"], one["name"], one["driver"], _presence(one))
        for feature in one["features"] or [None]:
            shown = (feature["external_id"], value(feature), when(feature["value_at"])) if feature else ("", "", "")
            rows.append((*told, *shown))
            told = ("", "", "", "")
    heads = ("DEVICE", "NAME", "DRIVER", "", "EXTERNAL ID", "VALUE", "AT")
    print_table(heads, rows, "No devices yet. `scan` looks for some.")


def _presence(device: dict[str, Any]) -> str:
    if device["away_since"]:
        return f"away since {when(device['away_since'])}"
    trouble = device["trouble"]
    if trouble and not trouble["reached"]:
        return f"silent since {when(trouble['since'])}"
    return "here" if not trouble else "here, in trouble"


@devices.command()
@click.argument("device")
@json_option
@click.pass_obj
def show(settings: Settings, device: str, as_json: bool) -> None:
    """Show one device, by its id or name, with all that is known of it."""
    found = ask(settings.config(), lambda client: find_device(client, device))
    if as_json:
        print_json(found)
        return
    where = f"{found['address']}:{found['port']}" if found["address"] else "no address"
    seen = f"last seen {when(found['seen_at'])}" if found["seen_at"] else "never seen on the network"
    click.echo(f"{found['name']}  ({found['id']})")
    click.echo(", ".join(filter(None, (found["driver"], found["model"], where, seen))))
    if found["trouble"]:
        click.echo(f"In trouble since {when(found['trouble']['since'])}: {found['trouble']['says']}")
    if found["shared"]:
        click.echo(f"Shared with Gladys by {found['shared']}.")
    click.echo()
    rows = [
        (
            one["external_id"],
            f"{one['category']}/{one['type']}",
            value(one),
            _range(one),
            "yes" if one["writable"] else "no",
            ", ".join(one["aliases"]),
            ", ".join("every key" if key == "*" else key for key in one["exposed"]),
        )
        for one in found["features"]
    ]
    heads = ("EXTERNAL ID", "KIND", "VALUE", "RANGE", "WRITABLE", "ALIASES", "EXPOSED TO")
    print_table(heads, rows, "It has no features.")


def _range(feature: dict[str, Any]) -> str:
    if feature["min"] is None and feature["max"] is None:
        return ""
    low, high = ("" if end is None else number(end) for end in (feature["min"], feature["max"]))
    return f"{low}..{high}"


@devices.command()
@click.argument("name")
@click.option("--id", "device", help="Its id. [default: virtual:NAME]")
@click.option("--feature", "features", multiple=True, required=True, help="An external id; may be given several times.")
@click.option("--category", default="unknown", show_default=True, help="Gladys' category of the features.")
@click.option("--type", "type_", default="unknown", show_default=True, help="Gladys' type of them; text for texts.")
@click.option("--unit", help="Their unit.")
@click.option("--min", "low", type=float, help="Their least value.")
@click.option("--max", "high", type=float, help="Their greatest value.")
@click.option("--writable", is_flag=True, help="States of them are commands, refused out of range, and not just news.")
@json_option
@click.pass_obj
def add(
    settings: Settings,
    name: str,
    device: str | None,
    features: tuple[str, ...],
    category: str,
    type_: str,
    unit: str | None,
    low: float | None,
    high: float | None,
    writable: bool,
    as_json: bool,
) -> None:
    """Make a virtual device NAME: a phone, or anything without hardware of its own."""
    kind = {"category": category, "type": type_, "unit": unit, "min": low, "max": high, "writable": writable}
    wished = [{"external_id": one, "name": one[:200] if len(features) > 1 else name, **kind} for one in features]
    wish = {"name": name, "id": device, "features": wished}
    found = ask_one(settings, "POST", "/api/devices", wish)
    if as_json:
        print_json(found)
    else:
        click.echo(f"{found['name']} is {found['id']}.")


@devices.command()
@click.argument("device")
@click.argument("name")
@click.pass_obj
def rename(settings: Settings, device: str, name: str) -> None:
    """Give a device a name that discovery never overwrites."""

    async def work(client: Client) -> Any:  # noqa: ANN401 - JSON
        known = await find_device(client, device)
        return await client.ask("PATCH", _path(known["id"]), {"name": name})

    found = ask(settings.config(), work)
    click.echo(f"{found['id']} is called {found['name']!r} now.")


@devices.command()
@click.argument("device")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def forget(settings: Settings, device: str, yes: bool) -> None:
    """Forget a device with its features, their history and their aliases.

    One that is still on the network comes back, as new.
    """
    known = ask(settings.config(), lambda client: find_device(client, device))
    called = f"{known['name']} ({known['id']})"
    if not yes:
        click.confirm(f"Forget {called} with its history and aliases?", abort=True)
    ask_one(settings, "DELETE", _path(known["id"]))
    click.echo(f"{called} is forgotten.")


@devices.command("set", context_settings={"ignore_unknown_options": True})  # so that -5 is a value
@click.argument("external_id")
@click.argument("state", metavar="VALUE")
@json_option
@click.pass_obj
def set_(settings: Settings, external_id: str, state: str, as_json: bool) -> None:
    """Send VALUE (a number, on, off, or a text) to a feature, by its external id, an alias, or its device's name."""
    config = settings.config()

    async def work(client: Client) -> Any:  # noqa: ANN401 - JSON
        device, feature = await find_feature(client, external_id)
        wish = {"external_id": feature, "value": _state(state)}
        return await client.ask("POST", _path(device, "set"), wish, within=ANSWER_WITHIN + config.link.settle_within)

    receipt = ask(config, work)
    if as_json:
        print_json(receipt)
    else:
        print_receipt(receipt)


def _state(given: str) -> float | bool | str:
    if given.lower() in WORDS:
        return WORDS[given.lower()]
    try:
        return float(given)
    except ValueError:
        return given


@devices.command()
@click.argument("external_id")
@click.option("--key", "keys", multiple=True, help="The id of a key that may command it. [default: every key]")
@click.option("--remove", is_flag=True, help="Take every exposure of it back.")
@click.pass_obj
def expose(settings: Settings, external_id: str, keys: tuple[str, ...], remove: bool) -> None:
    """Let phones command a feature from outside, or with --remove no longer.

    A key that is named is added to those that may already. Locks, garage doors, alarms and covers need --key.
    """
    if remove and keys:
        raise click.UsageError("--remove takes every exposure back: leave --key out, then expose it to others anew.")

    async def work(client: Client) -> Any:  # noqa: ANN401 - JSON
        _, feature = await find_feature(client, external_id)
        if remove:
            await client.ask("DELETE", f"/api/expose?external_id={quote(feature, safe='')}")
            return {"external_id": feature, "key_ids": []}
        return await client.ask("POST", "/api/expose", {"external_id": feature, "key_ids": keys})

    found = ask(settings.config(), work)
    who = "every key" if "*" in found["key_ids"] else ", ".join(found["key_ids"]) or "no key"
    click.echo(f"{found['external_id']} may be commanded from outside by {who} now.")
