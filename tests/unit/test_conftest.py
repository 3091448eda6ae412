"""The rules for all tests hold."""

from pathlib import Path

import pytest
from blockbuster import BlockingError

from gladys_companion import systemd


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
