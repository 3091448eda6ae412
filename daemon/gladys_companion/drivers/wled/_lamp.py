"""One connection to one lamp, which never takes another device for it: asked, commanded and listened to.

Whatever goes wrong comes out as ``Unavailable`` or ``Rejected`` with a sentence. The lamp is not trusted: its answers
are bounded in size and time, and may not lead elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from types import SimpleNamespace
from typing import NoReturn

from aiohttp import (
    ClientConnectionError,
    ClientPayloadError,
    ClientResponse,
    ClientSession,
    TCPConnector,
    TraceConfig,
    TraceRequestRedirectParams,
)
from wled import (
    WLED,
    State,
    WLEDConnectionClosedError,
    WLEDConnectionError,
    WLEDError,
    WLEDStatusError,
    WLEDUnsupportedVersionError,
)
from wled import Device as Answer

from gladys_companion.drivers._resolver import EndpointResolver
from gladys_companion.drivers.wled._values import body, value, values
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Device

__all__ = ["AnotherDevice", "Lamp", "open_lamp"]

LARGEST_ANSWER = 1 << 20  # presets included, a real lamp's are well under a tenth of it

# What the library raises where an answer is JSON, but not a lamp's.
NONSENSE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


class AnotherDevice(Rejected):
    """Something answers where the lamp is said to be, and is not that lamp."""


@asynccontextmanager
async def open_lamp(device: Device, answer_within: float) -> AsyncIterator[Lamp]:
    """Yield a connection to a device; nothing is asked yet.

    Args:
        device: its id, and where it is.
        answer_within: seconds for each question or command, retries of the library included.

    Raises:
        Unavailable: it is not known where the device is.
    """
    if device.address is None or device.port is None:
        raise Unavailable(f"{device.name} has not been seen on the network yet.")
    mac = device.id.partition(":")[2]
    host = f"{mac}.wled.local"  # names the lamp to the library, which knows no ports
    where = (device.address, device.port)
    stay = TraceConfig()
    stay.on_request_redirect.append(_refuse_redirect)
    connector = TCPConnector(resolver=EndpointResolver({host: where}.get), use_dns_cache=False)
    async with ClientSession(connector=connector, response_class=_BoundedResponse, trace_configs=[stay]) as session:
        yield Lamp(device, mac, WLED(host, answer_within, session), answer_within)


class Lamp:
    """What ``open_lamp`` yields. ``listening`` says that the device is known to be the right one, and is connected."""

    listening = False

    def __init__(self, device: Device, mac: str, wled: WLED, answer_within: float) -> None:
        self._where = f"{device.name} ({device.address}:{device.port})"
        self._mac = mac
        self._wled = wled
        self._answer_within = answer_within
        self._state: State | None = None

    async def ask(self) -> Answer:
        """Return state and info of the lamp.

        Raises:
            Unavailable: no answer, or one that is none of a lamp.
            Rejected: another device answers here, or the firmware is too old.
        """
        with self._judged():
            async with asyncio.timeout(self._answer_within):
                answer = Answer.from_dict(await self._wled.request("/json/si"))
            self._recognise(answer)
            return answer

    async def set(self, component: str, wanted: float | None) -> None:
        """Give a component a value, and return when the lamp said that it has it.

        Raises:
            Unavailable: no answer, or the lamp has another value all the same.
            Rejected: it can not have this value, or another device answers here.
        """
        state = self._state if self.listening and self._state is not None else (await self.ask()).state
        command = body(component, wanted, state)
        with self._judged():
            async with asyncio.timeout(self._answer_within):
                answer = await self._wled.request("/json/state", method="POST", data=command)
            self._state = State.from_dict(answer)
            told = value(component, self._state)
        if told != wanted:
            raise Unavailable(f"{self._where} took the command, but still says {component} = {told}.")

    async def listen(self, heard: Callable[[dict[str, float]], None]) -> NoReturn:
        """Call ``heard`` with the values now and after every change, until the connection ends.

        Raises:
            Unavailable: it ended, or never began.
            Rejected: as ``ask``.
        """

        def take(answer: Answer) -> None:
            self._recognise(answer)
            self.listening = True
            heard(values(answer))

        with self._judged():
            async with asyncio.timeout(self._answer_within):
                answer = await self._wled.update()
            self._recognise(answer)
            heard(values(answer))
            async with asyncio.timeout(self._answer_within):
                await self._wled.connect()
            try:
                await self._wled.listen(take)
            finally:
                self.listening = False
        raise Unavailable(f"{self._where} ended the connection.")

    def _recognise(self, answer: Answer) -> None:
        mac = answer.info.mac_address.replace(":", "").lower()
        if mac != self._mac:
            raise AnotherDevice(f"Another device answers at {self._where}: its MAC is {mac[:32]!r}, not {self._mac}.")
        self._state = answer.state

    @contextmanager
    def _judged(self) -> Iterator[None]:
        """Turn what the library raises into whether trying again can help."""
        try:
            yield
        except TimeoutError as error:
            raise Unavailable(f"{self._where} did not answer within {self._answer_within:g} s.") from error
        except WLEDUnsupportedVersionError as error:
            raise Rejected(f"{self._where} runs a firmware that is too old: {error}") from error
        except WLEDStatusError as error:
            status = error.status or 0
            sentence = f"{self._where} answered with HTTP status {status}."
            if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in LATER:
                raise Rejected(sentence) from error
            raise Unavailable(sentence) from error
        except WLEDConnectionClosedError as error:
            raise Unavailable(f"{self._where} ended the connection.") from error
        except (WLEDConnectionError, OSError) as error:
            raise Unavailable(f"{self._where} can not be reached: {error.__cause__ or error}") from error
        except WLEDError as error:
            raise Unavailable(f"{self._where} does not answer as WLED does: {error}") from error
        except NONSENSE as error:
            raise Unavailable(f"{self._where} does not answer as WLED does ({type(error).__name__}).") from error


class _BoundedResponse(ClientResponse):
    async def read(self) -> bytes:
        content = bytearray()
        async for chunk in self.content.iter_any():
            content += chunk
            if len(content) > LARGEST_ANSWER:
                self.close()
                raise ClientPayloadError(f"the answer is larger than {LARGEST_ANSWER} bytes")
        return bytes(content)


async def _refuse_redirect(_session: ClientSession, _: SimpleNamespace, _params: TraceRequestRedirectParams) -> None:
    raise ClientConnectionError("it sends us elsewhere, which a lamp does not")
