"""HTTP from Gladys to Gladys Plus and back, as it is: streamed both ways, with no more than a little in memory.

Nothing is decompressed, no redirect followed, and only the headers of one connection are left out. The refresh token
of ``GET /instances/access-token`` is shown to ``SeenToken`` once the upstream has answered to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from ssl import SSLContext

import msgspec
import structlog
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, hdrs, web
from multidict import CIMultiDict
from yarl import URL

from gladys_companion.backoff import delay
from gladys_companion.errors import RequestError
from gladys_companion.inline.token import SeenToken

__all__ = ["PassThrough", "passing_session", "refusal"]

# A body may take hours; what counts is that something moves, or that the upstream thinks for no longer than this.
TIMES = ClientTimeout(total=None, sock_connect=10, sock_read=600)
TOKEN_PATH = "/instances/access-token"  # noqa: S105 - a path
INSTANCE_PATHS = "/instances/"
OK, REFUSALS = 200, frozenset({401, 403})
MOST_REFUSED = 4
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
BODILESS = frozenset({204, 304})
OF_ONE_CONNECTION = frozenset(
    {
        "connection",
        "expect",  # answered here
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
NOT_ADDED = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE, hdrs.USER_AGENT)

log = structlog.get_logger(__name__)


def passing_session(context: SSLContext) -> ClientSession:
    """Return a session that keeps no cookies, decompresses nothing and verifies with ``context``."""
    return ClientSession(
        auto_decompress=False,
        connector=TCPConnector(ssl=context, limit=0),
        cookie_jar=DummyCookieJar(),
        skip_auto_headers=NOT_ADDED,
        timeout=TIMES,
    )


class PassThrough:
    """Answers each request as the upstream does. ``failed`` says whether the last one found no upstream.

    Args:
        upstream: its address, without a path.
        http: of ``passing_session``.
        token: is shown what Gladys authenticates with.
    """

    def __init__(self, upstream: str, http: ClientSession, token: SeenToken) -> None:
        self._upstream = upstream
        self._http = http
        self._token = token
        self._refused = 0  # in a row, of what Gladys asks as an instance
        self.failed = False

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Pass one request on and stream the answer back.

        An upstream that can not be reached is a 502; one that breaks off has the connection broken off here too, so
        that half a body is never taken for a whole one.
        """
        target = request.raw_path
        if not target.startswith("/"):
            return refusal(RequestError(400, "BAD_REQUEST", "A path must begin with a slash."))
        answer = web.StreamResponse()
        await self._brake(request)
        if request.transport is None:  # nobody waits for it any more
            return answer
        try:
            async with self._http.request(
                request.method,
                URL(f"{self._upstream}{target}", encoded=True),
                headers=_passed(request.headers, hdrs.HOST),
                data=_body(request) if request.body_exists else None,
                allow_redirects=False,
            ) as told:
                self.failed = False
                self._see(request, told.status)
                answer = _begun(told)
                await answer.prepare(request)
                if request.method != hdrs.METH_HEAD and told.status not in BODILESS:
                    async for chunk in told.content.iter_any():
                        await answer.write(chunk)
                    await answer.write_eof()
        except (ClientError, TimeoutError) as error:
            log.warning("the upstream failed", upstream=self._upstream, reason=str(error) or "it did not answer")
            if not answer.prepared:
                self.failed = True
                sentence = f"{self._upstream} can not be reached. Try again later."
                return refusal(RequestError(502, "UPSTREAM_UNREACHABLE", sentence))
            if request.transport is not None:
                request.transport.abort()
        return answer

    async def _brake(self, request: web.BaseRequest) -> None:
        """Hold up who is refused again and again: Gladys' own client asks anew at once, for ever, where it gets 401."""
        if self._refused > MOST_REFUSED and request.path.startswith(INSTANCE_PATHS):
            await asyncio.sleep(delay(self._refused - MOST_REFUSED, FIRST_PAUSE, LONGEST_PAUSE))

    def _see(self, request: web.BaseRequest, status: int) -> None:
        if request.path.startswith(INSTANCE_PATHS):
            if status in REFUSALS:
                self._refused += 1
            elif status == OK and request.path != TOKEN_PATH:
                self._refused = 0
        if request.method == hdrs.METH_GET and request.path == TOKEN_PATH:
            self._token.answered(request.headers.get(hdrs.AUTHORIZATION, ""), status)


def _passed(headers: Mapping[str, str], *left_out: str) -> CIMultiDict[str]:
    """Return the headers that go on to the other side: all but those of one connection."""
    named = {name.strip().lower() for name in headers.get(hdrs.CONNECTION, "").split(",")}
    without = OF_ONE_CONNECTION | named | {one.lower() for one in left_out}
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in without)


async def _body(request: web.BaseRequest) -> AsyncIterator[bytes]:
    """Yield what Gladys sends, as fast as the upstream takes it."""
    if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    async for chunk in request.content.iter_any():
        yield chunk


def _begun(told: ClientResponse) -> web.StreamResponse:
    """Return the answer to begin with: chunked where the upstream did not say how long it is."""
    answer = web.StreamResponse(status=told.status, reason=told.reason, headers=_passed(told.headers))
    if hdrs.CONTENT_LENGTH not in told.headers and told.status not in BODILESS:
        answer.enable_chunked_encoding()
    return answer


def refusal(error: RequestError) -> web.Response:
    """Return the answer that says so, as Gladys Plus words it."""
    return web.Response(status=error.status, body=msgspec.json.encode(error.body()), content_type="application/json")
