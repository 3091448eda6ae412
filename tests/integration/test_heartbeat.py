"""A heartbeat goes to each home and back; who falls silent, and who is back, is told to a webhook, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.gateway_world import open_world, until
from tests.home import SetClock
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
