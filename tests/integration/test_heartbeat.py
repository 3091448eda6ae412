"""A heartbeat goes to each home and back; who falls silent, and who is back, is told to a webhook, once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from gladys_companion.app.silence import tell_silence
from tests import odd_gateway
from tests.gateway_world import open_world, until
from tests.home import Recorder, SetClock, open_home
from tests.linking import Scripted, linked
from tests.linking import until as until_seen
from tests.rig import free_port, open_rig


@asynccontextmanager
async def webhook() -> AsyncIterator[tuple[str, asyncio.Queue[dict[str, Any]]]]:
    """Give a URL, and what is posted there."""
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        told.put_nowait(await request.json())
        return web.Response()

    app = web.Application()
    app.add_routes([web.post("/told", take)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/told", told
    finally:
        await runner.cleanup()


async def test_a_home_that_works_is_measured(tmp_path: Path) -> None:
    """The question goes through the real home's link and database, and its time is told to Prometheus."""
    port = free_port()
    async with open_rig(tmp_path, gateway={"metrics_listen": f"127.0.0.1:{port}"}), aiohttp.ClientSession() as http:

        async def measured() -> bool:
            async with http.get(f"http://127.0.0.1:{port}/metrics") as answer:
                lines = (await answer.text()).splitlines()
            beats = [line for line in lines if line.startswith("gladys_companion_home_heartbeat_seconds{")]
            return bool(beats) and 0 < float(beats[0].rpartition(" ")[2]) < 60

        await until(measured)


async def test_silence_is_told_once_and_so_is_its_end(tmp_path: Path) -> None:
    """A home that is connected and answers nothing is as silent as one that is gone."""
    clock = SetClock()
    async with (
        webhook() as (url, told),
        open_world(tmp_path, clock=clock, notify_webhook=url, silent_after=600.0) as world,
    ):
        async with world.connected() as home, asyncio.timeout(20):
            home.beats = False
            clock.pass_by(601)
            silent = await told.get()
            assert (silent["home"], silent["name"], silent["state"]) == (world.home.id, "Home", "silent")
            clock.pass_by(601)
        async with world.connected(), asyncio.timeout(20):
            back = await told.get()
            assert (back["state"], back["home"]) == ("back", world.home.id)
            assert back["since"] > silent["since"]
    assert told.empty()


async def test_a_home_that_never_came_is_not_missed(tmp_path: Path) -> None:
    """Who was not there since the start has not fallen silent."""
    clock = SetClock()
    async with webhook() as (url, told), open_world(tmp_path, clock=clock, notify_webhook=url) as world:
        clock.pass_by(10_000)
        assert (await world.state(1)).body["outcome"] == "held"
        async with world.connected():
            assert told.empty()


async def test_a_home_knows_that_its_gateway_is_silent(tmp_path: Path) -> None:
    """By heartbeats where they come, else by the connection; what stands in the clock is what is waited for."""
    async with open_home(tmp_path) as home, odd_gateway.open_gateway() as gateway:
        scripted = Scripted(gateway)
        async with linked(home, gateway.url) as link:
            peer = await scripted.peer()
            await until_seen(lambda: link.state.state == "connected")
            home.clock.pass_by(3_600)
            assert (link.silent_for, link.state.heartbeat_at) == (0.0, None)
            assert await peer.ask(1, {}, "companion-heartbeat") == {"status": 200}
            await until_seen(lambda: link.state.heartbeat_at == home.clock.now())
            home.clock.pass_by(600)
            assert link.silent_for == 600.0
            await peer.ask(2, {}, "companion-heartbeat")
            await until_seen(lambda: link.silent_for == 0.0)
            home.clock.pass_by(60)
            await peer.socket.close()
            await scripted.peer()
            await until_seen(lambda: link.silent_for == 0.0)
            home.clock.pass_by(60)
            assert link.silent_for == 0.0  # this connection has sent no heartbeat yet


async def test_gladys_is_told_of_a_silence_once_and_of_its_end(tmp_path: Path) -> None:
    """In the language that was asked for, with the time of day, by the sink that tells messages."""
    gladys = Recorder()
    async with open_home(tmp_path, targets={"gladys_api": gladys}) as home, asyncio.TaskGroup() as group:
        silent, woken = [0.0], asyncio.Event()

        async def look(seconds: float) -> None:
            silent[0] = seconds
            woken.set()
            await until_seen(lambda: not woken.is_set())

        telling = group.create_task(
            tell_silence(
                lambda: silent[0],
                600.0,
                "fr",
                intake=home.intake,
                clock=home.clock,
                timezone=lambda: "Europe/Paris",
                woken=woken,
            )
        )
        for seconds in (0.0, 599.0, 613.0, 700.0, 3.0, 2.0):
            await look(seconds)
        told = [json.loads(one.event.body or "")["text"] for one in await gladys.count(2)]
        assert told[0].startswith("La passerelle ne donne plus signe de vie depuis 23:03. Ce que les téléphones")
        assert told[1:] == ["La passerelle est revenue. Ce qu'elle gardait pour la maison arrive maintenant."]
        telling.cancel()
