"""The driver of the devices that Gladys has: looks at them now and then, and has Gladys command them.

Gladys answers a command before it carries it out, so it is asked afterwards which value the feature has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Annotated, NoReturn

import structlog
from msgspec import Meta, Struct, structs

from gladys_companion.backoff import backoff
from gladys_companion.drivers.gladys_devices._catalogue import Catalogue
from gladys_companion.drivers.gladys_devices._values import NAME, Known, Shown, agrees, shown
from gladys_companion.errors import Rejected, Unavailable, Unsure
from gladys_companion.gladys_api import GladysApi, GladysFeature, Listing, judged, open_api
from gladys_companion.gladys_api.looks import keep_looking
from gladys_companion.model import Delivery, Device, Event, Feature, Service, report
from gladys_companion.ports import Kit, Plugin, Trouble

__all__ = ["PLUGIN", "Config", "GladysDevices"]

AT_A_TIME = 50  # devices that are looked at before others have their turn
FIRST_LOOK, LAST_LOOK = 0.05, 1.0  # seconds between two looks at what became of a command

log = structlog.get_logger(__name__)


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """``[drivers.gladys_devices]``: ``confirm_within`` so many seconds Gladys must show the value of a command."""

    confirm_within: Annotated[float, Meta(gt=0, le=60)] = 5.0


class GladysDevices:
    """A ``Driver``; ``PLUGIN.open`` makes one, and has it ``run``."""

    services: Sequence[str] = ()

    def __init__(self, config: Config, kit: Kit, api: GladysApi) -> None:
        self._config = config
        self._kit = kit
        self._api = api
        self._catalogue = Catalogue(api.host, api.port, kit.clock.now())
        self._trouble: Trouble | None = None
        self._found: asyncio.Queue[Device] = asyncio.Queue()
        self._news: dict[str, Event] = {}  # by external id: where nobody takes them, the newest replaces the older
        self._some_news = asyncio.Event()
        self._waiting: set[str] = set()  # devices whose commands could not be given
        self._odd: frozenset[str] = frozenset()

    @property
    def hindrance(self) -> str | None:
        """See ``ports.Hindered``."""
        return self._trouble.says if self._trouble is not None else None

    def trouble(self, _: str) -> Trouble | None:
        """Return why Gladys can not be asked now: what keeps from one of its devices keeps from all."""
        return self._trouble

    def identify(self, service: Service) -> None:  # noqa: ARG002 - the port's
        """Return None: what announces itself as Gladys is not believed, for it would be sent the key."""
        return

    async def describe(self, device: Device) -> Sequence[Feature]:
        """Return the features of a device of Gladys that are not ours already; see ``ports.Driver``."""
        one = self._catalogue.get(device.id)
        if one is None or one.device.seen_at != device.seen_at:
            one = await self._asked(device.id)
        if one.taken and not one.features:
            external_id, meant = next(iter(one.taken.items()))
            raise Rejected(
                f"{external_id!r} of it already is {meant} here. To use what Gladys has, forget that one: "
                "`gladys-companion devices forget`, or `alias remove`."
            )
        return one.features

    async def discover(self) -> AsyncIterator[Device]:
        """Yield what Gladys has: at first all of it, then what is new, changed or gone."""
        while True:
            yield await self._found.get()
            await asyncio.sleep(0)  # others have their turn between two of ten thousand

    async def events(self) -> AsyncIterator[Event]:
        """Yield the values that Gladys has, each once, with the time at which Gladys had it."""
        while True:
            await self._some_news.wait()
            self._some_news.clear()
            while self._news:
                yield self._news.pop(next(iter(self._news)))

    def follow(self, device: Device) -> None:
        """Tell the values of a device that the registry knows by now."""
        self._tell(device.id)

    def forget(self, device_id: str) -> None:
        """Take the device for a new one when it is seen next."""
        self._catalogue.forget(device_id)

    async def deliver(self, delivery: Delivery) -> None:
        """Have Gladys command the device, and return when it shows the value; see ``ports.Target``.

        Raises:
            Unsure: Gladys took the command, and has not shown the value since.
        """
        feature, device = delivery.feature, delivery.device
        if feature is None or device is None:
            raise Rejected("A device of Gladys can only be given a value for one of its features.")
        wanted = delivery.event.text if feature.textual else delivery.event.value
        if wanted is None:
            raise Rejected(f"{feature.name} takes a {'text' if feature.textual else 'number'}.")
        try:
            with judged():
                await self._command(device, feature, wanted)
        except Unsure:
            raise
        except Unavailable:
            self._waiting.add(device.id)
            raise

    async def _command(self, device: Device, feature: Feature, wanted: float | str) -> None:
        now = await self._now(feature, self._catalogue.get(device.id))
        if now is None:  # not seen yet, or made anew in Gladys since the last look
            now = await self._now(feature, await self._asked(device.id))
        if now is None:
            raise Rejected(f"Gladys has no feature {feature.external_id!r} any more.")
        if now.read_only:
            raise Rejected(f"{feature.name} can only be read: Gladys commands nothing there.")
        try:
            await self._api.set_value(now.selector, wanted)
        except Unsure as error:
            if feature.momentary:
                raise
            raise Unavailable(str(error)) from error  # the same value once more does no harm
        if not feature.momentary:  # of a click there is nothing to see
            await self._seen(device, feature, self._shown(feature, now), wanted, now.selector)

    async def _now(self, feature: Feature, known: Known | None) -> GladysFeature | None:
        theirs = known.theirs.get(feature.external_id) if known is not None else None
        return await self._api.feature(theirs.selector) if theirs is not None else None

    async def _seen(
        self, device: Device, feature: Feature, before: Shown | None, wanted: float | str, selector: str
    ) -> None:
        """Return when Gladys shows the value."""
        clock, looks = self._kit.clock, backoff(FIRST_LOOK, LAST_LOOK)
        until = clock.elapsed() + self._config.confirm_within
        while True:
            with suppress(Unavailable):
                found = await self._api.feature(selector)
                if found is not None and agrees(feature, before, self._shown(feature, found), wanted):
                    return
            pause = next(looks)
            if clock.elapsed() + pause > until:
                raise Unsure(
                    f"Gladys took the command, but {device.name} has not shown the value within "
                    f"{self._config.confirm_within:g} s: whether it was done is not known."
                )
            await asyncio.sleep(pause)

    def _shown(self, feature: Feature, theirs: GladysFeature) -> Shown | None:
        return shown(theirs, textual=feature.textual, now=self._kit.clock.now())

    async def _asked(self, device_id: str) -> Known:
        with judged():
            one = await self._api.device(device_id)
        mine = self._catalogue.note(one, self._kit.registry(), self._kit.clock.now()) if one is not None else None
        if mine is None:
            raise Rejected(f"Gladys has no device {device_id!r} that is not one of ours.")
        return mine

    # The looks.

    async def run(self) -> NoReturn:
        """Look at what Gladys has, at once and every ``sync_every`` seconds; sooner again where that failed."""
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
            listing = await self._api.devices()
            if listing.pages > 1 and self._catalogue.lacks(listing, self._kit.registry()):
                listing = _both(listing, await self._api.devices())
        odd = frozenset(listing.odd)
        if odd - self._odd:
            log.warning("devices of gladys can not be read", devices=sorted(odd)[:10], count=len(listing.odd))
        self._odd = odd
        now = self._kit.clock.now()
        for device in self._catalogue.gone(listing, self._kit.registry(), now):
            self._found.put_nowait(device)
        for count, one in enumerate(listing.devices):
            if (changed := self._catalogue.see(one, self._kit.registry(), now)) is not None:
                self._found.put_nowait(changed)
            self._tell(one.external_id)
            if count % AT_A_TIME == 0:
                await asyncio.sleep(0)

    def _tell(self, device_id: str) -> None:
        clock = self._kit.clock
        for external_id, last in self._catalogue.news(device_id, self._kit.registry(), clock.now()):
            text = isinstance(last.value, str)
            event = report(
                origin=NAME,
                external_id=external_id,
                value=None if text else float(last.value),
                text=str(last.value) if text else None,
                now=clock.now(),
                elapsed=clock.elapsed(),
                boot=clock.boot,
            )
            self._news.pop(external_id, None)
            self._news[external_id] = structs.replace(event, at=last.at, dated=True)
            self._some_news.set()

    def _troubled(self, says: str) -> None:
        if self._trouble is None or self._trouble.says != says:
            log.warning("gladys can not be asked", reason=says)
            self._trouble = Trouble(says, self._trouble.since if self._trouble else self._kit.clock.now())

    def _well(self) -> None:
        if self._trouble is not None:
            log.info("gladys can be asked again")
        self._trouble = None
        while self._waiting:
            self._kit.retry(self._waiting.pop())


def _both(one: Listing, other: Listing) -> Listing:
    """Return what is in either, as the later has it: a device may slip from part to part while they are asked for."""
    devices = {device.external_id: device for device in (*one.devices, *other.devices)}
    return Listing(devices=tuple(devices.values()), odd=(*one.odd, *other.odd), pages=other.pages)


@asynccontextmanager
async def _open(config: Config, kit: Kit) -> AsyncIterator[GladysDevices]:
    if not kit.gladys.url:
        raise Rejected("Where Gladys is, is not said: name its address in [gladys] url, and an API key beside it.")
    async with AsyncExitStack() as stack:
        driver = GladysDevices(config, kit, await stack.enter_async_context(open_api(kit.gladys)))
        # Left as if nothing had failed, so that an error of the body comes out as itself and not in a group.
        group = await asyncio.TaskGroup().__aenter__()
        stack.push_async_callback(group.__aexit__, None, None, None)
        stack.callback(group.create_task(driver.run(), name=NAME).cancel)
        yield driver


PLUGIN = Plugin(config=Config, open=_open)
