"""Runs the command line as a user does, but in a thread of the test, whose loop may be what it talks to."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from typing import Any

from msgspec import Struct

from gladys_companion.cli import main

__all__ = ["Ended", "run", "run_here"]


class Ended(Struct, frozen=True):
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.out)


def run_here(*arguments: str) -> Ended:
    """Run a command and return how it ended."""
    out, err = io.StringIO(), io.StringIO()
    code: object = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as error:
            code = error.code
    return Ended(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())


async def run(*arguments: str) -> Ended:
    """Run a command in a thread."""
    return await asyncio.to_thread(run_here, *arguments)
