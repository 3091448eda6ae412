"""The simulated bridge, by the real ``aiohue`` library, real sockets, TLS and mDNS on 127.0.0.1."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession, Fingerprint, ServerFingerprintMismatch
from aiohue import HueBridgeV2, LinkButtonNotPressed, Unauthorized, create_app_key
from aiohue.discovery import is_v2_bridge
from aiohue.errors import AiohueException, raise_from_error
from aiohue.v2.models.button import ButtonEvent
from aiohue.v2.models.contact import ContactState
from cryptography import x509
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from gladys_companion.sim.hue import HueBridge, open_hue

MAC = "0017880a1b2c"


def host(bridge: HueBridge) -> str:
    return f"{bridge.address}:{bridge.port}"


@pytest.fixture
async def bridge() -> AsyncIterator[HueBridge]:
    async with open_hue(mac="00:17:88:0A:1B:2C") as bridge:
        yield bridge


@pytest.fixture
async def hue(bridge: HueBridge) -> AsyncIterator[HueBridgeV2]:
    """The real client, with a key, listening."""
    bridge.press_link_button()
    async with HueBridgeV2(host(bridge), await create_app_key(host(bridge), "test#here")) as hue:
        await bridge.until(lambda one: one.listeners == 1)
        yield hue


async def test_a_key_wants_the_button(bridge: HueBridge) -> None:
    """Without the press nothing is given, with it a key that opens everything."""
    body = {"devicetype": "test#here"}  # sent by hand: the library asks again without TLS, which is not served here
    async with (
        ClientSession() as session,
        session.post(f"https://{host(bridge)}/api", json=body, ssl=False) as response,
    ):
        (answer,) = await response.json()
    with pytest.raises(LinkButtonNotPressed):
        raise_from_error(answer["error"])
    assert bridge.keys == set()
    bridge.press_link_button()
    key = await create_app_key(host(bridge), "test#here")
    assert bridge.keys == {key}
    assert await is_v2_bridge(host(bridge))
    wrong = HueBridgeV2(host(bridge), "no key at all")
    with pytest.raises(Unauthorized):
        await wrong.request("get", "clip/v2/resource")
    await wrong.close()


async def test_a_client_key_is_given_on_request(bridge: HueBridge) -> None:
    """As a real one does for streaming, and not otherwise."""
    bridge.press_link_button()
    body = {"devicetype": "test#here", "generateclientkey": True}
    async with ClientSession() as session:
        async with session.post(f"https://{host(bridge)}/api", json=body, ssl=False) as response:
            (answer,) = await response.json()
        assert len(answer["success"]["clientkey"]) == 32
        async with session.post(f"https://{host(bridge)}/api", json={}, ssl=False) as response:
            (answer,) = await response.json()
    assert answer["error"]["type"] == 5


async def test_who_it_is_is_told_to_everybody(bridge: HueBridge) -> None:
    """Its id is in the configuration, with a key in the path or without."""
    async with ClientSession() as session:
        for path in ("api/config", "api/0/config"):
            async with session.get(f"https://{host(bridge)}/{path}", ssl=False) as response:
                config = await response.json()
            assert (config["bridgeid"], config["modelid"]) == ("001788FFFE0A1B2C", "BSB002")


async def test_the_library_reads_a_whole_home(hue: HueBridgeV2) -> None:
    """Every resource is one that the library takes, and belongs where it should."""
    assert hue.bridge_id == "001788fffe0a1b2c"
    assert hue.config.bridge_device.product_data.product_name == "Hue Bridge"
    lights = {light.metadata.name: light for light in hue.lights}
    assert set(lights) == {"Sofa", "Reading", "Coffee"}
    assert lights["Sofa"].supports_color
    assert lights["Reading"].color_temperature.mirek_schema.mirek_maximum == 454
    assert not lights["Coffee"].supports_dimming
    assert [one.motion.value for one in hue.sensors.motion] == [False]
    assert [one.temperature.value for one in hue.sensors.temperature] == [21.5]
    assert [one.contact_report.state for one in hue.sensors.contact] == [ContactState.CONTACT]
    assert [one.metadata.control_id for one in hue.sensors.button] == [1, 2, 3, 4]
    assert [one.power_state.battery_level for one in hue.sensors.device_power] == [87, 87, 87]
    rooms = {room.metadata.name: room for room in hue.groups.room}
    assert {light.metadata.name for light in hue.groups.room.get_lights(rooms["Living room"].id)} == {"Sofa", "Reading"}
    assert all(hue.groups.grouped_light[room.grouped_light].on.on for room in rooms.values())


async def test_the_library_commands_and_hears_it(bridge: HueBridge, hue: HueBridgeV2) -> None:
    """What is put is done, and told to who listens, the group of the lamp too; dimming has a lamp's steps."""
    heard: asyncio.Queue[Any] = asyncio.Queue()
    hue.subscribe(lambda _, item: heard.put_nowait(item))
    sofa = bridge.find("Sofa", "light")["id"]
    await hue.lights.set_state(sofa, on=True, brightness=40, color_xy=(0.3, 0.3))
    async with asyncio.timeout(5):
        while hue.lights[sofa].dimming.brightness != 40.16:
            await heard.get()
        while hue.groups.grouped_light[bridge.find("Living room", "grouped_light")["id"]].dimming.brightness != 45.08:
            await heard.get()
    assert not hue.lights[sofa].color_temperature.mirek_valid
    assert bridge.resources[sofa]["color"]["xy"] == {"x": 0.3, "y": 0.3}
    await hue.lights.set_state(sofa, color_temp=200)
    assert bridge.resources[sofa]["color_temperature"]["mirek_valid"]
    assert [kind for kind, _, _ in bridge.commands] == ["light", "light"]


