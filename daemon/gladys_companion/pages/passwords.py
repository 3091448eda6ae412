"""Passwords of people who look at pages: kept as argon2id, wrong ones as slow to refuse as right ones are to accept."""

from __future__ import annotations

import asyncio
import secrets
from functools import cache
from typing import TYPE_CHECKING

from gladys_companion.errors import RequestError

if TYPE_CHECKING:  # imported when somebody logs in: only who does pays for it
    from argon2 import PasswordHasher

__all__ = ["fits", "hashed"]

SHORTEST, LONGEST = 10, 500


async def hashed(password: str) -> str:
    """Return what is kept of a password.

    Raises:
        RequestError: 422, it is too short or too long.
    """
    if not len(password.strip()) >= SHORTEST or len(password) > LONGEST:
        raise RequestError(
            422, "INVALID_FIELD", f"A password has {SHORTEST} to {LONGEST} characters.", field="password"
        )
    return await asyncio.to_thread(_hash, password.strip())


async def fits(kept: str | None, password: str) -> bool:
    """Return whether a password is right; where nothing is kept none is, and to say so takes as long."""
    return await asyncio.to_thread(_fits, kept, password[:LONGEST].strip())


def _hash(password: str) -> str:
    return _hasher().hash(password)


def _fits(kept: str | None, password: str) -> bool:
    from argon2.exceptions import VerificationError  # noqa: PLC0415 - see above

    try:
        _hasher().verify(kept or _nobody(), password)
    except VerificationError:
        return False
    return kept is not None


@cache
def _nobody() -> str:
    return _hash(secrets.token_hex())


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # noqa: PLC0415 - see above

    # what OWASP asks for at least, on a small server
    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
