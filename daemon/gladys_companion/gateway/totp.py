"""Codes of a second factor (TOTP, RFC 6238: SHA-1, six digits, 30 seconds), as Gladys Plus makes and checks them.

Its quirk: the secret is a base32 text whose ASCII bytes are the key, and the otpauth URL encodes that text once more.
Source: the gladys-gateway server, whose library takes a secret for ASCII unless told otherwise.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from urllib.parse import quote

__all__ = ["code_at", "new_secret", "step_of", "url"]

STEP = 30  # seconds
DRIFT = 1  # steps that a phone's clock may be ahead or behind
DIGITS = 6
_ISSUER = "Gladys Companion"


def new_secret() -> str:
    """Return a secret: 52 characters of base32."""
    return base64.b32encode(secrets.token_bytes(32)).decode().rstrip("=")


def url(secret: str, email: str) -> str:
    """Return what an authenticator app reads as a QR code."""
    encoded = base64.b32encode(secret.encode()).decode().rstrip("=")
    return f"otpauth://totp/{quote(email)}?secret={encoded}&issuer={quote(_ISSUER)}"


def code_at(secret: str, step: int) -> str:
    """Return the code of a step of 30 seconds since the epoch."""
    from cryptography.hazmat.primitives.hashes import SHA1  # noqa: PLC0415 - 8 MB, which only a login is worth
    from cryptography.hazmat.primitives.twofactor.totp import TOTP  # noqa: PLC0415

    key = TOTP(secret.encode(), DIGITS, SHA1(), STEP, enforce_key_length=False)  # noqa: S303 - what apps speak
    return key.generate(step * STEP).decode()


def step_of(secret: str, code: str, now: float, used: int) -> int | None:
    """Return the step of a code that is right now, or nearly, and newer than the last one that was ``used``."""
    typed = "".join(code.split()).encode("utf-8", "surrogatepass")
    newest = int(now // STEP) + DRIFT
    for step in range(max(used + 1, newest - 2 * DRIFT), newest + 1):
        if hmac.compare_digest(code_at(secret, step).encode(), typed):
            return step
    return None
