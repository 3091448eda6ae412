"""The promises of the design that hold inside the home: once, in order, late is not now, nothing is thrown away."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from sqlite_utils import Database

from gladys_companion.config import Retention
from gladys_companion.errors import Rejected, Unanswered, Unavailable
from gladys_companion.ids import new_id
from gladys_companion.model import Delivery, Receipt
from gladys_companion.store.history import history, prune
from gladys_companion.store.trace import trace
from tests.home import BELL, BRIGHTNESS, LOCK, NOTE, ON, PRESENCE, Home, SetClock, open_home


def tidy(database: Database, keep: Retention, home: Home, most: int = 2_000) -> int:
    clock = home.clock
    return prune(database, keep, now=clock.now(), elapsed=clock.elapsed(), boot=clock.boot, most=most)


async def unavailable(_: Delivery) -> None:
    raise Unavailable("it is away")


async def unanswered(_: Delivery) -> None:
    raise Unanswered("it was told, and does not answer")


async def hang(_: Delivery) -> None:
    await asyncio.Event().wait()


async def test_virtual_feature_is_settled_when_the_receipt_leaves(tmp_path: Path) -> None:
    """A phone's state is committed with its value and its history, once, and the receipt says so."""
    async with open_home(tmp_path) as home:
        event = home.event(PRESENCE.external_id, 1.0)
        first, second = await home.intake.submit(event), await home.intake.submit(event)
        assert (first.status, first.outcome, first.duplicate) == (200, "delivered", False)
        assert (second.status, second.outcome, second.duplicate) == (200, "delivered", True)
        assert await home.rows("SELECT count(*) FROM history") == [(1,)]
        assert await home.rows("SELECT value FROM features WHERE external_id = ?", PRESENCE.external_id) == [(1.0,)]


async def test_device_command_is_delivered_and_becomes_the_value(tmp_path: Path) -> None:
    """The receipt waits for the device; the value is the device's only once it took it."""
    async with open_home(tmp_path, settle_within=5) as home:
        await home.registry.alias("mqtt:lamp", ON.external_id)
        receipt = await home.intake.submit(home.event("mqtt:lamp", 1.0))
        assert (receipt.status, receipt.outcome, receipt.targets[0].state) == (200, "delivered", "delivered")
        assert home.lamp.got[0].device is not None
        assert home.lamp.got[0].device.address == "127.0.0.1"
        assert await home.rows("SELECT value FROM features WHERE external_id = ?", ON.external_id) == [(1.0,)]


async def test_report_that_repeats_what_was_commanded_verifies_it(tmp_path: Path) -> None:
    """The lamp's own word turns delivered into verified, is no event of its own, and goes nowhere."""
    async with open_home(tmp_path, settle_within=5, sinks=["gladys"]) as home:
        await home.registry.alias("mqtt:lamp", ON.external_id)
        await home.intake.submit(home.event("mqtt:lamp", 1.0))
        await home.intake.submit(home.event(ON.external_id, 1.0, origin="lamp", key=None))
        assert await home.states("lamp") == ["verified"]
        assert await home.rows("SELECT count(*) FROM events") == [(1,)]
        pressed = await home.intake.submit(home.event(ON.external_id, 0.0, origin="lamp", key=None))
        assert pressed.outcome == "delivered"
        assert home.gladys.values == [1.0, 0.0]
        assert home.lamp.values == [1.0]


async def test_order_is_kept_and_only_older_commands_of_a_feature_are_superseded(tmp_path: Path) -> None:
    """While the lamp is away the newest command of each feature waits; the receipts of the others say superseded."""
    async with open_home(tmp_path) as home:
        home.lamp.answer = unavailable
        receipts = [
            await home.intake.submit(home.event(external_id, value, origin="local"))
            for external_id, value in [
                (ON.external_id, 1.0),
                (BRIGHTNESS.external_id, 10.0),
                (ON.external_id, 0.0),
                (BRIGHTNESS.external_id, 20.0),
            ]
        ]
        assert {receipt.outcome for receipt in receipts} == {"accepted"}
        home.lamp.answer = None
        already = len(home.lamp.got)
        await home.dispatch.retry_now("lamp:a1")
        await home.lamp.count(already + 2)
        assert home.lamp.values[already:] == [0.0, 20.0]
        await home.settled(receipts[3].id, "lamp", "delivered")
        assert await home.states("lamp") == ["superseded", "superseded", "delivered", "delivered"]


