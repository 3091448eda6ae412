"""One device over HTTP: asked and commanded, bounded in time and size, and never mistaken for another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from urllib.parse import quote

from aiohttp import ClientError, ClientSession
from yarl import URL

from gladys_companion.drivers import _templates as templates
from gladys_companion.drivers._http import open_session, reason
from gladys_companion.drivers.http._tables import DeviceTable, HttpFeature, Tls
from gladys_companion.errors import ProtocolError, Rejected, Unanswered, Unavailable

__all__ = ["Client", "open_client"]

LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
LOOK_AGAIN = 0.1  # seconds between two looks whether a command was obeyed


@asynccontextmanager
async def open_client(
    table: DeviceTable, context: Tls, header: Mapping[str, str], answer_within: float
) -> AsyncIterator[Client]:
    """Yield a client of a device; nothing is asked yet.

    Args:
        table: the device as it is described.
        context: how its certificate is verified.
        header: goes with every request, and to nobody else.
        answer_within: seconds for all that one question or command takes.

    Raises:
        Unavailable: nobody knows where it is.
    """
    host, port = table.base.host or "", table.base.port or 0
    try:
        async with asyncio.timeout(answer_within):
            found = await asyncio.get_running_loop().getaddrinfo(host, port)
    except (OSError, TimeoutError):
        raise Unavailable(f"{table.name or table.id} can not be found: nobody knows where {host} is.") from None
    async with open_session(host, (str(found[0][4][0]), port), ssl=context, headers=header) as session:
        yield Client(table, session, answer_within)


class Client:
    """What ``open_client`` yields."""

    def __init__(self, table: DeviceTable, session: ClientSession, answer_within: float) -> None:
        self._where = f"{table.name or table.id} ({table.base})"
        self._table = table
        self._session = session
        self._answer_within = answer_within

    async def recognise(self) -> None:
        """Ask who it is, if its owner said who it must be.

        Raises:
            Unavailable: no answer.
            Rejected: it is another.
        """
        if not self._table.identity:
            return
        wanted = templates.FeatureTable(component="identity", type="text", json_path=self._table.identity_json_path)
        with self._judged():
            async with asyncio.timeout(self._answer_within):
                told = templates.read_value(wanted, await self._ask("GET", self._table.identity_path))
        if str(told).strip() != self._table.identity:
            raise Rejected(
                f"Another device answers at {self._where}: it says {str(told)[:60]!r}, not {self._table.identity!r}."
            )

    async def values(self) -> dict[str, templates.Value]:
        """Return the value of each feature that can be read; each path is asked once.

        Raises:
            Unavailable: no answer, or one that says nothing of a feature.
            Rejected: it refused, or is another.
        """
        await self.recognise()
        answers: dict[str, str] = {}
        found: dict[str, templates.Value] = {}
        with self._judged():
            async with asyncio.timeout(self._answer_within):
                for feature in self._table.features:
                    if feature.read:
                        if feature.read not in answers:
                            answers[feature.read] = await self._ask("GET", feature.read)
                        found[feature.component] = templates.read_value(feature, answers[feature.read])
        return found

    async def set(self, feature: HttpFeature, value: templates.Value) -> None:
        """Give a feature a value, and return when the device says that it has it; where it can not be read, at once.

        Raises:
            Unavailable: no answer, or it has another value all the same.
            Rejected: it refused, is another, or can not have this value.
        """
        path = templates.filled(feature, feature.write, value, lambda text: quote(text, safe=""))
        body = templates.filled(feature, feature.payload, value) if feature.payload else None
        await self.recognise()
        told: templates.Value | None = None
        with self._judged():
            try:
                async with asyncio.timeout(self._answer_within):
                    await self._ask(feature.method, path, body, feature.content_type)
                    while feature.read and told != value:
                        if told is not None:
                            await asyncio.sleep(LOOK_AGAIN)
                        told = templates.read_value(feature, await self._ask("GET", feature.read))
            except TimeoutError:
                if told is None:
                    raise
                raise Unavailable(f"{self._where} took the command, but still says {told}.") from None

    async def _ask(self, method: str, path: str, body: str | None = None, content_type: str = "") -> str:
        headers = {"Content-Type": content_type} if body is not None else {}
        url = URL(f"{self._table.base}{path}", encoded=True)
        async with self._session.request(method, url, data=body, headers=headers) as answer:
            text = await answer.text(errors="replace")
            if answer.status >= HTTPStatus.BAD_REQUEST:
                raise self._refused(answer.status)
            return text

    def _refused(self, status: int) -> Unavailable | Rejected:
        sentence = f"{self._where} answered with HTTP status {status}."
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return Rejected(f"{sentence} Look at header and header_file in [drivers.http].")
        final = status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in LATER
        return Rejected(sentence) if final else Unavailable(sentence)

    @contextmanager
    def _judged(self) -> Iterator[None]:
        """Turn what went wrong into whether trying again can help."""
        try:
            yield
        except TimeoutError as error:
            raise Unanswered(f"{self._where} did not answer within {self._answer_within:g} s.") from error
        except ProtocolError as error:
            raise Unavailable(f"{self._where} does not answer as it is described: {error}") from error
        except (ClientError, OSError) as error:
            raise Unavailable(f"{self._where} can not be reached: {reason(error)}.") from error
        except ValueError as error:  # an answer that is no HTTP
            raise Unavailable(f"{self._where} does not answer as it is described ({type(error).__name__}).") from error
