"""What was answered 2xx is in the home's journal: once, in order, whatever is killed, cut or frozen meanwhile.

Real processes over real sockets. Each failure tells its seed; ``TORTURE_SEED`` repeats it.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from tests.cutter import Cutter, open_cutter
from tests.phones import IDS, QUICK, SOON, under_load
from tests.rig import Rig, free_port, open_rig


@pytest.fixture
def chance() -> random.Random:
    """Chance that can be repeated."""
    seed = int(os.environ.get("TORTURE_SEED") or random.randrange(2**32))
    print(f"TORTURE_SEED={seed}")  # noqa: T201 - shown when the test fails
    return random.Random(seed)


def rounds(few: int, many: int) -> pytest.MarkDecorator:
    """Run a test with few rounds, and under `torture` with many."""
    long = pytest.param(many, marks=[pytest.mark.torture, pytest.mark.timeout(3_600)])
    return pytest.mark.parametrize("rounds", [few, long])


def quick_rig(directory: Path) -> AbstractAsyncContextManager[Rig]:
    """Give a rig whose phones and link do not wait long."""
    return open_rig(directory, external_ids=IDS, gateway=QUICK, home={"link": SOON})


async def strike(rig: Rig, end: str, chance: random.Random) -> None:
    """End one process at a random moment, mostly by kill -9, and start it again; not always wait until it is linked."""
    await asyncio.sleep(chance.uniform(0.0, 0.3))
    process = rig.gateway if end == "gateway" else rig.home
    if chance.random() < 0.8:
        await process.kill()
    else:
        clean = {0} if process.up else {0, -signal.SIGTERM}  # as systemd counts what it stopped while it started
        assert await process.stop() in clean
    await asyncio.sleep(chance.choice((0.0, chance.uniform(0.0, 0.5))))
    process = rig.start(end)
    if chance.random() < 0.8:
        await process.ready()
        if chance.random() < 0.8:
            await rig.connected()


@rounds(4, 150)
@pytest.mark.parametrize("ends", [["home"], ["gateway"], ["home", "gateway"]], ids="-".join)
async def test_kill_at_random_moments_loses_and_doubles_nothing(
    tmp_path: Path, chance: random.Random, rounds: int, ends: list[str]
) -> None:
    """Whichever end is killed under load, every 2xx is journaled once, applied once and in order."""
    async with (
        open_rig(tmp_path, external_ids=IDS, gateway=QUICK, home={"link": SOON}) as rig,
        under_load(rig) as phones,
    ):
        for _ in range(rounds):
            await strike(rig, chance.choice(ends), chance)
            if chance.random() < 0.6:
                await phones.some(chance.randrange(1, 50), 200)  # strike next when events pass through both ends


@rounds(30, 2_000)
async def test_answer_that_was_lost_is_given_again(tmp_path: Path, chance: random.Random, rounds: int) -> None:
    """A phone whose connection broke posts again under the same Idempotency-Key: journaled once, same event."""
    async with open_rig(tmp_path, external_ids=IDS) as rig, open_cutter(rig.port) as wire:
        async with under_load(rig, url=wire.url) as phones:
            for _ in range(rounds):
                await phones.some(chance.randrange(1, 10))
                await asyncio.sleep(chance.uniform(0.0, 0.01))
                wire.cut()
        assert sum(post.lost for post in phones.posts) > rounds / 2
        assert any(post.receipts[0]["duplicate"] for post in phones.posts)


@asynccontextmanager
async def wired(directory: Path, *, dead_after: float = 45.0) -> AsyncIterator[tuple[Rig, Cutter]]:
    """Give a rig whose link goes over a wire that can be cut."""
    port = free_port()
    home = {"link": {**SOON, "dead_after": dead_after}}
    async with (
        open_cutter(port) as wire,
        open_rig(directory, external_ids=IDS, gateway=QUICK, home=home, port=port, pair_at=wire.url) as rig,
    ):
        yield rig, wire


@rounds(4, 200)
async def test_link_that_is_cut_or_stalls_loses_and_doubles_nothing(
    tmp_path: Path, chance: random.Random, rounds: int
) -> None:
    """The link breaks or stands still with events and acks under way."""
    async with wired(tmp_path) as (rig, wire), under_load(rig) as phones:
        for number in range(rounds):
            await phones.some(chance.randrange(1, 50))
            await asyncio.sleep(chance.uniform(0.0, 0.05))
            if number % 2:
                wire.freeze()
                await phones.some(len(IDS))
                wire.thaw()
            else:
                since = await rig.connected()
                assert wire.cut()
                await rig.connected(after=since)


@rounds(1, 10)
async def test_link_that_falls_silent_is_noticed(tmp_path: Path, chance: random.Random, rounds: int) -> None:
    """A router forgets the connection and tells neither end: phones are answered meanwhile, and all of it comes."""
    async with wired(tmp_path, dead_after=5.0) as (rig, wire), under_load(rig) as phones:
        for _ in range(rounds):
            await phones.some(chance.randrange(1, 50))
            since = await rig.connected()
            wire.swallow()
            await rig.connected(after=since)
            await phones.some(50)


@pytest.mark.parametrize("seconds", [0.0, pytest.param(60.0, marks=[pytest.mark.torture, pytest.mark.timeout(300)])])
async def test_frozen_home_is_waited_for(tmp_path: Path, seconds: float) -> None:
    """While the home stands still, for longer than its socket lives, posts are answered 202; then all of it comes."""
    async with (
        open_rig(tmp_path, external_ids=IDS, gateway=QUICK, home={"link": SOON}) as rig,
        under_load(rig) as phones,
    ):
        rig.home.send(signal.SIGSTOP)
        already = phones.answers[202]
        await phones.some(4 * len(IDS), 202)
        await asyncio.sleep(seconds)
        rig.home.send(signal.SIGCONT)
        await phones.some(50, 200)
        assert phones.answers[202] >= already + 4 * len(IDS)
        assert not any(post.lost for post in phones.posts)


@pytest.mark.parametrize("seconds", [1.0, pytest.param(60.0, marks=[pytest.mark.torture, pytest.mark.timeout(300)])])
async def test_frozen_gateway_is_waited_for(tmp_path: Path, seconds: float) -> None:
    """While the gateway stands still, for longer than a link may be silent, nobody is answered and nothing is lost."""
    async with (
        open_rig(tmp_path, external_ids=IDS, gateway=QUICK, home={"link": SOON}) as rig,
        under_load(rig) as phones,
    ):
        rig.gateway.send(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        rig.gateway.send(signal.SIGCONT)
        await phones.some(50)


@pytest.mark.parametrize("end", ["home", "gateway"])
async def test_second_process_on_one_database_ends_with_a_sentence(tmp_path: Path, end: str) -> None:
    """Started twice by mistake, the second one says so with exit code 74, and the first one goes on."""
    async with open_rig(tmp_path, external_ids=IDS) as rig, under_load(rig) as phones:
        first = rig.home if end == "home" else rig.gateway
        second = rig.start(end)
        assert await second.ended() == 74
        assert f"Another process (pid {first.pid}) already uses" in second.said()
        setattr(rig, end, first)
        await phones.some(10)
