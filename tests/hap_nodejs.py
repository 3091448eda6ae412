"""A real HomeKit bridge that is not of our making, behind a gate: hap-nodejs in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.hap import PIN, Hap, any_mac, id_text
from tests.hap_gate import open_gate
from tests.npm_modules import Node, node

__all__ = ["HapNodejs", "open_hap_nodejs"]


class HapNodejs(Hap):
    """Driven by ``tests/npm/hap.cjs``."""

    def __init__(self, mac: str, name: str, port: int, process: Node) -> None:
        super().__init__(mac, name, port)
        self._process = process
        self._turn = asyncio.Lock()

    async def id_of(self, service: str, characteristic: str) -> tuple[int, int]:
        aid, iid = await self._ask("id", service=service, characteristic=characteristic)
        return aid, iid

    async def truth(self, aid: int, iid: int) -> dict[str, Any]:
        found: dict[str, Any] = await self._ask("truth", aid=aid, iid=iid)
        return found

    async def set(self, service: str, characteristic: str, value: object) -> None:
        await self._ask("set", service=service, characteristic=characteristic, value=value)

    async def press(self, presses: int) -> None:
        await self.set("StatelessProgrammableSwitch", "ProgrammableSwitchEvent", presses)

    async def behave(self, how: str) -> None:
        await self._ask("behave", how=how)

    async def flood(self, number: int) -> int:
        return int(await self._ask("flood", number=number))

    async def forget(self) -> None:
        await self._ask("forget")

    async def txt(self) -> dict[str, str]:
        found: Mapping[str, object] = await self._ask("txt")
        return {key: str(value) for key, value in found.items()}

    async def _ask(self, what: str, **more: object) -> Any:  # noqa: ANN401 - JSON
        async with self._turn:
            await self._process.say({"ask": what, **more})
            return await self._process.hear()


@asynccontextmanager
async def open_hap_nodejs(npm_modules: Path, directory: Path, *, name: str = "Bridge") -> AsyncIterator[HapNodejs]:
    """Run hap-nodejs' bridge, unpaired, with the PIN 031-45-154; its id is any."""
    mac = any_mac()
    async with node(npm_modules, "hap.cjs", id_text(mac), PIN, name, str(directory)) as process:
        port = await process.hear()
        hap = HapNodejs(mac, name, port, process)
        async with open_gate(port) as hap.gate:
            yield hap
