"""CoIoT of Shelly Gen1, of the device's side: answers ``cit/d`` and ``cit/s`` by CoAP, and pushes nothing.

``aioshelly`` asks them of every Gen1 by UDP at port 5683. Protocol: shelly-api-docs.shelly.cloud/docs/coiot/v2.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

__all__ = ["answering"]

PORT = 5683
DEVICE_ID = 3332  # the option that says who tells
CONTENT = 69  # 2.05


@asynccontextmanager
async def answering(host: str, device_id: str, ask: Callable[[str], dict[str, Any]]) -> AsyncIterator[None]:
    """Answer at ``host``; ``ask`` returns what there is at ``d`` and ``s``, ``device_id`` is `SHSW-PM#B12345#2`."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Answers(device_id, ask), local_addr=(host, PORT))
    try:
        yield
    finally:
        transport.close()


class _Answers(asyncio.DatagramProtocol):
    def __init__(self, device_id: str, ask: Callable[[str], dict[str, Any]]) -> None:
        self._device_id = device_id.encode()
        self._ask = ask
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # which not all of asyncio's say to be

    def datagram_received(self, data: bytes, addr: Any) -> None:  # noqa: ANN401 - as asyncio has it
        for path in ("d", "s"):
            if self._transport is not None and b"\xb3cit\x01" + path.encode() in data:
                self._transport.sendto(self._message(data[2:4], self._ask(path)), addr)

    def _message(self, message_id: bytes, payload: dict[str, Any]) -> bytes:
        # Lengths and numbers beyond 12 are written as 13 or 14 and what exceeds 13 (one byte) or 269 (two).
        option = struct.pack("!BHB", 14 << 4 | 13, DEVICE_ID - 269, len(self._device_id) - 13) + self._device_id
        return struct.pack("!BB", 0x50, CONTENT) + message_id + option + b"\xff" + json.dumps(payload).encode()
