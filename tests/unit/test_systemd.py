"""What a service says to systemd, read from a real datagram socket, and what it is given."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gladys_companion import systemd
from gladys_companion.errors import ConfigError


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, dict[str, str]]]:
    """Stand in for systemd: a bound socket and the environment that names it."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@gladys-companion-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name.replace("@", "\0") if request.param == "abstract" else name)
        listener.settimeout(5)
        yield listener, {"NOTIFY_SOCKET": name}


def test_each_word_arrives(manager: tuple[socket.socket, dict[str, str]]) -> None:
    """Ready, status, alive and stopping are one datagram each, in order, in systemd's words."""
    listener, environ = manager
    assert systemd.ready(environ)
    assert systemd.status("connected to\ngate.example  é", environ)
    assert systemd.alive(environ)
    assert systemd.stopping(environ)
    told = [listener.recv(4096).decode() for _ in range(4)]
    assert told == ["READY=1", "STATUS=connected to gate.example é", "WATCHDOG=1", "STOPPING=1"]


@pytest.mark.parametrize("name", [None, "", "relative", "vsock:2:1", "/nonexistent/notify", "@nobody-listens-here"])
def test_without_a_manager_nothing_happens(name: str | None) -> None:
    """Outside systemd, or when its socket is gone, saying something is False and no error."""
    assert not systemd.ready({} if name is None else {"NOTIFY_SOCKET": name})


async def test_a_deaf_manager_holds_nobody(tmp_path: Path) -> None:
    """A manager that reads nothing makes the answer False once its queue is full, and never blocks the loop."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(tmp_path / "notify"))
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        assert not all(systemd.alive(environ) for _ in range(10_000))


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "120000000"}, 60.0),
        ({"WATCHDOG_USEC": "120000000", "WATCHDOG_PID": str(os.getpid())}, 60.0),
        ({"WATCHDOG_USEC": "120000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_watchdog_interval(environ: dict[str, str], seconds: float | None) -> None:
    """The interval is half of what is allowed, and none where the watchdog is another process's or absent."""
    assert systemd.watchdog_interval(environ) == seconds


def test_a_credential_is_read_without_its_line_end(tmp_path: Path) -> None:
    """An editor's final line end is no part of a secret; spaces are."""
    (tmp_path / "mqtt-password").write_text(" pa\nss \n", encoding="utf-8")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert systemd.credential("mqtt-password", environ) == " pa\nss "
    assert systemd.credential("other", environ) is None
    assert systemd.credential("mqtt-password", {}) is None


@pytest.mark.parametrize("name", ["", ".", "..", "../passwd", "a/b"])
def test_a_credential_is_a_plain_name(name: str, tmp_path: Path) -> None:
    """No name leads out of the directory."""
    with pytest.raises(ConfigError, match="plain file name"):
        systemd.credential(name, {"CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_an_unreadable_credential_is_told_without_its_content(tmp_path: Path) -> None:
    """A secret that is not text, or a directory in its place, is a configuration error that shows no byte of it."""
    (tmp_path / "binary").write_bytes(b"\xffsecret")
    (tmp_path / "folder").mkdir()
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    with pytest.raises(ConfigError, match="'binary' can not be read: it is not UTF-8 text") as caught:
        systemd.credential("binary", environ)
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigError, match="'folder' can not be read: Is a directory"):
        systemd.credential("folder", environ)
