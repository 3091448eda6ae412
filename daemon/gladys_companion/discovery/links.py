"""Tells that the machine's network changed as soon as the kernel says so: an address, an interface, a carrier.

Where the kernel can not be listened to, nobody is told, and whoever waits looks for himself now and then.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Links", "carriers", "open_links"]

# rtnetlink(7), linux/rtnetlink.h and linux/if.h
GROUPS = 0x1 | 0x10 | 0x100  # links, IPv4 addresses, IPv6 addresses
NEW_LINK, GONE_LINK = 16, 17
RUNNING = 0x40
HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
LINK = struct.Struct("=BxHiII")  # family, type, index, flags, change
ALIGNED = 4

LARGEST = 65_536
SETTLE = 0.25  # an interface that comes is a handful of messages


def carriers(messages: bytes) -> Iterator[tuple[int, bool]]:
    """Yield index of an interface and whether it has a carrier, for each message about one. Never raises."""
    position = 0
    while position + HEADER.size <= len(messages):
        length, kind, _, _, _ = HEADER.unpack_from(messages, position)
        if length < HEADER.size:
            return
        if kind in {NEW_LINK, GONE_LINK} and position + HEADER.size + LINK.size <= len(messages):
            _, _, index, flags, _ = LINK.unpack_from(messages, position + HEADER.size)
            yield index, kind == NEW_LINK and bool(flags & RUNNING)
        position += (length + ALIGNED - 1) // ALIGNED * ALIGNED


class Links:
    """What ``open_links`` gives."""

    def __init__(self, listener: socket.socket | None) -> None:
        self._listener = listener
        self._running: dict[int, bool] = {}

    async def changed(self, within: float) -> bool:
        """Return when something changed, or else after so many seconds; whether a carrier came (back).

        What was sent while there was none was not heard: it has to be asked for.
        """
        if self._listener is None:
            await asyncio.sleep(within)
            return False
        try:
            async with asyncio.timeout(within):
                came = self._read(await asyncio.get_running_loop().sock_recv(self._listener, LARGEST))
        except TimeoutError:
            return False
        except OSError:  # more happened than the kernel keeps for us
            came = True
        await asyncio.sleep(SETTLE)
        while True:
            try:
                came = self._read(self._listener.recv(LARGEST)) or came
            except BlockingIOError:
                return came
            except OSError:
                came = True

    def _read(self, messages: bytes) -> bool:
        came = False
        for index, running in carriers(messages):
            came = came or (running and not self._running.get(index))
            self._running[index] = running
        return came


@contextmanager
def open_links() -> Iterator[Links]:
    """Listen to the kernel, if it lets us."""
    try:
        listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
    except (AttributeError, OSError):  # not Linux, or forbidden
        yield Links(None)
        return
    with listener:
        try:
            listener.bind((0, GROUPS))
        except OSError:
            yield Links(None)
        else:
            yield Links(listener)
