"""How somebody logs in: SRP, then a second factor, then tokens. What is under way is in memory, and lasts two minutes.

Source: the gladys-gateway server (``user.model``), whose answers these are. Beyond it, wrong passwords and codes are
counted, and no code is taken twice.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from msgspec import Struct
from msgspec.structs import replace

from gladys_companion.errors import AuthError, ProtocolError, RequestError
from gladys_companion.gateway import keys, totp
from gladys_companion.gateway._names import checked_name
from gladys_companion.gateway.accounts import Accounts
from gladys_companion.gateway.login_storage import Device, Login
from gladys_companion.gateway.tokens import CONFIGURE, TWO_FACTOR, USER
from gladys_companion.ids import new_id
from gladys_companion.pages.tries import Tries
from gladys_companion.protocol import srp

__all__ = ["LoggedIn", "LoginFlow"]

LASTS = 120  # seconds, as on Gladys Plus
MOST_UNDER_WAY = 1_000
MOST_WRONG, WRONG_WITHIN = 10, 900.0


class _UnderWay(Struct, frozen=True):
    email: str
    ephemeral: srp.Ephemeral
    client_public: str
    until: float


class LoggedIn(Struct, frozen=True):
    """A login with the device that was made for it, and its tokens."""

    login: Login
    device: Device
    access_token: str
    refresh_token: str

    def __repr__(self) -> str:
        return f"LoggedIn({self.login!r}, {self.device!r}, ...)"


class LoginFlow:
    """The steps, in the order in which the official client takes them."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._logins = accounts.storage.logins
        self._clock = accounts.clock
        self._tokens = accounts.tokens
        self._under_way: OrderedDict[str, _UnderWay] = OrderedDict()
        self._changing = asyncio.Lock()
        self._wrong = Tries(self._clock, MOST_WRONG, WRONG_WITHIN, "wrong passwords or codes came for this login")

    def salt(self, email: str) -> str:
        """Return the salt of a login."""
        return self._known(email).srp_salt

    def begin(self, email: str, client_public: str) -> tuple[str, str]:
        """Return the server's public value, and the key under which this login goes on."""
        login, now = self._known(email), self._clock.elapsed()
        ephemeral = srp.server_ephemeral(login.srp_verifier)
        key = new_id()
        self._under_way[key] = _UnderWay(login.email, ephemeral, client_public, now + LASTS)
        if len(self._under_way) > MOST_UNDER_WAY:
            self._under_way.popitem(last=False)
        return ephemeral.public, key

    def finish(self, key: str, client_proof: str) -> dict[str, str]:
        """Return the server's proof, and the token for the next step: a code, or setting up what makes them.

        Raises:
            RequestError: 404, the login is not under way (any more); 403, the password is wrong; 429.
        """
        begun = self._under_way.pop(key, None)
        login = self._logins.login(begun.email) if begun is not None else None
        if begun is None or login is None or begun.until <= self._clock.elapsed():
            raise RequestError(404, "LOGIN_NOT_FOUND", "This login took longer than two minutes: begin anew.")
        self._wrong.spend(login.email)
        try:
            session = srp.server_session(
                begun.ephemeral, begun.client_public, login.srp_salt, login.email, login.srp_verifier, client_proof
            )
        except ProtocolError as error:
            raise RequestError(422, "INVALID_FIELD", str(error)) from error
        if session is None:
            raise RequestError(403, "FORBIDDEN", "The password is wrong.")
        self._wrong.forgive(login.email)
        if login.two_factor_since is None:
            token = {"access_token": self._tokens.issue(login.srp_salt, CONFIGURE)}
        else:
            token = {"two_factor_token": self._tokens.issue(login.srp_salt, TWO_FACTOR, LASTS)}
        return {"server_session_proof": session.proof, **token}

    async def configure(self, token: str) -> str:
        """Return the otpauth URL of a fresh secret.

        Raises:
            RequestError: 401; 403, there is a second factor already.
        """
        login = self.whose(token, CONFIGURE)
        if login.two_factor_since is not None:
            raise RequestError(403, "FORBIDDEN", "A second factor is set up already.")
        secret = totp.new_secret()
        await self._logins.put(replace(login, two_factor_secret=secret))
        return totp.url(secret, login.email)

    async def enable(self, token: str, code: str) -> None:
        """Set the second factor up, for good, with its first code.

        Raises:
            RequestError: 401; 403, the code is wrong; 429.
        """
        async with self._changing:
            login = self.whose(token, CONFIGURE)
            if login.two_factor_since is None:
                step = self._step(login, code)
                await self._logins.put(replace(login, two_factor_since=self._clock.now(), two_factor_step=step))

    async def log_in(self, token: str, code: str, device_name: str) -> LoggedIn:
        """Return what a device is given that knows password and code.

        Raises:
            RequestError: 401; 403, the code is wrong; 422, the name is none; 429.
        """
        name, now = checked_name(device_name), self._clock.now()
        async with self._changing:  # or two at once could use one code
            login = self.whose(token, TWO_FACTOR)
            await self._logins.put(replace(login, two_factor_step=self._step(login, code)))
        refresh_token = keys.new_secret()
        device = Device(id=new_id(), email=login.email, name=name, created_at=now, last_seen=now)
        await self._logins.add_device(device, keys.digest(refresh_token))
        return LoggedIn(login, device, self._tokens.issue(device.id, USER), refresh_token)

    async def refresh(self, refresh_token: str) -> str:
        """Return an access token.

        Raises:
            RequestError: 401 for garbage, 403 for a device that was logged out.
        """
        device = self._logins.device_of(keys.digest(refresh_token))
        if device is None:
            raise RequestError(401, "UNAUTHORIZED", "This refresh token is not known here: log in again.")
        if device.revoked_at is not None:
            raise RequestError(403, "FORBIDDEN", "This device was logged out: log in again.")
        await self._logins.put_devices([replace(device, last_seen=self._clock.now())])
        return self._tokens.issue(device.id, USER)

    def whose(self, token: str, audience: str = USER) -> Login:
        """Return whose token it is.

        Raises:
            RequestError: 401.
        """
        try:
            subject = self._tokens.whose(token, audience)
        except AuthError as error:
            raise RequestError(401, "UNAUTHORIZED", f"{error}: log in again.") from error
        login = self._of_device(subject) if audience == USER else self._of_salt(subject)
        if login is None:
            raise RequestError(401, "UNAUTHORIZED", "This was logged out: log in again.")
        return login

    def _of_device(self, device_id: str) -> Login | None:
        """Return whose device it is: a token ends with its device, not only an hour later."""
        device = self._logins.device(device_id)
        return None if device is None or device.revoked_at is not None else self._logins.login(device.email)

    def _of_salt(self, salt: str) -> Login | None:
        """Return whose login has this salt, which is another as soon as the password is."""
        return next((login for login in self._logins.all() if login.srp_salt == salt), None)

    def _known(self, email: str) -> Login:
        login = self._logins.login(srp.email_of(email))
        if login is None:  # as Gladys Plus says it
            raise RequestError(404, "LOGIN_NOT_FOUND", "Nobody logs in here with this e-mail address.")
        return login

    def _step(self, login: Login, code: str) -> int:
        """Return the step of a code that is right."""
        self._wrong.spend(login.email)
        secret = login.two_factor_secret
        step = None if secret is None else totp.step_of(secret, code, self._clock.now(), login.two_factor_step)
        if step is None:
            raise RequestError(403, "FORBIDDEN", "The code is wrong, too old, or was used already.")
        self._wrong.forgive(login.email)
        return step
