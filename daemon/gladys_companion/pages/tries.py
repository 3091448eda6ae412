"""How often somebody may be wrong, in memory that does not grow."""

from __future__ import annotations

from gladys_companion.clock import Clock
from gladys_companion.errors import RequestError

__all__ = ["Tries"]

MOST_TRIERS = 10_000


class Tries:
    """Counts tries by sender, ``most`` within so many seconds, but for those that were right."""

    def __init__(self, clock: Clock, most: int, within: float, what: str) -> None:
        self._clock = clock
        self._most = most
        self._within = within
        self._what = what
        self._spent: dict[str, tuple[int, float]] = {}

    def spend(self, sender: str) -> None:
        """Count a try before it is made, so that many at once are no way around it.

        Raises:
            RequestError: 429, the sender has used its tries up.
        """
        now = self._clock.elapsed()
        count, since = self._spent.get(sender, (0, now))
        waits = since + self._within - now
        if waits <= 0:
            count, since = 0, now
        elif count >= self._most:
            seconds = int(waits) + 1
            sentence = f"{self._most} {self._what}: try again in {seconds} s."
            raise RequestError(429, "TOO_MANY_REQUESTS", sentence, retry_after=seconds)
        self._spent[sender] = (count + 1, since)
        if len(self._spent) > MOST_TRIERS:
            del self._spent[next(iter(self._spent))]

    def forgive(self, sender: str) -> None:
        """Forget the tries of a sender who was right."""
        self._spent.pop(sender, None)
