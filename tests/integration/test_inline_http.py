"""HTTP through in-line mode, against a real upstream: as it is, whatever its size, and never more than it was."""

import asyncio
import gc
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from gladys_companion.inline.http import PassThrough, passing_session
from gladys_companion.inline.token import SeenToken

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
MEGABYTE = bytes(1024 * 1024)


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Serve on a free port of loopback; yield the address."""
    runner = web.ServerRunner(web.Server(handler, auto_decompress=False), shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def passing(upstream: str, token: SeenToken | None = None) -> AsyncIterator[str]:
    """Pass through to an upstream; yield where."""
    async with (
        passing_session(ssl.create_default_context()) as http,
        serving(PassThrough(upstream, http, token or SeenToken()).handle) as here,
    ):
        yield here


@asynccontextmanager
async def relayed(handler: Handler, token: SeenToken | None = None) -> AsyncIterator[str]:
    """Pass through to an upstream that answers with ``handler``."""
    async with serving(handler) as upstream, passing(upstream, token) as here:
        yield here


async def test_request_and_answer_are_unchanged() -> None:
    """Method, raw path, headers and body arrive as they were sent; status, headers and body come back as answered."""
    seen: list[tuple[str, str, dict[str, str], bytes]] = []

    async def upstream(request: web.BaseRequest) -> web.StreamResponse:
        seen.append((request.method, request.raw_path, dict(request.headers), await request.read()))
        headers = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Own", "yes")]
        return web.Response(status=418, reason="Odd", body=b"tea", headers=headers)

    async with relayed(upstream) as here, aiohttp.ClientSession() as http:
        url = URL(f"{here}/backups%2Fa/?q=%20x&y", encoded=True)
        async with http.patch(url, data=b"body", headers={"Authorization": "jwt", "X-Mine": "1"}) as answer:
            told = (answer.status, answer.reason, answer.headers.getall("Set-Cookie"), await answer.read())
    method, path, headers, body = seen[0]
    assert (method, path, body) == ("PATCH", "/backups%2Fa/?q=%20x&y", b"body")
    assert (headers["Authorization"], headers["X-Mine"], headers["Content-Length"]) == ("jwt", "1", "4")
    assert told == (418, "Odd", ["a=1", "b=2"], b"tea")


async def test_nothing_is_added_to_a_request() -> None:
    """A request without a body and with few headers reaches the upstream with no more than a host."""
    seen: list[set[str]] = []

    async def upstream(request: web.BaseRequest) -> web.StreamResponse:
        seen.append({name.lower() for name in request.headers})
        return web.Response()

    async with relayed(upstream) as here:
        port = URL(here).port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /x HTTP/1.1\r\nHost: h\r\nKeep-Alive: 5\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
    assert seen == [{"host"}]


async def test_compressed_bodies_and_redirects_stay() -> None:
    """What is compressed stays so both ways, and a redirect is Gladys' to follow."""
    packed = gzip.compress(b"x" * 1000)

    async def upstream(request: web.BaseRequest) -> web.StreamResponse:
        assert await request.read() == packed
        headers = {"Content-Encoding": "gzip", "Location": "https://elsewhere.example.org/"}
        return web.Response(status=302, body=packed, headers=headers)

    async with relayed(upstream) as here, aiohttp.ClientSession(auto_decompress=False) as http:
        sent = {"Content-Encoding": "gzip"}
        async with http.post(f"{here}/x", data=packed, headers=sent, allow_redirects=False) as answer:
            assert (answer.status, await answer.read()) == (302, packed)


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body(status: int) -> None:
    """What has no body ends at once, and the connection goes on."""

    async def upstream(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status)

    async with relayed(upstream) as here, aiohttp.ClientSession() as http:
        for _ in range(2):
            async with http.get(f"{here}/x") as answer:
                assert (answer.status, await answer.read()) == (status, b"")
        async with http.head(f"{here}/x") as answer:
            assert answer.status == status


