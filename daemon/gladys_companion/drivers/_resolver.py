"""Lets an HTTP client reach a device under a name made from its identity, wherever the device is now.

Libraries that insist on port 80 (python-wled) connect to the port given here too, because aiohttp takes both address
and port from its resolver.
"""

import ipaddress
import socket
from collections.abc import Callable

from aiohttp.abc import AbstractResolver, ResolveResult

__all__ = ["Endpoint", "EndpointResolver"]

Endpoint = tuple[str, int]
"""An IP address, IPv6 without brackets and with its scope (``fe80::1%eth0``) where it needs one, and a port."""


class EndpointResolver(AbstractResolver):
    """Resolves the names that ``lookup`` knows and no other: nothing is ever asked of DNS.

    ``lookup`` is called once for every new connection, with the host in lower case, so that an address that changed is
    followed; give the connector ``use_dns_cache=False``. A ``dict.get`` will do. An unknown host is an ``OSError``.
    """

    def __init__(self, lookup: Callable[[str], Endpoint | None]) -> None:
        self._lookup = lookup

    async def resolve(
        self,
        host: str,
        port: int = 0,  # noqa: ARG002 - the name decides the port
        family: socket.AddressFamily = socket.AF_UNSPEC,
    ) -> list[ResolveResult]:
        """The one endpoint of ``host``; OSError where it is unknown, or is not of the ``family`` asked for."""
        if (endpoint := self._lookup(host.lower())) is None:
            msg = f"no device is known as {host}"
            raise OSError(msg)
        address, real_port = endpoint
        actual = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET  # noqa: PLR2004
        if family not in {socket.AF_UNSPEC, actual}:
            msg = f"{host} is at {address}, which the connection may not use"
            raise OSError(msg)
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [ResolveResult(hostname=host, host=address, port=real_port, family=actual, proto=0, flags=flags)]

    async def close(self) -> None:
        """Nothing is held."""
