"""What drivers share: a connection kept, news told once, commands without echo, floods that become a trickle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import pytest
from aiohttp import ClientSession
from zeroconf.asyncio import AsyncZeroconf

from gladys_companion.clock import SYSTEM
from gladys_companion.drivers.following import Following, FollowingDriver, opened, poll
from gladys_companion.drivers.identity import best_address, mac_of
from gladys_companion.errors import Rejected, Unavailable
from gladys_companion.model import Delivery, Device, Event, Feature, RegistrySnapshot, Service
from gladys_companion.plugins import PluginRecord, contained
from gladys_companion.ports import Driver, Kit, Troubled
from gladys_companion.sim.conformance import MemorySecrets

LAMP = Device(id="toy:1", driver="toy", name="Lamp", address="127.0.0.1", port=1)
MOVED = Device(id="toy:1", driver="toy", name="Lamp", address="127.0.0.2", port=1)


class ToyDriver(FollowingDriver[str]):
    """Is connected as often as the test lets it: each ``Following`` is handed out, and ends as the test says."""

    name = "toy"

    def __init__(self, kit: Kit, group: asyncio.TaskGroup) -> None:
        super().__init__(kit, group, reconnect_most=0.5)
        self.listening: asyncio.Queue[Following[str]] = asyncio.Queue()
        self.ends: asyncio.Queue[BaseException | None] = asyncio.Queue()

    def identify(self, service: Service) -> Device | None:
        raise AssertionError(service)

    async def describe(self, device: Device) -> Sequence[Feature]:
        raise AssertionError(device)

    async def deliver(self, delivery: Delivery) -> None:
        raise AssertionError(delivery)

    async def listen(self, following: Following[str]) -> None:
        following.connection = following.device.address
        self.listening.put_nowait(following)
        if (error := await self.ends.get()) is not None:
            raise error


class Toy:
    """An open driver, the lanes it had retried, and the record that contains it."""

    def __init__(self, driver: ToyDriver, retried: list[str], record: PluginRecord) -> None:
        self.driver, self.retried, self.record = driver, retried, record
        self.events: AsyncIterator[Event] = driver.events()

    async def next(self) -> tuple[str | None, float | str | None]:
        async with asyncio.timeout(10):
            event = await anext(self.events)
        return event.external_id, event.value if event.text is None else event.text

    async def listening(self) -> Following[str]:
        async with asyncio.timeout(10):
            return await self.driver.listening.get()


@asynccontextmanager
async def toy() -> AsyncIterator[Toy]:
    retried: list[str] = []
    record = PluginRecord(name="toy", group="drivers", status="open", target=object())
    async with AsyncZeroconf(interfaces=["127.0.0.1"]) as zeroconf, ClientSession() as http:
        kit = Kit(
            clock=SYSTEM,
            zeroconf=zeroconf,
            http=http,
            secrets=MemorySecrets(),
            registry=RegistrySnapshot,
            retry=retried.append,
            contained=partial(contained, record),
        )
        async with opened(partial(ToyDriver, kit)) as driver:
            yield Toy(driver, retried, record)


async def test_it_is_a_driver_that_tells_troubles() -> None:
    """What derives from it needs nothing else to fit the ports."""
    async with toy() as one:
        assert isinstance(one.driver, Driver)
        assert isinstance(one.driver, Troubled)
        assert [device async for device in one.driver.discover()] == []


async def test_values_are_told_once_and_presses_each_time() -> None:
    """Push and poll may tell the same value: it is news once. Two presses are two."""
    async with toy() as one:
        one.driver.follow(LAMP)
        following = await one.listening()
        assert following.tell({"on": 1, "scene": "party"})
        assert not following.tell({"on": 1})
        following.happened("button", 1)
        following.happened("button", 1)
        assert [await one.next() for _ in range(4)] == [
            ("toy:1:button", 1),
            ("toy:1:button", 1),
            ("toy:1:on", 1),
            ("toy:1:scene", "party"),
        ]
        assert following.tell({"on": 0})
        assert await one.next() == ("toy:1:on", 0)


async def test_the_echo_of_a_command_is_no_news_unless_it_failed() -> None:
    """A device repeats what it was told; where the command failed, what it said is news after all."""
    async with toy() as one:
        one.driver.follow(LAMP)
        following = await one.listening()
        following.tell({"on": 0})
        assert await one.next() == ("toy:1:on", 0)
        with one.driver.commanding(LAMP.id, "on", 1):
            assert not following.tell({"on": 1})
        with pytest.raises(Unavailable), one.driver.commanding(LAMP.id, "on", 0):  # noqa: PT012 - what fails needs a body
            assert not following.tell({"on": 0})
            raise Unavailable("It did not answer.")
        assert await one.next() == ("toy:1:on", 0)
        with one.driver.commanding("toy:2", "on", 1):
            pass  # what is not followed can be commanded too


async def test_a_failed_command_is_no_sign_of_life() -> None:
    """It tells nothing that is known, ends no trouble and has nothing retried, however often it is tried."""
    async with toy() as one:
        one.driver.follow(LAMP)
        following = await one.listening()
        following.tell({"on": 0})
        assert await one.next() == ("toy:1:on", 0)
        assert following.troubled("It has no power.")
        for _ in range(3):
            with pytest.raises(Unavailable), one.driver.commanding(LAMP.id, "on", 1):
                raise Unavailable("It did not answer.")
        trouble = one.driver.trouble(LAMP.id)
        assert (trouble.says if trouble else None, one.retried) == ("It has no power.", [])
        following.tell({"on": 1})
        assert await one.next() == ("toy:1:on", 1)
        assert one.retried == [LAMP.id]


async def test_its_connection_is_made_anew_and_its_trouble_told_with_since_when() -> None:
    """After a loss everything is news again, waiting commands are tried at once, and the sentence goes away."""
    async with toy() as one:
        one.driver.follow(LAMP)
        following = await one.listening()
        assert one.driver.connection(LAMP.id) == "127.0.0.1"
        following.tell({"on": 1})
        assert await one.next() == ("toy:1:on", 1)
        before = SYSTEM.now()
        one.driver.ends.put_nowait(Unavailable("Lamp is out of reach."))
        following = await one.listening()
        trouble = one.driver.trouble(LAMP.id)
        assert trouble is not None
        assert (trouble.says, trouble.reached) == ("Lamp is out of reach.", False)
        one.driver.ends.put_nowait(None)
        following = await one.listening()
        again = one.driver.trouble(LAMP.id)
        assert again is not None
        assert (again.says, again.since) == ("Lamp ended the connection.", trouble.since)
        assert before <= again.since <= SYSTEM.now()
        assert one.retried == []
        following.tell({"on": 1})
        assert one.driver.trouble(LAMP.id) is None
        assert one.retried == [LAMP.id]
        assert await one.next() == ("toy:1:on", 1)


async def test_a_bug_with_one_device_turns_the_plug_in_red_and_leaves_the_others() -> None:
    """What a library raises on garbage is contained, and the device is tried again."""
    async with toy() as one:
        one.driver.follow(LAMP)
        await one.listening()
        one.driver.ends.put_nowait(KeyError("nonsense"))
        following = await one.listening()
        assert one.record.status == "failing"
        trouble = one.driver.trouble(LAMP.id)
        assert trouble is not None
        assert "KeyError" in trouble.says
        following.tell({"on": 1})
        assert await one.next() == ("toy:1:on", 1)


async def test_it_is_listened_to_where_it_is_now() -> None:
    """Another address begins a new connection; the same one again, and forgetting twice, do nothing."""
    async with toy() as one:
        one.driver.follow(LAMP)
        first = await one.listening()
        one.driver.follow(LAMP)
        assert one.driver.following(LAMP.id) is first
        one.driver.follow(MOVED)
        second = await one.listening()
        assert (second.device, one.driver.connection(LAMP.id)) == (MOVED, "127.0.0.2")
        one.driver.forget(LAMP.id)
        one.driver.forget(LAMP.id)
        assert one.driver.following(LAMP.id) is None
        assert one.driver.connection(LAMP.id) is None
        assert one.driver.trouble(LAMP.id) is None


async def test_one_that_its_owner_must_mend_is_tried_at_once_when_it_was() -> None:
    """After ``Rejected`` it is looked at seldom, but a device that was just described is listened to again."""
    async with toy() as one:
        one.driver.follow(LAMP)
        await one.listening()
        one.driver.ends.put_nowait(Rejected("Pair it."))
        while one.driver.connection(LAMP.id) is not None:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        one.driver.follow(LAMP)
        await one.listening()


async def test_a_flood_becomes_a_trickle_that_ends_with_the_newest() -> None:
    """A burst passes at once; beyond, of each value the newest is told, and the presses that can be a person's."""
    async with toy() as one:
        one.driver.follow(LAMP)
        following = await one.listening()
        for number in range(10_000):
            following.tell({"level": float(number)})
            following.happened("button", 1)
        trouble = one.driver.trouble(LAMP.id)
        assert trouble is not None
        assert trouble.reached
        seen = []
        while ("toy:1:level", 9999) not in seen:
            seen.append(await one.next())
        assert len(seen) < 250
        one.driver.forget(LAMP.id)


