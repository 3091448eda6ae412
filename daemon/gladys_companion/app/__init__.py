"""The composition root of the daemon.

Crash-only: to stop is to cancel, to start is to read what is pending.
"""

from gladys_companion.app.daemon import Daemon
from gladys_companion.app.run import database_path, open_daemon, run_daemon

__all__ = ["Daemon", "database_path", "open_daemon", "run_daemon"]