async def test_late_command_never_reaches_the_device(tmp_path: Path) -> None:
    """Older than its time to live: expired on arrival, or when its turn comes too late."""
    async with open_home(tmp_path) as home:
        old = await home.intake.submit(home.event(ON.external_id, 1.0, origin="local", age=61))
        assert (old.outcome, old.targets[0].state) == ("expired", "expired")
        home.lamp.answer = unavailable
        waiting = await home.intake.submit(home.event(ON.external_id, 1.0, origin="local"))
        tried = len(home.lamp.got)
        home.lamp.answer = None
        home.clock.pass_by(61)
        home.dispatch.wake(["lamp:a1"])
        await home.settled(waiting.id, "lamp", "expired")
        assert len(home.lamp.got) == tried


async def test_late_command_supersedes_nothing(tmp_path: Path) -> None:
    """A command that was held too long does not take the place of a fresh one that waits."""
    async with open_home(tmp_path) as home:
        home.lamp.answer = unavailable
        fresh = await home.intake.submit(home.event(ON.external_id, 1.0, origin="local"))
        await home.intake.submit(home.event(ON.external_id, 0.0, origin="local", age=100))
        home.lamp.answer = None
        await home.dispatch.retry_now("lamp:a1")
        await home.settled(fresh.id, "lamp", "delivered")


async def test_clocks_that_are_set_change_no_age(tmp_path: Path) -> None:
    """A time server that sets the wall clock by a day, forward or back, expires nothing and revives nothing."""
    async with open_home(tmp_path, settle_within=5) as home:
        for step in (86_400.0, -86_400.0):
            home.clock.wall += step
            event = home.event(ON.external_id, 1.0, origin="local")
            home.clock.wall -= 2 * step
            assert (await home.intake.submit(event)).outcome == "delivered"
        home.lamp.answer = unavailable
        waiting = asyncio.create_task(home.intake.submit(home.event(ON.external_id, 0.0, origin="local")))
        await home.lamp.count(3)
        home.clock.wall -= 10 * 86_400
        home.clock.up += 61
        home.dispatch.wake(["lamp:a1"])
        assert (await waiting).outcome == "expired"


async def test_value_follows_arrival_even_when_the_clock_goes_back(tmp_path: Path) -> None:
    """The last value is the last that came; what its sender dated, or what is late, takes its place by time."""
    async with open_home(tmp_path) as home:
        await home.intake.submit(home.event(PRESENCE.external_id, 1.0))
        home.clock.wall -= 3_600
        await home.intake.submit(home.event(PRESENCE.external_id, 0.0))
        value = "SELECT value FROM features WHERE external_id = ?"
        assert await home.rows(value, PRESENCE.external_id) == [(0.0,)]
        await home.intake.submit(home.event(PRESENCE.external_id, 1.0, dated=True, at=home.clock.now() - 7_200))
        await home.intake.submit(home.event(PRESENCE.external_id, 1.0, age=7_200))
        assert await home.rows(value, PRESENCE.external_id) == [(0.0,)]
        assert await home.rows("SELECT count(*) FROM history") == [(4,)]


async def test_late_number_is_history_for_gladys_and_late_text_expires(tmp_path: Path) -> None:
    """Gladys gets a late number marked late, and no late text; both stay in our history."""
    async with open_home(tmp_path, sinks=["gladys"], settle_within=5) as home:
        await home.intake.submit(home.event(PRESENCE.external_id, 1.0, age=3_600))
        text = await home.intake.submit(home.event(NOTE.external_id, None, text="hello", age=3_600))
        assert [delivery.late for delivery in home.gladys.got] == [True]
        assert [target.state for target in text.targets] == ["verified", "expired"]
        assert await home.rows("SELECT value, text FROM history ORDER BY event") == [(1.0, None), (None, "hello")]


