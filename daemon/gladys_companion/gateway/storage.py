"""What the gateway asks of its storage, and the values that go in and out: nothing here knows SQL, HTTP or sockets.

What is asked on every request is answered from memory, and is not a coroutine; what is a coroutine returns after its
commit. Times are seconds since the epoch unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from gladys_companion.gateway.login_storage import SqliteLogins

__all__ = [
    "Accepted",
    "Directory",
    "HeldTotal",
    "Home",
    "Instance",
    "Key",
    "NewEvent",
    "PairCode",
    "Quarantined",
    "Relayed",
    "Secret",
    "Settlement",
    "Storage",
    "StoredEvent",
]


class Home(Struct, frozen=True, kw_only=True):
    """A home and its one user. Messages go to ``primary_instance``, which only a person changes.

    ``gladys_user_id`` is the user's id in Gladys at home (``local_user_id`` of a message). The public keys are JWKs as
    JSON, and are there only if the user has a dashboard that reads what Gladys encrypts for it.
    """

    id: str
    name: str
    user_id: str
    user_name: str
    created_at: float
    primary_instance: str | None = None
    gladys_user_id: str | None = None
    rsa_public_key: str | None = None
    ecdsa_public_key: str | None = None


class Instance(Struct, frozen=True, kw_only=True):
    """A Gladys or a companion that may connect for a home; ``last_seen`` is when it last came or left.

    The public keys are JWKs as JSON, of a Gladys that was made by a login.
    """

    id: str
    home_id: str
    name: str
    created_at: float
    last_seen: float | None = None
    revoked_at: float | None = None
    rsa_public_key: str | None = None
    ecdsa_public_key: str | None = None


class Key(Struct, frozen=True, kw_only=True):
    """The key of a phone, without its secret; ``prefix`` is the secret's first 6 characters, for people to tell it by.

    ``allowed_ids`` are the external ids that it may post states of; None: all. ``old_secret_until`` is set while a
    rotation waits for the first use of the new secret.
    """

    id: str
    home_id: str
    name: str
    prefix: str
    scopes: frozenset[str]
    created_at: float
    allowed_ids: frozenset[str] | None = None
    expires_at: float | None = None
    revoked_at: float | None = None
    last_used: float | None = None
    old_secret_until: float | None = None


class Secret(Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """One secret of a key, as a SHA-256 digest. ``used_at``: first use; from ``ends_at`` on it opens nothing."""

    digest: bytes
    prefix: str
    created_at: float
    used_at: float | None = None
    ends_at: float | None = None


class PairCode(Struct, frozen=True, kw_only=True):
    """A pairing code, as its first half (to find it by) and the digest of the whole."""

    lookup: str
    digest: bytes
    home_id: str
    expires_at: float
    tries_left: int


class NewEvent(Struct, frozen=True, kw_only=True):
    """What a phone posted, to be committed before it is answered.

    ``body`` is whatever the relay needs to emit it (opaque here, erased once home has acked); ``size`` counts towards
    the quotas. ``order_key`` is what must stay in order. ``elapsed`` and ``boot`` are the boot clock at its arrival, so
    that its age survives a restart and a clock that is set. ``created_at`` is the time that the phone named.
    ``idempotency_key`` makes it one with an earlier event of its key; ``body_hash`` then says whether that is true, and
    None that it is not compared (OwnTracks).
    """

    id: str
    home_id: str
    key_id: str
    action: str
    order_key: str
    received_at: float
    elapsed: float
    boot: str
    body: bytes
    size: int
    external_id: str | None = None
    created_at: float | None = None
    idempotency_key: str | None = None
    body_hash: bytes | None = None


class StoredEvent(Struct, frozen=True, kw_only=True):
    """An event as it is now: held while ``settled_at`` is None, and then without its ``body``.

    ``receipt`` is the JSON of the last receipt (``model.Receipt.body``); ``sent_at`` is when home was sent it.
    """

    seq: int
    id: str
    home_id: str
    key_id: str
    action: str
    order_key: str
    received_at: float
    elapsed: float
    boot: str
    size: int
    body: bytes | None = None
    external_id: str | None = None
    created_at: float | None = None
    body_hash: bytes | None = None
    sent_at: float | None = None
    settled_at: float | None = None
    receipt: bytes | None = None


class Accepted(Struct, frozen=True):
    """``seq`` orders the events of all homes; ``duplicate`` is the first one, when this one was not stored again."""

    seq: int
    duplicate: StoredEvent | None = None


class Settlement(Struct, frozen=True, kw_only=True):
    """What became of an event, for good or (``open-api-receipt``) once more; ``receipt`` is JSON."""

    id: str
    receipt: bytes
    settled_at: float
    sent_at: float | None = None


class HeldTotal(Struct, frozen=True):
    """What is held for one key of one home."""

    home_id: str
    key_id: str
    events: int
    bytes: int


class Quarantined(Struct, frozen=True, kw_only=True):
    """A body that could not be used, as what is kept of it: ``head`` is at most its first KiB."""

    home_id: str
    key_id: str
    route: str
    reason: str
    received_at: float
    size: int
    sha256: bytes
    head: bytes


class Relayed(Protocol):
    """The part of the storage that the path of an event uses."""

    def key_for(self, secret: str) -> Key:
        """Return the key of a secret, note its use, and end the secret that it replaces. No input or output.

        Raises:
            RequestError: 401 ``UNAUTHORIZED`` (unknown), ``KEY_REVOKED`` (or replaced) or ``KEY_EXPIRED``.
        """

    async def accept(self, event: NewEvent) -> Accepted:
        """Commit the event, unless its id, or its key with its idempotency key, was there before.

        Raises:
            RequestError: 422 ``IDEMPOTENCY_MISMATCH``, the same idempotency key came with another body.
            StoreError: it is not stored.
        """

    def settle(self, settlement: Settlement) -> None:
        """Note what became of an event. Its receipt counts at once; body erased and receipt committed soon after.

        A kill in between leaves the event held: it is sent to home again, which answers as for a duplicate.
        """

    async def flush(self) -> None:
        """Return when everything noted so far (settlements, uses) is committed."""

    async def write_behind(self) -> None:
        """Flush, for ever, soon after something is noted; a task of whoever serves. Failures are logged and retried."""

    async def held(
        self, home_id: str, after_seq: int, limit: int, most_bytes: int = 4_194_304
    ) -> Sequence[StoredEvent]:
        """Return the home's oldest events that have not settled, bodies included; at least one if there is one."""

    async def held_totals(self) -> Sequence[HeldTotal]:
        """Return what is held, by home and key: for the quotas, at start."""

    async def held_orders(self) -> Sequence[tuple[str, str, int]]:
        """Return home, order key and how many events of it are held: for the order, at start."""

    async def event(self, event_id: str) -> StoredEvent | None:
        """Return an event as it is now."""

    async def newest_of(self, key_id: str) -> StoredEvent | None:
        """Return the event that a key posted last, as it is now."""

    async def expire(self, received_before: float, now: float, limit: int = 500) -> Sequence[StoredEvent]:
        """Settle the oldest held events as expired and erase their bodies; return them, none when that was all."""

    async def prune(self, settled_before: float, limit: int = 500) -> int:
        """Forget what settled before then, and what a removed home left; return how much, 0 when there is no more."""

    async def prove(self) -> None:
        """Return when something as large as an ordinary event was committed, and nothing of it left.

        Raises:
            StoreError: an event could not be stored now.
        """

    async def quarantine(self, body: Quarantined) -> None:
        """Keep what could not be used, at most 1,000 per home, for as long as receipts."""


