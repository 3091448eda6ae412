"""The services, as systemd's own tools judge them."""

import configparser
import re
import subprocess
from pathlib import Path

import pytest

from gladys_companion.errors import AddressInUse, ConfigError
from gladys_companion.mqtt._connection import PASSWORD
from tests.needs import needs, program

FOLDER = Path(__file__).parents[2] / "systemd"
UNITS = ["gladys-companion.service", "gladys-companion-gateway.service"]
MOST_EXPOSURE = 1.5  # of 10; what systemd calls OK ends at 3

each_unit = pytest.mark.parametrize("unit", UNITS)


def _analyze(*arguments: str | Path) -> str:
    done = subprocess.run(
        [program("systemd-analyze"), "--no-pager", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def _settings(unit: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # how configparser is told to keep case
    parser.read(FOLDER / unit)
    return parser


@needs("systemd-analyze")
@each_unit
def test_a_unit_is_little_exposed(unit: str) -> None:
    """The sandbox leaves a service so little that systemd rates its exposure at most 1.5 of 10."""
    rating = re.search(
        r"Overall exposure level for \S+: ([\d.]+)", _analyze("security", "--offline=true", FOLDER / unit)
    )
    assert rating is not None
    assert float(rating[1]) <= MOST_EXPOSURE


@needs("systemd-analyze")
@each_unit
def test_a_unit_is_clean(unit: str, tmp_path: Path) -> None:
    """Systemd's verifier has nothing to say about a unit whose program is there."""
    text = (FOLDER / unit).read_text(encoding="utf-8").replace("/usr/bin/gladys-companion", str(program("true")))
    (tmp_path / unit).write_text(text, encoding="utf-8")
    assert _analyze("verify", tmp_path / unit) == ""


@needs("systemd-sysusers")
def test_the_user_can_be_made(tmp_path: Path) -> None:
    """The user that both services run as is one that systemd-sysusers makes."""
    done = subprocess.run(
        [program("systemd-sysusers"), "--dry-run", f"--root={tmp_path}", FOLDER / "gladys-companion.sysusers.conf"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    assert "Creating user 'gladys-companion'" in done.stdout
    for unit in UNITS:
        assert _settings(unit)["Service"]["User"] == _settings(unit)["Service"]["Group"] == "gladys-companion"


@each_unit
def test_only_a_person_can_mend_a_configuration(unit: str) -> None:
    """A service that ended over its configuration is not started again in a loop; after all else it is, for ever."""
    settings = _settings(unit)
    assert settings["Service"]["RestartPreventExitStatus"] == str(ConfigError.exit_code)
    assert AddressInUse.exit_code != ConfigError.exit_code
    assert settings["Service"]["Restart"] == "on-failure"
    assert settings["Unit"]["StartLimitIntervalSec"] == "0"


def test_secrets_have_the_names_that_the_program_asks_for() -> None:
    """What the unit shows how to load is what the program reads."""
    text = (FOLDER / "gladys-companion.service").read_text(encoding="utf-8")
    assert re.findall(r"^#LoadCredential=([^:]+):", text, re.MULTILINE) == [PASSWORD]
    text = (FOLDER / "gladys-companion-gateway.service").read_text(encoding="utf-8")
    names = re.findall(r"^#LoadCredential=([^:]+):", text, re.MULTILINE)
    assert set(re.findall(r"/run/credentials/[^/]+/([a-z-]+)", text)) <= set(names)


def test_one_service_leaves_the_other_its_socket() -> None:
    """Both sockets share one folder, which neither service takes along when it stops."""
    services = [_settings(unit)["Service"] for unit in UNITS]
    assert {service["RuntimeDirectory"] for service in services} == {"gladys-companion"}
    assert {service["RuntimeDirectoryPreserve"] for service in services} == {"yes"}
    assert {service["RuntimeDirectoryMode"] for service in services} == {"0750"}
