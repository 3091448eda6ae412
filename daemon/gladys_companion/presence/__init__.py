"""Where people are: a pure engine from what phones and the home tell to who is in which zone, and why."""

from gladys_companion.presence.engine import (
    Decision,
    Result,
    State,
    advance,
    begin,
    dump,
    explain,
    forget,
    observe,
    restore,
)
from gladys_companion.presence.evidence import Crossing, Evidence, Hint, Position, crossing, position
from gladys_companion.presence.rules import Rules, Zone

__all__ = [
    "Crossing",
    "Decision",
    "Evidence",
    "Hint",
    "Position",
    "Result",
    "Rules",
    "State",
    "Zone",
    "advance",
    "begin",
    "crossing",
    "dump",
    "explain",
    "forget",
    "observe",
    "position",
    "restore",
]
