"""The simulated lamp, by the real ``wled`` library, real sockets and real mDNS on 127.0.0.1."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession, TCPConnector, WSMsgType
from wled import WLED, Device, LightCapability, WLEDConnectionTimeoutError, WLEDError
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from gladys_companion.drivers._resolver import Endpoint, EndpointResolver
from gladys_companion.sim.wled import Lamp, open_wled

MAC = "a8032ab12345"
HOST = f"{MAC}.wled.local"


@asynccontextmanager
async def client(endpoints: dict[str, Endpoint], *, patience: float = 5.0) -> AsyncIterator[WLED]:
    """The real client, on a session that finds the lamp under a name made from its MAC."""
    connector = TCPConnector(resolver=EndpointResolver(endpoints.get), use_dns_cache=False)
    async with ClientSession(connector=connector) as session, WLED(HOST, patience, session) as wled:
        yield wled


@pytest.fixture
async def lamp() -> AsyncIterator[Lamp]:
    async with open_wled(mac="A8:03:2A:B1:23:45", name="Salon é") as lamp:
        yield lamp


@pytest.fixture
async def wled(lamp: Lamp) -> AsyncIterator[WLED]:
    async with client({HOST: (lamp.address, lamp.port)}) as wled:
        yield wled


async def test_the_library_reads_everything_it_asks_for(wled: WLED) -> None:
    """python-wled's update() finds state, info, effects, palettes, presets and LED setup, on whatever port."""
    device = await wled.update()
    assert (device.info.mac_address, device.info.name, device.info.product) == (MAC, "Salon é", "FOSS")
    assert str(device.info.version) == "0.15.3"
    assert device.info.websocket == 0
    assert device.info.leds.light_capabilities is LightCapability.RGB_COLOR
    assert device.state.on
    assert device.state.brightness == 128
    assert device.state.segments[0].color is not None
    assert device.state.segments[0].color.primary == (255, 160, 0)
    assert device.effects[0].name == "Solid"
    assert device.effects[1].metadata is not None
    assert device.palettes[5].name == "Party"
    assert [preset.name for preset in device.presets.values()] == ["Reading", "Night"]
    assert device.led_config is not None
    assert device.led_config.outputs[0].has_rgb
    assert (await wled.update()).info.mac_address == MAC


async def test_commands_change_it_and_are_counted_in_order(lamp: Lamp, wled: WLED) -> None:
    """What the library sends is applied, answered with the whole state, and remembered."""
    await wled.update()
    await wled.master(on=True, brightness=40)
    await wled.segment(0, color_primary=(1, 2, 3), effect="Rainbow")
    await wled.preset("Night")
    await wled.nightlight(on=True, duration=10)
    await wled.sync(send=True)
    await wled.master(on=False)
    device = await wled.update()
    assert not device.state.on
    assert device.state.brightness == 8
    assert device.state.nightlight.remaining == 600
    assert device.state.sync.send
    assert [command.keys() - {"v"} for command in lamp.commands] == [
        {"bri", "on"},
        {"seg"},
        {"ps"},
        {"nl"},
        {"udpn"},
        {"on"},
    ]


@pytest.mark.parametrize(
    ("body", "on", "brightness"),
    [
        ({"bri": 40}, True, 40),
        ({"bri": 0}, False, 128),
        ({"on": False, "bri": 40}, False, 40),
        ({"on": "t"}, False, 128),
        ({"bri": 999}, True, 255),
        ({"bri": "much", "seg": "none", "nl": 3, "on": None}, True, 128),
    ],
)
async def test_power_follows_the_firmware(lamp: Lamp, body: dict[str, object], on: bool, brightness: int) -> None:  # noqa: FBT001
    """Brightness 0 turns off and keeps the last one, brightness alone turns on, and nonsense is ignored."""
    async with ClientSession() as session:
        url = f"http://{lamp.address}:{lamp.port}/json/state"
        await (await session.post(url, json=body)).read()
    assert (lamp.state["on"], lamp.state["bri"]) == (on, brightness)


async def test_a_press_at_the_wall_is_pushed(lamp: Lamp, wled: WLED) -> None:
    """A websocket listener of the library sees a change that nobody commanded."""
    await wled.update()
    await wled.connect()
    seen: asyncio.Queue[Device] = asyncio.Queue()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        listening = group.create_task(wled.listen(seen.put_nowait))
        assert (await seen.get()).state.on
        await lamp.press()
        assert not (await seen.get()).state.on
        await lamp.set(bri=7, seg={"col": ["0000ff"]})
        state = (await seen.get()).state
        assert (state.on, state.brightness) == (True, 7)
        assert state.segments[0].color is not None
        assert state.segments[0].color.primary == (0, 0, 255)
        listening.cancel()
    assert lamp.commands == ()


