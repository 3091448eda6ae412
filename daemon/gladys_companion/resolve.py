"""``plan()``: what is to become of an event. Pure and total: an event and a registry snapshot in, a plan out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct, structs

from gladys_companion.model import (
    ANY_KEY,
    Device,
    Event,
    Feature,
    Kind,
    Plan,
    PlannedDelivery,
    Refusal,
    RegistrySnapshot,
)

__all__ = [
    "GLADYS",
    "GLADYS_API",
    "GLADYS_DEVICES",
    "INLINE",
    "OUTSIDE",
    "PRESENCE",
    "SIGNALS",
    "VIRTUAL",
    "addressable",
    "late_reason",
    "once",
    "plan",
]

VIRTUAL = "virtual"  # the driver whose features have no hardware: their value is what was written
GLADYS = "gladys"  # the sink that tells Gladys, and the origin of what Gladys wants
GLADYS_DEVICES = "gladys_devices"  # the driver of what Gladys has already
GLADYS_API = "gladys_api"  # the sink that tells Gladys of people and messages, which its broker has no topic for
INLINE = "inline"  # where Gladys is given what Gladys Plus sent it, while the companion stands between the two
PRESENCE = "presence"  # takes what phones tell, and is the origin and the driver of what that comes to
SIGNALS = "signals"  # takes named events
TEST = "companion-test"  # a signal by which a phone's page tries the way up to Gladys: it does nothing there
OUTSIDE = frozenset({"gateway"})  # origins that only reach what is exposed
MOST_SHOWN = 100  # characters of an id in a sentence


def addressable(registry: RegistrySnapshot, feature: Feature, external_id: str, key_id: str | None) -> bool:
    """Return whether an event from outside may address a feature by this external id.

    Virtual features, aliases and exposed features may be addressed, and what Gladys has and can only be told of, as a
    phone's presence; a sensitive one only by a key in its allow list.
    """
    keys = registry.exposed.get(feature.external_id, frozenset())
    device = registry.devices.get(feature.device)
    if device is not None and device.driver == VIRTUAL and not feature.sensitive:
        return True
    if feature.sensitive:
        return key_id is not None and key_id in keys
    if _of_gladys(device) and not feature.writable:
        return True
    by_alias = external_id in registry.aliases and external_id not in registry.features
    return by_alias or ANY_KEY in keys or (key_id is not None and key_id in keys)


def _of_gladys(device: Device | None) -> bool:
    return device is not None and device.driver == GLADYS_DEVICES


def _refuse(status: int, code: str, sentence: str, **data: object) -> Plan:
    return Plan(state="rejected", refusal=Refusal(status=status, code=code, sentence=sentence, data=data))


def _shown(external_id: str) -> str:
    return external_id if len(external_id) <= MOST_SHOWN else external_id[: MOST_SHOWN - 3] + "..."


def _number(value: float) -> str:
    """Return a number as people write it, while that is not too long to read."""
    return f"{value:.6f}".rstrip("0").rstrip(".") if abs(value) < 1e15 else f"{value:g}"  # noqa: PLR2004


def _bounds(feature: Feature, value: float) -> str | None:
    if feature.min is not None and value < feature.min:
        return f"{_number(value)} is below the least, {_number(feature.min)}"
    if feature.max is not None and value > feature.max:
        return f"{_number(value)} is above the most, {_number(feature.max)}"
    return None


def _state(event: Event, registry: RegistrySnapshot) -> Plan:
    external_id = event.external_id or ""
    key_id = event.key.id if event.key else None
    feature = registry.feature(external_id)
    outside = event.origin in OUTSIDE
    if feature is None or (outside and not addressable(registry, feature, external_id, key_id)):
        refusal = Refusal(
            status=404,
            code="DEVICE_FEATURE_NOT_FOUND",
            sentence=f"No device feature {_shown(external_id)!r} is known here, or this key may not address it. "
            "The event is kept at home, where `events list --state unbound` shows it.",
        )
        return Plan(state="unbound", refusal=refusal)
    if not feature.textual and event.value is None:
        return _refuse(422, "INVALID_STATE", f"{_shown(external_id)!r} takes a number, not a text.", field="state")
    device = registry.devices.get(feature.device)
    own = device is not None and _is_its_own(event, device)
    if device is not None and not own and not feature.writable and device.driver not in {VIRTUAL, GLADYS_DEVICES}:
        worked_out = device.driver == PRESENCE
        why = "it is worked out from what phones tell" if worked_out else "the device itself says what it is"
        sentence = f"{_shown(external_id)!r} can only be read: {why}."
        return _refuse(422, "NOT_SETTABLE", sentence, field="device_feature_external_id")
    commands = feature.writable and device is not None and device.driver != VIRTUAL and not own
    bounds = None if feature.textual or event.value is None else _bounds(feature, event.value)
    if bounds and feature.writable and not own:
        return _refuse(422, "STATE_OUT_OF_RANGE", f"{bounds} of {_shown(external_id)!r}.", field="state")
    deliveries = []
    if device is not None and device.driver == VIRTUAL:
        deliveries.append(PlannedDelivery(target=VIRTUAL, lane=device.id, state="verified"))
    elif commands and device is not None:
        deliveries.append(PlannedDelivery(target=device.driver, lane=device.id))
    told = tuple(_told(event, registry, device, own=own, writable=feature.writable))
    deliveries += [PlannedDelivery(target=name, lane=name) for name in told]
    if not registry.witnesses.isdisjoint({feature.external_id, external_id}):
        deliveries.append(PlannedDelivery(target=PRESENCE, lane=PRESENCE))
    return Plan(
        state="planned",
        feature=feature,
        deliveries=tuple(deliveries),
        applies=not commands,
        warning=f"{bounds}; it was taken all the same." if bounds else _untold(device, told, quiet=commands or own),
    )


def _is_its_own(event: Event, device: Device) -> bool:
    """Return whether an event is what the device's own side tells of it, and therefore nothing to command.

    What Gladys wants of a device of its own, it has told that device itself: sent back, it would never end.
    """
    return event.origin == device.driver or (event.origin == GLADYS and _of_gladys(device))


def _told(
    event: Event, registry: RegistrySnapshot, device: Device | None, *, own: bool, writable: bool
) -> Iterator[str]:
    """Yield the sinks that are told.

    Gladys is not told what it did or said itself of a device of its own. Of a device of ours that was shared with it
    it is told what became of its own command too, for it waits for that.
    """
    for name in registry.targets:
        if name in {GLADYS_API, INLINE}:
            continue
        if name != GLADYS or device is None:
            tells = name != event.origin
        elif _of_gladys(device):
            tells = not (own or writable)
        else:
            tells = event.origin != GLADYS or (writable and device.id in registry.shared)
        if tells:
            yield name


def _untold(device: Device | None, told: tuple[str, ...], *, quiet: bool) -> str | None:
    """Return a warning where a device of Gladys was told something, and Gladys was not."""
    if quiet or GLADYS in told or not _of_gladys(device):
        return None
    return "Gladys was not told: [sinks.gladys] is not switched on at home."


_TOO_LATE: dict[Kind, str] = {  # for Gladys' API, where all is of now
    "location": "a position that is late never moves the one that Gladys has last",
    "presence": "it came too late to be told as if it were now: it is history",
    "message": "Gladys takes a message for a wish of now, and this one is late",
    "signal": "a scene that is late is not started",
}


class _About(Struct, frozen=True):
    """What decides of a derived event whether Gladys is told, and whether twice is one too many."""

    gladys_user: Any = None
    state: Any = None
    home: Any = None


_about = msgspec.json.Decoder(_About)


def _what(event: Event) -> _About:
    try:
        return _about.decode(event.body or "")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _About()


def late_reason(delivery: PlannedDelivery, feature: Feature | None, event: Event) -> str | None:
    """Return why a late event must not go to this target; None where it still may, as history.

    A command is never late for a device. A text has no history at Gladys, and neither has anything but a number that
    it is given by its API or in the place of its gateway. What tells where somebody was is never too late for that.
    """
    if delivery.lane != delivery.target:
        return "older than its time to live when its turn came"
    if delivery.target in {GLADYS_API, INLINE} and event.kind in _TOO_LATE:
        return _TOO_LATE[event.kind]
    if delivery.target == SIGNALS:
        return "a signal that is late does nothing"
    textual = feature.textual if feature is not None else event.kind == "state" and event.value is None
    if delivery.target != PRESENCE and textual:
        return "a text that is late can not be told as history"
    return None


def once(target: str, event: Event, feature: Feature | None) -> bool:
    """Return whether to do it twice would be once too often: then a delivery that may have been done is not repeated.

    A click, a message, a scene; not a position, nor that somebody is at home.
    """
    if target == INLINE and event.kind != "state":
        return event.kind in {"message", "signal"}
    if target != GLADYS_API:
        return feature is not None and feature.momentary
    if event.kind == "presence":
        about = _what(event)
        return not (about.home is True and about.state == "in")
    return event.kind in {"message", "signal"}


def _signal(event: Event, registry: RegistrySnapshot) -> Plan:
    name = event.external_id
    if name is None:
        sentence = 'The signal has no name: send {"event": "nfc:front-door"}, with the name of yours.'
        return _refuse(422, "INVALID_FIELD", sentence, field="event")
    if name == TEST and name not in registry.signals:
        ways = (way for way in (GLADYS, GLADYS_API) if way in registry.targets)
        return Plan(state="planned", deliveries=tuple(PlannedDelivery(target=way, lane=way) for way in ways))
    keys = registry.signals.get(name, frozenset())
    key_id = event.key.id if event.key else ""
    if name in registry.signals and (event.origin not in OUTSIDE or not keys.isdisjoint({ANY_KEY, key_id})):
        return _to(SIGNALS)
    sentence = (
        f"No signal {_shown(name)!r} is known here, or this key may not send it. It is kept, and does nothing: "
        "[signals] in the configuration at home says what a signal does."
    )
    return Plan(state="unbound", refusal=Refusal(status=404, code="SIGNAL_NOT_FOUND", sentence=sentence))


def plan(event: Event, registry: RegistrySnapshot) -> Plan:
    """Return what is to become of an event.

    A state is a command for a writable device of another origin, a value for a virtual or read-only one, and news for
    every open sink but its origin. What a phone tells of where it is goes to presence; what presence makes of it, of
    people that Gladys knows, and messages and the scenes of signals, to Gladys' API, if that is switched on; a signal
    to what it is to do. What Gladys Plus sent goes to Gladys as well, in the place of its gateway.
    """
    planned = _plan(event, registry)
    return planned if event.relayed is None or INLINE not in registry.targets else _passed_on(planned, event, registry)


def _plan(event: Event, registry: RegistrySnapshot) -> Plan:
    match event.kind:
        case "state":
            return _state(event, registry)
        case "location" | "transition" if event.origin != PRESENCE:
            return _to(PRESENCE)
        case "signal" if event.origin != SIGNALS:
            return _signal(event, registry)
    return _for_gladys(event, registry)


def _for_gladys(event: Event, registry: RegistrySnapshot) -> Plan:
    """Return the plan of what only Gladys' API takes: people that Gladys knows, messages, and scenes to be started."""
    said = event.kind in {"message", "signal"}
    if INLINE in registry.targets and event.kind == "location":
        return Plan(state="planned")  # Gladys is given each position as it came
    if GLADYS_API in registry.targets and (said or _what(event).gladys_user):
        return _to(GLADYS_API)
    if said:
        sentence = "It is kept, and told nobody: [sinks.gladys_api] is not switched on at home, which tells Gladys."
        return _refuse(501, "UNSUPPORTED_ACTION", sentence)
    return Plan(state="planned")