async def test_after_a_reboot_no_command_of_before_is_carried_out(tmp_path: Path) -> None:
    """Without a clock of its own the machine can not know how long it was off: commands expire, news go out as late."""
    async with open_home(tmp_path, sinks=["gladys"]) as home:
        home.lamp.answer = home.gladys.answer = unavailable
        command, news = home.event(ON.external_id, 1.0, origin="local"), home.event(PRESENCE.external_id, 1.0)
        await home.intake.submit(command)
        await home.intake.submit(news)
    async with open_home(tmp_path, clock=SetClock(elapsed=5, boot="boot-2"), sinks=["gladys"]) as home:
        await home.settled(command.id, "lamp", "expired")
        await home.settled(news.id, "gladys", "delivered")
        assert [(one.event.id, one.late) for one in home.gladys.got] == [(news.id, True)]
        assert home.lamp.got == []


async def test_gladys_is_told_of_a_command_only_once_the_device_has_done_it(tmp_path: Path) -> None:
    """What a lamp refused, or what expired, is not told as a fact; and the receipt says what the lamp did."""

    async def refuse(_: Delivery) -> None:
        raise Rejected("no")

    async with open_home(tmp_path, sinks=["gladys"], settle_within=5) as home:
        home.lamp.answer = refuse
        refused = await home.intake.submit(home.event(ON.external_id, 1.0, origin="local"))
        assert (refused.status, refused.outcome) == (502, "rejected")
        assert [target.state for target in refused.targets] == ["rejected", "rejected"]
        late = await home.intake.submit(home.event(ON.external_id, 1.0, origin="local", age=61))
        assert (late.status, late.outcome) == (202, "expired")
        home.lamp.answer = None
        done = await home.intake.submit(home.event(ON.external_id, 1.0, origin="local"))
        assert (done.status, done.outcome) == (200, "delivered")
        assert [delivery.event.id for delivery in home.gladys.got] == [done.id]


async def test_who_else_could_not_be_told_is_a_warning(tmp_path: Path) -> None:
    """The phone's own feature has its value: that Gladys refused the id does not make it undelivered."""

    async def refuse(_: Delivery) -> None:
        raise Rejected("its id has a slash")

    async with open_home(tmp_path, sinks=["gladys"], settle_within=5) as home:
        home.gladys.answer = refuse
        receipt = await home.intake.submit(home.event(PRESENCE.external_id, 1.0))
        assert (receipt.status, receipt.warning) == (200, "gladys: its id has a slash.")


async def test_what_the_device_said_before_does_not_hide_what_it_then_did(tmp_path: Path) -> None:
    """A lamp that comes back tells its old brightness, takes the command, and is then known by the new one."""
    async with open_home(tmp_path, sinks=["gladys"]) as home:
        home.lamp.answer = unavailable
        command = home.event(BRIGHTNESS.external_id, 200.0, origin="local")
        await home.intake.submit(command)
        await home.intake.submit(home.event(BRIGHTNESS.external_id, 128.0, origin="lamp", key=None))
        home.lamp.answer = None
        await home.dispatch.retry_now("lamp:a1")
        await home.settled(command.id, "gladys", "delivered")
        value = "SELECT value FROM features WHERE external_id = ?"
        assert await home.rows(value, BRIGHTNESS.external_id) == [(200.0,)]
        assert home.gladys.values == [128.0, 200.0]


async def test_what_the_device_says_after_a_failed_attempt_is_believed(tmp_path: Path) -> None:
    """An attempt that seemed to fail may have worked: the lamp's own word is news, also when it is what was wanted."""
    async with open_home(tmp_path) as home:
        home.lamp.answer = unavailable
        await home.intake.submit(home.event(ON.external_id, 1.0, origin="local"))
        await home.intake.submit(home.event(ON.external_id, 1.0, origin="lamp", key=None))
        assert await home.rows("SELECT value FROM features WHERE external_id = ?", ON.external_id) == [(1.0,)]


async def test_what_the_device_told_during_the_attempt_is_the_last_word(tmp_path: Path) -> None:
    """Switched on by us and off at the wall before the lamp answered: it is off, and Gladys is not told otherwise."""
    async with open_home(tmp_path, sinks=["gladys"], settle_within=5) as home:

        async def pressed(_: Delivery) -> None:
            for value in (1.0, 0.0):
                await home.intake.take(home.event(ON.external_id, value, origin="lamp", key=None))

        home.lamp.answer = pressed
        receipt = await home.intake.submit(home.event(ON.external_id, 1.0, origin="local"))
        assert [target.state for target in receipt.targets] == ["delivered", "superseded"]
        assert await home.rows("SELECT value FROM features WHERE external_id = ?", ON.external_id) == [(0.0,)]
        await home.gladys.count(2)
        assert home.gladys.values == [1.0, 0.0]


