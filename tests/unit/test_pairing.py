"""What a person is told when pairing does not work."""

from __future__ import annotations

import socket
import ssl

import pytest
from aiohttp import ClientSession, web

from gladys_companion.cli.client import Refused
from gladys_companion.errors import RequestError, Unavailable
from gladys_companion.link import pairing


async def pair(url: str) -> None:
    async with ClientSession() as http:
        await pairing.pair(http, url, "ABCDEFGH", "here", ssl=ssl.create_default_context())


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_nobody_there(scheme: str) -> None:
    """A dead port is said in plain words."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"{scheme}://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(Unavailable) as told:
        await pair(url)
    assert str(told.value) == f"{url} can not be reached: connection refused."


async def test_asked_too_often() -> None:
    """A gateway that asks for patience is not one that refuses: a script may try again later."""

    async def busy(_: web.Request) -> web.Response:
        return web.json_response({"error_message": "Too many tries: wait a minute."}, status=429)

    app = web.Application()
    app.router.add_post("/pair", busy)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        with pytest.raises(RequestError, match="wait a minute") as told:
            await pair(f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()
    assert Refused(told.value.status, told.value.body()).exit_code == 75
