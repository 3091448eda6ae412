"""``events``: list, show, follow, replay."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import click
import msgspec

from gladys_companion.cli.client import ANSWER_WITHIN
from gladys_companion.cli.daemon import ask, running
from gladys_companion.cli.output import (
    json_option,
    print_json,
    print_receipt,
    print_table,
    print_trace,
    table,
    value,
    when,
)
from gladys_companion.cli.settings import Settings

__all__ = ["events"]

HEADS = ("AT", "FROM", "FOR", "VALUE", "OUTCOME", "ID")


def _row(event: Mapping[str, Any]) -> tuple[object, ...]:
    outcome = event["state"] if event["state"] != "planned" else event["outcome"]
    return (
        when(event["at"]),
        event["origin"],
        event["external_id"] or event["kind"],
        value(event),
        outcome,
        event["id"],
    )


@click.group()
def events() -> None:
    """See what came in, and what became of it."""


@events.command("list")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@click.option("--state", type=click.Choice(["planned", "unbound", "rejected", "quarantined"]), help="Only these.")
@click.option("--external-id", help="Only those sent to this id.")
@json_option
@click.pass_obj
def list_(
    settings: Settings,
    limit: int,
    state: str | None,
    external_id: str | None,
    as_json: bool,
) -> None:
    """List the latest events, newest first."""
    wanted = {"limit": limit, "state": state, "external_id": external_id}
    query = urlencode({name: one for name, one in wanted.items() if one is not None})
    found = ask(settings.config(), lambda client: client.ask("GET", f"/api/events?{query}"))
    if as_json:
        print_json(found)
    else:
        print_table(HEADS, map(_row, found), "Nothing yet.")


@events.command()
@click.argument("event_id", metavar="ID")
@json_option
@click.pass_obj
def show(settings: Settings, event_id: str, as_json: bool) -> None:
    """Show one event hop by hop."""
    found = ask(settings.config(), lambda client: client.ask("GET", f"/api/events/{quote(event_id, safe='')}"))
    if as_json:
        print_json(found)
    else:
        print_trace(found)


@events.command()
@json_option
@click.pass_obj
def follow(settings: Settings, as_json: bool) -> None:
    """Print events as they come, and again when their outcome changes; one JSON object a line with --json."""

    async def whole() -> None:
        async with running(settings.config()) as client:
            async for event in client.follow("/api/events/stream"):
                click.echo(msgspec.json.encode(event) if as_json else table(HEADS, [_row(event)])[1])

    asyncio.run(whole())


@events.command()
@click.argument("event_id", metavar="ID")
@json_option
@click.pass_obj
def replay(settings: Settings, event_id: str, as_json: bool) -> None:
    """Send an event's content again, now, as a new event."""
    path = f"/api/events/{quote(event_id, safe='')}/replay"
    config = settings.config()
    within = ANSWER_WITHIN + config.link.settle_within
    receipt = ask(config, lambda client: client.ask("POST", path, within=within))
    if as_json:
        print_json(receipt)
    else:
        print_receipt(receipt)
