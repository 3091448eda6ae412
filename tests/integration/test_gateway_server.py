"""How the gateway listens: TLS and proxies, its Unix socket, and clients that are slow, silent or speak no HTTP."""

from __future__ import annotations

import asyncio
import io
import json
import ssl
import stat
import subprocess
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from gladys_companion.config import Gateway
from gladys_companion.errors import AddressInUse, ConfigError
from gladys_companion.gateway.server import Times, open_gateway, socket_path
from gladys_companion.store.writer import SqliteStore
from tests.gateway_world import World, open_world
from tests.needs import program

GOOD = b'{"device_feature_external_id":"a","state":1}'
IMPATIENT = Times(idle=0.3, body=0.3, linger=0.1)


async def _say(world: World, *parts: bytes) -> bytes:
    """Send the parts one after another and return all that comes until the gateway closes."""
    reader, writer = await asyncio.open_connection(world.gateway.host, world.gateway.port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


def _head(world: World, *headers: str) -> bytes:
    lines = [f"POST /v1/api/device/state/{world.key} HTTP/1.1", "Host: x", *headers, "", ""]
    return "\r\n".join(lines).encode()


async def test_slow_and_half_open_clients_are_cut(tmp_path: Path) -> None:
    """Silence before, in and after a request ends the connection, with an answer where there was a question."""
    async with open_world(tmp_path, times=IMPATIENT) as world:
        assert await _say(world) == b""
        assert await _say(world, b"POST /v1/api/device/sta") == b""
        answer = await _say(world, _head(world, "Content-Length: 100"), GOOD)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"REQUEST_TIMEOUT" in answer
        tracks = _head(world, "Content-Length: 100").replace(b"device/state", b"owntracks")
        assert (await _say(world, tracks, b"{")).startswith(b"HTTP/1.1 503 ")
        whole = await _say(world, _head(world, f"Content-Length: {len(GOOD)}"), GOOD)
        assert whole.startswith(b"HTTP/1.1 202 ")
        for route in (b"pair", b"socket.io/?EIO=4&transport=polling&sid=x"):
            slow = b"POST /" + route + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"
            assert (await _say(world, slow)).startswith(b"HTTP/1.1 4")


async def test_body_in_pieces_and_the_question_before_it(tmp_path: Path) -> None:
    """A body may come in pieces, in chunks, and after ``100 Continue``; a wrong key is refused before it comes."""
    async with open_world(tmp_path, times=Times(idle=0.3, linger=0.1)) as world:
        length = f"Content-Length: {len(GOOD)}"
        assert (await _say(world, _head(world, length), GOOD[:9], GOOD[9:])).startswith(b"HTTP/1.1 202 ")
        chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD)
        assert (await _say(world, _head(world, "Transfer-Encoding: chunked"), chunks)).startswith(b"HTTP/1.1 202 ")
        bad = await _say(world, _head(world, "Transfer-Encoding: chunked"), b"zz\r\n")
        assert b" 400 " in bad[:13]
        asks = _head(world, length, "Expect: 100-continue")
        reader, writer = await asyncio.open_connection(world.gateway.host, world.gateway.port)
        writer.write(asks)
        async with asyncio.timeout(10):
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(GOOD)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 202 ")
            writer.close()
        refused = await _say(world, asks.replace(world.key.encode(), b"0" * 80))
        assert refused.startswith(b"HTTP/1.1 401 ")


async def test_no_answer_and_no_log_holds_a_key(tmp_path: Path) -> None:
    """Not even of what is no HTTP, or of a path that is wrong."""
    async with open_world(tmp_path, times=IMPATIENT) as world:
        key = world.key.encode()
        with capture_logs() as logs:
            for request in (
                b"P\x01ST /v1/api/device/state/" + key + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                b"POST /v1/api/device/state/" + key + b"\r\n\r\n",
                b"POST /v1/api/device/state/" + key + b" HTTP/1.1\r\n" + key + b"\r\n\r\n",
                b"GET /" + key + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                b"GET /" + key * 200 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                b"POST http://[" + key + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                b"GET /socket.io/?EIO=4&transport=polling&sid=" + key + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                b"GET /socket.io/?EIO=9&transport=" + key + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                b"POST /v1/api/device/state HTTP/1.1\r\nHost: x\r\nAuthorization: Basic " + key + b"\r\n\r\n",
            ):
                answer = await _say(world, request)
                assert answer.split()[1].startswith(b"4"), answer
                assert key not in answer
        assert world.key not in repr(logs)


async def test_forwarded_address_is_believed_from_trusted_proxies_only(tmp_path: Path) -> None:
    """Behind a trusted proxy each sender has a limit of its own; from anybody else the header means nothing."""
    for trusted, statuses in (((), [401, 429, 429]), (("127.0.0.0/8",), [401, 401, 401])):
        directory = tmp_path / ("trusted" if trusted else "open")
        async with open_world(directory, wrong_keys_per_minute=1, trusted_proxies=trusted) as world:
            got = [
                (
                    await world.post(key="0" * 80, data=GOOD, headers={"X-Forwarded-For": f"6.6.6.6, 10.0.0.{last}"})
                ).status
                for last in range(3)
            ]
            assert got == statuses
            again = await world.post(key="0" * 80, data=GOOD, headers={"X-Forwarded-For": "7.7.7.7, 10.0.0.1"})
            assert again.status == 429


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "nowhere:1", "127.0.0.1"])
async def test_refuses_to_listen_in_the_clear(tmp_path: Path, listen: str) -> None:
    """Without TLS only loopback is listened on, unless a proxy is said to be in front."""
    with pytest.raises(ConfigError, match=r"\[gateway\] listen"):
        async with open_gateway(Gateway(listen=listen), tmp_path, tmp_path):
            pass


