"""``status``, ``pair`` and ``unpair``."""

from __future__ import annotations

import asyncio
import platform
from typing import Any

import click

from gladys_companion.cli.daemon import ask, running
from gladys_companion.cli.output import json_option, print_json, print_table, when
from gladys_companion.cli.settings import Settings
from gladys_companion.config import Config
from gladys_companion.errors import Unavailable
from gladys_companion.web.doctor import counted

__all__ = ["pair", "status", "unpair"]

PAIR_WITHIN = 30.0  # the gateway has 20 s to answer


@click.command()
@json_option
@click.pass_obj
def status(settings: Settings, as_json: bool) -> None:
    """Say how the running daemon is; exit code 69 when none runs."""
    try:
        found = asyncio.run(_status(settings.config()))
    except Unavailable:
        if as_json:
            print_json({"running": False})
        raise
    if as_json:
        print_json(found)
    else:
        print_table(("PART", "STATE", ""), _rows(found), "")


async def _status(config: Config) -> dict[str, Any]:
    async with running(config) as client:
        found: dict[str, Any] = await client.ask("GET", "/api/status")
        return found


def _rows(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    link, mdns, counts = found["link"], found["mdns"], found["counts"]
    url, why = link["url"] or "", link["reason"] or ""
    rows = [
        ("daemon", "running", f"version {found['version']}, pid {found['pid']}, since {when(found['started_at'])}"),
        ("gateway", link["state"], " ".join(filter(None, (url if url not in why else "", why)))),
        ("discovery", mdns["state"], mdns["reason"] or f"{counted(mdns['services'], 'service')} seen"),
    ]
    if found["inline"] is not None:
        rows.append(_inline(found["inline"]))
    rows += [(one["name"], one["status"], one["reason"] or "") for one in found["plugins"]]
    if counts is None:
        rows.append(("store", "failing", found["store"]))
    else:
        things = [counted(counts[f"{one}s"], one) for one in ("device", "feature", "event")]
        waiting = counted(counts["pending"], "delivery", "deliveries")
        rows.append(("store", "open", ", ".join((*things, f"{counts['unbound']} unbound", f"{waiting} waiting"))))
    rows += [("device", "silent", says) for says in found["troubles"]]
    return rows


def _inline(inline: dict[str, Any]) -> tuple[str, str, str]:
    if inline["state"] == "unknown":
        return ("plus", "waiting", f"for Gladys, on {inline['listen']}")
    gladys = "Gladys is connected" if inline["gladys"] else f"Gladys is not connected to {inline['listen']}"
    return ("plus", inline["state"], ": ".join(filter(None, (f"{inline['upstream']}; {gladys}", inline["reason"]))))


@click.command()
@click.argument("url")
@click.option("--code", help="The pairing code; asked for if not given, so that it stays out of the shell's history.")
@click.option(
    "--name", default=platform.node() or "companion", help="How the gateway is to list it. [default: the host name]"
)
@click.option("--take-over", is_flag=True, help="Gladys Plus: even if the account has a Gladys.")
@click.option("--yes", is_flag=True, help="Gladys Plus: do not ask whether to go on.")
@json_option
@click.pass_obj
def pair(settings: Settings, url: str, code: str | None, name: str, take_over: bool, yes: bool, as_json: bool) -> None:
    """Pair this home with the gateway at URL.

    The code comes from the gateway: `gladys-companion gateway home pair-code HOME`. It lasts 10 minutes. At Gladys Plus
    (https://api.gladysgateway.com) you log in instead, and the companion becomes an instance of its own.
    """
    from gladys_companion.cli.own_instance import (  # noqa: PLC0415 - half a second to import, which others need not
        pair_by_login,
        wants_login,
    )

    config = settings.config()
    if code is None and asyncio.run(wants_login(config, url)):
        found = asyncio.run(pair_by_login(config, url, name, take_over=take_over, yes=yes))
    else:
        wish = {"url": url, "code": code or click.prompt("Pairing code", type=str), "name": name[:100]}
        found = ask(config, lambda client: client.ask("POST", "/api/pair", wish, within=PAIR_WITHIN))
    if as_json:
        print_json(found)
    else:
        click.echo(f"This home is {found['home_name']!r} at {found['url']} now.")
        if found["warning"]:
            click.echo(f"WARNING: {found['warning']}", err=True)


@click.command()
@click.pass_obj
def unpair(settings: Settings) -> None:
    """Forget the gateway: disconnect, and delete the token.

    Devices, aliases and events stay. The gateway is told, so that it waits for this home no more.
    """
    found = ask(settings.config(), lambda client: client.ask("POST", "/api/unpair"))
    click.echo("This home is not paired with a gateway any more.")
    if found["warning"]:
        click.echo(f"WARNING: {found['warning']}", err=True)
