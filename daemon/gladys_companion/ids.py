"""Identifiers that sort by the time they were made, so that an index on them grows at its end (UUID version 7)."""

from __future__ import annotations

import os
import threading

from gladys_companion.clock import SYSTEM

__all__ = ["new_id"]

_AT_ONCE = 256  # ids whose chance is asked of the kernel in one call

_lock = threading.Lock()
_last = 0
_chance = b""


def new_id() -> str:
    """Return a fresh UUIDv7 (RFC 9562, method 1: 12 bits of counter after the millisecond), lower case.

    Later ids of one process sort after earlier ones even when the clock is set back.
    """
    global _last, _chance  # noqa: PLW0603 - the one counter of the process
    tick = int(SYSTEM.now() * 1000) << 12
    with _lock:
        _last = max(_last + 1, tick)
        tick = _last
        if not _chance:
            _chance = os.urandom(8 * _AT_ONCE)
        drawn, _chance = _chance[:8], _chance[8:]
    value = (tick >> 12) << 80 | 0x7 << 76 | (tick & 0xFFF) << 64 | 0b10 << 62
    value |= int.from_bytes(drawn) & (1 << 62) - 1
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