async def test_listens_behind_a_proxy_and_on_ipv6(tmp_path: Path) -> None:
    """What is allowed is done; an address in use is said so."""
    async with open_world(tmp_path / "a", listen="[::1]:0") as world:
        assert world.gateway.url.startswith("http://[::1]:")
        assert (await world.state(1)).status == 202
        taken = world.gateway.url.removeprefix("http://")
        with pytest.raises(AddressInUse, match="another program"):
            async with open_gateway(Gateway(listen=taken), tmp_path / "b", tmp_path / "b"):
                pass
    async with open_gateway(Gateway(listen="0.0.0.0:0", behind_proxy=True), tmp_path / "c", tmp_path / "c") as gateway:
        assert gateway.port


@pytest.mark.may_block("makes a certificate")
async def test_tls(tmp_path: Path) -> None:
    """With a certificate it speaks TLS, and a handshake that never ends is cut."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1")
    made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", *names)
    files = ("-keyout", str(key), "-out", str(certificate))
    making = await asyncio.create_subprocess_exec(
        program("openssl"), "req", "-x509", *made, *files, stderr=subprocess.DEVNULL
    )
    assert await making.wait() == 0
    async with open_world(
        tmp_path, times=Times(handshake=0.3), tls_certificate=str(certificate), tls_key=str(key)
    ) as world:
        context = ssl.create_default_context(cafile=str(certificate))
        url = f"{world.gateway.url}/v1/api/device/state/{world.key}"
        assert url.startswith("https://")
        async with world.http.post(url, data=GOOD, ssl=context) as answer:
            assert answer.status == 202
        assert await _say(world) == b""
    with pytest.raises(ConfigError, match="tls_certificate"):
        async with open_gateway(
            Gateway(listen="127.0.0.1:0", tls_certificate=str(key), tls_key=str(key)), tmp_path, tmp_path
        ):
            pass


async def test_unix_socket(tmp_path: Path) -> None:
    """What people do goes over a socket that only its group may open, and is nowhere else to be had."""
    async with open_world(tmp_path) as world:
        path = socket_path(tmp_path)
        assert world.gateway.socket == path
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as http:
            async with http.post("http://x/admin/key.create", json={"name": "Another"}) as answer:
                made = json.loads(await answer.read())
            async with http.get("http://x/healthz") as answer:
                assert answer.status == 200
        assert (await world.post(key=made["secret"], data=GOOD)).status == 202
        assert (await world.ask("POST", "/admin/key.create", json={"name": "No"})).status == 404
    assert not path.exists()
    with pytest.raises(ConfigError, match="too long"):
        async with open_gateway(Gateway(listen="127.0.0.1:0"), tmp_path, tmp_path / ("x" * 120)):
            pass


async def test_full_disk_is_not_healthy(tmp_path: Path) -> None:
    """Both sockets say so, and that all is well again."""
    async with open_world(tmp_path) as world:
        connector = aiohttp.UnixConnector(str(socket_path(tmp_path)))
        async with aiohttp.ClientSession(connector=connector) as http:

            async def health() -> list[int]:
                async with http.get("http://x/healthz") as answer:
                    return [answer.status, (await world.ask("GET", "/healthz")).status]

            storage = world.gateway.storage
            assert isinstance(storage._store, SqliteStore)
            connection = storage._store._database.conn
            connection.execute("PRAGMA max_page_count = 1")
            assert await health() == [503, 503]
            connection.execute("PRAGMA max_page_count = 1000000")
            storage._proved_at = None  # some seconds later
            assert await health() == [200, 200]


@pytest.mark.parametrize(
    "options",
    [Gateway(trusted_proxies=("nonsense",)), Gateway(public_url="example.org"), Gateway(tls_key="only.pem")],
)
async def test_refuses_what_the_configuration_refuses(tmp_path: Path, options: Gateway) -> None:
    """Whoever opens a gateway without a file hears the same complaints as with one."""
    with pytest.raises(ConfigError, match=r"\[gateway\]"):
        async with open_gateway(options, tmp_path, tmp_path):
            pass


async def test_pairing_over_http(tmp_path: Path) -> None:
    """The routes of instances are served too: pair, and get a token with what was given."""
    async with open_world(tmp_path) as world:
        code = await world.gateway.accounts.pair_code()
        paired = await world.ask("POST", "/pair", json={"code": code.secret, "name": "New"})
        assert paired.body["home_name"] == "Home"
        asked = await world.ask(
            "GET", "/instances/access-token", headers={"Authorization": paired.body["refresh_token"]}
        )
        assert set(asked.body) == {"access_token"}
        assert (await world.ask("POST", "/pair", json={"code": "WRONGONE"})).status == 403
        large = await world.ask("POST", "/pair", data=io.BytesIO(b"x" * 2_000_000))
        assert large.status == 413
