"""What takes a while to get where it is told: locks, garage doors and covers; pure.

A lock is delivered when it is there. A door or a cover is delivered when the accessory took the command, and told is
where it goes while it moves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from aiohomekit.model.characteristics import CharacteristicsTypes as Of
from aiohomekit.model.services import ServicesTypes as Kinds
from msgspec import Struct

from gladys_companion.drivers.homekit._accessories import Characteristic, Id, Service, number
from gladys_companion.drivers.homekit._part import Command, Names, Part, Range, Values, fitting, range_of
from gladys_companion.errors import Rejected

__all__ = ["cover", "garage_door", "lock"]

OPEN, STOP, CLOSE = 1, 0, -1  # as Gladys says it
UNSECURED, SECURED, JAMMED = 0, 1, 2  # LockCurrentState; 3 is unknown
IS_OPEN, IS_CLOSED, OPENS, CLOSES, STOPPED = range(5)  # CurrentDoorState; the first two are TargetDoorState too
SINKS, RISES, STANDS = range(3)  # PositionState


def lock(aid: int, service: Service, names: Names) -> Iterator[Part]:
    """Yield the part of a LockMechanism service: 1 where it is known to be locked; unknown is not told."""
    current, target = service.first(Of.LOCK_MECHANISM_CURRENT_STATE), service.first(Of.LOCK_MECHANISM_TARGET_STATE)
    if current is None or target is None or not current.readable:
        return
    bolt, wanted_bolt = (aid, current.iid), (aid, target.iid)

    def command(wanted: float, values: Values) -> Command:
        goal = fitting(target, wanted, (UNSECURED, SECURED))
        was_jammed = _whole(values.get(bolt)) == JAMMED

        def state(now: Values) -> Literal["there", "moving", "failed"]:
            if now.get(bolt) == goal:
                return "there"
            return "failed" if now.get(bolt) == JAMMED and not was_jammed else "moving"

        return Command({wanted_bolt: goal}, state=state)

    yield Part(
        component=f"{aid}.{target.iid}",
        name=names("Lock"),
        category="lock",
        type="binary",
        range=(UNSECURED, SECURED),
        reads=(bolt,),
        value=lambda values: {UNSECURED: 0, SECURED: 1, JAMMED: 0}.get(_whole(values.get(bolt))),
        command=command if target.writable else None,
    )


def garage_door(aid: int, service: Service, names: Names) -> Iterator[Part]:
    """Yield the parts of a GarageDoorOpener service: where it goes or is, and whether it is really closed."""
    current, target = service.first(Of.DOOR_STATE_CURRENT), service.first(Of.DOOR_STATE_TARGET)
    if current is None or target is None or not current.readable:
        return
    door, wanted_door = (aid, current.iid), (aid, target.iid)
    ways = {IS_OPEN: OPEN, OPENS: OPEN, IS_CLOSED: CLOSE, CLOSES: CLOSE, STOPPED: STOP}

    def command(wanted: float, values: Values) -> Command:
        if wanted not in {OPEN, CLOSE}:
            raise Rejected(f"A garage door can be opened ({OPEN}) and closed ({CLOSE}), not {wanted:g}.")
        goal, passing = (IS_OPEN, OPENS) if wanted == OPEN else (IS_CLOSED, CLOSES)
        return Command({wanted_door: goal}, {} if values.get(door) == goal else {door: passing})

    yield Part(
        component=f"{aid}.{target.iid}",
        name=names("Garage door"),
        category="garage-door",
        type="state",
        range=(CLOSE, OPEN),
        reads=(door,),
        value=lambda values: ways.get(_whole(values.get(door))),
        command=command if target.writable else None,
    )
    yield Part(
        component=f"{aid}.{current.iid}",
        name=names("Closed"),
        category="opening-sensor",
        type="binary",
        range=(0, 1),
        reads=(door,),
        value=lambda values: None if _whole(values.get(door)) not in ways else int(values[door] == IS_CLOSED),
    )


def cover(aid: int, service: Service, names: Names) -> Iterator[Part]:
    """Yield the parts of a WindowCovering, Window or Door service: its position, and the way it goes.

    A door lets people in, and is guarded as a garage door is.
    """
    current, target = service.first(Of.POSITION_CURRENT), service.first(Of.POSITION_TARGET)
    if current is None or target is None or not current.readable:
        return
    moves, hold = service.first(Of.POSITION_STATE), service.first(Of.POSITION_HOLD)
    one = _Cover(
        at=(aid, current.iid),
        to=(aid, target.iid),
        moving=(aid, moves.iid if moves is not None else -target.iid),
        hold=(aid, hold.iid) if hold is not None and hold.writable else None,
        target=target,
        range=range_of(target, (0, 100)),
    )
    reads = (one.at, one.to, one.moving)
    category = "garage-door" if service.type == Kinds.DOOR else "shutter"
    yield Part(
        component=f"{aid}.{target.iid}",
        name=names("Position"),
        category=category,
        type="position",
        unit="percent",
        range=one.range,
        reads=reads,
        value=one.position,
        command=one.move if target.writable else None,
    )
    yield Part(
        component=f"{aid}.{target.iid}.state",
        name=names("Cover"),
        category=category,
        type="state",
        range=(CLOSE, OPEN),
        reads=reads,
        value=one.way,
        command=one.steer if target.writable else None,
    )


class _Cover(Struct, frozen=True, kw_only=True):
    """The characteristics of one cover: where it is, where it is to go, whether it moves, and what halts it."""

    at: Id
    to: Id
    moving: Id
    hold: Id | None
    target: Characteristic
    range: Range

    def position(self, values: Values) -> float | None:
        """Return where it goes, or where it is when it stands."""
        there = number(values.get(self.to))
        moves = _whole(values.get(self.moving)) in {SINKS, RISES}
        return there if moves and there is not None else number(values.get(self.at))

    def way(self, values: Values) -> float | None:
        """Return whether it opens or is open, closes or is closed, or stands between."""
        here, there = number(values.get(self.at)), self.position(values)
        if here is None or there is None:
            return None
        if there != here:
            return OPEN if there > here else CLOSE
        least, most = self.range
        return OPEN if here >= most else CLOSE if here <= least else STOP

    def move(self, wanted: float, values: Values) -> Command:
        """Send it to a position."""
        goal = fitting(self.target, wanted, self.range)
        here = number(values.get(self.at))
        way = STANDS if here is None or goal == here else RISES if goal > here else SINKS
        return Command({self.to: goal}, {self.moving: way})

    def steer(self, wanted: float, values: Values) -> Command:
        """Open, close or stop it."""
        least, most = self.range
        if wanted in {OPEN, CLOSE}:
            return self.move(most if wanted == OPEN else least, values)
        if wanted != STOP:
            raise Rejected(f"A cover can be opened ({OPEN}), stopped ({STOP}) and closed ({CLOSE}), not {wanted:g}.")
        if self.hold is not None:
            return Command({self.hold: True}, {self.moving: STANDS})
        here = number(values.get(self.at))
        if here is None:
            raise Rejected("It does not say where it is, so it can not be stopped there.")
        return self.move(here, values)


def _whole(raw: object) -> int:
    return raw if isinstance(raw, int) and not isinstance(raw, bool) else -1
