"""HomeKit accessories that lie, babble, flood or never end: each a sentence, and nobody else is harmed."""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gladys_companion.drivers.homekit import Config
from gladys_companion.drivers.homekit._judged import judged
from gladys_companion.drivers.homekit._wire import LARGEST_ANSWER, open_wire
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Device
from gladys_companion.sim.conformance import MemorySecrets
from tests.hap import PIN
from tests.hap_accessories import HapPython, open_hap_python
from tests.hap_home import HapHome, open_hap_home

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

MAC = "a8032ab12345"
NONSENSE: tuple[object, ...] = (None, -1, 1e300, "x", "", [], [[]], {}, {"a": 1}, 2**63, True)


@pytest.fixture
async def home() -> AsyncIterator[HapHome]:
    async with open_hap_home() as home:
        yield home


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[HapPython]:
    async with open_hap_python(tmp_path, mac=MAC) as one:
        yield one


@asynccontextmanager
async def serving(serve: Serve, address: str = "127.0.0.1") -> AsyncIterator[Device]:
    """A device that is none: ``serve`` takes every connection."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    async with await asyncio.start_server(take, address, 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield Device(id=f"homekit:{MAC}", driver="homekit", name="Odd", address=address, port=port)


async def ask(device: Device, answer_within: float = 0.5) -> None:
    """Ask it something, as the driver does."""
    assert device.address is not None
    assert device.port is not None
    with judged(device, answer_within):
        async with open_wire((device.address, device.port), answer_within, lambda _: None, lambda: None) as wire:
            await wire.request("GET", "/accessories")


@pytest.mark.parametrize(("address", "host"), [("127.0.0.1", b"127.0.0.1"), ("::1", b"[::1]")])
async def test_it_asks_as_accessories_want_it(address: str, host: bytes) -> None:
    """In one piece, with a Host that has no port: there are accessories that can not read anything else."""
    heard = b""

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        heard = await reader.read(4096)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    async with serving(hear, address) as device:
        await ask(device)
    assert heard == b"GET /accessories HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"",
    ],
)
async def test_an_endless_answer_is_cut(head: bytes) -> None:
    """More than a bridge could have to say is not read, whether it is a body, a chunk, a header or no line at all."""
    sent = 0

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(head)
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()
            sent += 65_536

    async with serving(flood) as device:
        with pytest.raises(
            Unavailable, match=r"^Odd \(127.0.0.1:\d+\) (does not answer as HomeKit does|did not answer)"
        ):
            await ask(device, 3.0)
    assert sent < 16 * LARGEST_ANSWER


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"-1\r\n" * 50_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 x OK\r\n\r\n",
        b"\xff\xfe 200 OK\r\n\r\n",
        b"SPDY/3 200 OK\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        b"EVENT/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"\r\n\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
    ],
)
async def test_what_is_no_answer(answer: bytes) -> None:
    """Whatever comes in place of an answer, the driver ends with a sentence, or takes a whole one before the rest."""

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        await writer.drain()
        await reader.read()

    async with serving(reply) as device:
        try:
            await ask(device)
        except Unavailable as error:
            assert str(error).startswith("Odd (127.0.0.1:")  # noqa: PT017 - either is right
        else:
            assert answer.startswith((b"HTTP/1.1 204", b"SPDY"))


def tlv(*entries: tuple[int, bytes]) -> bytes:
    return b"".join(bytes((kind, len(part))) + part for kind, part in entries)


BODIES = [
    b"",
    b"\x06",
    b"\x06\x01",
    tlv((6, b"")),
    tlv((7, b"")),
    tlv((6, b"\x02")),
    tlv((6, b"\x02"), (7, b"\x09")),
    tlv((6, b"\x04")),
    tlv((6, b"\x02"), (2, b""), (3, b"")),
    tlv((6, b"\x02"), (2, b"s" * 99), (3, b"\x00" * 32)),
    tlv((6, b"\x02"), (2, b"s" * 16), (3, b"\x00" * 99)),
    tlv((6, b"\x02"), (3, b"\x00" * 32), (5, b"\x00" * 40)),
    tlv((6, b"\x02"), (3, b"\x09" + b"\x00" * 31), (5, b"\x00" * 40)),
    tlv((6, b"\x02"), (3, b"\x01" * 3), (5, b"")),
    *(tlv((6, b"\x02"), (7, bytes((code,)))) for code in range(1, 8)),
    *(random.Random(seed).randbytes(seed) for seed in range(1, 60, 3)),
]


@pytest.mark.parametrize("status", [b"200 OK", b"400 Bad Request", b"470 Authorization Required", b"500 Oops"])
async def test_nonsense_in_a_pairing_is_a_sentence(one: HapPython, home: HapHome, status: bytes) -> None:
    """Whatever is answered to an attempt to pair, or to prove a pairing, only the two kinds of errors come out."""
    await home.pair(one)
    body = b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    config = Config(answer_within=2, pair_within=2)
    async with open_hap_home(config=config, secrets=home.secrets) as again, serving(serve) as device:
        for body in BODIES:  # noqa: B007 - served
            for attempt in (again.driver.describe(device), again.driver.pair(device, PIN)):
                with pytest.raises((Unavailable, Rejected), match=r"^.{20,}\.$"):
                    await attempt
    assert await home.secrets.get(f"homekit:{one.mac}") is not None


async def test_any_member_of_what_it_is_may_be_nonsense(one: HapPython, home: HapHome) -> None:
    """Whatever an accessory says in place of one member, the driver describes it or says why not, and nothing else."""
    device = await home.follow(one)
    truth = await one.call(lambda: copy.deepcopy(one._driver.get_accessories()))
    every = [(path, value) for path in paths(truth) for value in NONSENSE]
    outcomes: set[type[Exception] | None] = set()
    for path, value in random.Random(3).sample(every, 400):
        await one.call(partial(setattr, one._driver, "get_accessories", partial(replaced, truth, path, value)))
        try:
            await home.driver.describe(device)
        except (Unavailable, Rejected) as error:
            outcomes.add(type(error))
        else:
            outcomes.add(None)
    assert outcomes == {None, Unavailable}
    await one.call(lambda: delattr(one._driver, "get_accessories"))
    assert len(await home.driver.describe(device)) == 23


@pytest.mark.parametrize(
    "pushed",
    [
        b"[]",
        b"{",
        b'{"characteristics": 3}',
        b'{"characteristics": [{"aid": "1", "iid": 9}]}',
        b'{"characteristics": [{"aid": 1, "iid": 9, "value": 1, "status": "x"}]}',
        b"\xff\xff",
    ],
)
async def test_nonsense_pushed_does_not_end_the_driver(one: HapPython, home: HapHome, pushed: bytes) -> None:
    """After an event that makes no sense it connects again, and tells the next change."""
    device = await home.follow(one)
    head = b"EVENT/1.0 200 OK\r\nContent-Type: application/hap+json\r\nContent-Length: %d\r\n\r\n" % len(pushed)
    await push(one, head + pushed)
    await home.trouble(device, "does not answer as HomeKit does")
    await one.set("Lightbulb", "On", value=True)
    await home.until("1.9", 1)


async def test_values_pushed_may_be_of_any_kind(one: HapPython, home: HapHome) -> None:
    """What can not be a value of a feature is not told, and the connection lasts."""
    device = await home.follow(one)
    session = home.driver.connection(device.id)
    values = ('"x"', "[[1]]", "{}", "null", "9" * 30)
    for event in (f'{{"aid":1,"iid":{iid},"value":{value}}}' for iid in range(1, 55) for value in values):
        body = f'{{"characteristics":[{event}]}}'.encode()
        head = b"EVENT/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
        await push(one, head + body)
    await one.set("Outlet", "On", value=True)
    seen = await home.until("1.15", 1)
    assert home.driver.connection(device.id) is session
    assert all(isinstance(value, int | float) for _, value in seen)


async def test_bytes_out_of_step_end_the_connection(one: HapPython, home: HapHome) -> None:
    """What was not encrypted by the accessory is never read; after it the connection is made anew."""
    device = await home.follow(one)
    await one.call(lambda: [each.transport.write(b"HTTP/1.1 200 OK\r\n\r\n" * 2_000) for each in connections(one)])
    await home.trouble(device, "does not answer as HomeKit does")
    await home.listening(device)
    await home.command(device, "1.9", 1)
    assert (await one.truth(1, 9))["On"]


async def test_one_that_hangs_keeps_no_other_waiting(one: HapPython, tmp_path: Path) -> None:
    """While one accessory answers nothing, another is commanded as fast as ever."""
    config = Config(answer_within=5, reconnect_most=0.6)
    async with (
        open_hap_python(tmp_path, name="Other", mac="020000000001") as other,
        open_hap_home(config=config, secrets=MemorySecrets()) as home,
    ):
        stuck, well = await home.follow(one), await home.follow(other)
        one.gate.mode = "silent"
        hanging = asyncio.ensure_future(home.command(stuck, "1.9", 1))
        async with asyncio.timeout(2):
            for value in (1, 0, 1, 0):
                await home.command(well, "1.9", value)
        assert not hanging.done()
        with pytest.raises(Unavailable, match="did not answer within 5 s"):
            await hanging


def connections(one: HapPython) -> list[Any]:
    return list(one._driver.http_server.connections.values())


async def push(one: HapPython, message: bytes) -> None:
    await one.call(lambda: [each.write(message) for each in connections(one)])


def paths(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield from paths(member, (*path, key))


def replaced(answer: object, path: tuple[str | int, ...], value: object) -> object:
    if not path:
        return value
    changed: Any = copy.deepcopy(answer)
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    return changed
