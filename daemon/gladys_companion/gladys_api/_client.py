"""Asks Gladys. The API key leaves only with a request to the configured address, and is in no sentence and no log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientPayloadError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from msgspec import Struct
from multidict import istr

from gladys_companion.config import Gladys, secret
from gladys_companion.errors import AuthError, ConfigError, Rejected, Unavailable, Unsure
from gladys_companion.gladys_api import _messages
from gladys_companion.gladys_api._errors import refused, unreachable
from gladys_companion.gladys_api._messages import GladysDevice, GladysFeature, Listing

__all__ = ["GladysApi", "check", "open_api"]

API_KEY = "gladys-api-key"
PAGE = 100  # devices that are asked for at a time, so that no answer keeps Gladys or us busy for long
MOST_DEVICES = 20_000
LARGEST_ANSWER = 32 << 20  # bytes; a camera's last image is part of its device
LARGE = 1 << 18  # bytes; what takes long enough to read that it is done beside the loop
LONGEST_KEY = 4_096

T = TypeVar("T")


class GladysApi:
    """Made by ``open_api``. ``url`` is where Gladys is, ``host`` and ``port`` are of it.

    Every method raises, beside what it says: ``Unavailable``, when Gladys does not answer, or not as Gladys does;
    ``AuthError``, when it refuses the API key or there is none; ``Rejected``, when it refuses the request.
    """

    def __init__(self, settings: Gladys, session: ClientSession) -> None:
        parts = urlsplit(settings.url)
        self.url = settings.url.rstrip("/")
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self._settings = settings
        self._session = session

    async def devices(self) -> Listing:
        """Return all devices, asked for part by part."""
        parts: list[Listing] = []
        count = 0
        while True:
            query = {"order_by": "external_id", "take": str(PAGE), "skip": str(count)}
            parts.append(await self._read(await self._ask("GET", "/device", query=query), _messages.page))
            length = len(parts[-1].devices) + len(parts[-1].odd)
            count += length
            if len(parts) > 1 and parts[-1] == parts[-2]:  # Gladys knows of no parts, and this was all
                return parts[0]
            if length != PAGE:
                return Listing(
                    devices=tuple(one for part in parts for one in part.devices),
                    odd=tuple(one for part in parts for one in part.odd),
                    pages=len(parts),
                )
            if count > MOST_DEVICES:
                raise Rejected(f"{self._name} says that it has more than {MOST_DEVICES} devices, which are too many.")

    async def find(self, external_id: str) -> dict[str, Any] | None:
        """Return the members of the device of this external id, as Gladys wrote them; None where it has none."""
        wanted = "".join(letter.lower() if letter.isascii() else letter for letter in external_id)  # as SQLite does
        members = await self._read(await self._ask("GET", "/device", query={"search": wanted}), _members)
        return next((one for one in members if one.get("external_id") == external_id), None)

    async def device(self, external_id: str) -> GladysDevice | None:
        """Return the device of this external id; None where Gladys has none."""
        members = await self.find(external_id)
        if members is None:
            return None
        try:
            return _messages.device(members)
        except msgspec.ValidationError as error:
            raise Rejected(f"{self._name} describes {external_id!r} in a way that can not be read.") from error

    async def feature(self, selector: str) -> GladysFeature | None:
        """Return a feature as Gladys' database has it now; None where it has none of this selector."""
        query = {"device_feature_selectors": selector}
        found = await self._read(await self._ask("GET", "/device", query=query), _messages.page)
        return next((one for device in found.devices for one in device.features if one.selector == selector), None)

    async def set_value(self, selector: str, value: float | str) -> None:
        """Have Gladys command the device of a feature; it answers before it does so, whatever will become of it.

        Raises:
            Unsure: it is not known whether Gladys got the request.
        """
        path = f"/device_feature/{quote(selector, safe='')}/value"
        await self._ask("POST", path, {"value": _number(value)})

    async def service_id(self, name: str) -> str:
        """Return the id of one of Gladys' services, such as ``mqtt``."""
        body = await self._ask("GET", f"/service/{quote(name, safe='')}")
        return (await self._read(body, _service)).id

    async def create_device(self, members: Mapping[str, Any]) -> None:
        """Create the device of these members; one of the same external id is made the same, also where it has more."""
        await self._ask("POST", "/device", members)

    async def delete_device(self, selector: str) -> None:
        """Delete a device with its history. Gladys refuses while that is long, and begins to make it shorter."""
        await self._ask("DELETE", f"/device/{quote(selector, safe='')}")

    @property
    def _name(self) -> str:
        return f"Gladys at {self.url}"

    async def _ask(
        self, method: str, path: str, body: object = None, *, query: Mapping[str, str] | None = None
    ) -> bytes:
        """Return the body of a good answer."""
        headers = {istr("Authorization"): await self._key()}
        data = None if body is None else msgspec.json.encode(body)
        if data is not None:
            headers[istr("Content-Type")] = "application/json"
        request = self._session.request(
            method, f"{self.url}/api/v1{path}", params=query, data=data, headers=headers, allow_redirects=False
        )
        try:
            async with request as answer:
                status, told = answer.status, await _bounded(answer)
                to = answer.headers.get("Location", "")
        except ClientConnectorError as error:
            raise Unavailable(unreachable(self._name, error, self._settings.answer_within)) from error
        except (ClientError, TimeoutError, ValueError) as error:
            says = unreachable(self._name, error, self._settings.answer_within)
            raise (Unavailable(says) if method == "GET" else Unsure(says)) from error
        if refusal := refused(self._name, status, told, to):
            raise refusal
        return told

    async def _read(self, body: bytes, read: Callable[[bytes], T]) -> T:
        """Return what an answer says."""
        try:
            return read(body) if len(body) < LARGE else await asyncio.to_thread(read, body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Unavailable(f"{self._name} answers what Gladys does not: check [gladys] url.") from error

    async def _key(self) -> str:
        """Return the key as it is now, so that a mended file needs no restart."""
        try:
            key = await asyncio.to_thread(_key, self._settings)
        except ConfigError as error:
            raise AuthError(str(error)) from error
        if not key:
            raise AuthError(
                "There is no API key for Gladys: make one, put it into a file that only this service can read, "
                "and name that in [gladys] api_key_file."
            )
        return key


class _Service(Struct, frozen=True):
    id: str


def _members(body: bytes) -> list[dict[str, Any]]:
    return msgspec.json.decode(body, type=list[dict[str, Any]])


def _service(body: bytes) -> _Service:
    return msgspec.json.decode(body, type=_Service)


def _number(value: float | str) -> float | int | str:
    return int(value) if isinstance(value, float) and value.is_integer() else value


async def _bounded(answer: ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in answer.content.iter_any():
        content += chunk
        if len(content) > LARGEST_ANSWER:
            answer.close()
            raise ClientPayloadError(f"its answer is larger than {LARGEST_ANSWER >> 20} MiB")
    return bytes(content)


def _key(settings: Gladys) -> str:
    """Return the API key, or nothing where there is none. Reads files.

    Raises:
        ConfigError: it is there and can not be used.
    """
    key = (secret(API_KEY, settings.api_key_file) or "").strip()
    if len(key) > LONGEST_KEY or not (key.isascii() and key.isprintable()) or " " in key:
        where = f"file {settings.api_key_file}" if settings.api_key_file else "credential or variable"
        raise ConfigError(
            f"The secret {where} holds what is no API key: nothing but the key belongs there, on one line."
        )
    return key


def check(settings: Gladys) -> None:
    """Read the file that ``[gladys]`` names.

    Raises:
        ConfigError: it can not be used.
    """
    if settings.url:
        _key(settings)


@asynccontextmanager
async def open_api(settings: Gladys) -> AsyncIterator[GladysApi]:
    """Give a client of the Gladys that ``settings.url`` names; nothing is asked yet."""
    # A connection for each request: one that Gladys closed meanwhile can not be told from a command that arrived.
    connector = TCPConnector(limit=4, force_close=True)
    async with ClientSession(
        connector=connector,
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=settings.answer_within),
        headers={istr("Accept-Encoding"): "identity"},  # so that what is counted is what is kept
        auto_decompress=False,
    ) as session:
        yield GladysApi(settings, session)
