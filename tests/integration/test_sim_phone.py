"""`sim phone`: its queue is the app's, towards a server that misbehaves and towards a real gateway and home."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gladys_companion.sim.phone import APPS, Phone, Tried, Who
from tests.owntracks import PEOPLE
from tests.phones import SOON
from tests.processes import PATIENCE, PROGRAM
from tests.rig import Rig, open_rig
from tests.tracks import make

WHO = Who("anna", "iphone", "key")


class Server:
    """Answers as it is told, request after request: a status, or None to hang up; at last always 200."""

    def __init__(self, answers: Sequence[int | None]) -> None:
        self.answers = list(answers)
        self.bodies: list[Any] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(json.loads(await request.read()))
        status = self.answers.pop(0) if self.answers else 200
        if status is None:
            assert request.transport is not None
            request.transport.close()
        return web.json_response([], status=status or 500)


@asynccontextmanager
async def open_server(*answers: int | None) -> AsyncIterator[Server]:
    server = Server(answers)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


class Patience:
    """Time between two tries: it is noted, and over at once."""

    def __init__(self) -> None:
        self.waited: list[float] = []
        self._changed = asyncio.Condition()

    async def sleep(self, seconds: float) -> None:
        async with self._changed:
            self.waited.append(seconds)
            self._changed.notify_all()

    async def tried(self, number: int) -> list[float]:
        """Return the first waits, when there were so many."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: len(self.waited) >= number)
            return self.waited[:number]


@asynccontextmanager
async def open_phone(url: str, app: str, patience: Patience, tries: list[Tried]) -> AsyncIterator[Phone]:
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        phone = Phone(http, url, APPS[app], WHO, told=tries.append, sleep=patience.sleep)
        running = group.create_task(phone.run())
        yield phone
        running.cancel()


def position(number: int) -> dict[str, Any]:
    return {"_type": "location", "lat": 48.0, "lon": 16.0, "tst": 1_790_000_000 + number, "acc": 10}


async def test_what_is_refused_blocks_what_is_behind_it_and_nothing_is_lost() -> None:
    """A 4xx, a 5xx and a broken line are tried again with doubling waits, in order; a success begins anew."""
    tries: list[Tried] = []
    patience = Patience()
    async with (
        open_server(400, 503, None, 401, 200, 503) as server,
        open_phone(server.url, "owntracks", patience, tries) as phone,
    ):
        for number in range(3):
            await phone.keep(position(number))
        await phone.sent()
    told = [body["tst"] - 1_790_000_000 for body in server.bodies]
    assert told == [0, 0, 0, 0, 0, 1, 1, 2]
    assert patience.waited == [1, 2, 4, 8, 1]
    assert len({body["_id"] for body in server.bodies}) == 3
    assert [one.status for one in tries] == [400, 503, None, 401, 200, 503, 200, 200]
    assert tries[0].waiting == 3


async def test_the_wait_ends_at_two_minutes() -> None:
    """However long the gateway is away."""
    patience = Patience()
    tries: list[Tried] = []
    async with open_server(*[503] * 12) as server, open_phone(server.url, "owntracks", patience, tries) as phone:
        await phone.keep(position(0))
        await phone.sent()
    assert patience.waited == [1, 2, 4, 8, 16, 32, 64, 120, 120, 120, 120, 120]


async def test_overland_sends_what_waits_at_once_and_keeps_it_until_it_is_told_ok() -> None:
    """An array is no answer for it."""
    patience = Patience()
    tries: list[Tried] = []
    async with open_server() as server, open_phone(server.url, "overland", patience, tries) as phone:
        for number in range(3):
            await phone.keep(position(number))
        await phone.keep({"_type": "transition", "event": "leave", "tst": 1})
        assert await patience.tried(2) == [30, 30]
        assert (phone.waiting, phone.left_out) == (3, 1)
    assert [len(body["locations"]) for body in server.bodies[1:]] == [3] * len(server.bodies[1:])


