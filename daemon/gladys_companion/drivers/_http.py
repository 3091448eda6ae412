"""An HTTP client for one device that is not trusted: its answers can neither grow without bound nor lead elsewhere."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from ssl import SSLContext
from types import MappingProxyType, SimpleNamespace
from typing import Any

from aiohttp import (
    ClientConnectionError,
    ClientConnectorError,
    ClientPayloadError,
    ClientResponse,
    ClientSession,
    ClientWebSocketResponse,
    DummyCookieJar,
    Fingerprint,
    TCPConnector,
    TraceConfig,
    TraceRequestRedirectParams,
    WSCloseCode,
    WSMsgType,
)

from gladys_companion.drivers._resolver import Endpoint, EndpointResolver

__all__ = ["LARGEST_ANSWER", "LARGEST_MESSAGE", "BoundedWebSocket", "open_session", "reason"]

LARGEST_ANSWER = 1 << 20  # bytes; a device's whole state is well under a tenth of it
LARGEST_MESSAGE = 1 << 17  # bytes of a websocket's message, which is pushed as often as a device likes


TEXTS = frozenset({WSMsgType.TEXT, WSMsgType.BINARY})
OWN: Mapping[str, Any] = MappingProxyType({"force_close": True})


def open_session(
    host: str,
    where: Endpoint,
    *,
    ssl: Fingerprint | SSLContext | bool = True,
    connections: Mapping[str, Any] = OWN,
    traces: Sequence[TraceConfig] = (),
    **options: Any,
) -> ClientSession:
    """Return a session that reaches ``where`` under the name ``host``, and nobody else; close it.

    Unless told otherwise every request has a connection of its own: a device closes idle ones when it likes, and a
    command lost to that could not be told from one that arrived. An answer over ``LARGEST_ANSWER`` bytes, a redirect
    and a websocket's message over ``LARGEST_MESSAGE`` bytes are client errors.

    Args:
        host: a name made from the device's identity, in lower case; the port in a URL does not matter.
        where: address and port.
        ssl: for https: whether or how to verify, or the fingerprint of the only certificate that is taken.
        connections: options of ``aiohttp.TCPConnector``.
        traces: told what happens.
        options: further ones of ``aiohttp.ClientSession``.
    """
    resolver = EndpointResolver({host: where}.get)
    connector = TCPConnector(resolver=resolver, use_dns_cache=False, ssl=ssl, **connections)
    return ClientSession(
        connector=connector,
        cookie_jar=DummyCookieJar(),
        response_class=_BoundedResponse,
        trace_configs=[_STAY, *traces],
        **{"ws_response_class": BoundedWebSocket, **options},
    )


def reason(error: BaseException) -> str:
    """Return why a request failed, without a full stop; never the port that a library insisted on."""
    cause = error.__cause__ or error
    if isinstance(cause, ClientConnectorError) and cause.errno:
        return os.strerror(cause.errno)
    return (str(cause) or type(cause).__name__).rstrip(".")


class _BoundedResponse(ClientResponse):
    async def read(self) -> bytes:
        content = bytearray()
        async for chunk in self.content.iter_any():
            content += chunk
            if len(content) > LARGEST_ANSWER:
                self.close()
                raise ClientPayloadError(f"the answer is larger than {LARGEST_ANSWER} bytes")
        self._body = bytes(content)
        return self._body

    def get_encoding(self) -> str:
        """Return what all devices speak: some of what one can name takes Python seconds to decode, or is no text."""
        return "utf-8"


class BoundedWebSocket(ClientWebSocketResponse[Any]):
    """A websocket that no message may fill: to read some MB of JSON would keep everybody else waiting."""

    async def receive(self, timeout: float | None = None) -> Any:  # noqa: ANN401, ASYNC109 - as aiohttp has it
        """Return the next frame."""
        message = await super().receive(timeout)
        if message.type in TEXTS and len(message.data) > LARGEST_MESSAGE:
            await self.close(code=WSCloseCode.MESSAGE_TOO_BIG)
            raise ClientConnectionError(f"a message is larger than {LARGEST_MESSAGE} bytes")
        return message


async def _refuse_redirect(_session: ClientSession, _: SimpleNamespace, to: TraceRequestRedirectParams) -> None:
    to.response.close()
    raise ClientConnectionError("it sends us elsewhere, which a device does not")


_STAY = TraceConfig()  # one for all: each has a list for every kind of news
_STAY.on_request_redirect.append(_refuse_redirect)
