"""What OwnTracks' apps say, as frozen values; a ``location`` is a ``Fix``, as of every other app.

Source: the OwnTracks booklet (https://owntracks.org/booklet/tech/json/).
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from gladys_companion.protocol.fixes import Fix

__all__ = [
    "Beacon",
    "Card",
    "Command",
    "Configuration",
    "Encrypted",
    "Message",
    "Request",
    "Status",
    "Steps",
    "Transition",
    "Waypoint",
    "Waypoints",
    "Will",
]


class Transition(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A phone's system saw it enter or leave a region, by circle (``c``), beacon (``b``) or position (``l``).

    Coordinates are where that was, None where the phone did not say; accuracy in metres.
    """

    key: str
    at: float
    entered: bool
    region: str
    region_id: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    accuracy: float | None = None
    trigger: str | None = None
    tracker_id: str | None = None


class Waypoint(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A region of the phone: a circle, a beacon, or both. ``at`` is when it was made, seconds since the epoch."""

    key: str
    name: str
    at: float | None = None
    latitude: float | None = None
    longitude: float | None = None
    radius: float | None = None
    region_id: str | None = None
    beacon: str | None = None
    major: int | None = None
    minor: int | None = None


class Waypoints(Struct, frozen=True, kw_only=True):
    """All regions of the phone; ``faults`` says what was wrong with those that are left out."""

    key: str
    waypoints: tuple[Waypoint, ...]
    faults: tuple[str, ...] = ()


class Will(Struct, frozen=True, kw_only=True):
    """The broker lost the phone, which had connected ``at``. It says nothing of where the phone is."""

    key: str
    at: float | None


class Card(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a person is shown: a name, and a face as Base64 of a PNG."""

    key: str
    name: str | None = None
    face: str | None = None
    tracker_id: str | None = None


class Status(Struct, frozen=True, kw_only=True):
    """What the app may do on its phone: ``ios`` or ``android`` and the permissions, as the app words them."""

    key: str
    members: dict[str, Any]


class Command(Struct, frozen=True, kw_only=True):
    """An order, which phones take and do not give: kept, never done."""

    key: str
    action: str


class Configuration(Struct, frozen=True, kw_only=True):
    """The app's settings, sent on request. They may hold a password: never show them."""

    key: str
    members: dict[str, Any]


class Steps(Struct, frozen=True, kw_only=True):
    """Steps between two times; None where the phone does not count them."""

    key: str
    at: float
    steps: int | None
    since: float | None
    until: float | None


class Beacon(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A Bluetooth beacon that the phone ranged: ``proximity`` 1 at hand, 2 near, 3 far, None unknown."""

    key: str
    at: float
    uuid: str
    major: int | None = None
    minor: int | None = None
    name: str | None = None
    proximity: int | None = None
    signal: int | None = None


class Request(Struct, frozen=True, kw_only=True):
    """What the phone asks for (tours), which we do not have."""

    key: str
    request: str


class Encrypted(Struct, frozen=True, kw_only=True):
    """An envelope: ``data`` is Base64 of nonce, MAC and ciphertext. ``owntracks_box`` opens it."""

    key: str
    data: str


Message = (
    Fix
    | Transition
    | Waypoint
    | Waypoints
    | Will
    | Card
    | Status
    | Command
    | Configuration
    | Steps
    | Beacon
    | Request
    | Encrypted
)
