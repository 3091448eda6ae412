"""The devices that Gladys has, in a running home: kept in step, told, commanded, and left alone where they are ours."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from gladys_companion.app import open_daemon
from gladys_companion.config import Config, Discovery, Local
from gladys_companion.model import Device, Feature, Sender
from gladys_companion.store.registry import Registry
from tests.gladys_home import open_home
from tests.gladys_mqtt import open_gladys_mqtt
from tests.gladys_server import KEY, ZIGBEE, GladysServer, feature, open_gladys
from tests.mosquitto import open_broker, open_listener
from tests.rig import open_rig, until

LAMP, ON = "zigbee2mqtt:lamp", "zigbee2mqtt:lamp:on"
PHONE, PRESENCE = "mqtt:my-phone", "mqtt:my-phone-presence"


@pytest.fixture
async def server() -> AsyncIterator[GladysServer]:
    async with open_gladys() as server:
        server.add(LAMP, feature(ON, "light"), name="Lamp", service_id=ZIGBEE)
        server.add(PHONE, feature(PRESENCE, "motion-sensor", read_only=True), name="My phone")
        yield server


async def test_what_gladys_has_is_known_at_start(server: GladysServer, tmp_path: Path) -> None:
    """Its devices have Gladys' own external ids, kinds and ranges; what is read-only there is not writable here."""
    server.add("zigbee2mqtt:heat", feature("zigbee2mqtt:heat:t", "thermostat", "target-temperature", min=7, max=35))
    server.feature("zigbee2mqtt:heat:t")["unit"] = "celsius"
    async with open_home(tmp_path, server) as home:
        await home.there(LAMP, PHONE, "zigbee2mqtt:heat")
        lamp, presence, heat = (home.feature(one) for one in (ON, PRESENCE, "zigbee2mqtt:heat:t"))
        assert lamp is not None
        assert (lamp.device, lamp.category, lamp.type, lamp.writable, lamp.max) == (LAMP, "light", "binary", True, 1)
        assert presence is not None
        assert (presence.category, presence.writable) == ("motion-sensor", False)
        assert heat is not None
        assert (heat.unit, heat.min, heat.max) == ("celsius", 7, 35)
        device = home.device(LAMP)
        assert device is not None
        assert (device.driver, device.name, device.address) == ("gladys_devices", "Lamp", "127.0.0.1")
        await home.until(lambda: home.seen(LAMP)[0] == "followed")
        assert home.hindrance() is None


async def test_new_renamed_changed_and_deleted_devices(server: GladysServer, tmp_path: Path) -> None:
    """What changes at Gladys is so here after the next look: also while nobody looked."""
    async with open_home(tmp_path, server) as home:
        await home.there(LAMP)
        server.add("mqtt:new", feature("mqtt:new:on"), name="New")
        await home.there("mqtt:new")
        server.devices["mqtt:new"]["name"] = "Newer"
        server.feature("mqtt:new:on")["max"] = 5
        await home.until(lambda: (one := home.device("mqtt:new")) and one.name == "Newer")
        await home.until(lambda: (one := home.feature("mqtt:new:on")) and one.max == 5)
        server.remove("mqtt:new")
        since = await home.until(lambda: one.away_since if (one := home.device("mqtt:new")) else None)
        assert abs(since - time.time()) < 60
        server.add("mqtt:new", feature("mqtt:new:on"), name="New")
        await home.until(lambda: (one := home.device("mqtt:new")) and one.away_since is None)
    server.remove(LAMP)
    server.devices[PHONE]["name"] = "Her phone"
    async with open_home(tmp_path, server) as home:
        await home.until(lambda: (one := home.device(LAMP)) and one.away_since)
        await home.until(lambda: (one := home.device(PHONE)) and one.name == "Her phone" and not one.away_since)


async def test_the_name_that_the_user_gave_stays(server: GladysServer, tmp_path: Path) -> None:
    """A device that was renamed here keeps that name, whatever it is called at Gladys."""
    async with open_home(tmp_path, server) as home:
        await home.there(LAMP)
        await home.daemon.registry.rename(LAMP, "Mine")
        server.devices[LAMP]["name"] = "Theirs"
        server.feature(ON)["name"] = "Ein"
        await home.until(lambda: (one := home.feature(ON)) and one.name == "Ein")
        assert (one := home.device(LAMP)) is not None
        assert one.name == "Mine"


