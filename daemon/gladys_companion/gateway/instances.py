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
from gladys_companion.gateway.answers import answer, read_json
from gladys_companion.gateway.keys import CODE_LASTS, CODE_TRIES

__all__ = ["instance_routes"]

_MOST_ADDRESSES = 10_000


class _Pairing(Struct, frozen=True):
    """The body of ``POST /pair``."""

    code: str
    name: str = "Companion"


class _Tries:
    """Counts tries of codes by address: 5 in 10 minutes, but for those that were right."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._spent: dict[str, tuple[int, float]] = {}

    def spend(self, address: str) -> None:
        """Count a try before it is made, so that many at once are no way around it.

        Raises:
            RequestError: 429, the address has used its tries up.
        """
        now = self._clock.elapsed()
        count, since = self._spent.get(address, (0, now))
        waits = since + CODE_LASTS - now
        if waits <= 0:
            count, since = 0, now
        elif count >= CODE_TRIES:
            seconds = int(waits) + 1
            raise RequestError(
                429,
                "TOO_MANY_REQUESTS",
                f"{CODE_TRIES} wrong pairing codes came from this address: try again in {seconds} s.",
                retry_after=seconds,
            )
        self._spent[address] = (count + 1, since)
        if len(self._spent) > _MOST_ADDRESSES:
            del self._spent[next(iter(self._spent))]

    def forgive(self, address: str) -> None:
        """Forget the tries of an address whose code was right."""
        self._spent.pop(address, None)


def instance_routes(accounts: Accounts, clock: Clock, address: Callable[[web.Request], str]) -> Sequence[web.RouteDef]:
    """Return the routes. Their errors are raised: ``answers.answer_errors`` answers them.

    Args:
        accounts: what they act on.
        clock: its boot clock counts how long an address waits.
        address: who sent a request, seen through trusted proxies.
    """
    tries = _Tries(clock)

    async def access_token(request: web.Request) -> web.Response:
        return answer({"access_token": accounts.access_token(_token(request))})

    async def users(request: web.Request) -> web.Response:
        try:
            instance = accounts.authenticate(_token(request))
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
        gone = await accounts.unpair(_token(request))
        return answer({"instance_id": gone.id, "home_id": gone.home_id})

    return [
        web.get("/instances/access-token", access_token),
        web.get("/instances/users", users),
        web.post("/pair", pair),
        web.post("/unpair", unpair),
    ]


def _token(request: web.Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
