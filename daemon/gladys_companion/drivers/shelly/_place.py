"""Where a Shelly is, who answers there, and what to say of what goes wrong: never a secret before that is known.

``GET /shelly`` is open to all on every generation, and tells the MAC, the generation and whether there is a password.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus

from aiohttp import ClientError, ClientSession, WSServerHandshakeError
from aioshelly.const import FIRMWARE_PATTERN, MIN_FIRMWARE_DATES
from aioshelly.exceptions import (
    DeviceConnectionError,
    DeviceConnectionTimeoutError,
    InvalidAuthError,
    RpcCallError,
    ShellyError,
)
from msgspec import Struct

from gladys_companion.drivers._http import reason
from gladys_companion.drivers._json import at, decoded, number
from gladys_companion.drivers._resolver import Endpoint
from gladys_companion.drivers.identity import mac_of
from gladys_companion.errors import Rejected, Unanswered, Unavailable
from gladys_companion.model import Device

__all__ = ["AnotherDevice", "Hello", "Place", "get", "hello", "judged", "recognise"]

# What a library, or we, stumble over where an answer is JSON, but not a Shelly's.
NONSENSE = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
REFUSED = frozenset({-103, -105, -109, 404})  # invalid argument, not found, failed precondition, no such method


class AnotherDevice(Rejected):
    """Something answers where the Shelly is said to be, and is not that Shelly."""


class Place(Struct, frozen=True):
    """A device where it is; ``digits`` are those of its MAC that it announces: all twelve, or the last six."""

    device: Device
    endpoint: Endpoint
    answer_within: float

    @classmethod
    def of(cls, device: Device, answer_within: float) -> Place:
        """Return where a device is.

        Raises:
            Unavailable: that is not known.
        """
        if device.address is None or device.port is None:
            raise Unavailable(f"{device.name} has not been seen on the network yet.")
        return cls(device, (device.address, device.port), answer_within)

    @property
    def digits(self) -> str:
        """The end of its MAC."""
        return self.device.id.partition(":")[2]

    @property
    def host(self) -> str:
        """The name that leads to it, and to nobody else."""
        return f"{self.digits}.shelly.local"

    def __str__(self) -> str:
        return f"{self.device.name} ({self.endpoint[0]}:{self.endpoint[1]})"

    @property
    def pairing(self) -> str:
        """What the owner types."""
        return f"`gladys-companion devices pair {self.device.id}`"


class Hello(Struct, frozen=True):
    """Who answers: its generation, and whether it wants a password."""

    gen: int
    protected: bool


async def hello(session: ClientSession, place: Place) -> Hello:
    """Ask who is there; to be called within ``judged``.

    Raises:
        Unavailable: no answer, or none of a Shelly.
        Rejected: another device, or one whose firmware is too old.
    """
    answer = await get(session, place, "/shelly")
    recognise(place, at(answer, ("mac",)))
    gen = number(at(answer, ("gen",))) or 1
    firmware = at(answer, ("fw_id",)) or at(answer, ("fw",))
    date = FIRMWARE_PATTERN.search(firmware) if isinstance(firmware, str) else None
    if date is not None and int(date[0]) < MIN_FIRMWARE_DATES.get(int(gen), 0):
        raise Rejected(f"{place} runs a firmware of {date[0]}, which is too old. Update it on its web page.")
    return Hello(int(gen), at(answer, ("auth_en",)) is True or at(answer, ("auth",)) is True)


def recognise(place: Place, told: object) -> None:
    """Compare the MAC that is told with that of the device.

    Raises:
        Unavailable: it is none.
        AnotherDevice: it is another.
    """
    mac = mac_of(told) if isinstance(told, str) else None
    if mac is None:
        raise Unavailable(f"{place} does not answer as a Shelly does: it tells no MAC.")
    if not mac.endswith(place.digits):
        raise AnotherDevice(f"Another device answers at {place}: its MAC is {mac}, not {place.digits}.")


async def get(
    session: ClientSession,
    place: Place,
    path: str,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> object:
    """Return what a GET answers, as JSON; to be called within ``judged``."""
    async with (
        asyncio.timeout(place.answer_within),
        session.get(f"http://{place.host}{path}", params=query, headers=headers) as response,
    ):
        body = await response.read()
    if response.status == HTTPStatus.UNAUTHORIZED:
        raise InvalidAuthError
    if response.status >= HTTPStatus.BAD_REQUEST:
        raise _blamed(place, response.status)
    return decoded(body)


@contextmanager
def judged(place: Place) -> Iterator[None]:
    """Turn what goes wrong into whether trying again can help."""
    try:
        yield
    except (TimeoutError, DeviceConnectionTimeoutError) as error:
        raise Unanswered(f"{place} did not answer within {place.answer_within:g} s.") from error
    except InvalidAuthError as error:
        raise Rejected(
            f"{place} does not take the password that is known here. Give the right one with {place.pairing}."
        ) from error
    except RpcCallError as error:
        says = f"{place} refused it: {str(error.message)[:200].rstrip('.!') or error.code}."
        raise (Rejected(says) if error.code in REFUSED else Unavailable(says)) from error
    except (ClientError, DeviceConnectionError, OSError) as error:
        cause = error.__cause__
        if cause is None and isinstance(error, DeviceConnectionError):  # lost with a question under way
            raise Unavailable(f"{place} ended the connection.") from error
        if isinstance(cause, WSServerHandshakeError):
            raise _blamed(place, cause.status) from error
        raise Unavailable(f"{place} can not be reached: {reason(error)}.") from error
    except (ShellyError, *NONSENSE) as error:
        raise Unavailable(f"{place} does not answer as a Shelly does ({type(error).__name__}).") from error


def _blamed(place: Place, status: int) -> Rejected | Unavailable:
    """Return the error of a status: what the device blames on us is never repeated."""
    says = f"{place} answered with HTTP status {status}."
    ours = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in LATER
    return Rejected(says) if ours else Unavailable(says)
