"""Signals: what a table says is done once, by whom it may be sent, and never late; each mistake in a table is told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs
from sqlite_utils import Database

from gladys_companion.config import Config, SignalOptions, load
from gladys_companion.errors import ConfigError, Unavailable
from gladys_companion.model import Delivery, Event, Receipt, Sender
from gladys_companion.protocol.signals import StartScene
from gladys_companion.resolve import GLADYS_API, SIGNALS
from gladys_companion.signals import derived_ids
from gladys_companion.store import trace
from gladys_companion.store.journal import record
from tests.home import BELL, LOCK, NOTE, ON, PRESENCE, Home, SetClock, open_home

KEY = "01912d68-7c5a-7000-8000-000000000001"
TABLES: Mapping[str, SignalOptions] = {
    "nfc:door": SignalOptions(external_id=ON.external_id, value=1),
    "nfc:bed": SignalOptions(external_id=NOTE.external_id, text="asleep", scene="good-night"),
    "nfc:bell": SignalOptions(external_id=BELL.external_id, value=1, debounce=0),
    "nfc:lock": SignalOptions(external_id=LOCK.external_id, value=0),
    "nfc:safe": SignalOptions(external_id=LOCK.external_id, value=0, keys=(KEY,)),
    "nfc:gone": SignalOptions(external_id="lamp:a1:gone", value=1),
    "nfc:text": SignalOptions(external_id=ON.external_id, text="on"),
    "nfc:scene": SignalOptions(scene="good-night", debounce=30),
}
CONFIG = Config(signals=dict(TABLES))


def signal(home: Home, name: str, *, key: str = "key-1", **more: Any) -> Event:
    """Return a signal as it comes from the gateway."""
    body = msgspec.json.encode({"event": name}).decode()
    return home.event(name, kind="signal", body=body, key=Sender(key, "phone"), **more)


async def send(home: Home, event: Event) -> Receipt:
    """Submit a signal and return what became of it, once that is settled."""
    await home.intake.submit(event)
    await home.settled(event.id, SIGNALS, "delivered", "rejected", "expired", "unknown")
    return await home.intake.submit(event)


async def made_by(home: Home, event: Event) -> list[tuple[Any, ...]]:
    """Return the events that a signal became."""
    return await home.rows(
        "SELECT kind, origin, external_id, value, text, body, at FROM events WHERE cause = ? ORDER BY seq", event.id
    )


def reasons(receipt: Receipt) -> str:
    return "; ".join(target.reason or "" for target in receipt.targets)


async def test_a_signal_commands_a_device_without_exposure(tmp_path: Path) -> None:
    """Its table is the owner's own wish: a lamp that nobody exposed is switched on, and the trace leads there."""
    async with open_home(tmp_path, config=CONFIG) as home:
        event = signal(home, "nfc:door")
        receipt = await send(home, event)
        assert (receipt.status, receipt.outcome) == (200, "delivered")
        (delivery,) = await home.lamp.count(1)
        assert (delivery.event.external_id, delivery.event.value) == (ON.external_id, 1.0)
        assert (delivery.event.origin, delivery.event.cause) == (SIGNALS, event.id)
        assert delivery.event.id in reasons(receipt)
        assert (delivery.event.deadline, delivery.event.at) == (event.deadline, event.at)


async def test_the_same_value_again_is_a_wish_again(tmp_path: Path) -> None:
    """A lamp that somebody switched off by hand is switched on by the next tap, though its last value here is on."""
    async with open_home(tmp_path, config=CONFIG) as home:
        for number in range(1, 3):
            await send(home, signal(home, "nfc:door"))
            await home.lamp.count(number)
            home.clock.pass_by(20)
        assert home.lamp.values == [1, 1]


async def test_a_signal_sets_a_text_and_starts_a_scene(tmp_path: Path) -> None:
    """Both in one transaction, each as an event with the signal as its cause; Gladys is given the scene's selector."""
    async with open_home(tmp_path, sinks=[GLADYS_API], config=CONFIG) as home:
        event = signal(home, "nfc:bed")
        await send(home, event)
        (delivery,) = await home.gladys.count(1)
        assert msgspec.json.decode(delivery.event.body or "", type=StartScene) == StartScene("good-night")
        assert (delivery.event.kind, delivery.lane) == ("signal", GLADYS_API)
        assert [row[:5] for row in await made_by(home, event)] == [
            ("state", SIGNALS, NOTE.external_id, None, "asleep"),
            ("signal", SIGNALS, "scene:good-night", None, None),
        ]
        assert (await home.rows("SELECT text FROM features WHERE external_id = ?", NOTE.external_id)) == [("asleep",)]


