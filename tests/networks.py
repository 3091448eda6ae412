"""Networks of a test's own: Linux network namespaces, each held by a thread, joined by virtual cables.

Nothing in them reaches a real network, and no other mDNS responder answers there. Needs root and the program `ip`.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import subprocess
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import pytest

from tests.needs import program

__all__ = ["Network", "far", "near", "own_network"]

CLONE_NEWNET = 0x40000000

P = ParamSpec("P")
T = TypeVar("T")


def _unshare() -> str:
    """Give this thread a network with nothing but a loopback that is down; return why not, if not."""
    failed = ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET)
    return os.strerror(ctypes.get_errno()) if failed else ""


class Network:
    """One network; what its thread opens and starts is in it. Made by ``own_network``."""

    def __init__(self, thread: ThreadPoolExecutor) -> None:
        self._thread = thread
        self.thread_id = thread.submit(threading.get_native_id).result()

    def inside(self, *command: str) -> tuple[str, ...]:
        """Return the command that runs a command in this network, from wherever it is started."""
        return (str(program("nsenter")), f"--net=/proc/{os.getpid()}/task/{self.thread_id}/ns/net", *command)

    def ip(self, *arguments: str) -> None:
        """Run ``ip`` in this network."""
        done = subprocess.run(
            self.inside(str(program("ip")), *arguments), check=False, stderr=subprocess.PIPE, text=True
        )
        assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"

    def cable(self, name: str, other: Network, other_name: str) -> None:
        """Join this network with another by a cable, whose ends are interfaces with these names and are down."""
        self.ip("link", "add", name, "type", "veth", "peer", "name", other_name, "netns", str(other.thread_id))

    def up(self, name: str, *addresses: str) -> None:
        """Bring an interface up with these addresses (``10.1.0.1/24``) and no other, ready to be used at once."""
        self.ip("link", "set", name, "addrgenmode", "none", "up")
        for address in addresses:
            self.add(name, address)

    def add(self, name: str, address: str) -> None:
        """Give an interface one more address, without waiting for duplicate address detection."""
        self.ip("address", "add", address, "dev", name, *(("nodad",) if ":" in address else ()))

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in the network: the sockets that it opens and the programs that it starts are there."""
        return await asyncio.wrap_future(self._thread.submit(function, *args, **kwargs))

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the network, in an event loop of its own."""
        return self._thread.submit(asyncio.run, main).result()


@contextmanager
def own_network() -> Iterator[Network]:
    """Give a network with nothing but a loopback that is down; ends the test as `needs` does where none may be made."""
    with ThreadPoolExecutor(1, thread_name_prefix="network") as thread:
        if error := thread.submit(_unshare).result():
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs a network namespace: {error}")
        yield Network(thread)


@pytest.fixture
def near() -> Iterator[Network]:
    """A network for the home."""
    with own_network() as network:
        yield network


@pytest.fixture
def far() -> Iterator[Network]:
    """A network for the devices."""
    with own_network() as network:
        yield network
