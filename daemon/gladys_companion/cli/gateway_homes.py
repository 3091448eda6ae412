"""``gateway home``: the homes that phones post to, and what is paired with them."""

from __future__ import annotations

import time

import click

from gladys_companion.cli.gateway_admin import home_option, operate
from gladys_companion.cli.output import json_option, print_json, print_table, when
from gladys_companion.cli.settings import Settings

__all__ = ["home"]


@click.group()
def home() -> None:
    """The homes that phones post to."""


@home.command("list")
@json_option
@click.pass_obj
def home_list(settings: Settings, as_json: bool) -> None:
    """List the homes."""
    found = operate(settings, "home.list")
    if as_json:
        print_json(found)
        return
    rows = (
        (one["name"], one["instances"], one["keys"], one["held_events"], when(one["created_at"]), one["id"])
        for one in found
    )
    heads = ("HOME", "INSTANCES", "KEYS", "HELD", "SINCE", "ID")
    print_table(heads, rows, "No home yet: make one with `gladys-companion gateway home create NAME`.")


@home.command("create")
@click.argument("name")
@json_option
@click.pass_obj
def home_create(settings: Settings, name: str, as_json: bool) -> None:
    """Make a home NAME."""
    found = operate(settings, "home.create", name=name)
    if as_json:
        print_json(found)
    else:
        click.echo(f"The home {found['name']!r} is {found['id']}.")
        click.echo(
            "Next: `gladys-companion gateway home pair-code` for its companion, `gateway key create` for phones."
        )


@home.command("pair-code")
@click.argument("name", metavar="[HOME]", required=False)
@json_option
@click.pass_obj
def home_pair_code(settings: Settings, name: str | None, as_json: bool) -> None:
    """Make a code that the home's companion is paired with: once, within 10 minutes."""
    found = operate(settings, "home.pair-code", home=name)
    if as_json:
        print_json(found)
    else:
        url = settings.config().gateway.public_url or "URL"
        minutes = (found["expires_at"] - time.time()) / 60
        click.echo(f"{found['code']}  (for {found['home_name']!r}, {minutes:.0f} minutes)")
        click.echo(f"At home: gladys-companion pair {url}")


@home.command("user")
@click.argument("gladys_user_id", metavar="GLADYS_USER_ID")
@home_option
@click.pass_obj
def home_user(settings: Settings, gladys_user_id: str, home: str | None) -> None:
    """Say who the home's user is in its Gladys, by the id there: an unmodified one needs that to take positions."""
    found = operate(settings, "home.user", home=home, gladys_user_id=gladys_user_id)
    click.echo(f"The user of {found['name']!r} is {found['gladys_user_id']} in its Gladys.")


@home.command("remove")
@click.argument("name", metavar="HOME")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def home_remove(settings: Settings, name: str, yes: bool) -> None:
    """Remove a home with its keys, its instances and everything that is held for it."""
    if not yes:
        click.confirm(f"Remove {name} with its keys and everything that is held for it?", abort=True)
    found = operate(settings, "home.remove", home=name)
    click.echo(f"The home {found['name']!r} is removed.")


@home.command("instances")
@click.argument("name", metavar="[HOME]", required=False)
@json_option
@click.pass_obj
def home_instances(settings: Settings, name: str | None, as_json: bool) -> None:
    """List what is paired with a home; events go to the primary one."""
    found = operate(settings, "instance.list", home=name)
    if as_json:
        print_json(found)
        return
    rows = (
        (
            one["name"],
            "revoked" if one.get("revoked_at") else "primary" if one["primary"] else "paired",
            "yes" if one.get("connected") else "no",
            when(one.get("last_seen")) or "never",
            one["id"],
        )
        for one in found
    )
    print_table(("INSTANCE", "STATE", "CONNECTED", "LAST SEEN", "ID"), rows, "Nothing is paired with this home yet.")


@home.command("primary")
@click.argument("instance")
@home_option
@click.pass_obj
def home_primary(settings: Settings, instance: str, home: str | None) -> None:
    """Let events go to INSTANCE (id or name) from now on."""
    found = operate(settings, "home.primary", instance=instance, home=home)
    click.echo(f"The events of {found['name']!r} go to {found['primary_instance']} now.")


@home.command("revoke")
@click.argument("instance")
@home_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def home_revoke(settings: Settings, instance: str, home: str | None, yes: bool) -> None:
    """Refuse INSTANCE (id or name) from now on; if it was the primary one, events are held until there is another."""
    if not yes:
        click.confirm(f"Revoke {instance}?", abort=True)
    found = operate(settings, "instance.revoke", instance=instance, home=home)
    click.echo(f"The instance {found['name']!r} is revoked.")
