"""Where commands about the home go: to the running daemon, or if there is none to its database, under the lock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from gladys_companion import logs
from gladys_companion.cli.client import NOT_RUNNING, Client, connect
from gladys_companion.cli.owner import as_owner
from gladys_companion.cli.settings import Settings
from gladys_companion.config import Config
from gladys_companion.errors import Unavailable
from gladys_companion.web import database_path, socket_path

__all__ = ["ask", "ask_one", "home", "running"]

T = TypeVar("T")


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
    from gladys_companion.cli.asleep import open_asleep  # noqa: PLC0415 - half a second that most calls save

    logs.configure("error")
    with as_owner(database_path(config).parent):
        async with open_asleep(config, database_path(config)) as client:
            yield client


def ask(config: Config, work: Callable[[Client], Awaitable[T]]) -> T:
    """Run one command's work against the daemon or its database."""

    async def whole() -> T:
        async with home(config) as client:
            return await work(client)

    return asyncio.run(whole())


def ask_one(settings: Settings, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
    """Return what one request is answered; see ``ask``."""
    return ask(settings.config(), lambda client: client.ask(method, path, body))
