"""Which answer belongs to which question, where each of two connections counts its own: bounded, and nothing hangs.

A question that passes gets a number of ours. What becomes of it is told once: by its answer, by ``late`` after its
time, or by ``lost`` when the connection that it went to has ended.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

__all__ = ["Acks"]

T = TypeVar("T")


class Acks(Generic[T]):
    """The questions under way on one connection. ``T`` is what it takes to answer who asked.

    Args:
        most: how many may be under way at once.
        within: seconds that an answer may take.
        first: the first number.
    """

    def __init__(self, most: int, within: float, first: int = 0) -> None:
        self._most = most
        self._within = within
        self._next = first
        self._asked: OrderedDict[int, tuple[float, T]] = OrderedDict()  # the oldest first

    def __len__(self) -> int:
        return len(self._asked)

    def ask(self, asker: T, now: float) -> int | None:
        """Return the number under which to pass a question on; None when too many are under way.

        ``now`` is in seconds of a clock that never goes back.
        """
        if len(self._asked) >= self._most:
            return None
        number = self._next
        self._next += 1
        self._asked[number] = (now + self._within, asker)
        return number

    def answered(self, number: int | None) -> T | None:
        """Return whose question is answered; None when nobody waits for it, or no more."""
        found = self._asked.pop(number, None) if number is not None else None
        return found[1] if found is not None else None

    def next_late(self) -> float | None:
        """Return when the oldest question is late; None when none is under way."""
        return next(iter(self._asked.values()))[0] if self._asked else None

    def late(self, now: float) -> list[T]:
        """Forget the questions whose time is over, and return who asked them, the oldest first."""
        late: list[T] = []
        while self._asked and next(iter(self._asked.values()))[0] <= now:
            late.append(self._asked.popitem(last=False)[1][1])
        return late

    def lost(self) -> list[T]:
        """Forget all questions, and return who asked them, the oldest first: the connection has ended."""
        lost = [asker for _until, asker in self._asked.values()]
        self._asked.clear()
        return lost
