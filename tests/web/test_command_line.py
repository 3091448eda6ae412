"""The command line: it talks to the running daemon, or to its database, and tells mistakes in one sentence."""

import asyncio
import logging
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gladys_companion.cli.client import Client
from gladys_companion.web.server import open_socket, socket_path
from tests.command_line import run, run_here
from tests.web.home import open_home


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Commands without a daemon configure the logs of their process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "config.toml"
    path.write_text(f"state_directory = '{tmp_path}/state'\nruntime_directory = '{tmp_path}/run'\n")
    return f"--config={path}"


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[None]:
    """Serve a home on the socket that the configuration names."""
    async with open_home(tmp_path) as service, open_socket(service, socket_path(service.config)):
        yield


OFFLINE = pytest.mark.may_block("a command has a loop of its own, with nobody else on it")
KEYS = ["01912d68-783e-7a01-8ea6-2f5b7a0f3c5d", "01912d68-783e-7a01-8ea6-2f5b7a0f3c5e"]
ADD = ("devices", "add", "Phone", "--feature", "mqtt:phone", "--category", "presence-sensor", "--max", "5")


@pytest.mark.usefixtures("daemon")
async def test_commands_talk_to_the_daemon(config: str) -> None:
    """A device is made, set, seen and forgotten; its events are listed, shown and replayed."""
    assert (await run(config, *ADD)).out == "Phone is virtual:phone.\n"
    receipt = (await run(config, "devices", "set", "mqtt:phone", "on", "--json")).json()
    assert receipt["outcome"] == "delivered"
    assert "virtual: verified" in (await run(config, "devices", "set", "mqtt:phone", "3")).out
    listed = (await run(config, "devices", "list")).out.splitlines()
    assert listed[1].split()[:6] == ["virtual:phone", "Phone", "virtual", "here", "mqtt:phone", "3"]
    assert "presence-sensor/unknown" in (await run(config, "devices", "show", "virtual:phone")).out
    events = (await run(config, "events", "list", "--json", "--limit", "1")).json()
    assert [event["value"] for event in events] == [3]
    assert "journal" in (await run(config, "events", "show", events[0]["id"])).out
    assert (await run(config, "events", "replay", events[0]["id"])).out.startswith("delivered, event ")
    assert len((await run(config, "events", "list")).out.splitlines()) == 4
    assert (await run(config, "devices", "rename", "phone", "Mine")).code == 0
    assert (await run(config, "alias", "add", "nfc:door", "mqtt:phone")).out == "nfc:door means mqtt:phone now.\n"
    assert (await run(config, "alias", "list", "--json")).json()[0]["device"] == "Mine"
    for keys in (KEYS[:1], KEYS):
        exposed = await run(config, "devices", "expose", "nfc:door", "--key", keys[-1])
        assert exposed.out == f"mqtt:phone may be commanded from outside by {', '.join(keys)} now.\n"
    assert (await run(config, "devices", "expose", "nfc:door", "--remove")).code == 0
    assert (await run(config, "alias", "remove", "nfc:door")).code == 0
    assert (await run(config, "devices", "forget", "virtual:phone", "--yes")).code == 0
    assert (await run(config, "devices", "list")).out.startswith("No devices yet.")


@pytest.mark.usefixtures("daemon")
async def test_status_doctor_and_pairing(config: str) -> None:
    """What is wrong is said with what to do; a doctor who finds something leaves with 1."""
    assert "unpaired" in (await run(config, "status")).out
    doctor = await run(config, "doctor")
    assert doctor.code == 1
    assert "gladys-companion pair URL" in doctor.out
    refused = await run(config, "pair", "https://g.example", "--code", "wrong")
    assert (refused.code, refused.err.endswith("[PAIRING_REFUSED]\n")) == (77, True)
    assert (await run(config, "pair", "https://g.example", "--code", "ABCDEFGH")).out.startswith("This home is 'Home'")
    assert (await run(config, "status", "--json")).json()["link"]["state"] == "connected"
    checks = {one["name"]: one["state"] for one in (await run(config, "doctor", "--json")).json()}
    assert (checks["config"], checks["store"], checks["clock"], checks["gateway"]) == ("ok", "ok", "ok", "ok")
    assert (await run(config, "unpair")).code == 0


