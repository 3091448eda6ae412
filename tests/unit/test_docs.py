"""The documentation is complete: every option, command, route, code and column is told, and every link leads on."""

from __future__ import annotations

import ast
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from importlib.metadata import entry_points
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import click
import pytest
from msgspec import Struct, structs
from sqlite_utils import Database

from gladys_companion import errors
from gladys_companion.cli import cli
from gladys_companion.config import Config, decode, load
from gladys_companion.gateway.openapi import document
from gladys_companion.gateway.schema import MIGRATIONS as GATEWAY
from gladys_companion.ports import Plugin
from gladys_companion.store.schema import MIGRATIONS as HOME
from gladys_companion.web.routes import ROUTES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "README.md", ROOT / "CHANGELOG.md"]


def page(name: str) -> str:
    return (DOCS / "reference" / name).read_text(encoding="utf-8")


def sections() -> Iterator[tuple[str, type[Struct]]]:
    """Yield (heading, type) of each table of the configuration that is the program's own."""
    for field in structs.fields(Config):
        if isinstance(field.type, type) and issubclass(field.type, Struct):
            yield f"## `[{field.name}]`", field.type


def plugins() -> Iterator[tuple[str, str, Plugin]]:
    for group in ("drivers", "sinks"):
        for entry in entry_points(group=f"gladys_companion.{group}"):
            if entry.dist is not None and entry.dist.name == "gladys-companion":
                yield group, entry.name, entry.load()


def toml(value: object) -> str:
    """Return a default as the reference writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[]"
    return f'"{value}"' if isinstance(value, str) else repr(value)


@pytest.mark.parametrize(("heading", "type_"), list(sections()))
def test_every_option_is_in_the_reference(heading: str, type_: type[Struct]) -> None:
    """Each option stands under its table's heading, with its default."""
    text = page("configuration.md")
    part = re.split(r"\n## ", text.split(heading)[1])[0]
    for field in structs.fields(type_):
        assert f"| `{field.name}` | `{toml(field.default)}` |" in part, field.name


def test_every_top_level_option_is_in_the_reference() -> None:
    """So do those without a table."""
    text = page("configuration.md")
    for field in structs.fields(Config):
        assert f"`{field.name}`" in text or f"`[{field.name}]`" in text, field.name


@pytest.mark.parametrize(("group", "name", "plugin"), list(plugins()))
def test_every_option_of_a_plug_in_is_told(group: str, name: str, plugin: Plugin) -> None:
    """Plug-ins of ours are in the reference with all their options."""
    text = page("configuration.md")
    assert f"`[{group}.{name}]`" in text
    own = DOCS / "reference" / f"{group[:-1]}-{name}.md"
    text += own.read_text(encoding="utf-8") if own.exists() else ""
    for field in structs.fields(plugin.config):
        assert f"| `{field.name}` | `{toml(field.default)}` |" in text, field.name


def test_example_shows_the_options_of_plug_ins_too(tmp_path: Path) -> None:
    """Uncommented, the plug-ins' lines of the example decode to their defaults, and none is missing."""
    text = (ROOT / "config.example.toml").read_text(encoding="utf-8")
    path = tmp_path / "config.toml"
    path.write_text(re.sub(r"^# ?(\[(?:drivers|sinks)\.\w+\]|[a-z_]+ = )", r"\1", text, flags=re.MULTILINE))
    config = load(path)
    for group, name, plugin in plugins():
        table = getattr(config, group)[name]
        assert set(table) == {field.name for field in structs.fields(plugin.config)}, name
        assert decode(table, plugin.config) == plugin.config()


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield " ".join(path), command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from commands(found, (*path, name))


@pytest.mark.parametrize(("path", "command"), list(commands(cli)))
def test_every_command_is_in_the_reference(path: str, command: click.Command) -> None:
    """Each command has a row that names all its options, and says something of itself in --help."""
    row = re.search(rf"^\| `{path}[ `].*$", page("command-line.md"), re.MULTILINE)
    assert row is not None, path
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert any(f"`{option}`" in row[0] for option in parameter.opts), (path, parameter.opts)