async def test_an_answer_from_before_a_command_is_no_news() -> None:
    """What a device says when it is asked in the middle of a command may be old, and is asked for again."""

    async def answer(value: float, when: asyncio.Event) -> dict[str, float]:
        await when.wait()
        return {"on": value}

    async with toy() as one:
        one.driver.follow(LAMP)
        following = await one.listening()
        following.tell({"on": 0})
        assert await one.next() == ("toy:1:on", 0)
        at_once, later = asyncio.Event(), asyncio.Event()
        at_once.set()
        async with asyncio.TaskGroup() as group:
            before = group.create_task(following.tell_answer(answer(0, later)))
            await asyncio.sleep(0)
            with one.driver.commanding(LAMP.id, "on", 1):
                assert not await following.tell_answer(answer(0, at_once))
                meanwhile = group.create_task(following.tell_answer(answer(0, later)))
                await asyncio.sleep(0)
            later.set()
            assert not await before
            assert not await meanwhile
        assert await following.tell_answer(answer(0, at_once))  # and this one is true
        assert await one.next() == ("toy:1:on", 0)


async def test_poll_asks_often_after_a_change_or_a_command_and_eases_off() -> None:
    """The pauses grow to the slowest while nothing moves, and fall back to the quickest when something does."""
    pauses: list[float] = []
    answers: Iterator[float] = iter([0, 0, 0, 0, 0, 1, 1])
    cut = iter([False, False, False, False, False, True, False])

    class Noted(Following[str]):
        async def pause(self, seconds: float) -> bool:
            pauses.append(seconds)
            return next(cut)

    async def ask() -> dict[str, float]:
        try:
            return {"on": next(answers)}
        except StopIteration:
            raise Unavailable("It is gone.") from None

    async with toy() as one:
        following = Noted(LAMP, one.driver.kit, one.driver._news)
        with pytest.raises(Unavailable, match="gone"):
            await poll(following, ask, quick=1.0, slow=3.0, ease=1.5)
    assert pauses == [1.0, 1.5, 2.25, 3.0, 3.0, 1.0, 1.5]


@pytest.mark.parametrize(
    ("text", "mac"),
    [
        ("A8:03:2A:B1:23:45", "a8032ab12345"),
        ("a8-03-2a-b1-23-45", "a8032ab12345"),
        ("A8032AB12345", "a8032ab12345"),
        ("a8032ab1234", None),
        ("", None),
        ("../../../etc", None),
    ],
)
def test_a_mac_is_twelve_hex_digits_however_it_is_written(text: str, mac: str | None) -> None:
    """Identity does not depend on the writing."""
    assert mac_of(text) == mac


def test_the_best_address_is_the_one_most_likely_to_work() -> None:
    """IPv4 before IPv6, and a link-local one last."""
    assert best_address(("fe80::1%eth0", "2001:db8::1", "192.0.2.1")) == "192.0.2.1"
    assert best_address(("fe80::1%eth0", "2001:db8::1")) == "2001:db8::1"
    assert best_address(()) is None
