"""``people phones``, ``add-phone``, ``phone``, ``remove-phone`` and ``passphrase``: what people carry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import click

from gladys_companion.cli.client import Client
from gladys_companion.cli.daemon import ask
from gladys_companion.cli.names import find_named
from gladys_companion.cli.output import json_option, print_json, print_qr, print_table, when
from gladys_companion.cli.settings import Settings
from gladys_companion.protocol.owntracks.remote import configuration_link, encryption, new_key

__all__ = ["PHONE_COMMANDS"]

APPS = ("owntracks", "overland", "osmand", "traccar", "plus")


def _path(phone_id: str, *more: str) -> str:
    return "/".join(("/api/phones", quote(phone_id, safe=""), *more))


def _names(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options by which a phone is known."""
    for option in (
        click.option("--mdns", "devices", multiple=True, help="A device that is this thing on the network, by its id."),
        click.option("--feature", "features", multiple=True, help="An external id that says whether it is at home."),
        click.option("--key", help="The id or name of its key at the gateway, and no other."),
        click.option("--app", type=click.Choice(APPS), help="The app that tells where it is, and no other."),
        click.option("--device", help="The device that its app says to be."),
        click.option("--user", help="The user that its app says to be."),
    ):
        command = option(command)
    return command


@click.command()
@json_option
@click.pass_obj
def phones(settings: Settings, as_json: bool) -> None:
    """List what people carry, and what is nobody's yet."""
    found = ask(settings.config(), lambda client: client.ask("GET", "/api/phones"))
    if as_json:
        print_json(found)
        return
    rows = (
        (one["id"], one["person"] or "(nobody)", _known_by(one), when(one["heard_at"]), _kept(one)) for one in found
    )
    print_table(("PHONE", "OF", "KNOWN BY", "LAST HEARD", ""), rows, "No phone has told where it is yet.")


def _known_by(phone: dict[str, Any]) -> str:
    words = [f"{name} {phone[name]}" for name in ("app", "user", "device") if phone[name]]
    words += [f"key {phone['key_id']}"] if phone["key_id"] else []
    return ", ".join((*words, *phone["features"], *phone["devices"]))


def _kept(phone: dict[str, Any]) -> str:
    says = []
    if phone["kept"].get("sealed"):
        says.append(f"{phone['kept']['sealed']} kept until `people passphrase {phone['id']}`")
    if phone["kept"].get("nobody"):
        says.append(f"{phone['kept']['nobody']} kept until `people phone {phone['id']} --person NAME`")
    return "; ".join(says) or ("encrypted" if phone["sealed"] else "")


async def _person(client: Client, name: str | None) -> str | None:
    return str((await find_named(client, "person", name))["id"]) if name else None


@click.command("add-phone")
@click.argument("name")
@click.option("--person", required=True, help="Who carries it.")
@click.option("--id", "phone_id", help="What commands and features call it. [default: made of the name]")
@_names
@json_option
@click.pass_obj
def add_phone(settings: Settings, /, name: str, person: str, phone_id: str | None, as_json: bool, **known: Any) -> None:
    """Announce a phone (or anything that a person carries) by what it calls itself; what is left out may be any."""

    async def work(client: Client) -> dict[str, Any]:
        wish = {"name": name, "id": phone_id, "person": await _person(client, person), **known}
        found: dict[str, Any] = await client.ask("POST", "/api/phones", wish)
        return found

    _tell(ask(settings.config(), work), as_json=as_json)


@click.command()
@click.argument("phone")
@click.option("--person", help="Who carries it.")
@click.option("--nobody", is_flag=True, help="Nobody does: what it tells moves nobody.")
@click.option("--name", help="Call it so.")
@_names
@json_option
@click.pass_obj
def phone(settings: Settings, /, phone: str, person: str | None, nobody: bool, as_json: bool, **changes: Any) -> None:
    """Say whose PHONE is, or change what it is known by; an empty text is any. What was kept for it counts then."""
    if nobody and person:
        raise click.UsageError("It is either somebody's or nobody's: give --person or --nobody.")
    wish = {name: change or None for name, change in changes.items() if change not in (None, ())}
    if not (wish or person or nobody):
        raise click.UsageError("Say whose it is, with --person or --nobody, or what is to be otherwise.")

    async def work(client: Client) -> dict[str, Any]:
        known = await find_named(client, "phone", phone)
        if person or nobody:
            wish["person"] = await _person(client, person)
        found: dict[str, Any] = await client.ask("PATCH", _path(known["id"]), wish)
        return found

    _tell(ask(settings.config(), work), as_json=as_json)


def _tell(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    whose = f"carried by {found['person']}" if found["person"] else "nobody's"
    click.echo(f"{found['name']} ({found['id']}) is {whose}; known by {_known_by(found) or 'nothing that it says'}.")


@click.command("remove-phone")
@click.argument("phone")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def remove_phone(settings: Settings, phone: str, yes: bool) -> None:
    """Forget PHONE with its positions. Its next message makes it known again, as nobody's."""
    known = ask(settings.config(), lambda client: find_named(client, "phone", phone))
    if not yes:
        click.confirm(f"Forget {known['name']} ({known['id']}) with its positions?", abort=True)
    ask(settings.config(), lambda client: client.ask("DELETE", _path(known["id"])))
    click.echo(f"{known['name']} is forgotten.")


@click.command()
@click.argument("phone")
@click.option("--passphrase", help="Asked for if not given, and so kept out of the shell's history.")
@click.option("--new", is_flag=True, help="Make one, and show it as a QR code for OwnTracks on the phone.")
@click.option("--remove", is_flag=True, help="Forget it: its messages are not encrypted any more.")
@click.pass_obj
def passphrase(settings: Settings, phone: str, passphrase: str | None, new: bool, remove: bool) -> None:
    """Give the encryption key that the app on PHONE has. It is shown nowhere; what was kept is read with it."""
    if (passphrase is not None) + new + remove > 1:
        raise click.UsageError("Give one of --passphrase, --new and --remove.")
    known = ask(settings.config(), lambda client: find_named(client, "phone", phone))
    path = _path(known["id"], "passphrase")
    if remove:
        ask(settings.config(), lambda client: client.ask("DELETE", path))
        click.echo(f"The passphrase of {known['name']} is forgotten.")
        return
    if new:
        passphrase = new_key()
    given = passphrase or click.prompt("Passphrase", type=str, hide_input=True, err=True)
    found = ask(settings.config(), lambda client: client.ask("PUT", path, {"passphrase": given}))
    again = f" {found['messages']} kept messages are read again." if found["messages"] else ""
    click.echo(f"The passphrase of {known['name']} is kept.{again}")
    if new:
        _show(given)


def _show(key: str) -> None:
    print_qr(configuration_link(encryption(key)))
    click.echo(f"Let OwnTracks on the phone import this, or type it there as its encryption key: {key}")
    click.echo("It is shown this once.")


PHONE_COMMANDS: tuple[click.Command, ...] = (phones, add_phone, phone, remove_phone, passphrase)