@pytest.mark.usefixtures("daemon")
async def test_devices_are_meant_by_their_name(config: str) -> None:
    """A name that only one device has will do; else the ids are told that may have been meant."""
    await run(config, *ADD)
    assert (await run(config, "devices", "set", "phone", "-5")).out.startswith("delivered")
    assert (await run(config, "devices", "list", "--json")).json()[0]["features"][0]["value"] == -5
    assert "Similar are: virtual:phone" in (await run(config, "devices", "show", "virtual:fone")).err
    assert "Similar are: mqtt:phone" in (await run(config, "devices", "set", "mqtt:fone", "1")).err
    await run(config, "devices", "add", "PHONE", "--id", "virtual:2", "--feature", "a", "--feature", "b")
    assert "2 devices are called 'phone': " in (await run(config, "devices", "show", "phone")).err
    await run(config, "devices", "rename", "virtual:2", "Other")
    assert "Other has several features: a, b." in (await run(config, "devices", "set", "other", "1")).err
    assert (await run(config, "devices", "forget", "other", "--yes")).out == "Other (virtual:2) is forgotten.\n"


@pytest.mark.usefixtures("daemon")
async def test_tables_stay_readable(config: str) -> None:
    """An id of 64 KiB is cut where people look, and whole where programs do."""
    long = "x" * 65_000
    await run(config, "devices", "add", "Long", "--feature", long)
    assert (await run(config, "devices", "set", "long", "1")).code == 0
    listed = await run(config, "events", "list")
    assert f"{'x' * 59}…" in listed.out
    assert len(listed.out) < 1000
    assert (await run(config, "events", "list", "--json")).json()[0]["external_id"] == long


