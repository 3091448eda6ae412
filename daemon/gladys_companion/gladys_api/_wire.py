"""One request to Gladys and its answer. The API key leaves only with one to the configured address."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
from aiohttp import ClientConnectorError, ClientError, ClientPayloadError, ClientResponse, ClientSession
from multidict import istr

from gladys_companion.config import Gladys, secret
from gladys_companion.errors import AuthError, ConfigError, Unavailable, Unsure
from gladys_companion.gladys_api._errors import refused, unreachable

__all__ = ["Wire", "check"]

API_KEY = "gladys-api-key"
LARGEST_ANSWER = 32 << 20  # bytes; a camera's last image is part of its device
LARGE = 1 << 18  # bytes; what takes long enough to read that it is done beside the loop
LONGEST_KEY = 4_096
AMID = frozenset({502, 504})  # what a proxy says that lost Gladys in the middle

T = TypeVar("T")


class Wire:
    """One request at a time to the Gladys of ``settings``; ``name`` is what it is called in sentences."""

    def __init__(self, settings: Gladys, session: ClientSession) -> None:
        parts = urlsplit(settings.url)
        self.url = settings.url.rstrip("/")
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.name = f"Gladys at {self.url}"
        self._settings = settings
        self._session = session

    async def ask(
        self, method: str, path: str, body: object = None, *, query: Mapping[str, str] | None = None
    ) -> bytes:
        """Return the body of a good answer.

        Raises:
            Unavailable: Gladys did not answer, or not as Gladys does.
            Unsure: likewise, and it is not known whether it got what it was to do.
            AuthError: it refuses the API key, or there is none.
            Rejected: it refuses the request; ``data["status"]`` is that of HTTP.
        """
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
            raise Unavailable(unreachable(self.name, error, self._settings.answer_within)) from error
        except (ClientError, TimeoutError, ValueError) as error:
            says = unreachable(self.name, error, self._settings.answer_within)
            raise (Unavailable(says) if method == "GET" else Unsure(says)) from error
        if refusal := refused(self.name, status, told, to):
            if method != "GET" and status in AMID:
                raise Unsure(str(refusal))
            raise refusal
        return told

    async def read(self, body: bytes, read: Callable[[bytes], T]) -> T:
        """Return what an answer says.

        Raises:
            Unavailable: it is not what Gladys answers.
        """
        try:
            return read(body) if len(body) < LARGE else await asyncio.to_thread(read, body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Unavailable(f"{self.name} answers what Gladys does not: check [gladys] url.") from error

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
