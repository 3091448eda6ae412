"""What is asked of Gladys about devices, and the client that all of it hangs on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import msgspec
from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from msgspec import Struct
from multidict import istr

from gladys_companion.config import Gladys
from gladys_companion.errors import Rejected
from gladys_companion.gladys_api import _messages
from gladys_companion.gladys_api._messages import GladysDevice, GladysFeature, Listing
from gladys_companion.gladys_api._people import People
from gladys_companion.gladys_api._scenes import Scenes
from gladys_companion.gladys_api._wire import Wire

__all__ = ["GladysApi", "open_api"]

PAGE = 100  # devices that are asked for at a time, so that no answer keeps Gladys or us busy for long
MOST_DEVICES = 20_000


class GladysApi:
    """Made by ``open_api``. ``url`` is where Gladys is, ``host`` and ``port`` are of it.

    ``people`` asks about users, houses and messages, ``scenes`` about scenes. Every method raises, beside what it says:
    ``Unavailable``, when Gladys does not answer, or not as Gladys does; ``AuthError``, when it refuses the API key or
    there is none; ``Rejected``, when it refuses the request.
    """

    def __init__(self, wire: Wire) -> None:
        self.url, self.host, self.port = wire.url, wire.host, wire.port
        self.people = People(wire)
        self.scenes = Scenes(wire)
        self._wire = wire

    async def devices(self) -> Listing:
        """Return all devices, asked for part by part."""
        parts: list[Listing] = []
        count = 0
        while True:
            query = {"order_by": "external_id", "take": str(PAGE), "skip": str(count)}
            parts.append(await self._wire.read(await self._wire.ask("GET", "/device", query=query), _messages.page))
            length = len(parts[-1].devices) + len(parts[-1].odd)
            count += length
            if len(parts) > 1 and parts[-1] == parts[-2]:  # Gladys knows of no parts, and this was all
                return parts[0]
            if length != PAGE:
                return Listing(
                    devices=tuple(one for part in parts for one in part.devices),
                    odd=tuple(one for part in parts for one in part.odd),
                    pages=len(parts),
                )
            if count > MOST_DEVICES:
                raise Rejected(
                    f"{self._wire.name} says that it has more than {MOST_DEVICES} devices, which are too many."
                )

    async def find(self, external_id: str) -> dict[str, Any] | None:
        """Return the members of the device of this external id, as Gladys wrote them; None where it has none."""
        wanted = "".join(letter.lower() if letter.isascii() else letter for letter in external_id)  # as SQLite does
        members = await self._wire.read(await self._wire.ask("GET", "/device", query={"search": wanted}), _members)
        return next((one for one in members if one.get("external_id") == external_id), None)

    async def device(self, external_id: str) -> GladysDevice | None:
        """Return the device of this external id; None where Gladys has none."""
        members = await self.find(external_id)
        if members is None:
            return None
        try:
            return _messages.device(members)
        except msgspec.ValidationError as error:
            raise Rejected(f"{self._wire.name} describes {external_id!r} in a way that can not be read.") from error

    async def feature(self, selector: str) -> GladysFeature | None:
        """Return a feature as Gladys' database has it now; None where it has none of this selector."""
        query = {"device_feature_selectors": selector}
        found = await self._wire.read(await self._wire.ask("GET", "/device", query=query), _messages.page)
        return next((one for device in found.devices for one in device.features if one.selector == selector), None)

    async def set_value(self, selector: str, value: float | str) -> None:
        """Have Gladys command the device of a feature; it answers before it does so, whatever will become of it.

        Raises:
            Unsure: it is not known whether Gladys got the request.
        """
        path = f"/device_feature/{quote(selector, safe='')}/value"
        await self._wire.ask("POST", path, {"value": _number(value)})

    async def service_id(self, name: str) -> str:
        """Return the id of one of Gladys' services, such as ``mqtt``."""
        body = await self._wire.ask("GET", f"/service/{quote(name, safe='')}")
        return (await self._wire.read(body, _service)).id

    async def create_device(self, members: Mapping[str, Any]) -> None:
        """Create the device of these members; one of the same external id is made the same, also where it has more."""
        await self._wire.ask("POST", "/device", members)

    async def delete_device(self, selector: str) -> None:
        """Delete a device with its history. Gladys refuses while that is long, and begins to make it shorter."""
        await self._wire.ask("DELETE", f"/device/{quote(selector, safe='')}")


class _Service(Struct, frozen=True):
    id: str


def _members(body: bytes) -> list[dict[str, Any]]:
    return msgspec.json.decode(body, type=list[dict[str, Any]])


def _service(body: bytes) -> _Service:
    return msgspec.json.decode(body, type=_Service)


def _number(value: float | str) -> float | int | str:
    return int(value) if isinstance(value, float) and value.is_integer() else value


@asynccontextmanager
async def open_api(settings: Gladys) -> AsyncIterator[GladysApi]:
    """Give a client of the Gladys that ``settings.url`` names; nothing is asked yet."""
    # A connection for each request: one that Gladys closed meanwhile can not be told from a command that arrived.
    connector = TCPConnector(limit=4, force_close=True)
    async with ClientSession(
        connector=connector,
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=settings.answer_within),
        headers={istr("Accept-Encoding"): "identity"},  # so that what is counted is what is kept
        auto_decompress=False,
    ) as session:
        yield GladysApi(Wire(settings, session))
