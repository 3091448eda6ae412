"""The rules for all tests hold."""

from pathlib import Path

import pytest
import structlog
from blockbuster import BlockingError

from gladys_companion import systemd
from tests.dealing import together


async def test_our_code_may_not_block_the_loop(tmp_path: Path) -> None:
    """Where our code reads a file on the event loop, the test that does it fails."""
    (tmp_path / "secret").touch()
    with pytest.raises(BlockingError):
        systemd.credential("secret", {"CREDENTIALS_DIRECTORY": str(tmp_path)})


@pytest.mark.may_block("shows that a test can opt out")
async def test_a_test_can_opt_out(tmp_path: Path) -> None:
    """A test with a reason may block."""
    (tmp_path / "secret").touch()
    assert systemd.credential("secret", {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == ""


async def test_a_test_itself_may_block(tmp_path: Path) -> None:
    """What a test does by itself, to look at files for instance, is its own affair."""
    (tmp_path / "note").touch()
    assert (tmp_path / "note").read_text(encoding="utf-8") == ""


@pytest.mark.parametrize(
    ("one", "other", "stay"),
    [
        ("tests/unit/test_units.py::test_a", "tests/unit/test_units.py::test_b[1]", True),
        ("tests/unit/test_units.py::test_a", "tests/unit/test_writer.py::test_a", False),
        ("tests/integration/test_demo.py::test_a", "tests/conformance/test_hue.py::TestHue::test_b[x::y]", True),
    ],
)
def test_what_stays_in_one_process(one: str, other: str, *, stay: bool) -> None:
    """Where several processes run the tests, a file stays together, and so do all that share the loopback's mDNS."""
    assert (together(one) == together(other)) == stay


@pytest.mark.parametrize("time", ["first", "second"])
def test_no_test_silences_another(time: str) -> None:
    """Each test sees all that is logged, also after one that let a command have the logs of its process."""
    with structlog.testing.capture_logs() as logged:
        structlog.get_logger().info(time)
    assert logged == [{"event": time, "log_level": "info"}]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("error"))
