"""``demo``: gateway, daemon and a simulated lamp in one process, and an event on its way through all of them."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from gladys_companion import logs
from gladys_companion.cli.demo_home import ALIAS, Demo, open_demo
from gladys_companion.cli.output import duration, print_json, print_table
from gladys_companion.cli.serve import serve

__all__ = ["demo"]


@click.command()
@click.option("--once", is_flag=True, help="End after the first event; exit 0 only if every hop worked.")
@click.option("--json", "as_json", is_flag=True, help="Print the trace as JSON.")
def demo(once: bool, as_json: bool) -> None:
    """Show the whole path on this machine: a phone's event goes to a gateway, home, and switches a simulated lamp.

    Everything runs in this process, in a temporary directory, on free ports of 127.0.0.1; nothing is announced on your
    network. It stays until Ctrl-C, so that you can try things.
    """
    logs.configure("error")
    worked: list[bool] = []
    serve(_run(worked, once=once, as_json=as_json))
    if once and not all(worked or [False]):
        sys.exit(1)


async def _run(worked: list[bool], *, once: bool, as_json: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="gladys-companion-demo-") as directory:
        async with contextlib.AsyncExitStack() as stack:
            if not as_json:
                click.echo("Starting a gateway, a home and a lamp ...")
            running = await stack.enter_async_context(open_demo(Path(directory)))
            trace = await running.send(state=1)
            worked.append(trace["ok"])
            if as_json:
                print_json(trace)
            else:
                _print(trace)
            if not once:
                await _stay(running, as_json=as_json)


def _print(trace: dict[str, Any]) -> None:
    click.echo(f"\nA phone says: {ALIAS} = 1\n")
    rows = ((hop["hop"], duration(hop["ms"]), "yes" if hop["ok"] else "NO", hop["says"]) for hop in trace["hops"])
    print_table(("HOP", "AFTER", "OK", "WHAT"), rows, "")
    click.echo(f"\n{'Every hop worked.' if trace['ok'] else 'It did not get through.'}")


async def _stay(running: Demo, *, as_json: bool) -> None:
    # With --json what is not the trace goes to stderr, so that a program can read the rest.
    click.echo(f"\nLook:  {running.page}", err=as_json)
    click.echo(f"\nTry:   curl {running.url}/v1/api/device/state/{running.key} \\", err=as_json)
    click.echo(f"""         -d '{{"device_feature_external_id": "{ALIAS}", "state": 0}}'""", err=as_json)
    click.echo("\nThe lamp (Ctrl-C ends all this):", err=as_json)
    while True:
        state = running.lamp.state
        click.echo(f"  {'on' if state['on'] else 'off'}, brightness {state['bri']} of 255", err=as_json)
        await running.changed()
