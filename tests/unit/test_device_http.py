"""The session by which drivers reach devices: what a device answers does no harm, whatever it says it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientConnectionError, ClientSession, web
from aiohttp.test_utils import TestServer

from gladys_companion.drivers._http import LARGEST_MESSAGE, open_session

NAME = "a-lamp"


async def _oddly(_: web.Request) -> web.Response:
    return web.Response(body='{"name": "é"}'.encode(), headers={"Content-Type": "application/json; charset=x-none"})


async def _loudly(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.send_str("x" * LARGEST_MESSAGE)
    await socket.send_str("x" * (LARGEST_MESSAGE + 1))
    await socket.receive()
    return socket


@asynccontextmanager
async def _session() -> AsyncIterator[ClientSession]:
    app = web.Application()
    app.add_routes([web.get("/odd", _oddly), web.get("/loud", _loudly)])
    async with TestServer(app) as server, open_session(NAME, ("127.0.0.1", server.port or 0)) as session:
        yield session


async def test_a_charset_that_nobody_knows_is_not_believed() -> None:
    """All devices speak UTF-8: an answer that names something else is read all the same, and no library stumbles."""
    async with _session() as session, session.get(f"http://{NAME}/odd") as answer:
        assert await answer.json() == {"name": "é"}


async def test_a_message_that_is_too_large_ends_the_connection() -> None:
    """The largest message is read; a larger one is an error of the connection, and nobody decodes it."""
    async with _session() as session, session.ws_connect(f"http://{NAME}/loud") as socket:
        assert len((await socket.receive()).data) == LARGEST_MESSAGE
        with pytest.raises(ClientConnectionError, match="larger than"):
            await socket.receive()