async def test_the_websocket_takes_commands(lamp: Lamp) -> None:
    """A state on /ws is applied and pushed, ``v`` asks for the state, ``p`` is answered, and garbage is an error."""
    async with (
        asyncio.timeout(5),
        ClientSession() as session,
        session.ws_connect(f"ws://{lamp.address}:{lamp.port}/ws") as ws,
    ):
        assert (await ws.receive_json()).keys() == {"state", "info"}
        await ws.send_json({"bri": 9})
        assert (await ws.receive_json())["state"]["bri"] == 9
        await ws.send_json({"v": True})
        assert (await ws.receive_json())["info"]["ws"] == 1
        await ws.send_str("p")
        assert (await ws.receive()).data == "pong"
        await ws.send_str("{nonsense")
        assert await ws.receive_json() == {"error": 9}
    await lamp.until(lambda lamp: lamp.listeners == 0)
    assert lamp.commands == ({"bri": 9},)


async def test_frozen_it_accepts_and_never_answers(lamp: Lamp) -> None:
    """A request to a frozen lamp times out and is lost, and thawed it answers again."""
    async with client({HOST: (lamp.address, lamp.port)}, patience=0.05) as wled:
        lamp.freeze()
        with pytest.raises(WLEDConnectionTimeoutError):
            await wled.master(on=False)
        lamp.thaw()
    async with client({HOST: (lamp.address, lamp.port)}) as wled:
        await wled.master(brightness=3)
    assert lamp.state["on"]
    assert [command["bri"] for command in lamp.commands] == [3]


async def test_frozen_it_answers_no_ping(lamp: Lamp) -> None:
    """The heartbeat of an open websocket notices that the lamp hangs."""
    async with (
        asyncio.timeout(5),
        ClientSession() as session,
        session.ws_connect(f"ws://{lamp.address}:{lamp.port}/ws", heartbeat=0.1) as ws,
    ):
        await ws.receive_json()
        lamp.freeze()
        assert (await ws.receive()).type is not WSMsgType.TEXT


@pytest.mark.parametrize(("status", "body"), [(500, "{}"), (200, "<html>"), (200, "[]")])
async def test_refusals_reach_the_library(lamp: Lamp, wled: WLED, status: int, body: str) -> None:
    """An error status or a body that is no state is an error of the library, and ends with accept()."""
    lamp.refuse(status, body)
    with pytest.raises(WLEDError):
        await wled.update()
    lamp.accept()
    assert (await wled.update()).state.on


async def test_it_is_found_by_mdns_and_followed(lamp: Lamp) -> None:
    """A second zeroconf on 127.0.0.1 resolves the announcement, and the new port after a move; the client follows."""
    async with (
        AsyncZeroconf(interfaces=["127.0.0.1"]) as ours,
        AsyncZeroconf(interfaces=["127.0.0.1"]) as theirs,
        open_wled(mac="020000abcdef", zeroconf=ours) as announced,
    ):
        info = AsyncServiceInfo("_wled._tcp.local.", "wled-abcdef._wled._tcp.local.")
        assert await info.async_request(theirs.zeroconf, 3000)
        assert info.decoded_properties == {"mac": "020000abcdef"}
        assert (info.parsed_addresses(), info.port) == (["127.0.0.1"], announced.port)

        endpoints: dict[str, Endpoint] = {HOST: ("127.0.0.1", lamp.port)}
        async with client(endpoints) as wled:
            assert (await wled.update()).info.mac_address == MAC
            before = lamp.port
            await lamp.move()
            assert lamp.port != before
            endpoints[HOST] = (lamp.address, lamp.port)
            assert (await wled.update()).info.mac_address == MAC


async def test_ipv6() -> None:
    """The lamp listens on ::1, and the resolver leads the library there."""
    async with open_wled(host="::1") as lamp, client({HOST: ("::1", lamp.port)}) as wled:
        assert (await wled.update()).info.mac_address == lamp.mac


async def test_unknown_names_are_an_os_error() -> None:
    """The resolver never asks DNS: a host it was not told of fails at once, for aiohttp and alone."""
    with pytest.raises(OSError, match="no device is known as elsewhere"):
        await EndpointResolver(lambda _host: None).resolve("elsewhere")
    async with client({}) as wled:
        with pytest.raises(WLEDError):
            await wled.request("/json")


@pytest.mark.parametrize(("mac", "host"), [("a803", "127.0.0.1"), (MAC, "0.0.0.0"), (MAC, "localhost")])
async def test_a_lamp_that_could_not_be_announced_does_not_open(mac: str, host: str) -> None:
    """A MAC that is none and an address that is none, or every one, are refused with a sentence."""
    with pytest.raises(ValueError, match=r".+"):
        async with open_wled(mac=mac, host=host):
            pass
