"""The driver of WLED lamps: a lamp is its MAC address, wherever it is, and its websocket is kept open by one task each.

Protocol: the JSON API of WLED (kno.wled.ge/interfaces/json-api), firmware 0.14 and newer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated

import structlog
from msgspec import Meta, Struct

from gladys_companion.backoff import STABLE_AFTER, backoff
from gladys_companion.drivers.wled._lamp import AnotherDevice, Lamp, open_lamp
from gladys_companion.drivers.wled._values import features
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Delivery, Device, Event, Feature, Service, report
from gladys_companion.ports import Kit, Plugin

__all__ = ["PLUGIN", "Config", "WledDriver"]

NAME = "wled"
SERVICE = "_wled._tcp.local."
FIRST_RETRY = 0.5

log = structlog.get_logger(__name__)


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """``[drivers.wled]``, in seconds: ``answer_within`` for a lamp's answer, ``reconnect_most`` between attempts."""

    answer_within: Annotated[float, Meta(gt=0, le=60)] = 5.0
    reconnect_most: Annotated[float, Meta(ge=FIRST_RETRY, le=3600)] = 30.0


@asynccontextmanager
async def _open(config: Config, kit: Kit) -> AsyncIterator[WledDriver]:
    async with AsyncExitStack() as stack:
        # Left as if nothing had failed, so that an error of the body comes out as itself and not in a group.
        group = await asyncio.TaskGroup().__aenter__()
        stack.push_async_callback(group.__aexit__, None, None, None)
        driver = WledDriver(config, kit, group)
        stack.callback(driver.forget_all)
        yield driver


PLUGIN = Plugin(config=Config, open=_open)


class _Follower(Struct):
    """What is known of a lamp that is listened to: by component, the values it told, and those told on or commanded."""

    device: Device
    returned: asyncio.Event  # cuts the backoff short
    heard: dict[str, float] = {}
    told: dict[str, float] = {}
    lamp: Lamp | None = None
    task: asyncio.Task[None] | None = None
    trouble: str | None = None