async def test_process_that_hangs(config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command does not wait for ever on a process that takes the connection and never answers."""
    monkeypatch.setattr(Client.ask, "__kwdefaults__", {"within": 0.1})
    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as frozen:
        frozen.bind(str(tmp_path / "run" / "daemon.sock"))
        frozen.listen()
        ended = await run(config, "status")
    assert (ended.code, "did not answer within 0.1 s" in ended.err) == (69, True)


@pytest.mark.usefixtures("daemon")
async def test_mistakes_are_one_sentence_with_a_code(config: str) -> None:
    """What the daemon refuses arrives as its own sentence and code, and never as a traceback."""
    await run(config, *ADD)
    for arguments, code, word in (
        (("devices", "show", "none"), 65, "[DEVICE_NOT_FOUND]"),
        (("devices", "forget", "none"), 65, "[DEVICE_NOT_FOUND]"),
        (("devices", "set", "none", "1"), 65, "[DEVICE_FEATURE_NOT_FOUND]"),
        (("devices", "rename", "virtual:phone", ""), 65, "name is empty. [INVALID_FIELD]"),
        (("devices", "add", "", "--feature", "x"), 65, "name is empty. [INVALID_FIELD]"),
        (("devices", "expose", "mqtt:phone", "--key", "k"), 65, "`gladys-companion gateway key list` shows the ids."),
        (("devices", "expose", "mqtt:phone", "--key", "k", "--remove"), 64, "leave --key out"),
        (("alias", "remove", "none"), 65, "[ALIAS_NOT_FOUND]"),
        (("events", "show", "none"), 65, "[EVENT_NOT_FOUND]"),
        (("devices", "nothing"), 64, "No such command"),
        (("restore", __file__), 74, "[STORE_LOCKED]"),
    ):
        ended = await run(config, *arguments)
        assert ended.code == code, ended
        assert word in ended.err
        assert "Traceback" not in ended.err


@OFFLINE
@pytest.mark.usefixtures("daemon")
async def test_backup_of_a_running_daemon_is_restored_later(config: str, tmp_path: Path) -> None:
    """The backup is private and sound, and is never written over a file."""
    await run(config, *ADD)
    copy = tmp_path / "copy.db"
    assert (await run(config, "backup", str(copy))).code == 0
    found = await asyncio.to_thread(copy.stat)
    assert found.st_mode & 0o777 == 0o600
    again = await run(config, "backup", str(copy))
    assert (again.code, "exists already" in again.err) == (74, True)
    with sqlite3.connect(copy) as database:
        assert database.execute("SELECT id FROM devices").fetchall() == [("virtual:phone",)]
    database.close()


@OFFLINE
def test_without_a_daemon_the_database_is_used(config: str, tmp_path: Path) -> None:
    """What needs no running process works without one, under the lock; what does says so."""
    assert run_here(config, *ADD).code == 0
    assert run_here(config, "devices", "set", "mqtt:phone", "2").out.startswith("delivered")
    assert run_here(config, "events", "list", "--json").json()[0]["value"] == 2
    copy = tmp_path / "copy.db"
    assert run_here(config, "backup", str(copy)).code == 0
    assert run_here(config, "devices", "forget", "virtual:phone", "--yes").code == 0
    restored = run_here(config, "restore", str(copy))
    assert "The former one is" in restored.out
    assert run_here(config, "devices", "list", "--json").json()[0]["id"] == "virtual:phone"
    status = run_here(config, "status", "--json")
    assert (status.code, status.json()) == (69, {"running": False})
    assert "[UNAVAILABLE]" in status.err
    doctor = run_here(config, "doctor")
    assert doctor.code == 1
    assert "is sound" in doctor.out
    assert run_here(config, "unpair").code == 0


@OFFLINE
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_restores_what_the_service_could_not_read(config: str, tmp_path: Path) -> None:
    """A backup in root's home, which nobody else may enter, is restored, and belongs to the database's owner."""
    assert run_here(config, *ADD).code == 0
    tmp_path.chmod(0o711)
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    assert run_here(config, "backup", str(private / "home.db")).code == 0
    for path in (tmp_path / "state", *(tmp_path / "state").iterdir()):
        os.chown(path, 12345, 12345)
    tops = [path for path in tmp_path.parents if not path.stat().st_mode & 0o001]
    modes = [(path, path.stat().st_mode) for path in tops]
    for path, mode in modes:
        path.chmod(mode | 0o011)
    try:
        restored = run_here(config, "restore", str(private / "home.db"))
    finally:
        for path, mode in modes:
            path.chmod(mode)
    assert restored.code == 0, restored.err
    found = {path.name: path.stat().st_uid for path in (tmp_path / "state").iterdir()}
    assert set(found.values()) == {12345}
    assert not [name for name in found if name.startswith(".restore")]


@OFFLINE
def test_what_is_no_backup_is_told_apart(config: str, tmp_path: Path) -> None:
    """Damaged, and the gateway's, are different sentences."""
    assert run_here(config, *ADD).code == 0
    assert run_here(config, "gateway", "home", "create", "Cabin").code == 0
    shutil.copy(tmp_path / "state" / "gateway.db", tmp_path / "other.db")
    assert "is the gateway's database" in run_here(config, "restore", str(tmp_path / "other.db")).err
    (tmp_path / "junk.db").write_bytes(b"junk" * 1000)
    assert "is not a backup of this program" in run_here(config, "restore", str(tmp_path / "junk.db")).err


@OFFLINE
@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("[link]\nca_certificate = '/nowhere.pem'\n", "[link] ca_certificate: /nowhere.pem can not be read"),
        ("[link]\nca_certificate = '/dev/null'\n", "/dev/null holds no certificate"),
        ("[gateway]\ntls_certificate = '/nowhere.pem'\ntls_key = '/nowhere.pem'\n", "[gateway] tls_certificate: "),
        ("[gateway]\ntls_certificate = '/dev/null'\ntls_key = '/dev/null'\n", "are not a certificate and its key"),
        ("[mqtt]\npassword_file = '/nowhere'\n", "[mqtt] password_file: it needs username"),
        ("[mqtt]\nusername = 'a'\npassword_file = '/nowhere'\n", "/nowhere can not be read"),
        ("[mqtt]\ntls = true\nca_certificate = '/nowhere'\n", "[mqtt] ca_certificate"),
    ],
)
def test_files_that_are_named_are_checked(config: str, tmp_path: Path, more: str, says: str) -> None:
    """`config check` refuses what `run` and `gateway run` would, with the same exit code."""
    with (tmp_path / "config.toml").open("a") as file:
        file.write(more)
    ended = run_here(config, "config", "check")
    assert (ended.code, says in ended.err) == (78, True), ended.err


@OFFLINE
def test_doctor_knows_who_asks(config: str, tmp_path: Path) -> None:
    """Where whoever asks can not run it, the doctor says so."""
    file = tmp_path / "config.toml"
    file.write_text(f"state_directory = '{file}/a'\nruntime_directory = '{file}/b'\n")
    checks = {one["name"]: one["state"] for one in run_here(config, "doctor", "--json").json()}
    assert (checks["state_directory"], checks["runtime_directory"]) == ("fail", "fail")


