"""The home while its daemon does not run: the same routes over its database, for the one command that asks."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from gladys_companion.cli.client import NOT_RUNNING, Client, connect
from gladys_companion.config import Config
from gladys_companion.discovery import Seen
from gladys_companion.errors import Unavailable
from gladys_companion.intake import Intake
from gladys_companion.link import pairing, tls_context
from gladys_companion.plugins import PluginRecord
from gladys_companion.ports import Wanted
from gladys_companion.presence.service import PresenceService
from gladys_companion.signals import may_send
from gladys_companion.store.registry import Registry, open_registry
from gladys_companion.store.schema import MIGRATIONS
from gladys_companion.store.secrets import StoredSecrets
from gladys_companion.store.writer import Store, open_store
from gladys_companion.web.server import open_socket
from gladys_companion.web.service import Service, paired
from gladys_companion.web.settings import Settings
from gladys_companion.web.views import Adopt, Pair, Paired
from gladys_companion.web.visitors import Visitors
from gladys_companion.web.vitals import LinkStatus, MdnsStatus, Vitals

__all__ = ["open_asleep"]


class _Asleep:
    """The host of a home whose daemon does not run; the next one to start uses what is paired here."""

    def __init__(self, config: Config, store: Store, registry: Registry) -> None:
        self._config = config
        self._secrets = StoredSecrets(store, "link")
        self._registry = registry

    def vitals(self) -> Vitals:
        return Vitals(link=LinkStatus(state="waiting", reason=NOT_RUNNING), mdns=MdnsStatus(state="off"))

    def scan(self) -> tuple[Seen, ...]:
        return ()

    def trouble(self, _: str) -> None:
        return None

    def wants(self, _: str) -> Wanted:
        raise Unavailable(NOT_RUNNING)

    async def pair_device(self, _: str, __: str | None) -> Seen:
        raise Unavailable(NOT_RUNNING)

    async def unpair_device(self, _: str) -> None:
        raise Unavailable(NOT_RUNNING)

    async def pair(self, wish: Pair) -> Paired:
        async with self._session() as (http, context):
            made, warning = await pairing.pair(http, wish.url, wish.code, wish.name, ssl=context)
        await pairing.save(self._secrets, made)
        return paired(made, warning)

    async def adopt(self, made: Adopt) -> Paired:
        own = pairing.own_instance(made.url, made.id, made.refresh_token)
        await pairing.save(self._secrets, own, {"rsa": made.rsa_private_key, "ecdsa": made.ecdsa_private_key})
        return paired(own, None)

    async def unpair(self) -> str | None:
        former = await pairing.load(self._secrets)
        await pairing.save(self._secrets, None)
        if former is None:
            return None
        async with self._session() as (http, context):
            return await pairing.leave(http, former, ssl=context)

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[tuple[aiohttp.ClientSession, ssl.SSLContext]]:
        context = await asyncio.to_thread(tls_context, self._config.link.ca_certificate)
        async with aiohttp.ClientSession() as http:
            yield http, context

    def plugin(self, _: str) -> PluginRecord | None:
        return None

    async def forget(self, device_id: str) -> None:
        await self._registry.forget(device_id)


@asynccontextmanager
async def open_asleep(config: Config, path: Path) -> AsyncIterator[Client]:
    """Open the database alone, and give a client of the routes over it.

    Raises:
        StoreError: it can not be used, for instance because another process has it.
    """
    with tempfile.TemporaryDirectory(prefix="gladys-companion-") as directory:
        async with open_store(path, MIGRATIONS) as store:
            registry = await open_registry(store, wake=lambda _: None)
            await registry.use_signals(may_send(config.signals))
            intake = Intake(store, registry.plan, lambda: registry.snapshot, wake=lambda _: None, settle_within=0)
            presence = PresenceService(store, registry, config, wake=lambda _: None)
            await presence.prepare()
            settings, visitors = Settings(store, config), Visitors(store)
            await settings.load()
            await visitors.load()
            service = Service(
                config=config,
                store=store,
                registry=registry,
                intake=intake,
                presence=presence,
                host=_Asleep(config, store, registry),
                settings=settings,
                visitors=visitors,
                running=False,
            )
            socket = Path(directory, "daemon.sock")
            async with open_socket(service, socket), connect(socket) as client:
                if client is None:
                    raise Unavailable(NOT_RUNNING)
                yield client
