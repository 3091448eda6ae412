"""What drivers share: one connection is kept to each followed device, and what devices tell becomes events, once.

A driver says how to connect (``listen``); reconnecting, echoes, repetitions, floods and troubles are dealt with here.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import Any, ClassVar, Generic, NoReturn, TypeVar

import structlog
from msgspec import Struct

from gladys_companion.backoff import STABLE_AFTER, backoff
from gladys_companion.drivers._news import News, Value
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Delivery, Device, Event, Feature, Service
from gladys_companion.ports import Kit, Plugin, Trouble

__all__ = ["FIRST_RETRY", "Following", "FollowingDriver", "Value", "opened", "plugin", "poll"]

C = TypeVar("C")
D = TypeVar("D", bound="FollowingDriver[Any]")

FIRST_RETRY = 0.5
REFUSED_RETRY = 60.0  # what only its owner can mend is looked at less often

log = structlog.get_logger(__name__)


class Following(Generic[C]):
    """One device that is followed, as ``listen`` has it.

    ``device`` is where it is now; ``connection`` is for ``deliver`` to use, None while there is none: set it once the
    device is known to be the right one.
    """

    def __init__(self, device: Device, kit: Kit, news: News) -> None:
        self.device = device
        self.connection: C | None = None
        self.trouble: Trouble | None = None
        self._kit = kit
        self._news = news
        self._woken = asyncio.Event()
        self._heard: dict[str, Value] = {}
        self._told: dict[str, Value] = {}  # told on, or commanded: no news when the device repeats it
        self._commands = 0  # begun since ever
        self._commanded = 0  # of them ended

    def tell(self, values: Mapping[str, Value]) -> bool:
        """Take the values of components (``{"switch:0": 1}``), all or some; return whether one of them was news.

        To be called with what the device says when it is connected, and from then on at each push or poll.
        """
        was_in_trouble, self.trouble = self.trouble, None
        if was_in_trouble is not None:
            self._kit.retry(self.device.id)
        self._heard.update(values)
        return self._tell_on(values)

    def _tell_on(self, values: Mapping[str, Value]) -> bool:
        news = {component: value for component, value in values.items() if self._told.get(component) != value}
        self._told.update(news)
        for component, value in news.items():
            self._news.put(self.device.id, component, value, momentary=False)
        return bool(news)

    async def tell_answer(self, answer: Awaitable[Mapping[str, Value]]) -> bool:
        """Take what the device answers when asked, as ``tell``; not if it was commanded meanwhile.

        An answer may be of before the command, and would tell its opposite. Whoever asks is woken to ask again.
        """
        begun, quiet = self._commands, self._commands == self._commanded
        values = await answer
        return self.tell(values if quiet and begun == self._commands else {})

    def happened(self, component: str, value: float) -> None:
        """Take something that happens and passes, such as a press of a button: never taken for a repetition."""
        self._news.put(self.device.id, component, value, momentary=True)

    async def pause(self, seconds: float) -> bool:
        """Wait so long; less, and return True, when the device was commanded, or is announced anew."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        finally:
            self._woken.clear()
        return True

    def wake(self) -> None:
        """End a ``pause``."""
        self._woken.set()

    def began(self) -> None:
        """Forget what was told before a gap: it may be wrong after it."""
        self._told.clear()
        self._woken.clear()

    def troubled(self, says: str) -> bool:
        """Take note that it can not be reached; return whether that is news."""
        if self.trouble is not None and self.trouble.says == says:
            return False
        since = self.trouble.since if self.trouble is not None else self._kit.clock.now()
        self.trouble = Trouble(says, since)
        return True

    @contextmanager
    def commanding(self, component: str, value: Value) -> Iterator[None]:
        """Expect the device to repeat this value; where the command fails, what it said meanwhile is news after all."""
        before = {component: self._told[component]} if component in self._told else {}
        self._told[component] = value
        self._commands += 1
        try:
            yield
        except BaseException:
            if self._told.get(component) == value:
                del self._told[component]
                self._told.update(before)
                if component in self._heard:
                    self._tell_on({component: self._heard[component]})  # no sign of life: its trouble stays
            raise
        finally:
            self._commanded += 1
            self.wake()


