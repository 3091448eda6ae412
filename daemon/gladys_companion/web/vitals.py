"""How a daemon is, as the local API and ``doctor`` tell it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

__all__ = [
    "Check",
    "Counts",
    "InlineStatus",
    "LinkStatus",
    "MdnsStatus",
    "PluginStatus",
    "Status",
    "Vitals",
]


class LinkStatus(Struct, frozen=True, kw_only=True):
    """The link to the gateway. ``waiting``: between two attempts; ``parked``: refused, and only the user can help.

    ``primary`` is false while the home's messages go to another instance than this one (``instance``).
    ``clock_offset`` is by how many seconds the gateway's clock is ahead of ours, as measured at the last connect.
    ``heartbeat_at``: when its last heartbeat came; ``silent_for``: seconds for which it was not heard at all.
    """

    state: Literal["unpaired", "connecting", "connected", "waiting", "parked"]
    url: str | None = None
    home: str | None = None
    since: float | None = None
    reason: str | None = None
    clock_offset: float | None = None
    primary: bool = True
    instance: str | None = None
    heartbeat_at: float | None = None
    silent_for: float = 0.0


class InlineStatus(Struct, frozen=True, kw_only=True):
    """In-line mode. ``state`` is the connection to Gladys Plus: ``unknown`` before Gladys has shown its token.

    ``parked``: Gladys Plus refuses that token. ``gladys``: Gladys is connected, to ``listen``. ``dropped`` counts what
    either side said while the other was away, and did not want to be answered.
    """

    state: Literal["unknown", "connecting", "connected", "waiting", "parked"]
    gladys: bool
    listen: str
    upstream: str
    since: float | None = None
    reason: str | None = None
    dropped: int = 0


class MdnsStatus(Struct, frozen=True, kw_only=True):
    """Discovery. ``gladys`` is where a Gladys was found on the network.

    ``unused`` counts what is announced of kinds whose driver is not switched on, by the driver's name.
    """

    state: Literal["running", "off", "failed"]
    services: int = 0
    gladys: str | None = None
    reason: str | None = None
    unused: dict[str, int] = {}


class PluginStatus(Struct, frozen=True, kw_only=True):
    """One configured plug-in; when all is well ``status`` is ``open`` and there is no ``reason``."""

    name: str
    group: str
    status: str
    reason: str | None = None


class Vitals(Struct, frozen=True, kw_only=True):
    """How the parts are that only the composition knows. ``troubles``: a sentence for each device out of reach.

    ``inline`` is None while in-line mode is off.
    """

    link: LinkStatus
    mdns: MdnsStatus
    inline: InlineStatus | None = None
    plugins: tuple[PluginStatus, ...] = ()
    troubles: tuple[str, ...] = ()


class Counts(Struct, frozen=True, kw_only=True):
    """How much is in the database. ``signals`` are names of signals that came and of which nothing is said."""

    devices: int
    features: int
    aliases: int
    events: int
    unbound: int
    pending: int
    newest_at: float | None = None
    signals: tuple[str, ...] = ()


class Status(Vitals, frozen=True, kw_only=True):
    """The whole of ``GET /api/status``. ``store`` is None, or why the database can not be used right now.

    ``kept``: how many messages of which phone can not be used yet, and why (``sealed``, ``nobody``). ``advice``: what
    is to be done for Gladys to be told of people.
    """

    running: bool
    version: str
    pid: int
    started_at: float
    counts: Counts | None = None
    store: str | None = None
    kept: dict[str, dict[str, int]] = {}
    advice: tuple[str, ...] = ()


class Check(Struct, frozen=True, kw_only=True):
    """One finding of ``doctor``; ``todo`` is empty when there is nothing to do."""

    name: str
    state: Literal["ok", "warn", "fail"]
    says: str
    todo: str = ""
