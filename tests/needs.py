"""Programs that a test needs and a machine may lack: the test is skipped there, but fails where CI promised them."""

import os
import shutil
from pathlib import Path

import pytest

__all__ = ["needs", "program"]

# Servers live where an ordinary user's PATH does not look.
_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def needs(*programs: str) -> pytest.MarkDecorator:
    """Mark a test, or as `pytestmark` a module, as useless without these programs."""
    return pytest.mark.needs(*programs)


def program(name: str) -> Path:
    """Return the path of a program; for use in fixtures: ends the test as `needs` does where it is missing."""
    found = shutil.which(name, path=_PATH)
    if found is not None:
        return Path(found)
    sentence = f"needs the program {name!r}, which this machine lacks"
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)
