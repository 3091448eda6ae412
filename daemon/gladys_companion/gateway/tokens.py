"""Access tokens: JWT (RFC 7519), HS256, issuer ``gladys-gateway``, valid one hour unless said otherwise.

The audience says what one opens: ``instance`` a socket, and the others the steps of a login.

Source: the gladys-gateway server. A token is checked only when a socket authenticates; an open socket outlives it.
"""

from __future__ import annotations

import jwt

from gladys_companion.clock import Clock
from gladys_companion.errors import AuthError

__all__ = ["CONFIGURE", "INSTANCE", "LASTS", "TWO_FACTOR", "USER", "AccessTokens"]

LASTS = 3600
_ISSUER = "gladys-gateway"
INSTANCE, USER, TWO_FACTOR, CONFIGURE = "instance", "user", "two-factor", "two-factor-configure"
_CLAIMS = {INSTANCE: "instance_id"}  # whose a token is; of all others it is the user's
_OPTIONS: jwt.types.Options = {
    "require": ["exp", "iss", "aud"],
    "verify_exp": False,  # by our own clock, below
    "verify_iat": False,
    "verify_nbf": False,
}


class AccessTokens:
    """Signs and checks with one secret of 32 bytes."""

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock

    def issue(self, whose: str, audience: str = INSTANCE, lasts: int = LASTS) -> str:
        """Return a token for an instance or a user, by their id."""
        now = int(self._clock.now())
        who = {_CLAIMS.get(audience, "user_id"): whose}
        return jwt.encode(
            {"iss": _ISSUER, "aud": audience, **who, "iat": now, "exp": now + lasts}, self._secret, algorithm="HS256"
        )

    def whose(self, token: str, audience: str = INSTANCE) -> str:
        """Return whose token it is, if it is one for that.

        Raises:
            AuthError: the reason in a few words, as the official server says it: ``jwt expired``, ``invalid token``.
        """
        try:
            claims = jwt.decode(
                token, self._secret, algorithms=["HS256"], audience=audience, issuer=_ISSUER, options=_OPTIONS
            )
        except (jwt.PyJWTError, ValueError) as error:  # a ValueError for what is not even text of a token
            raise AuthError("invalid token") from error
        expires, whose = claims["exp"], claims.get(_CLAIMS.get(audience, "user_id"))
        if not isinstance(expires, int) or not isinstance(whose, str):
            raise AuthError("invalid token")
        if self._clock.now() >= expires:
            raise AuthError("jwt expired")
        return whose
