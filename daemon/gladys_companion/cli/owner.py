"""Root's commands leave no file in the state directory that the service could not open."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["as_owner"]


@contextmanager
def as_owner(directory: Path) -> Iterator[None]:
    """Let root be the owner of a directory meanwhile; whoever else runs this stays who they are."""
    if os.geteuid() != 0 or not directory.exists():
        yield
        return
    owner = directory.stat()
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
