"""What makes this home known at a gateway: a pairing code is exchanged once for a token, which is kept as a secret."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ssl import SSLContext
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
)
from msgspec import Struct

from gladys_companion.errors import PairingRefused, ProtocolError, RequestError, Unavailable
from gladys_companion.ports import Secrets

__all__ = ["Pairing", "check_url", "leave", "load", "members", "own_instance", "pair", "plainly", "save"]

NAME = "pairing"
KEYS = "keys"
OK = 200
MOST_ANSWER = 65_536  # bytes; a token has a few hundred
ANSWER_WITHIN = ClientTimeout(total=20)
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Pairing(Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """A home at a gateway. ``own``: the gateway is one of ours, which may be asked again sooner than Gladys Plus."""

    url: str
    instance_id: str
    home_id: str
    home_name: str
    refresh_token: str
    own: bool = True

    def __repr__(self) -> str:
        return f"Pairing(url={self.url!r}, home={self.home_name!r})"


def check_url(url: str) -> str:
    """Return a gateway's address without a trailing slash.

    Raises:
        RequestError: 422 when it is none, has a path, or would send the token in the clear over a network.
    """
    parts = urlsplit(url.strip())
    try:
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        sentence = f"{url.strip()[:200]!r} is not the address of a gateway, such as https://gateway.example.org."
        raise RequestError(422, "INVALID_FIELD", sentence, field="url")
    if parts.path.strip("/") or parts.query or parts.fragment:
        sentence = "A gateway has a host name (or port) of its own: leave out the path."
        raise RequestError(422, "INVALID_FIELD", sentence, field="url")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK and not parts.hostname.startswith("127."):
        sentence = "Over a network the address must begin with https://, or the home's token travels in the clear."
        raise RequestError(422, "INVALID_FIELD", sentence, field="url")
    return f"{parts.scheme}://{parts.netloc}"


async def pair(http: ClientSession, url: str, code: str, name: str, *, ssl: SSLContext) -> tuple[Pairing, str | None]:
    """Exchange a pairing code for a token; return the pairing, and what the gateway warns of.

    Args:
        http: any session.
        url: of a gateway of ours.
        code: 8 characters, from its ``gateway home pair-code``, as a person typed it.
        name: how the gateway lists this companion.
        ssl: verifies the gateway's certificate.

    Raises:
        RequestError: the address is none, or the gateway refused for another reason than the code.
        PairingRefused: the code is wrong, used or too old.
        Unavailable: the gateway can not be reached, or is no gateway of ours.
    """
    url = check_url(url)
    asked = {"code": code.strip().upper().replace("-", ""), "name": name}
    try:
        async with http.post(
            f"{url}/pair", json=asked, timeout=ANSWER_WITHIN, ssl=ssl, allow_redirects=False
        ) as answer:
            status, told = answer.status, await members(answer)
    except (ClientError, TimeoutError, ValueError) as error:
        raise Unavailable(f"{url} can not be reached: {plainly(error)}.") from error
    if status == 403:  # noqa: PLR2004 - HTTP's own number
        raise PairingRefused(told.get("error_message") or "The gateway refused the pairing code: ask for a fresh one.")
    if status == 429:  # noqa: PLR2004
        sentence = told.get("error_message") or f"{url} has been asked too often: wait a minute, then try again."
        raise RequestError(429, "TOO_MANY_REQUESTS", sentence)
    if status != 200:  # noqa: PLR2004
        sentence = told.get("error_message") or f"{url} answered {status}: is it a gateway of this project?"
        raise RequestError(502, "GATEWAY_REFUSED", sentence)
    try:
        return msgspec.convert({**told, "url": url}, Pairing), told.get("warning")
    except msgspec.ValidationError as error:
        raise ProtocolError(f"{url} answered what a gateway does not: {error}.") from error


async def members(answer: ClientResponse) -> dict[str, Any]:
    """Return the members of the JSON object that a gateway answered.

    What is none counts as ``{}``, as a proxy's own page, and so does what is larger than anything that a gateway says:
    it is not read to its end.
    """
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > MOST_ANSWER:
            return {}
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def plainly(error: Exception) -> str:
    """Return why a gateway can not be reached, without the names of our libraries' types."""
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, ClientConnectorCertificateError):
        return f"its certificate is not trusted ({error.certificate_error})"
    if isinstance(error, ClientConnectorError):
        if error.os_error.errno and error.os_error.errno > 0:  # getaddrinfo's own are below
            return os.strerror(error.os_error.errno).lower()
        return error.os_error.strerror or "there is no such host"
    return str(error) or "the connection ended before the answer"


async def leave(http: ClientSession, pairing: Pairing, *, ssl: SSLContext) -> str | None:
    """Tell the gateway that this instance is gone; return what is left to do there, None when it knows."""
    if not pairing.own:
        return (
            f"{pairing.url} has no way to remove an instance: the companion's stays there, unused. A Gladys on the "
            "account gets messages and dashboard back when it connects again: restart it."
        )
    headers = {"Authorization": pairing.refresh_token}
    try:
        async with http.post(
            f"{pairing.url}/unpair", headers=headers, timeout=ANSWER_WITHIN, ssl=ssl, allow_redirects=False
        ) as answer:
            status, told = answer.status, await members(answer)
    except (ClientError, TimeoutError, ValueError):
        status, told = 0, {}
    if status == OK or "error_code" in told:  # it knows this instance no more, or never did
        return None
    return (
        f"{pairing.url} could not be told. At the gateway, "
        f"`gladys-companion gateway home revoke {pairing.instance_id}` ends what this home was there."
    )


def own_instance(url: str, instance_id: str, refresh_token: str) -> Pairing:
    """Return the pairing of an instance of one's own at Gladys Plus.

    Raises:
        RequestError: 422, the address is none.
    """
    return Pairing(
        url=check_url(url),
        instance_id=instance_id,
        home_id="",
        home_name="Gladys Plus",
        refresh_token=refresh_token,
        own=False,
    )


async def load(secrets: Secrets) -> Pairing | None:
    """Return the pairing, or None while there is none."""
    kept = await secrets.get(NAME)
    return msgspec.json.decode(kept, type=Pairing) if kept else None


async def save(secrets: Secrets, pairing: Pairing | None, keys: Mapping[str, str] | None = None) -> None:
    """Keep the pairing with the instance's private keys, or with None forget them; returns when committed."""
    await secrets.set(KEYS, msgspec.json.encode(keys) if keys else None)
    await secrets.set(NAME, msgspec.json.encode(pairing) if pairing else None)
