"""What is particular to the ESPHome driver, on real firmware: what the parts are, keys, unruly parts, its own news."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from aiohttp import ClientSession
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from gladys_companion.clock import SYSTEM
from gladys_companion.drivers.esphome import PLUGIN, Config, EsphomeDriver
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Delivery, Device, Event, Feature, RegistrySnapshot, report
from gladys_companion.ports import Kit, Pairable
from gladys_companion.sim.conformance import MemorySecrets
from tests.esphome import KEY, MAC, Firmware, open_babbler, open_firmware, open_server

pytestmark = pytest.mark.timeout(600)  # the first one builds the firmware

ID = f"esphome:{MAC}"
WRONG = base64.b64encode(bytes(32 * [7])).decode()


@pytest.fixture
def secrets() -> MemorySecrets:
    return MemorySecrets()


@pytest.fixture
async def driver(secrets: MemorySecrets) -> AsyncIterator[EsphomeDriver]:
    async with AsyncZeroconf(interfaces=["127.0.0.1"]) as zeroconf, ClientSession() as http:
        kit = Kit(clock=SYSTEM, zeroconf=zeroconf, http=http, secrets=secrets, registry=RegistrySnapshot)
        async with PLUGIN.open(Config(answer_within=1.0, ping_every=0.5, reconnect_most=0.5), kit) as driver:
            assert isinstance(driver, EsphomeDriver)
            yield driver


@pytest.fixture
async def firmware(esphome_firmware: Path, tmp_path: Path) -> AsyncIterator[Firmware]:
    async with open_firmware(esphome_firmware, tmp_path, unruly=True) as firmware:
        yield firmware


def device_at(port: int, mac: str = MAC) -> Device:
    return Device(id=f"esphome:{mac}", driver="esphome", name="glasshouse", address="127.0.0.1", port=port)


def where(firmware: Firmware) -> Device:
    return device_at(firmware.port, firmware.mac)


def delivery(feature: Feature, device: Device, value: float | str | None) -> Delivery:
    event = report(
        origin="gateway",
        external_id=feature.external_id,
        value=None if isinstance(value, str) else value,
        text=value if isinstance(value, str) else None,
        now=SYSTEM.now(),
        elapsed=SYSTEM.elapsed(),
        boot=SYSTEM.boot,
    )
    return Delivery(seq=1, event=event, target="esphome", lane=device.id, feature=feature, device=device)


async def command(driver: EsphomeDriver, device: Device, component: str, value: float | str) -> None:
    features = {one.external_id: one for one in await driver.describe(device)}
    await driver.deliver(delivery(features[f"{device.id}:{component}"], device, value))


async def told(events: AsyncIterator[Event], component: str, value: float | str) -> list[tuple[str, float | str]]:
    """Return what is told, up to this value of this component."""
    seen: list[tuple[str, float | str]] = []
    async with asyncio.timeout(20):
        while (component, value) not in seen:
            event = await anext(events)
            external_id = event.external_id or ""
            seen.append(
                (external_id.removeprefix(f"{ID}:"), event.text if event.text is not None else event.value or 0)
            )
    return seen


async def trouble(driver: EsphomeDriver, device_id: str, words: str) -> str:
    """Return what is wrong with a device, as soon as it says these words."""
    async with asyncio.timeout(20):
        while True:
            found = driver.trouble(device_id)
            if found is not None and words in found.says:
                return found.says
            await asyncio.sleep(0.01)  # nothing tells of it


async def test_every_part_is_what_gladys_calls_it(firmware: Firmware, driver: EsphomeDriver) -> None:
    """Category, type, unit, range and whether it can be commanded, of one of each."""
    features = await driver.describe(where(firmware))
    rows = {
        one.external_id.removeprefix(f"{ID}:"): (one.category, one.type, one.unit, one.min, one.max, one.writable)
        for one in features
    }
    assert rows == {
        "binary_sensor:door": ("opening-sensor", "binary", None, 0, 1, False),
        "binary_sensor:leak": ("leak-sensor", "binary", None, 0, 1, False),
        "cover:blind:state": ("shutter", "state", None, -1, 1, True),
        "cover:blind:position": ("shutter", "position", "percent", 0, 100, True),
        "cover:gate:state": ("garage-door", "state", None, -1, 1, True),
        "cover:gate:position": ("garage-door", "position", "percent", 0, 100, True),
        "light:lamp:on": ("light", "binary", None, 0, 1, True),
        "light:lamp:brightness": ("light", "brightness", "percent", 0, 100, True),
        "light:lamp:color": ("light", "color", None, 0, 0xFFFFFF, True),
        "light:lamp:temperature": ("light", "temperature", None, 153, 500, True),
        "light:desk:on": ("light", "binary", None, 0, 1, True),
        "light:desk:brightness": ("light", "brightness", "percent", 0, 100, True),
        "light:desk:temperature": ("light", "temperature", None, 153, 500, True),
        "light:bulb:on": ("light", "binary", None, 0, 1, True),
        "lock:front_door": ("lock", "binary", None, 0, 1, True),
        "lock:cellar": ("lock", "binary", None, 0, 1, True),
        "number:target": ("unknown", "unknown", "celsius", 5, 30, True),
        "select:mode": ("text", "text", None, None, None, True),
        "text:label": ("text", "text", None, None, None, True),
        "button:water_now": ("button", "push", None, 1, 1, True),
        "sensor:temperature": ("temperature-sensor", "decimal", "celsius", None, None, False),
        "sensor:power": ("energy-sensor", "power", "kilowatt", None, None, False),
        "switch:pump": ("switch", "binary", None, 0, 1, True),
        "switch:stuck": ("switch", "binary", None, 0, 1, True),
        "switch:pump-b89264ad": ("switch", "binary", None, 0, 1, True),
        "text_sensor:note": ("text", "text", None, None, None, False),
    }
    names = {one.external_id.removeprefix(f"{ID}:"): one.name for one in features}
    assert (names["switch:pump"], names["switch:pump-b89264ad"]) == ("Pump", "Annex Pump")
    assert names["light:lamp:color"] == "Lamp color"


async def test_it_is_found_by_its_announcement(firmware: Firmware, driver: EsphomeDriver) -> None:
    """What zeroconf hears of a device is enough to know it, to reach it and to call it by its name."""
    from gladys_companion.discovery import Discovery, open_mdns
    from gladys_companion.plugins import PluginRecord
    from gladys_companion.store.registry import open_registry
    from gladys_companion.store.schema import MIGRATIONS
    from gladys_companion.store.writer import open_store
    from tests.discovering import HERE, QUICK

    kind = "_esphomelib._tcp.local."
    txt = {"mac": MAC, "friendly_name": "Glasshouse", "project_name": "acme.plant", "version": "2026.6.5"}
    record = PluginRecord(name="esphome", group="drivers", target=driver, status="open")
    info = AsyncServiceInfo(
        kind, f"glass.{kind}", port=firmware.port, parsed_addresses=["127.0.0.1"], properties=txt, server="glass.local."
    )
    async with (
        open_store(firmware.log.with_name("companion.db"), MIGRATIONS) as store,
        open_mdns(HERE) as mdns,
        AsyncZeroconf(interfaces=["127.0.0.1"]) as announcer,
        asyncio.TaskGroup() as group,
    ):
        registry = await open_registry(store, wake=lambda _: None)
        discovery = Discovery(mdns, registry, {"esphome": record}, pace=QUICK)
        task = group.create_task(discovery.run())
        await (await announcer.async_register_service(info))
        async with asyncio.timeout(20):
            while ID not in registry.snapshot.devices:
                await discovery.changed.wait()
        found = registry.snapshot.devices[ID]
        assert (found.name, found.model, found.port) == ("Glasshouse", "acme.plant", firmware.port)
        await told(driver.events(), "switch:pump", 0)
        task.cancel()


async def test_texts_are_delivered_and_checked(firmware: Firmware, driver: EsphomeDriver) -> None:
    """A select takes its options and a text what is neither too short nor too long; what is wrong is said."""
    device = where(firmware)
    await command(driver, device, "select:mode", "Off")
    await command(driver, device, "text:label", "Thyme & Sauge é")
    assert (await firmware.said("mode"))[-1] == "Off"
    assert (await firmware.said("label"))[-1] == "Thyme & Sauge é"
    with pytest.raises(Rejected, match=r"^Mode is one of 'Winter', 'Summer', 'Off'\.$"):
        await command(driver, device, "select:mode", "Autumn")
    for wrong in ("", "x" * 21, "é" * 11):
        with pytest.raises(Rejected, match=r"^Label takes a text of 1 to 20 bytes\.$"):
            await command(driver, device, "text:label", wrong)
    assert (await firmware.said("mode"))[-1] == "Off"


@pytest.mark.parametrize(
    ("component", "value", "says"),
    [
        ("switch:pump", 2, "Pump takes a whole number from 0 to 1."),
        ("light:lamp:brightness", 0.5, "Lamp brightness takes a whole number from 0 to 100."),
        ("light:lamp:temperature", 152, "Lamp temperature takes a whole number from 153 to 500."),
        ("number:target", 30.5, "Target takes a number from 5 to 30."),
        ("number:target", float("nan"), "Target takes a number from 5 to 30."),
        ("button:water_now", 0, "Water now takes 1."),
        ("text_sensor:note", "x", "Note tells values and takes none."),
        ("sensor:temperature", 20, "Temperature tells values and takes none."),
    ],
)
async def test_what_a_part_can_not_be_is_rejected(
    firmware: Firmware, driver: EsphomeDriver, component: str, value: float | str, says: str
) -> None:
    """The sentence says what it takes."""
    with pytest.raises(Rejected) as raised:
        await command(driver, where(firmware), component, value)
    assert str(raised.value) == says


async def test_a_color_ends_the_effect_that_would_hide_it(firmware: Firmware, driver: EsphomeDriver) -> None:
    """A color is what shows, and white has no color: it is told what it is, and no more."""
    device = where(firmware)
    async with firmware.hand() as hand:
        entities, _ = await hand.list_entities_services()
        (lamp,) = [one for one in entities if one.object_id == "lamp"]
        hand.light_command(lamp.key, state=True, effect="Random")
        await hand.device_info()
    await command(driver, device, "light:lamp:color", 0x804020)
    events = driver.events()
    driver.follow(device)
    seen = await told(events, "light:lamp:color", 0x804020)
    assert "light:lamp:temperature" not in dict(seen)
    async with firmware.hand() as hand:
        found: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        hand.subscribe_states(
            lambda state: found.set_result(state.effect) if state.key == lamp.key and not found.done() else None  # type: ignore[attr-defined]
        )
        assert await found == "None"


async def test_a_part_that_does_not_obey_is_told(firmware: Firmware, driver: EsphomeDriver) -> None:
    """A switch that stays as it is was commanded in vain, and says so; nobody hangs up on it."""
    device = where(firmware)
    driver.follow(device)
    await told(driver.events(), "switch:pump", 0)
    node = driver.connection(ID)
    assert node is not None
    with pytest.raises(Unavailable, match=r"was told Stuck = 1, but says that it is 0\.$"):
        await command(driver, device, "switch:stuck", 1)
    assert await firmware.said("stuck") == ["told"]
    assert driver.connection(ID) is node
    await command(driver, device, "switch:pump", 1)


async def test_a_lock_is_delivered_when_it_has_turned(firmware: Firmware, driver: EsphomeDriver) -> None:
    """While it turns it is neither; one that jams is for a hand, and can be told again after that."""
    device = where(firmware)
    driver.follow(device)
    await told(driver.events(), "switch:pump", 0)
    for _ in range(2):
        await command(driver, device, "lock:cellar", 0)
        assert (await firmware.said("cellar"))[-1] == "0"
        with pytest.raises(Rejected, match=r"^Cellar of glasshouse \(.*\) is jammed: free it by hand\.$"):
            await command(driver, device, "lock:cellar", 1)


async def test_a_cover_is_delivered_when_it_moves(firmware: Firmware, driver: EsphomeDriver) -> None:
    """Nobody waits until a gate is open; where it is on its way is told, and that it stopped."""
    device = where(firmware)
    events = driver.events()
    driver.follow(device)
    await told(events, "cover:gate:position", 50)
    began = time.monotonic()
    await command(driver, device, "cover:gate:position", 90)
    assert time.monotonic() - began < 1.0  # the way takes 1.2 s
    seen = await told(events, "cover:gate:position", 90)
    assert ("cover:gate:state", 1) in seen
    await command(driver, device, "cover:gate:state", -1)
    assert await firmware.said("gate") == ["stopped"]  # at 90 percent
    await command(driver, device, "cover:gate:state", 0)
    assert await firmware.said("gate") == ["stopped", "stopped"]


async def test_its_own_changes_are_told_at_once_and_do_not_come_back(firmware: Firmware, driver: EsphomeDriver) -> None:
    """A door that is opened is told within 100 ms of the push, in Gladys' words, and nothing is commanded for it."""
    device = where(firmware)
    events = driver.events()
    driver.follow(device)
    await told(events, "number:target", 20)
    async with firmware.hand() as hand:
        _, actions = await hand.list_entities_services()
        (open_door,) = [one for one in actions if one.name == "open_door"]
        for is_open, value in ((True, 0), (False, 1)):
            await hand.execute_service(open_door, {"is_open": is_open})
            began = time.monotonic()
            assert ("binary_sensor:door", value) in await told(events, "binary_sensor:door", value)
            assert time.monotonic() - began < 0.5  # 0.1 s, and a loaded machine
    await firmware.act("measure", celsius=21.26)
    await told(events, "sensor:temperature", 21.3)  # as many decimals as its configuration says
    await firmware.act("write_note", note="dry")
    await told(events, "text_sensor:note", "dry")
    assert await firmware.said("pump") == ["0"]