class WledDriver:
    """A ``Driver``; ``PLUGIN.open`` makes one."""

    services: Sequence[str] = (SERVICE,)

    def __init__(self, config: Config, kit: Kit, group: asyncio.TaskGroup) -> None:
        self._config = config
        self._clock = kit.clock
        self._group = group
        self._followers: dict[str, _Follower] = {}
        self._news: dict[str, Event] = {}  # by external id: where nobody takes them, the newest replaces the older
        self._some_news = asyncio.Event()

    def identify(self, service: Service) -> Device | None:
        """Return the lamp of an announcement that names a MAC, or None."""
        mac = service.txt.get("mac", "").replace(":", "").lower()
        if service.type != SERVICE or not re.fullmatch(r"[0-9a-f]{12}", mac):
            return None
        address = _best(service.addresses)
        if address is None:
            return None
        return Device(
            id=f"{NAME}:{mac}",
            driver=NAME,
            name=service.name.removesuffix(f".{SERVICE}"),
            model="WLED",
            host=service.host,
            address=address,
            port=service.port,
        )

    async def describe(self, device: Device) -> Sequence[Feature]:
        """Ask the lamp; see ``ports.Driver``."""
        async with open_lamp(device, self._config.answer_within) as lamp:
            return features(device, await lamp.ask())

    async def deliver(self, delivery: Delivery) -> None:
        """Command the lamp, and return when it said that it has the value; see ``ports.Target``."""
        feature, device, value = delivery.feature, delivery.device, delivery.event.value
        if feature is None or device is None or value is None:
            raise Rejected("A lamp can only be given a number for one of its features.")
        component = feature.external_id.removeprefix(f"{device.id}:")
        follower = self._followers.get(device.id)
        if follower is None:
            await self._set(device, component, value)
            return
        follower.told[component] = value  # so that the lamp's echo is no news
        try:
            if follower.lamp is not None and follower.lamp.listening:
                await follower.lamp.set(component, value)
            else:
                await self._set(device, component, value)
        except BaseException:
            follower.told.pop(component, None)
            self._tell(follower, follower.heard)
            raise

    async def events(self) -> AsyncIterator[Event]:
        """Yield what followed lamps tell that they were not just told."""
        while True:
            await self._some_news.wait()
            self._some_news.clear()
            while self._news:
                yield self._news.pop(next(iter(self._news)))

    def follow(self, device: Device) -> None:
        """Listen to the lamp where it is now, for ever; a lamp said to be away is still tried, now and then."""
        old = self._followers.get(device.id)
        if old is not None and (old.device.address, old.device.port) == (device.address, device.port):
            if old.device.away_since is not None and device.away_since is None:
                old.returned.set()
            old.device = device
            return
        self.forget(device.id)
        follower = _Follower(device=device, returned=asyncio.Event())
        follower.task = self._group.create_task(self._keep_listening(follower), name=f"follow {device.id}")
        self._followers[device.id] = follower

    def forget(self, device_id: str) -> None:
        """Stop listening to the lamp."""
        follower = self._followers.pop(device_id, None)
        if follower is not None and follower.task is not None:
            follower.task.cancel()

    def trouble(self, device_id: str) -> str | None:
        """Return why the lamp can not be listened to now; see ``ports.Troubled``."""
        follower = self._followers.get(device_id)
        return follower.trouble if follower is not None else None

    def forget_all(self) -> None:
        """Stop listening to every lamp."""
        for device_id in tuple(self._followers):
            self.forget(device_id)

    async def discover(self) -> AsyncIterator[Device]:
        """Yield nothing: every lamp speaks mDNS."""
        none: tuple[Device, ...] = ()
        for device in none:
            yield device

    async def _keep_listening(self, follower: _Follower) -> None:
        delays = backoff(FIRST_RETRY, self._config.reconnect_most)
        while True:
            follower.returned.clear()
            follower.told.clear()  # what was told before the gap may be wrong after it
            began = self._clock.elapsed()
            try:
                async with open_lamp(follower.device, self._config.answer_within) as follower.lamp:
                    await follower.lamp.listen(partial(self._tell, follower))
            except (Unavailable, Rejected) as error:
                if str(error) != follower.trouble:
                    follower.trouble = str(error)
                    log.info("not listening", device=follower.device.id, reason=follower.trouble)
            finally:
                follower.lamp = None
            if self._clock.elapsed() - began >= STABLE_AFTER:
                delays = backoff(FIRST_RETRY, self._config.reconnect_most)
            with suppress(TimeoutError):
                async with asyncio.timeout(next(delays)):
                    await follower.returned.wait()

    async def _set(self, device: Device, component: str, value: float) -> None:
        async with open_lamp(device, self._config.answer_within) as lamp:
            try:
                await lamp.set(component, value)
            except AnotherDevice as error:  # the lamp itself may yet be found elsewhere
                raise Unavailable(str(error)) from error

    def _tell(self, follower: _Follower, values: dict[str, float]) -> None:
        follower.heard, follower.trouble = values, None
        for component, value in values.items():
            if follower.told.get(component) == value:
                continue
            follower.told[component] = value
            external_id = f"{follower.device.id}:{component}"
            self._news[external_id] = report(
                origin=NAME,
                external_id=external_id,
                value=value,
                now=self._clock.now(),
                elapsed=self._clock.elapsed(),
                boot=self._clock.boot,
            )
            self._some_news.set()


def _best(addresses: Sequence[str]) -> str | None:
    """Return the address most likely to work: IPv4, then IPv6 beyond the link, then what has a scope."""

    def rank(address: IPv4Address | IPv6Address) -> int:
        return 0 if address.version == 4 else 2 if address.is_link_local else 1  # noqa: PLR2004

    return min(addresses, key=lambda text: rank(ip_address(text)), default=None)
