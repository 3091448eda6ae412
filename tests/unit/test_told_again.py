"""What is told a second time: a repetition is dropped, and what happens twice is kept twice."""

from __future__ import annotations

from pathlib import Path

from gladys_companion.model import Event
from tests.home import BELL, BRIGHTNESS, Home, open_home

VALUES = "SELECT h.at, h.value FROM history h JOIN features f ON f.id = h.feature WHERE f.external_id = ? ORDER BY 1, 2"


def told(home: Home, external_id: str, value: float, *, at: float | None = None) -> Event:
    """Return what the lamp tells of itself, now or of a time that it names."""
    dated = {} if at is None else {"at": at, "dated": True}
    return home.event(external_id, value, origin="lamp", key=None, **dated)


async def test_a_value_is_no_news_a_second_time(tmp_path: Path) -> None:
    """A device that repeats its value fills neither the journal nor the history."""
    async with open_home(tmp_path) as home:
        for value in (5.0, 5.0, 6.0):
            await home.intake.take(told(home, BRIGHTNESS.external_id, value))
        assert [value for _, value in await home.rows(VALUES, BRIGHTNESS.external_id)] == [5.0, 6.0]


async def test_a_button_that_is_pressed_twice_was_pressed_twice(tmp_path: Path) -> None:
    """A click has the value of the click before, and is no repetition of it."""
    async with open_home(tmp_path) as home:
        for _ in range(2):
            await home.intake.take(told(home, BELL.external_id, 1.0))
        assert len(await home.rows("SELECT 1 FROM events WHERE external_id = ?", BELL.external_id)) == 2


async def test_the_past_is_kept_once(tmp_path: Path) -> None:
    """Who tells its last value with its time at each start adds it to the history once, and changes nothing newer."""
    async with open_home(tmp_path) as home:
        now = home.clock.now()
        for _ in range(2):
            await home.intake.take(told(home, BRIGHTNESS.external_id, 5.0, at=now - 100))
            await home.intake.take(told(home, BRIGHTNESS.external_id, 7.0))
        assert await home.rows(VALUES, BRIGHTNESS.external_id) == [(now - 100, 5.0), (now, 7.0)]
        last = await home.rows("SELECT value FROM features WHERE external_id = ?", BRIGHTNESS.external_id)
        assert last == [(7.0,)]


async def test_the_past_is_no_repetition_of_the_present(tmp_path: Path) -> None:
    """What comes late and says what is so now as well belongs into the history, where it was something else between."""
    async with open_home(tmp_path) as home:
        now = home.clock.now()
        await home.intake.take(told(home, BRIGHTNESS.external_id, 5.0))
        await home.intake.take(told(home, BRIGHTNESS.external_id, 5.0, at=now - 100))
        assert await home.rows(VALUES, BRIGHTNESS.external_id) == [(now - 100, 5.0), (now, 5.0)]
        assert await home.rows("SELECT value_at FROM features WHERE external_id = ?", BRIGHTNESS.external_id) == [
            (now,)
        ]


async def test_a_shared_device_is_known_as_such_until_it_is_not(tmp_path: Path) -> None:
    """What Gladys was given outlasts a restart, and ends with the device or when it is taken back."""
    async with open_home(tmp_path) as home:
        await home.registry.share("lamp:a1", "rest")
        await home.registry.share("lamp:a1", "mqtt")
        await home.registry.share("mqtt:phone", "rest")
    async with open_home(tmp_path) as home:
        assert home.registry.snapshot.shared == {"lamp:a1": "mqtt", "mqtt:phone": "rest"}
        await home.registry.share("lamp:a1", None)
        await home.registry.forget("mqtt:phone")
        assert home.registry.snapshot.shared == {}
        assert await home.rows("SELECT * FROM shares") == []
