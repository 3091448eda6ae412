"""The local API: every route on a Unix socket for the command line, the reading ones and a page on loopback."""

from pathlib import Path

from gladys_companion.config import Config

__all__ = ["database_path", "socket_path"]


def socket_path(config: Config) -> Path:
    """Return where the daemon's socket is; here, so that a client need not import the server."""
    return Path(config.runtime_directory, "daemon.sock")


def database_path(config: Config) -> Path:
    """Return where the home's database is; here for the same reason."""
    return Path(config.state_directory, "companion.db")