class FollowingDriver(ABC, Generic[C]):
    """A ``ports.Driver`` to derive from. ``name`` is that of its entry point, ``services`` the mDNS types it wants.

    Args:
        kit: as given to ``Plugin.open``.
        group: as given by ``opened``.
        reconnect_most: seconds between two attempts at the most.
    """

    name: ClassVar[str]
    services: Sequence[str] = ()

    def __init__(self, kit: Kit, group: asyncio.TaskGroup, *, reconnect_most: float = 30.0) -> None:
        self.kit = kit
        self._group = group
        self._reconnect_most = reconnect_most
        self._news = News(self.name, kit.clock)
        self._followed: dict[str, tuple[Following[C], asyncio.Task[None]]] = {}

    @abstractmethod
    def identify(self, service: Service) -> Device | None:
        """See ``ports.Driver``."""

    @abstractmethod
    async def describe(self, device: Device) -> Sequence[Feature]:
        """See ``ports.Driver``."""

    @abstractmethod
    async def deliver(self, delivery: Delivery) -> None:
        """See ``ports.Target``; ``connection`` gives the one that ``listen`` keeps, ``commanding`` hides the echo."""

    @abstractmethod
    async def listen(self, following: Following[C]) -> None:
        """Connect to ``following.device``, verify that it is this device, tell what it says until the connection ends.

        Called again, after a pause, for as long as the device is followed. Anew for each address.

        Raises:
            Unavailable: it can not be reached, or the connection ended.
            Rejected: it is another device, or its owner has to do something; the sentence says what.
        """

    async def discover(self) -> AsyncIterator[Device]:
        """Yield nothing: the devices speak mDNS."""
        none: tuple[Device, ...] = ()
        for device in none:
            yield device

    async def events(self) -> AsyncIterator[Event]:
        """Yield what followed devices tell that they were not just told."""
        while True:
            yield await self._news.get()

    def follow(self, device: Device) -> None:
        """Listen to the device where it is now, for ever; one said to be away is still tried, now and then."""
        if device.id in self._followed:
            old, _ = self._followed[device.id]
            if (old.device.address, old.device.port) == (device.address, device.port):
                old.device = device
                if old.connection is None and device.away_since is None:
                    old.wake()  # somebody just reached it
                return
            self.forget(device.id)
        following: Following[C] = Following(device, self.kit, self._news)
        task = self._group.create_task(self._keep_listening(following), name=f"follow {device.id}")
        self._followed[device.id] = following, task

    def forget(self, device_id: str) -> None:
        """Stop listening."""
        if device_id in self._followed:
            self._followed.pop(device_id)[1].cancel()
            self._news.forget(device_id)

    def forget_all(self) -> None:
        """Stop listening to every device."""
        for device_id in tuple(self._followed):
            self.forget(device_id)

    def trouble(self, device_id: str) -> Trouble | None:
        """Return why the device can not be listened to now, or that it tells too much; see ``ports.Troubled``."""
        if device_id not in self._followed:
            return None
        return self._followed[device_id][0].trouble or self._news.trouble(device_id)

    def following(self, device_id: str) -> Following[C] | None:
        """Return the device as ``listen`` has it, if it is followed."""
        return self._followed[device_id][0] if device_id in self._followed else None

    def connection(self, device_id: str) -> C | None:
        """Return the connection that ``listen`` keeps, if there is one."""
        following = self.following(device_id)
        return following.connection if following is not None else None

    @contextmanager
    def commanding(self, device_id: str, component: str, value: Value) -> Iterator[None]:
        """Command a component within: its echo is no news, and where that fails, what the device says is."""
        following = self.following(device_id)
        if following is None:
            yield
            return
        with following.commanding(component, value):
            yield

    async def _keep_listening(self, following: Following[C]) -> NoReturn:
        clock = self.kit.clock
        delays = backoff(FIRST_RETRY, self._reconnect_most)
        while True:
            following.began()
            began, least = clock.elapsed(), 0.0
            try:
                async with self.kit.contained():
                    await self.listen(following)
                says = f"{following.device.name} ended the connection."
            except Unavailable as error:
                says = str(error)
            except Rejected as error:
                says, least = str(error), min(REFUSED_RETRY, 2 * self._reconnect_most)
            finally:
                following.connection = None
            if following.troubled(says):
                log.info("not listening", device=following.device.id, reason=says)
            if clock.elapsed() - began >= STABLE_AFTER:
                delays = backoff(FIRST_RETRY, self._reconnect_most)
            await following.pause(max(least, next(delays)))


async def poll(
    following: Following[C],
    ask: Callable[[], Awaitable[Mapping[str, Value]]],
    *,
    quick: float = 1.0,
    slow: float = 30.0,
    ease: float = 1.5,
) -> NoReturn:
    """Ask a device that does not push, for ever: often after a change, ever more seldom while nothing moves.

    Args:
        following: told what ``ask`` returns: the values of its components.
        ask: raises ``Unavailable`` or ``Rejected``, which ends this.
        quick: seconds between two questions after a change.
        slow: seconds at the most.
        ease: the factor from one pause to the next.
    """
    pause = quick
    while True:
        changed = await following.tell_answer(ask())
        pause = quick if changed else min(pause * ease, slow)
        if await following.pause(pause):
            pause = quick


@asynccontextmanager
async def opened(make: Callable[[asyncio.TaskGroup], D]) -> AsyncIterator[D]:
    """Yield the driver that ``make`` makes of a group for its tasks; in the end it follows nobody any more."""
    async with AsyncExitStack() as stack:
        # Left as if nothing had failed, so that an error of the body comes out as itself and not in a group.
        group = await asyncio.TaskGroup().__aenter__()
        stack.push_async_callback(group.__aexit__, None, None, None)
        driver = make(group)
        stack.callback(driver.forget_all)
        yield driver


def plugin(config: type[Struct], driver: Callable[[Any, Kit, asyncio.TaskGroup], FollowingDriver[Any]]) -> Plugin:
    """Return the plug-in of a driver that is made of its options, its kit and the group for its tasks."""

    @asynccontextmanager
    async def open_(options: Any, kit: Kit) -> AsyncIterator[FollowingDriver[Any]]:  # noqa: ANN401 - of type `config`
        async with opened(partial(driver, options, kit)) as made:
            yield made

    return Plugin(config=config, open=open_)
