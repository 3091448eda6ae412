"""What every sink must do, as tests: subclass ``SinkConformance``, give it a ``SinkRig``, run pytest.

Needs pytest and pytest-asyncio, which the program itself does not.
"""

# ruff: noqa: S101 - assert is how a test speaks

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from aiohttp import ClientSession
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.clock import SYSTEM
from gladys_companion.config import Mqtt
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Delivery, Device, Feature, RegistrySnapshot, report
from gladys_companion.ports import Kit, Plugin, Source, Target
from gladys_companion.sim.conformance import MemorySecrets

__all__ = ["NUMBER", "TEXT", "SinkConformance", "SinkRig"]

PATIENCE = 20.0  # seconds after which a test gives up; nothing should take as long

DEVICE = Device(id="virtual:phone", driver="virtual", name="Phone")
NUMBER = Feature(
    external_id="virtual:phone:battery", device=DEVICE.id, name="Battery", category="battery", type="integer"
)
TEXT = Feature(external_id="virtual:phone:note", device=DEVICE.id, name="Note", category="text", type="text")
REGISTRY = RegistrySnapshot(
    devices={DEVICE.id: DEVICE}, features={feature.external_id: feature for feature in (NUMBER, TEXT)}
)


class SinkRig:
    """What the sink speaks to, and how to know the truth about it. What stays as it is here is skipped, and told.

    ``name`` and ``plugin`` are as in the entry point; ``config`` is its TOML table, ``mqtt`` the broker if it has one,
    with pauses of a fraction of a second.
    """

    name: str
    plugin: Plugin
    config: Mapping[str, Any] = MappingProxyType({})
    mqtt: Mqtt = Mqtt()

    async def told(self, feature: Feature, value: float | str) -> None:
        """Return when it was told that the feature has this value; raises ``TimeoutError`` if it never is."""
        raise NotImplementedError

    async def leave(self) -> None:
        """Stop answering."""
        pytest.skip("it can not leave")

    async def come_back(self) -> None:
        """End ``leave``."""

    async def command(self, feature: Feature, value: float) -> None:  # noqa: ARG002 - who overrides it needs them
        """Want a feature to have a value."""
        pytest.skip("it commands nothing")


class SinkConformance:
    """Subclass it, name it ``Test...``, and override the fixture ``rig``."""

    pytestmark = pytest.mark.asyncio

    @pytest.fixture
    def rig(self) -> SinkRig:
        """Override: a fresh counterpart."""
        raise NotImplementedError

    @pytest_asyncio.fixture
    async def kit(self, rig: SinkRig) -> AsyncIterator[Kit]:
        """All that the sink is given, real, on 127.0.0.1."""
        async with AsyncZeroconf(interfaces=["127.0.0.1"]) as zeroconf, ClientSession() as http:
            yield Kit(
                clock=SYSTEM,
                zeroconf=zeroconf,
                http=http,
                secrets=MemorySecrets(),
                registry=lambda: REGISTRY,
                mqtt=rig.mqtt,
            )

    @pytest_asyncio.fixture
    async def sink(self, rig: SinkRig, kit: Kit) -> AsyncIterator[Target]:
        """The open sink."""
        async with rig.plugin.open(msgspec.convert(rig.config, rig.plugin.config), kit) as sink:
            assert isinstance(sink, Target)
            yield sink

    async def test_it_enters_by_its_entry_point(self, rig: SinkRig) -> None:
        """An installed entry point of the sink's name gives the plug-in."""

        def load() -> object:
            (found,) = entry_points(group="gladys_companion.sinks", name=rig.name)
            return found.load()

        assert await asyncio.to_thread(load) is rig.plugin

    async def test_its_table_refuses_unknown_keys(self, rig: SinkRig) -> None:
        """A misspelt option is an error instead of silence."""
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({**rig.config, "no-such-option": 1}, rig.plugin.config)

    async def test_what_is_delivered_is_told(self, rig: SinkRig, sink: Target) -> None:
        """When ``deliver`` returns, the value is on its way or there, a number as a text."""
        async with asyncio.timeout(PATIENCE):
            for feature, value in ((NUMBER, 1.0), (TEXT, "Bonjour 🏠"), (NUMBER, 0.5)):
                await deliver(rig, sink, feature, value)
                await rig.told(feature, value)

    async def test_what_makes_no_sense_is_rejected(self, rig: SinkRig, sink: Target) -> None:
        """A text for a number, a number for a text, and what is no number at all are rejected with a sentence."""
        for feature, value in ((NUMBER, "a"), (TEXT, 1.0), (NUMBER, float("nan"))):
            async with asyncio.timeout(PATIENCE):
                with pytest.raises(Rejected, match=r"\w+ .+\.$"):
                    await deliver(rig, sink, feature, value)

    async def test_a_counterpart_that_left_is_unavailable(self, rig: SinkRig, sink: Target) -> None:
        """While it is away deliveries come back with a sentence, soon; when it is back they arrive."""
        await deliver(rig, sink, NUMBER, 1.0)
        await rig.leave()
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(Unavailable, match=r"\w+ .+\.$"):
                await sink.deliver(_delivery(rig, NUMBER, 2.0))
            await rig.come_back()
            await deliver(rig, sink, NUMBER, 3.0)
            await rig.told(NUMBER, 3.0)

    async def test_its_commands_are_events(self, rig: SinkRig, sink: Target) -> None:
        """What the counterpart wants becomes an event of the sink's own name."""
        if not isinstance(sink, Source):
            pytest.skip("it tells nothing")
        await deliver(rig, sink, NUMBER, 1.0)
        await rig.command(NUMBER, 42.0)
        async with asyncio.timeout(PATIENCE):
            event = await anext(sink.events())
        assert (event.origin, event.external_id, event.value) == (rig.name, NUMBER.external_id, 42.0)

    async def test_closing_leaves_nothing_behind(self, rig: SinkRig, kit: Kit) -> None:
        """When the plug-in closes, at once or in the middle of its work, none of its tasks goes on."""
        before = asyncio.all_tasks()
        async with asyncio.timeout(PATIENCE):
            for values in ((), (1.0,)):
                async with rig.plugin.open(msgspec.convert(rig.config, rig.plugin.config), kit) as sink:
                    for value in values:
                        await deliver(rig, sink, NUMBER, value)
        assert asyncio.all_tasks() <= before

    async def test_errors_of_the_body_come_out_as_they_are(self, rig: SinkRig, kit: Kit) -> None:
        """Opening the plug-in does not wrap what fails beside it."""
        with pytest.raises(LookupError, match="beside"):
            async with rig.plugin.open(msgspec.convert(rig.config, rig.plugin.config), kit):
                raise LookupError("beside")


async def deliver(rig: SinkRig, sink: Target, feature: Feature, value: float | str) -> None:
    """Deliver as dispatch does: again, until it worked or is rejected."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await sink.deliver(_delivery(rig, feature, value))
            except Unavailable:
                await asyncio.sleep(0.01)
            else:
                return


def _delivery(rig: SinkRig, feature: Feature, value: float | str) -> Delivery:
    event = report(
        origin="conformance",
        external_id=feature.external_id,
        value=None if isinstance(value, str) else value,
        text=value if isinstance(value, str) else None,
        now=SYSTEM.now(),
        elapsed=SYSTEM.elapsed(),
        boot=SYSTEM.boot,
    )
    return Delivery(seq=1, event=event, target=rig.name, lane=rig.name, feature=feature, device=DEVICE)
