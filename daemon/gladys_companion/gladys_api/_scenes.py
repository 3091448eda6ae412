"""What is asked of Gladys about scenes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from gladys_companion.errors import Rejected
from gladys_companion.gladys_api._messages import GladysScene, Some, one, some
from gladys_companion.gladys_api._wire import Wire

__all__ = ["Scenes"]

NOT_FOUND = 404


class Scenes:
    """``GladysApi.scenes``; what its methods raise is told there."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def all(self) -> Some[GladysScene]:
        """Return all scenes, without what they do."""
        return await self._wire.read(await self._wire.ask("GET", "/scene"), lambda raw: some(raw, GladysScene))

    async def get(self, selector: str) -> GladysScene | None:
        """Return a scene with what it does; None where Gladys has none of this selector."""
        try:
            body = await self._wire.ask("GET", _path(selector))
        except Rejected as error:
            if error.data.get("status") == NOT_FOUND:
                return None
            raise
        return await self._wire.read(body, lambda raw: one(raw, GladysScene))

    async def start(self, selector: str) -> None:
        """Start a scene. Gladys says yes to this also where there is none, and tells nobody what became of it.

        Raises:
            Unsure: it is not known whether Gladys got it; once more would start it twice.
        """
        await self._wire.ask("POST", f"{_path(selector)}/start", {})

    async def create(self, members: Mapping[str, Any]) -> None:
        """Create a scene of these members."""
        await self._wire.ask("POST", "/scene", members)

    async def change(self, selector: str, members: Mapping[str, Any]) -> None:
        """Change these members of a scene, and leave the others."""
        await self._wire.ask("PATCH", _path(selector), members)

    async def delete(self, selector: str) -> None:
        """Delete a scene."""
        await self._wire.ask("DELETE", _path(selector))


def _path(selector: str) -> str:
    return f"/scene/{quote(selector, safe='')}"
