"""Pages whose templates are read when the first one is asked for: who shows none pays nothing for them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from gladys_companion.pages.i18n import Translator

if TYPE_CHECKING:  # imported when the first page is asked for
    from gladys_companion.pages.render import Renderer

__all__ = ["Pages"]


class Pages:
    """See ``render.Renderer`` for what each method does."""

    def __init__(self) -> None:
        self._renderer: Renderer | None = None

    async def page(self, request: web.BaseRequest, template: str, status: int = 200, **values: object) -> web.Response:
        """Return a page in the language of who asks."""
        return (await self._ready()).page(request, template, status, **values)

    async def translator(self, request: web.BaseRequest) -> Translator:
        """Return who says things in the language of who asks."""
        return (await self._ready()).translator(request)

    async def _ready(self) -> Renderer:
        if self._renderer is None:
            self._renderer = await asyncio.to_thread(_renderer)
        return self._renderer


def _renderer() -> Renderer:
    from gladys_companion.pages.render import Renderer  # noqa: PLC0415 - see above

    return Renderer()
