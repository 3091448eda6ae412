"""Where commands about the gateway go: to the running one, or if there is none to its database, under the lock."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from gladys_companion import logs
from gladys_companion.cli.client import connect
from gladys_companion.cli.owner import as_owner
from gladys_companion.cli.settings import Settings
from gladys_companion.config import Config
from gladys_companion.errors import Unavailable
from gladys_companion.gateway.accounts import Accounts
from gladys_companion.gateway.admin import perform
from gladys_companion.gateway.sqlite import open_storage

__all__ = ["ask_running", "home_option", "operate"]

NOT_RUNNING = "The gateway does not run. Start it: `systemctl start gladys-companion-gateway`, or `gateway run`."

home_option = click.option("--home", help="Id or name of the home; not needed while there is only one.")


def operate(settings: Settings, operation: str, **members: object) -> Any:  # noqa: ANN401 - JSON
    """Perform an operation of ``gateway.admin`` and return its answer."""
    return asyncio.run(_perform(settings.config(), operation, members))


async def ask_running(config: Config, operation: str, members: Mapping[str, object]) -> Any:  # noqa: ANN401 - JSON
    """Have the running gateway do what only that can, and return its answer.

    Raises:
        Unavailable: none runs.
    """
    async with connect(Path(config.runtime_directory, "gateway.sock")) as client:
        if client is None:
            raise Unavailable(NOT_RUNNING)
        return await client.ask("POST", f"/admin/{operation}", members)


async def _perform(config: Config, operation: str, members: dict[str, object]) -> Any:  # noqa: ANN401 - JSON
    async with connect(Path(config.runtime_directory, "gateway.sock")) as client:
        if client is not None:
            return await client.ask("POST", f"/admin/{operation}", members)
    logs.configure("error")
    path = Path(config.state_directory, "gateway.db")
    with as_owner(path.parent):
        async with open_storage(path) as storage:
            return await perform(Accounts(storage), operation, members)
