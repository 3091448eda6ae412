"""Server-sent events of a Hue bridge, from bytes: sans I/O. A line can not grow without bound."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["Stream"]

LONGEST = 1 << 20  # bytes of one event; a scene that changes fifty lamps is a fiftieth of it


class Stream:
    """Takes bytes as they come. The format is html.spec.whatwg.org/multipage/server-sent-events.html."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[tuple[str, dict[str, Any]]]:
        """Return what changed, in order: ``add``, ``update`` or ``delete``, and the resource, all or part of it.

        Raises:
            ValueError: it is no JSON, or too long.
            TypeError, LookupError: the JSON is not a bridge's.
        """
        self._buffer += chunk
        lines: list[bytearray] = []
        if b"\n" in chunk:
            *lines, self._buffer = self._buffer.split(b"\n")
        found: list[tuple[str, dict[str, Any]]] = []
        for line in lines:
            if not line.strip():
                found += self._dispatched()
            elif line.startswith(b"data:"):
                self._data.append(bytes(line[5:].strip()))
        if len(self._buffer) + sum(map(len, self._data)) > LONGEST:
            msg = f"an event is longer than {LONGEST} bytes"
            raise ValueError(msg)
        return found

    def _dispatched(self) -> list[tuple[str, dict[str, Any]]]:
        text, self._data = b"\n".join(self._data), []
        if not text:
            return []
        return [(str(event["type"]), dict(resource)) for event in json.loads(text) for resource in event["data"]]
