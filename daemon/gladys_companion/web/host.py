"""What the local API asks of the composition that it runs in, or beside."""

from __future__ import annotations

from typing import Protocol

from gladys_companion.discovery import Seen
from gladys_companion.plugins import PluginRecord
from gladys_companion.ports import Trouble, Wanted
from gladys_companion.web.views import Adopt, Pair, Paired
from gladys_companion.web.vitals import Vitals

__all__ = ["Host"]


class Host(Protocol):
    """What only the composition can tell and do."""

    def vitals(self) -> Vitals:
        """Return how link, discovery and plug-ins are, now."""

    def scan(self) -> tuple[Seen, ...]:
        """Return what is announced on the network, and what became of it."""

    def trouble(self, device_id: str) -> Trouble | None:
        """Return what the driver says is wrong with a device now; None when all is well, or it does not tell."""

    async def pair(self, wish: Pair) -> Paired:
        """Pair with a gateway, keep the token, and connect.

        Raises:
            RequestError, AuthError: the gateway refused; the sentence says why.
            Unavailable: it can not be reached.
        """

    async def adopt(self, made: Adopt) -> Paired:
        """Keep the token and the keys of an instance that was made at Gladys Plus, and connect as it.

        Raises:
            RequestError: 422, the address is none.
        """

    async def unpair(self) -> str | None:
        """Forget the token, disconnect, and tell the gateway; return what is left to do there, if anything."""

    def wants(self, device_id: str) -> Wanted:
        """Return what a device wants of its owner before it can be driven.

        Raises:
            RequestError: 404: it is not announced; 409 ``NOT_PAIRABLE``: it wants nothing.
        """

    async def pair_device(self, device_id: str, code: str | None) -> Seen:
        """Gain a device's trust with a code, or None where it wants a hand; return what became of it.

        Raises:
            RequestError: as ``wants``.
            Rejected: the code is wrong, or the device does not agree.
            Unavailable: it did not answer.
        """

    async def unpair_device(self, device_id: str) -> None:
        """Forget what ``pair_device`` gained, here and if possible at the device.

        Raises:
            RequestError: as ``wants``.
            Rejected: it is done here, and something is left to do at the device.
        """

    def plugin(self, name: str) -> PluginRecord | None:
        """Return a loaded plug-in, whatever its status; None where it is not switched on."""

    async def forget(self, device_id: str) -> None:
        """Forget a device, in the registry and at its driver.

        Raises:
            RequestError: 404 when there is no such device.
        """
