"""The one multicast socket set of the process, on the interfaces that the configuration names, as they come and go."""

from __future__ import annotations

import difflib
import ipaddress
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Literal

import ifaddr
import structlog
from zeroconf import IPVersion
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.config import Discovery as Options
from gladys_companion.discovery.links import Links, open_links

__all__ = ["Mdns", "open_mdns", "select"]

Interfaces = list[str | int]
Adapters = tuple[ifaddr.Adapter, ...]
Addresses = frozenset[tuple[str, int | None]]

log = structlog.get_logger(__name__)


def select(options: Options, adapters: Iterable[ifaddr.Adapter]) -> tuple[Interfaces, tuple[str, ...]]:
    """Return what to listen on, as zeroconf takes it, and a sentence for each name not found.

    IPv4 and IPv6 addresses; of an interface whose IPv6 address others have too, its index. Where the configuration
    names none it is every interface; the loopback only where there is nothing else.
    """
    found: Interfaces = []
    missing = []
    known = tuple(adapters)
    counts = Counter(_text(one) for adapter in known for one in adapter.ips)
    for wanted in options.interfaces or _beyond_loopback(known):
        matching = [here for adapter in known for here in _on(adapter, wanted, counts, ipv6=options.ipv6)]
        if not matching:
            names = [adapter.nice_name for adapter in known]
            near = difflib.get_close_matches(wanted, names, n=1) or [", ".join(names) or "none"]
            missing.append(f"There is no interface or address {wanted!r} now; there is {near[0]}.")
        found += (here for here in matching if here not in found)
    return found, tuple(missing)


def _beyond_loopback(adapters: Adapters) -> tuple[str, ...]:
    names = dict.fromkeys(adapter.nice_name for adapter in adapters)
    beyond = dict.fromkeys(
        adapter.nice_name for adapter in adapters if not all(_is_loopback(_text(one)) for one in adapter.ips)
    )
    return tuple(beyond or names)


def _text(one: ifaddr.IP) -> str:
    return one.ip if isinstance(one.ip, str) else one.ip[0]


def _on(adapter: ifaddr.Adapter, wanted: str, counts: Mapping[str, int], *, ipv6: bool) -> Iterable[str | int]:
    """Yield what of an adapter a name or address means."""
    named = wanted in {adapter.name, adapter.nice_name}
    for one in adapter.ips:
        text = _text(one)
        if not named and not _same(text, wanted):
            continue
        if isinstance(one.ip, str) or (counts[text] == 1 and (ipv6 or not named)):
            yield text
        elif adapter.index is not None and (ipv6 or not named):
            yield adapter.index


def _same(text: str, wanted: str) -> bool:
    try:
        return ipaddress.ip_address(text) == ipaddress.ip_address(wanted.partition("%")[0])
    except ValueError:
        return False


class Mdns:
    """The shared zeroconf, and how it is: ``running``, ``off`` by configuration, or ``failed`` with its reason.

    When it is off or failed, ``zeroconf`` is there all the same and reaches nobody.
    """

    def __init__(self, zeroconf: AsyncZeroconf, options: Options, state: Literal["running", "off", "failed"]) -> None:
        self.zeroconf = zeroconf
        self.state: Literal["running", "off", "failed"] = state
        self.reason: str | None = None
        self.links = Links(None)
        self._options = options
        self._deaf = state != "running"
        self._addresses = _addresses(ifaddr.get_adapters())

    @property
    def loopback(self) -> bool:
        """Whether a device may be on this very machine: only where the configuration names its loopback."""
        return any(one == "lo" or _is_loopback(one) for one in self._options.interfaces)

    async def changed(self, within: float) -> bool:
        """``rescan`` as soon as the machine's network changed, or else after so many seconds.

        Returns whether what is on the network has to be asked for: an interface, an address or a carrier came or went.
        """
        came = await self.links.changed(within)
        return await self.rescan() or came

    async def rescan(self) -> bool:
        """Look which interfaces there are now: those that came are used, those that went are left.

        Returns whether anything changed.
        """
        if self._deaf:
            return False
        zeroconf, before = self.zeroconf.zeroconf, self._addresses
        senders = tuple(zeroconf.engine.senders)
        try:
            adapters = tuple(ifaddr.get_adapters())
            self._addresses = _addresses(adapters)
            interfaces, missing = select(self._options, adapters)
            if _replaced(before, self._addresses):  # zeroconf knows addresses only, and would keep dead sockets
                await zeroconf.async_update_interfaces([])
            await zeroconf.async_update_interfaces(interfaces, _version(interfaces))
        except (OSError, RuntimeError) as error:  # RuntimeError: an interface that was just listed is gone
            self._tell("failed", f"Multicast can not be used: {error}.")
        else:
            self._tell("failed" if not interfaces else "running", _reason(interfaces, missing))
        return self._addresses != before or tuple(zeroconf.engine.senders) != senders

    def _tell(self, state: Literal["running", "failed"], reason: str | None) -> None:
        if (state, reason) != (self.state, self.reason):
            log.log(30 if reason else 20, "mdns", state=state, reason=reason)
        self.state, self.reason = state, reason


def _is_loopback(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_loopback
    except ValueError:
        return False


def _addresses(adapters: Iterable[ifaddr.Adapter]) -> Addresses:
    return frozenset((_text(one), adapter.index) for adapter in adapters for one in adapter.ips)


def _replaced(before: Addresses, now: Addresses) -> bool:
    """Return whether an address is on another interface than before, if only on one of the same name."""
    return not {address for address, _ in before - now}.isdisjoint(address for address, _ in now)


def _reason(interfaces: Interfaces, missing: tuple[str, ...]) -> str | None:
    return " ".join(missing) or (None if interfaces else "There is no network interface with an address now.")


def _version(interfaces: Interfaces) -> IPVersion:
    return IPVersion.All if any(isinstance(one, int) or ":" in one for one in interfaces) else IPVersion.V4Only


def _open(options: Options) -> Mdns:
    if not options.enabled:
        return Mdns(_deaf(), options, "off")
    try:
        interfaces, missing = select(options, ifaddr.get_adapters())
        versions = dict.fromkeys((_version(interfaces), IPVersion.V4Only))
        for version in versions:
            try:
                mdns = Mdns(AsyncZeroconf(interfaces=interfaces, ip_version=version), options, "running")
                break
            except OSError as error:  # a kernel without IPv6
                if version is IPVersion.V4Only:
                    raise
                log.info("mdns without IPv6", reason=str(error))
    except (OSError, RuntimeError) as error:
        mdns = Mdns(_deaf(), options, "failed")
        mdns.reason = f"Multicast can not be used: {error}."
        return mdns
    mdns.reason = _reason(interfaces, missing)
    mdns.state = "running" if interfaces else "failed"
    return mdns


def _deaf() -> AsyncZeroconf:
    return AsyncZeroconf(interfaces=["127.0.0.1"], unicast=True)  # no port 5353, no multicast group


@asynccontextmanager
async def open_mdns(options: Options) -> AsyncIterator[Mdns]:
    """Open the sockets; never raises for a network that is not there (yet): see ``Mdns.state``."""
    mdns = _open(options)
    with open_links() as mdns.links:
        async with mdns.zeroconf:
            await mdns.zeroconf.zeroconf.async_wait_for_start()
            if mdns.reason:
                log.warning("mdns", state=mdns.state, reason=mdns.reason)
            yield mdns