async def test_a_lane_goes_on_after_a_page_of_what_is_too_late(tmp_path: Path) -> None:
    """However many texts became too late while their target was away, each settles, and the lane ends empty."""
    async with open_home(tmp_path, sinks=["gladys"]) as home:
        home.gladys.answer = unavailable
        events = [home.event(NOTE.external_id, None, text=str(number)) for number in range(100)]
        await asyncio.gather(*(home.intake.take(event) for event in events))
        home.clock.pass_by(61)
        home.dispatch.wake(["gladys"])
        await home.settled(events[-1].id, "gladys", "expired")
        assert set(await home.states("gladys")) == {"expired"}


async def test_no_change_of_a_receipt_is_left_untold(tmp_path: Path) -> None:
    """One that changes while a later one is being told is told next, and not only with the next change."""
    async with open_home(tmp_path) as home, asyncio.timeout(10):
        await home.registry.alias("mqtt:on", ON.external_id)
        await home.registry.alias("mqtt:bri", BRIGHTNESS.external_id)
        home.lamp.answer = unavailable
        first, second = home.event("mqtt:on", 1.0), home.event("mqtt:bri", 9.0)
        for event in (first, second):
            await home.intake.submit(event)
        change = "UPDATE events SET untold = untold + 1 WHERE id = ?"
        await home.store.write(lambda database: database.conn.execute(change, (second.id,)))
        receipts = home.intake.receipts()
        assert (await anext(receipts)).id == second.id
        await home.store.write(lambda database: database.conn.execute(change, (first.id,)))
        assert (await anext(receipts)).id == first.id


async def test_many_commands_at_once_are_answered_at_once(tmp_path: Path) -> None:
    """A slider's commands supersede each other in one commit, and none of their receipts waits out its time."""
    async with open_home(tmp_path, settle_within=30) as home, asyncio.timeout(20):
        events = [home.event(BRIGHTNESS.external_id, float(value), origin="local") for value in range(64)]
        receipts = await asyncio.gather(*(home.intake.submit(event) for event in events))
        assert receipts[-1].outcome == "delivered"
        assert {receipt.outcome for receipt in receipts} <= {"delivered", "superseded"}
        sent = [value for value in home.lamp.values if value is not None]
        assert sent == sorted(sent)


async def test_an_event_that_can_not_be_planned_is_put_aside(tmp_path: Path) -> None:
    """A bug in planning costs that event its effect, and nobody their home: it is committed, acked, and visible."""
    async with open_home(tmp_path) as home:
        whole = home.registry.snapshot
        home.registry.snapshot = msgspec.structs.replace(whole, devices={"lamp:a1": 5})
        event = home.event(ON.external_id, 1.0, origin="local")
        receipt = await home.intake.submit(event)
        assert "put aside" in (receipt.warning or "")
        assert await home.rows("SELECT state FROM events WHERE id = ?", event.id) == [("quarantined",)]
        home.registry.snapshot = whole
        assert (await home.intake.submit(event)).duplicate


async def test_an_attempt_that_brings_the_program_down_is_counted(tmp_path: Path) -> None:
    """Only an end in order hands back what was under way; a third crash by the same delivery gives it up."""

    class Down(BaseException):
        pass

    async def crash(_: Delivery) -> None:
        raise Down

    async with open_home(tmp_path) as home:
        event = home.event(ON.external_id, 1.0, origin="local")

    async def live() -> None:
        async with open_home(tmp_path) as home:
            home.lamp.answer = crash
            await home.intake.take(event)
            await asyncio.Event().wait()

    for _ in range(3):
        with pytest.raises(BaseExceptionGroup) as caught:
            await live()
        assert caught.group_contains(Down)
    async with open_home(tmp_path) as home:
        await home.settled(event.id, "lamp", "rejected")
        assert home.lamp.got == []


async def test_what_waits_is_delivered_after_a_restart(tmp_path: Path) -> None:
    """A restart of the program goes on where it ended, in order, as long as it is not late."""
    async with open_home(tmp_path, sinks=["gladys"]) as home:
        home.gladys.answer = unavailable
        for value in (1.0, 0.0, 1.0):
            await home.intake.submit(home.event(PRESENCE.external_id, value))
    async with open_home(tmp_path, sinks=["gladys"]) as home:
        await home.gladys.count(3)
        assert home.gladys.values == [1.0, 0.0, 1.0]