async def test_a_room_is_commanded_as_one(bridge: HueBridge, hue: HueBridgeV2) -> None:
    """A command to a room reaches its lamps and no others."""
    await hue.groups.grouped_light.set_state(bridge.find("Living room", "grouped_light")["id"], on=False)
    on = {name: bridge.find(name, "light")["on"]["on"] for name in ("Sofa", "Reading", "Coffee")}
    assert on == {"Sofa": False, "Reading": False, "Coffee": True}
    assert not bridge.find("Living room", "grouped_light")["on"]["on"]


async def test_hands_are_heard(bridge: HueBridge, hue: HueBridgeV2) -> None:
    """A press of a switch, a new lamp and one thrown out are told."""
    heard: asyncio.Queue[Any] = asyncio.Queue()
    hue.subscribe(lambda kind, item: heard.put_nowait((kind.value, item)))
    await bridge.press("Wall switch", 2, "short_release")
    async with asyncio.timeout(5):
        _, button = await heard.get()
        assert (button.metadata.control_id, button.button.value) == (2, ButtonEvent.SHORT_RELEASE)
        await bridge.add("Shelf", "color")
        kind, _ = await heard.get()
        assert kind == "add"
        while "Shelf" not in {light.metadata.name for light in hue.lights}:
            await heard.get()
        await bridge.remove("Shelf")
        while "Shelf" in {light.metadata.name for light in hue.lights}:
            await heard.get()


async def test_a_lamp_without_power_is_told(bridge: HueBridge, hue: HueBridgeV2) -> None:
    """The bridge takes the command, says that it may have no effect, and it has none."""
    sofa = bridge.find("Sofa", "light")["id"]
    await bridge.change(bridge.find("Sofa", "zigbee_connectivity")["id"], status="connectivity_issue")
    with pytest.raises(AiohueException, match="communication issues"):
        await hue.lights.turn_off(sofa)
    assert bridge.resources[sofa]["on"]["on"]


async def test_what_it_can_not_do_is_refused(bridge: HueBridge, hue: HueBridgeV2) -> None:
    """Unknown resources and members are errors."""
    sofa = bridge.find("Sofa", "light")["id"]
    for path, body in ((f"light/{sofa}", {"size": 1}), ("light/nobody", {"on": {"on": True}})):
        with pytest.raises(AiohueException):
            await hue.request("put", f"clip/v2/resource/{path}", json=body)
    with pytest.raises(AiohueException, match="Not Found"):
        await hue.request("get", "clip/v2/resource/light/nobody")
    assert bridge.commands == ()


async def test_its_certificate_is_its_own(bridge: HueBridge) -> None:
    """The common name is the bridge's id; after a reset it is another certificate, and who holds the old one knows."""

    def certificate() -> bytes:
        return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((bridge.address, bridge.port)))

    first = await asyncio.to_thread(certificate)
    (name,) = x509.load_der_x509_certificate(first).subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    assert name.value == "001788fffe0a1b2c"
    port = bridge.port
    await bridge.renew()
    assert bridge.port == port
    assert await asyncio.to_thread(certificate) != first
    async with ClientSession() as session:
        with pytest.raises(ServerFingerprintMismatch):
            await session.get(f"https://{host(bridge)}/api/config", ssl=Fingerprint(hashlib.sha256(first).digest()))


async def test_it_announces_itself() -> None:
    """A browser sees its id, model and port."""
    async with (
        AsyncZeroconf(interfaces=["127.0.0.1"]) as zeroconf,
        AsyncZeroconf(interfaces=["127.0.0.1"]) as browser,
        open_hue(zeroconf=zeroconf) as bridge,
    ):
        info = AsyncServiceInfo("_hue._tcp.local.", "Hue Bridge - 0A1B2C._hue._tcp.local.")
        assert await info.async_request(browser.zeroconf, 3_000)
        assert info.decoded_properties == {"bridgeid": "001788fffe0a1b2c", "modelid": "BSB002"}
        assert info.port == bridge.port
