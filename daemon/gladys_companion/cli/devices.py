"""``devices``: list, show, add, rename, forget, set, expose."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import click

from gladys_companion.cli.client import Client
from gladys_companion.cli.daemon import ask
from gladys_companion.cli.output import json_option, print_json, print_table, value, when
from gladys_companion.cli.settings import Settings
from gladys_companion.errors import RequestError

__all__ = ["devices"]

WORDS = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}


def _path(device: str, *more: str) -> str:
    return "/".join(("/api/devices", quote(device, safe=":"), *more))


def _do(settings: Settings, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
    return ask(settings.config(), lambda client: client.ask(method, path, body))


@click.group()
def devices() -> None:
    """List and change devices."""


@devices.command("list")
@json_option
@click.pass_obj
def list_(settings: Settings, as_json: bool) -> None:
    """List all devices with their features and last values."""
    found = _do(settings, "GET", "/api/devices")
    if as_json:
        print_json(found)
        return
    rows = []
    for one in found:
        name, state = one["name"], "away" if one["away_since"] else "here"
        for feature in one["features"] or [None]:
            shown = (feature["external_id"], value(feature), when(feature["value_at"])) if feature else ("", "", "")
            rows.append((name, one["driver"], state, *shown))
            name = ""
    print_table(("DEVICE", "DRIVER", "", "EXTERNAL ID", "VALUE", "AT"), rows, "No devices yet. `scan` looks for some.")


@devices.command()
@click.argument("device")
@json_option
@click.pass_obj
def show(settings: Settings, device: str, as_json: bool) -> None:
    """Show one device by its id, with all that is known of it."""
    found = _do(settings, "GET", _path(device))
    if as_json:
        print_json(found)
        return
    where = f"{found['address']}:{found['port']}" if found["address"] else "no address"
    seen = f"last seen {when(found['seen_at'])}" if found["seen_at"] else "never seen on the network"
    click.echo(f"{found['name']}  ({found['id']})")
    click.echo(", ".join(filter(None, (found["driver"], found["model"], where, seen))))
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
    low, high = ("" if end is None else f"{end:g}" for end in (feature["min"], feature["max"]))
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
    found = _do(settings, "POST", "/api/devices", wish)
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
    found = _do(settings, "PATCH", _path(device), {"name": name})
    click.echo(f"{found['id']} is called {found['name']!r} now.")


@devices.command()
@click.argument("device")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def forget(settings: Settings, device: str, yes: bool) -> None:
    """Forget a device with its features, their history and their aliases.

    One that is still on the network comes back, as new.
    """
    if not yes:
        click.confirm(f"Forget {device} with its history and aliases?", abort=True)
    _do(settings, "DELETE", _path(device))
    click.echo(f"{device} is forgotten.")


@devices.command("set")
@click.argument("external_id")
@click.argument("state", metavar="VALUE")
@json_option
@click.pass_obj
def set_(settings: Settings, external_id: str, state: str, as_json: bool) -> None:
    """Send VALUE (a number, on, off, or a text) to a feature, by its external id or an alias."""

    async def work(client: Client) -> Any:  # noqa: ANN401 - JSON
        device = await _device_of(client, external_id)
        return await client.ask("POST", _path(device, "set"), {"external_id": external_id, "value": _state(state)})

    receipt = ask(settings.config(), work)
    if as_json:
        print_json(receipt)
        return
    click.echo(
        f"{receipt['outcome']} ({receipt['id']})" + (f": {receipt['warning']}" if receipt.get("warning") else "")
    )
    for target in receipt.get("targets", ()):
        click.echo(
            f"  {target['target']}: {target['state']}" + (f", {target['reason']}" if target.get("reason") else "")
        )


def _state(given: str) -> float | bool | str:
    if given.lower() in WORDS:
        return WORDS[given.lower()]
    try:
        return float(given)
    except ValueError:
        return given


async def _device_of(client: Client, external_id: str) -> str:
    for device in await client.ask("GET", "/api/devices"):
        for feature in device["features"]:
            if external_id == feature["external_id"] or external_id in feature["aliases"]:
                found: str = device["id"]
                return found
    raise RequestError(404, "DEVICE_FEATURE_NOT_FOUND", f"No device feature {external_id!r} is known here.")


@devices.command()
@click.argument("external_id")
@click.option("--key", "keys", multiple=True, help="The id of a key that may command it. [default: every key]")
@click.option("--remove", is_flag=True, help="Take every exposure of it back.")
@click.pass_obj
def expose(settings: Settings, external_id: str, keys: tuple[str, ...], remove: bool) -> None:
    """Let phones command a feature from outside, or with --remove no longer.

    Locks, garage doors, alarms and covers need --key.
    """
    work: Callable[[Client], Awaitable[Any]]
    if remove:
        work = lambda client: client.ask("DELETE", f"/api/expose?external_id={quote(external_id, safe='')}")  # noqa: E731
    else:
        work = lambda client: client.ask("POST", "/api/expose", {"external_id": external_id, "key_ids": keys})  # noqa: E731
    ask(settings.config(), work)
    who = "no key" if remove else ", ".join(keys) or "every key"
    click.echo(f"{external_id} may be commanded by {who} from outside now.")