async def test_what_can_not_be_sent_twice_is_unknown_after_a_crash(tmp_path: Path) -> None:
    """A click that was under way when the program died settles as unknown, and is never sent again."""
    async with open_home(tmp_path) as home:
        event = home.event(BELL.external_id, 1.0, origin="local")
        home.lamp.answer = hang
        submitted = asyncio.create_task(home.intake.submit(event))
        await home.lamp.count(1)
        assert await home.states("lamp") == ["sending"]
        await submitted
    async with open_home(tmp_path) as home:
        await home.settled(event.id, "lamp", "unknown")
        assert home.lamp.got == []


async def test_click_without_an_answer_is_unknown(tmp_path: Path) -> None:
    """A click whose device does not answer in time may have happened: it is not sent again."""
    async with open_home(tmp_path, settle_within=5) as home:
        home.lamp.answer = hang
        receipt = await home.intake.submit(home.event(BELL.external_id, 1.0, origin="local"))
        assert (receipt.status, receipt.error_code, receipt.targets[0].state) == (502, "DELIVERY_FAILED", "unknown")
        assert len(home.lamp.got) == 1


async def test_three_crashes_under_way_quarantine_the_row(tmp_path: Path) -> None:
    """A delivery that brings the program down is given up after the third time, so that a restart never loops."""
    async with open_home(tmp_path) as home:
        home.lamp.answer = unavailable
        event = home.event(ON.external_id, 1.0, origin="local")
        await home.intake.submit(event)
    for crash in (1, 2, 3):
        database = sqlite3.connect(tmp_path / "companion.db")
        with database:  # as a kill in the middle of an attempt leaves it
            database.execute("UPDATE deliveries SET under_way = 1")
        database.close()
        async with open_home(tmp_path) as home:
            home.lamp.answer = unavailable
            await home.settled(event.id, "lamp", "rejected" if crash == 3 else "pending")
            await home.lamp.count(1 if crash < 3 else 0)
    assert home.lamp.got == []
    async with open_home(tmp_path) as home:
        assert "quarantined" in (await home.rows("SELECT reason FROM deliveries"))[0][0]


async def test_one_bad_plugin_does_not_stop_the_rest(tmp_path: Path) -> None:
    """What a plug-in raises besides its two errors settles that delivery, and the next one is tried."""

    async def bug(delivery: Delivery) -> None:
        if delivery.event.value:
            raise ZeroDivisionError

    async with open_home(tmp_path, settle_within=5) as home:
        home.lamp.answer = bug
        bad = await home.intake.submit(home.event(ON.external_id, 1.0, origin="local"))
        good = await home.intake.submit(home.event(ON.external_id, 0.0, origin="local"))
        assert (bad.outcome, good.outcome) == ("rejected", "delivered")
        assert bad.targets[0].reason is not None
        assert "plug-in failed" in bad.targets[0].reason


async def test_rejected_is_told_with_its_reason(tmp_path: Path) -> None:
    """What can never be done is told to the sender in the plug-in's own words."""

    async def refuse(_: Delivery) -> None:
        raise Rejected("the lamp has no such colour")

    async with open_home(tmp_path, settle_within=5) as home:
        home.lamp.answer = refuse
        receipt = await home.intake.submit(home.event(ON.external_id, 1.0, origin="local"))
        assert (receipt.status, receipt.outcome) == (502, "rejected")
        assert "no such colour" in (receipt.error_message or "")


async def test_unknown_id_is_kept_and_delivered_when_bound(tmp_path: Path) -> None:
    """404 to the sender; bound later, what is late is not done and what is fresh is; the gateway is told of both."""
    async with open_home(tmp_path, sinks=["gladys"]) as home:
        old = home.event("mqtt:new", 1.0)
        assert (await home.intake.submit(old)).status == 404
        home.clock.pass_by(120)
        fresh = home.event("mqtt:new", 0.0)
        assert (await home.intake.submit(fresh)).error_code == "DEVICE_FEATURE_NOT_FOUND"
        await home.registry.alias("mqtt:new", ON.external_id)
        await home.settled(old.id, "lamp", "expired")
        await home.settled(fresh.id, "gladys", "delivered")
        assert (home.lamp.values, home.gladys.values) == ([0.0], [0.0])
        told: dict[str, Receipt] = {}
        async with asyncio.timeout(10):
            async for receipt in home.intake.receipts():
                told[receipt.id] = receipt
                if len(told) == 2 and told[fresh.id].outcome == "delivered":
                    break
        assert told[old.id].outcome == "expired"