@pytest.mark.parametrize(("later", "fires"), [(0.0, False), (9.9, False), (10.0, True), (60.0, True)])
async def test_debounce_counts_from_what_was_done_by_when_it_happened(
    tmp_path: Path, later: float, *, fires: bool
) -> None:
    """Within ten seconds the same tag does nothing and says so, also after a restart; another tag does its own."""
    clock = SetClock()
    async with open_home(tmp_path, config=CONFIG, clock=clock) as home:
        await send(home, signal(home, "nfc:door"))
        await home.lamp.count(1)
    clock.pass_by(later)
    async with open_home(tmp_path, config=CONFIG, clock=clock) as home:
        again = signal(home, "nfc:door")
        receipt = await send(home, again)
        assert receipt.outcome == "delivered"
        assert bool(await made_by(home, again)) is fires
        assert ("nothing was done" in reasons(receipt)) is not fires
        assert await made_by(home, signal(home, "nfc:bell")) == []
        other = signal(home, "nfc:bell")
        await send(home, other)
        assert len(await made_by(home, other)) == 1


async def test_what_did_nothing_starts_no_debounce(tmp_path: Path) -> None:
    """A tag that lies at a reader and is read each seven seconds does its thing each time ten seconds are over."""
    async with open_home(tmp_path, config=CONFIG) as home:
        done = []
        for _ in range(5):
            event = signal(home, "nfc:door")
            await send(home, event)
            done.append(bool(await made_by(home, event)))
            home.clock.pass_by(7)
        assert done == [True, False, True, False, True]


async def test_one_that_comes_later_and_is_older_counts_too(tmp_path: Path) -> None:
    """Two phones at one tag, of which one was slow to tell: what happened three seconds before is the same tap."""
    async with open_home(tmp_path, config=CONFIG) as home:
        await send(home, signal(home, "nfc:door"))
        slow = signal(home, "nfc:door", age=3)
        assert "3 s before" in reasons(await send(home, slow))
        assert await made_by(home, slow) == []


async def test_a_signal_that_comes_again_is_one(tmp_path: Path) -> None:
    """The same event, sent again by the gateway, is answered with the first one's receipt and does nothing."""
    async with open_home(tmp_path, config=CONFIG) as home:
        event = signal(home, "nfc:bell")
        await send(home, event)
        assert (await home.intake.submit(event)).duplicate
        await home.lamp.count(1)
        assert len(await made_by(home, event)) == 1


@pytest.mark.parametrize("age", [60.0, 3_600.0])
async def test_a_late_signal_does_nothing_and_says_so(tmp_path: Path, age: float) -> None:
    """What was held while home was away is told as expired; it debounces nothing either."""
    async with open_home(tmp_path, config=CONFIG) as home:
        late = signal(home, "nfc:door", age=age)
        receipt = await send(home, late)
        assert (receipt.status, receipt.outcome) == (202, "expired")
        assert "late" in reasons(receipt)
        assert await made_by(home, late) == []
        await send(home, signal(home, "nfc:door"))
        await home.lamp.count(1)


async def test_what_it_commands_is_late_when_it_is(tmp_path: Path) -> None:
    """A lamp that is out of reach until the signal is late stays off."""
    async with open_home(tmp_path, config=CONFIG) as home:

        async def away(_: Delivery) -> None:
            raise Unavailable("It is away.")

        home.lamp.answer = away
        event = signal(home, "nfc:door", age=30)
        await send(home, event)
        await home.lamp.count(1)
        home.clock.pass_by(31)
        await home.dispatch.retry_now("lamp:a1")
        assert await home.settled(derived_ids(event.id)[0], "lamp", "expired") == "expired"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nfc:gone", "no device feature 'lamp:a1:gone' is known here"),
        ("nfc:lock", "needs keys"),
        ("nfc:text", "takes a number, not a text"),
        ("nfc:scene", "[sinks.gladys_api] is not switched on"),
        ("nfc:bed", "[sinks.gladys_api] is not switched on"),
    ],
)
async def test_what_can_not_be_done_is_refused_whole(tmp_path: Path, name: str, says: str) -> None:
    """The phone is told which table is wrong and why, and nothing of it is done."""
    async with open_home(tmp_path, config=CONFIG) as home:
        event = signal(home, name)
        receipt = await send(home, event)
        assert (receipt.status, receipt.error_code) == (502, "DELIVERY_FAILED")
        assert f'[signals."{name}"]' in (receipt.error_message or "")
        assert says in (receipt.error_message or "")
        assert await made_by(home, event) == []


