"""What the conformance suite knows of the device at hand: how to find and change it, and the truth about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pytest

from gladys_companion.config import Gladys, Mqtt
from gladys_companion.model import Device, Feature, RegistrySnapshot, Service
from gladys_companion.ports import Plugin, Secrets

__all__ = ["MemorySecrets", "Rig"]


class Rig:
    """The device at hand, and how to know the truth about it without the driver.

    ``name`` and ``plugin`` are as in the entry point; ``config`` is its TOML table, with time-outs of a fraction of a
    second; ``mqtt`` is the broker and ``gladys`` the Gladys, if it needs one; ``device`` is where it is now;
    ``service`` is its announcement, None without mDNS; ``secrets`` is what was gained by pairing. Of the methods only
    ``read`` must be there: what stays as it is here is skipped, and told.
    """

    name: str
    plugin: Plugin
    device: Device
    service: Service | None = None
    config: Mapping[str, Any] = MappingProxyType({})
    mqtt: Mqtt = Mqtt()
    gladys: Gladys = Gladys()
    registry: RegistrySnapshot = RegistrySnapshot()
    secrets: Secrets | None = None

    async def read(self, feature: Feature) -> float | str | None:
        """Return the value that the device has now."""
        raise NotImplementedError

    def values(self, feature: Feature) -> Sequence[float | str]:
        """Return the values that a writable feature is to be given, one after the other: texts where it takes texts.

        Unless said, the ends of its range.
        """
        if feature.min is None or feature.max is None or feature.textual:
            return ()
        return (feature.max, feature.min, feature.max, feature.max)

    async def touch(self) -> tuple[str, float]:
        """Change it as a person at the device does; return the external id and the value to be told."""
        pytest.skip("no hand can change it")

    async def move(self) -> Device:
        """Give it another address or port, and return where it is."""
        pytest.skip("it has no address")

    async def hang(self) -> None:
        """Make it accept connections, and never answer."""
        pytest.skip("it can not hang")

    async def recover(self) -> None:
        """End ``hang``."""

    async def babble(self) -> None:
        """Make it answer what its protocol does not allow."""
        pytest.skip("it has no protocol")

    async def dawdle(self) -> None:
        """Make it answer right, but one byte at a time, so that no answer is whole within the driver's time-out."""
        pytest.skip("it can not be slow")

    async def flood(self, number: int) -> tuple[str, float]:  # noqa: ARG002 - what overrides it needs it
        """Change it so often by hand, as fast as it can tell; return the external id and the last value."""
        pytest.skip("it does not tell changes by itself")


class MemorySecrets:
    """``ports.Secrets`` for as long as the test lasts."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    async def get(self, name: str) -> bytes | None:
        """Return it."""
        return self._kept.get(name)

    async def set(self, name: str, value: bytes | None) -> None:
        """Keep or forget it."""
        self._kept.pop(name, None)
        if value is not None:
            self._kept[name] = value