async def test_news_of_an_unknown_id_becomes_history_when_bound(tmp_path: Path) -> None:
    """What a phone told before its feature was made is in its history, each at its time, and Gladys gets it as late."""
    async with open_home(tmp_path, sinks=["gladys"]) as home:
        for value in (1.0, 0.0):
            await home.intake.submit(home.event("mqtt:door", value))
            home.clock.pass_by(100)
        await home.registry.alias("mqtt:door", PRESENCE.external_id)
        await home.gladys.count(2)
        assert [(one.event.value, one.late) for one in home.gladys.got] == [(1.0, True), (0.0, True)]
        assert await home.rows("SELECT value FROM history ORDER BY at") == [(1.0,), (0.0,)]


async def test_binding_never_goes_before_what_is_newer(tmp_path: Path) -> None:
    """An older event that is let through by a binding moves no last value, commands nothing, and is history."""
    async with open_home(tmp_path, sinks=["gladys"], settle_within=5) as home:
        await home.intake.submit(home.event("mqtt:lamp", 1.0))
        await home.intake.submit(home.event("mqtt:door", 1.0))
        home.clock.pass_by(5)
        await home.intake.submit(home.event(ON.external_id, 0.0, origin="local"))
        await home.intake.submit(home.event(PRESENCE.external_id, 0.0))
        await home.registry.alias("mqtt:lamp", ON.external_id)
        await home.registry.alias("mqtt:door", PRESENCE.external_id)
        await home.gladys.count(3)
        assert home.lamp.values == [0.0]
        value = "SELECT value FROM features WHERE external_id = ?"
        assert await home.rows(value, PRESENCE.external_id) == [(0.0,)]
        assert home.gladys.got[-1].event.dated


async def test_exposing_carries_out_nothing_that_was_refused(tmp_path: Path) -> None:
    """Exposing a lock names its keys; what another key posted stays unbound, and what was refused is not done now."""
    async with open_home(tmp_path) as home:
        event = home.event(LOCK.external_id, 0.0)
        assert (await home.intake.submit(event)).status == 404
        await home.registry.expose(LOCK.external_id, ["key-2"])
        assert await home.rows("SELECT state FROM events") == [("unbound",)]
        await home.registry.expose(LOCK.external_id, ["key-1"])
        await home.settled(event.id, "lamp", "expired")
        again = await home.intake.submit(home.event(LOCK.external_id, 0.0))
        await home.settled(again.id, "lamp", "delivered")


async def test_a_wall_clock_that_is_set_deletes_nothing_fresh(tmp_path: Path) -> None:
    """A Pi that believed it was last month when it started loses nothing when its clock is put right."""
    async with open_home(tmp_path) as home:
        for value in (1.0, 0.0, 1.0):
            await home.intake.submit(home.event(PRESENCE.external_id, value))
            await home.intake.submit(home.event("mqtt:stranger", value))
        home.clock.wall += 40 * 86_400
        assert await home.store.write(lambda database: tidy(database, Retention(), home)) == 0
        assert await home.rows("SELECT count(*) FROM events") == [(6,)]


async def test_receipt_that_changes_after_the_ack_is_told_once(tmp_path: Path) -> None:
    """Accepted now, delivered later: the gateway is told, also when the program was restarted in between."""
    async with open_home(tmp_path) as home:
        await home.registry.alias("mqtt:lamp", ON.external_id)
        home.lamp.answer = unavailable
        event = home.event("mqtt:lamp", 1.0)
        assert (await home.intake.submit(event)).status == 202
    async with open_home(tmp_path) as home:
        await home.dispatch.retry_now("lamp:a1")
        await home.settled(event.id, "lamp", "delivered")
    async with open_home(tmp_path) as home, asyncio.timeout(10):
        receipts = home.intake.receipts()
        receipt = await anext(receipts)
        assert (receipt.id, receipt.status, receipt.outcome) == (event.id, 200, "delivered")
        following = asyncio.ensure_future(anext(receipts))
        other = home.event("mqtt:lamp", 0.0, age=61)
        await home.intake.submit(other)  # expires at once, before its ack: nothing to tell
        home.lamp.answer = unavailable
        late = home.event("mqtt:lamp", 1.0)
        await home.intake.submit(late)
        home.clock.pass_by(61)
        home.dispatch.wake(["lamp:a1"])
        assert (await following).id == late.id


