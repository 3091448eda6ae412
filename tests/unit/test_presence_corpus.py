"""Presence on tracks whose truth is known: nobody is ever wrongly home or away, and news is fast."""

from __future__ import annotations

import pytest
from bench.presence import Change, engine, evidence, home_assistant, radius, score

from gladys_companion.presence import Rules, advance, begin, dump, observe, restore
from tests.tracks import CORPUS, HOME, START, Truth, make

MOST_ARRIVAL = 15.0  # seconds after the evidence
MOST_DEPARTURE = 90.0


@pytest.mark.parametrize("name", CORPUS)
def test_no_decision_is_wrong_and_news_is_fast(name: str) -> None:
    """No false leave or arrival, no flap, none missed; arrival within 15 s, departure within 90 s of the evidence."""
    walk = make(name)
    result = score(walk, engine(walk))
    assert (result.wrong, result.flaps, result.missed) == (0, 0, 0)
    assert result.misdated == 0 or name == "clock slow"
    assert max(result.arrivals, default=0) <= MOST_ARRIVAL
    assert max(result.departures, default=0) <= MOST_DEPARTURE


@pytest.mark.parametrize("name", ["commute", "lost leave", "iphone sparse", "stuck list", "two phones"])
def test_every_coming_and_going_is_noticed(name: str) -> None:
    """Where there is evidence of each, the decisions are the truth's own turns, in their order."""
    walk = make(name)
    changes = engine(walk)
    for zone in walk.zones:
        decided = [change.inside for change in changes if change.zone == zone.id][1:]
        assert decided == [turn.inside for turn in Truth(walk).turns(zone)]


@pytest.mark.parametrize("name", ["drift", "accuracy 2000", "jumps", "lost leave", "two phones"])
def test_other_rules_are_wrong_where_ours_is_not(name: str) -> None:
    """The score can tell: a plain radius and Home Assistant's rule go wrong on the same messages."""
    walk = make(name)
    assert score(walk, radius(walk)).wrong > 0
    assert score(walk, home_assistant(walk)).wrong > 0


def test_the_corpus_is_the_same_each_time() -> None:
    """A track is made of its name and seed alone."""
    assert make("a bad week") == make("a bad week")
    assert make("drift", seed=2) != make("drift")


def test_a_lie_scores() -> None:
    """A rule that says home while the person is at work is counted as wrong, and so is one that never says anything."""
    walk = make("commute")
    lie = [Change(START + 10 * 3_600, HOME.id, inside=True)]
    assert score(walk, lie).wrong == 1
    assert score(walk, lie).wrong_seconds > 6 * 3_600
    assert score(walk, []).missed == 4


def test_a_day_with_a_restart_after_each_message() -> None:
    """Stored and restored each time, the day ends as without."""
    walk = make("flush at home")
    rules = Rules(zones=walk.zones)
    plain, restarted = begin("jane"), begin("jane")
    for one in evidence(walk):
        plain, decisions, _ = observe(plain, one, one.received_at, rules)
        restarted, again, _ = observe(restore(dump(restarted), rules), one, one.received_at, rules)
        assert again == decisions
    assert advance(plain, walk.end, rules) == advance(restarted, walk.end, rules)
