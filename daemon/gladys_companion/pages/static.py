"""Style and scripts of the pages: under addresses that change with their content, so that browsers may keep them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from aiohttp import web

__all__ = ["STATIC", "address_of", "static_file"]

STATIC = "/static/"
_FILES = Path(__file__).with_name("static")
_TYPES: Mapping[str, str] = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_A_YEAR = 31_536_000


@cache
def _known() -> dict[str, tuple[bytes, str]]:
    """Return content and address of each file, by name."""
    found = {}
    for file in sorted(_FILES.iterdir()):
        if file.suffix in _TYPES:
            content = file.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:10]
            found[file.name] = content, f"{STATIC}{file.stem}.{digest}{file.suffix}"
    return found


def address_of(name: str) -> str:
    """Return the address of a file.

    Raises:
        KeyError: there is none of that name.
    """
    return _known()[name][1]


def static_file(path: str) -> web.Response | None:
    """Return the file of an address, or None if there is none."""
    for name, (content, address) in _known().items():
        if address == path:
            return web.Response(
                body=content,
                content_type=_TYPES[Path(name).suffix],
                charset="utf-8",
                headers={
                    "Cache-Control": f"public, max-age={_A_YEAR}, immutable",
                    "X-Content-Type-Options": "nosniff",
                },
            )
    return None
