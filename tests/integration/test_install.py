"""What `make install` leaves, moved from where it was staged to where it runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.needs import needs, program

ROOT = Path(__file__).parents[2]
UNITS = ["gladys-companion.service", "gladys-companion-gateway.service"]

pytestmark = [needs("make"), pytest.mark.timeout(240)]  # it installs every dependency anew


def _environment() -> dict[str, str]:
    """Return an environment that knows nothing of the one the tests run in."""
    hidden = {"VIRTUAL_ENV", "PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "DESTDIR", "PREFIX"}
    return {name: value for name, value in os.environ.items() if name not in hidden}


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install into a staging folder, as a package is built, and move the result to its final place."""
    base = tmp_path_factory.mktemp("install")
    final = base / "usr"
    subprocess.run(
        [program("make"), "install", f"DESTDIR={base}/stage", f"PREFIX={final}", f"SERVICE_PYTHON={sys.executable}"],
        cwd=ROOT,
        env=_environment(),
        check=True,
    )
    staged = (base / "stage").joinpath(*final.parts[1:])
    assert {path.name for path in staged.iterdir()} == {"bin", "lib", "share"}
    staged.rename(final)
    return final


def test_the_command_runs_where_it_was_installed_for(prefix: Path) -> None:
    """The command finds its own environment, not the staging folder, and tells its version."""
    done = subprocess.run(
        [prefix / "bin/gladys-companion", "--version"],
        env=_environment(),
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert "gladys-companion" in done.stdout


def test_nothing_names_the_staging_folder(prefix: Path) -> None:
    """No file, compiled ones included, knows where it was staged or from what checkout."""
    for trace in (f"{prefix.parent}/stage".encode(), f"{ROOT}/".encode()):
        assert [path for path in prefix.rglob("*") if path.is_file() and trace in path.read_bytes()] == []


def test_third_party_plug_ins_can_join(prefix: Path) -> None:
    """The installed environment has a pip of its own, and offers the built-in plug-ins by their entry points."""
    python = prefix / "lib/gladys-companion/bin/python"
    subprocess.run([python, "-m", "pip", "--version"], env=_environment(), check=True, stdout=subprocess.DEVNULL)
    script = "from importlib.metadata import entry_points as e; print(*e(group='gladys_companion.drivers').names)"
    done = subprocess.run([python, "-c", script], env=_environment(), capture_output=True, text=True, check=True)
    assert {"virtual", "wled"} <= set(done.stdout.split())


@needs("systemd-analyze")
@pytest.mark.parametrize("unit", UNITS)
def test_installed_units_find_the_installed_command(prefix: Path, unit: str) -> None:
    """Systemd's verifier is content with the units as installed: their command is there and executable."""
    path = prefix / "lib/systemd/system" / unit
    assert f"ExecStart={prefix}/bin/gladys-companion " in path.read_text(encoding="utf-8")
    done = subprocess.run(
        [program("systemd-analyze"), "verify", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True
    )
    assert done.stdout == b""


def test_the_papers_are_there(prefix: Path) -> None:
    """The documentation, the example configuration, the licence and the user of the services come along."""
    assert (prefix / "share/doc/gladys-companion/config.example.toml").is_file()
    assert (prefix / "share/doc/gladys-companion/LICENSE").is_file()
    for page in ("README.md", "docs/howto/install.md", "docs/path.svg"):
        assert (prefix / "share/doc/gladys-companion" / page).is_file()
    assert (prefix / "lib/sysusers.d/gladys-companion.conf").is_file()