async def test_a_slow_reader_holds_up_the_upstream() -> None:
    """A download that nobody reads is not collected: the upstream can send no more than the buffers between hold."""
    sent = 0
    held_up = asyncio.Event()

    async def upstream(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal sent
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            writing = asyncio.ensure_future(answer.write(MEGABYTE))
            done, _ = await asyncio.wait({writing}, timeout=1)
            if not done:
                held_up.set()
                writing.cancel()
                return answer
            sent += 1

    async with relayed(upstream) as here:
        reader, writer = await asyncio.open_connection("127.0.0.1", URL(here).port, limit=1024)
        writer.write(b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n")
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        await asyncio.wait_for(held_up.wait(), 30)
        writer.transport.abort()
    assert sent < 64


async def test_a_large_upload_streams() -> None:
    """An upload without a length arrives whole, and its first part arrives before its last was sent."""
    first = asyncio.Event()
    total = 0

    async def upstream(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal total
        async for chunk in request.content.iter_any():
            total += len(chunk)
            first.set()
        return web.Response(text=str(total))

    async def body() -> AsyncIterator[bytes]:
        yield MEGABYTE
        await first.wait()
        for _ in range(63):
            yield MEGABYTE

    async with (
        relayed(upstream) as here,
        aiohttp.ClientSession() as http,
        http.post(f"{here}/backups", data=body()) as answer,
    ):
        assert await answer.text() == str(64 * len(MEGABYTE))


async def test_an_upstream_that_breaks_off() -> None:
    """Half a body is never passed off as a whole one, with or without a length."""

    async def upstream(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "100"} if request.path == "/length" else {})
        await answer.prepare(request)
        await answer.write(b"half")
        assert request.transport is not None
        request.transport.close()
        return answer

    async with relayed(upstream) as here, aiohttp.ClientSession() as http:
        for path in ("/length", "/chunked"):
            with pytest.raises(aiohttp.ClientError):
                async with http.get(f"{here}{path}") as answer:
                    await answer.read()


async def test_no_upstream() -> None:
    """While the upstream can not be reached, Gladys is told so in its own form, at once."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with (
        passing(f"http://127.0.0.1:{port}") as here,
        aiohttp.ClientSession() as http,
        http.post(f"{here}/x", data=b"y") as answer,
    ):
        assert answer.status == 502
        assert (await answer.json())["error_code"] == "UPSTREAM_UNREACHABLE"


async def test_only_to_the_upstream() -> None:
    """A request that names another host in its path goes nowhere."""
    hits: list[str] = []

    async def upstream(request: web.BaseRequest) -> web.StreamResponse:
        hits.append(request.raw_path)
        return web.Response()

    async with relayed(upstream) as here:
        for path in (b"http://elsewhere.example.org/", b"@elsewhere.example.org/"):
            reader, writer = await asyncio.open_connection("127.0.0.1", URL(here).port)
            writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            assert (await reader.readline()).split()[1] == b"400"
            writer.close()
    assert hits == []


async def test_the_token_is_seen_once_accepted() -> None:
    """The refresh token counts when the upstream took it, and is forgotten when it refuses that one."""
    good = {"refresh"}

    async def upstream(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=200 if request.headers.get("Authorization") in good else 403)

    seen = SeenToken()
    values: list[str | None] = []
    async with relayed(upstream, seen) as here, aiohttp.ClientSession() as http:
        for path, token in (
            ("/instances/users", "refresh"),
            ("/instances/access-token", "wrong"),
            ("/instances/access-token", "refresh"),
        ):
            async with http.get(f"{here}{path}", headers={"Authorization": token}):
                values.append(seen.value)
        good.clear()
        async with http.get(f"{here}/instances/access-token", headers={"Authorization": "refresh"}):
            values.append(seen.value)
    gc.collect()
    assert values == [None, None, "refresh", None]
