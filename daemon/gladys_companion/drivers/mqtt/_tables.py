"""``[drivers.mqtt]``: which devices there are, on which topics they are heard and told, and what is wrong with that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, Struct

from gladys_companion.drivers import _templates as templates
from gladys_companion.drivers.following import FIRST_RETRY
from gladys_companion.errors import ConfigError

__all__ = ["Config", "DeviceTable", "MqttFeature", "check"]

LONGEST_TOPIC = 65_535  # bytes


class MqttFeature(templates.FeatureTable, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One feature. It is heard on ``state_topic`` and told on ``command_topic``; one of them may miss."""

    state_topic: str = ""
    command_topic: str = ""


class DeviceTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One device. It says on ``availability_topic`` whether it is there, in the words ``online`` and ``offline``."""

    id: templates.Component
    name: str = ""
    availability_topic: str = ""
    online: str = "online"
    offline: str = "offline"
    features: Annotated[tuple[MqttFeature, ...], Meta(min_length=1, max_length=256)]


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[drivers.mqtt]``; times in seconds."""

    answer_within: Annotated[float, Meta(gt=0, le=60)] = 5.0
    reconnect_most: Annotated[float, Meta(ge=FIRST_RETRY, le=3600)] = 30.0
    devices: tuple[DeviceTable, ...] = ()


def check(config: Config) -> None:
    """Look through the tables.

    Raises:
        ConfigError: the first mistake, with where it stands.
    """
    for number, device in enumerate(config.devices):
        where = f"[drivers.mqtt] devices[{number}] {device.id!r}"
        for sentence in _device(device, [one.id for one in config.devices[:number]]):
            raise ConfigError(f"{where}: {sentence}")
        for feature in device.features:
            for sentence in _feature(feature):
                raise ConfigError(f"{where} feature {feature.component!r}: {sentence}")


def _device(device: DeviceTable, before: list[str]) -> Iterator[str]:
    if device.id in before:
        yield "another device has this id."
    if device.availability_topic:
        yield from _topic("availability_topic", device.availability_topic)
        if device.online == device.offline:
            yield "online and offline are the same word."
    if (repeated := templates.repeated(device.features)) is not None:
        yield f"two features are called {repeated!r}."


def _feature(feature: MqttFeature) -> Iterator[str]:
    yield from templates.complaints(feature)
    if not feature.state_topic and not feature.command_topic:
        yield "it has neither state_topic nor command_topic, so nothing can be done with it."
    for name in ("state_topic", "command_topic"):
        if topic := getattr(feature, name):
            yield from _topic(name, topic)


def _topic(name: str, topic: str) -> Iterator[str]:
    if "+" in topic or "#" in topic:
        yield f"{name}: {topic!r} is a wildcard: name one topic."
    if "\x00" in topic or len(topic.encode("utf-8", "surrogatepass")) > LONGEST_TOPIC:
        yield f"{name}: it holds what MQTT does not allow, or is too long."
