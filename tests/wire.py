"""Transcripts of what Gladys' own client and a server say to each other: recorded by a proxy, redacted, replayed.

A transcript is a list of steps in their order. Both ends' ids and tokens are placeholders such as ``<sid-1>``, which a
replay binds to what its own server says.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import aiohttp
import msgspec
from aiohttp import web
from msgspec import Struct

__all__ = [
    "FIXTURES",
    "SEPARATOR",
    "Proxy",
    "Step",
    "Transcript",
    "bind",
    "bound",
    "load",
    "open_proxy",
    "packets",
    "redact",
    "save",
]

FIXTURES = Path(__file__).parent / "fixtures" / "wire"
SEPARATOR = "\x1e"
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_JWT = r"eyJ[\w-]+\.[\w-]+\.[\w-]+"
_HEX = r"\b[0-9a-f]{32,}\b"
_TIME = r"\d{4}-\d\d-\d\dT[\d:.]+Z"
_KEY = r'("(?:[nxye]|wrappedKey|salt|iv)\\*":\\*")[^"\\]{9,}'  # of JWK, and of a wrapped one; maybe in a text
_SERVERS_OWN = frozenset({"pingInterval", "pingTimeout", "maxPayload"})
_END_TO_END = frozenset({"authorization", "content-type", "accept"})


class Step(Struct, frozen=True, omit_defaults=True):
    """One thing that one end said. ``on`` numbers the request, or the websocket, that it belongs to."""

    by: Literal["client", "server"]
    kind: Literal["request", "response", "open", "frame", "close"]
    on: int
    method: str = ""
    path: str = ""
    authorization: str = ""
    status: int = 0
    body: str = ""


class Transcript(Struct, frozen=True):
    """What was recorded, between what, and the steps."""

    what: str
    client: str
    server: str
    steps: list[Step]


class Proxy:
    """Passes everything on to a server and notes it."""

    def __init__(self, upstream: str, http: aiohttp.ClientSession) -> None:
        self.url = ""
        self.steps: list[Step] = []
        self.garbles: dict[str, str] = {}  # by path, what is answered there (200) in place of what the server said
        self._upstream = upstream
        self._http = http
        self._count = 0
        self._noted = asyncio.Event()

    async def changed(self) -> None:
        """Return when the next step was noted."""
        self._noted.clear()
        await self._noted.wait()

    def requests(self, path: str) -> int:
        """Return how often a path was asked for, websockets included."""
        return sum(step.kind in {"request", "open"} and step.path.partition("?")[0] == path for step in self.steps)

    def asked(self) -> int:
        """Return how many requests came, websockets included."""
        return sum(step.kind in {"request", "open"} for step in self.steps)

    def opened(self) -> int:
        """Return how many sessions of Engine.IO were begun."""
        return sum(
            step.kind in {"request", "open"} and "EIO=" in step.path and "sid=" not in step.path for step in self.steps
        )

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Pass one request on."""
        self._count += 1
        number = self._count
        try:
            if "Upgrade" in request.headers:
                return await self._websocket(request, number)
            return await self._request(request, number)
        except aiohttp.ClientError:  # the server has gone
            return web.Response(status=502)

    async def _request(self, request: web.BaseRequest, number: int) -> web.StreamResponse:
        body = await request.text()
        headers = {name: value for name, value in request.headers.items() if name.lower() in _END_TO_END}
        self._note(
            "client",
            "request",
            number,
            method=request.method,
            path=_timeless(request.path_qs),
            authorization=headers.get("Authorization", headers.get("authorization", "")),
            body=body,
        )
        async with self._http.request(
            request.method, f"{self._upstream}{request.path_qs}", headers=headers, data=body or None
        ) as answer:
            garbled = self.garbles.get(request.path)
            status, text = (answer.status, await answer.text()) if garbled is None else (200, garbled)
            self._note("server", "response", number, status=status, body=text)
            return web.Response(status=status, text=text, content_type=answer.content_type)

    async def _websocket(self, request: web.BaseRequest, number: int) -> web.StreamResponse:
        self._note("client", "open", number, path=_timeless(request.path_qs))
        ours = web.WebSocketResponse(max_msg_size=0)
        await ours.prepare(request)
        async with (
            self._http.ws_connect(f"{self._upstream}{request.path_qs}", max_msg_size=0) as theirs,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(self._pass("client", ours, theirs, number))
            group.create_task(self._pass("server", theirs, ours, number))
        return ours

    async def _pass(self, by: Literal["client", "server"], source: Any, sink: Any, number: int) -> None:  # noqa: ANN401 - both kinds of websocket
        async for message in source:
            if message.type is aiohttp.WSMsgType.TEXT:
                self._note(by, "frame", number, body=message.data)
                try:
                    await sink.send_str(message.data)
                except ConnectionError:  # that end has left
                    return
        if not sink.closed:
            self._note(by, "close", number)
            await sink.close()

    def _note(self, by: Literal["client", "server"], kind: Any, number: int, **more: Any) -> None:  # noqa: ANN401 - of a Step
        self.steps.append(Step(by, kind, number, **more))
        self._noted.set()


def _timeless(path: str) -> str:
    """Leave out the parameter by which the client avoids caches: it differs each time."""
    return re.sub(r"&t=[^&]*", "", path)


@asynccontextmanager
async def open_proxy(upstream: str) -> AsyncIterator[Proxy]:
    """Run a proxy on a free port of 127.0.0.1."""
    async with aiohttp.ClientSession() as http:
        proxy = Proxy(upstream, http)
        runner = web.ServerRunner(web.Server(proxy.handle), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield proxy
        finally:
            await runner.cleanup()


def packets(steps: Iterable[Step]) -> list[Step]:
    """Return the steps with each payload of several packets parted."""
    return [
        msgspec.structs.replace(step, body=body)
        for step in steps
        for body in (step.body.split(SEPARATOR) if step.kind in {"request", "response"} else [step.body])
    ]


def redact(steps: Iterable[Step], secrets: dict[str, str]) -> list[Step]:
    """Return the steps with placeholders for the ``secrets`` (by their value), ids, keys, and the server's ack ids."""
    known: dict[str, str] = {}

    def name(kind: str, value: str) -> str:
        number = 1 + sum(one.startswith(f"<{kind}-") for one in known.values())
        return known.setdefault(value, f"<{kind}-{number}>")

    def told(text: str) -> str:
        for value, placeholder in secrets.items():
            text = text.replace(value, placeholder)
        text = re.sub(_JWT, lambda found: name("jwt", found[0]), text)
        text = re.sub(_HEX, lambda found: name("hex", found[0]), text)
        text = re.sub(r'("sid":"|sid=)([^"&<]+)', lambda found: found[1] + name("sid", found[2]), text)
        text = re.sub(_UUID, lambda found: name("uuid", found[0]), text)
        text = re.sub(_TIME, "<time>", text)
        return re.sub(_KEY, r"\1<key>", text)

    def acks(step: Step) -> str:
        begins = "42" if step.by == "server" else "43"  # an id that the server chose
        return re.sub(rf"(?m)(^|{SEPARATOR}){begins}(\d+)\[", rf"\g<1>{begins}<ack-\g<2>>[", step.body)

    return [
        msgspec.structs.replace(
            step, path=told(step.path), authorization=told(step.authorization), body=told(acks(step))
        )
        for step in steps
    ]


def bind(recorded: object, said: object, given: dict[str, str]) -> bool:
    """Return whether what was said is as recorded, and note in ``given`` what its placeholders stand for.

    Both are JSON. A key may hold more than was recorded where the server adds something of its own, and a list may be
    empty; times of pings, and the largest payload, are the server's own.
    """
    match recorded, said:
        case str(), str() if re.fullmatch(r"<[a-z]+(-[a-z]+)*(-\d+)?>", recorded):
            return recorded in {"<key>", "<time>"} or given.setdefault(recorded, said) == said
        case dict(), dict():
            return all(
                name in said and (name in _SERVERS_OWN or bind(value, said[name], given))
                for name, value in recorded.items()
            )
        case list(), list():
            return not said or (len(recorded) == len(said) and all(map(partial(bind, given=given), recorded, said)))
    return recorded == said


def bound(template: str, given: dict[str, str]) -> str:
    """Return a text of the template."""
    for placeholder, value in given.items():
        template = template.replace(placeholder, value)
    return template


def load(name: str) -> Transcript:
    """Read a fixture."""
    return msgspec.json.decode((FIXTURES / f"{name}.json").read_bytes(), type=Transcript)


def save(name: str, transcript: Transcript) -> None:
    """Write a fixture."""
    FIXTURES.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(transcript).decode(), indent=1)
    (FIXTURES / f"{name}.json").write_text(text + "\n")
