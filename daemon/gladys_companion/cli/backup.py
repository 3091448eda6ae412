"""``backup`` and ``restore`` of the home's database."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from gladys_companion.cli.client import connect
from gladys_companion.cli.daemon import home
from gladys_companion.cli.owner import as_owner
from gladys_companion.cli.settings import Settings
from gladys_companion.config import Config
from gladys_companion.errors import StoreCorrupt, StoreError, StoreLocked
from gladys_companion.gateway.schema import MIGRATIONS as GATEWAY
from gladys_companion.store.backup import check
from gladys_companion.store.backup import restore as restore_file
from gladys_companion.store.schema import MIGRATIONS
from gladys_companion.web import database_path, socket_path

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
    path = database_path(config)
    with _readable(file, path.parent) as copy:
        former = restore_file(copy, path, MIGRATIONS)
    click.echo(f"{path} is the backup now." + (f" The former one is {former}." if former else ""))


@contextmanager
def _readable(file: Path, directory: Path) -> Iterator[Path]:
    """Check a backup with the rights of who calls; give a copy that the directory's owner may read, and be that owner.

    Raises:
        StoreError: it can not be read, is damaged, or is none of this program.
    """
    with ExitStack() as stack:
        try:
            sources = [(suffix, stack.enter_context(Path(f"{file}{suffix}").open("rb"))) for suffix in _parts(file)]
        except OSError as error:
            raise StoreError(f"{file} can not be read: {error.strerror}.") from error
        if {migration.name for migration in GATEWAY._migrations} & set(check(file)):  # noqa: SLF001 - offers no list
            raise StoreCorrupt(f"{file} is the gateway's database, not the home's. Stop the gateway and copy it back.")
        stack.enter_context(as_owner(directory))
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o750)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".restore-", dir=directory)))
            for suffix, source in sources:
                with Path(folder, f"{file.name}{suffix}").open("wb") as copy:
                    shutil.copyfileobj(source, copy)
        except OSError as error:
            raise StoreError(f"{directory} can not be written: {error.strerror}.") from error
        yield Path(folder, file.name)


def _parts(file: Path) -> list[str]:
    """Return the endings of a database's files: what was not closed in order has a log beside it."""
    return ["", *(["-wal"] if Path(f"{file}-wal").exists() else [])]


async def _refuse_if_running(config: Config) -> None:
    async with connect(socket_path(config)) as client:
        if client is not None:
            raise StoreLocked("The daemon runs. Stop it first: `systemctl stop gladys-companion`.")