async def test_a_key_is_wanted_and_checked(
    firmware: Firmware, driver: EsphomeDriver, secrets: MemorySecrets, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a key, and with a wrong one, it is refused and said how to pair; with the right one it is driven."""
    await firmware.encrypt()
    caplog.set_level(logging.DEBUG)  # the library's too; to give a device a key, as was done here, it logs that
    device = where(firmware)
    assert isinstance(driver, Pairable)
    assert driver.wants(device).code
    with pytest.raises(Rejected, match=rf"is encrypted: give its key with `gladys-companion devices pair {ID}`\.$"):
        await driver.describe(device)
    for typed in (None, "", "1234", KEY[:-4], "A" * 43 + "="):
        with pytest.raises(Rejected, match="no encryption key"):
            await driver.pair(device, typed)
    with pytest.raises(Rejected, match=rf"has another encryption key: give it with `.*pair {ID}`\.$"):
        await driver.pair(device, WRONG)
    assert await secrets.get(MAC) is None
    await driver.pair(device, f' "{KEY}"\n')
    assert await secrets.get(MAC) == KEY.encode()
    await command(driver, device, "switch:pump", 1)
    assert (await firmware.said("pump"))[-1] == "1"
    with pytest.raises(Rejected, match="another encryption key"):
        await driver.pair(device, WRONG)
    assert await secrets.get(MAC) == KEY.encode()
    await driver.unpair(device)
    with pytest.raises(Rejected, match="is encrypted"):
        await command(driver, device, "switch:pump", 0)
    assert "handshake" in caplog.text.lower() or "Connecting" in caplog.text
    assert KEY not in caplog.text
    assert WRONG not in caplog.text


async def test_a_plain_device_needs_no_key(firmware: Firmware, driver: EsphomeDriver, secrets: MemorySecrets) -> None:
    """To pair it is refused, and leaves no key behind that would lock it out."""
    with pytest.raises(Rejected, match=r"^glasshouse is not encrypted: it needs no key\.$"):
        await driver.pair(where(firmware), KEY)
    assert await secrets.get(MAC) is None
    await driver.describe(where(firmware))


async def test_what_had_a_key_is_never_spoken_to_in_plain(
    firmware: Firmware, driver: EsphomeDriver, secrets: MemorySecrets
) -> None:
    """A device that wants no encryption any more may be another: nothing is said to it until its owner says so."""
    await secrets.set(MAC, KEY.encode())
    device = where(firmware)
    driver.follow(device)
    says = await trouble(driver, ID, "not encrypted")
    assert f"`gladys-companion devices unpair {ID}`" in says
    pump = Feature(external_id=f"{ID}:switch:pump", device=ID, name="Pump", category="switch", type="binary")
    with pytest.raises(Rejected, match="nothing is said to it"):
        await driver.deliver(delivery(pump, device, 1))
    assert await firmware.said("pump") == ["0"]
    await driver.unpair(device)
    await command(driver, device, "switch:pump", 1)


async def test_an_impostor_hears_nothing_but_noise(driver: EsphomeDriver, secrets: MemorySecrets) -> None:
    """Of what something else at the address of a paired device is sent, nothing is in plain words."""
    await secrets.set(MAC, KEY.encode())
    heard = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read(1024))
        writer.write(b"\x00\x00\x02")
        heard.extend(await reader.read(1024))

    port = Firmware(Path(), Path(), MAC, unruly=False).port
    async with open_server(port, listen):
        with pytest.raises(Rejected, match="not encrypted"):
            await driver.describe(device_at(port))
    assert heard[:3] == b"\x01\x00\x00"
    assert len(heard) == 3 + 3 + 1 + 32 + 16  # hello, and one message of the handshake
    assert b"Gladys" not in heard


async def test_it_is_followed_through_a_restart(firmware: Firmware, driver: EsphomeDriver) -> None:
    """While it is off, that is its trouble, with since when; when it is back, what it is now is told."""
    events = driver.events()
    device = where(firmware)
    driver.follow(device)
    await told(events, "switch:pump", 0)
    await command(driver, device, "switch:pump", 1)
    before = time.time()
    await firmware.stop()
    await trouble(driver, ID, "can not be reached: Connection refused.")
    found = driver.trouble(ID)
    assert found is not None
    assert before - 1 < found.since < time.time()
    await firmware.start()
    await told(events, "switch:pump", 0)  # it forgot
    assert driver.trouble(ID) is None


async def test_another_device_at_its_address_is_not_commanded(
    firmware: Firmware, driver: EsphomeDriver, esphome_firmware: Path, tmp_path: Path
) -> None:
    """A device that took over an address, as after a power cut, is not taken for the one that was there."""
    device = where(firmware)
    driver.follow(device)
    await told(driver.events(), "switch:pump", 0)
    features = {one.external_id: one for one in await driver.describe(device)}
    await firmware.stop()
    (tmp_path / "other").mkdir()
    other = Firmware(esphome_firmware, tmp_path / "other", "02005e1000ff", unruly=False)
    other.port = firmware.port
    try:
        await other.start()
        says = await trouble(driver, ID, "Another device answers")
        assert "02005e1000ff" in says
        with pytest.raises(Unavailable, match="Another device answers"):
            await driver.deliver(delivery(features[f"{ID}:switch:pump"], device, 1))
        assert await other.said("pump") == ["0"]
    finally:
        await other.stop()


async def test_one_that_hangs_is_noticed_and_followed_again(firmware: Firmware, driver: EsphomeDriver) -> None:
    """A command finds out at once, and so do pings without one; when it goes on, it is connected to anew."""
    events = driver.events()
    device = where(firmware)
    driver.follow(device)
    await told(events, "switch:pump", 0)
    features = {one.external_id: one for one in await driver.describe(device)}
    firmware.freeze()
    with pytest.raises(Unavailable, match=r"did not answer within 1 s\.$"):
        await driver.deliver(delivery(features[f"{ID}:switch:stuck"], device, 1))
    await trouble(driver, ID, "ended the connection, or was silent for too long.")
    firmware.thaw()
    await told(events, "switch:pump", 0)
    firmware.freeze()
    await trouble(driver, ID, "silent")  # after 4.5 times 0.5 s
    firmware.thaw()
    await told(events, "switch:pump", 0)


@pytest.mark.parametrize(
    "says",
    [
        b"",
        b"\x00",
        b"\x02garbage",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x00\x02\x02\xff\xff",  # a hello that is no message
        b"\x00\xff\xff\xff\xff\xff\x02",  # longer than any
        b"\x00\xff\xff\x03\x02" + b"x" * 100,  # and never whole
        b"\x00\x00\x63" * 5_000,
        b"\x01\x00\x00" * 100,
        b"\x01\xff\xff" + b"\x00" * 70_000,
        b"\x01\x00\x05\x01wire" + b"\x01\x00\x01\x01",
    ],
)
@pytest.mark.parametrize("key", [None, KEY])
async def test_garbage_is_a_sentence(
    driver: EsphomeDriver, secrets: MemorySecrets, says: bytes, key: str | None
) -> None:
    """Whatever answers instead of a device, it is told, and the sentence names the device."""
    if key:
        await secrets.set(MAC, key.encode())
    port = Firmware(Path(), Path(), MAC, unruly=False).port
    async with open_babbler(port, says):
        with pytest.raises((Unavailable, Rejected), match=rf"^glasshouse \(127\.0\.0\.1:{port}\) .+\.$"):
            await driver.describe(device_at(port))


@pytest.mark.parametrize("table", [{"answer_within": "soon"}, {"answer_within": 0}, {"ping_every": 0}])
def test_the_table_is_checked(table: dict[str, object]) -> None:
    """A time-out that is no number, or that would never wait, is an error of the configuration."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, Config)
