"""Talks to a running process over its Unix socket, in the words of its HTTP API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from multidict import istr

from gladys_companion.errors import AuthError, CompanionError, Unavailable

__all__ = ["ANSWER_WITHIN", "NOT_RUNNING", "Client", "Refused", "connect"]

NOT_RUNNING = "The daemon does not run. Start it: `systemctl start gladys-companion`, or `gladys-companion run`."

REFUSALS = (
    ("STORE", 74),
    ("CONFIG", 78),
    ("PAIRING", 77),
    ("AUTH", 77),
    ("UNAVAILABLE", 69),
    ("UNSURE", 69),
    ("PROTOCOL", 76),
    ("GATEWAY_REFUSED", 76),
    ("TOO_MANY_REQUESTS", 75),
)
ANSWER_WITHIN = 10.0
FROZEN_AFTER = 60.0  # of a stream, in which something comes every 15 s, and of a copy, which is made before it comes
SERVER_FAILED = 500


class Refused(CompanionError):
    """What the process answered instead of doing it; its code and sentence are handed on."""

    def __init__(self, status: int, answer: dict[str, Any]) -> None:
        super().__init__(str(answer.get("error_message") or f"The request failed with status {status}."), answer=answer)
        self.code = str(answer.get("error_code", "UNEXPECTED"))  # type: ignore[misc]  # a class constant of the others
        self.status = status  # type: ignore[misc]
        known = [exit_code for prefix, exit_code in REFUSALS if self.code.startswith(prefix)]
        self.exit_code = known[0] if known else 65 if status < SERVER_FAILED else 1  # type: ignore[misc]


class Client:
    """The requests of one command; made by ``connect``."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        within: float = ANSWER_WITHIN,
    ) -> Any:  # noqa: ANN401 - JSON
        """Return the decoded answer, which has ``within`` seconds to come.

        Raises:
            Refused: the process said no.
            Unavailable: it went away, or hangs.
        """
        data = None if body is None else msgspec.json.encode(body)
        headers = {istr("Content-Type"): "application/json"} if data else None
        try:
            timeout = aiohttp.ClientTimeout(total=within)
            async with self._session.request(method, path, data=data, headers=headers, timeout=timeout) as response:
                return await _checked(response)
        except TimeoutError as error:
            raise _hangs(within) from error
        except aiohttp.ClientError as error:
            raise Unavailable("The process ended before it answered.") from error

    async def follow(self, path: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the objects of a stream of server-sent events.

        Raises:
            Unavailable: the process ended.
        """
        try:
            async with self._session.get(path) as response:
                if response.status >= 400:  # noqa: PLR2004 - HTTP
                    await _checked(response)
                async for line in response.content:
                    if line.startswith(b"data: "):
                        yield msgspec.json.decode(line[6:])
        except TimeoutError as error:
            raise _hangs(FROZEN_AFTER) from error
        except aiohttp.ClientError as error:
            raise Unavailable("The process ended.") from error
        raise Unavailable("The process ended.")

    async def download(self, method: str, path: str) -> AsyncIterator[bytes]:
        """Yield the chunks of an answer that is not JSON.

        Raises:
            Refused: the process said no.
            Unavailable: it went away in the middle.
        """
        try:
            async with self._session.request(method, path) as response:
                if response.status >= 400:  # noqa: PLR2004 - HTTP
                    await _checked(response)
                async for chunk in response.content.iter_any():
                    yield chunk
        except TimeoutError as error:
            raise _hangs(FROZEN_AFTER) from error
        except aiohttp.ClientError as error:
            raise Unavailable("The process ended in the middle of its answer.") from error


def _hangs(seconds: float) -> Unavailable:
    return Unavailable(f"The process runs, but did not answer within {seconds:g} s. Is it stopped? Restart it.")


async def _checked(response: aiohttp.ClientResponse) -> Any:  # noqa: ANN401 - JSON
    try:
        answer = msgspec.json.decode(await response.read())
    except msgspec.DecodeError as error:
        raise Unavailable(f"The process gave an answer that can not be read (status {response.status}).") from error
    if response.status >= 400:  # noqa: PLR2004 - HTTP
        raise Refused(response.status, answer if isinstance(answer, dict) else {})
    return answer


@asynccontextmanager
async def connect(path: Path) -> AsyncIterator[Client | None]:
    """Give a client of whoever listens at this socket, or None if nobody does.

    Raises:
        AuthError: this user may not.
    """
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except PermissionError:
        raise AuthError(
            f"You may not use {path}. Join its group (`sudo usermod -aG gladys-companion $USER`, then log in again), "
            "or use sudo.",
        ) from None
    except OSError:
        yield None
        return
    writer.close()
    connector = aiohttp.UnixConnector(str(path))
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=FROZEN_AFTER)
    async with aiohttp.ClientSession("http://process", connector=connector, timeout=timeout) as session:
        yield Client(session)
