"""What simulated devices share: where they listen, what they announce, their faults, and waiting for what happens.

A device derives from ``HttpDevice`` and gives its ``routes`` and ``announced``; one that speaks another protocol
derives from ``SimulatedDevice`` and gives ``serve`` and ``cease`` itself.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import socket
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from aiohttp import web
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

if TYPE_CHECKING:
    import ssl

__all__ = ["Announced", "HttpDevice", "SimulatedDevice", "compact", "json_object"]


class Announced(NamedTuple):
    """One mDNS service of a device: ``_wled._tcp.local.``, its label (also the host's name, `.local.`), its TXT."""

    type: str
    label: str
    txt: Mapping[str, str]


class SimulatedDevice(ABC):
    """A device with a MAC. ``mac`` is 12 lower-case hex digits, ``address`` and ``port`` where it listens now."""

    address: str
    port: int

    def __init__(self, *, mac: str, name: str) -> None:
        """Make it, not yet listening.

        Args:
            mac: its identity, 12 hex digits, with colons or without.
            name: its friendly name.

        Raises:
            ValueError: ``mac`` is not that.
        """
        self.mac = mac.replace(":", "").lower()
        if not re.fullmatch(r"[0-9a-f]{12}", self.mac):
            msg = f"a MAC is 12 hex digits, not {mac!r}"
            raise ValueError(msg)
        self.name = name
        self._news = asyncio.Condition()
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._zeroconf: AsyncZeroconf | None = None

    @abstractmethod
    def announced(self) -> Sequence[Announced]:
        """Return the mDNS services that lead to it."""

    @abstractmethod
    async def serve(self, listener: socket.socket) -> None:
        """Serve what connects to ``listener``, which is bound and listens, until ``cease``; take it over."""

    @abstractmethod
    async def cease(self) -> None:
        """Close the listener and break every connection; does nothing twice."""

    @asynccontextmanager
    async def running(self, host: str, port: int = 0, zeroconf: AsyncZeroconf | None = None) -> AsyncIterator[Self]:
        """Listen on ``host``, and announce it where ``zeroconf`` is given (the caller's, left open).

        Args:
            host: one IP address of this machine; it is announced, so a wildcard will not do.
            port: 0 takes a free one.
            zeroconf: speaks on its own interfaces only; with ``interfaces=["127.0.0.1"]`` all stays on this machine.

        Raises:
            ValueError: ``host`` is not what it must be.
            OSError: the address can not be listened on.
        """
        async with AsyncExitStack() as stack:
            await self._listen(host, port)
            stack.push_async_callback(self.cease)
            if zeroconf is not None:
                self._zeroconf = zeroconf
                for info in self._infos():
                    announcement = await zeroconf.async_register_service(info)
                    stack.push_async_callback(self._withdraw, zeroconf, info.name, announcement)
            yield self

    async def until(self, condition: Callable[[Self], bool]) -> None:
        """Return as soon as ``condition(device)`` holds; it is asked again after each ``told``."""
        async with self._news:
            await self._news.wait_for(lambda: condition(self))

    async def told(self) -> None:
        """Let ``until`` look again: after every command, change and connection."""
        async with self._news:
            self._news.notify_all()

    @property
    def frozen(self) -> bool:
        """Whether ``freeze`` holds."""
        return not self._thawed.is_set()

    def freeze(self) -> None:
        """Accept connections and never answer nor push; what is asked meanwhile is lost."""
        self._thawed.clear()

    def thaw(self) -> None:
        """End ``freeze``; connections that were waiting for an answer break."""
        self._thawed.set()

    async def thawed(self) -> None:
        """Return when ``freeze`` does not hold."""
        await self._thawed.wait()

    async def move(self, host: str | None = None, port: int = 0) -> None:
        """Go to another address or port, as after a new DHCP lease: connections break, the announcement follows."""
        await self.cease()
        await self._listen(host or self.address, port)
        if self._zeroconf is not None:
            for info in self._infos():
                await (await self._zeroconf.async_update_service(info))

    async def _listen(self, host: str, port: int) -> None:
        address = ipaddress.ip_address(host)
        if address.is_unspecified:
            msg = f"a device has one address, and {host} is every address: give the one to announce"
            raise ValueError(msg)
        # Asked so because a link-local address needs its scope as a number beside it.
        [(family, _, _, _, where)] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        )
        listener = socket.create_server(where, family=family)
        self.address, self.port = listener.getsockname()[:2]
        await self.serve(listener)

    def _infos(self) -> list[AsyncServiceInfo]:
        return [
            AsyncServiceInfo(
                one.type,
                f"{one.label}.{one.type}",
                parsed_addresses=[self.address.partition("%")[0]],
                port=self.port,
                properties=dict(one.txt),
                server=f"{one.label}.local.",
            )
            for one in self.announced()
        ]

    async def _withdraw(self, zeroconf: AsyncZeroconf, name: str, announcement: Awaitable[None]) -> None:
        await announcement
        for info in self._infos():  # as it is now: it may have moved
            if info.name == name:
                await (await zeroconf.async_unregister_service(info))


class HttpDevice(SimulatedDevice):
    """A device that speaks HTTP; ``tls`` makes it HTTPS."""

    tls: ssl.SSLContext | None = None

    def __init__(self, *, mac: str, name: str) -> None:
        """Make it, as ``SimulatedDevice``."""
        super().__init__(mac=mac, name=name)
        self._refusal: tuple[int, str] | None = None
        self._byte_after: float | None = None
        self._runner: web.AppRunner | None = None

    @abstractmethod
    def routes(self) -> Iterable[web.AbstractRouteDef]:
        """Return what it answers."""

    def refuse(self, status: int, body: str = '{"error":9}') -> None:
        """Answer every request so; with status 200 and a body that is no JSON, it talks nonsense."""
        self._refusal = (status, body)

    def dawdle(self, byte_after: float = 0.05) -> None:
        """Answer right, but one byte at a time, with so many seconds between them."""
        self._byte_after = byte_after

    def accept(self) -> None:
        """End ``refuse`` and ``dawdle``."""
        self._refusal, self._byte_after = None, None

    async def serve(self, listener: socket.socket) -> None:
        """Serve the ``routes``, with the faults before them."""
        app = web.Application(middlewares=[self._faults])
        app.router.add_routes(self.routes())
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.SockSite(runner, listener, ssl_context=self.tls).start()
        self._runner = runner

    async def cease(self) -> None:
        """Stop serving."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    @web.middleware
    async def _faults(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if self.frozen:
            await self.thawed()
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if self._refusal is not None:
            status, body = self._refusal
            return web.Response(status=status, text=body, content_type="application/json")
        response = await handler(request)
        if self._byte_after is not None and isinstance(response, web.Response):
            return await self._trickled(request, response, self._byte_after)
        return response

    async def _trickled(self, request: web.Request, whole: web.Response, byte_after: float) -> web.StreamResponse:
        response = web.StreamResponse(status=whole.status, headers={"Content-Type": whole.content_type})
        await response.prepare(request)
        try:
            for byte in whole.body if isinstance(whole.body, bytes) else b"":
                await response.write(bytes((byte,)))
                await asyncio.sleep(byte_after)
        except ConnectionError:
            pass  # whoever asked gave up
        return response


def compact(value: object) -> str:
    """Return JSON as small devices write it: without spaces, in UTF-8."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def json_object(text: str) -> dict[str, Any] | None:
    """Return the JSON object in ``text``, or None where there is none."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
