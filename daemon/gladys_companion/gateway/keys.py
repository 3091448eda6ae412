"""The rules of what opens the gateway: keys of phones, refresh tokens of instances, pairing codes. All pure.

A secret is shown once and kept as SHA-256; it is random enough (40 bytes) that no salt or slow hash would add anything.
"""

from __future__ import annotations

import base64
import hashlib
import secrets as chance
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from gladys_companion.errors import RequestError
from gladys_companion.gateway.storage import Key, PairCode, Secret
from gladys_companion.ids import new_id

__all__ = [
    "CODE_LASTS",
    "CODE_TRIES",
    "ROTATION_LASTS",
    "SCOPES",
    "Issued",
    "authorize",
    "digest",
    "first_use",
    "issue",
    "new_key",
    "new_pair_code",
    "new_secret",
    "read_code",
    "refusal",
    "rotate",
    "with_secrets",
]

SCOPES = ("state", "location", "event", "message")
ROTATION_LASTS = 7 * 86400.0
CODE_LASTS = 600.0
CODE_TRIES = 5

_PREFIX = 6
_OVER = 0.0  # an end that no clock, however wrong, comes before
_HALF = 4  # of a code: 20 bits to find it by and 20 to guess in 5 tries, so that a wrong guess ends nobody else's code
_MISREAD = str.maketrans("018", "OIB", " -")

T = TypeVar("T")


class Issued(Struct, Generic[T], frozen=True):
    """Something new with its secret, which is seen this once: not even its repr tells it."""

    value: T
    secret: str

    def __repr__(self) -> str:
        return f"Issued({self.value!r}, secret=...)"


def digest(secret: str) -> bytes:
    """Return what is kept of a secret; any text has one."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def new_secret() -> str:
    """Return a key or a refresh token: 40 random bytes in hex, 80 characters."""
    return chance.token_hex(40)


def issue(now: float) -> Issued[Secret]:
    """Return a fresh secret for a key."""
    secret = new_secret()
    return Issued(Secret(digest=digest(secret), prefix=secret[:_PREFIX], created_at=now), secret)


def new_key(
    home_id: str,
    name: str,
    now: float,
    *,
    scopes: Iterable[str] = SCOPES,
    allowed_ids: Iterable[str] | None = None,
    expires_at: float | None = None,
) -> tuple[Key, Issued[Secret]]:
    """Return a key and its first secret.

    Raises:
        RequestError: 422 naming the field.
    """
    wanted = frozenset(scopes)
    if not wanted or not wanted <= frozenset(SCOPES):
        raise RequestError(422, "INVALID_FIELD", f"scopes must be some of {', '.join(SCOPES)}.", field="scopes")
    allowed = None if allowed_ids is None else frozenset(allowed_ids)
    if allowed is not None and not (allowed and all(id_.strip() for id_ in allowed)):
        sentence = "allowed_ids must be external ids, such as mqtt:my-phone-presence, or left out to allow all."
        raise RequestError(422, "INVALID_FIELD", sentence, field="allowed_ids")
    if expires_at is not None and not expires_at > now:
        raise RequestError(422, "INVALID_FIELD", "expires_at must be in the future.", field="expires_at")
    issued = issue(now)
    key = Key(
        id=new_id(),
        home_id=home_id,
        name=name,
        prefix=issued.value.prefix,
        scopes=wanted,
        created_at=now,
        allowed_ids=allowed,
        expires_at=expires_at,
    )
    return key, issued


def rotate(secrets: Sequence[Secret], fresh: Secret, now: float) -> tuple[Secret, ...]:
    """Return the secrets with a fresh one: the one in use ends in 7 days, those that were never used end now."""
    in_use = [secret for secret in secrets if secret.used_at is not None and not _ended(secret, now)]
    heir = in_use[-1] if in_use else next((secret for secret in secrets if not _ended(secret, now)), None)
    last = now + ROTATION_LASTS
    return (*(_end(secret, last if secret is heir else _OVER) for secret in secrets), fresh)


def first_use(secrets: Sequence[Secret], used: bytes, now: float) -> tuple[Secret, ...]:
    """Return the secrets after the first use of one: those that are older end now."""
    changed: list[Secret] = []
    for secret in secrets:
        if secret.digest == used:
            changed = [_end(older, _OVER) for older in changed]
            secret = replace(secret, used_at=now)  # noqa: PLW2901 - the same one, used
        changed.append(secret)
    return tuple(changed)


def with_secrets(key: Key, secrets: Sequence[Secret], now: float) -> Key:
    """Return the key as its secrets make it look: the newest one's prefix, and until when an older one opens."""
    older = [secret.ends_at for secret in secrets[:-1] if secret.ends_at is not None and secret.ends_at > now]
    waits = secrets[-1].used_at is None
    return replace(key, prefix=secrets[-1].prefix, old_secret_until=max(older, default=None) if waits else None)


def refusal(key: Key, secret: Secret, now: float) -> RequestError | None:
    """Return why a known secret opens nothing; None if it does."""
    if key.revoked_at is not None:
        return RequestError(401, "KEY_REVOKED", f"The key {key.prefix}... was revoked: ask for a new one.")
    if _ended(secret, now):
        return RequestError(401, "KEY_REVOKED", f"The key {secret.prefix}... was replaced by a newer one: use that.")
    if key.expires_at is not None and now >= key.expires_at:
        return RequestError(401, "KEY_EXPIRED", f"The key {key.prefix}... has expired: ask for a new one.")
    return None


def authorize(key: Key, scope: str, external_id: str | None = None) -> None:
    """Return if the key may do this.

    Raises:
        RequestError: 403 ``SCOPE_NOT_ALLOWED`` or ``EXTERNAL_ID_NOT_ALLOWED``.
    """
    if scope not in key.scopes:
        raise RequestError(
            403, "SCOPE_NOT_ALLOWED", f"This key may not send what needs the scope {scope}.", scope=scope
        )
    if key.allowed_ids is not None and external_id is not None and external_id not in key.allowed_ids:
        raise RequestError(
            403,
            "EXTERNAL_ID_NOT_ALLOWED",
            "This key may not send states of this external id.",
            field="device_feature_external_id",
        )


def new_pair_code(home_id: str, now: float) -> Issued[PairCode]:
    """Return a code of 8 base32 characters that is good for 10 minutes and 5 tries."""
    code = base64.b32encode(chance.token_bytes(5)).decode()
    kept = PairCode(
        lookup=code[:_HALF],
        digest=digest(code),
        home_id=home_id,
        expires_at=now + CODE_LASTS,
        tries_left=CODE_TRIES,
    )
    return Issued(kept, code)


def read_code(typed: str) -> tuple[str, bytes]:
    """Return a code as a person typed it (any case, blanks, dashes, 0 for O) as its first half and its digest."""
    code = typed.upper().translate(_MISREAD)
    return code[:_HALF], digest(code)


def _ended(secret: Secret, now: float) -> bool:
    return secret.ends_at is not None and now >= secret.ends_at


def _end(secret: Secret, at: float) -> Secret:
    return secret if secret.ends_at is not None and secret.ends_at <= at else replace(secret, ends_at=at)
