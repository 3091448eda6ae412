"""``scan``: what announces itself on the network, and what became of it."""

from __future__ import annotations

import asyncio
import tempfile
from typing import Any

import click
import msgspec
from msgspec.structs import replace

from gladys_companion import logs
from gladys_companion.app import open_daemon
from gladys_companion.cli.client import connect
from gladys_companion.cli.output import json_option, print_json, print_table
from gladys_companion.cli.settings import Settings
from gladys_companion.config import Config, Local
from gladys_companion.web import socket_path

__all__ = ["scan"]


@click.command()
@click.option("--seconds", default=5.0, show_default=True, type=click.FloatRange(1, 60), help="How long to look.")
@json_option
@click.pass_obj
def scan(settings: Settings, seconds: float, as_json: bool) -> None:
    """Look for devices on the network, now: what announces itself by mDNS, and what became of it.

    A running daemon is asked what it sees; without one the command looks for itself, and keeps nothing.
    """
    found = asyncio.run(_scan(settings.config(), seconds))
    if as_json:
        print_json(found)
        return
    rows = ((one["name"], one["type"], _where(one), one["driver"] or "", one["state"], one["says"]) for one in found)
    print_table(("NAME", "SERVICE", "AT", "DRIVER", "STATE", ""), rows, "Nothing announces itself here.")


def _where(seen: dict[str, Any]) -> str:
    service = seen["service"]
    return f"{service['addresses'][0]}:{service['port']}" if service and service["addresses"] else ""


async def _scan(config: Config, seconds: float) -> list[dict[str, Any]]:
    async with connect(socket_path(config)) as client:
        if client is not None:
            seen: list[dict[str, Any]] = await client.ask("GET", "/api/scan")
            return seen
    logs.configure("error")
    with tempfile.TemporaryDirectory(prefix="gladys-companion-") as directory:
        nowhere = replace(
            config,
            state_directory=directory,
            runtime_directory=directory,
            local=Local(listen="127.0.0.1:0"),
            sinks={},
        )
        async with open_daemon(nowhere) as daemon:
            await daemon.opened.wait()
            await asyncio.sleep(seconds)
            found: list[dict[str, Any]] = msgspec.to_builtins(daemon.scan())
            return found
