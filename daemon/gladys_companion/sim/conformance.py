"""What every driver must do, as a pytest suite that an author of a plug-in runs against a device, simulated or real.

::

    class TestMine(DriverConformance):
        @pytest.fixture
        async def rig(self):
            async with open_my_device() as device:
                yield MyRig(device)

where ``MyRig`` is a ``Rig``. Needs pytest, pytest-asyncio, and ``pytest.register_assert_rewrite`` of this module to see
the values of a failed assertion.
"""
# ruff: noqa: S101, PT012 - assert is how a test speaks, and what is closed when a body fails needs a body

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from importlib.metadata import entry_points

import msgspec
import pytest
import pytest_asyncio
from aiohttp import ClientSession
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.clock import SYSTEM
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.ids import new_id
from gladys_companion.model import Delivery, Device, Event, Feature, Service, report
from gladys_companion.ports import Driver, Kit, Troubled
from gladys_companion.sim.rig import MemorySecrets, Rig

__all__ = ["DriverConformance", "MemorySecrets", "Rig"]

FLOOD = 10_000
PATIENCE = 20.0  # seconds after which a test gives up; nothing should take as long


class DriverConformance:
    """Subclass it, name it ``Test...``, and override the fixture ``rig``."""

    pytestmark = pytest.mark.asyncio

    @pytest.fixture
    def rig(self) -> Rig:
        """Override: a fresh device."""
        raise NotImplementedError

    @pytest_asyncio.fixture
    async def kit(self, rig: Rig) -> AsyncIterator[Kit]:
        """All that the driver is given, real, on 127.0.0.1."""
        async with AsyncZeroconf(interfaces=["127.0.0.1"]) as zeroconf, ClientSession() as http:
            yield Kit(
                clock=SYSTEM,
                zeroconf=zeroconf,
                http=http,
                secrets=rig.secrets or MemorySecrets(),
                registry=lambda: rig.registry,
                mqtt=rig.mqtt,
                gladys=rig.gladys,
            )

    @pytest_asyncio.fixture
    async def driver(self, rig: Rig, kit: Kit) -> AsyncIterator[Driver]:
        """The open driver."""
        config = msgspec.convert(rig.config, rig.plugin.config)
        async with rig.plugin.open(config, kit) as driver:
            assert isinstance(driver, Driver)
            yield driver

    async def test_it_enters_by_its_entry_point(self, rig: Rig) -> None:
        """An installed entry point of the driver's name gives the plug-in."""

        def load() -> object:
            (found,) = entry_points(group="gladys_companion.drivers", name=rig.name)
            return found.load()

        assert await asyncio.to_thread(load) is rig.plugin

    async def test_its_table_has_defaults_and_refuses_unknown_keys(self, rig: Rig) -> None:
        """An empty table opens it, and a misspelt option is an error instead of silence."""
        assert isinstance(msgspec.convert({}, rig.plugin.config), rig.plugin.config)
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"no-such-option": 1}, rig.plugin.config)

    async def test_it_asks_for_well_formed_services(self, driver: Driver) -> None:
        """Service types are as mDNS wants them."""
        assert all(kind.startswith("_") and kind.endswith(("._tcp.local.", "._udp.local.")) for kind in driver.services)

    async def test_it_identifies_the_announcement(self, rig: Rig, driver: Driver) -> None:
        """Its own announcement is the device, by an identity that does not depend on the address."""
        if rig.service is None:
            pytest.skip("it announces nothing")
        device = driver.identify(rig.service)
        assert device is not None
        assert (device.id, device.driver) == (rig.device.id, rig.name)
        assert device.id.startswith(f"{rig.name}:")
        assert device.address in rig.service.addresses
        assert device.port == rig.service.port
        elsewhere = driver.identify(msgspec.structs.replace(rig.service, addresses=("127.0.0.99",), port=9))
        assert elsewhere is not None
        assert (elsewhere.id, elsewhere.address, elsewhere.port) == (device.id, "127.0.0.99", 9)

    @pytest.mark.parametrize("txt", [{}, {"mac": "", "id": ""}, {"mac": "\x00\n" * 100, "id": "../" * 80}])
    async def test_it_ignores_what_it_can_not_identify(self, driver: Driver, txt: Mapping[str, str]) -> None:
        """Announcements without identity, without address, absurd or of another type are no device and no error."""
        for kind in (*driver.services, "_ipp._tcp.local."):
            for addresses in ((), ("192.0.2.1",), ("fe80::1",)):
                service = Service(type=kind, name=f"x.{kind}", host="x.local.", addresses=addresses, port=80, txt=txt)
                assert driver.identify(service) is None

    async def test_it_describes_features(self, rig: Rig, driver: Driver) -> None:
        """External ids are unique and begin with the device's id, ranges are ranges, and asking twice says the same."""
        async with asyncio.timeout(PATIENCE):
            features = await driver.describe(rig.device)
            again = await driver.describe(rig.device)
        assert features
        assert tuple(features) == tuple(again)
        assert len({feature.external_id for feature in features}) == len(features)
        for feature in features:
            assert feature.device == rig.device.id
            assert feature.external_id.startswith(f"{rig.device.id}:")
            assert feature.name
            assert feature.category
            assert feature.type
            assert feature.min is None or feature.max is None or feature.min <= feature.max

    async def test_another_identity_is_refused(self, rig: Rig, driver: Driver) -> None:
        """What is not the device that it announced itself as is rejected, and not commanded either."""
        other = msgspec.structs.replace(rig.device, id=f"{rig.name}:0200000000fe")
        (feature, *_) = await driver.describe(rig.device)
        stray = msgspec.structs.replace(feature, external_id=f"{other.id}:on", device=other.id)
        before = await rig.read(feature)
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(Rejected):
                await driver.describe(other)
            with pytest.raises((Rejected, Unavailable)):
                await driver.deliver(_delivery(rig, other, stray, feature.min or 0))
        assert await rig.read(feature) == before

    async def test_what_is_delivered_is_so(self, rig: Rig, driver: Driver) -> None:
        """When ``deliver`` returns, the device has the value; the same once more changes nothing; followed or not."""
        async with asyncio.timeout(PATIENCE):
            for _ in range(2):
                for feature in await driver.describe(rig.device):
                    for value in rig.values(feature) if feature.writable else ():
                        await driver.deliver(_delivery(rig, rig.device, feature, value))
                        assert await rig.read(feature) == value
                driver.follow(rig.device)

    async def test_what_makes_no_sense_is_rejected(self, rig: Rig, driver: Driver) -> None:
        """A feature that the device lacks, and a value that is none, are rejected with a sentence, and do nothing."""
        features = await driver.describe(rig.device)
        lacking = msgspec.structs.replace(features[0], external_id=f"{rig.device.id}:no-such-thing")
        cases = [(lacking, 1.0)] + [(feature, None) for feature in features if feature.writable]
        for feature, value in cases:
            async with asyncio.timeout(PATIENCE):
                with pytest.raises(Rejected, match=r"\w+ .+\.$"):
                    await driver.deliver(_delivery(rig, rig.device, feature, value))

    async def test_a_device_that_hangs_is_unavailable_until_it_recovers(self, rig: Rig, driver: Driver) -> None:
        """Silence ends in ``Unavailable`` after the driver's own time-out, and later attempts work again."""
        (feature, *_) = [feature for feature in await driver.describe(rig.device) if feature.writable]
        await rig.hang()
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(Unavailable, match=r"\w+ .+\.$"):
                await driver.describe(rig.device)
            with pytest.raises(Unavailable):
                await driver.deliver(_delivery(rig, rig.device, feature, feature.max))
            await rig.recover()
            await driver.deliver(_delivery(rig, rig.device, feature, feature.max))
        assert await rig.read(feature) == feature.max

    async def test_nonsense_is_unavailable(self, rig: Rig, driver: Driver) -> None:
        """A device that answers what it should not has not done it, and may recover: firmware reboots."""
        (feature, *_) = [feature for feature in await driver.describe(rig.device) if feature.writable]
        await rig.babble()
        async with asyncio.timeout(PATIENCE):
            with pytest.raises((Unavailable, Rejected)):
                await driver.describe(rig.device)
            with pytest.raises(Unavailable):
                await driver.deliver(_delivery(rig, rig.device, feature, feature.max))

    async def test_a_slow_device_is_unavailable(self, rig: Rig, driver: Driver) -> None:
        """Bytes that trickle in are no answer: the time-out counts for the whole of it."""
        (feature, *_) = [feature for feature in await driver.describe(rig.device) if feature.writable]
        await rig.dawdle()
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(Unavailable, match=r"\w+ .+\.$"):
                await driver.describe(rig.device)
            with pytest.raises(Unavailable):
                await driver.deliver(_delivery(rig, rig.device, feature, feature.max))

    async def test_a_device_that_left_is_unavailable(self, rig: Rig, driver: Driver) -> None:
        """Where nothing listens any more, and where it never was, the sentence says so; found again it works."""
        (feature, *_) = [feature for feature in await driver.describe(rig.device) if feature.writable]
        there = rig.device
        here = await rig.move()
        async with asyncio.timeout(PATIENCE):
            for device in (there, msgspec.structs.replace(there, address=None, port=None)):
                with pytest.raises(Unavailable, match=r"\w+ .+\.$"):
                    await driver.deliver(_delivery(rig, device, feature, feature.max))
            await driver.deliver(_delivery(rig, here, feature, feature.max))
        assert await rig.read(feature) == feature.max

    async def test_its_own_changes_are_told(self, rig: Rig, driver: Driver) -> None:
        """A change by hand becomes an event of this origin about a described feature, also after the device moved."""
        external_ids = {feature.external_id for feature in await driver.describe(rig.device)}
        events = driver.events()
        driver.follow(rig.device)
        driver.follow(rig.device)
        seen: list[Event] = []
        for _ in range(2):
            external_id, value = await rig.touch()
            async with asyncio.timeout(PATIENCE):
                while (external_id, value) not in [(event.external_id, event.value) for event in seen]:
                    seen.append(await anext(events))
            driver.follow(await rig.move())
        assert {event.origin for event in seen} == {rig.name}
        assert {event.kind for event in seen} == {"state"}
        assert {event.external_id for event in seen} <= external_ids
        assert len({event.id for event in seen}) == len(seen)

    async def test_what_it_was_told_is_no_news(self, rig: Rig, driver: Driver) -> None:
        """A command does not come back as an event, so that it never goes round in circles; what follows it does."""
        (feature, *_) = [one for one in await driver.describe(rig.device) if one.writable and not one.momentary]
        events = driver.events()
        driver.follow(rig.device)

        async def until(wanted: tuple[str, float]) -> list[tuple[str | None, float | None]]:
            seen: list[tuple[str | None, float | None]] = []
            async with asyncio.timeout(PATIENCE):
                while wanted not in seen:
                    event = await anext(events)
                    seen.append((event.external_id, event.value))
            return seen

        await until(await rig.touch())  # it is listened to now
        wanted = feature.max if await rig.read(feature) != feature.max else feature.min
        await driver.deliver(_delivery(rig, rig.device, feature, wanted))
        seen = await until(await rig.touch())
        assert (feature.external_id, wanted) not in seen[:-1]

    async def test_a_flood_becomes_a_trickle(self, rig: Rig, driver: Driver) -> None:
        """Of ten thousand changes at once a few are told, among them the last one, and the device is said to flood."""
        await driver.describe(rig.device)
        events = driver.events()
        driver.follow(rig.device)
        first = await rig.touch()
        seen: list[tuple[str | None, float | None]] = []
        async with asyncio.timeout(PATIENCE):
            while first not in seen:
                event = await anext(events)
                seen.append((event.external_id, event.value))
            last = await rig.flood(FLOOD)
            told = 0
            # An early change may be as the last one is, so what else is wanted of a flood has to be there, too.
            while told == 0 or last != seen[-1] or (isinstance(driver, Troubled) and not driver.trouble(rig.device.id)):
                event = await anext(events)
                seen.append((event.external_id, event.value))
                told += 1
        assert told < FLOOD / 20
        if isinstance(driver, Troubled):
            trouble = driver.trouble(rig.device.id)
            assert trouble is not None
            assert trouble.reached

    async def test_forgetting_is_harmless(self, rig: Rig, driver: Driver) -> None:
        """Forgetting what is followed, was forgotten or never known is no error."""
        driver.follow(rig.device)
        for device_id in (rig.device.id, rig.device.id, "", "someone:else"):
            driver.forget(device_id)

    async def test_closing_leaves_nothing_behind(self, rig: Rig, kit: Kit) -> None:
        """When the plug-in closes, in the middle of whatever it does, none of its tasks goes on."""
        before = asyncio.all_tasks()
        async with asyncio.timeout(PATIENCE):
            async with rig.plugin.open(msgspec.convert(rig.config, rig.plugin.config), kit) as driver:
                assert isinstance(driver, Driver)
                driver.follow(rig.device)
                await driver.describe(rig.device)
        if left := asyncio.all_tasks() - before:  # a simulated device in this process ends its connections
            _, going_on = await asyncio.wait(left, timeout=PATIENCE)
            assert not going_on

    async def test_errors_of_the_body_come_out_as_they_are(self, rig: Rig, kit: Kit) -> None:
        """Opening the plug-in does not wrap what fails beside it."""
        with pytest.raises(LookupError, match="beside"):
            async with rig.plugin.open(msgspec.convert(rig.config, rig.plugin.config), kit) as driver:
                assert isinstance(driver, Driver)
                driver.follow(rig.device)
                raise LookupError("beside")


def _delivery(rig: Rig, device: Device, feature: Feature, value: float | str | None) -> Delivery:
    event = report(
        origin="conformance",
        external_id=feature.external_id,
        value=None if isinstance(value, str) else value,
        text=value if isinstance(value, str) else None,
        now=SYSTEM.now(),
        elapsed=SYSTEM.elapsed(),
        boot=SYSTEM.boot,
    )
    event = msgspec.structs.replace(event, id=new_id())
    return Delivery(seq=1, event=event, target=rig.name, lane=device.id, feature=feature, device=device)
