"""The program's own sentences, as they stand in its source: what a page may have to say in another language.

A sentence is a text of three words or more, with what it shows replaced by a number. A text that is chosen among two
(``'in' if inside else 'outside'``) gives two sentences.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import gladys_companion

__all__ = ["sentences"]

ROOT = Path(gladys_companion.__file__).parent
SHOWN = "7"  # stands for whatever a sentence shows
WORDS = 3
MOST_VARIANTS = 16
NO_SENTENCE = re.compile(r"[\s(]*(?:SELECT|INSERT|DELETE|UPDATE|FROM|WHERE|AND|ALTER|CREATE|VACUUM|DROP)\b|[^ ]*[|{]")
CODE = re.compile(r"`[^`]*`")


def sentences(*parts: str) -> Iterator[tuple[str, str]]:
    """Yield ``(module, sentence)`` of the modules whose path begins with one of ``parts``."""
    for file in sorted(ROOT.rglob("*.py")):
        module = file.relative_to(ROOT).as_posix()
        if module.startswith(parts):
            for text in _texts(ast.parse(file.read_text("utf-8"))):
                yield module, text


def _texts(tree: ast.Module) -> Iterator[str]:
    inner = _not_said(tree)
    for node in ast.walk(tree):
        if id(node) in inner or not isinstance(node, ast.Constant | ast.JoinedStr):
            continue
        for text in _variants(node):
            words = [one for one in CODE.sub("", text).split() if any(map(str.isalpha, one))]
            if len(words) >= WORDS and not NO_SENTENCE.match(text):
                yield text


def _not_said(tree: ast.Module) -> set[int]:
    """Return what is no sentence of its own: documentation, what the log says, parts of others, and types."""
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            found |= {id(one) for part in node.values for one in ast.walk(part)}
        elif isinstance(node, ast.Call) and _called(node).startswith(("log.", "execute", "re.", "cast")):
            found |= {id(one) for argument in node.args for one in ast.walk(argument)}
    return found


def _called(node: ast.Call) -> str:
    return ast.unparse(node.func).removeprefix("database.").removeprefix("conn.").removeprefix("connection.")


def _variants(node: ast.AST) -> list[str]:
    """Return what a text may be."""
    found = [SHOWN]
    match node:
        case ast.Constant(value=str(text)):
            found = [text]
        case ast.JoinedStr(values=values):
            found = ["".join(parts) for parts in product(*map(_variants, values))][:MOST_VARIANTS]
        case ast.FormattedValue(value=value):
            found = _variants(value)
        case ast.IfExp(body=body, orelse=orelse):
            found = [*_variants(body), *_variants(orelse)]
        case ast.BoolOp(op=ast.Or(), values=[*_, ast.Constant() as last]):
            found = [SHOWN, *_variants(last)]
        case ast.BoolOp(op=ast.And(), values=[*_, last]):
            found = ["", *_variants(last)]
    return found
