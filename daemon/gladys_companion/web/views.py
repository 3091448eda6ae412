"""What goes over the local API, as values: requests that are refused when they do not fit, and answers.

Times are seconds since the epoch. The OpenAPI document is made from these types.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from gladys_companion.model import DeliveryState, Kind, Outcome, Way
from gladys_companion.ports import Trouble

__all__ = [
    "AddDevice",
    "AddFeature",
    "Adopt",
    "AliasView",
    "ChangeSetting",
    "DeviceView",
    "EventView",
    "Expose",
    "Exposed",
    "FeatureView",
    "Hop",
    "MakeAlias",
    "Pair",
    "Paired",
    "Rename",
    "SetPassword",
    "SetValue",
    "Share",
    "Shared",
    "TraceView",
    "Unpaired",
]

Text = Annotated[str, Meta(min_length=1, max_length=65_536)]
Word = Annotated[str, Meta(min_length=1, max_length=200)]


class FeatureView(Struct, frozen=True, kw_only=True):
    """A feature with its last value; ``exposed`` are the ids of the keys that may command it, ``*`` for every key."""

    external_id: str
    name: str
    category: str
    type: str
    unit: str | None
    min: float | None
    max: float | None
    writable: bool
    value: float | None
    text: str | None
    value_at: float | None
    aliases: tuple[str, ...]
    exposed: tuple[str, ...]


class DeviceView(Struct, frozen=True, kw_only=True):
    """A device with its features; ``away_since`` is set while it is not on the network.

    ``trouble`` is what its driver says is wrong with it, although it is said to be there. ``shared``: how Gladys was
    given it.
    """

    id: str
    driver: str
    name: str
    model: str
    host: str | None
    address: str | None
    port: int | None
    seen_at: float | None
    away_since: float | None
    trouble: Trouble | None
    features: tuple[FeatureView, ...]
    shared: Way | None = None


class AliasView(Struct, frozen=True, kw_only=True):
    """Another external id of a feature; ``device`` is the name of the feature's device, None if it is gone."""

    alias: str
    external_id: str
    device: str | None


class EventView(Struct, frozen=True, kw_only=True):
    """An event as lists show it; ``seq`` is what ``before`` and ``after`` page by."""

    seq: int
    id: str
    kind: Kind
    state: str
    origin: str
    external_id: str | None
    feature: str | None
    value: float | None
    text: str | None
    at: float
    received_at: float
    warning: str | None
    outcome: Outcome


class Hop(Struct, frozen=True, kw_only=True):
    """One step of an event's way; ``ms`` is counted from its commit at home."""

    hop: str
    at: float | None
    ms: float | None
    state: DeliveryState | str | None = None
    reason: str | None = None
    attempts: int | None = None


class TraceView(Struct, frozen=True, kw_only=True):
    """An event with its receipt, and hop by hop."""

    id: str
    kind: Kind
    state: str
    origin: str
    external_id: str | None
    feature: str | None
    value: float | None
    text: str | None
    at: float
    received_at: float
    dated: bool | int
    warning: str | None
    key_id: str | None
    key_name: str | None
    cause: str | None
    body: str | None
    receipt: dict[str, Any]
    hops: tuple[Hop, ...]


class AddFeature(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A feature of a virtual device; category and type are Gladys' words.

    ``writable``: a state of it is a command, refused out of range; else it is news, taken with a warning.
    """

    external_id: Text
    name: Word | None = None
    category: Word = "unknown"
    type: Word = "unknown"
    unit: Word | None = None
    min: float | None = None
    max: float | None = None
    writable: bool = False
    keep_history: bool = True


class AddDevice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A virtual device: a phone, or anything without hardware of its own."""

    name: Word
    id: Word | None = None
    features: Annotated[tuple[AddFeature, ...], Meta(min_length=1, max_length=1_000)]


class Rename(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name of the user's, which discovery never overwrites."""

    name: Word


class SetValue(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value for a feature of the device, as a phone would send it."""

    external_id: Text
    value: float | str | bool


class Expose(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose keys may command a feature; none given means every key."""

    external_id: Text
    key_ids: tuple[Word, ...] = ()


class Exposed(Struct, frozen=True, kw_only=True):
    """A feature, and the ids of all keys that may command it now; ``*`` is every key."""

    external_id: str
    key_ids: tuple[str, ...]


class MakeAlias(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another external id for a feature."""

    alias: Text
    external_id: Text


class ChangeSetting(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of ``PUT /api/settings/{name}``; a number may be text, as people type it."""

    value: Annotated[str, Meta(max_length=200)] | float


class SetPassword(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of ``PUT /api/password``; null: there is none any more."""

    password: str | None

    def __repr__(self) -> str:
        return "SetPassword(...)"


class Pair(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A gateway and a pairing code of it; ``name`` is how the gateway lists this home's companion."""

    url: Word
    code: Word
    name: Word = "companion"


class Adopt(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An instance that was made at Gladys Plus: what it connects with, and its private keys (JWK, as JSON)."""

    url: Word
    id: Word
    name: Word
    refresh_token: Annotated[str, Meta(min_length=1, max_length=5_000)]
    rsa_private_key: Annotated[str, Meta(min_length=1, max_length=5_000)]
    ecdsa_private_key: Annotated[str, Meta(min_length=1, max_length=5_000)]


class PairDevice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The PIN, key or password that a device wants; None where it wants a hand (a button pressed)."""

    code: Annotated[str, Meta(min_length=1, max_length=500)] | None = None


class Share(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How Gladys is given a device: created there by ``rest``, or announced by ``mqtt``; None: as [gladys] allows."""

    by: Way | None = None


class Shared(Struct, frozen=True, kw_only=True):
    """What became of it, and what is left to do. ``left_out`` are external ids that Gladys can not show."""

    device: str
    by: Way | None
    says: str
    left_out: tuple[str, ...] = ()


class Unpaired(Struct, frozen=True, kw_only=True):
    """``warning``: what is left to do at the gateway or device, which could not be told."""

    warning: str | None = None


class Paired(Struct, frozen=True, kw_only=True):
    """What the home is known as at the gateway; ``warning``: another instance gets its messages."""

    url: str
    home_id: str
    home_name: str
    instance_id: str
    warning: str | None = None
