"""What the command line asks of the gateway, as typed operations: over the Unix socket, or in a process of its own.

``POST /admin/<operation>`` with the members as JSON, and ``perform`` on an open storage, do and return the same.
Only a Unix socket serves these routes: who may open it may do everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
from aiohttp import web
from msgspec import Struct

from gladys_companion.errors import RequestError
from gladys_companion.gateway.accounts import REVOKE_WARNING, Accounts
from gladys_companion.gateway.answers import answer, read_json
from gladys_companion.gateway.keys import SCOPES, Issued
from gladys_companion.gateway.login_storage import Login
from gladys_companion.gateway.logins import LoginKeys, Logins, check_jwk
from gladys_companion.gateway.storage import Home, Key

__all__ = ["OPERATIONS", "admin_routes", "perform"]


class Operation(Protocol):
    """The members of one request, and what is done with them."""

    async def perform(self, accounts: Accounts) -> object:
        """Do it and return what is answered."""


class HomeList(Struct, frozen=True, forbid_unknown_fields=True):
    """``home.list``: an array of homes with the numbers of their instances, keys and held events."""

    async def perform(self, accounts: Accounts) -> object:
        held = await accounts.held()
        homes = []
        for home in accounts.homes():
            total = held.get(home.id)
            homes.append(
                {
                    **_home(home),
                    "instances": sum(one.revoked_at is None for one in accounts.instances(home.id)),
                    "keys": sum(one.revoked_at is None for one in accounts.keys(home.id)),
                    "held_events": total.events if total else 0,
                    "held_bytes": total.bytes if total else 0,
                }
            )
        return homes


class HomeCreate(Struct, frozen=True, forbid_unknown_fields=True):
    """``home.create``: a home."""

    name: str
    user_name: str = ""

    async def perform(self, accounts: Accounts) -> object:
        return _home(await accounts.create_home(self.name, self.user_name))


class HomeUser(Struct, frozen=True, forbid_unknown_fields=True):
    """``home.user``: a home, its user linked with the one in its Gladys; ``null`` unlinks."""

    home: str | None = None
    gladys_user_id: str | None = None
    rsa_public_key: str | None = None
    ecdsa_public_key: str | None = None

    async def perform(self, accounts: Accounts) -> object:
        for field, text, kty in (("rsa", self.rsa_public_key, "RSA"), ("ecdsa", self.ecdsa_public_key, "EC")):
            if text is not None:
                check_jwk(f"{field}_public_key", text, kty)
        home, keys = accounts.home(self.home), (self.rsa_public_key, self.ecdsa_public_key)
        if keys == (None, None) and accounts.storage.logins.of_home(home.id) is not None:
            keys = home.rsa_public_key, home.ecdsa_public_key
        return _home(await accounts.link_user(home.id, self.gladys_user_id, *keys))


class HomeRemove(Struct, frozen=True, forbid_unknown_fields=True):
    """``home.remove``: the home that was, with all that was its own; it must be named."""

    home: str

    async def perform(self, accounts: Accounts) -> object:
        return _home(await accounts.remove_home(self.home))


class HomePairCode(Struct, frozen=True, forbid_unknown_fields=True):
    """``home.pair-code``: ``{"code", "home_id", "home_name", "expires_at"}``."""

    home: str | None = None

    async def perform(self, accounts: Accounts) -> object:
        home = accounts.home(self.home)
        issued = await accounts.pair_code(home.id)
        return {
            "code": issued.secret,
            "home_id": home.id,
            "home_name": home.name,
            "expires_at": issued.value.expires_at,
        }


class HomePrimary(Struct, frozen=True, forbid_unknown_fields=True):
    """``home.primary``: the home, whose messages go to that instance from now on."""

    instance: str
    home: str | None = None

    async def perform(self, accounts: Accounts) -> object:
        return _home(await accounts.set_primary(self.home, self.instance))


class InstanceList(Struct, frozen=True, forbid_unknown_fields=True):
    """``instance.list``: an array of the home's instances, with ``primary`` and ``connected`` (now)."""

    home: str | None = None

    async def perform(self, accounts: Accounts) -> object:
        home = accounts.home(self.home)
        return [
            {
                **msgspec.to_builtins(one),
                "primary": one.id == home.primary_instance,
                "connected": accounts.is_connected(one.id),
            }
            for one in accounts.instances(home.id)
        ]


class InstanceRevoke(Struct, frozen=True, forbid_unknown_fields=True):
    """``instance.revoke``: the instance."""

    instance: str
    home: str | None = None

    async def perform(self, accounts: Accounts) -> object:
        return await accounts.revoke_instance(self.home, self.instance)


class KeyList(Struct, frozen=True, forbid_unknown_fields=True):
    """``key.list``: an array of the home's keys with their last use."""

    home: str | None = None

    async def perform(self, accounts: Accounts) -> object:
        return accounts.keys(self.home)


class KeyCreate(Struct, frozen=True, forbid_unknown_fields=True):
    """``key.create``: ``{"key", "secret"}``; the secret is shown this once."""

    name: str
    home: str | None = None
    scopes: list[str] = msgspec.field(default_factory=lambda: list(SCOPES))
    allowed_ids: list[str] | None = None
    expires_at: float | None = None

    async def perform(self, accounts: Accounts) -> object:
        return _issued(
            await accounts.create_key(
                self.home, self.name, scopes=self.scopes, allowed_ids=self.allowed_ids, expires_at=self.expires_at
            )
        )


