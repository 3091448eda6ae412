"""The narrow interfaces between the middle and everything that begins or ends an event.

A plug-in implements one of these, and is named by an entry point of the group ``gladys_companion.drivers`` or
``gladys_companion.sinks`` that points at a ``Plugin``. It may raise ``Unavailable`` (tried again later) and
``Rejected`` (settled with the reason); whatever else it raises is caught at one named place and turns its status red.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Protocol, runtime_checkable

from aiohttp import ClientSession
from msgspec import Struct
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.clock import Clock
from gladys_companion.config import Gladys, Mqtt
from gladys_companion.gladys_api.household import Household
from gladys_companion.model import Delivery, Device, Event, Feature, RegistrySnapshot, Service

__all__ = [
    "Acquainted",
    "Announcing",
    "Driver",
    "Hindered",
    "Kit",
    "Pairable",
    "Plugin",
    "Secrets",
    "Source",
    "Target",
    "Trouble",
    "Troubled",
    "Wanted",
]


@runtime_checkable
class Target(Protocol):
    """Where an event ends."""

    async def deliver(self, delivery: Delivery) -> str | None:
        """Make it so, and return when that is confirmed; perhaps with a remark, which the event's trace then shows.

        Raises:
            Unavailable: not now; the delivery stays pending and is tried again.
            Rejected: never; the delivery settles with the sentence as its reason.
        """


@runtime_checkable
class Source(Protocol):
    """Where an event begins."""

    def events(self) -> AsyncIterator[Event]:
        """Yield what happens, for as long as the plug-in is open. Called once."""


@runtime_checkable
class Driver(Target, Source, Protocol):
    """Drives one kind of device. ``services`` are the mDNS types it wants to see, such as ``_wled._tcp.local.``."""

    services: Sequence[str]

    def identify(self, service: Service) -> Device | None:
        """Return the device that announces this, or None. Pure: identity and address only, nothing is asked."""

    async def describe(self, device: Device) -> Sequence[Feature]:
        """Ask the device what it can do. Must verify that it is the device it announced itself as.

        Raises:
            Unavailable: it did not answer; asked again later.
            Rejected: it is not what it says, or can not be driven; the sentence is shown to the user.
        """

    def follow(self, device: Device) -> None:
        """Take note of where a described device is now, and go on yielding its events from there. Returns at once.

        ``device.away_since`` set means it was said to have left the network; ``forget`` ends it.
        """

    def forget(self, device_id: str) -> None:
        """Stop following."""

    def discover(self) -> AsyncIterator[Device]:
        """Yield devices that do not speak mDNS, for as long as the plug-in is open; most drivers yield nothing.

        One that is yielded again is described again if its name, model, address, port or ``seen_at`` is another; one
        with ``away_since`` is gone.
        """


class Trouble(Struct, frozen=True):
    """What is wrong with a device: a sentence that says what to do, if anything, and since when (epoch seconds).

    ``reached`` says that it can be commanded all the same.
    """

    says: str
    since: float
    reached: bool = False


@runtime_checkable
class Troubled(Protocol):
    """What a driver may offer beside: to say what is wrong with the devices that it follows."""

    def trouble(self, device_id: str) -> Trouble | None:
        """Return what is wrong with a device now; None when all is well. Asks nobody."""


@runtime_checkable
class Hindered(Protocol):
    """What a plug-in may offer beside: to say what keeps all of it from working now, such as a broker that is away."""

    @property
    def hindrance(self) -> str | None:
        """A sentence that says what to do about it; None when all is well."""


@runtime_checkable
class Announcing(Protocol):
    """What a sink may offer beside: to show a device of ours to Gladys, so that its user can add it there."""

    async def announce(self, device: Device, features: Sequence[Feature]) -> Sequence[Feature]:
        """Show a device, from now on and again whenever the broker comes back; return the features that are shown.

        Raises:
            Unavailable: the broker is away.
            Rejected: nothing of the device can be shown.
        """

    async def withdraw(self, device: Device, features: Sequence[Feature]) -> None:
        """Show a device no more.

        Raises:
            Unavailable: the broker is away.
        """

    async def show(self, feature: Feature, value: float | None, text: str | None) -> None:
        """Tell Gladys the value that a feature has had for a while: of a device that it was just given.

        Raises:
            Unavailable: the broker is away.
            Rejected: it can not be told.
        """


@runtime_checkable
class Acquainted(Protocol):
    """What a sink may offer beside: to tell who lives here and which places matter, as Gladys has it."""

    @property
    def household(self) -> Household | None:
        """What Gladys had when it was last looked at; None before."""

    def households(self) -> AsyncIterator[Household]:
        """Yield what Gladys has, each time it was looked at, for as long as the plug-in is open. Called once."""


class Wanted(Struct, frozen=True):
    """What a device wants of its owner before it can be driven: a sentence, and whether the answer is a ``code``.

    A code (PIN, key, password) is asked for; without, the owner does what ``says`` says and confirms.
    """

    says: str
    code: bool


@runtime_checkable
class Pairable(Protocol):
    """What a driver may offer beside: to gain the trust of a device that wants a PIN, a key, a password or a hand.

    What is gained is kept by ``Kit.secrets``. Until then ``describe`` raises ``Rejected`` and says to pair.
    """

    def wants(self, device: Device) -> Wanted:
        """Return what is wanted of the owner. Asks nobody."""

    async def pair(self, device: Device, code: str | None) -> None:
        """Gain its trust, having verified that it is the device it says to be; replaces what was gained before.

        Raises:
            Unavailable: it did not answer.
            Rejected: the code is wrong or the button was not pressed; the sentence is shown to the user.
        """

    async def unpair(self, device: Device) -> None:
        """Forget what was gained, and have the device forget it too, if it can be reached.

        Raises:
            Rejected: it was forgotten here, and something is left for the owner to do at the device.
        """


class Secrets(Protocol):
    """What a plug-in gains at run time and must keep to itself (pairings, link keys): its own rows only."""

    async def get(self, name: str) -> bytes | None:
        """Return the secret of that name."""

    async def set(self, name: str, value: bytes | None) -> None:
        """Keep it, or with None forget it; returns when committed."""


def _nobody(_: str) -> None:
    """Wake nobody."""


def _every(seconds: float, wake: Callable[[], None]) -> Callable[[], None]:
    """Call ``wake`` by a timer of the loop."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def again() -> None:
        nonlocal timer
        timer = loop.call_later(seconds, again)
        wake()

    def end() -> None:
        timer.cancel()  # the one of that moment

    timer = loop.call_later(seconds, again)
    return end


