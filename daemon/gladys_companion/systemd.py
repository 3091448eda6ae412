"""What a service says to systemd and is given by it, without a dependency; all of it does nothing elsewhere.

Source: sd_notify(3), sd_watchdog_enabled(3) and systemd.exec(5), "Credentials".
"""

import os
import socket
from collections.abc import Mapping
from pathlib import Path

from gladys_companion.errors import ConfigError

__all__ = ["alive", "credential", "ready", "status", "stopping", "watchdog_interval"]

_Environment = Mapping[str, str]


def ready(environ: _Environment = os.environ) -> bool:
    """Say that the service is up; False if nobody listens, as for all of these."""
    return _notify("READY=1", environ)


def status(text: str, environ: _Environment = os.environ) -> bool:
    """Say in one line what the service is doing, for `systemctl status`."""
    return _notify("STATUS=" + " ".join(text.split()), environ)


def alive(environ: _Environment = os.environ) -> bool:
    """Feed the watchdog."""
    return _notify("WATCHDOG=1", environ)


def stopping(environ: _Environment = os.environ) -> bool:
    """Say that the service is on its way down."""
    return _notify("STOPPING=1", environ)


def watchdog_interval(environ: _Environment = os.environ) -> float | None:
    """Return the seconds between calls of `alive`, half of what the watchdog allows; None if none watches us."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        allowed = int(environ.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return None
    return allowed / 2_000_000 if allowed > 0 else None


def credential(name: str, environ: _Environment = os.environ) -> str | None:
    """Return the secret that the unit passes with `LoadCredential=NAME:...`, less its final line end, or None.

    Raises:
        ConfigError: the name is not one, or the secret is there and unreadable.
    """
    if not name or "/" in name or name in {".", ".."}:
        raise ConfigError(f"The credential name {name!r} is not a plain file name.")
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if directory is None:
        return None
    try:
        secret = Path(directory, name).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"The credential {name!r} can not be read: {reason}.") from error
    return secret.removesuffix("\n")


def _address(environ: _Environment) -> str | None:
    name = environ.get("NOTIFY_SOCKET", "")
    if name.startswith("@"):
        return "\0" + name[1:]  # in the abstract namespace
    return name if name.startswith("/") else None


def _notify(state: str, environ: _Environment) -> bool:
    address = _address(environ)
    if address is None:
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(0)  # a manager that does not read must not hold the event loop
            sender.sendto(state.encode(), address)
    except OSError:  # nothing there, or its queue is full: to go on serving is worth more than to be heard
        return False
    return True
