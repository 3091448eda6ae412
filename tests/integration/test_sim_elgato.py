"""The simulated light, by the real ``elgato`` library, real sockets and real mDNS on 127.0.0.1."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from elgato import Elgato, ElgatoConnectionError, PowerOnBehavior
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from gladys_companion.sim.elgato import ElgatoLight, Kind, open_elgato

MAC = "3c6a9d14d765"


@pytest.fixture
async def light() -> AsyncIterator[ElgatoLight]:
    async with open_elgato(mac="3C:6A:9D:14:D7:65", name="Bureau é") as light:
        yield light


@asynccontextmanager
async def client(light: ElgatoLight, request_timeout: int = 5) -> AsyncIterator[Elgato]:
    async with Elgato(light.address, light.port, request_timeout) as elgato:
        yield elgato


async def test_the_library_reads_a_panel(light: ElgatoLight) -> None:
    """Who it is, its settings and its state are found, on whatever port."""
    async with client(light) as elgato:
        info, settings, state = await elgato.info(), await elgato.settings(), await elgato.state()
    assert (info.mac_address, info.display_name) == ("3C:6A:9D:14:D7:65", "Bureau é")
    assert (info.product_name, info.serial_number, info.features) == ("Elgato Key Light", light.serial, ["lights"])
    assert settings.power_on_behavior is PowerOnBehavior.RESTORE_LAST
    assert settings.power_on_hue is None
    assert (state.on, state.brightness, state.temperature, state.hue) == (True, 20, 213, None)


async def test_the_library_commands_it(light: ElgatoLight) -> None:
    """What the library sends is applied and remembered in order; identify makes it blink."""
    async with client(light) as elgato:
        await elgato.light(on=True, brightness=40, temperature=200)
        await elgato.light(on=False)
        await elgato.identify()
        state = await elgato.state()
    assert (state.on, state.brightness, state.temperature) == (False, 40, 200)
    assert light.commands == ({"on": 1, "brightness": 40, "temperature": 200}, {"on": 0})
    assert light.identified == 1


async def test_a_strip_is_coloured_or_white() -> None:
    """A colour takes the temperature's place and the other way round, and the settings tell that it can."""
    async with open_elgato(kind="light-strip") as strip, client(strip) as elgato:
        assert (await elgato.settings()).power_on_hue is not None
        await elgato.light(temperature=200)
        white = await elgato.state()
        await elgato.light(hue=120.0, saturation=50.0)
        green = await elgato.state()
    assert (white.temperature, white.hue, white.saturation) == (200, None, None)
    assert (green.temperature, green.hue, green.saturation) == (None, 120.0, 50.0)


@pytest.mark.parametrize("kind", ["key-light", "light-strip"])
async def test_what_it_can_not_do_is_refused(kind: Kind) -> None:
    """A member that it does not have is an error, and changes nothing."""
    async with open_elgato(kind=kind) as light, client(light) as elgato:
        before = light.state
        with pytest.raises(ElgatoConnectionError):
            await elgato._request("lights", method="PUT", data={"lights": [{"on": 1, "whiteness": 3}]})
        with pytest.raises(ElgatoConnectionError):
            await elgato._request("lights", method="PUT", data={"lights": []})
        assert light.state == before
        assert light.commands == ()


async def test_faults(light: ElgatoLight) -> None:
    """It can hang and refuse, and after both it is as before."""
    async with client(light, request_timeout=1) as elgato:
        light.freeze()
        with pytest.raises(ElgatoConnectionError, match="Timeout"):
            await elgato.state()
        light.thaw()
        light.refuse(503)
        with pytest.raises(ElgatoConnectionError):
            await elgato.state()
        light.accept()
        assert (await elgato.state()).on


async def test_it_announces_itself_and_moves() -> None:
    """A browser sees the MAC as id, maker and model, and its new port after a move."""
    async with (
        AsyncZeroconf(interfaces=["127.0.0.1"]) as zeroconf,
        AsyncZeroconf(interfaces=["127.0.0.1"]) as browser,
        open_elgato(zeroconf=zeroconf) as light,
    ):
        info = AsyncServiceInfo("_elg._tcp.local.", "elgato-key-light-d765._elg._tcp.local.")
        assert await info.async_request(browser.zeroconf, 3_000)
        assert info.decoded_properties["id"] == "3C:6A:9D:14:D7:65"
        assert info.decoded_properties["mf"] == "Elgato"
        assert info.port == light.port
        before = light.port
        await light.move()
        assert light.port != before
        async with client(light) as elgato:
            assert (await elgato.info()).mac_address == "3C:6A:9D:14:D7:65"
