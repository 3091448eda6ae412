"""The HTTP routes of logging in, step by step, as the official client takes them (``login_flow`` does the work).

Source: the gladys-gateway server (``/users/login-*``, ``/users/two-factor-*``), whose shapes these are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeAlias

from aiohttp import web
from msgspec import Struct

from gladys_companion.gateway.accounts import Accounts
from gladys_companion.gateway.answers import answer, read_json, token_of
from gladys_companion.gateway.limits import Limit
from gladys_companion.gateway.login_flow import LoginFlow
from gladys_companion.gateway.routes import too_many

__all__ = ["login_routes"]

A_MINUTE = 100  # of an address, as on Gladys Plus
Handler: TypeAlias = Callable[[web.Request], Awaitable[web.Response]]


class _Email(Struct, frozen=True):
    email: str


class _Begin(Struct, frozen=True):
    email: str
    client_ephemeral_public: str


class _Finish(Struct, frozen=True):
    login_session_key: str
    client_session_proof: str


class _Code(Struct, frozen=True):
    two_factor_code: str
    device_name: str = "Unknown"


def login_routes(accounts: Accounts, flow: LoginFlow, address: Callable[[web.Request], str]) -> Sequence[web.RouteDef]:
    """Return the routes; ``address`` says who sent a request, seen through trusted proxies."""
    limit = Limit(A_MINUTE / 60, A_MINUTE, accounts.clock)
    limited = partial(_limited, limit, address)

    async def salt(request: web.Request) -> web.Response:
        wanted = await read_json(request, _Email)
        return answer({"srp_salt": flow.salt(wanted.email)})

    async def begin(request: web.Request) -> web.Response:
        wanted = await read_json(request, _Begin)
        public, key = flow.begin(wanted.email, wanted.client_ephemeral_public)
        return answer({"server_ephemeral_public": public, "login_session_key": key})

    async def finish(request: web.Request) -> web.Response:
        wanted = await read_json(request, _Finish)
        return answer(flow.finish(wanted.login_session_key, wanted.client_session_proof))

    async def configure(request: web.Request) -> web.Response:
        return answer({"otpauth_url": await flow.configure(token_of(request))})

    async def enable(request: web.Request) -> web.Response:
        await flow.enable(token_of(request), (await read_json(request, _Code)).two_factor_code)
        return answer({"two_factor_enabled": True})

    async def log_in(request: web.Request) -> web.Response:
        wanted = await read_json(request, _Code)
        made = await flow.log_in(token_of(request), wanted.two_factor_code, wanted.device_name)
        home = accounts.home(made.login.home_id)
        return answer(
            {
                "access_token": made.access_token,
                "refresh_token": made.refresh_token,
                "device_id": made.device.id,
                "rsa_encrypted_private_key": made.login.rsa_encrypted_private_key,
                "ecdsa_encrypted_private_key": made.login.ecdsa_encrypted_private_key,
                "rsa_public_key": home.rsa_public_key,
                "ecdsa_public_key": home.ecdsa_public_key,
                "gladys_4_user_id": home.gladys_user_id,
            }
        )

    async def refresh(request: web.Request) -> web.Response:
        return answer({"access_token": await flow.refresh(token_of(request))})

    return [
        web.post("/users/login-salt", limited(salt)),
        web.post("/users/login-generate-ephemeral", limited(begin)),
        web.post("/users/login-finalize", limited(finish)),
        web.post("/users/two-factor-configure", limited(configure)),
        web.post("/users/two-factor-enable", limited(enable)),
        web.post("/users/login-two-factor", limited(log_in)),
        web.get("/users/access-token", refresh),
    ]


def _limited(limit: Limit, address: Callable[[web.Request], str], handler: Handler) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        if over := limit.take(address(request)):
            raise too_many("Too many logins came from this address", over)
        return await handler(request)

    return handle