async def test_a_device_that_the_user_forgets_comes_back(server: GladysServer, tmp_path: Path) -> None:
    """As one that is still on the network does."""
    async with open_home(tmp_path, server) as home:
        await home.there(LAMP)
        await home.daemon.forget(LAMP)
        assert home.device(LAMP) is None
        await home.there(LAMP)


async def test_a_device_that_is_forgotten_while_it_is_stored(
    server: GladysServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the commit and whoever waits for it, a user may forget it: that ends nothing, and it comes back."""
    put, forgotten = Registry.put_device, asyncio.Event()

    async def put_and_forget(registry: Registry, device: Device, features: Sequence[Feature]) -> None:
        await put(registry, device, features)
        if device.id == LAMP and not forgotten.is_set():
            await registry.forget(device.id)
            forgotten.set()

    monkeypatch.setattr(Registry, "put_device", put_and_forget)
    async with open_home(tmp_path, server) as home:
        async with asyncio.timeout(20):
            await forgotten.wait()
        assert home.daemon.discovery is not None
        home.daemon.discovery.forget(LAMP)
        await home.there(LAMP)


async def test_last_values_are_news_once(server: GladysServer, tmp_path: Path) -> None:
    """What Gladys knows is in our history with Gladys' time, not told back to it, and not twice after a restart."""
    at = time.time() - 3_600
    server.save_state(ON, 1, at)
    server.add("mqtt:note", feature("mqtt:note:text", "text", "text", read_only=True))
    server.save_state("mqtt:note:text", "hello", at)
    async with open_broker(tmp_path) as broker, open_listener(broker, "gladys/#") as heard:
        for _ in range(2):
            async with open_home(tmp_path, server, broker=broker.port) as home:
                assert await home.history(ON, 1) == [1.0]
                assert await home.history("mqtt:note:text", 1) == ["hello"]
                server.save_state(PRESENCE, 1.0 - (server.feature(PRESENCE)["last_value"] or 0))
                await home.history(PRESENCE, 1)
        async with open_home(tmp_path, server, broker=broker.port) as home:
            assert await home.history(PRESENCE, 2) == [1.0, 0.0]
            assert await home.history(ON, 1) == [1.0]
            ((value, value_at),) = await home.rows("SELECT value, value_at FROM features WHERE external_id = ?", ON)
            assert (value, round(value_at, 2)) == (1.0, round(at, 2))
            assert await home.rows("SELECT * FROM deliveries") == []
        assert heard.heard == []


async def test_an_old_value_of_gladys_does_not_move_a_newer_one(server: GladysServer, tmp_path: Path) -> None:
    """What was posted here since is newer than what Gladys had an hour ago, and stays the last value."""
    async with open_home(tmp_path, server) as home:
        await home.there(PHONE)
        await home.post(PRESENCE, 0.0)
        server.save_state(PRESENCE, 1, time.time() - 3_600)
        assert await home.history(PRESENCE, 2) == [1.0, 0.0]
        assert await home.rows("SELECT value FROM features WHERE external_id = ?", PRESENCE) == [(0.0,)]


async def test_a_command_is_delivered_when_gladys_shows_the_value(server: GladysServer, tmp_path: Path) -> None:
    """It goes through Gladys' API and nowhere else, and is verified by what Gladys has afterwards."""
    async with open_broker(tmp_path) as broker, open_listener(broker, "gladys/#") as heard:
        async with open_home(tmp_path, server, broker=broker.port) as home:
            await home.there(LAMP)
            receipt = await home.post(ON, 1.0)
            assert [(one.target, one.state) for one in receipt.targets] == [("gladys_devices", "delivered")]
            assert server.commanded == [(ON, 1)]
            assert await home.history(ON, 1) == [1.0]
            sql = "SELECT d.state FROM deliveries d JOIN events e ON e.seq = d.event WHERE e.id = ?"
            async with asyncio.timeout(20):
                while await home.rows(sql, receipt.id) != [("verified",)]:
                    await server.seen("GET /api/v1/device", server.asked.count("GET /api/v1/device") + 1)
        assert heard.heard == []


@pytest.mark.parametrize(
    ("kind", "low", "high", "wanted", "has", "state"),
    [
        ("brightness", 0, 255, 100.0, 101.0, "delivered"),
        ("brightness", 0, 255, 100.0, 120.0, "unknown"),
        ("brightness", 0, 255, 100.0, None, "unknown"),
        ("target-temperature", 7, 35, 20.5, 20.0, "unknown"),
        ("color", 0, 0xFFFFFF, 0x102030, 0x112233, "delivered"),
        ("color", 0, 0xFFFFFF, 0x102030, 0x102060, "unknown"),
        ("binary", 0, 1, 1.0, 0.0, "unknown"),
    ],
)
async def test_what_gladys_does_not_show_is_not_known_to_be_done(
    server: GladysServer,
    tmp_path: Path,
    *,
    kind: str,
    low: float,
    high: float,
    wanted: float,
    has: float | None,
    state: str,
) -> None:
    """Gladys answers before it commands: without a value that fits, nobody says that it was done, and once is all."""
    server.add("zigbee2mqtt:x", feature("zigbee2mqtt:x:y", "light", kind, min=low, max=high), service_id=ZIGBEE)
    server.save_state("zigbee2mqtt:x:y", 20.0 if kind == "target-temperature" else low, time.time() - 60)

    async def odd(_: dict[str, Any], __: object) -> float | None:
        return has if kind != "target-temperature" else None

    server.react = odd
    async with open_home(tmp_path, server, confirm_within=0.3) as home:
        await home.there("zigbee2mqtt:x")
        receipt = await home.post("zigbee2mqtt:x:y", wanted)
        settled, reason = await home.settled(receipt.id)
        assert settled == state
        if state == "unknown":
            assert reason is not None
            assert reason.startswith("Gladys took the command, but zigbee2mqtt:x has not shown the value within 0.3 s")
        assert len(server.commanded) == 1


async def test_a_device_that_was_made_anew_is_commanded(server: GladysServer, tmp_path: Path) -> None:
    """Its feature has another selector since a moment; nobody has to wait for the next look."""
    async with open_home(tmp_path, server, sync_every=60) as home:
        await home.there(LAMP)
        server.remove(LAMP)
        server.add(LAMP, feature(ON, "light", selector="another"), service_id=ZIGBEE)
        receipt = await home.post(ON, 1.0)
        assert await home.settled(receipt.id) == ("delivered", None)
        server.feature(ON)["read_only"] = True
        receipt = await home.post(ON, 0.0)
        assert (await home.settled(receipt.id))[
            1
        ] == f"{ON.rpartition(':')[2]} can only be read: Gladys commands nothing there."
        server.remove(LAMP)
        receipt = await home.post(ON, 0.0)
        assert (await home.settled(receipt.id))[0] == "rejected"
        assert server.commanded == [(ON, 1)]


async def test_what_gladys_commands_over_mqtt_does_not_come_back(server: GladysServer, tmp_path: Path) -> None:
    """A device of Gladys' own MQTT integration hears its command on the broker; we hear it too, and do nothing."""
    plug = "mqtt:plug:on"
    server.add("mqtt:plug", feature(plug))
    async with (
        open_broker(tmp_path) as broker,
        open_gladys_mqtt(server, broker) as gladys,
        open_home(tmp_path, server, broker=broker.port) as home,
    ):
        await home.there("mqtt:plug")
        await until(home.told_all, "the broker is reached")
        await server.set_value(server.feature(plug)["selector"], 1)
        assert await home.history(plug, 1) == [1.0]
        receipt = await home.post(plug, 0.0)
        assert await home.settled(receipt.id) == ("delivered", None)
        await server.seen("GET /api/v1/device", server.asked.count("GET /api/v1/device") + 3)
        assert server.commanded == [(plug, 1), (plug, 0)]
        assert gladys.told == []


async def test_what_was_posted_before_gladys_knew_it(server: GladysServer, tmp_path: Path) -> None:
    """An event for an id that was unknown is kept, and is history as soon as the device is created in Gladys."""
    async with open_home(tmp_path, server) as home:
        await home.there(LAMP)
        refused = await home.post("mqtt:new:on", 1.0, origin="gateway", key=Sender("key-1", "phone"))
        assert refused.status == 404
        server.add("mqtt:new", feature("mqtt:new:on", "presence-sensor", read_only=True))
        assert await home.history("mqtt:new:on", 1) == [1.0]


async def test_a_push_is_sent_once(server: GladysServer, tmp_path: Path) -> None:
    """Of a push there is nothing to see afterwards; where it may have arrived it is not sent again."""
    server.add("mqtt:gate", feature("mqtt:gate:push", "button", "push"))
    async with open_home(tmp_path, server) as home:
        await home.there("mqtt:gate")
        receipt = await home.post("mqtt:gate:push", 1.0)
        assert await home.settled(receipt.id) == ("delivered", None)
        server.loses_answers = True
        receipt = await home.post("mqtt:gate:push", 1.0)
        state, reason = await home.settled(receipt.id)
        assert state == "unknown"
        assert "did not answer as it should" in (reason or "")
    assert server.commanded == [("mqtt:gate:push", 1)] * 2


async def test_bounds_types_and_exposure_hold(server: GladysServer, tmp_path: Path) -> None:
    """From outside: news without exposing, commands with it, and never out of range."""
    phone = {"origin": "gateway", "key": Sender("key-1", "phone")}
    async with open_home(tmp_path, server) as home:
        await home.there(LAMP, PHONE)
        news = await home.post(PRESENCE, 1.0, **phone)
        assert (news.status, news.warning) == (200, "Gladys was not told: [sinks.gladys] is not switched on at home.")
        assert (await home.post(ON, 1.0, **phone)).status == 404
        assert (await home.post(ON, 7.0)).error_code == "STATE_OUT_OF_RANGE"
        assert (await home.post(PRESENCE, text="home")).error_code == "INVALID_STATE"
        assert server.commanded == []
        await home.daemon.registry.expose(ON)
        receipt = await home.post(ON, 1.0, **phone)
        assert (await home.settled(receipt.id))[0] == "delivered"
        assert server.commanded == [(ON, 1)]


async def test_gladys_goes_away_and_comes_back(server: GladysServer, tmp_path: Path) -> None:
    """Meanwhile it is said why, devices are not away but silent; a command waits, and goes as soon as it is back."""
    async with open_home(tmp_path, server) as home:
        await home.there(LAMP)
        await server.stop()
        receipt = await home.post(ON, 1.0)
        assert receipt.status == 202
        assert receipt.targets[0].state == "pending"
        await home.hindered()
        assert home.hindrance() == f"Gladys at {server.url} can not be reached: connection refused."
        assert (trouble := home.daemon.trouble(LAMP)) is not None
        assert trouble.says == home.hindrance()
        assert len(home.daemon.vitals().troubles) == 1
        await server.start()
        assert await home.settled(receipt.id) == ("delivered", None)
        assert server.commanded == [(ON, 1)]
        assert (one := home.device(LAMP)) is not None
        assert one.away_since is None


async def test_a_command_expires_where_gladys_stays_away(server: GladysServer, tmp_path: Path) -> None:
    """A lamp is not lit an hour later because Gladys came back."""
    async with open_home(tmp_path, server) as home:
        await home.there(LAMP)
        await server.stop()
        receipt = await home.post(ON, 1.0, deadline=home.daemon.clock.elapsed() + 0.2)
        assert (await home.settled(receipt.id))[0] == "expired"
        await server.start()
        await server.seen("GET /api/v1/device", server.asked.count("GET /api/v1/device") + 2)
        assert server.commanded == []


async def test_a_wrong_key(server: GladysServer, tmp_path: Path) -> None:
    """It is said with what to do, no command goes, and the mended file is enough."""
    key = tmp_path / "key"
    await asyncio.to_thread(key.write_text, "wr0ng-key")
    with capture_logs() as logs:
        async with open_home(tmp_path, server) as home:
            await home.hindered()
            assert "refuses the API key (Api key not found): make a new one" in (home.hindrance() or "")
            await asyncio.to_thread(key.write_text, KEY)
            await home.there(LAMP)
            server.keys = set()
            receipt = await home.post(ON, 1.0)
            state, reason = await home.settled(receipt.id)
            assert (state, "refuses the API key" in (reason or "")) == ("rejected", True)
            assert server.commanded == []
    assert KEY not in repr(logs)
    assert "wr0ng" not in repr(logs)


@pytest.mark.parametrize("fault", [500, "garbage", "huge", "hang", "close", "redirect", "slow"])
async def test_what_is_wrong_with_gladys_is_no_news(server: GladysServer, tmp_path: Path, fault: str | int) -> None:
    """Whatever it answers instead, its devices stay as they were, and are in step again when it is well."""
    async with open_home(tmp_path, server) as home:
        await home.there(LAMP, PHONE)
        server.fault = fault
        await home.hindered()
        server.add("mqtt:new", feature("mqtt:new:on"))
        server.fault = None
        await home.there("mqtt:new")
        assert all(one.away_since is None for one in home.daemon.registry.snapshot.devices.values())
        assert {one.status for one in home.daemon.plugins.values()} == {"open"}


async def test_an_odd_device_does_not_count_as_gone(server: GladysServer, tmp_path: Path) -> None:
    """One that can not be read any more is where it was; others go on."""
    async with open_home(tmp_path, server) as home:
        await home.there(LAMP, PHONE)
        server.feature(ON)["read_only"] = "perhaps"
        server.add("mqtt:new", feature("mqtt:new:on"))
        await home.there("mqtt:new")
        assert (one := home.device(LAMP)) is not None
        assert one.away_since is None


async def test_what_is_ours_is_left_alone(server: GladysServer, tmp_path: Path) -> None:
    """A virtual device, an alias and a feature of ours keep their ids; `scan` says where that hides Gladys' own."""
    ours = Device(id=PHONE, driver="virtual", name="Mine")
    presence = Feature(external_id=PRESENCE, device=PHONE, name="Presence", category="presence-sensor", type="binary")
    note = Feature(external_id="mqtt:b", device=PHONE, name="B", category="text", type="text")
    await server.stop()  # ours are there first
    async with open_home(tmp_path, server, sync_every=60) as home:
        await home.daemon.registry.put_device(ours, [presence, note])
        await home.daemon.registry.alias("mqtt:c", PRESENCE)
    await server.start()
    server.add("mqtt:other", feature("mqtt:b"), feature("mqtt:c"), feature("mqtt:d"))
    server.add("mqtt:hidden", feature("mqtt:b2"), name="Hidden")
    server.feature("mqtt:b2")["external_id"] = PRESENCE
    server.devices[PHONE]["features"][0]["external_id"] = "mqtt:e"
    server.add("gladys", feature("mqtt:f"))
    server.add("homeassistant:gladys-companion-wled-a1", feature("homeassistant:gladys-companion-wled-a1:light:x"))
    server.save_state("mqtt:b", 1)
    async with open_home(tmp_path, server) as home:
        await home.there("mqtt:other")
        await home.until(lambda: home.seen("mqtt:hidden")[0] == "refused")
        assert home.seen("mqtt:hidden")[1] == (
            f"{PRESENCE!r} of it already is {PHONE} here. To use what Gladys has, forget that one: "
            "`gladys-companion devices forget`, or `alias remove`."
        )
        features = home.daemon.registry.snapshot.features
        assert {one for one in features if features[one].device == "mqtt:other"} == {"mqtt:d"}
        assert features[PRESENCE].device == PHONE
        refused = [one.says for one in home.daemon.scan() if one.state == "refused" and one.device is None]
        assert any(says.startswith(f"{PHONE!r} already is a device of the driver virtual.") for says in refused)
        assert not [one for one in home.daemon.registry.snapshot.devices if one.startswith(("gladys", "homeassistant"))]
        await home.daemon.forget(PHONE)
        await home.until(lambda: (one := home.device(PHONE)) and one.driver == "gladys_devices")


async def test_what_was_shared_is_not_taken_for_gladys_own(server: GladysServer, tmp_path: Path) -> None:
    """A lamp of ours that Gladys was given is there under our id, and stays ours."""
    lamp = Device(id="wled:a1", driver="wled", name="Lamp")
    on = Feature(external_id="wled:a1:on", device="wled:a1", name="On", category="light", type="binary", writable=True)
    async with open_home(tmp_path, server, sync_every=60) as home:
        await home.daemon.registry.put_device(lamp, [on])
    server.add("wled:a1", feature("wled:a1:on", "light"), selector="wled:a1")
    server.save_state("wled:a1:on", 1)
    async with open_home(tmp_path, server) as home:
        await home.there(LAMP)
        await server.seen("GET /api/v1/device", server.asked.count("GET /api/v1/device") + 2)
        assert (one := home.device("wled:a1")) is not None
        assert one.driver == "wled"
        assert "wled:a1" not in [one.device for one in home.daemon.scan()]
        assert await home.rows("SELECT * FROM events WHERE external_id = 'wled:a1:on'") == []


async def test_without_an_address_it_says_so(tmp_path: Path) -> None:
    """The driver alone, without [gladys], is a visible status and no crash."""
    config = Config(
        state_directory=str(tmp_path),
        runtime_directory=str(tmp_path),
        local=Local(listen="127.0.0.1:0"),
        discovery=Discovery(enabled=False),
        drivers={"virtual": {}, "gladys_devices": {}},
    )
    async with open_daemon(config) as daemon:
        await daemon.opened.wait()
        (one,) = [one for one in daemon.vitals().plugins if one.name == "gladys_devices"]
        assert one.status == "failed"
        assert "name its address in [gladys] url" in (one.reason or "")


async def test_ten_thousand_devices(server: GladysServer, tmp_path: Path) -> None:
    """All are known in the end, one that goes is noticed among them, and nothing is held up meanwhile."""
    for index in range(10_000):
        server.devices[f"mqtt:{index}"] = _copy(server, index)
    async with open_home(tmp_path, server, sync_every=1.0) as home:
        longest = 0.0
        began = time.monotonic()
        while len(home.daemon.registry.snapshot.devices) < 10_002:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - before)
            assert time.monotonic() - began < 50
        del server.devices["mqtt:77"]
        await home.until(lambda: (one := home.device("mqtt:77")) and one.away_since)
        assert len([one for one in home.daemon.registry.snapshot.devices.values() if one.away_since]) == 1
        assert longest < 2


