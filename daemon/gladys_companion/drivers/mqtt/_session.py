"""What one described device says at the broker: read, kept, and told on; never waited for longer than is due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from gladys_companion.clock import Clock
from gladys_companion.drivers import _templates as templates
from gladys_companion.drivers.mqtt._tables import DeviceTable, MqttFeature
from gladys_companion.errors import ProtocolError, Rejected, Unanswered, Unavailable
from gladys_companion.mqtt import Connection, Message
from gladys_companion.ports import Trouble

__all__ = ["Session"]

LARGEST = 262_144  # bytes of a payload; a device's are a few hundred

Told = Callable[[MqttFeature, templates.Value, bool], None]
"""Is called with what the broker kept (True) or the device says now (False)."""


class Session:
    """One device while its topics are heard; ``offline`` is what it said itself.

    Args:
        table: the device.
        broker: the plug-in's connection.
        answer_within: seconds in which a command is to show in the device's state.
        clock: says since when something is wrong.
        told: is called with each value that it says.
        changed: is called when it comes or goes.
    """

    def __init__(
        self,
        table: DeviceTable,
        broker: Connection,
        answer_within: float,
        clock: Clock,
        told: Told = lambda *_: None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.table = table
        self._faults: dict[str, Trouble] = {}  # by topic
        self.offline = False
        self._name = table.name or table.id
        self._broker = broker
        self._answer_within = answer_within
        self._clock = clock
        self._told = told
        self._changed = changed
        self._says: dict[str, templates.Value] = {}
        self._heard = asyncio.Event()

    @property
    def topics(self) -> tuple[str, ...]:
        """All that is to be heard of it."""
        states = (feature.state_topic for feature in self.table.features)
        return tuple(dict.fromkeys(topic for topic in (self.table.availability_topic, *states) if topic))

    def hear(self, message: Message) -> None:
        """Take a message; see ``mqtt.Hear``."""
        text = message.payload[:LARGEST].decode("utf-8", "replace")
        before = self._faults.pop(message.topic.value, None)
        if message.topic.value == self.table.availability_topic:
            self._available(text.strip(), before)
        for feature in self.table.features:
            if feature.state_topic == message.topic.value:
                self._state(feature, text, before, kept=bool(message.retain))
        self._heard.set()

    def _available(self, word: str, before: Trouble | None) -> None:
        if word not in {self.table.online, self.table.offline}:
            topic = self.table.availability_topic
            self._wrong(
                topic, f"{self._name} says {word[:60]!r} on {topic}: see online and offline in [drivers.mqtt].", before
            )
            return
        was, self.offline = self.offline, word == self.table.offline
        if self.offline != was:
            self._changed()

    def _state(self, feature: MqttFeature, text: str, before: Trouble | None, *, kept: bool) -> None:
        try:
            value = templates.read_value(feature, text)
        except ProtocolError as error:
            topic = feature.state_topic
            self._wrong(
                topic, f"What {self._name} says on {topic} can not be read. {error} See [drivers.mqtt].", before
            )
            return
        if not kept:  # what the broker kept is from before any command
            self._says[feature.component] = value
        self._told(feature, value, kept)

    @property
    def fault(self) -> Trouble | None:
        """What was wrong with what it said last, if anything."""
        return next(iter(self._faults.values()), None)

    def _wrong(self, topic: str, says: str, before: Trouble | None) -> None:
        self._faults[topic] = Trouble(says, before.since if before else self._clock.now(), reached=True)

    async def set(self, feature: MqttFeature, value: templates.Value, *, momentary: bool) -> None:
        """Tell the device, and return when its state says so; where it has none, when the broker has the command.

        Raises:
            Unavailable: the broker or the device is away, or its state says something else.
            Rejected: it can not have this value.
        """
        if not feature.command_topic:
            raise Rejected(f"[drivers.mqtt] tells of no topic to command {feature.component!r} of {self._name} by.")
        payload = templates.filled(feature, feature.payload, value).encode("utf-8", "replace")
        if self.offline:
            raise Unavailable(f"{self._name} says that it is offline.")
        if momentary:
            await self._broker.publish_once(feature.command_topic, payload)
            return
        said = self._says.pop(feature.component, None)
        await self._broker.publish(feature.command_topic, payload)
        if feature.state_topic:
            await self._until(feature, value, said)

    async def _until(self, feature: MqttFeature, value: templates.Value, before: templates.Value | None) -> None:
        """Wait for its word; many devices say nothing where nothing changes, and what it said before holds then."""
        try:
            async with asyncio.timeout(self._answer_within):
                while self._says.get(feature.component) != value:
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            if before == value and feature.component not in self._says and not self.offline:
                self._says[feature.component] = value
                return
            said: Mapping[str, templates.Value] = self._says
            now = said.get(feature.component)
            heard = f"says {now}" if now is not None else f"said nothing on {feature.state_topic}"
            raise Unanswered(f"{self._name} was told, and {heard} within {self._answer_within:g} s.") from None