async def test_a_lock_opens_for_the_keys_that_are_named(tmp_path: Path) -> None:
    """Another key is told that it may not, in the words for what is not there; the owner may by the command line."""
    async with open_home(tmp_path, config=CONFIG) as home:
        refused = await home.intake.submit(signal(home, "nfc:safe"))
        assert (refused.status, refused.error_code) == (404, "SIGNAL_NOT_FOUND")
        await send(home, signal(home, "nfc:safe", key=KEY))
        (delivery,) = await home.lamp.count(1)
        assert delivery.event.external_id == LOCK.external_id
        home.clock.pass_by(60)
        await send(home, structs.replace(signal(home, "nfc:lock"), origin="local", key=None))
        await home.lamp.count(2)


async def test_an_unknown_signal_is_kept_and_done_when_its_table_comes_at_once(tmp_path: Path) -> None:
    """It is told with 404 and listed; who writes the table within a minute sees it done, later it only has expired."""
    clock = SetClock()
    async with open_home(tmp_path, clock=clock, config=Config()) as home:
        old, named = signal(home, "nfc:door"), signal(home, "nfc:new")
        for event in (old, named):
            receipt = await home.intake.submit(event)
            assert (receipt.status, receipt.error_code) == (404, "SIGNAL_NOT_FOUND")
            assert "[signals]" in (receipt.error_message or "")
        clock.pass_by(59)
        young = signal(home, "nfc:door")
        await home.intake.submit(young)
        counted = await home.store.read(trace.counts)
        assert (counted["unbound"], counted["signals"]) == (0, ["nfc:door", "nfc:new"])
    clock.pass_by(2)
    async with open_home(tmp_path, clock=clock, config=CONFIG) as home:
        assert await home.settled(young.id, SIGNALS, "delivered")
        assert await home.settled(old.id, SIGNALS, "expired")
        assert [one.event.cause for one in await home.lamp.count(1)] == [young.id]
        assert (await home.store.read(trace.counts))["signals"] == ["nfc:new"]


async def test_a_table_that_is_gone_is_told(tmp_path: Path) -> None:
    """What waited while its table was taken out is refused, and names it."""
    clock = SetClock()
    async with open_home(tmp_path, clock=clock, config=CONFIG) as home:
        event = signal(home, "nfc:door")
        planned = home.registry.plan(event)
        assert planned.state == "planned"
    async with open_home(tmp_path, clock=clock, config=Config()) as home:
        await home.registry.use_signals({"nfc:door": frozenset("*")})
        assert "not in the configuration any more" in ((await send(home, event)).error_message or "")


async def crash(home: Home, event_id: str, target: str, state: str) -> None:
    """Leave a delivery as a process does that ends while it is under way."""

    def job(database: Database) -> None:
        database.conn.execute(
            "UPDATE deliveries SET state = ?, under_way = 1, settled_at = NULL, attempts = 1 "
            "WHERE target = ? AND event = (SELECT seq FROM events WHERE id = ?)",
            (state, target, event_id),
        )

    await home.store.write(job)


async def test_a_crash_before_the_commit_does_it_once_and_after_it_never_again(tmp_path: Path) -> None:
    """What a signal does is committed with its settling, so that there is no moment between the two."""
    clock = SetClock()
    async with open_home(tmp_path, clock=clock, config=CONFIG) as home:
        done = signal(home, "nfc:bell")
        await send(home, done)
        await home.lamp.count(1)
        (row,) = await home.rows(
            "SELECT d.settled_at = e.received_at FROM deliveries d, events e "
            "WHERE e.id = ? AND d.event = (SELECT seq FROM events WHERE id = ?) AND d.target = ?",
            derived_ids(done.id)[0], done.id, SIGNALS,
        )  # fmt: skip
        assert row == (1,)
        begun = signal(home, "nfc:bell")

        def job(database: Database) -> None:
            record(database, begun, home.registry.plan, lambda _: False, now=clock.now(), elapsed=clock.elapsed())

        await home.store.write(job)  # and the process ends before it woke anybody
        await crash(home, begun.id, SIGNALS, "pending")
    async with open_home(tmp_path, clock=clock, config=CONFIG) as home:
        assert await home.settled(begun.id, SIGNALS, "delivered")
        (delivery,) = await home.lamp.count(1)
        assert delivery.event.cause == begun.id


@pytest.mark.parametrize(("name", "target"), [("nfc:scene", GLADYS_API), ("nfc:bell", "lamp")])
async def test_after_a_crash_under_way_a_click_or_scene_is_unknown(tmp_path: Path, name: str, target: str) -> None:
    """What may have happened is not done a second time, and that nobody knows is told."""
    clock = SetClock()
    async with open_home(tmp_path, clock=clock, sinks=[GLADYS_API], config=CONFIG) as home:
        event = signal(home, name)
        await send(home, event)
        event_id = derived_ids(event.id)[target == GLADYS_API]
        await home.settled(event_id, target, "delivered")
        await crash(home, event_id, target, "sending")
    async with open_home(tmp_path, clock=clock, sinks=[GLADYS_API], config=CONFIG) as home:
        assert await home.settled(event_id, target, "unknown")
        assert (home.lamp.got, home.gladys.got) == ([], [])


