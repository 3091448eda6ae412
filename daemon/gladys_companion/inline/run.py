"""In-line mode as a whole: where Gladys connects, and the one connection to Gladys Plus, in Gladys' own name."""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout, hdrs, web

from gladys_companion import config
from gladys_companion.backoff import delay
from gladys_companion.config import address
from gladys_companion.engine_io import SOCKET_PATH
from gladys_companion.errors import AddressInUse, ConfigError, RequestError
from gladys_companion.inline.http import PassThrough, passing_session, refusal
from gladys_companion.inline.relay import ANSWER_WITHIN, Relay
from gladys_companion.inline.token import SeenToken
from gladys_companion.link import Link, Pairing

__all__ = ["Inline", "MakeLink", "open_inline"]

OK = 200
FORBIDDEN = 403
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
BELIEVED_WITHIN = ClientTimeout(total=10)

log = structlog.get_logger(__name__)

MakeLink: TypeAlias = Callable[[Pairing, Relay], Link]


class Inline:
    """In-line mode; made by ``open_inline``, and to be ``run``.

    ``relay`` is what passes, ``link`` the connection to Gladys Plus: None until Gladys has shown its token, which is
    kept in memory only. ``address`` is where Gladys connects.
    """

    def __init__(self, options: config.Inline, http: ClientSession, link: MakeLink, answer_within: float) -> None:
        self.relay = Relay(answer_within)
        self.relay.believer = self._believed
        self.link: Link | None = None
        self.address: tuple[str, int] | None = None
        self._upstream = options.upstream.rstrip("/")
        self._http = http
        self._make_link = link
        self._another = asyncio.Event()
        self._parked = 0  # links in a row that Gladys Plus refused
        self._token = SeenToken(self._another.set)
        self._passing = PassThrough(self._upstream, http, self._token)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request of Gladys."""
        if request.raw_path.partition("?")[0] != SOCKET_PATH:
            return await self._passing.handle(request)
        try:
            return await self.relay.local.handle(request)
        except RequestError as error:
            return refusal(error)

    async def run(self) -> None:
        """Keep both connections, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.relay.run(), name="inline answers")
            group.create_task(self.relay.local.run(lambda: not self._passing.failed), name="inline gladys")
            group.create_task(self._come_again(), name="inline reconnected")
            await self._keep_link()

    async def _keep_link(self) -> None:
        """Keep the link of the token that Gladys showed last; another one ends it and begins another."""
        while True:
            self._another.clear()
            async with asyncio.TaskGroup() as group:
                running = None
                if self._token.value is not None:
                    running = group.create_task(self._link(self._token.value), name="inline link")
                await self._another.wait()
                if running is not None:
                    running.cancel()

    async def _link(self, token: str) -> None:
        pairing = Pairing(
            url=self._upstream,
            instance_id="",
            home_id="",
            home_name="Gladys Plus",
            refresh_token=token,
            own=False,
        )
        if self._parked:  # its client may show the same token at once, for ever
            await asyncio.sleep(delay(self._parked, FIRST_PAUSE, LONGEST_PAUSE))
        self.link = self._make_link(pairing, self.relay)
        await self.link.run()
        self._parked += 1
        self._token.answered(token, FORBIDDEN)  # it is parked
        await self.relay.local.dismiss(everybody=True)  # so that Gladys learns it too, and may show another

    async def _come_again(self) -> None:
        """Let Gladys come again once Gladys Plus is there, if it was not when Gladys came."""
        while True:
            await self.relay.reconnected.wait()
            self.relay.reconnected.clear()
            self._parked = 0
            await self.relay.local.dismiss(everybody=False)

    async def _believed(self, access_token: str) -> bool:
        url = f"{self._upstream}/instances/users"
        headers = {hdrs.AUTHORIZATION: access_token}
        try:
            async with self._http.get(url, headers=headers, allow_redirects=False, timeout=BELIEVED_WITHIN) as answer:
                return answer.status == OK
        except (ClientError, TimeoutError, ValueError) as error:  # ValueError: no header holds such a token
            log.warning("the upstream failed", upstream=self._upstream, reason=str(error) or "it did not answer")
            return False


@asynccontextmanager
async def open_inline(
    options: config.Inline, context: ssl.SSLContext, link: MakeLink, *, answer_within: float = ANSWER_WITHIN
) -> AsyncIterator[Inline]:
    """Listen where Gladys connects, until the block ends. ``link`` makes the connection to Gladys Plus.

    Either side has ``answer_within`` seconds for an ack; then the other one is told an error.

    Raises:
        ConfigError: it can not listen as configured.
        AddressInUse: another program listens there.
    """
    host, port = address(options.listen)
    async with passing_session(context) as http:
        inline = Inline(options, http, link, answer_within)
        runner = web.ServerRunner(
            web.Server(inline.handle, auto_decompress=False, access_log=None), shutdown_timeout=0.5
        )
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, host, port).start()
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    sentence = f"[inline] listen: another program already uses {options.listen}. Stop it, or choose "
                    raise AddressInUse(f"{sentence}another port.") from error
                sentence = f"[inline] listen: {options.listen} can not be listened on: {error.strerror}."
                raise ConfigError(sentence) from error
            inline.address = runner.addresses[0][:2]
            log.info("waiting for gladys", listen=options.listen, upstream=options.upstream)
            yield inline
        finally:
            await inline.relay.local.close()
            await runner.cleanup()