class KeyRename(Struct, frozen=True, forbid_unknown_fields=True):
    """``key.rename``: the key."""

    key: str
    name: str
    home: str | None = None

    async def perform(self, accounts: Accounts) -> object:
        return await accounts.rename_key(self.home, self.key, self.name)


class KeyRotate(Struct, frozen=True, forbid_unknown_fields=True):
    """``key.rotate``: ``{"key", "secret"}``; ``key.old_secret_until`` says how long the old secret opens at most."""

    key: str
    home: str | None = None

    async def perform(self, accounts: Accounts) -> object:
        return _issued(await accounts.rotate_key(self.home, self.key))


class KeyRevoke(Struct, frozen=True, forbid_unknown_fields=True):
    """``key.revoke``: ``{"key", "warning"}``."""

    key: str
    home: str | None = None

    async def perform(self, accounts: Accounts) -> object:
        return {"key": await accounts.revoke_key(self.home, self.key), "warning": REVOKE_WARNING}


class LoginList(Struct, frozen=True, forbid_unknown_fields=True):
    """``login.list``: an array of logins, with ``two_factor`` (is set up) and the number of ``devices``."""

    async def perform(self, accounts: Accounts) -> object:
        return [_login(accounts, login) for login in Logins(accounts).all()]


class LoginCreate(Struct, frozen=True, forbid_unknown_fields=True):
    """``login.create``: a login for the user of a home."""

    email: str
    keys: LoginKeys
    home: str | None = None

    async def perform(self, accounts: Accounts) -> object:
        return _login(accounts, await Logins(accounts).create(self.email, self.home, self.keys))


class LoginPassword(Struct, frozen=True, forbid_unknown_fields=True):
    """``login.password``: the login, with another password and logged out everywhere."""

    email: str
    keys: LoginKeys

    async def perform(self, accounts: Accounts) -> object:
        return _login(accounts, await Logins(accounts).set_password(self.email, self.keys))


class LoginResetTwoFactor(Struct, frozen=True, forbid_unknown_fields=True):
    """``login.reset-two-factor``: the login, without a second factor and logged out everywhere."""

    email: str

    async def perform(self, accounts: Accounts) -> object:
        return _login(accounts, await Logins(accounts).reset_two_factor(self.email))


class LoginTwoFactor(Struct, frozen=True, forbid_unknown_fields=True):
    """``login.two-factor``: the login, with the second factor of that secret, whose first code comes along."""

    email: str
    secret: str
    code: str

    async def perform(self, accounts: Accounts) -> object:
        return _login(accounts, await Logins(accounts).set_two_factor(self.email, self.secret, self.code))


class LoginRemove(Struct, frozen=True, forbid_unknown_fields=True):
    """``login.remove``: the login that was."""

    email: str

    async def perform(self, accounts: Accounts) -> object:
        return _login(accounts, await Logins(accounts).remove(self.email))


OPERATIONS: Mapping[str, type[Operation]] = {
    "home.list": HomeList,
    "home.create": HomeCreate,
    "home.user": HomeUser,
    "home.remove": HomeRemove,
    "home.pair-code": HomePairCode,
    "home.primary": HomePrimary,
    "instance.list": InstanceList,
    "instance.revoke": InstanceRevoke,
    "key.list": KeyList,
    "key.create": KeyCreate,
    "key.rename": KeyRename,
    "key.rotate": KeyRotate,
    "key.revoke": KeyRevoke,
    "login.list": LoginList,
    "login.create": LoginCreate,
    "login.password": LoginPassword,
    "login.reset-two-factor": LoginResetTwoFactor,
    "login.two-factor": LoginTwoFactor,
    "login.remove": LoginRemove,
}


async def perform(accounts: Accounts, operation: str, members: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """Do an operation and return its answer as JSON-ready values.

    Raises:
        RequestError: 404 for an operation that there is not, 422 naming the member, or what the operation says.
        StoreError: nothing was changed.
    """
    shape = OPERATIONS.get(operation)
    if shape is None:
        raise RequestError(404, "UNKNOWN_OPERATION", f"There is no operation {operation!r}.")
    try:
        wanted = msgspec.convert(members, shape)
    except msgspec.ValidationError as error:
        raise RequestError(422, "INVALID_FIELD", f"{error}.") from error
    return msgspec.to_builtins(await wanted.perform(accounts), order="deterministic")


def admin_routes(accounts: Accounts) -> Sequence[web.AbstractRouteDef]:
    """Return the route of all operations; its errors are raised: ``answers.answer_errors`` answers them."""

    async def operate(request: web.Request) -> web.Response:
        members = await read_json(request, dict[str, Any])
        return answer(await perform(accounts, request.match_info["operation"], members))

    return [web.post("/admin/{operation}", operate)]


def _home(home: Home) -> dict[str, object]:
    shown = ("id", "name", "user_id", "user_name", "gladys_user_id", "primary_instance", "created_at")
    return {name: getattr(home, name) for name in shown}


def _login(accounts: Accounts, login: Login) -> dict[str, object]:
    devices = accounts.storage.logins.devices(login.email)
    return {
        "email": login.email,
        "home_id": login.home_id,
        "home_name": accounts.home(login.home_id).name,
        "two_factor": login.two_factor_since is not None,
        "devices": sum(device.revoked_at is None for device in devices),
        "created_at": login.created_at,
    }


def _issued(issued: Issued[Key]) -> dict[str, object]:
    return {"key": issued.value, "secret": issued.secret}
