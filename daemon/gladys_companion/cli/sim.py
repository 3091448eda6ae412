"""``sim``: simulated devices, to try things with.

A device is a command of its own below: ``located`` gives it the options that all have, ``show`` runs it. One that needs
more than the program's own dependencies is imported inside its command.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import math
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, ParamSpec, TypeVar

import click
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.cli.serve import serve
from gladys_companion.cli.sim_phone import phone
from gladys_companion.sim._device import SimulatedDevice
from gladys_companion.sim._shelly_rpc import KINDS
from gladys_companion.sim.elgato import ElgatoLight, open_elgato
from gladys_companion.sim.hue import HueBridge, open_hue
from gladys_companion.sim.shelly_gen1 import Shelly as ShellyGen1
from gladys_companion.sim.shelly_gen1 import open_shelly_gen1
from gladys_companion.sim.shelly_gen2 import Shelly as ShellyGen2
from gladys_companion.sim.shelly_gen2 import open_shelly_gen2
from gladys_companion.sim.tasmota import Shape, Tasmota, open_tasmota
from gladys_companion.sim.wled import Lamp, open_wled

__all__ = ["sim"]

SHUTTER_TAKES = 2.0

P = ParamSpec("P")
D = TypeVar("D", bound=SimulatedDevice)


@click.group()
def sim() -> None:
    """Run a simulated device."""


sim.add_command(phone)


def located(*, mac: str, name: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Give a command the options ``--mac``, ``--name``, ``--host`` and ``--port``, with these defaults."""

    def decorate(command: Callable[P, None]) -> Callable[P, None]:
        for option in (
            click.option(
                "--port", default=0, show_default="a free one", type=click.IntRange(0, 65535), help="The port."
            ),
            click.option(
                "--host", default="127.0.0.1", show_default=True, help="The address to listen on and to announce."
            ),
            click.option("--name", default=name, show_default=True, help="Its name."),
            click.option("--mac", default=mac, show_default=True, help="Its identity, 12 hex digits."),
        ):
            command = option(command)
        return command

    return decorate


def show(
    opened: Callable[..., AbstractAsyncContextManager[D]],
    *,
    greeting: Callable[[D], str],
    state: Callable[[D], str],
    host: str,
    **options: Any,
) -> None:
    """Run what ``opened(host=, zeroconf=, **options)`` opens until Ctrl-C; print ``greeting``, and each new ``state``.

    Raises:
        click.UsageError: an option is not what it must be, or the address can not be listened on.
    """
    try:
        serve(_shown(opened, greeting, state, host, options))
    except (ValueError, OSError) as error:
        raise click.UsageError(f"{error}") from error


