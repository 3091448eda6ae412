"""``sim``: simulated devices, to try things with."""

from __future__ import annotations

import asyncio
import contextlib

import click
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.cli.serve import serve
from gladys_companion.sim.wled import Lamp, open_wled

__all__ = ["sim"]


@click.group()
def sim() -> None:
    """Run a simulated device."""


@sim.command()
@click.option("--mac", default="a8032ab12345", show_default=True, help="Its identity, 12 hex digits.")
@click.option("--name", default="WLED", show_default=True, help="Its name.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on and to announce.")
@click.option("--port", default=0, show_default="a free one", type=click.IntRange(0, 65535), help="The port.")
def wled(mac: str, name: str, host: str, port: int) -> None:
    """Run a lamp that speaks WLED, announced by mDNS on the network of --host only; prints its changes."""
    try:
        serve(_lamp(mac, name, host, port))
    except (ValueError, OSError) as error:
        raise click.UsageError(f"{error}") from error


async def _lamp(mac: str, name: str, host: str, port: int) -> None:
    async with contextlib.AsyncExitStack() as stack:
        zeroconf = AsyncZeroconf(interfaces=[host])
        stack.push_async_callback(zeroconf.async_close)
        lamp = await stack.enter_async_context(open_wled(mac=mac, name=name, host=host, port=port, zeroconf=zeroconf))
        click.echo(f"{lamp.name} ({lamp.mac}) is a lamp at http://{lamp.address}:{lamp.port}/json, until Ctrl-C.")
        while True:
            await _tell(lamp)


async def _tell(lamp: Lamp) -> None:
    """Print the lamp's state, and wait until it is another."""
    state = lamp.state
    click.echo(f"{'on' if state['on'] else 'off'}, brightness {state['bri']} of 255")
    while lamp.state is state or (lamp.state["on"], lamp.state["bri"]) == (state["on"], state["bri"]):
        before = lamp.state
        await lamp.until(lambda one: one.state is not before)  # noqa: B023 - awaited at once
        await asyncio.sleep(0)