class Directory(Protocol):
    """The part of the storage that knows homes, instances and keys; only ``accounts.Accounts`` changes it.

    Reading is from memory; every change is in memory as soon as it is committed.
    """

    def homes(self) -> Sequence[Home]:
        """Return all homes, oldest first."""

    def home(self, home_id: str) -> Home | None:
        """Return a home."""

    async def put_home(self, home: Home) -> None:
        """Add or replace a home."""

    async def remove_home(self, home_id: str) -> None:
        """Remove a home with its keys, instances, codes and held events."""

    def instances(self, home_id: str) -> Sequence[Instance]:
        """Return the instances of a home, revoked ones too, oldest first."""

    def instance(self, instance_id: str) -> Instance | None:
        """Return an instance."""

    def instance_of(self, token_digest: bytes) -> Instance | None:
        """Return the instance of a refresh token's digest, revoked or not."""

    async def put_instance(self, instance: Instance, token_digest: bytes | None = None) -> None:
        """Add an instance (with the digest of its refresh token), or replace one."""

    def seen(self, instance_id: str) -> None:
        """Note that an instance came or left now; committed soon after."""

    def keys(self, home_id: str) -> Sequence[Key]:
        """Return the keys of a home, revoked ones too, oldest first, with their last use."""

    def key(self, key_id: str) -> Key | None:
        """Return a key."""

    def secrets(self, key_id: str) -> Sequence[Secret]:
        """Return the secrets of a key, oldest first."""

    async def put_key(self, key: Key, secrets: Iterable[Secret]) -> None:
        """Add or replace a key with all its secrets."""

    async def put_pair_code(self, code: PairCode) -> None:
        """Add a pairing code, in the place of the earlier one of its home."""

    async def take_pair_code(self, lookup: str, digest: bytes, now: float) -> PairCode | None:
        """Use a code up and return it, or count the try and return None. The count is committed either way."""

    def signing_secret(self) -> bytes:
        """Return the secret that access tokens are signed with; it stays the same as long as the storage exists."""


class Storage(Relayed, Directory, Protocol):
    """Everything that the gateway keeps; ``logins`` are a part of their own."""

    logins: SqliteLogins