def _copy(server: GladysServer, index: int) -> dict[str, Any]:
    device = {**server.devices[PHONE], "id": f"{index}", "external_id": f"mqtt:{index}", "selector": f"mqtt-{index}"}
    one = {**device["features"][0], "external_id": f"mqtt:{index}:on", "selector": f"mqtt-{index}-on"}
    return {**device, "features": [one]}


async def test_the_document_end_to_end(server: GladysServer, tmp_path: Path) -> None:
    """The user's way: a device is created in Gladys, a phone posts to its external id, and Gladys gets the state."""
    key = tmp_path / "key"
    await asyncio.to_thread(key.write_text, KEY)
    async with open_broker(tmp_path) as broker, open_listener(broker, "gladys/#") as heard:
        tables: dict[str, dict[str, Any]] = {
            "mqtt": {"port": broker.port},
            "gladys": {"url": server.url, "api_key_file": str(key), "sync_every": 0.5},
            "drivers.gladys_devices": {},
            "sinks.gladys": {},
        }
        async with open_rig(tmp_path, home=tables) as rig, aiohttp.ClientSession() as phone:
            while not rig.rows(rig.journal, "SELECT 1 FROM features WHERE external_id = ?", PRESENCE):
                await server.seen("GET /api/v1/device", server.asked.count("GET /api/v1/device") + 1)
            url = f"{rig.url}/v1/api/device/state/{rig.key}"
            for state in (1, 0):
                body = {"device_feature_external_id": PRESENCE, "state": state}
                async with phone.post(url, json=body) as answer:
                    told = await answer.json()
                    assert (answer.status, told["outcome"]) == (200, "delivered"), told
                    assert [(one["target"], one["state"]) for one in told["targets"]] == [("gladys", "delivered")]
            topic = f"gladys/master/device/{PHONE}/feature/{PRESENCE}/state"
            assert await heard.payloads(2) == [(topic, b"1"), (topic, b"0")]
            sql = (
                "SELECT h.value FROM history h JOIN features f ON f.id = h.feature WHERE external_id = ? ORDER BY h.at"
            )
            assert rig.rows(rig.journal, sql, PRESENCE) == [(1.0,), (0.0,)]
            shown = await rig.command("home", "devices", "show", PHONE)
            assert [(one["external_id"], one["value"]) for one in shown["features"]] == [(PRESENCE, 0.0)]
            body = {"device_feature_external_id": ON, "state": 1}
            async with phone.post(url, json=body) as answer:
                assert (answer.status, (await answer.json())["error_code"]) == (404, "DEVICE_FEATURE_NOT_FOUND")
            await rig.command("home", "devices", "list")
    assert server.commanded == []
