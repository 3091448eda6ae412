"""What is asked of Gladys about users, houses and areas, and what it is told of people."""

from __future__ import annotations

from urllib.parse import quote

from gladys_companion.gladys_api._messages import (
    GladysArea,
    GladysHouse,
    GladysMessage,
    GladysUser,
    Some,
    some,
)
from gladys_companion.gladys_api._wire import Wire

__all__ = ["People"]

_USER_FIELDS = ",".join(GladysUser.__struct_fields__)  # not the e-mail address, the picture, or what else there is


class People:
    """``GladysApi.people``; what its methods raise is told there."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def users(self) -> Some[GladysUser]:
        """Return all users, each with where Gladys has them now."""
        body = await self._wire.ask("GET", "/user", query={"fields": _USER_FIELDS})
        return await self._wire.read(body, lambda raw: some(raw, GladysUser))

    async def houses(self) -> Some[GladysHouse]:
        """Return all houses."""
        return await self._wire.read(await self._wire.ask("GET", "/house"), lambda raw: some(raw, GladysHouse))

    async def areas(self) -> Some[GladysArea]:
        """Return all areas: the zones of Gladys."""
        return await self._wire.read(await self._wire.ask("GET", "/area"), lambda raw: some(raw, GladysArea))

    async def locate(
        self,
        user: str,
        latitude: float,
        longitude: float,
        *,
        accuracy: float | None = None,
        altitude: float | None = None,
    ) -> None:
        """Tell where a user is, in degrees and metres. Gladys takes it for now, and for the newest, whatever it is.

        Raises:
            Unsure: it is not known whether Gladys got it; once more does no harm.
        """
        members = {"latitude": latitude, "longitude": longitude, "altitude": altitude, "accuracy": accuracy}
        told = {name: value for name, value in members.items() if value is not None}
        await self._wire.ask("POST", f"/user/{quote(user, safe='')}/location", told)

    async def seen(self, house: str, user: str) -> None:
        """Tell that a user is in a house; if Gladys did not have them there, they came home.

        Raises:
            Unsure: it is not known whether Gladys got it; once more does no harm.
        """
        await self._wire.ask("POST", f"/house/{quote(house, safe='')}/user/{quote(user, safe='')}/seen", {})

    async def say(self, text: str, message_id: str) -> None:
        """Write into the chat, as the user whose key it is. Gladys answers before it reads it, and may act on it.

        Args:
            text: of the message.
            message_id: a UUID by which ``messages`` then shows it.

        Raises:
            Unsure: it is not known whether Gladys got it; once more would say it twice.
        """
        await self._wire.ask("POST", "/message", {"text": text, "id": message_id})

    async def messages(self) -> Some[GladysMessage]:
        """Return the newest twenty messages of the chat of the user whose key it is, newest first."""
        return await self._wire.read(await self._wire.ask("GET", "/message"), lambda raw: some(raw, GladysMessage))
