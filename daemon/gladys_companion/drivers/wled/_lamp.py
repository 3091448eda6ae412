"""One connection to one lamp, which never takes another device for it: asked, commanded and listened to.

Whatever goes wrong comes out as ``Unavailable`` or ``Rejected`` with a sentence. The lamp is not trusted: its answers
are bounded in size and time, and may not lead elsewhere.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from http import HTTPStatus
from typing import Any, NoReturn

from aiohttp import WSMsgType
from awesomeversion import AwesomeVersionException
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

from gladys_companion.drivers._http import open_session, reason
from gladys_companion.drivers._news import Value
from gladys_companion.drivers.wled._values import body, value, values
from gladys_companion.errors import Rejected, Unanswered, Unavailable
from gladys_companion.model import Device

__all__ = ["AnotherDevice", "Lamp", "open_lamp"]

PRESETS = frozenset(map(str, range(1, 251)))  # as the firmware numbers them
MOST_SEGMENTS = 256  # eight times as many as the firmware has
GOODBYE_WITHIN = 0.2  # seconds for the closing handshake, which a lamp that hangs never answers

# What the library raises where an answer is JSON, but not a lamp's.
NONSENSE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    AwesomeVersionException,
)

LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


class AnotherDevice(Rejected):
    """Something answers where the lamp is said to be, and is not that lamp."""


@asynccontextmanager
async def open_lamp(device: Device, answer_within: float) -> AsyncIterator[Lamp]:
    """Yield a connection to a device; nothing is asked yet.

    Args:
        device: its id, and where it is.
        answer_within: seconds for each question or command.

    Raises:
        Unavailable: it is not known where the device is.
    """
    if device.address is None or device.port is None:
        raise Unavailable(f"{device.name} has not been seen on the network yet.")
    mac = device.id.partition(":")[2]
    host = f"{mac}.wled.local"  # names the lamp to the library, which knows no ports
    async with open_session(host, (device.address, device.port)) as session:
        yield Lamp(device, mac, _Client(host, answer_within, session), answer_within)


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
                answer = Answer.from_dict(_possible(await self._wled.request("/json/si")))
            self._recognise(answer)
            return answer

    async def presets(self) -> frozenset[int]:
        """Return the numbers of the presets and playlists that its owner made, in a file that can be edited by hand.

        Raises:
            Unavailable: as ``ask``.
        """
        with self._judged():
            async with asyncio.timeout(self._answer_within):
                told = await self._wled.request("/presets.json")
        listed = told.items() if isinstance(told, dict) else ()
        return frozenset(int(number) for number, preset in listed if preset and number in PRESETS)

    async def set(self, component: str, wanted: float) -> None:
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
            self._state = State.from_dict(_bounded(answer))
            told = value(component, self._state)
        if told != wanted and component == "preset":
            raise Rejected(f"{self._where} has no preset {wanted:g}.")
        if told != wanted:
            raise Unavailable(f"{self._where} took the command, but still says {component} = {told}.")

    async def listen(self, heard: Callable[[Mapping[str, Value]], object]) -> NoReturn:
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
                with suppress(TimeoutError):
                    async with asyncio.timeout(GOODBYE_WITHIN):
                        await self._wled.disconnect()
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
            raise Unanswered(f"{self._where} did not answer within {self._answer_within:g} s.") from error
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
            raise Unavailable(f"{self._where} can not be reached: {reason(error)}.") from error
        except WLEDError as error:
            raise Unavailable(f"{self._where} does not answer as WLED does: {str(error).rstrip('.')}.") from error
        except NONSENSE as error:
            raise Unavailable(f"{self._where} does not answer as WLED does ({type(error).__name__}).") from error


def _possible(told: Any) -> Any:  # noqa: ANN401 - JSON
    """Return what a lamp says of itself; what follows takes long for more segments than a lamp can have."""
    if "state" in told:
        _bounded(told["state"])
    return told


def _bounded(state: Any) -> Any:  # noqa: ANN401 - JSON
    if len(state.get("seg", ())) > MOST_SEGMENTS:
        msg = f"more than {MOST_SEGMENTS} segments"
        raise ValueError(msg)
    return state


# What the library decorates with retries of its own: they would hide the reason, and keep it from who waits for it.
_request_once: Callable[..., Awaitable[Any]] = getattr(WLED.request, "__wrapped__", WLED.request)


class _Client(WLED):
    """The library without what it keeps beyond state and information.

    Its lists of effects, palettes and presets are nothing that we show, and six questions to a small machine at each
    connection; with them and the last message in its own words, a lamp takes hundreds of KB of memory.
    """

    async def update(self) -> Answer:
        self._device = Answer.from_dict(_possible(await self.request("/json/si")))
        return self._device

    async def listen(self, callback: Callable[[Answer], None]) -> None:
        if self._client is None or self._device is None:
            raise WLEDError("there is no websocket")
        busy = False
        async for message in self._client:
            if message.type is WSMsgType.ERROR:
                raise WLEDConnectionError(self._client.exception())
            if message.type is WSMsgType.TEXT:
                told = self._heard(message.data)
                if told is not None:
                    callback(told)
                elif not busy:  # then it tells when it can; told again, it would only say so again
                    await self._client.send_json({"v": True})
                busy = told is None
            del message  # or it would be kept until the next one

    def _heard(self, text: str) -> Answer | None:
        """Return what a message says of the lamp; None where it says that it is busy."""
        told = _possible(json.loads(text))
        if self._device is None or "state" not in told:
            return None
        self._device.update_from_dict({part: told[part] for part in ("state", "info") if part in told})
        return self._device

    async def request(
        self,
        uri: str = "",
        method: str = "GET",
        data: dict[str, Any] | None = None,
        *,
        params: Mapping[str, str | int] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        return await _request_once(self, uri, method, data, params=params)
