"""How commands print: aligned tables for people, JSON for programs."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click
import msgspec

__all__ = [
    "cut",
    "duration",
    "json_option",
    "number",
    "print_json",
    "print_qr",
    "print_receipt",
    "print_table",
    "print_trace",
    "table",
    "value",
    "when",
]

WIDEST = 60  # of a cell; the last of a row may be a sentence
LONGEST = 400

json_option: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def print_json(data: object) -> None:
    """Print any value of ours as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(data), indent=2).decode())


def print_qr(text: str) -> None:
    """Print a QR code for a phone to scan."""
    import segno  # noqa: PLC0415 - few commands show one

    segno.make(text, error="l").terminal(compact=True)


def print_table(heads: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """Print an aligned table, or a sentence when there is nothing in it."""
    lines = table(heads, rows)
    click.echo("\n".join(lines) if len(lines) > 1 else empty)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return the lines of an aligned table; nothing from outside can move the cursor."""
    cells = [list(heads), *(_cells(row) for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        padded = [cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(padded).rstrip())
    return lines


def _cells(row: Sequence[object]) -> list[str]:
    return [cut(_plain(cell), WIDEST if index < len(row) - 1 else LONGEST) for index, cell in enumerate(row)]


def cut(text: str, most: int = LONGEST) -> str:
    """Return a text, or its beginning when it is too long to look at; ``--json`` has all of it."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _plain(cell: object) -> str:
    text = "" if cell is None else str(cell)
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _width(text: str) -> int:
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)


def when(at: float | None) -> str:
    """Return a time as people at home write it."""
    return "" if at is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def duration(ms: float | None) -> str:
    """Return milliseconds so that they can be read."""
    if ms is None:
        return ""
    if abs(ms) < 1000:  # noqa: PLR2004 - a second
        return f"{ms:.1f} ms"
    return f"{ms / 1000:.1f} s"


def number(one: float) -> str:
    """Return a number as people write it, while that is not too long to read."""
    return f"{one:.0f}" if one == round(one) and abs(one) < 1e15 else f"{one:.10g}"  # noqa: PLR2004


def value(row: Mapping[str, Any]) -> str:
    """Return what a feature or an event has as value, with its unit if it has one."""
    if row.get("value") is not None:
        unit = row.get("unit")
        return number(row["value"]) + (f" {unit}" if unit else "")
    return row.get("text") or ""


def print_receipt(receipt: Mapping[str, Any]) -> None:
    """Print what became of an event, target by target."""
    click.echo(f"{receipt['outcome']}, event {receipt['id']}")
    if said := receipt.get("error_message") or receipt.get("warning"):
        click.echo(_plain(said))
    for target in receipt.get("targets", ()):
        why = f" ({target['reason']})" if target.get("reason") else ""
        click.echo(_plain(f"  {target['target']}: {target['state']}{why}"))


def print_trace(trace: Mapping[str, Any]) -> None:
    """Print an event hop by hop."""
    receipt = trace["receipt"]
    what = " = ".join(filter(None, (trace.get("external_id") or trace["kind"], value(trace))))
    click.echo(f"{cut(_plain(what))}  ({trace['id']})")
    click.echo(f"from {trace['origin']}" + (f", key {_plain(trace['key_name'])}" if trace.get("key_name") else ""))
    click.echo(_plain(f"{receipt['outcome']}: {receipt.get('error_message') or receipt.get('warning') or 'as below'}"))
    click.echo()
    rows = ((hop["hop"], duration(hop["ms"]), hop.get("state"), hop.get("reason")) for hop in trace["hops"])
    print_table(("HOP", "AFTER", "STATE", "WHY"), rows, "It went nowhere.")
