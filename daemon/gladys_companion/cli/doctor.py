"""``doctor``: what is well, what is not, and what to do, in the order in which it should be mended."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from gladys_companion.cli.check import check_all
from gladys_companion.cli.client import NOT_RUNNING, connect
from gladys_companion.cli.output import json_option, print_json, print_table
from gladys_companion.cli.owner import as_owner
from gladys_companion.cli.settings import Settings
from gladys_companion.config import DEFAULT_PATH, Config
from gladys_companion.errors import CompanionError, ConfigError
from gladys_companion.store.backup import check
from gladys_companion.web import database_path, socket_path
from gladys_companion.web.vitals import Check

__all__ = ["doctor"]


@click.command()
@json_option
@click.pass_obj
def doctor(settings: Settings, as_json: bool) -> None:
    """Find out what is wrong, and what to do about it; exit code 1 if something is."""
    checks = _examine(settings)
    if as_json:
        print_json(checks)
    else:
        print_table(("WHAT", "", "FOUND"), ((one.name, one.state, one.says) for one in checks), "")
        for one in checks:
            if one.todo:
                click.echo(f"\n{one.name}: {one.todo}")
    if any(one.state == "fail" for one in checks):
        sys.exit(1)


def _examine(settings: Settings) -> list[Check]:
    try:
        config = settings.config()
        check_all(config)
    except ConfigError as error:
        todo = "Mend it; `gladys-companion config check` says when it is right."
        return [Check(name="config", state="fail", says=str(error), todo=todo)]
    path = settings.path or DEFAULT_PATH
    says = f"{path} is fine." if path.exists() else f"There is no {path}: all options have their defaults."
    return [Check(name="config", state="ok", says=says), *asyncio.run(_daemon(config))]


async def _daemon(config: Config) -> list[Check]:
    try:
        async with connect(socket_path(config)) as client:
            if client is not None:
                told: Any = await client.ask("GET", "/api/doctor")
                return msgspec.convert(told, list[Check])
    except CompanionError as error:
        return [Check(name="daemon", state="fail", says=str(error), todo="Then ask again.")]
    directories = _directories(config)
    return [
        *directories,
        _store(config),
        Check(name="daemon", state="fail", says=NOT_RUNNING, todo="Start it, then ask again."),
    ]


def _directories(config: Config) -> list[Check]:
    """Return a finding for each directory of the daemon that whoever asks could not run it in."""
    found = []
    for option in ("state_directory", "runtime_directory"):
        directory = Path(getattr(config, option))
        there = next(one for one in (directory, *directory.absolute().parents) if _exists(one))
        if not os.access(there, os.W_OK | os.X_OK, effective_ids=True):
            says = f"You can not write {there}, which {option} = {str(directory)!r} needs."
            todo = "Start the service, which has its own user, or name a directory of yours in a file for --config."
            found.append(Check(name=option, state="fail", says=says, todo=todo))
    return found


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        return False


def _store(config: Config) -> Check:
    path = database_path(config)
    try:
        if not path.exists():
            return Check(name="store", state="ok", says=f"There is no {path} yet: it is made at the first start.")
        with as_owner(path.parent):
            if not os.access(path, os.R_OK, effective_ids=True):
                todo = "Ask with `sudo gladys-companion doctor`."
                return Check(name="store", state="warn", says=f"{path} is not yours to read.", todo=todo)
            check(path)
    except (CompanionError, OSError) as error:
        todo = "Restore a backup: `gladys-companion restore FILE`."
        return Check(name="store", state="fail", says=str(error), todo=todo)
    return Check(name="store", state="ok", says=f"{path} is sound.")
