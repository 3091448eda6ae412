"""What every long-running command gets before it runs."""

import resource
import subprocess
import sys

HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]

SCRIPT = """
import resource
from gladys_companion.cli.serve import serve

async def main():
    print(*resource.getrlimit(resource.RLIMIT_NOFILE))

resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))
serve(main())
serve(main())
"""


def test_a_daemon_may_have_as_many_connections_as_its_user_may() -> None:
    """What shells and systemd give is 1,024 files, and that is a thousand devices too few."""
    hard = 2_000 if HARD == resource.RLIM_INFINITY else min(HARD, 2_000)
    script = SCRIPT.format(hard=hard)
    told = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert told.split() == [str(hard)] * 4
