"""OwnTracks: what its apps post, as typed values; what can never be used is a ``ProtocolError`` that says why.

An accuracy of 0 is unknown, not perfect; a battery of -1 is unknown; latitude and longitude 0 are places. Encryption is
in ``box``, answers to the phone in ``answers``, who the phone is in ``identity``.
Sources: the OwnTracks booklet (https://owntracks.org/booklet/tech/json/) and the apps' own message schema
(owntracks/ios ``message.json``).
"""

from gladys_companion.protocol.owntracks._messages import (
    Beacon,
    Card,
    Command,
    Configuration,
    Encrypted,
    Message,
    Request,
    Status,
    Steps,
    Transition,
    Waypoint,
    Waypoints,
    Will,
)
from gladys_companion.protocol.owntracks._read import decode, read

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
    "decode",
    "read",
]
