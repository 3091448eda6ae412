"""Gladys' own refresh token, seen on its way through: in memory only, and in no log, no listing and no database."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["SeenToken"]

OK = 200
REFUSED = frozenset({401, 403})


def _nobody() -> None:
    """Tell nobody."""


class SeenToken:
    """Keeps the last refresh token that the upstream accepted; ``changed`` is called when there is another.

    ``value`` is None before the first and after the upstream refused it.
    """

    def __init__(self, changed: Callable[[], None] = _nobody) -> None:
        self.value: str | None = None
        self._changed = changed

    def __repr__(self) -> str:
        return f"SeenToken({'known' if self.value else 'none'})"

    def answered(self, token: str, status: int) -> None:
        """Take note of what the upstream said to a refresh token: it counts once accepted, until refused.

        That another one is refused says nothing of this, and an upstream that fails says nothing of any.
        """
        if not token:
            return
        if status == OK and token != self.value:
            self.value = token
            self._changed()
        elif status in REFUSED and token == self.value:
            self.value = None
