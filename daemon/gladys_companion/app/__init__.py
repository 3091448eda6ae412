"""The composition root of the daemon.

Crash-only: to stop is to cancel, to start is to read what is pending.
"""

from gladys_companion.app.daemon import Daemon
from gladys_companion.app.run import open_daemon, run_daemon

__all__ = ["Daemon", "open_daemon", "run_daemon"]
