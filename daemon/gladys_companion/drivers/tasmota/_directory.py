"""Who has announced itself at the broker, as of each one's last messages; the garbage among them is told in the log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog
from msgspec import Struct

from gladys_companion.drivers._json import decoded
from gladys_companion.drivers.identity import mac_of
from gladys_companion.drivers.tasmota._announced import Announced, announced
from gladys_companion.errors import ProtocolError
from gladys_companion.mqtt import Message

__all__ = ["Directory"]

MOST_ANNOUNCED = 2_000  # far more than a home has; a broker may hold anything

log = structlog.get_logger(__name__)


class _Told(Struct):
    """The JSON of a device's two messages, and what they mean; ``complaint`` is what was logged last."""

    config: object = None
    sensors: object = None
    meaning: Announced | None = None
    complaint: str | None = None


class Directory:
    """Devices by MAC.

    ``changed`` is called with the MAC of a device that announces itself now, and whether that is news: it is new,
    another than it was, or announces itself no more.

    Args:
        prefix: the topics are ``<prefix>/<mac>/config`` and ``<prefix>/<mac>/sensors``.
        changed: returns at once.
    """

    def __init__(self, prefix: str, changed: Callable[[str, bool], None]) -> None:
        self.topics = (f"{prefix}/+/config", f"{prefix}/+/sensors")
        self._changed = changed
        self._told: dict[str, _Told] = {}
        self._news = asyncio.Event()

    def get(self, mac: str) -> Announced | None:
        """Return what is announced of a device."""
        return self._told[mac].meaning if mac in self._told else None

    async def wait_for(self, mac: str, within: float) -> Announced | None:
        """Return what is announced of a device, waiting some seconds for it where nothing is yet."""
        until = time.monotonic() + within
        while (found := self.get(mac)) is None:
            try:
                async with asyncio.timeout(until - time.monotonic()):
                    await self._news.wait()
            except TimeoutError:
                return None
        return found

    def hear(self, message: Message) -> None:
        """Take a message on one of ``topics``; an empty one takes back what was announced."""
        _, name, kind = message.topic.value.rsplit("/", 2)
        mac = mac_of(name)
        if mac is None or (mac not in self._told and len(self._told) >= MOST_ANNOUNCED):
            return
        told = self._told.setdefault(mac, _Told())
        before = told.meaning
        try:
            content = decoded(message.payload) if message.payload else None
            told.sensors, told.config = (told.sensors, content) if kind == "config" else (content, told.config)
            told.meaning = announced(mac, told.config, told.sensors) if told.config is not None else None
            complaint = told.meaning.complaint if told.meaning is not None else None
        except (ValueError, ProtocolError) as error:
            complaint = f"{error}"
        if complaint not in {None, told.complaint}:
            log.warning("not understood", topic=message.topic.value[:100], reason=complaint)
        told.complaint = complaint
        if told.config is None and told.sensors is None:
            del self._told[mac]
        if told.meaning != before:
            self._news.set()
            self._news = asyncio.Event()
            self._changed(mac, True)  # noqa: FBT003 - see ``changed``
        elif told.meaning is not None and kind == "config" and not message.retain:  # it has just come
            self._changed(mac, False)  # noqa: FBT003
