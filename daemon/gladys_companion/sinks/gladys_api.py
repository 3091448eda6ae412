"""Tells Gladys by its REST API of people, messages and scenes, and looks who lives there and which places matter.

A delivery has arrived when Gladys itself shows it. While Gladys is away deliveries wait in the database, in order; what
is late when their turn comes settles as expired, for Gladys takes all for now. Protocol: ``gladys_api``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, NoReturn, TypeVar

import msgspec
import structlog
from msgspec import Meta, Struct

from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.gladys_api import GladysApi, judged, open_api
from gladys_companion.gladys_api.household import Household, household
from gladys_companion.gladys_api.looks import keep_looking
from gladys_companion.model import Delivery, Event, PlannedDelivery
from gladys_companion.ports import Kit, Plugin
from gladys_companion.protocol.people import Located, Present
from gladys_companion.resolve import TEST, late_reason
from gladys_companion.sinks._gladys_people import Teller

__all__ = ["PLUGIN", "Config", "GladysApiSink"]

NAME = "gladys_api"

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """``[sinks.gladys_api]``: seconds that Gladys has to show what it was told; the radius of its houses in metres.

    ``catch_up``: what Gladys missed of who came home or left is told once it is back, if it is still so.
    """

    confirm_within: Annotated[float, Meta(gt=0, le=60)] = 3.0
    house_radius: Annotated[float, Meta(ge=10, le=10_000)] = 100.0
    catch_up: bool = False


class _Message(Struct, frozen=True):
    text: str


class _Scene(Struct, frozen=True):
    scene: str


class GladysApiSink:
    """A ``Target``, ``Hindered`` and ``Acquainted``; ``PLUGIN.open`` makes one, and has it ``run``."""

    def __init__(self, config: Config, kit: Kit, api: GladysApi) -> None:
        self._config = config
        self._kit = kit
        self._api = api
        self._teller = Teller(api, confirm_within=config.confirm_within)
        self._trouble: str | None = None
        self._household: Household | None = None
        self._looked = asyncio.Event()

    @property
    def hindrance(self) -> str | None:
        """See ``ports.Hindered``."""
        return self._trouble

    @property
    def household(self) -> Household | None:
        """See ``ports.Acquainted``."""
        return self._household

    async def households(self) -> AsyncIterator[Household]:
        """See ``ports.Acquainted``."""
        while True:
            await self._looked.wait()
            self._looked.clear()
            if self._household is not None:
                yield self._household

    async def deliver(self, delivery: Delivery) -> str | None:
        """Tell it, and return when Gladys shows it, perhaps with what it does not show; see ``ports.Target``.

        Raises:
            Unsure: it is not known whether it was done, and twice would be one too many.
        """
        event = delivery.event
        late = late_reason(PlannedDelivery(delivery.target, delivery.lane), None, event) if delivery.late else None
        if late is not None:
            raise Rejected(f"{late[0].upper()}{late[1:]}.")
        with judged():
            match event.kind:
                case "location":
                    return await self._teller.locate(_read(event, Located))
                case "presence":
                    return await self._present(_read(event, Present))
                case "message":
                    await self._teller.say(_read(event, _Message).text, event.id)
                    return None
                case "signal" if event.external_id == TEST:
                    await self._api.people.users()  # it answers, and nothing is changed
                    return None
                case "signal":
                    return await self._teller.start(_read(event, _Scene).scene)
        raise Rejected(f"The API of Gladys takes no {event.kind}.")

    async def _present(self, told: Present) -> str | None:
        if not told.home:
            return await self._teller.crossed(told)
        match told.state:
            case "in":
                return await self._teller.at_home(told)
            case "out":
                return await self._teller.left_home(told)
        return f"nobody knows where {told.name} is: Gladys keeps what it had"

    async def run(self) -> NoReturn:
        """Look at who lives there and which places matter, at once and every ``sync_every`` seconds."""
        await keep_looking(
            self._look,
            seconds=self._kit.gladys.sync_every,
            every=self._kit.every,
            contained=self._kit.contained,
            troubled=self._troubled,
            well=self._well,
        )

    async def _look(self) -> None:
        with judged():
            users = await self._api.people.users()
            if not users.all:  # whose is the key, then? Nobody is forgotten for that
                raise Unavailable(f"Gladys at {self._api.url} shows none of its users.")
            houses, areas = await self._api.people.houses(), await self._api.people.areas()
            scenes = await self._api.scenes.all()
        self._household = household(
            users, houses, areas, scenes, house_radius=self._config.house_radius, catch_up=self._config.catch_up
        )
        self._looked.set()

    def _troubled(self, says: str) -> None:
        if self._trouble != says:
            log.warning("gladys can not be told of people", reason=says)
            self._trouble = says

    def _well(self) -> None:
        if self._trouble is not None:
            log.info("gladys can be told of people again")
            self._trouble = None
            self._kit.retry(NAME)


def _read(event: Event, type_: type[T]) -> T:
    try:
        return msgspec.json.decode(event.body or "", type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected(f"It is no {event.kind} that Gladys could be told of: {error}.") from error


@asynccontextmanager
async def _open(config: Config, kit: Kit) -> AsyncIterator[GladysApiSink]:
    if not kit.gladys.url:
        raise Rejected("Where Gladys is, is not said: name its address in [gladys] url, and an API key beside it.")
    async with AsyncExitStack() as stack:
        sink = GladysApiSink(config, kit, await stack.enter_async_context(open_api(kit.gladys)))
        # Left as if nothing had failed, so that an error of the body comes out as itself and not in a group.
        group = await asyncio.TaskGroup().__aenter__()
        stack.push_async_callback(group.__aexit__, None, None, None)
        stack.callback(group.create_task(sink.run(), name=NAME).cancel)
        yield sink


PLUGIN = Plugin(config=Config, open=_open)
