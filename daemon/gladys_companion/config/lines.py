"""On which line of a TOML text a key stands, which ``tomllib`` does not tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

__all__ = ["Path", "line_of", "locate"]

Path = tuple[str, ...]

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|' + r"'''.*?'{3,5}|" + r'"(?:\\.|[^"\\])*"|' + r"'[^']*'|#[^\n]*|[\[{]|[\]}]|[=\n]",
    re.DOTALL,
)


def _path(key: str) -> Path:
    """Return the parts of a dotted, perhaps quoted key; the parser itself says how to read it."""
    found: object = tomllib.loads(f"{key} = 0")
    parts = []
    while isinstance(found, dict):
        [(part, found)] = found.items()
        parts.append(part)
    return tuple(parts)


def locate(text: str) -> dict[Path, int]:
    """Return the line of every table and key of a text that ``tomllib`` could read; an inline table is one key."""
    found: dict[Path, int] = {}
    table: Path = ()
    start = depth = 0
    key: Path | None = None
    line = 1
    for token in _TOKEN.finditer(text + "\n"):
        mark = token.group()
        if mark in {"[", "{"}:
            depth += 1
        elif mark in {"]", "}"}:
            depth -= 1
        elif mark == "=" and key is None and depth == 0:
            key = (*table, *_path(text[start : token.start()].strip()))
            found.setdefault(key, line)
        elif (mark == "\n" or mark[0] == "#") and depth == 0:
            statement = text[start : token.start()].strip()
            if key is None and statement.startswith("["):
                table = _path(statement.strip("[] \t"))
                found.setdefault(table, line)
            start, key = token.end(), None
        line += mark.count("\n")
    return found


def line_of(found: Mapping[Path, int], path: Path) -> int | None:
    """Return the line of a path, or of the nearest thing around it."""
    while path:
        if path in found:
            return found[path]
        path = path[:-1]
    return None
