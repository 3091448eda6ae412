"""When things are done: a job only wakes, again and again, until it is ended."""

from __future__ import annotations

import asyncio

from msgspec import structs

from gladys_companion.ports import Kit
from gladys_companion.schedule import every, schedule


async def woken(times: asyncio.Queue[int], number: int) -> None:
    async with asyncio.timeout(10):
        for _ in range(number):
            await times.get()


async def test_it_wakes_until_it_is_ended() -> None:
    """Every so often, and not any more once it was ended; to end it twice, or after all, is no error."""
    times: asyncio.Queue[int] = asyncio.Queue()
    with schedule() as scheduler:
        end = every(0.01, lambda: times.put_nowait(1), scheduler)
        await woken(times, 3)
        end()
        assert scheduler.get_jobs() == []
        end()
    end()


async def test_one_of_the_same_name_takes_its_place() -> None:
    """Named jobs are one each; those without a name do not get in each other's way."""
    with schedule() as scheduler:
        for _ in range(2):
            every(60, lambda: None, scheduler, "tidy")
            every(60, lambda: None, scheduler)
        assert len(scheduler.get_jobs()) == 3


async def test_a_plug_in_alone_is_woken_too() -> None:
    """Without a scheduler, as in the conformance suite, the loop's own timer does it."""
    times: asyncio.Queue[int] = asyncio.Queue()
    (alone,) = [field.default for field in structs.fields(Kit) if field.name == "every"]
    end = alone(0.01, lambda: times.put_nowait(1))
    await woken(times, 3)
    end()
    await asyncio.sleep(0.05)
    assert times.empty()