_NOT_HERE = "Nothing here knows it, or this key may not address it: it was only passed on to Gladys, which may."


def _passed_on(planned: Plan, event: Event, registry: RegistrySnapshot) -> Plan:
    """Return the plan with Gladys in it, unless it is told better, or the event makes no sense.

    What is unknown here may be known there. By MQTT, Gladys is not told the same thing once more under the same id; by
    its API, Gladys is given messages, for its side of the gateway does nothing with them.
    """
    inline = PlannedDelivery(target=INLINE, lane=INLINE)
    if planned.state == "unbound" or (planned.refusal is not None and event.kind != "state"):
        return Plan(state="planned", deliveries=(inline,), warning=_NOT_HERE)
    feature = planned.feature
    device = registry.devices.get(feature.device) if feature is not None else None
    commanded = feature is not None and feature.writable and _of_gladys(device)
    told = {one.target for one in planned.deliveries}
    if planned.state != "planned" or commanded or GLADYS_API in told:
        return planned
    same = feature is None or feature.external_id == event.external_id
    rest = tuple(one for one in planned.deliveries if one.target != GLADYS or not same)
    untold = planned.warning is not None and planned.warning == _untold(device, tuple(told), quiet=False)
    return structs.replace(planned, deliveries=(*rest, inline), warning=None if untold else planned.warning)


def _to(target: str) -> Plan:
    return Plan(state="planned", deliveries=(PlannedDelivery(target=target, lane=target),))
