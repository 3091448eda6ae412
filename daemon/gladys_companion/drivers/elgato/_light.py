"""One way to one light, which never takes another device for it: who it is is asked on each new connection.

Whatever goes wrong comes out as ``Unavailable`` or ``Rejected`` with a sentence. The light is not trusted: its answers
are bounded in size and time, and may not lead elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import TraceConfig
from elgato import Elgato, ElgatoConnectionError, ElgatoError, Info, State
from msgspec import structs

from gladys_companion.drivers._http import open_session, reason
from gladys_companion.drivers.elgato._values import Chosen, Ranges, command, ranges, values
from gladys_companion.drivers.identity import mac_of
from gladys_companion.errors import Rejected, Unanswered, Unavailable
from gladys_companion.model import Device
from gladys_companion.ports import Secrets

__all__ = ["AnotherDevice", "Light", "open_light"]

LONGEST = 3600  # seconds, for the library, which takes whole ones only; ours are counted here

# What the library raises where an answer is no JSON, or not a light's.
NONSENSE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


class AnotherDevice(Rejected):
    """Something answers where the light is said to be, and is not that light."""


@asynccontextmanager
async def open_light(device: Device, answer_within: float, secrets: Secrets) -> AsyncIterator[Light]:
    """Yield a way to a light; nothing is asked yet.

    Args:
        device: its id, and where it is.
        answer_within: seconds for all that one question or command takes.
        secrets: keeps the serial number of a light whose firmware does not tell its MAC.

    Raises:
        Unavailable: it is not known where the light is.
    """
    if device.address is None or device.port is None:
        raise Unavailable(f"{device.name} has not been seen on the network yet.")
    mac = device.id.partition(":")[2]
    host = f"{mac}.elgato.local"
    made, who = TraceConfig(), _Who()
    made.on_connection_create_end.append(who.anybody)
    # Kept open between questions: all that is asked and put says the same when it is sent twice.
    async with open_session(host, (device.address, device.port), connections={}, traces=[made]) as session:
        client = _Client(host, device.port, request_timeout=LONGEST, session=session)
        yield Light(device, mac, client, who, answer_within, secrets)


class _Who:
    """Who answers on the connection that there is; None while that is not known."""

    info: Info | None = None

    async def anybody(self, *_: object) -> None:
        """Take note that there is a new connection, to whomever; what ``aiohttp.TraceConfig`` calls."""
        self.info = None


class Light:
    """What ``open_light`` yields."""

    def __init__(
        self, device: Device, mac: str, client: _Client, who: _Who, answer_within: float, secrets: Secrets
    ) -> None:
        self._where = f"{device.name} ({device.address}:{device.port})"
        self._mac = mac
        self._client = client
        self._who = who
        self._answer_within = answer_within
        self._secrets = secrets
        self._ranges: Ranges | None = None
        self._chosen: Chosen | None = None

    async def able(self) -> Ranges:
        """Return what the light can do; asked once.

        Raises:
            Unavailable: no answer, or one that is none of such a light.
            Rejected: another device answers here.
        """
        if self._ranges is None:
            async with self._asking():
                info = await self._recognise()
                self._ranges = ranges(info, await self._client.settings(), await self._client.state())
        return self._ranges

    async def ask(self) -> dict[str, float]:
        """Return the values of the components now.

        Raises:
            Unavailable, Rejected: as ``able``.
        """
        async with self._asking():
            await self._recognise()
            return self._values(await self._client.state())

    async def set(self, component: str, wanted: float) -> None:
        """Give a component a value, and return when the light said that it has it.

        Raises:
            Unavailable: no answer, or the light has another value all the same.
            Rejected: it can not have this value, or another device answers here.
        """
        body, chosen = command(component, wanted, await self.able())
        async with self._asking():
            await self._recognise()
            self._chosen = chosen or self._chosen
            await self._client.light(**structs.asdict(body))
            told = self._values(self._client.put()).get(component, 0)  # what is off has no colour
        if told != wanted:
            raise Unavailable(f"{self._where} took the command, but still says {component} = {told}.")

    def _values(self, state: State) -> dict[str, float]:
        return values(state, self._chosen)

    async def _recognise(self) -> Info:
        """Ask who it is, once a connection. One that tells no MAC is held to the serial number that it told first."""
        if self._who.info is None:
            info = await self._client.info()
            await self._verify(info)
            self._who.info = info
        return self._who.info

    async def _verify(self, info: Info) -> None:
        if info.mac_address is not None:
            mac = mac_of(info.mac_address)
            if mac != self._mac:
                raise AnotherDevice(f"Another device answers at {self._where}: its MAC is {mac}, not {self._mac}.")
            return
        told, known = info.serial_number.encode(), await self._secrets.get(self._mac)
        if known is None:
            await self._secrets.set(self._mac, told)
        elif known != told:
            raise AnotherDevice(
                f"Another device answers at {self._where}: its serial number is {info.serial_number[:32]!r}, "
                f"not {known.decode()}."
            )

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        with self._judged():
            async with asyncio.timeout(self._answer_within):
                yield

    @contextmanager
    def _judged(self) -> Iterator[None]:
        """Turn what the library raises into whether trying again can help."""
        try:
            yield
        except TimeoutError as error:
            raise Unanswered(f"{self._where} did not answer within {self._answer_within:g} s.") from error
        except _Status as error:
            sentence = f"{self._where} answered with HTTP status {error.status}."
            if error.status < HTTPStatus.INTERNAL_SERVER_ERROR and error.status not in LATER:
                raise Rejected(sentence) from error
            raise Unavailable(sentence) from error
        except (ElgatoConnectionError, OSError) as error:
            raise Unavailable(f"{self._where} can not be reached: {reason(error)}.") from error
        except ElgatoError as error:
            raise Rejected(f"{self._where} can not do that: {str(error).rstrip('.')}.") from error
        except NONSENSE as error:
            raise Unavailable(
                f"{self._where} does not answer as an Elgato light does ({type(error).__name__})."
            ) from error


class _Status(ElgatoError):
    """An answer that is an error; the library would not say which."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status


class _Client(Elgato):
    _answered = ""

    async def _raw_request(self, uri: str, **options: Any) -> tuple[int, str]:
        status, self._answered = await super()._raw_request(uri, **options)
        if status >= HTTPStatus.BAD_REQUEST:
            raise _Status(status)
        return status, self._answered

    def put(self) -> State:
        """Return what the light answered to the last command: what it is now; the library drops it."""
        return State.from_dict(msgspec.json.decode(self._answered)["lights"][0])
