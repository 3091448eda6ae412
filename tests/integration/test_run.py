"""`run` as systemd runs it: says when it is ready, ends well when told to, and says why it can not start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.command_line import run_here

COMMAND = [sys.executable, "-c", "from gladys_companion.cli import main; main()"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(
        f"state_directory = '{tmp_path}/state'\nruntime_directory = '{tmp_path}/run'\n"
        "[local]\nlisten = '127.0.0.1:0'\n[discovery]\nenabled = false\n",
    )
    return path


@contextmanager
def running(config: Path) -> Iterator[subprocess.Popen[str]]:
    """Give a daemon that has said that it is ready."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(config.parent / "notify"))
        notify.settimeout(30)
        process = subprocess.Popen(
            [*COMMAND, "--config", str(config), "run"],
            env={**os.environ, "NOTIFY_SOCKET": str(config.parent / "notify")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            while notify.recv(4096) != b"READY=1":
                pass
            yield process
        finally:
            process.kill()
            process.communicate(timeout=10)
            (config.parent / "notify").unlink()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(config: Path, number: signal.Signals) -> None:
    """Both signals are an order, not an error: exit 0, and the next start finds everything."""
    with running(config) as process:
        made = run_here("--config", str(config), "devices", "add", "Phone", "--feature", "mqtt:phone", "--json")
        assert made.json()["id"] == "virtual:phone"
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 0
        assert "Traceback" not in err
    with running(config):
        listed = run_here("--config", str(config), "devices", "list", "--json")
        assert [one["id"] for one in listed.json()] == ["virtual:phone"]


def start_in_vain(config: Path) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "--config", str(config), "run"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_a_second_one_is_refused(config: Path) -> None:
    """Two daemons on one database: the second says who has it, and leaves it alone."""
    with running(config) as process:
        ended = start_in_vain(config)
        assert ended.returncode == 74
        assert f"pid {process.pid}" in ended.stderr
        assert ended.stderr.endswith("[STORE_LOCKED]\n")
        assert "Traceback" not in ended.stderr
        assert run_here("--config", str(config), "status").code == 0


def test_a_taken_port_may_be_free_later(config: Path) -> None:
    """Another program has the port: that is no mistake in the file, so systemd tries again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config.write_text(config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{taken.getsockname()[1]}"))
        ended = start_in_vain(config)
    assert ended.returncode == 75, ended.stderr
    assert ended.stderr.endswith("[ADDRESS_IN_USE]\n")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("[sinks.gladis]\n", "Did you mean 'gladys'?"),
        ("[drivers.wled]\nreconect_most = 1\n", "Did you mean 'reconnect_most'?"),
        ("[link]\nca_certificate = '/nowhere.pem'\n", "ca_certificate"),
    ],
)
def test_a_wrong_configuration_is_not_restarted(config: Path, more: str, says: str) -> None:
    """What only a person can mend ends with 78, which systemd does not restart after, and one sentence."""
    config.write_text(config.read_text() + more)
    ended = start_in_vain(config)
    assert ended.returncode == 78, ended.stderr
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
