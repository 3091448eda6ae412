"""One TCP connection to an accessory: HTTP in the clear until it is made secure, with events at any time.

Nothing that comes in can grow without bound or take the loop for long, and a connection that is out of step ends.
Source: HomeKit Accessory Protocol, 6.4 (requests), 6.5.2 (frames), 6.8 (events).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

from aiohomekit.crypto import ChaCha20Poly1305Decryptor, ChaCha20Poly1305Encryptor
from aiohomekit.crypto.chacha20poly1305 import PACK_NONCE, DecryptionError
from aiohomekit.exceptions import AccessoryDisconnectedError, HttpException
from aiohomekit.http.response import HttpResponse

__all__ = ["Nonsense", "Wire", "open_wire"]

LARGEST_ANSWER = 2 << 20  # bytes; a bridge with 150 accessories tells a third of it
READ_AT_ONCE = 1 << 13  # bytes; a read handles about fifty events at the most
FRAME, LENGTH, TAG = 1024, 2, 16  # bytes of a frame's text, of the length before it and of the proof behind
MOST_EVENTS, IN_SECONDS = 100, 0.05  # beyond it nothing is read for a while: who floods waits


class Nonsense(Exception):
    """What came is nothing that an accessory says."""


class Wire(asyncio.BufferedProtocol):
    """What ``open_wire`` yields. One request at a time, as many accessories can not take more.

    Args:
        host: what the accessory is called in requests: its address.
        answer_within: seconds for each whole answer.
        heard: called with the body of each event; ``Nonsense`` ends the connection.
        ended: called once, when the connection has ended.
    """

    def __init__(
        self, host: str, answer_within: float, heard: Callable[[bytes], None], ended: Callable[[], None]
    ) -> None:
        self.answer_within = answer_within
        name = host.partition("%")[0]  # the scope is ours
        self._host = f"[{name}]" if ":" in name else name
        self._heard = heard
        self._ended = ended
        self._turn = asyncio.Lock()
        self._buffer = memoryview(bytearray(READ_AT_ONCE))
        self._sealed = bytearray()
        self._encryptor: ChaCha20Poly1305Encryptor | None = None
        self._decryptor: ChaCha20Poly1305Decryptor | None = None
        self._sent = self._received = 0  # frames
        self._response, self._size = HttpResponse(), 0
        self._answer: asyncio.Future[HttpResponse] | None = None
        self._events, self._counted_from = 0, 0.0
        self._reason: Exception | None = None
        self._lost = asyncio.Event()
        self._transport: asyncio.Transport

    @property
    def open(self) -> bool:
        """Whether requests can be sent."""
        return self._reason is None

    def check(self) -> None:
        """Raise why the connection has ended, if it has."""
        if self._reason is not None:
            raise self._reason.with_traceback(None)

    def secure(self, send: bytes, receive: bytes) -> None:
        """Encrypt from now on, with a key for each direction."""
        self._encryptor, self._decryptor = ChaCha20Poly1305Encryptor(send), ChaCha20Poly1305Decryptor(receive)

    async def request(self, method: str, target: str, body: bytes = b"", content: str = "") -> HttpResponse:
        """Return the whole answer to a request, whatever its status.

        Raises:
            TimeoutError: it did not come; the connection ends, for the next answer could be this one's.
            AccessoryDisconnectedError, OSError: the connection ended.
            Nonsense, HttpException, ValueError, DecryptionError: what came was no answer.
        """
        head = f"{method} {target} HTTP/1.1\r\nHost: {self._host}\r\n"
        if body:
            head += f"Content-Length: {len(body)}\r\nContent-Type: {content}\r\n"
        async with self._turn:
            self.check()
            self._answer = asyncio.get_running_loop().create_future()
            try:
                self._transport.write(self._framed(f"{head}\r\n".encode() + body))  # some can not read it in pieces
                async with asyncio.timeout(self.answer_within):
                    return await self._answer
            except BaseException:
                self._answer = None
                self._end(AccessoryDisconnectedError("a request was given up"))
                raise
            finally:
                self._answer = None

    async def close(self) -> None:
        """End it, and return when it has ended."""
        self._end(AccessoryDisconnectedError("it was closed here"))
        await self._lost.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio.BaseProtocol``."""
        self._transport = cast("asyncio.Transport", transport)  # as of TCP; uvloop's have no class in common with it

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's own
        """See ``asyncio.BufferedProtocol``."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """See ``asyncio.BufferedProtocol``."""
        try:
            self._take(bytes(self._buffer[:nbytes]))
        except (Nonsense, HttpException, ValueError, DecryptionError) as error:
            self._end(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.BaseProtocol``."""
        self._end(exc or AccessoryDisconnectedError("it ended the connection"))
        self._lost.set()
        self._ended()

    def _end(self, reason: Exception) -> None:
        if self._reason is None:
            self._reason = reason
            self._transport.abort()
            if self._answer is not None and not self._answer.done():
                self._answer.set_exception(reason)

    def _framed(self, plain: bytes) -> bytes:
        if self._encryptor is None:
            return plain
        frames = bytearray()
        for start in range(0, len(plain), FRAME):
            part = plain[start : start + FRAME]
            length = len(part).to_bytes(LENGTH, "little")
            frames += length + self._encryptor.encrypt(length, PACK_NONCE(self._sent), part)
            self._sent += 1
        return bytes(frames)

    def _take(self, data: bytes) -> None:
        if self._decryptor is None:
            self._parse(data)
            return
        self._sealed += data
        while len(self._sealed) >= LENGTH:
            length = bytes(self._sealed[:LENGTH])
            end = LENGTH + int.from_bytes(length, "little") + TAG
            if len(self._sealed) < end:
                return
            sealed = bytes(self._sealed[LENGTH:end])
            del self._sealed[:end]
            plain = self._decryptor.decrypt(length, PACK_NONCE(self._received), sealed)
            self._received += 1
            self._parse(plain)

    def _parse(self, data: bytes) -> None:
        for start in range(0, len(data), FRAME):  # the library's parser copies what is left with each line
            left: bytes | bytearray = data[start : start + FRAME]
            while left and self.open:
                self._size += len(left)
                left = self._response.parse(left)
                if max(self._size, len(self._response.body)) > LARGEST_ANSWER:
                    raise Nonsense(f"it says more than {LARGEST_ANSWER} bytes at once")
                if self._response.is_read_completely():
                    whole, self._response, self._size = self._response, HttpResponse(), 0
                    self._complete(whole)

    def _complete(self, whole: HttpResponse) -> None:
        if whole.get_http_name().lower() == "event":
            self._pace()
            self._heard(bytes(whole.body))
        elif self._answer is None or self._answer.done():
            raise Nonsense("it answers what nobody asked")
        else:
            self._answer.set_result(whole)

    def _pace(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now - self._counted_from >= IN_SECONDS:
            self._events, self._counted_from = 0, now
        self._events += 1
        if self._events == MOST_EVENTS:
            self._transport.pause_reading()
            loop.call_at(self._counted_from + IN_SECONDS, self._go_on)

    def _go_on(self) -> None:
        if self.open:
            self._transport.resume_reading()


@asynccontextmanager
async def open_wire(
    where: tuple[str, int], answer_within: float, heard: Callable[[bytes], None], ended: Callable[[], None]
) -> AsyncIterator[Wire]:
    """Yield a connection to an address and port; for the rest see ``Wire``.

    Raises:
        TimeoutError, OSError: nobody answers there.
    """
    async with asyncio.timeout(answer_within):
        _, wire = await asyncio.get_running_loop().create_connection(
            lambda: Wire(where[0], answer_within, heard, ended), *where
        )
    try:
        yield wire
    finally:
        await wire.close()
