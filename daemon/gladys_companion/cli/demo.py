"""``demo``: gateway, daemon and simulated devices in one process, and an event on its way to each of them."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from gladys_companion import logs
from gladys_companion.cli.demo_home import Demo, Shown, open_demo
from gladys_companion.cli.output import duration, print_json, print_table
from gladys_companion.cli.serve import serve

__all__ = ["demo"]


@click.command()
@click.option("--once", is_flag=True, help="End after the first events; exit 0 only if every hop worked.")
@click.option("--json", "as_json", is_flag=True, help="Print the traces as JSON.")
def demo(once: bool, as_json: bool) -> None:
    """Show the whole path on this machine: a phone's events go to a gateway, home, and switch simulated devices.

    A WLED lamp, a Shelly plug and an Elgato light, found by mDNS. Everything runs in this process, in a temporary
    directory, on free ports of 127.0.0.1; nothing is announced on your network. It stays until Ctrl-C, so that you can
    try things.
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
                click.echo("Starting a gateway, a home, a lamp, a plug and a light ...")
            running = await stack.enter_async_context(open_demo(Path(directory)))
            traces = [await running.send(device, state=1) for device in running.devices]
            worked += [trace["ok"] for trace in traces]
            if as_json:
                print_json({**traces[0], "ok": all(worked), "others": traces[1:]})
            else:
                for trace in traces:
                    _print(trace)
                click.echo("\nEvery hop worked." if all(worked) else "\nIt did not get through.")
            if not once:
                await _stay(running, as_json=as_json)


def _print(trace: dict[str, Any]) -> None:
    click.echo(f"\nA phone says: {trace['external_id']} = 1\n")
    rows = ((hop["hop"], duration(hop["ms"]), "yes" if hop["ok"] else "NO", hop["says"]) for hop in trace["hops"])
    print_table(("HOP", "AFTER", "OK", "WHAT"), rows, "")


async def _stay(running: Demo, *, as_json: bool) -> None:
    # With --json what is not the traces goes to stderr, so that a program can read the rest.
    others = " or ".join(device.alias for device in running.devices[1:])
    click.echo(f"\nLook:  {running.page}", err=as_json)
    click.echo(f"\nTry:   curl {running.url}/v1/api/device/state/{running.key} \\", err=as_json)
    click.echo(
        f"""         -d '{{"device_feature_external_id": "{running.devices[0].alias}", "state": 0}}'""", err=as_json
    )
    click.echo(f"       or with {others}", err=as_json)
    click.echo("\nThe devices (Ctrl-C ends all this):", err=as_json)
    async with asyncio.TaskGroup() as group:
        for device in running.devices:
            group.create_task(_watch(device, as_json=as_json), name=device.what)


async def _watch(device: Shown, *, as_json: bool) -> None:
    while True:
        on = device.is_on()
        click.echo(f"  {device.what} {device.says()}", err=as_json)
        await device.until(lambda _: device.is_on() != on)  # noqa: B023 - awaited at once