async def command(*arguments: str, until: bytes = b"") -> tuple[int, str]:
    """Run `sim phone` and return its exit code and output; `until` it says so, then Ctrl-C."""
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "sim", "phone", *arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said = b""
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while line := await process.stdout.readline():
                said += line
                if until and until in line:
                    process.send_signal(signal.SIGINT)
            return await process.wait(), said.decode()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path, home={"link": SOON, **PEOPLE}) as rig:
        yield rig


@pytest.mark.parametrize("app", ["owntracks", "overland", "osmand"])
async def test_a_track_is_played_to_the_end_and_all_of_it_comes_home(rig: Rig, tmp_path: Path, app: str) -> None:
    """Each position once, with the name of the device, dated so that the last one is now; each answer is printed."""
    walk = make("tunnel")
    messages = [one for one in walk.messages if one.payload["_type"] == "location"][:60]
    lines = [json.dumps({"received_at": one.received_at, **one.payload}) for one in messages]
    track = tmp_path / "track.jsonl"
    track.write_text("\n".join(lines), encoding="utf-8")
    options = ["--url", rig.url, "--key", rig.key, "--track", str(track), "--app", app, "--speed", "10000"]
    code, said = await command(*options, "--user", "anna", "--device", "iphone")
    assert code == 0, said
    assert "iphone: all taken." in said
    await rig.drained()
    rows = rig.rows(rig.journal, "SELECT at, phone FROM positions ORDER BY at")
    assert len(rows) == len({one.payload["tst"] for one in messages}) == 60
    assert time.time() - 60 < rows[-1][0] <= time.time()
    span = messages[-1].payload["tst"] - messages[0].payload["tst"]
    assert rows[-1][0] - rows[0][0] == pytest.approx(span, abs=1)
    if app == "owntracks":
        assert said.count("->  200 []") == 60


async def test_a_sealed_track_is_opened_at_home_only(rig: Rig, tmp_path: Path) -> None:
    """With the encryption key in a file; at the gateway there is no latitude."""
    (tmp_path / "key").write_text("s3cret\n")
    track = tmp_path / "track.json"
    track.write_text(json.dumps([{**position(0), "tst": 1_790_000_000}]), encoding="utf-8")
    options = ["--url", rig.url, "--key", rig.key, "--track", str(track), "--user", "anna", "--device", "iphone"]
    code, said = await command(*options, "--encryption-key-file", str(tmp_path / "key"))
    assert code == 0, said
    await rig.drained()
    ((body, reason),) = rig.rows(
        rig.journal,
        "SELECT e.body, d.reason FROM events e JOIN deliveries d ON d.event = e.seq WHERE d.target = 'presence'",
    )
    assert '"encrypted"' in body
    assert "48.0" not in body
    assert "passphrase" in reason


async def test_a_wrong_key_is_printed_and_blocks(rig: Rig, tmp_path: Path) -> None:
    """As on the phone; Ctrl-C ends it, and it says how much was not taken."""
    track = tmp_path / "track.json"
    track.write_text(json.dumps([position(0), position(0)]), encoding="utf-8")
    options = ["--url", rig.url, "--key", "gk_wrong", "--track", str(track)]
    code, said = await command(*options, until=b"again in 2 s")
    assert "401 UNAUTHORIZED" in said
    assert "1 wait behind it" in said
    assert "phone: 2 wait." in said
    assert code in {0, 130}, said


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--url", "gateway"], "'gateway' is not the address of a gateway"),
        (["--app", "osmand", "--encryption-key-file", "{track}"], "Only OwnTracks encrypts"),
        (["--track", "{empty}"], "nothing in the track"),
        (["--speed", "0"], "speed"),
    ],
)
async def test_a_wrong_option_is_told(tmp_path: Path, more: list[str], says: str) -> None:
    """Before anything is sent."""
    track, empty = tmp_path / "track.json", tmp_path / "empty.json"
    track.write_text(json.dumps(position(0)), encoding="utf-8")
    empty.write_text("[]", encoding="utf-8")
    options = [one.format(track=track, empty=empty) for one in more]
    code, said = await command("--url", "http://127.0.0.1:1", "--key", "k", "--track", str(track), *options)
    assert code == 64, said
    assert says in said
