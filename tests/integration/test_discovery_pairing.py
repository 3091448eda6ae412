"""Devices that want something of their owner: refused with a sentence, paired, described at once, unpaired."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from gladys_companion.errors import Rejected, RequestError, Unavailable
from gladys_companion.model import Device, Feature
from gladys_companion.ports import Wanted
from tests.discovering import Discovering, discovering
from tests.plug import PlugDriver, plug

UNPAIRED = "It is not paired: `gladys-companion devices pair plug:1`."


class GuardedPlugDriver(PlugDriver):
    """Implements ``ports.Pairable`` too: describes nothing before it was paired with the PIN 1234."""

    def __init__(self, service_type: str) -> None:
        super().__init__(service_type)
        self.paired = False
        self.hook = self._guard

    def _guard(self, _: Device) -> list[Feature] | None:
        if not self.paired:
            raise Rejected(UNPAIRED)
        return None

    def wants(self, device: Device) -> Wanted:
        return Wanted(f"The PIN stands on {device.name}.", code=True)

    async def pair(self, device: Device, code: str | None) -> None:
        if code == "bomb":
            raise KeyError(code)
        if code != "1234":
            raise Rejected(f"{device.name} says that the PIN is wrong.")
        self.paired = True

    async def unpair(self, device: Device) -> None:
        self.paired = False
        raise Rejected(f"{device.name} could not be told: reset it.")


def _plug(service_type: str, port: int) -> AsyncServiceInfo:
    return AsyncServiceInfo(
        service_type,
        f"Plug.{service_type}",
        parsed_addresses=["127.0.0.1"],
        port=port,
        properties={"serial": "1"},
        server=f"{service_type[1:10]}.local.",
    )


@pytest.fixture
async def announcer() -> AsyncIterator[AsyncZeroconf]:
    """Announces on loopback."""
    async with AsyncZeroconf(interfaces=["127.0.0.1"]) as announcer:
        yield announcer


@pytest.fixture
async def network(tmp_path: Path, announcer: AsyncZeroconf) -> AsyncIterator[Discovering]:
    """A discovery with that driver and one plug, announced."""
    service_type = f"_p{uuid.uuid4().hex[:8]}._tcp.local."
    async with (
        discovering(tmp_path, service_type, GuardedPlugDriver(service_type)) as network,
        plug("1") as port,
    ):
        await (await announcer.async_register_service(_plug(service_type, port)))
        await network.until(lambda: network.seen("refused"))
        yield network


async def test_it_is_refused_until_it_is_paired_and_described_at_once_then(network: Discovering) -> None:
    """Announced it says what to do; paired, it is a device with features without waiting for the next attempt."""
    assert [one.says for one in network.seen()] == [UNPAIRED]
    assert network.discovery.wants("plug:1") == Wanted("The PIN stands on Plug.", code=True)
    with pytest.raises(Rejected, match="PIN is wrong"):
        await network.discovery.pair("plug:1", "0000")
    assert network.device("1") is None
    seen = await network.discovery.pair("plug:1", "1234")
    assert (seen.state, seen.device) == ("followed", "plug:1")
    assert network.registry.snapshot.features.keys() == {"plug:1:switch"}


async def test_unpaired_it_stays_known_and_is_refused_again(network: Discovering) -> None:
    """What is left to do at the device is told, the driver lets go of it, and pairing it again mends it."""
    await network.discovery.pair("plug:1", "1234")
    with pytest.raises(Rejected, match="reset it"):
        await network.discovery.unpair("plug:1")
    await network.until(lambda: network.seen("refused"))
    assert network.driver.forgotten[-1] == "plug:1"
    assert network.device("1") is not None
    assert (await network.discovery.pair("plug:1", "1234")).state == "followed"


async def test_a_bug_of_the_driver_turns_it_red_and_nothing_else(network: Discovering) -> None:
    """What a driver should not raise is told as its failure."""
    with pytest.raises(Rejected, match="KeyError"):
        await network.discovery.pair("plug:1", "bomb")
    assert network.record.status == "failing"
    assert (await network.discovery.pair("plug:1", "1234")).state == "followed"


async def test_what_is_not_announced_can_not_be_paired(network: Discovering) -> None:
    """The sentence says where to look."""
    with pytest.raises(RequestError, match="scan") as refused:
        await network.discovery.pair("plug:2", "1234")
    assert refused.value.code == "DEVICE_NOT_FOUND"


async def test_what_needs_no_pairing_says_so(tmp_path: Path) -> None:
    """A driver without pairing has its own code."""
    service_type = f"_p{uuid.uuid4().hex[:8]}._tcp.local."
    async with discovering(tmp_path, service_type) as network, plug("1") as port:
        device = Device(id="plug:1", driver="plug", name="Plug", address="127.0.0.1", port=port)
        network.driver.found.put_nowait(device)
        await network.until(lambda: network.seen("followed"))
        with pytest.raises(RequestError) as refused:
            await network.discovery.pair("plug:1", None)
        assert (refused.value.code, refused.value.status) == ("NOT_PAIRABLE", 409)


async def test_only_what_is_announced_is_paired(tmp_path: Path) -> None:
    """A device that an earlier start knew and that is not announced now is no device to pair, but one to unpair."""
    service_type = f"_p{uuid.uuid4().hex[:8]}._tcp.local."
    driver = GuardedPlugDriver(service_type)
    async with (
        discovering(tmp_path, service_type, driver) as network,
        AsyncZeroconf(interfaces=["127.0.0.1"]) as announcer,
        plug("1") as port,
    ):
        driver.paired = True
        await (await announcer.async_register_service(_plug(service_type, port)))
        await network.until(lambda: network.seen("followed"))
    driver = GuardedPlugDriver(service_type)
    async with discovering(tmp_path, service_type, driver) as network:
        await driver.following.wait()  # it is known
        with pytest.raises(RequestError) as caught:
            await network.discovery.pair("plug:1", "1234")
        assert (caught.value.status, driver.paired) == (404, False)
        with pytest.raises(RequestError, match="announced"):
            network.discovery.wants("plug:1")
        with pytest.raises(Rejected, match="could not be told"):
            await network.discovery.unpair("plug:1")


async def test_a_device_that_goes_while_it_is_paired(network: Discovering, announcer: AsyncZeroconf) -> None:
    """It is paired, and the answer says that it is not there any more."""

    class Slow(GuardedPlugDriver):
        async def pair(self, device: Device, code: str | None) -> None:
            await super().pair(device, code)
            await announcer.async_unregister_all_services()
            await network.until(lambda: not network.seen())

    network.driver.__class__ = Slow
    with pytest.raises(Unavailable, match="once it is back"):
        await network.discovery.pair("plug:1", "1234")
