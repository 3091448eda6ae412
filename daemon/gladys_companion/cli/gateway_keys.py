"""``gateway key``: the keys that phones post with."""

from __future__ import annotations

import re
import time
from typing import Any

import click

from gladys_companion.cli.gateway_admin import home_option, operate
from gladys_companion.cli.output import json_option, print_json, print_table, when
from gladys_companion.cli.settings import Settings

__all__ = ["key"]

UNITS = {"h": 3_600, "d": 86_400, "w": 604_800}


@click.group()
def key() -> None:
    """The keys that phones post with."""


@key.command("list")
@home_option
@json_option
@click.pass_obj
def key_list(settings: Settings, home: str | None, as_json: bool) -> None:
    """List the keys of a home, without their secrets."""
    found = operate(settings, "key.list", home=home)
    if as_json:
        print_json(found)
        return
    rows = (
        (
            one["name"],
            f"{one['prefix']}...",
            _key_state(one),
            ", ".join(one["scopes"]),
            "any" if one.get("allowed_ids") is None else ", ".join(one["allowed_ids"]),
            when(one.get("last_used")) or "never",
            one["id"],
        )
        for one in found
    )
    print_table(("KEY", "BEGINS", "STATE", "MAY POST", "TO", "LAST USED", "ID"), rows, "No keys yet.")


def _key_state(one: dict[str, Any]) -> str:
    if one.get("revoked_at"):
        return f"revoked {when(one['revoked_at'])}"
    if one.get("expires_at"):
        return f"{'expired' if one['expires_at'] <= time.time() else 'until'} {when(one['expires_at'])}"
    return "rotating" if one.get("old_secret_until") else "valid"


@key.command("create")
@click.argument("name")
@home_option
@click.option("--scope", "scopes", multiple=True, help="state, location, event or message. [default: all of them]")
@click.option("--allow", "allowed", multiple=True, help="An external id that it may post to. [default: any]")
@click.option("--expires", metavar="AFTER", help="After how long it ends, such as 12h, 30d or 8w. [default: never]")
@json_option
@click.pass_obj
def key_create(
    settings: Settings,
    name: str,
    home: str | None,
    scopes: tuple[str, ...],
    allowed: tuple[str, ...],
    expires: str | None,
    as_json: bool,
) -> None:
    """Make a key NAME for a phone. It is shown this once."""
    wish: dict[str, Any] = {"name": name, "home": home, "expires_at": _moment(expires)}
    if scopes:
        wish["scopes"] = scopes
    if allowed:
        wish["allowed_ids"] = allowed
    found = operate(settings, "key.create", **wish)
    _print_secret(settings, found, as_json=as_json)


def _moment(after: str | None) -> float | None:
    if after is None:
        return None
    match = re.fullmatch(r"(\d{1,6})([hdw])", after)
    if match is None:
        raise click.BadParameter("say how long, such as 12h, 30d or 8w", param_hint="--expires")
    return time.time() + int(match[1]) * UNITS[match[2]]


def _print_secret(settings: Settings, found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    url = settings.config().gateway.public_url or f"http://{settings.config().gateway.listen}"
    click.echo(f"The key of {found['key']['name']!r}, shown this once:\n\n  {found['secret']}\n")
    click.echo(f"The phone posts to {url}/v1/api/device/state/KEY")


@key.command("rename")
@click.argument("key_", metavar="KEY")
@click.argument("name")
@home_option
@click.pass_obj
def key_rename(settings: Settings, key_: str, name: str, home: str | None) -> None:
    """Call KEY (id or name) NAME from now on."""
    found = operate(settings, "key.rename", key=key_, name=name, home=home)
    click.echo(f"{found['id']} is called {found['name']!r} now.")


@key.command("rotate")
@click.argument("key_", metavar="KEY")
@home_option
@json_option
@click.pass_obj
def key_rotate(settings: Settings, key_: str, home: str | None, as_json: bool) -> None:
    """Make a new secret for KEY; the old one stays valid until the new one's first use, at most 7 days."""
    found = operate(settings, "key.rotate", key=key_, home=home)
    _print_secret(settings, found, as_json=as_json)


@key.command("revoke")
@click.argument("key_", metavar="KEY")
@home_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def key_revoke(settings: Settings, key_: str, home: str | None, yes: bool) -> None:
    """Refuse KEY from now on. An iPhone deletes what it can not deliver: give it its new key first (`rotate`)."""
    if not yes:
        click.confirm(f"Revoke {key_}? What its phone can not deliver may be lost", abort=True)
    found = operate(settings, "key.revoke", key=key_, home=home)
    click.echo(f"The key {found['key']['name']!r} is revoked. {found['warning']}")
