"""An instance of one's own at Gladys Plus: who owns the account logs in, once, and an instance is made.

The password is used here and sent nowhere: SRP proves that one knows it. It is neither kept nor logged, nor is what the
login gives but for the instance's own token. Source: ``login``, ``loginInstance`` and ``createInstance`` of
``@gladysassistant/gladys-gateway-js`` 4.19.1, which Gladys itself does it with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ssl import SSLContext
from typing import Any

import msgspec
from aiohttp import ClientError, ClientSession, hdrs
from msgspec import Struct

from gladys_companion.errors import AuthError, ProtocolError, RequestError, Unavailable
from gladys_companion.link.pairing import ANSWER_WITHIN, MOST_ANSWER, OK, members, plainly
from gladys_companion.protocol import jwk, srp

__all__ = ["DEVICE", "OwnInstance", "Plus", "is_ours"]

DEVICE = "Gladys Companion"  # how the account lists this login
TITLE = "Gladys Companion gateway"
SHORTEST_NAME, LONGEST_NAME = 2, 30
NOT_FOUND, FORBIDDEN, TOO_MANY = 404, 403, 429


class OwnInstance(Struct, frozen=True, kw_only=True):
    """What was made: the token that it connects with, and its private keys, JWK as JSON."""

    id: str
    name: str
    refresh_token: str
    rsa_private_key: str
    ecdsa_private_key: str

    def __repr__(self) -> str:
        return f"OwnInstance(id={self.id!r}, name={self.name!r}, ...)"


class _Instance(Struct):
    id: str
    name: str = ""


class _Made(Struct):
    id: str
    name: str
    refresh_token: str


async def is_ours(http: ClientSession, url: str, *, ssl: SSLContext) -> bool:
    """Return whether a gateway is one of this project, which pairs by a code.

    Raises:
        Unavailable: it can not be reached.
    """
    try:
        async with http.get(f"{url}/openapi.json", timeout=ANSWER_WITHIN, ssl=ssl, allow_redirects=False) as answer:
            info = (await members(answer)).get("info")
    except (ClientError, TimeoutError, ValueError) as error:
        raise Unavailable(f"{url} can not be reached: {plainly(error)}.") from error
    return isinstance(info, dict) and info.get("title") == TITLE


class Plus:
    """One login, step by step: ``log_in``, ``confirm``, ``instances``, ``create``.

    Each raises ``Unavailable`` where the gateway can not be reached, ``RequestError`` 429 where it was asked too often,
    502 where it answers otherwise than it should, and ``ProtocolError`` for what makes no sense.
    """

    def __init__(self, http: ClientSession, url: str, *, ssl: SSLContext) -> None:
        self._http = http
        self._url = url
        self._ssl = ssl
        self._token = ""

    def __repr__(self) -> str:
        return f"Plus({self._url!r})"

    async def log_in(self, email: str, password: str) -> None:
        """Prove that one knows the password, and have the gateway prove that it knows the account.

        Raises:
            AuthError: nobody logs in so, or the password is wrong.
            RequestError: 409 ``TWO_FACTOR_MISSING``, the account has no second factor yet.
        """
        email = srp.email_of(email)
        nobody = {NOT_FOUND: f"Nobody logs in to {self._url} with this e-mail address."}
        salt = _text(await self._ask("/users/login-salt", {"email": email}, nobody), "srp_salt")
        own = srp.client_ephemeral()
        asked = {"email": email, "client_ephemeral_public": own.public}
        begun = await self._ask("/users/login-generate-ephemeral", asked, nobody)
        x = await asyncio.to_thread(srp.private_key, email, password, salt)
        session = srp.client_session(own, _text(begun, "server_ephemeral_public"), salt, email, x)
        proof = {"login_session_key": _text(begun, "login_session_key"), "client_session_proof": session.proof}
        done = await self._ask("/users/login-finalize", proof, {FORBIDDEN: "The password is wrong."})
        if not srp.verify_server(own.public, session, _text(done, "server_session_proof")):
            sentence = f"{self._url} does not know this account, though it says so: it is not who it says it is."
            raise ProtocolError(sentence)
        if "two_factor_token" not in done:
            sentence = "The account has no second factor yet. Set one up where you use Gladys Plus, then pair again."
            raise RequestError(409, "TWO_FACTOR_MISSING", sentence)
        self._token = _text(done, "two_factor_token")

    async def confirm(self, code: str) -> None:
        """Finish the login with a code of the second factor, within two minutes; after a wrong one, try another.

        Raises:
            AuthError: the code is wrong, or came too late.
        """
        asked = {"two_factor_code": "".join(code.split()), "device_name": DEVICE}
        wrong = {FORBIDDEN: "The code is wrong, or too old.", 401: "The code came too late: pair again."}
        self._token = _text(await self._ask("/users/login-two-factor", asked, wrong), "access_token")

    async def instances(self) -> Sequence[str]:
        """Return the names of the instances that the account has: at most the primary one."""
        told = await self._request(hdrs.METH_GET, "/instances", None, {})
        try:
            return [one.name or one.id for one in msgspec.convert(told, list[_Instance])]
        except msgspec.ValidationError as error:
            raise ProtocolError(f"{self._url} answered what Gladys Plus does not: {error}.") from error

    async def create(self, name: str) -> OwnInstance:
        """Make an instance; from now on it is the primary one.

        Raises:
            AuthError: this user may not.
        """
        encryption = await asyncio.to_thread(jwk.encryption_pair)
        signing = jwk.signing_pair()
        checked = name.strip()[:LONGEST_NAME]
        asked = {
            "name": checked if len(checked) >= SHORTEST_NAME else "companion",
            "rsa_public_key": msgspec.json.encode(encryption.public).decode(),
            "ecdsa_public_key": msgspec.json.encode(signing.public).decode(),
        }
        told = await self._ask("/instances", asked, {FORBIDDEN: "This user may not make an instance: an admin may."})
        try:
            made = msgspec.convert(told, _Made)
        except msgspec.ValidationError as error:
            raise ProtocolError(f"{self._url} answered what Gladys Plus does not: {error}.") from error
        return OwnInstance(
            id=made.id,
            name=made.name,
            refresh_token=made.refresh_token,
            rsa_private_key=msgspec.json.encode(encryption.private).decode(),
            ecdsa_private_key=msgspec.json.encode(signing.private).decode(),
        )

    async def _ask(self, path: str, body: dict[str, str], refusals: dict[int, str]) -> dict[str, Any]:
        told = await self._request(hdrs.METH_POST, path, body, refusals)
        if not isinstance(told, dict):
            raise ProtocolError(f"{self._url} answered what Gladys Plus does not.")
        return told

    async def _request(self, method: str, path: str, body: object, refusals: dict[int, str]) -> Any:  # noqa: ANN401
        """Return what was answered, JSON; ``refusals`` are sentences for statuses that only the user can change."""
        headers = {hdrs.AUTHORIZATION: self._token} if self._token else {}
        try:
            async with self._http.request(
                method,
                f"{self._url}{path}",
                json=body,
                headers=headers,
                timeout=ANSWER_WITHIN,
                ssl=self._ssl,
                allow_redirects=False,
            ) as answer:
                if answer.status == OK:
                    return await _json(answer.content)
                status, told = answer.status, await members(answer)
        except (ClientError, TimeoutError, ValueError) as error:
            raise Unavailable(f"{self._url} can not be reached: {plainly(error)}.") from error
        if status in refusals and "error_code" in told:
            raise AuthError(refusals[status])
        if status == TOO_MANY:
            sentence = f"{self._url} has been asked too often: wait a quarter of an hour, then try again."
            raise RequestError(429, "TOO_MANY_REQUESTS", sentence)
        raise RequestError(502, "GATEWAY_REFUSED", f"{self._url} answered {status}: is it Gladys Plus?")


async def _json(content: Any) -> Any:  # noqa: ANN401 - a stream, and JSON
    """Return an answer, read no further than any that there is."""
    body = await content.read(MOST_ANSWER + 1)
    while len(body) <= MOST_ANSWER and (more := await content.read(MOST_ANSWER)):
        body += more
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _text(told: dict[str, Any], name: str) -> str:
    value = told.get(name)
    if not isinstance(value, str):
        raise ProtocolError(f"The gateway's answer lacks {name}: is it Gladys Plus?")
    return value