def test_no_command_is_invented() -> None:
    """What the reference lists does exist."""
    known = {path for path, _ in commands(cli)}
    listed = re.findall(r"^\| `([a-z0-9 -]+?)(?: [\[A-Z].*?)?` \|", page("command-line.md"), re.MULTILINE)
    assert set(listed) == known


def test_every_local_route_is_in_the_reference() -> None:
    """Each route has a row, which says whether it is served on TCP; and no row is left over."""
    rows = re.findall(r"^\| `([A-Z]+ /\S+)` \| (yes)? ?\|", page("http-api.md"), re.MULTILINE)
    assert {route: bool(reads) for route, reads in rows} == {f"{one.method} {one.path}": one.reads for one in ROUTES}


def test_every_gateway_route_is_in_the_reference() -> None:
    """Each route of the gateway's OpenAPI document has a row, with the key in the path where there is one."""
    rows = set(re.findall(r"^\| `([A-Z]+ /\S+)` \|", page("gateway-http-api.md"), re.MULTILINE))
    paths: Any = document()["paths"]
    told = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods if len(method) < 7}
    without = {f"{route}/{{key}}" for route in told} & told  # the same routes with the key in the path
    assert {re.sub(r":(\w+)", r"{\1}", row) for row in rows} == told - {one.removesuffix("/{key}") for one in without}


def codes_in_source() -> set[str]:
    """Return every stable code that the source raises or answers with: beside a status, or as ``code=``."""
    found: set[object] = set()
    for path in (ROOT / "daemon").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            values = [getattr(argument, "value", None) for argument in call.args]
            found |= {code for status, code in pairwise(values) if isinstance(status, int)}
            found |= {
                getattr(word.value, "value", None) for word in call.keywords if word.arg in {"code", "error_code"}
            }
    classes = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.CompanionError)]
    found |= {one.code for one in classes if "code" in vars(one)}
    return {one for one in found if isinstance(one, str) and re.fullmatch(r"[A-Z]+(_[A-Z]+)*", one)}


def test_every_error_code_is_in_the_reference() -> None:
    """Each code has one row."""
    rows = re.findall(r"^\| `([A-Z_]+)` \|", page("errors.md"), re.MULTILINE)
    assert sorted(rows) == sorted(set(rows))
    assert codes_in_source() - set(rows) == set()


@pytest.mark.parametrize(("heading", "migrations"), [("companion.db", HOME), ("gateway.db", GATEWAY)])
def test_every_column_is_in_the_reference(heading: str, migrations: object) -> None:
    """Each table and column of both databases is told."""
    connection = sqlite3.connect(":memory:")
    migrations.apply(Database(connection))  # type: ignore[attr-defined]  # sqlite-utils has no types
    part = re.split(r"\n## ", page("database.md").split(f"`{heading}`\n")[1])[0]
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        if table.startswith(("sqlite_", "_sqlite_")):
            continue
        told = part.split(f"**`{table}`**")[1].split("**`")[0]
        for (column,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,)):
            assert f"`{column}`" in told, f"{table}.{column}"
    connection.close()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    """Links between pages, and to files, exist."""
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_picture_is_drawn_for_light_and_dark() -> None:
    """The picture is well-formed, has words for who can not see it, and two sets of colours."""
    text = (DOCS / "path.svg").read_text(encoding="utf-8")
    assert ET.fromstring(text).find("{http://www.w3.org/2000/svg}title") is not None  # noqa: S314 - our own file
    assert "prefers-color-scheme: dark" in text


def test_what_the_readme_tells_to_type_exists() -> None:
    """Each `gladys-companion` line of the README and the how-tos begins with a command that there is."""
    known = {path for path, _ in commands(cli)}
    for path in [ROOT / "README.md", *(DOCS / "howto").glob("*.md")]:
        for words in re.findall(r"gladys-companion ((?:[a-z-]+ ?)+)", path.read_text(encoding="utf-8")):
            parts = words.split()
            assert any(" ".join(parts[:count]) in known for count in range(1, len(parts) + 1)), (path.name, words)


def test_make_targets_of_the_readme_exist() -> None:
    """`make demo` and the others can be made."""
    for target in set(
        re.findall(r"(?:`|^)make ([a-z]+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    ):
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)
