"""Where commands about the home go: to the running daemon, or if there is none to its database, under the lock."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import aiohttp

from gladys_companion import logs
from gladys_companion.cli.client import Client, connect
from gladys_companion.cli.owner import as_owner
from gladys_companion.config import Config
from gladys_companion.discovery import Seen
from gladys_companion.errors import Unavailable
from gladys_companion.intake import Intake
from gladys_companion.link import pairing, tls_context
from gladys_companion.store.registry import Registry, open_registry
from gladys_companion.store.schema import MIGRATIONS
from gladys_companion.store.secrets import StoredSecrets
from gladys_companion.store.writer import Store, open_store
from gladys_companion.web.server import open_socket, socket_path
from gladys_companion.web.service import Service
from gladys_companion.web.views import LinkStatus, MdnsStatus, Pair, Paired, Vitals

__all__ = ["ask", "database", "home", "running"]

T = TypeVar("T")

NOT_RUNNING = "The daemon does not run. Start it: `systemctl start gladys-companion`, or `gladys-companion run`."


def database(config: Config) -> Path:
    """Return where the home's database is."""
    return Path(config.state_directory, "companion.db")


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

    async def pair(self, wish: Pair) -> Paired:
        context = await asyncio.to_thread(tls_context, self._config.link.ca_certificate)
        async with aiohttp.ClientSession() as http:
            made = await pairing.pair(http, wish.url, wish.code, wish.name, ssl=context)
        await pairing.save(self._secrets, made)
        return Paired(url=made.url, home_id=made.home_id, home_name=made.home_name, instance_id=made.instance_id)

    async def unpair(self) -> None:
        await pairing.save(self._secrets, None)

    async def forget(self, device_id: str) -> None:
        await self._registry.forget(device_id)


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[Client]:
    """Give a client of the running daemon.

    Raises:
        Unavailable: none runs.
    """
    async with connect(socket_path(config)) as client:
        if client is None:
            raise Unavailable(NOT_RUNNING)
        yield client


@asynccontextmanager
async def home(config: Config) -> AsyncIterator[Client]:
    """Give a client of the running daemon, or of the same routes over its database when none runs.

    Raises:
        StoreError: the database can not be used, for instance because another process has it.
    """
    async with connect(socket_path(config)) as client:
        if client is not None:
            yield client
            return
    logs.configure("error")
    with as_owner(database(config).parent), tempfile.TemporaryDirectory(prefix="gladys-companion-") as directory:
        async with open_store(database(config), MIGRATIONS) as store:
            registry = await open_registry(store, wake=lambda _: None)
            intake = Intake(store, registry.plan, wake=lambda _: None, settle_within=0)
            service = Service(
                config=config,
                store=store,
                registry=registry,
                intake=intake,
                host=_Asleep(config, store, registry),
                running=False,
            )
            path = Path(directory, "daemon.sock")
            async with open_socket(service, path), connect(path) as client:
                if client is None:
                    raise Unavailable(NOT_RUNNING)
                yield client


def ask(config: Config, work: Callable[[Client], Awaitable[T]]) -> T:
    """Run one command's work against the daemon or its database."""

    async def whole() -> T:
        async with home(config) as client:
            return await work(client)

    return asyncio.run(whole())
