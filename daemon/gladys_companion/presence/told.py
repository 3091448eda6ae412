"""What one message of a phone says, whatever app it is of: fixes, crossings, or nothing of where it is. Pure."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from gladys_companion.errors import ProtocolError
from gladys_companion.model import Event
from gladys_companion.presence.phones import Names
from gladys_companion.protocol import owntracks, trackers
from gladys_companion.protocol.fields import object_of
from gladys_companion.protocol.fixes import Fix
from gladys_companion.protocol.owntracks import Encrypted, Transition
from gladys_companion.protocol.owntracks.box import open_envelope
from gladys_companion.protocol.people import Reported

__all__ = ["Told", "names_of", "read_told", "reported"]

_SAYS = {
    owntracks.Waypoint: "a region of the phone",
    owntracks.Waypoints: "the regions of the phone",
    owntracks.Will: "the phone lost its connection",
    owntracks.Card: "how its person is shown",
    owntracks.Status: "what the app may do on its phone",
    owntracks.Command: "an order, which phones take and do not give",
    owntracks.Configuration: "the settings of the app",
    owntracks.Steps: "steps that were counted",
    owntracks.Beacon: "a Bluetooth beacon is near",
    owntracks.Request: "a request for tours, which there are none of here",
}
_decoder = msgspec.json.Decoder(Reported)
_FEW = 3


class Told(Struct, frozen=True, kw_only=True):
    """What a message says. ``device`` is the name that it gives itself; ``sealed``: its passphrase is not known.

    ``note`` is what the trace shows beside: what was left out and why, or what a message without a place was.
    """

    fixes: tuple[Fix, ...] = ()
    crossing: Transition | None = None
    device: str | None = None
    sealed: bool = False
    note: str | None = None


def reported(event: Event) -> Reported:
    """Return what a phone told, from the journal.

    Raises:
        ProtocolError: it was no phone that told it.
    """
    try:
        return _decoder.decode(event.body or "")
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ProtocolError("It is not what a phone told of where it is, and moves nobody.") from None


def names_of(event: Event, told: Reported) -> Names:
    """Return who a message says it is of, and the key that it came with."""
    key = event.key
    return Names(
        told.app, told.user, told.device, key.id if key else None, key.name if key is not None and key.name else None
    )


def read_told(told: Reported, passphrase: str | None) -> Told:
    """Return what a message says; its times are judged by the gateway's clock.

    Raises:
        ProtocolError: it can never be used; with ``data["keep"]``, not with this passphrase. The sentence says why.
    """
    raw, now = bytes(told.raw), told.gateway_at
    match told.app:
        case "owntracks":
            return _owntracks(raw, now, passphrase)
        case "overland":
            return _batch(trackers.decode_overland(raw, now))
        case "traccar":
            return _tracked(trackers.decode_traccar(raw, now))
        case "osmand":
            members = object_of(raw, "A position of the OsmAnd protocol")
            words = {name: value for name, value in members.items() if isinstance(value, str)}
            return _tracked(trackers.decode_osmand(words, now))
        case "plus":
            return _tracked(trackers.decode_plus(object_of(raw, "A location of Gladys Plus"), now))
    raise ProtocolError(f"It came by an app {told.app[:40]!r} that is not known here: update this program.")


def _owntracks(raw: bytes, now: float, passphrase: str | None) -> Told:
    message = owntracks.decode(raw, now)
    if isinstance(message, Encrypted):
        if passphrase is None:
            return Told(sealed=True)
        message = open_envelope(message, passphrase, now)
    match message:
        case None:
            return Told(note="an empty message")
        case Fix():
            return Told(fixes=(message,))
        case Transition():
            return Told(crossing=message)
    return Told(note=f"{_SAYS.get(type(message), 'a message')}: it says nothing of where the phone is")


def _tracked(tracked: trackers.Tracked) -> Told:
    return Told(fixes=(tracked.fix,), device=tracked.device)


def _batch(batch: trackers.Batch) -> Told:
    if not batch.fixes and batch.faults:
        raise ProtocolError(batch.faults[0])
    device = next((one.device for one in reversed(batch.fixes) if one.device), None)
    note = None
    if batch.faults:
        more = f" and {len(batch.faults) - _FEW} more" if len(batch.faults) > _FEW else ""
        note = f"{len(batch.faults)} left out: {' '.join(batch.faults[:_FEW])}{more}"
    elif not batch.fixes:
        note = "no position is in it"
    return Told(fixes=tuple(one.fix for one in batch.fixes), device=device, note=note)
