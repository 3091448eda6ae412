"""The words of the project as frozen values: events, devices, features, plans, deliveries, receipts.

Nothing here does anything; nothing of ours but the leaves is imported. All times are seconds: ``at`` and ``*_at`` since
the epoch, ``deadline`` on the boot clock (``clock.Clock.elapsed``).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import msgspec
from msgspec import Struct

from gladys_companion.ids import new_id

__all__ = [
    "ANY_KEY",
    "Delivery",
    "DeliveryState",
    "Device",
    "Event",
    "Feature",
    "Kind",
    "Outcome",
    "Plan",
    "PlannedDelivery",
    "Receipt",
    "Refusal",
    "RegistrySnapshot",
    "Sender",
    "Service",
    "TargetReceipt",
    "Way",
    "report",
]

Kind = Literal["state", "location", "transition", "presence", "message", "signal"]
DeliveryState = Literal[
    "pending", "sending", "delivered", "verified", "superseded", "expired", "rejected", "unknown"
]  # the last six are settled and never change again, but for delivered -> verified
Way = Literal["rest", "mqtt"]  # by which Gladys was given a device: created there, or announced for its user to add
Outcome = Literal["delivered", "accepted", "held", "expired", "superseded", "rejected"]

ANY_KEY = "*"

SENSITIVE = frozenset(
    {"lock", "access-control", "alarm", "siren", "curtain", "shutter", "awning", "pergola", "garage-door"}
)
MOMENTARY = frozenset({("button", "click"), ("button", "push"), ("light", "toggle"), ("switch", "toggle")})


class Sender(Struct, frozen=True, omit_defaults=True):
    """The key (of a phone, at the gateway) that an event came with."""

    id: str
    name: str = ""


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened at a time.

    ``value`` and ``text`` are both set where a numeric string came, so that the feature decides which it is. ``dated``
    says that the sender named the time itself. After ``deadline`` (boot clock of ``boot``) the event is late: it is
    history, and commands nothing. ``body`` is the JSON of kinds that are not states. The ``external_id`` of a signal is
    its name. ``relayed`` is the whole message as Gladys Plus sent it, JSON, for as long as Gladys is to be given it.
    """

    id: str
    kind: Kind = "state"
    origin: str
    at: float
    received_at: float
    deadline: float
    boot: str
    external_id: str | None = None
    value: float | None = None
    text: str | None = None
    dated: bool = False
    key: Sender | None = None
    cause: str | None = None
    body: str | None = None
    relayed: str | None = None


class Feature(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that a device measures or does, as in Gladys; ``device`` is the id of its device."""

    external_id: str
    device: str
    name: str
    category: str
    type: str
    unit: str | None = None
    min: float | None = None
    max: float | None = None
    writable: bool = False
    keep_history: bool = True

    @property
    def textual(self) -> bool:
        """Whether its values are text."""
        return self.type == "text"

    @property
    def sensitive(self) -> bool:
        """Whether a command needs its key in the home's own allow list (locks, garage doors, alarms, covers)."""
        return self.category in SENSITIVE

    @property
    def momentary(self) -> bool:
        """Whether sending a command twice does it twice."""
        return (self.category, self.type) in MOMENTARY


class Device(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A device, identified by a MAC or serial (``wled:a8032ab12345``); where it is now is only an attribute."""

    id: str
    driver: str
    name: str
    model: str = ""
    host: str | None = None
    address: str | None = None
    port: int | None = None
    seen_at: float | None = None
    away_since: float | None = None


class Service(Struct, frozen=True, kw_only=True):
    """One mDNS service instance, already bounded: at most 64 TXT entries of 255 bytes, 8 addresses."""

    type: str
    name: str
    host: str
    addresses: tuple[str, ...]
    port: int
    txt: Mapping[str, str]


class RegistrySnapshot(Struct, frozen=True, kw_only=True):
    """Everything that ``plan()`` may look at, as it was at one moment.

    ``aliases`` maps another external id onto a feature's own; ``exposed`` maps a feature's own external id onto the ids
    of keys that may command it, ``ANY_KEY`` among them if everybody may; ``targets`` are the names of the open sinks;
    ``shared`` maps the id of a device that Gladys was given onto the way; ``witnesses`` are external ids of features
    that tell where a person is; ``signals`` maps names of signals onto the ids of keys that may send them, ``ANY_KEY``
    among them if everybody may.
    """

    devices: Mapping[str, Device] = MappingProxyType({})
    features: Mapping[str, Feature] = MappingProxyType({})
    aliases: Mapping[str, str] = MappingProxyType({})
    exposed: Mapping[str, frozenset[str]] = MappingProxyType({})
    targets: tuple[str, ...] = ()
    shared: Mapping[str, Way] = MappingProxyType({})
    witnesses: frozenset[str] = frozenset()
    signals: Mapping[str, frozenset[str]] = MappingProxyType({})

    def feature(self, external_id: str) -> Feature | None:
        """Return the feature that an external id or an alias means; a feature's own id comes first."""
        return self.features.get(external_id) or self.features.get(self.aliases.get(external_id, ""))


class Refusal(Struct, frozen=True, kw_only=True):
    """Why an event can not be taken; ``data`` joins the error body (``field``, ``nearest``)."""

    status: int
    code: str
    sentence: str
    data: dict[str, Any] = {}


class PlannedDelivery(Struct, frozen=True):
    """One event on its way to one target. ``lane`` keeps the order: one per device, one per other target."""

    target: str
    lane: str
    state: DeliveryState = "pending"
    reason: str | None = None


class Plan(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to become of an event: deliveries, or a refusal; ``unbound`` keeps it until someone binds its id."""

    state: Literal["planned", "unbound", "rejected", "quarantined"]
    feature: Feature | None = None
    deliveries: tuple[PlannedDelivery, ...] = ()
    applies: bool = False  # value and history are written with the journal entry, not when a delivery settles
    refusal: Refusal | None = None
    warning: str | None = None


class Delivery(Struct, frozen=True, kw_only=True):
    """What a Target is given: the event, what it is about, and whether it is late (then it commands nothing)."""

    seq: int
    event: Event
    target: str
    lane: str
    feature: Feature | None
    device: Device | None
    late: bool = False
    attempts: int = 0


class TargetReceipt(Struct, frozen=True, omit_defaults=True):
    """What became of an event at one target; ``ms`` is counted from its commit at home."""

    target: str
    state: DeliveryState
    ms: float | None = None
    reason: str | None = None


class Receipt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The ack, and the phone's body. Status 200 delivered, 202 accepted or held, 400 and more an error."""

    status: int
    id: str
    outcome: Outcome
    duplicate: bool = False
    held_until: float | None = None
    targets: tuple[TargetReceipt, ...] = ()
    warning: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    field: str | None = None
    nearest: tuple[str, ...] = ()

    def body(self) -> dict[str, Any]:
        """Return it as JSON-ready members, ``duplicate`` always among them."""
        members: dict[str, Any] = msgspec.to_builtins(self)
        members.setdefault("duplicate", False)
        return members


def report(  # noqa: PLR0913 - the members of an event
    *,
    origin: str,
    external_id: str,
    now: float,
    elapsed: float,
    boot: str,
    value: float | None = None,
    text: str | None = None,
    ttl: float = 60.0,
) -> Event:
    """Return the event of a device (or of Gladys) that tells a state of its own, now."""
    return Event(
        id=new_id(),
        origin=origin,
        at=now,
        received_at=now,
        deadline=elapsed + ttl,
        boot=boot,
        external_id=external_id,
        value=value,
        text=text,
    )
