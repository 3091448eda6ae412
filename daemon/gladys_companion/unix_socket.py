"""A listening Unix socket that appears at its path with its mode already right, in the place of a dead one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gladys_companion.errors import ConfigError

__all__ = ["check_length", "listening"]

LONGEST_PATH = 103  # bytes: sun_path less its end and ".new"
MODE = 0o660  # whoever is in the group may do everything


def check_length(path: Path) -> None:
    """Return if the system can take the path of a socket.

    Raises:
        ConfigError: it is too long.
    """
    if len(bytes(path)) > LONGEST_PATH:
        raise ConfigError(f"The socket path {path} is too long for the system; name a shorter runtime_directory.")


@asynccontextmanager
async def listening(path: Path) -> AsyncIterator[socket.socket]:
    """Give the socket, mode 0660, for a server to own and close; take its path away at the end.

    Raises:
        ConfigError: the path is too long, or its directory can not be written.
    """
    check_length(path)
    try:
        listener = await asyncio.to_thread(_bind, path)
    except OSError as error:
        sentence = f"The socket {path} can not be made: {error.strerror}. Is runtime_directory writable?"
        raise ConfigError(sentence) from error
    try:
        yield listener
    finally:
        await asyncio.to_thread(path.unlink, missing_ok=True)


def _bind(path: Path) -> socket.socket:
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(new))
        new.chmod(MODE)
        new.rename(path)
    except OSError:
        listener.close()
        raise
    return listener