async def _shown(
    opened: Callable[..., AbstractAsyncContextManager[D]],
    greeting: Callable[[D], str],
    state: Callable[[D], str],
    host: str,
    options: dict[str, Any],
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        zeroconf = AsyncZeroconf(interfaces=[host])
        stack.push_async_callback(zeroconf.async_close)
        device = await stack.enter_async_context(opened(host=host, zeroconf=zeroconf, **options))
        click.echo(f"{greeting(device)}, until Ctrl-C.")
        while True:
            now = state(device)
            click.echo(now)
            await device.until(lambda one: state(one) != now)  # noqa: B023 - awaited at once


@sim.command()
@located(mac="a8032ab12345", name="WLED")
def wled(**options: Any) -> None:
    """Run a lamp that speaks WLED, announced by mDNS on the network of --host only; prints its changes."""

    def greeting(lamp: Lamp) -> str:
        return f"{lamp.name} ({lamp.mac}) is a lamp at http://{lamp.address}:{lamp.port}/json"

    def state(lamp: Lamp) -> str:
        return f"{'on' if lamp.state['on'] else 'off'}, brightness {lamp.state['bri']} of 255"

    show(open_wled, greeting=greeting, state=state, **options)


@sim.command()
@located(mac="3c6a9d14d765", name="Elgato")
@click.option(
    "--kind",
    type=click.Choice(["key-light", "light-strip"]),
    default="key-light",
    show_default=True,
    help="White, or with colours.",
)
def elgato(**options: Any) -> None:
    """Run an Elgato light, announced by mDNS on the network of --host only; prints its changes."""

    def greeting(light: ElgatoLight) -> str:
        return f"{light.name} ({light.mac}) is a light at http://{light.address}:{light.port}/elgato/lights"

    def state(light: ElgatoLight) -> str:
        now = light.state
        shines = f"temperature {now['temperature']}" if "temperature" in now else f"hue {now['hue']:g}"
        return f"{'on' if now['on'] else 'off'}, brightness {now['brightness']} of 100, {shines}"

    show(open_elgato, greeting=greeting, state=state, **options)


@sim.command()
@located(mac="0017880a1b2c", name="Hue Bridge")
def hue(**options: Any) -> None:
    """Run a Hue bridge with lamps and sensors, announced by mDNS on the network of --host only; prints its lamps.

    Its round button is always pressed, so that it can be paired at any time. Needs the package cryptography.
    """
    if importlib.util.find_spec("cryptography") is None:
        raise click.UsageError("It makes a certificate of its own, which needs a package: `pip install cryptography`.")

    def greeting(bridge: HueBridge) -> str:
        bridge.press_link_button(math.inf)
        return f"{bridge.name} ({bridge.mac}) is a bridge at https://{bridge.address}:{bridge.port}/api/config"

    def state(bridge: HueBridge) -> str:
        lights = [one for one in bridge.resources.values() if one["type"] == "light"]
        return ", ".join(f"{one['metadata']['name']} {'on' if one['on']['on'] else 'off'}" for one in lights)

    show(open_hue, greeting=greeting, state=state, **options)


def shelly(command: Callable[P, None]) -> Callable[P, None]:
    """Give a command what both generations of Shelly have in common."""
    command = click.option("--travel", default=10.0, show_default=True, help="Seconds that a cover takes.")(command)
    command = click.option("--password", help="The password of the user admin; without, it is open to all.")(command)
    kinds = click.Choice(KINDS)
    return click.option("--kind", type=kinds, default="switch", show_default=True, help="What hangs on it.")(command)


@sim.command()
@located(mac="a8032ab10001", name="Shelly")
@shelly
def shelly_gen1(**options: Any) -> None:
    """Run a Shelly Gen1, announced by mDNS on the network of --host only; prints its changes."""

    def greeting(one: ShellyGen1) -> str:
        return f"{one.name} ({one.id}) is a Shelly Gen1 at http://{one.address}:{one.port}/status"

    show(open_shelly_gen1, greeting=greeting, state=lambda one: _members(one.state), **options)


@sim.command()
@located(mac="a8032ab20001", name="Shelly Plus")
@shelly
def shelly_gen2(**options: Any) -> None:
    """Run a Shelly Gen2, announced by mDNS on the network of --host only; prints its changes."""

    def greeting(one: ShellyGen2) -> str:
        return f"{one.name} ({one.id}) is a Shelly Gen2 at http://{one.address}:{one.port}/rpc/Shelly.GetStatus"

    show(open_shelly_gen2, greeting=greeting, state=lambda one: _members(one.status[one.part]), **options)


TASMOTAS = {
    "plug": Shape(sensors={"ENERGY": {"Total": 1.5, "Power": 12, "Voltage": 230}}),
    "lamp": Shape(relays=0, light=5),
    "shutter": Shape(relays=0, shutters=1),
}


@sim.command()
@click.option("--mac", default="a8032ac12345", show_default=True, help="Its identity, 12 hex digits.")
@click.option("--name", default="Tasmota", show_default=True, help="Its name.")
@click.option("--broker", default="127.0.0.1:1883", show_default=True, help="The MQTT broker, which lets anybody in.")
@click.option("--kind", type=click.Choice(list(TASMOTAS)), default="plug", show_default=True, help="What it is.")
def tasmota(mac: str, name: str, broker: str, kind: str) -> None:
    """Run a Tasmota device at an MQTT broker; prints its changes."""
    host, _, port = broker.rpartition(":")
    if not host or not port.isdecimal():
        raise click.UsageError(f"{broker!r} is not a host and a port, such as 127.0.0.1:1883.")
    try:
        serve(_tasmota(open_tasmota(broker=(host, int(port)), mac=mac, name=name, shape=TASMOTAS[kind]), broker))
    except ValueError as error:
        raise click.UsageError(f"{error}") from error


async def _tasmota(opened: AbstractAsyncContextManager[Tasmota], broker: str) -> None:
    async with opened as device:
        click.echo(f"{device.name} ({device.mac}) is a Tasmota at the broker {broker}, until Ctrl-C.")
        while True:
            state, connected = device.state, device.connected
            click.echo(f"{_parts_of(device)}{'' if connected else ' (the broker is away)'}")
            if any(shutter.direction for shutter in state.shutters):
                await asyncio.sleep(SHUTTER_TAKES)
                await device.arrive()
            await device.until(lambda one: (one.state, one.connected) != (state, connected))  # noqa: B023 - awaited at once


def _parts_of(device: Tasmota) -> str:
    state, shape = device.state, device.shape
    told = [f"position {shutter.position}, going to {shutter.target}" for shutter in state.shutters]
    if not shape.shutters:
        told.append("on" if state.powers[0] else "off")
    if shape.light:
        told.append(f"dimmer {state.light.dimmer}, hue {state.light.hue}, saturation {state.light.saturation}")
    return ", ".join(told)


def _members(state: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in state.items() if name != "id" and not isinstance(value, dict))
