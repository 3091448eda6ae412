"""What people do with logins at the command line: make, list and remove them, and help who forgot something.

What comes here is made from a password where that is typed (``new_login_keys``); the password itself never does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gladys_companion.errors import RequestError
from gladys_companion.gateway import totp
from gladys_companion.gateway.accounts import Accounts
from gladys_companion.gateway.login_storage import Login
from gladys_companion.protocol import srp

__all__ = ["LoginKeys", "Logins", "check_jwk", "checked_email", "new_login_keys"]

_LONGEST_EMAIL = 254
CLEAR_KEYS = "clear-key-cache"
CLEAR_USERS = "clear-connected-users-list"


class LoginKeys(Struct, frozen=True, kw_only=True):
    """What a password comes to: an SRP verifier, and key pairs whose private halves only it opens. Texts, as stored."""

    srp_salt: str
    srp_verifier: str
    rsa_public_key: str
    ecdsa_public_key: str
    rsa_encrypted_private_key: str
    ecdsa_encrypted_private_key: str

    def __repr__(self) -> str:
        return "LoginKeys(...)"


def new_login_keys(email: str, password: str) -> LoginKeys:
    """Return what is kept of a password, as the official client would make it. Takes most of a second."""
    from gladys_companion.protocol import jwk  # noqa: PLC0415 - its cryptography is 8 MB, which the gateway never needs

    salt = srp.new_salt()
    encryption, signing = jwk.encryption_pair(), jwk.signing_pair()
    return LoginKeys(
        srp_salt=salt,
        srp_verifier=srp.verifier(srp.private_key(email, password, salt)),
        rsa_public_key=_json(encryption.public),
        ecdsa_public_key=_json(signing.public),
        rsa_encrypted_private_key=_json(jwk.lock(password, encryption.private)),
        ecdsa_encrypted_private_key=_json(jwk.lock(password, signing.private)),
    )


def checked_email(email: str) -> str:
    """Return an e-mail address as it is kept.

    Raises:
        RequestError: 422, it is none.
    """
    checked = srp.email_of(email)
    name, at, host = checked.partition("@")
    if not (name and at and host) or len(checked) > _LONGEST_EMAIL or not checked.isprintable() or " " in checked:
        raise RequestError(422, "INVALID_FIELD", f"{email[:100]!r} is no e-mail address.", field="email")
    return checked


def check_jwk(field: str, text: str, kty: str) -> None:
    """Return if a text is a public key that the official client can import.

    Raises:
        RequestError: 422 naming the field.
    """
    try:
        found = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        found = {}
    if found.get("kty") != kty:
        raise RequestError(422, "INVALID_FIELD", f"{field} must be a JWK of type {kty}, as JSON.", field=field)


class Logins:
    """The operations, over those of homes."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._logins = accounts.storage.logins

    def all(self) -> Sequence[Login]:
        """Return all logins, oldest first."""
        return self._logins.all()

    def one(self, email: str) -> Login:
        """Return a login.

        Raises:
            RequestError: 404 ``LOGIN_NOT_FOUND``.
        """
        login = self._logins.login(srp.email_of(email))
        if login is None:
            raise RequestError(404, "LOGIN_NOT_FOUND", f"Nobody logs in as {email[:100]!r} here.")
        return login

    async def create(self, email: str, home: str | None, keys: LoginKeys) -> Login:
        """Let the user of a home log in.

        Raises:
            RequestError: 409 ``ALREADY_EXIST``: the e-mail address is taken, or the home's user has a login.
        """
        checked, found = checked_email(email), self._accounts.home(home)
        if self._logins.login(checked) is not None:
            raise RequestError(409, "ALREADY_EXIST", f"{checked} logs in here already.", field="email")
        other = self._logins.of_home(found.id)
        if other is not None:
            sentence = f"The user of {found.name!r} logs in as {other.email} already: a home has one login."
            raise RequestError(409, "ALREADY_EXIST", sentence, field="home")
        login = Login(
            email=checked,
            home_id=found.id,
            created_at=self._accounts.clock.now(),
            srp_salt=keys.srp_salt,
            srp_verifier=keys.srp_verifier,
            rsa_encrypted_private_key=keys.rsa_encrypted_private_key,
            ecdsa_encrypted_private_key=keys.ecdsa_encrypted_private_key,
        )
        await self._logins.put(login)
        await self._publish(login, keys)
        return login

    async def set_password(self, email: str, keys: LoginKeys) -> Login:
        """Replace the password, and the keys that only the old one opened; all devices are logged out."""
        login = replace(
            self.one(email),
            srp_salt=keys.srp_salt,
            srp_verifier=keys.srp_verifier,
            rsa_encrypted_private_key=keys.rsa_encrypted_private_key,
            ecdsa_encrypted_private_key=keys.ecdsa_encrypted_private_key,
        )
        await self._logins.put(login)
        await self._logins.revoke_devices(login.email, self._accounts.clock.now())
        await self._publish(login, keys)
        return login

    async def reset_two_factor(self, email: str) -> Login:
        """Forget the second factor: the next login sets up another. All devices are logged out."""
        login = replace(self.one(email), two_factor_secret=None, two_factor_since=None)
        await self._logins.put(login)
        await self._logins.revoke_devices(login.email, self._accounts.clock.now())
        return login

    async def set_two_factor(self, email: str, secret: str, code: str) -> Login:
        """Set up the second factor whose secret an app was just given, as its code shows.

        Raises:
            RequestError: 403, the code is wrong; 409 ``ALREADY_EXIST``, there is a second factor.
        """
        login, now = self.one(email), self._accounts.clock.now()
        if login.two_factor_since is not None:
            sentence = f"{login.email} has a second factor already: reset it first."
            raise RequestError(409, "ALREADY_EXIST", sentence, field="email")
        step = totp.step_of(secret, code, now, -1)
        if step is None:
            raise RequestError(403, "FORBIDDEN", "The code is wrong, or too old.")
        changed = replace(login, two_factor_secret=secret, two_factor_since=now, two_factor_step=step)
        await self._logins.put(changed)
        return changed

    async def remove(self, email: str) -> Login:
        """Remove a login. The home, its instances and its keys stay."""
        login = self.one(email)
        await self._logins.remove(login.email)
        home = self._accounts.home(login.home_id)
        await self._accounts.link_user(home.id, home.gladys_user_id)
        await self._accounts.tell(home.id, CLEAR_KEYS)
        return login

    async def _publish(self, login: Login, keys: LoginKeys) -> None:
        """Let the home's instances know the public keys, in the place of those that they keep."""
        user = self._accounts.home(login.home_id).gladys_user_id
        await self._accounts.link_user(login.home_id, user, keys.rsa_public_key, keys.ecdsa_public_key)
        await self._accounts.tell(login.home_id, CLEAR_KEYS)
        await self._accounts.tell(login.home_id, CLEAR_USERS)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