@OFFLINE
def test_configuration_is_checked(config: str, tmp_path: Path) -> None:
    """`config check` says that all is well, or the line, and exits as a service must not be restarted."""
    assert run_here(config, "config", "check").out == f"{tmp_path}/config.toml is fine.\n"
    (tmp_path / "config.toml").write_text("[drivers.wled]\ntime = 1\n")
    ended = run_here(config, "config", "check")
    assert ended.code == 78
    assert f"{tmp_path}/config.toml, line 2: [drivers.wled] time: no such option." in ended.err
    (tmp_path / "config.toml").write_text("[sinks.glady]\n")
    assert "Did you mean 'gladys'?" in run_here(config, "config", "check").err
    assert run_here(config, "doctor", "--json").json()[0]["state"] == "fail"


@OFFLINE
def test_gateway_is_managed_without_one_running(config: str) -> None:
    """Homes and keys are made, listed, renamed, rotated and revoked in the gateway's database."""
    assert "No home yet" in run_here(config, "gateway", "home", "list").out
    assert run_here(config, "gateway", "home", "create", "Cabin").code == 0
    code = run_here(config, "gateway", "home", "pair-code", "--json").json()
    assert len(code["code"].replace("-", "")) == 8
    made = run_here(
        config, "gateway", "key", "create", "Phone", "--scope", "state", "--expires", "30d", "--json"
    ).json()
    assert len(made["secret"]) == 80
    listed = run_here(config, "gateway", "key", "list")
    assert made["secret"] not in listed.out
    assert f"{made['secret'][:6]}..." in listed.out
    assert run_here(config, "gateway", "key", "rename", "Phone", "Mine").code == 0
    assert run_here(config, "gateway", "key", "rotate", "Mine", "--json").json()["secret"] != made["secret"]
    revoked = run_here(config, "gateway", "key", "revoke", "Mine", "--yes")
    assert "iPhone" in revoked.out
    assert "revoked" in run_here(config, "gateway", "key", "list").out
    assert run_here(config, "gateway", "key", "create", "x", "--expires", "soon").code == 64
    assert run_here(config, "gateway", "home", "instances").out.startswith("Nothing is paired")
    assert run_here(config, "gateway", "key", "create", "Door", "--allow", "mqtt:door").code == 0
    assert "mqtt:door" in run_here(config, "gateway", "key", "list").out
    assert "allowed_ids" in run_here(config, "gateway", "key", "create", "Nothing", "--allow", "").err
    again = run_here(config, "gateway", "key", "revoke", "Mine", "--yes")
    assert "is revoked already" in again.err
    assert run_here(config, "gateway", "home", "remove", "Cabin", "--yes").code == 0


def test_version_is_cheap() -> None:
    """`--version` and `--help` import neither HTTP nor the database."""
    script = (
        "import sys; from gladys_companion.cli import main\n"
        "try: main([sys.argv[1]])\nexcept SystemExit: pass\n"
        "heavy = {'aiohttp', 'sqlite_utils', 'zeroconf', 'websockets', 'asyncio'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    for option, says in (("--version", "gladys-companion "), ("--help", "Usage: gladys-companion")):
        ended = subprocess.run([sys.executable, "-c", script, option], capture_output=True, text=True, check=True)
        assert ended.stdout.startswith(says)
        assert ended.stdout.endswith("[]\n")


@pytest.mark.usefixtures("daemon")
async def test_a_device_is_paired_with_its_pin_and_given_back(config: str) -> None:
    """A wrong PIN is told, a device is found by its announced name, and unpairing says what is left to do."""
    wrong = await run(config, "devices", "pair", "homekit:a1", "--code", "000-00-000")
    assert (wrong.code, wrong.err) == (65, "gladys-companion: The PIN is wrong. [REJECTED]\n")
    paired = await run(config, "devices", "pair", "Lamp", "--code", "031-45-154")
    assert (paired.out, paired.err) == ("homekit:a1 is paired. It answers.\n", "")
    assert (await run(config, "devices", "unpair", "homekit:a1")).out == "homekit:a1 is not paired any more.\n"
    assert "WARNING: Reset it" in (await run(config, "devices", "unpair", "homekit:a1")).err
    unknown = await run(config, "devices", "pair", "homekit:a2")
    assert (unknown.code, "DEVICE_NOT_FOUND" in unknown.err) == (65, True)