async def test_many_taps_at_once_do_it_once(tmp_path: Path) -> None:
    """Twenty phones at one tag in the same second."""
    async with open_home(tmp_path, config=CONFIG) as home:
        events = [signal(home, "nfc:door") for _ in range(20)]
        await asyncio.gather(*(send(home, event) for event in events))
        made = [await made_by(home, event) for event in events]
        assert sum(map(len, made)) == 1
        await home.lamp.count(1)


async def test_a_signal_can_tell_that_somebody_is_home(tmp_path: Path) -> None:
    """It sets a virtual feature at once, in the same transaction."""
    config = Config(signals={"nfc:in": SignalOptions(external_id=PRESENCE.external_id, value=1)})
    async with open_home(tmp_path, config=config) as home:
        await send(home, signal(home, "nfc:in"))
        assert await home.rows("SELECT value FROM features WHERE external_id = ?", PRESENCE.external_id) == [(1.0,)]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("[signals.a]", 1, "[signals] a: it does nothing: give it external_id and value (or text), or scene."),
        ("[signals.a]\ndebounce = 3\n", 1, "[signals] a: it does nothing"),
        ("[signals.a]\nexternal_id = 'x'\n", 2, "[signals.a] external_id: it needs value or text beside it"),
        ("[signals.a]\nvalue = 1\n", 2, "[signals.a] value: it needs external_id beside it"),
        ("[signals.a]\ntext = ''\n", 2, "[signals.a] text: it needs external_id beside it"),
        ("[signals.a]\nexternal_id = 'x'\nvalue = 1\ntext = 'y'\n", 4, "[signals.a] text: it has value beside it"),
        ("[signals.a]\nexternal_id = 'x'\nvalue = nan\n", 3, "[signals.a] value: it must be a finite number."),
        ("[signals.a]\nexternal_id = 'x'\nvalue = 'on'\n", 3, "[signals.a] value: expected float | null, got str."),
        ("[signals.a]\nexternal_id = 'x'\nvalue = 1\ndebounce = -1\n", 4, "debounce: expected float >= 0.0."),
        ("[signals.a]\nscene = 'Good night'\n[sinks.gladys_api]\n", 2, "'Good night' is not the selector of a scene"),
        ("[signals.a]\nscene = 'good-night'\n", 2, "[signals.a] scene: it needs [sinks.gladys_api]"),
        ("[signals.a]\nscene = 'x'\nkeys = ['phone']\n[sinks.gladys_api]\n", 3, "'phone' is not the id of a key."),
        ("[signals.a]\nscenes = 'x'\n", 2, "[signals.a] scenes: no such option. Did you mean 'scene'?"),
        ("[signals.'nfc:a.b']\nscenes = 'x'\n", 2, '[signals."nfc:a.b"] scenes: no such option.'),
        ("[signals.'nfc:a.b']\nscene = 'x'\n", 2, '[signals."nfc:a.b"] scene: it needs [sinks.gladys_api]'),
        ("[signals.'']\nexternal_id = 'x'\nvalue = 1\n", 1, "the name of a signal has 1 to 200 characters"),
        ("[signals.' a']\nexternal_id = 'x'\nvalue = 1\n", 1, "the name of a signal has 1 to 200 characters"),
        ("[signals]\nscene = 'x'\n", 2, "[signals] scene: this must be a table: [signals.scene]."),
        ("signals = 5\n", 1, "signals: expected object, got int."),
    ],
)
def test_each_mistake_in_a_table_is_told(tmp_path: Path, text: str, line: int, says: str) -> None:
    """With file, line, path and a sentence, before anything is opened."""
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert says in str(caught.value)
    assert f", line {line}: " in str(caught.value)


def test_a_table_may_be_called_as_tags_are(tmp_path: Path) -> None:
    """Colons, dots, spaces and other alphabets are fine; numbers may be written as whole ones."""
    path = tmp_path / "config.toml"
    path.write_text("[signals.'04:A2.1B']\nexternal_id = 'x'\nvalue = 1\n[signals.'Tür 1']\nexternal_id='x'\ntext=''\n")
    assert load(path).signals == {
        "04:A2.1B": SignalOptions(external_id="x", value=1.0),
        "Tür 1": SignalOptions(external_id="x", text=""),
    }


def test_every_option_of_a_signal_is_in_the_reference() -> None:
    """Each has its row."""
    text = (Path(__file__).parents[2] / "docs/reference/configuration.md").read_text(encoding="utf-8")
    part = text.split('## `[signals."NAME"]`')[1].split("\n## ")[0]
    for field in structs.fields(SignalOptions):
        assert f"| `{field.name}` |" in part, field.name
