"""The running daemon as others see it: how its parts are, and what only the composition can do."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import ClientSession

from gladys_companion.clock import Clock
from gladys_companion.config import Config
from gladys_companion.discovery import Discovery, Mdns, Seen
from gladys_companion.errors import Unavailable
from gladys_companion.intake import Intake
from gladys_companion.link import Link, Pairing, pairing
from gladys_companion.plugins import PluginRecord
from gladys_companion.ports import Hindered, Target, Trouble, Wanted
from gladys_companion.presence.service import PresenceService
from gladys_companion.resolve import PRESENCE
from gladys_companion.store.registry import Registry
from gladys_companion.store.secrets import StoredSecrets
from gladys_companion.store.writer import SqliteStore
from gladys_companion.web.service import paired
from gladys_companion.web.views import Adopt, Pair, Paired
from gladys_companion.web.vitals import InlineStatus, LinkStatus, MdnsStatus, PluginStatus, Vitals

if TYPE_CHECKING:  # it costs a quarter of a second, which only who wants it pays
    from gladys_companion.inline import Inline, Relay

__all__ = ["Daemon"]


class Daemon:
    """The running daemon; made by ``open_daemon``. Implements ``web.host.Host``."""

    def __init__(  # noqa: PLR0913 - the parts of a daemon, each named at its call
        self,
        config: Config,
        store: SqliteStore,
        registry: Registry,
        intake: Intake,
        presence: PresenceService,
        *,
        http: ClientSession,
        context: ssl.SSLContext,
        clock: Clock,
    ) -> None:
        self.config = config
        self.store = store
        self.registry = registry
        self.intake = intake
        self.presence = presence
        self.clock = clock
        self.started_at = clock.now()
        self.plugins: dict[str, PluginRecord] = {}
        self.targets: dict[str, PluginRecord] = {}  # that are no plug-ins, and always there
        self.add_target(PRESENCE, presence)
        self.discovery: Discovery | None = None
        self.mdns: Mdns | None = None
        self.local: tuple[str, int] | None = None
        self.pairing: Pairing | None = None
        self.link: Link | None = None
        self.inline: Inline | None = None
        self._secrets = StoredSecrets(store, "link")
        self._repaired = asyncio.Event()
        self._linked = asyncio.Event()
        self.opened = asyncio.Event()  # set when every plug-in is open, or failed
        self._http = http
        self._context = context

    def add_target(self, name: str, target: Target) -> None:
        """Let events end there too; before anything is delivered."""
        self.targets[name] = PluginRecord(name=name, group="sinks", target=target, status="open")

    @property
    def silent_for(self) -> float:
        """For how many seconds the gateway was not heard; 0 without one."""
        return self.link.silent_for if self.pairing is not None and self.link is not None else 0.0

    def vitals(self) -> Vitals:
        """Return how link, discovery and plug-ins are, now."""
        state = LinkStatus(state="unpaired")
        if self.pairing is not None and self.link is not None:
            link = self.link.state
            state = LinkStatus(
                state=link.state,
                url=self.pairing.url,
                home=self.pairing.home_name,
                since=link.since,
                reason=link.reason,
                clock_offset=link.clock_offset,
                primary=link.primary,
                instance=self.pairing.instance_id,
                heartbeat_at=link.heartbeat_at,
                silent_for=self.silent_for,
            )
        records = tuple(
            PluginStatus(name=one.name, group=one.group, status=one.status, reason=one.reason or _trouble(one))
            for one in (*self.plugins.values(), *(one for one in self.targets.values() if one.status != "open"))
        )
        return Vitals(
            link=state,
            mdns=self._mdns_status(),
            inline=self._inline_status(),
            plugins=records,
            troubles=self._troubles(),
        )

    def _troubles(self) -> tuple[str, ...]:
        """Return a sentence for each device that can not be used, known or only announced, but for those away."""
        known = self.registry.snapshot.devices
        here = (one for one in known.values() if one.away_since is None)
        told = [(one.name, told.says) for one in here if (told := self.trouble(one.id))]
        new = (one for one in self.scan() if one.device not in known and one.driver is not None)
        told += [(one.name, one.says) for one in new if one.state in {"refused", "silent"}]
        names: dict[str, set[str]] = {}
        for name, says in told:
            names.setdefault(says, set()).add(name)
        return tuple(
            f"{next(iter(some))}: {says}" if len(some) == 1 else f"{len(some)} devices: {says}"
            for says, some in names.items()
        )

    def _inline_status(self) -> InlineStatus | None:
        if self.inline is None:
            return None
        link = self.inline.link.state if self.inline.link is not None else None
        return InlineStatus(
            state=link.state if link is not None else "unknown",
            gladys=self.inline.relay.connected,
            listen=self.config.inline.listen,
            upstream=self.config.inline.upstream,
            since=link.since if link is not None else None,
            reason=link.reason if link is not None else None,
            dropped=self.inline.relay.dropped,
        )

    def _mdns_status(self) -> MdnsStatus:
        if self.discovery is None or self.mdns is None:
            return MdnsStatus(state="off")
        gladys = self.discovery.gladys
        return MdnsStatus(
            state=self.mdns.state,
            services=len(self.discovery.scan()),
            gladys=f"{gladys.addresses[0]}:{gladys.port}" if gladys and gladys.addresses else None,
            reason=self.mdns.reason,
            unused=self.discovery.unused(),
        )

    def scan(self) -> tuple[Seen, ...]:
        """Return what is announced on the network, and what became of it."""
        return self.discovery.scan() if self.discovery is not None else ()

    def trouble(self, device_id: str) -> Trouble | None:
        """Return what the driver says is wrong with a device now; None when all is well, or it does not tell."""
        device = self.registry.snapshot.devices.get(device_id)
        driven = {*self.plugins, *self.targets}  # a person is a device of presence
        if device is not None and self.opened.is_set() and device.driver not in driven:
            says = f"Its driver is not switched on: have [drivers.{device.driver}] in the configuration, then restart."
            return Trouble(says, self.started_at)
        return self.discovery.trouble(device_id) if self.discovery is not None else None

    def wants(self, device_id: str) -> Wanted:
        """Return what a device wants of its owner; see ``web.host.Host``."""
        return self._discovering().wants(device_id)

    async def pair_device(self, device_id: str, code: str | None) -> Seen:
        """Gain a device's trust, and return what became of it; see ``web.host.Host``."""
        return await self._discovering().pair(device_id, code)

    async def unpair_device(self, device_id: str) -> None:
        """Forget a device's trust; see ``web.host.Host``."""
        await self._discovering().unpair(device_id)

    def _discovering(self) -> Discovery:
        if self.discovery is None:
            raise Unavailable("The daemon has only just started, and does not look for devices yet. Try again.")
        return self.discovery

    async def pair(self, wish: Pair) -> Paired:
        """Pair with a gateway, keep the token, and connect.

        Raises:
            RequestError, AuthError: the gateway refused; the sentence says why.
            Unavailable: it can not be reached.
        """
        made, warning = await pairing.pair(self._http, wish.url, wish.code, wish.name, ssl=self._context)
        await self._change_pairing(made)
        return paired(made, warning)

    async def adopt(self, made: Adopt) -> Paired:
        """Connect as an instance that was made at Gladys Plus; see ``web.host.Host``."""
        pairing_ = pairing.own_instance(made.url, made.id, made.refresh_token)
        await self._change_pairing(pairing_, {"rsa": made.rsa_private_key, "ecdsa": made.ecdsa_private_key})
        return paired(pairing_, None)

    async def unpair(self) -> str | None:
        """Forget the token, disconnect, and tell the gateway; return what is left to do there, if anything."""
        former = self.pairing
        await self._change_pairing(None)
        return await pairing.leave(self._http, former, ssl=self._context) if former else None

    async def _change_pairing(self, changed: Pairing | None, keys: Mapping[str, str] | None = None) -> None:
        await pairing.save(self._secrets, changed, keys)
        self.pairing = changed
        self._repaired.set()

    def plugin(self, name: str) -> PluginRecord | None:
        """Return a loaded plug-in; see ``web.host.Host``."""
        return self.plugins.get(name)

    async def forget(self, device_id: str) -> None:
        """Forget a device, in the registry and at its driver.

        Raises:
            RequestError: 404 when there is no such device.
        """
        await self.registry.forget(device_id)
        if self.discovery is not None:
            self.discovery.forget(device_id)

    async def keep_link(self) -> None:
        """Keep the link of the present pairing; a changed pairing ends it and begins another."""
        self.pairing = await pairing.load(self._secrets)
        while True:
            self._repaired.clear()
            async with asyncio.TaskGroup() as group:
                running = None
                if self.pairing is not None:
                    self.link = self._made(self.pairing, told_time=self.presence.time.set, reply=self.presence.reply)
                    running = group.create_task(self.link.run(), name="link")
                self._linked.set()
                await self._repaired.wait()
                if running is not None:
                    running.cancel()

    def inline_link(self, pairing: Pairing, relay: Relay) -> Link:
        """Return the connection to Gladys Plus in Gladys' name; ``inline.MakeLink``."""
        return self._made(pairing, passing=relay)

    def _made(self, pairing: Pairing, **more: Any) -> Link:
        return Link(
            pairing,
            self.intake,
            options=self.config.link,
            http=self._http,
            context=self._context,
            time_to_live=self.config.commands.time_to_live,
            clock=self.clock,
            **more,
        )

    async def attempted(self) -> None:
        """Return when the link's first attempt ended, or at once when there is nothing to attempt."""
        await self._linked.wait()
        if self.pairing is not None and self.link is not None:
            await self.link.attempted.wait()


def _trouble(record: PluginRecord) -> str | None:
    """Return what an open plug-in says it can not do right now, if it is one that says so."""
    return record.target.hindrance if isinstance(record.target, Hindered) else None
