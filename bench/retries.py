"""``python -m bench.retries``: how often a gateway that can not be used is asked in an hour, as JSON.

The home's hour is one of a loop whose time jumps, so that it takes seconds; its delays, time-outs and both ends are the
real ones.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import msgspec
from tests.retrying import CASES, measure

HOUR = 3_600.0


def link() -> list[dict[str, Any]]:
    """Return what each bad gateway sees of a home in an hour, where it is one of ours and where it is Gladys Plus."""
    told = []
    for case in CASES:
        for own in (True, False):
            asked = measure(case, HOUR, own=own)
            told.append({"gateway": case.name, "ours": own, **msgspec.to_builtins(asked)})
    return told


def table(told: Sequence[dict[str, Any]]) -> str:
    """Return the same for people to read."""
    lines = ["| the gateway | ours: attempts an hour | Plus: attempts an hour | at last |", "|---|---|---|---|"]
    for ours, plus in zip(told[::2], told[1::2], strict=True):
        lines.append(f"| {ours['gateway']} | {ours['attempts']} | {plus['attempts']} | {plus['state']} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.retries", description=__doc__)
    parser.add_argument("--table", action="store_true", help="for people to read")
    chosen = parser.parse_args(arguments)
    told = link()
    sys.stdout.write(
        table(told) if chosen.table else msgspec.json.format(msgspec.json.encode({"link": told}).decode(), indent=2)
    )
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
