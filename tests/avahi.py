"""Debian's Avahi, an mDNS responder that nobody here wrote, on a bus of its own in a network of the test's own."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from xml.sax.saxutils import escape

from tests.needs import program
from tests.networks import Network

__all__ = ["Avahi", "open_avahi"]

BUS = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>custom</type>
  <listen>unix:path={path}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"""

DAEMON = """\
[server]
host-name={host}
allow-interfaces={interface}
use-ipv4=yes
use-ipv6={ipv6}
enable-dbus=yes
[publish]
publish-workstation=no
publish-hinfo=no
"""

SERVICE = """\
<?xml version="1.0" standalone="no"?>
<!DOCTYPE service-group SYSTEM "avahi-service.dtd">
<service-group>
  <name>{name}</name>
  <service><type>{type}</type><port>{port}</port>{txt}</service>
</service-group>
"""

# Both are compiled into the daemon: in a file system of its own they are the test's, and no other daemon's.
PLACES = "mount -t tmpfs none /run && mount --bind {services} /etc/avahi/services && exec {daemon}"


class Avahi:
    """A running daemon. ``announce`` and ``withdraw`` say what its static service files say; it follows them."""

    def __init__(self, path: Path, network: Network) -> None:
        self._path = path
        self._network = network
        self._services = path / "services"
        self._changes = 0
        self._environment = {
            "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={path}/bus",
            "LC_ALL": "C",
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        }

    def announce(self, name: str, service_type: str, port: int, txt: Mapping[str, str]) -> None:
        """Announce a service (``_plug._tcp``) under a name, or change the one of that name."""
        entries = "".join(f"<txt-record>{escape(key)}={escape(value)}</txt-record>" for key, value in txt.items())
        text = SERVICE.format(name=escape(name), type=service_type, port=port, txt=entries)
        draft = self._path / "draft"
        draft.write_text(text, encoding="utf-8")
        self._changes += 1  # a file of the same second is to Avahi the same file
        os.utime(draft, (self._changes, self._changes))
        draft.rename(self._services / f"{name}.service")

    def withdraw(self, name: str) -> None:
        """Take a service back; a goodbye is sent."""
        (self._services / f"{name}.service").unlink()

    @asynccontextmanager
    async def published(self, name: str, service_type: str, port: int, *txt: str) -> AsyncIterator[None]:
        """Announce a service as a program does that asks Avahi for it over the bus, while the block runs."""
        publish = str(program("avahi-publish-service"))
        async with self.started("Established", publish, name, service_type, str(port), *txt):
            yield

    @asynccontextmanager
    async def started(self, ready: str, *command: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run a program in the network and on the bus; the block begins when it has said a word."""
        process = await asyncio.create_subprocess_exec(
            *self._network.inside(*command),
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert process.stdout is not None
        said = b""
        try:
            async with asyncio.timeout(20):
                while ready.encode() not in (line := await process.stdout.readline()):
                    assert line, f"{command[0]} did not start: {said.decode()}"
                    said += line
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.communicate()


@asynccontextmanager
async def open_avahi(
    path: Path, network: Network, interface: str, *, host: str = "avahi", ipv6: bool = False
) -> AsyncIterator[Avahi]:
    """Run a daemon that speaks on one interface of a network only; its files live in `path`."""
    avahi = Avahi(path, network)
    services = path / "services"
    services.mkdir()
    bus, daemon = path / "bus.conf", path / "daemon.conf"
    bus.write_text(BUS.format(path=path), encoding="utf-8")
    daemon.write_text(DAEMON.format(host=host, interface=interface, ipv6="yes" if ipv6 else "no"), encoding="utf-8")
    command = shlex.join(
        [str(program("avahi-daemon")), "--no-drop-root", "--no-chroot", "--no-rlimits", "--file", str(daemon)]
    )
    private = [str(program("unshare")), "--mount", "--propagation", "private", "/bin/sh", "-c"]
    async with (
        avahi.started(
            "unix:path",
            str(program("dbus-daemon")),
            f"--config-file={bus}",
            "--nofork",
            "--nopidfile",
            "--print-address",
        ),
        avahi.started(
            "Server startup complete",
            *private,
            PLACES.format(services=shlex.quote(str(services)), daemon=command),
        ),
    ):
        yield avahi
