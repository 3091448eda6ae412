"""The project's own rules that no tool of others checks."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import pytest

import gladys_companion

ROOT = Path(__file__).parents[2]
MOST_LINES = 350


def test_every_test_says_what_it_shows() -> None:
    """Each test function has a docstring."""
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        if ast.get_docstring(node) is None
    ]
    assert silent == []


def test_modules_are_one_thing() -> None:
    """No module of the program is longer than 350 lines."""
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / "daemon").rglob("*.py")
    }
    assert {path: lines for path, lines in lengths.items() if lines > MOST_LINES} == {}


def test_every_ignored_rule_has_its_reason() -> None:
    """Beside each linter rule that pyproject.toml ignores stands why."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    ignored = re.findall(r'^  "[A-Z]+\d+",(.*)$', text, re.MULTILINE)
    assert len(ignored) > 10
    assert all(re.fullmatch(r" +# \S.*", rest) for rest in ignored)


def test_constraints_pin_every_dependency() -> None:
    """Each line is a plain pin, and whatever pyproject.toml asks for is among them."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [re.fullmatch(r"([A-Za-z0-9._-]+)==[\w.!+]+", line) for line in lines if not line.startswith("#")]
    assert None not in pins
    pinned = {_normal(pin[1]) for pin in pins if pin}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = chain(project["dependencies"], *project["optional-dependencies"].values())
    names = {_normal(re.split(r"[^\w.-]", requirement)[0]) for requirement in asked}
    assert names - pinned == {"gladys-companion"}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_version_is_told_when_asked() -> None:
    """The version is that of the distribution, and to import the package does not look it up."""
    assert gladys_companion.__version__ == version("gladys-companion")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = gladys_companion.nothing
    script = "import sys, gladys_companion; sys.exit('importlib.metadata' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
