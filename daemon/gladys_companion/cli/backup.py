"""``backup`` and ``restore`` of the home's database."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click

from gladys_companion.cli.client import connect
from gladys_companion.cli.daemon import database, home
from gladys_companion.cli.owner import as_owner
from gladys_companion.cli.settings import Settings
from gladys_companion.config import Config
from gladys_companion.errors import StoreError, StoreLocked
from gladys_companion.store.backup import check
from gladys_companion.store.backup import restore as restore_file
from gladys_companion.store.schema import MIGRATIONS
from gladys_companion.web import socket_path

__all__ = ["backup", "restore"]


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_obj
def backup(settings: Settings, file: Path) -> None:
    """Write a checked copy of the home's database to FILE, a new file that only you can read; also while it is in use.

    It holds the pairing's token: keep it as safe as the home.
    """
    part = file.with_name(file.name + ".part")
    if file.exists():
        raise StoreError(f"{file} exists already; it was left as it is. Name a new file.")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            asyncio.run(_download(settings.config(), descriptor))
            check(part)
            os.link(part, file)  # unlike a rename, never over a file that came meanwhile
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{file} can not be written: {error.strerror}.") from error
    click.echo(f"The backup is {file}.")


async def _download(config: Config, descriptor: int) -> None:
    with os.fdopen(descriptor, "wb") as copy:
        async with home(config) as client:
            async for chunk in client.download("POST", "/api/backup"):
                copy.write(chunk)
        copy.flush()
        os.fsync(copy.fileno())


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def restore(settings: Settings, file: Path) -> None:
    """Check FILE and put it in the place of the home's database; the daemon must not run. The former one is kept."""
    config = settings.config()
    asyncio.run(_refuse_if_running(config))
    path = database(config)
    with as_owner(path.parent):
        former = restore_file(file, path, MIGRATIONS)
    click.echo(f"{path} is the backup now." + (f" The former one is {former}." if former else ""))


async def _refuse_if_running(config: Config) -> None:
    async with connect(socket_path(config)) as client:
        if client is not None:
            raise StoreLocked("The daemon runs. Stop it first: `systemctl stop gladys-companion`.")