def _bare() -> AbstractAsyncContextManager[None]:
    """Contain nothing."""
    return nullcontext()


class Kit(Struct, frozen=True, kw_only=True):
    """All that a plug-in is given. ``registry()`` is the snapshot of this moment.

    ``retry(lane)`` says that what a lane leads to (a device's id, or a sink's own name) was just seen again, so that
    what waits for it is tried at once. ``time_to_live`` is for commands that a plug-in takes, in seconds. ``mqtt`` is
    where the broker is, for ``gladys_companion.mqtt``, and ``gladys`` where Gladys is, for
    ``gladys_companion.gladys_api``. ``every(seconds, wake)`` has ``wake`` called on the loop every so often, from the
    first interval on, and returns what ends that. What it does in a task of its own for one device goes into ``async
    with kit.contained():``, where ``Unavailable`` and ``Rejected`` pass, and a bug turns the plug-in red and
    becomes ``Rejected``, so that other devices go on.
    """

    clock: Clock
    zeroconf: AsyncZeroconf
    http: ClientSession
    secrets: Secrets
    registry: Callable[[], RegistrySnapshot]
    retry: Callable[[str], None] = _nobody
    time_to_live: float = 60.0
    contained: Callable[[], AbstractAsyncContextManager[None]] = _bare
    mqtt: Mqtt = Mqtt()
    gladys: Gladys = Gladys()
    every: Callable[[float, Callable[[], None]], Callable[[], None]] = _every


def _anything(_: Any) -> None:  # noqa: ANN401 - the plug-in's own type
    """Be content."""


class Plugin(Struct, frozen=True, kw_only=True):
    """What an entry point names: the type of its table in the TOML (defaults included), and how to open it.

    ``check`` is what `config check` asks beyond the type: it may read files, and raises ``ConfigError`` for what
    ``open`` would refuse.
    """

    config: type[Struct]
    open: Callable[[Any, Kit], AbstractAsyncContextManager[Target]]
    check: Callable[[Any], None] = _anything
