"""The HTTP routes of somebody who is logged in: what Gladys' own settings page and the official client ask for.

Source: the gladys-gateway server (``/users/me``, ``/instances``, ``/devices/*``, ``/open-api-keys``), whose shapes they
are. What it has and this gateway has not is in ``not_offered``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from gladys_companion.errors import RequestError
from gladys_companion.gateway._names import checked_name
from gladys_companion.gateway.accounts import Accounts
from gladys_companion.gateway.answers import ROUTE_ID, answer, read_json, token_of
from gladys_companion.gateway.login_flow import LoginFlow
from gladys_companion.gateway.login_storage import Login
from gladys_companion.gateway.logins import CLEAR_KEYS, check_jwk
from gladys_companion.gateway.storage import Key
from gladys_companion.protocol import srp

__all__ = ["user_routes"]


class _Instance(Struct, frozen=True):
    name: str
    rsa_public_key: str
    ecdsa_public_key: str


class _Named(Struct, frozen=True):
    name: str


class _Changes(Struct, frozen=True):
    """The body of ``PATCH /users/me``; a changed password brings all of the SRP and encrypted members."""

    name: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    language: str | UnsetType = UNSET
    gladys_4_user_id: str | UnsetType | None = UNSET
    srp_salt: str | UnsetType = UNSET
    srp_verifier: str | UnsetType = UNSET
    rsa_encrypted_private_key: str | UnsetType = UNSET
    ecdsa_encrypted_private_key: str | UnsetType = UNSET


_PASSWORD = ("srp_salt", "srp_verifier", "rsa_encrypted_private_key", "ecdsa_encrypted_private_key")


def user_routes(accounts: Accounts, flow: LoginFlow) -> Sequence[web.RouteDef]:
    """Return the routes. Their errors are raised, as those of ``instances.instance_routes``."""
    me = _Me(accounts, flow)
    return [
        web.get("/users/me", me.show),
        web.patch("/users/me", me.change),
        web.get("/users/me/devices", me.devices),
        web.post("/devices/{id}/revoke", me.revoke_device),
        web.get("/users/setup", me.setup),
        web.get("/accounts/users", me.users),
        web.get("/instances", me.instances),
        web.post("/instances", me.create_instance),
        web.get("/open-api-keys", me.keys),
        web.post("/open-api-keys", me.create_key),
        web.post("/open-api-keys/{id}", me.rename_key),
        web.patch("/open-api-keys/{id}", me.rename_key),
        web.delete("/open-api-keys/{id}", me.revoke_key),
    ]


class _Me:
    """What somebody who is logged in may see and do: all of it is of their own home."""

    def __init__(self, accounts: Accounts, flow: LoginFlow) -> None:
        self._accounts = accounts
        self._flow = flow
        self._logins = accounts.storage.logins

    async def show(self, request: web.Request) -> web.Response:
        login = self._who(request)
        home = self._accounts.home(login.home_id)
        return answer(
            {
                **self._shown(login),
                "profile_url": None,
                "gladys_user_id": None,
                "gladys_4_user_id": home.gladys_user_id,
                "account_id": home.id,
                "current_period_end": None,
                "plan": None,
                "status": "active",
                "superAdmin": False,
            }
        )

    async def change(self, request: web.Request) -> web.Response:
        login, wanted = self._who(request), await read_json(request, _Changes)
        if wanted.email is not UNSET and srp.email_of(wanted.email) != login.email:
            sentence = "The e-mail address is part of the password: make another login at the gateway instead."
            raise RequestError(422, "INVALID_FIELD", sentence, field="email")
        password = {name: getattr(wanted, name) for name in _PASSWORD}
        given = {name: text for name, text in password.items() if text is not UNSET}
        if given and len(given) < len(_PASSWORD):
            sentence = f"A new password brings all of {', '.join(_PASSWORD)}."
            raise RequestError(422, "INVALID_FIELD", sentence, field=next(iter(password.keys() - given.keys())))
        name = login.email if wanted.name is UNSET else checked_name(wanted.name)
        language = login.language if wanted.language is UNSET else wanted.language[:2].lower()
        changed = replace(login, language=language, **given)
        await self._logins.put(changed)
        home = self._accounts.home(login.home_id)
        user_name = home.user_name if wanted.name is UNSET else name
        user_id = home.gladys_user_id if wanted.gladys_4_user_id is UNSET else wanted.gladys_4_user_id
        if (user_name, user_id) != (home.user_name, home.gladys_user_id):
            keys = home.rsa_public_key, home.ecdsa_public_key
            await self._accounts.link_user(home.id, user_id, *keys, name=user_name)
            await self._accounts.tell(home.id, CLEAR_KEYS)
        return answer({**self._shown(changed), "profile_url": None, "email_confirmed": True})

    async def devices(self, request: web.Request) -> web.Response:
        login = self._who(request)
        return answer(
            [
                {"id": one.id, "name": one.name, "created_at": _iso(one.created_at), "last_seen": _iso(one.last_seen)}
                for one in self._logins.devices(login.email)
                if one.revoked_at is None
            ]
        )

    async def revoke_device(self, request: web.Request) -> web.Response:
        login, wanted = self._who(request), request[ROUTE_ID]
        device = next((one for one in self._logins.devices(login.email) if one.id == wanted), None)
        if device is None:
            raise RequestError(404, "DEVICE_NOT_FOUND", "There is no such device of this login.")
        await self._logins.put_devices([replace(device, revoked_at=self._accounts.clock.now())])
        return answer({"id": device.id, "revoked": True})

    async def setup(self, request: web.Request) -> web.Response:
        login = self._who(request)
        home = self._accounts.home(login.home_id)
        return answer(
            {
                "billing_setup": True,
                "gladys_instance_setup": any(one.revoked_at is None for one in self._accounts.instances(home.id)),
                "user_gladys_acccount_linked": home.gladys_user_id is not None,
            }
        )

    async def users(self, request: web.Request) -> web.Response:
        return answer([self._shown(self._who(request))])

    async def instances(self, request: web.Request) -> web.Response:
        """Return the primary instance, if it has keys: the official client imports them, and dies of one without."""
        home = self._accounts.home(self._who(request).home_id)
        return answer(
            [
                {
                    "id": one.id,
                    "name": one.name,
                    "primary_instance": True,
                    "rsa_public_key": one.rsa_public_key,
                    "ecdsa_public_key": one.ecdsa_public_key,
                }
                for one in self._accounts.instances(home.id)
                if one.id == home.primary_instance and one.rsa_public_key is not None
            ]
        )

    async def create_instance(self, request: web.Request) -> web.Response:
        login, wanted = self._who(request), await read_json(request, _Instance)
        check_jwk("rsa_public_key", wanted.rsa_public_key, "RSA")
        check_jwk("ecdsa_public_key", wanted.ecdsa_public_key, "EC")
        made = await self._accounts.create_instance(
            login.home_id, wanted.name, wanted.rsa_public_key, wanted.ecdsa_public_key
        )
        instance = made.instance.value
        return answer(
            {
                "id": instance.id,
                "name": instance.name,
                "refresh_token": made.instance.secret,
                "access_token": self._accounts.access_token(made.instance.secret),
            }
        )

    async def keys(self, request: web.Request) -> web.Response:
        home_id = self._who(request).home_id
        return answer([_key(one) for one in self._accounts.keys(home_id) if one.revoked_at is None])

    async def create_key(self, request: web.Request) -> web.Response:
        login, wanted = self._who(request), await read_json(request, _Named)
        issued = await self._accounts.create_key(login.home_id, wanted.name)
        return answer({**_key(issued.value), "api_key": issued.secret})

    async def rename_key(self, request: web.Request) -> web.Response:
        login, wanted = self._who(request), await read_json(request, _Named)
        return answer(_key(await self._accounts.rename_key(login.home_id, request[ROUTE_ID], wanted.name)))

    async def revoke_key(self, request: web.Request) -> web.Response:
        await self._accounts.revoke_key(self._who(request).home_id, request[ROUTE_ID])
        return answer({"success": True})

    def _who(self, request: web.Request) -> Login:
        return self._flow.whose(token_of(request))

    def _shown(self, login: Login) -> dict[str, Any]:
        home = self._accounts.home(login.home_id)
        return {
            "id": home.user_id,
            "name": home.user_name,
            "email": login.email,
            "role": "admin",
            "language": login.language,
            "two_factor_enabled": login.two_factor_since is not None,
        }


def _key(key: Key) -> dict[str, Any]:
    last_used = None if key.last_used is None else _iso(key.last_used)
    return {"id": key.id, "name": key.name, "created_at": _iso(key.created_at), "last_used": last_used}


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
