"""What is wished for people, phones and zones; an absent field stays as it is. Answers are ``presence.asked``'s."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

__all__ = [
    "AddPerson",
    "AddPhone",
    "AddZone",
    "ChangePerson",
    "ChangePhone",
    "ChangeZone",
    "Passphrase",
    "Reread",
]

Word = Annotated[str, Meta(min_length=1, max_length=200)]
Called = Annotated[str, Meta(max_length=255)]
Id = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
App = Literal["owntracks", "overland", "osmand", "traccar", "plus"]
Ids = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=65_536)], ...], Meta(max_length=100)]
Networks = Annotated[tuple[Called, ...], Meta(max_length=100)]
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Radius = Annotated[float, Meta(ge=10, le=2_000_000)]


class AddPerson(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person; ``home`` is the id of a zone, the rest is what Gladys knows them by."""

    name: Word
    id: Id | None = None
    home: Word | None = None
    gladys_user: Word | None = None
    gladys_house: Word | None = None


class ChangePerson(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be otherwise; null is none."""

    name: Word | UnsetType = UNSET
    home: Word | UnsetType | None = UNSET
    gladys_user: Word | UnsetType | None = UNSET
    gladys_house: Word | UnsetType | None = UNSET


class AddPhone(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A thing that a person carries, and what it calls itself: null is any. ``key`` is the id or name of its key."""

    name: Word
    person: Word | None = None
    id: Id | None = None
    app: App | None = None
    user: Called | None = None
    device: Called | None = None
    key: Called | None = None
    features: Ids = ()
    devices: Ids = ()


class ChangePhone(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be otherwise; null is nobody's, or any."""

    name: Word | UnsetType = UNSET
    person: Word | UnsetType | None = UNSET
    app: App | UnsetType | None = UNSET
    user: Called | UnsetType | None = UNSET
    device: Called | UnsetType | None = UNSET
    key: Called | UnsetType | None = UNSET
    features: Ids | UnsetType = UNSET
    devices: Ids | UnsetType = UNSET


class AddZone(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A circle in degrees and metres; without an exit radius the rule decides."""

    name: Word
    latitude: Latitude
    longitude: Longitude
    radius: Radius = 100.0
    exit_radius: Radius | None = None
    home: bool = False
    networks: Networks = ()
    id: Id | None = None


class ChangeZone(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be otherwise; a null exit radius is by rule."""

    name: Word | UnsetType = UNSET
    latitude: Latitude | UnsetType = UNSET
    longitude: Longitude | UnsetType = UNSET
    radius: Radius | UnsetType = UNSET
    exit_radius: Radius | UnsetType | None = UNSET
    home: bool | UnsetType = UNSET
    networks: Networks | UnsetType = UNSET


class Passphrase(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a phone's messages are sealed with; it is never told again."""

    passphrase: Annotated[str, Meta(min_length=1, max_length=1_000)]


class Reread(Struct, frozen=True, kw_only=True):
    """How many messages that were kept are read again."""

    messages: int
