"""How deliveries settle, as values: each by itself, and all that one transaction settled."""

from __future__ import annotations

from msgspec import Struct

from gladys_companion.model import DeliveryState

__all__ = ["OVERTAKEN", "SENT", "Settled", "Settlement", "overtaken"]

SENT = "it was sent, and the device did not say that it did it: it may have, or do so when it wakes"
OVERTAKEN = "a newer command came"


class Settlement(Struct, frozen=True, kw_only=True):
    """One delivery that settled, or that waits again (``pending``); times in seconds.

    ``newest`` is the newest event when the attempt began: what a device told later is newer than what it then did.
    ``sent``: the attempt reached the device, which did not say that it did it.
    """

    seq: int
    target: str
    state: DeliveryState
    reason: str | None = None
    retry_at: float = 0.0
    newest: int = 0
    sent: bool = False


class Settled(Struct, frozen=True, kw_only=True):
    """What ``settle`` wrote beside what it was given: others that settled with it; lanes that may go on."""

    also: tuple[Settlement, ...] = ()
    lanes: tuple[str, ...] = ()


def overtaken(seq: int, target: str, *, sent: bool) -> Settlement:
    """Return how a command settles that a newer one overtakes; what was sent can not be taken back."""
    if sent:
        return Settlement(seq=seq, target=target, state="unknown", reason=f"{OVERTAKEN}; {SENT}")
    return Settlement(seq=seq, target=target, state="superseded", reason=OVERTAKEN)
