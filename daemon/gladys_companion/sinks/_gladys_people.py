"""Tells Gladys of people by its API, each thing until Gladys itself shows it, and nothing twice that is one too many.

What Gladys shows nowhere, as whether a scene ran, is said to be so.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from gladys_companion.backoff import backoff
from gladys_companion.errors import Rejected, Unavailable, Unsure
from gladys_companion.gladys_api import GladysApi, GladysUser, moment
from gladys_companion.gladys_api.own_scenes import crossing, left_home
from gladys_companion.protocol.people import Located, Present

__all__ = ["Teller"]

FIRST_LOOK, LAST_LOOK = 0.05, 1.0  # seconds between two looks at what became of it
LONGEST_MESSAGE = 64_000  # bytes, of the 100 kB that Gladys takes
SETUP = "`gladys-companion gladys setup`"
PATIENCE = 3.0


class Teller:
    """Tells; every method raises ``Unavailable``, ``Unsure`` or ``Rejected`` as ``ports.Target`` says.

    Args:
        api: of Gladys.
        confirm_within: seconds that Gladys has to show what it was told.
        patience: seconds that it has to answer all that is asked before, and again to answer what it is told: together
            less than an attempt may take, or nobody would know what was told.
    """

    def __init__(self, api: GladysApi, *, confirm_within: float, patience: float = PATIENCE) -> None:
        self._api = api
        self._within = confirm_within
        self._patience = patience

    async def locate(self, told: Located) -> str | None:
        """Tell where a person is, and return when Gladys has them there, or has heard a newer place from elsewhere."""
        async with self._before():
            user = await self._user(told.gladys_user)
        sent = self._api.people.locate(
            user.selector, told.latitude, told.longitude, accuracy=told.accuracy, altitude=told.altitude
        )
        try:
            unsure = await self._sent(sent)
        except Rejected as error:
            if told.latitude and told.longitude:
                raise
            raise Rejected(
                f"{error} It seems to take a latitude or longitude of exactly 0 for a missing one."
            ) from error

        async def has() -> bool:
            now = await self._user(user.selector)
            return (now.last_latitude, now.last_longitude) == (told.latitude, told.longitude)

        if await self._shown(has):
            return None
        now = await self._user(user.selector)
        if unsure is None and moment(now.last_location_changed) != moment(user.last_location_changed):
            return "Gladys took it, and has heard another position from elsewhere since"
        raise _again(unsure, f"Gladys does not show the position of {told.name} that it took.")

    async def at_home(self, told: Present) -> str | None:
        """Tell that a person is at home, and return when Gladys has them there."""
        async with self._before():
            user, (house_id, house) = await self._user(told.gladys_user), await self._house(told)
        unsure = await self._sent(self._api.people.seen(house, user.selector))

        async def there() -> bool:
            return (await self._user(user.selector)).current_house_id == house_id

        if not await self._shown(there):
            raise _again(unsure, f"Gladys does not show {told.name} at home, although it was told.")
        return None

    async def left_home(self, told: Present) -> str | None:
        """Have the scene started by which a person leaves home, and return when Gladys has them out."""
        async with self._before():
            user, (house_id, _) = await self._user(told.gladys_user), await self._house(told)
            if user.current_house_id != house_id:
                return f"Gladys has {told.name} not at home already"
            selector = left_home(user.selector)
            if not await self._ready(selector):
                raise Rejected(
                    f"Gladys can not be told that {told.name} left: it has no scene {selector!r}. {SETUP} makes it."
                )
        unsure = await self._sent(self._api.scenes.start(selector))

        async def out() -> bool:
            return (await self._user(user.selector)).current_house_id != house_id

        if not await self._shown(out):
            raise unsure or Unsure(
                f"The scene {selector!r} was started, and Gladys has {told.name} at home all the same: "
                f"{SETUP} looks whether it does what it should."
            )
        return None

    async def crossed(self, told: Present) -> str | None:
        """Start the scene that the user made for this zone and person, if there is one."""
        if told.state == "unknown" or (told.state == "out" and told.before != "in"):
            return "nothing is started by this"
        async with self._before():
            user = await self._user(told.gladys_user)
            selector = crossing("entered" if told.state == "in" else "left", told.zone, user.selector)
            if not await self._ready(selector):
                return f"Gladys has no scene {selector!r} to be started by this"
        await self._start(selector)
        return f"the scene {selector!r} was started; Gladys does not say whether one ran"

    async def start(self, selector: str) -> str:
        """Start a scene."""
        async with self._before():
            if not await self._ready(selector):
                raise Rejected(
                    f"Gladys has no scene {selector[:100]!r}: name the selector that its address in Gladys ends with."
                )
        await self._start(selector)
        return "Gladys does not say whether a scene ran"

    async def _start(self, selector: str) -> None:
        unsure = await self._sent(self._api.scenes.start(selector))
        if unsure is not None:
            raise unsure

    async def say(self, text: str, event_id: str) -> None:
        """Write into the chat, and return when it stands there."""
        if len(text.encode()) > LONGEST_MESSAGE:
            raise Rejected(f"The message is longer than the {LONGEST_MESSAGE} bytes that Gladys takes.")
        message_id = _uuid(event_id)
        async with self._before():
            before = {one.id for one in (await self._api.people.messages()).all}
        if message_id in before:
            return
        unsure = await self._sent(self._api.people.say(text, message_id))

        async def stands_there() -> bool:
            new = [one for one in (await self._api.people.messages()).all if one.id not in before]
            return any(one.id == message_id or (one.text == text and one.sender_id) for one in new)

        if not await self._shown(stands_there):
            raise unsure or Unsure("Gladys took the message, and does not show it in its chat.")

    @asynccontextmanager
    async def _before(self) -> AsyncIterator[None]:
        """Ask what has to be known before anything is told; whoever is too slow has certainly been told nothing."""
        try:
            async with asyncio.timeout(self._patience):
                yield
        except TimeoutError as error:
            raise Unavailable(f"Gladys did not answer within {self._patience:g} s: it was told nothing.") from error

    async def _sent(self, request: Awaitable[None]) -> Unsure | None:
        """Send it, and return why it is not known whether Gladys got it, if that is so: it may show it all the same."""
        try:
            async with asyncio.timeout(self._patience):
                await request
        except Unsure as error:
            return error
        except TimeoutError:
            return Unsure(f"Gladys did not answer within {self._patience:g} s.")
        return None

    async def _ready(self, selector: str) -> bool:
        """Return whether there is such a scene.

        Raises:
            Rejected: its owner switched it off.
        """
        scene = await self._api.scenes.get(selector)
        if scene is not None and not scene.active:
            raise Rejected(f"The scene {scene.name!r} ({selector}) is switched off in Gladys.")
        return scene is not None

    async def _user(self, selector: str | None) -> GladysUser:
        found = next((one for one in (await self._api.people.users()).all if one.selector == selector), None)
        if found is None:
            raise Rejected(
                f"Gladys has no user {selector!r}: name the right one with `gladys-companion people edit PERSON "
                "--gladys-user USER`."
            )
        return found

    async def _house(self, told: Present) -> tuple[str, str]:
        """Return id and selector of the house that is their home: of its zone, else their own, else the only one."""
        houses = (await self._api.people.houses()).all
        kind, _, of_zone = (told.zone_in_gladys or "").partition(":")
        wanted = of_zone if kind == "house" else told.gladys_house
        if wanted is None and len(houses) == 1:
            return houses[0].id, houses[0].selector
        found = next((one for one in houses if one.selector == wanted), None)
        if found is not None:
            return found.id, found.selector
        if wanted is None:
            says = f"which of the {len(houses)} houses of Gladys is home to {told.name} is not said"
        else:
            says = f"Gladys has no house {wanted!r}"
        raise Rejected(
            f"It can not be told: {says}. Name it with `gladys-companion people edit {told.person} --gladys-house "
            "HOUSE`, or let a house of Gladys be their home with `--home ZONE`."
        )

    async def _shown(self, so: Callable[[], Awaitable[bool]]) -> bool:
        """Return whether Gladys shows it in time."""
        try:
            async with asyncio.timeout(self._within):
                for pause in backoff(FIRST_LOOK, LAST_LOOK):
                    with suppress(Unavailable):
                        if await so():
                            return True
                    await asyncio.sleep(pause)
        except TimeoutError:
            pass
        return False


def _again(unsure: Unsure | None, says: str) -> Unavailable:
    """Return why it has to be told again, which does no harm."""
    return Unavailable(str(unsure) if unsure is not None else says)


def _uuid(event_id: str) -> str:
    """Return the event's id where that is a UUID, which is all that Gladys takes; else one made of it."""
    try:
        return str(uuid.UUID(event_id))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"gladys-companion:{event_id}"))
