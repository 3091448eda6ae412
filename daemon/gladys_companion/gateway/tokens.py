"""Access tokens of instances: JWT (RFC 7519), HS256, issuer ``gladys-gateway``, audience ``instance``, valid one hour.

Source: the gladys-gateway server. A token is checked only when a socket authenticates; an open socket outlives it.
"""

from __future__ import annotations

import jwt

from gladys_companion.clock import Clock
from gladys_companion.errors import AuthError

__all__ = ["LASTS", "AccessTokens"]

LASTS = 3600
_ISSUER = "gladys-gateway"
_AUDIENCE = "instance"
_OPTIONS: jwt.types.Options = {
    "require": ["exp", "iss", "aud", "instance_id"],
    "verify_exp": False,  # by our own clock, below
    "verify_iat": False,
    "verify_nbf": False,
}


class AccessTokens:
    """Signs and checks with one secret of 32 bytes."""

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock

    def issue(self, instance_id: str) -> str:
        """Return a token for an instance."""
        now = int(self._clock.now())
        claims = {"iss": _ISSUER, "aud": _AUDIENCE, "instance_id": instance_id, "iat": now, "exp": now + LASTS}
        return jwt.encode(claims, self._secret, algorithm="HS256")

    def instance_id(self, token: str) -> str:
        """Return whose token it is.

        Raises:
            AuthError: the reason in a few words, as the official server says it: ``jwt expired``, ``invalid token``.
        """
        try:
            claims = jwt.decode(
                token, self._secret, algorithms=["HS256"], audience=_AUDIENCE, issuer=_ISSUER, options=_OPTIONS
            )
        except (jwt.PyJWTError, ValueError) as error:  # a ValueError for what is not even text of a token
            raise AuthError("invalid token") from error
        expires, instance_id = claims["exp"], claims["instance_id"]
        if not isinstance(expires, int) or not isinstance(instance_id, str):
            raise AuthError("invalid token")
        if self._clock.now() >= expires:
            raise AuthError("jwt expired")
        return instance_id
