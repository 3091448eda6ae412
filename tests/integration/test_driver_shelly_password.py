"""Shellies with a password: given by `devices pair`, never sent to anybody else, and asked for where it is wanted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, WSMsgType, web
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion import plugins
from gladys_companion.clock import SYSTEM
from gladys_companion.config import Discovery as Options
from gladys_companion.discovery import Discovery, Pace, open_mdns
from gladys_companion.drivers.shelly import ShellyDriver
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.ports import Kit, Pairable
from gladys_companion.sim.conformance import MemorySecrets
from gladys_companion.sim.shelly_gen1 import open_shelly_gen1
from gladys_companion.sim.shelly_gen2 import open_shelly_gen2
from gladys_companion.store.registry import open_registry
from gladys_companion.store.schema import MIGRATIONS
from gladys_companion.store.secrets import StoredSecrets
from gladys_companion.store.writer import open_store
from tests.shelly_home import Shelly, device_at, open_driver, serving, set_to, until, where

PASSWORD = "geheim-é:1"
TO_PAIR = r"`gladys-companion devices pair shelly:[0-9a-f]{12}`"


@pytest.fixture
async def driver() -> AsyncIterator[ShellyDriver]:
    async with open_driver() as driver:
        yield driver


@pytest.fixture(params=[1, 2])
async def shelly(request: pytest.FixtureRequest) -> AsyncIterator[Shelly]:
    async with open_shelly_gen1(password=PASSWORD) as gen1, open_shelly_gen2(password=PASSWORD) as gen2:
        yield gen1 if request.param == 1 else gen2


async def test_it_is_asked_for_given_used_and_forgotten(shelly: Shelly, driver: ShellyDriver) -> None:
    """Without it the sentence says what to do; with it all works; forgotten, nothing does any more."""
    device = where(shelly)
    assert isinstance(driver, Pairable)
    assert driver.wants(device).code
    assert "kitchen" in driver.wants(device).says
    for attempt in (driver.describe(device), set_to(driver, device, "switch:0", 1)):
        with pytest.raises(Rejected, match=f"protected by a password. Give it with {TO_PAIR}"):
            await attempt
    await driver.pair(device, PASSWORD)
    assert await driver.describe(device)
    await set_to(driver, device, "switch:0", 1)
    events = driver.events()
    driver.follow(device)
    await until(events, "switch:0", 1)
    await set_to(driver, device, "switch:0", 0)
    await shelly.press()
    await until(events, "switch:0", 1)
    await driver.unpair(device)
    assert driver.following(device.id) is None
    with pytest.raises(Rejected, match=TO_PAIR):
        await driver.describe(device)


async def test_a_wrong_one_is_not_kept(shelly: Shelly) -> None:
    """The device says that it is wrong, and what was known before stays."""
    secrets = MemorySecrets()
    async with open_driver(secrets=secrets) as driver:
        with pytest.raises(Rejected, match=f"does not take the password.*{TO_PAIR}"):
            await driver.pair(where(shelly), "falsch")
        for nothing in (None, ""):
            with pytest.raises(Rejected, match="none was given"):
                await driver.pair(where(shelly), nothing)
        assert await secrets.get(where(shelly).id) is None
        await driver.pair(where(shelly), PASSWORD)
        with pytest.raises(Rejected):
            await driver.pair(where(shelly), "falsch")
        assert await driver.describe(where(shelly))


async def test_a_password_that_was_changed_is_a_trouble_that_pairing_ends(shelly: Shelly, driver: ShellyDriver) -> None:
    """Who follows it is told what to do; given the new one, the next attempt listens again."""
    device = where(shelly)
    await driver.pair(device, PASSWORD)
    other = open_shelly_gen1 if type(shelly).__module__.endswith("gen1") else open_shelly_gen2
    port = shelly.port
    await shelly.cease()
    async with other(password="neu", mac=shelly.mac, port=port) as changed:
        events = driver.events()
        driver.follow(device)
        async with asyncio.timeout(10):
            while (trouble := driver.trouble(device.id)) is None:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)
        assert "does not take the password that is known here" in trouble.says
        await driver.pair(where(changed), "neu")
        driver.follow(device)  # as discovery does when it was described
        await until(events, "switch:0", 0)
        assert driver.trouble(device.id) is None


async def test_an_open_device_needs_none(driver: ShellyDriver) -> None:
    """It says so, and a password that is known from before is not sent to it."""
    async with open_shelly_gen1() as gen1, open_shelly_gen2() as gen2:
        for shelly in (gen1, gen2):
            with pytest.raises(Rejected, match="has no password, so it needs no pairing"):
                await driver.pair(where(shelly), PASSWORD)
        assert gen1.credentials == ()


async def test_a_device_that_hangs_is_not_paired(shelly: Shelly, driver: ShellyDriver) -> None:
    """No answer is no refusal."""
    shelly.freeze()
    with pytest.raises(Unavailable, match="did not answer within"):
        await driver.pair(where(shelly), PASSWORD)
    shelly.thaw()


async def test_gen1_gets_it_where_it_was_given_and_nowhere_else(driver: ShellyDriver) -> None:
    """At another place the owner is asked; given again there, it works there, and not at the old place."""
    async with open_shelly_gen1(password=PASSWORD) as shelly:
        await driver.pair(where(shelly), PASSWORD)
        await set_to(driver, where(shelly), "switch:0", 1)
        before, there = len(shelly.credentials), where(shelly)
        await shelly.move()
        for attempt in (driver.describe(where(shelly)), set_to(driver, where(shelly), "switch:0", 0)):
            with pytest.raises(Rejected, match=rf"was at 127\.0\.0\.1:{there.port} .* pair it again with {TO_PAIR}"):
                await attempt
        assert len(shelly.credentials) == before
        await driver.pair(where(shelly), PASSWORD)
        await set_to(driver, where(shelly), "switch:0", 0)
        assert shelly.state["ison"] is False


async def test_gen2_is_followed_to_another_place(driver: ShellyDriver) -> None:
    """It is only ever sent a digest, so that it may move."""
    async with open_shelly_gen2(password=PASSWORD) as shelly:
        await driver.pair(where(shelly), PASSWORD)
        await shelly.move()
        await set_to(driver, where(shelly), "switch:0", 1)
        assert shelly.status["switch:0"]["output"] is True


async def test_nobody_else_is_sent_the_password_of_gen1(driver: ShellyDriver) -> None:
    """Who answers at its place as another, or as itself without asking for one, is sent none."""
    seen: list[str] = []

    async def impostor(request: web.Request) -> web.Response:
        seen.extend(request.headers.getall("Authorization", []))
        return web.json_response(answer)

    answer: dict[str, Any] = {}
    async with open_shelly_gen1(password=PASSWORD) as shelly:
        await driver.pair(where(shelly), PASSWORD)
        device = where(shelly)
    assert device.port is not None
    runner = web.AppRunner(web.Application(), shutdown_timeout=0.1)
    runner.app.router.add_route("*", "/{path:.*}", impostor)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", device.port).start()
    for told in (
        {"type": "SHSW-PM", "mac": "020000000001", "auth": True},
        {"type": "SHSW-PM", "mac": shelly.mac.upper(), "auth": False},
        {"auth": True},
    ):
        answer = told
        with pytest.raises((Rejected, Unavailable)):
            await set_to(driver, device, "switch:0", 1)
    await runner.cleanup()
    assert seen == []


async def test_gen2_never_sees_the_password_itself(driver: ShellyDriver) -> None:
    """Not even one that claims to be the device, and asks for all that the protocol has, is sent more than a digest."""
    heard: list[str] = []
    challenge = {"auth_type": "digest", "nonce": 1, "nc": 1, "realm": "x", "algorithm": "SHA-256"}

    async with open_shelly_gen2(password=PASSWORD) as shelly:
        await driver.pair(where(shelly), PASSWORD)

        async def impostor(request: web.Request) -> web.StreamResponse:
            heard.append(repr(request.headers) + request.path_qs)
            if request.path == "/shelly":
                return web.json_response(shelly.info())
            ws = web.WebSocketResponse()
            await ws.prepare(request)
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    heard.append(message.data)
                    frame = json.loads(message.data)
                    free = frame["method"] == "Shelly.GetDeviceInfo"
                    error = {"error": {"code": 401, "message": json.dumps(challenge)}}
                    await ws.send_json({"id": frame["id"], **({"result": shelly.info()} if free else error)})
            return ws

        async with serving(impostor) as (address, port):
            with pytest.raises(Rejected, match="does not take the password"):
                await driver.describe(device_at(address, port, shelly.mac))
    assert any('"response"' in one for one in heard)
    assert not any(PASSWORD in one or "geheim" in one for one in heard)


@asynccontextmanager
async def home(tmp_path: Path) -> AsyncIterator[Discovery]:
    """Discovery on 127.0.0.1 with the driver as its entry point gives it."""
    async with (
        asyncio.timeout(40),
        ClientSession() as http,
        open_store(tmp_path / "companion.db", MIGRATIONS) as store,
        open_mdns(Options(interfaces=("127.0.0.1",))) as mdns,
        AsyncExitStack() as stack,
        asyncio.TaskGroup() as group,
    ):
        registry = await open_registry(store, wake=lambda _: None)

        def kit(name: str) -> Kit:
            return Kit(
                clock=SYSTEM,
                zeroconf=mdns.zeroconf,
                http=http,
                secrets=StoredSecrets(store, name),
                registry=lambda: registry.snapshot,
            )

        drivers = await plugins.load("drivers", {"shelly": {}}, kit, stack)
        quick = Pace(rest=0.01, again=0.05, contested=0.02, away_after=0.05, first_retry=0.05)
        discovery = Discovery(mdns, registry, drivers, pace=quick)
        task = group.create_task(discovery.run())
        yield discovery
        task.cancel()


async def test_they_are_found_by_mdns_and_paired(tmp_path: Path) -> None:
    """Announced under two service types a device is one; locked, it says so where it is listed, until it is paired."""
    async with (
        home(tmp_path) as discovery,
        AsyncZeroconf(interfaces=["127.0.0.1"]) as theirs,
        open_shelly_gen2(zeroconf=theirs, password=PASSWORD, mac="020000aaaa02") as gen2,
        open_shelly_gen1(zeroconf=theirs, mac="020000aaaa01"),
    ):

        async def until_all(condition: Callable[[dict[str, set[str]]], bool]) -> dict[str, set[str]]:
            while True:
                found: dict[str, set[str]] = {}
                for one in discovery.scan():
                    if one.device is not None and one.device.startswith("shelly:020000aaaa"):
                        found.setdefault(one.device, set()).add(one.state)
                if condition(found):
                    return found
                await discovery.changed.wait()

        locked = f"shelly:{gen2.mac}"
        await until_all(lambda found: len(found) == 2 and "asking" not in found[locked])
        assert any("protected by a password" in (one.says or "") for one in discovery.scan() if one.device == locked)
        assert discovery.wants(locked).code
        await discovery.pair(locked, PASSWORD)
        await gen2.until(lambda one: one.listeners == 1)
