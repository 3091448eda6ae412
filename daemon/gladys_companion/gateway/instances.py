"""The HTTP routes of instances: a fresh access token, the users of the home, pairing and its end.

Source: the gladys-gateway server (``/instances/*``: a token is the whole Authorization header); ``/pair`` and
``/unpair`` are our own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import web
from msgspec import Struct

from gladys_companion.clock import Clock
from gladys_companion.errors import AuthError, RequestError
from gladys_companion.gateway.accounts import Accounts
from gladys_companion.gateway.answers import answer, read_json, token_of
from gladys_companion.gateway.keys import CODE_LASTS, CODE_TRIES
from gladys_companion.pages.tries import Tries

__all__ = ["instance_routes"]


class _Pairing(Struct, frozen=True):
    """The body of ``POST /pair``."""

    code: str
    name: str = "Companion"


def instance_routes(accounts: Accounts, clock: Clock, address: Callable[[web.Request], str]) -> Sequence[web.RouteDef]:
    """Return the routes. Their errors are raised: ``answers.answer_errors`` answers them.

    Args:
        accounts: what they act on.
        clock: its boot clock counts how long an address waits.
        address: who sent a request, seen through trusted proxies.
    """
    tries = Tries(clock, CODE_TRIES, CODE_LASTS, "wrong pairing codes came from this address")

    async def access_token(request: web.Request) -> web.Response:
        return answer({"access_token": accounts.access_token(token_of(request))})

    async def users(request: web.Request) -> web.Response:
        try:
            instance = accounts.authenticate(token_of(request))
        except AuthError as error:
            raise RequestError(401, "UNAUTHORIZED", f"{error}: get a new access token.") from error
        home = accounts.home(instance.home_id)
        if home.rsa_public_key is None or home.ecdsa_public_key is None:
            # The official client imports the keys of each user that is listed, and dies of one without.
            return answer([])
        user = {
            "id": home.user_id,
            "name": home.user_name,
            "rsa_public_key": home.rsa_public_key,
            "ecdsa_public_key": home.ecdsa_public_key,
            "gladys_4_user_id": home.gladys_user_id,
            "connected": False,  # no dashboard connects here
        }
        return answer([user])

    async def pair(request: web.Request) -> web.Response:
        wanted = await read_json(request, _Pairing)
        sender = address(request)
        tries.spend(sender)
        paired = await accounts.pair(wanted.code, wanted.name)
        tries.forgive(sender)
        body = {
            "instance_id": paired.instance.value.id,
            "home_id": paired.home.id,
            "home_name": paired.home.name,
            "refresh_token": paired.instance.secret,
            "primary": paired.primary,
        }
        if not paired.primary:
            body["warning"] = (
                "Another instance of this home is its primary one, and gets its messages: "
                f"`gladys-companion gateway home primary {paired.instance.value.id}`, at the gateway, changes that."
            )
        return answer(body)

    async def unpair(request: web.Request) -> web.Response:
        gone = await accounts.unpair(token_of(request))
        return answer({"instance_id": gone.id, "home_id": gone.home_id})

    return [
        web.get("/instances/access-token", access_token),
        web.get("/instances/users", users),
        web.post("/pair", pair),
        web.post("/unpair", unpair),
    ]