async def test_trace_tells_each_hop_with_its_time(tmp_path: Path) -> None:
    """Happened, journaled, delivered: each hop with when and why."""
    async with open_home(tmp_path, sinks=["gladys"], settle_within=5) as home:
        event = home.event(PRESENCE.external_id, 1.0, age=2)
        await home.intake.submit(event)
        told = await home.store.read(lambda database: trace(database, event.id))
        assert [hop["hop"] for hop in told["hops"][:2]] == ["happened", "journal"]
        assert {(hop["hop"], hop["state"]) for hop in told["hops"][2:]} == {
            ("virtual", "verified"),
            ("gladys", "delivered"),
        }
        assert told["hops"][0]["ms"] == -2_000.0
        assert told["receipt"]["outcome"] == "delivered"


async def test_how_long_things_are_kept(tmp_path: Path) -> None:
    """Old events, old unbound ones and too many of one id go; history goes by its own age; the newest event stays."""
    async with open_home(tmp_path) as home:
        day = 86_400.0
        await home.intake.submit(home.event(PRESENCE.external_id, 1.0))
        home.clock.pass_by(20 * day)
        for _ in range(7):
            await home.intake.submit(home.event("mqtt:stranger", 1.0))
        await home.intake.submit(home.event(PRESENCE.external_id, 0.0))
        keep = Retention(unbound_per_id=5)
        now = home.clock.now
        while await home.store.write(lambda database: tidy(database, keep, home)):
            pass
        assert await home.rows("SELECT state, count(*) FROM events GROUP BY state") == [("planned", 2), ("unbound", 5)]
        home.clock.pass_by(15 * day)
        while await home.store.write(lambda database: tidy(database, keep, home, most=2)):
            pass
        assert await home.rows("SELECT state, count(*) FROM events GROUP BY state") == [("planned", 1)]
        values = await home.store.read(lambda database: history(database, PRESENCE.external_id, 0, now()))
        assert [one["value"] for one in values] == [1.0, 0.0]
        home.clock.pass_by(400 * day)
        while await home.store.write(lambda database: tidy(database, keep, home)):
            pass
        assert await home.rows("SELECT count(*) FROM events") == [(1,)]
        assert await home.rows("SELECT count(*) FROM history") == [(0,)]


async def test_ids_grow_even_when_the_clock_goes_back() -> None:
    """Ids sort in the order in which they were made."""
    made = [new_id() for _ in range(10_000)]
    assert made == sorted(set(made))


@pytest.mark.parametrize("answer", [unanswered, hang])
async def test_what_was_sent_and_not_confirmed_is_never_called_undone(
    tmp_path: Path, answer: Callable[[Delivery], Awaitable[None]]
) -> None:
    """A frozen device may do it when it wakes: too late, or overtaken, nobody knows, and the receipt says so."""
    async with open_home(tmp_path, sinks=["gladys"]) as home:
        home.lamp.answer = answer
        first, second = home.event(ON.external_id, 1.0, origin="local"), home.event(ON.external_id, 0.0, origin="local")
        await home.intake.submit(first)
        await until_sent(home)
        await home.intake.submit(second)
        await home.settled(first.id, "lamp", "unknown")
        await until_sent(home)
        home.clock.pass_by(61)
        home.dispatch.wake([ON.device])
        await home.settled(second.id, "lamp", "unknown")
        reasons = await home.rows("SELECT reason FROM deliveries WHERE target = 'lamp' ORDER BY event")
        assert reasons[0][0].startswith("a newer command came; it was sent, and the device did not say")
        assert reasons[1][0].startswith("it was sent, and the device did not say that it did it")
        assert await home.states("gladys") == ["unknown", "unknown"]


async def until_sent(home: Home) -> None:
    """Return when an attempt ended without an answer, and what it sent waits to be tried again."""
    async with asyncio.timeout(10):
        while not await home.rows("SELECT 1 FROM deliveries WHERE sent AND state = 'pending' AND NOT under_way"):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
