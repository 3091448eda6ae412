"""Presence by example: who is where, since when, and why, as people would want it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from gladys_companion.errors import ProtocolError
from gladys_companion.presence import (
    Crossing,
    Decision,
    Evidence,
    Hint,
    Position,
    Rules,
    State,
    Zone,
    advance,
    begin,
    dump,
    explain,
    forget,
    observe,
    restore,
)
from gladys_companion.presence import crossing as crossing_of
from gladys_companion.presence import position as position_of
from gladys_companion.presence.claims import Fact
from gladys_companion.presence.geo import distance
from gladys_companion.presence.people import Belief
from gladys_companion.presence.reasons import clock_time, duration, metres, state_words, why
from gladys_companion.protocol.fixes import Fix
from gladys_companion.protocol.owntracks import Transition

T = 1_790_013_720.0  # 2026-09-21 18:02:00 UTC
HOME = Zone(id="home", name="Home", latitude=48.2, longitude=16.37, radius=150, home=True, networks=("Nest",))
WORK = Zone(id="work", name="Work", latitude=48.29, longitude=16.37, radius=200)
TO_WORK = 10_008.0
RULES = Rules(zones=(HOME, WORK), sources={"phone": "Jane's phone", "tablet": "the tablet"})


def at(seconds: float, north: float, accuracy: float | None = 12, *, source: str = "phone", **more: Any) -> Position:
    """Return a position so many metres north of home."""
    return Position(
        id=more.pop("id", f"{source}@{seconds:g}"), source=source, at=T + seconds,
        received_at=T + more.pop("received", seconds), latitude=48.2 + north / 111_195, longitude=16.37,
        accuracy=accuracy, **more,
    )  # fmt: skip


def crossed(seconds: float, region: str, *, entered: bool, **more: Any) -> Crossing:
    return Crossing(
        id=f"c@{seconds:g}", source="phone", at=T + seconds, received_at=T + seconds, region=region, entered=entered,
        **more,
    )  # fmt: skip


def hint(seconds: float, *, present: bool, kind: str = "told", source: str = "phone") -> Hint:
    return Hint(
        id=f"h@{seconds:g}", source=source, at=T + seconds, received_at=T + seconds, zone="home", present=present,
        kind=kind,  # type: ignore[arg-type]  # one of two words
    )  # fmt: skip


class Story:
    """A person's state, and what was decided of home so far."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.rules = rules
        self.state: State = begin("jane")
        self.wake: float | None = None
        self.all: list[Decision] = []

    def tell(self, *evidence: Evidence, now: float | None = None) -> list[Decision]:
        """Observe evidence as it comes; return what was decided of home."""
        found: list[Decision] = []
        for one in evidence:
            found += self.wait(one.received_at - T) if now is None else []
            self.state, decisions, self.wake = observe(
                self.state, one, one.received_at if now is None else T + now, self.rules
            )
            found += self._note(decisions)
        return found

    def wait(self, until: float) -> list[Decision]:
        """Let time pass to so many seconds, looking when it is due."""
        found: list[Decision] = []
        while self.wake is not None and self.wake <= T + until:
            self.state, decisions, self.wake = advance(self.state, self.wake, self.rules)
            found += self._note(decisions)
        self.state, decisions, self.wake = advance(self.state, T + until, self.rules)
        return found + self._note(decisions)

    def _note(self, decisions: Sequence[Decision]) -> list[Decision]:
        self.all += decisions
        return [one for one in decisions if one.zone == "home"]

    def why(self, now: float, zone: Zone = HOME) -> str:
        return explain(self.state, zone, T + now, self.rules)

    def home(self) -> bool | None:
        """Whether the person is said to be home."""
        return self.state.told["home"].inside


def at_home(rules: Rules = RULES) -> Story:
    story = Story(rules)
    story.tell(at(-4_000, 10), at(-3_600, 10), at(-30, 12))
    assert story.home()
    return story


def away(rules: Rules = RULES) -> Story:
    story = at_home(rules)
    story.tell(*(at(-20 + 20 * step, 640 + 300 * step) for step in range(1, 15)))
    assert story.home() is False
    return story


def said(decisions: Sequence[Decision]) -> list[tuple[str, float, bool]]:
    return [(one.state, one.since - T, one.late) for one in decisions]


# ---- coming and going ----


def test_leaving_takes_a_minute_and_says_why() -> None:
    """A minute beyond the exit radius, and the sentence has place, limit, duration and accuracy."""
    story = at_home()
    decisions = story.tell(at(0, 640), at(30, 700), at(59, 750))
    assert decisions == []
    assert story.wake == T + 60
    (left,) = story.wait(60)
    assert left == Decision(
        person="jane", zone="home", state="out", since=T, decided=T + 60, late=False,
        reason="away since 18:02: 640 m from home (exit radius 250 m) for 1 min, accuracy 12 m",
        evidence=("phone@0", "phone@59"), source="phone",
    )  # fmt: skip
    story.tell(at(180, 900))
    assert story.why(200) == "away since 18:02: 640 m from home (exit radius 250 m) for 3 min, accuracy 12 m"


def test_coming_home_takes_ten_seconds() -> None:
    """One position that is clearly inside, and nothing against it."""
    story = away()
    story.tell(at(1_000, 30))
    (came,) = story.wait(1_015)
    assert said([came]) == [("in", 1_000.0, False)]
    assert came.decided == T + 1_010
    assert came.reason == "home since 18:18: 30 m from home (radius 150 m) for 10 s, accuracy 12 m"


def test_likely_inside_takes_longer() -> None:
    """A position that may as well be outside must stand for a minute."""
    story = away()
    story.tell(at(1_000, 90, accuracy=100))
    assert story.wait(1_050) == []
    assert said(story.wait(1_060)) == [("in", 1_000.0, False)]


def test_likely_inside_is_clear_when_the_phone_confirms_it() -> None:
    """The list of regions says the same as the position."""
    story = away()
    story.tell(at(1_000, 90, accuracy=100, regions=("Home",)))
    assert said(story.wait(1_010)) == [("in", 1_000.0, False)]


def test_between_radius_and_exit_radius_nothing_changes() -> None:
    """Whoever was home is home there, whoever was away is away."""
    for story in (at_home(), away()):
        before = story.home()
        story.tell(*(at(1_000 + 30 * step, 200) for step in range(20)))
        assert story.wait(3_000) == []
        assert story.home() is before


def test_near_the_edge_stops_who_was_about_to_come_or_go() -> None:
    """A stray position inside or outside, followed by one near the edge, moves nobody."""
    story = away()
    story.tell(at(1_000, 130, accuracy=15), at(1_005, 190))
    assert story.wait(2_000) == []
    story = at_home()
    story.tell(at(0, 290), at(20, 200))
    assert story.wait(2_000) == []


def test_home_away_home_within_seconds_is_home() -> None:
    """Leave and enter within a dwell are nothing: no garage door opens."""
    story = at_home()
    story.tell(at(0, 300), crossed(1, "Home", entered=False), at(7, 20), crossed(8, "Home", entered=True))
    assert story.wait(2_000) == []


def test_accuracy_of_zero_and_of_two_kilometres_move_nobody() -> None:
    """What is unknown is taken for 100 m, what is worse than 200 m for nothing."""
    story = at_home()
    story.tell(*(at(20 * step, 340, accuracy=None) for step in range(10)))
    assert story.wait(1_000) == []
    story.tell(*(at(1_000 + 20 * step, 30_000, accuracy=2_000) for step in range(10)))
    assert story.wait(2_000) == []
    story.tell(at(2_000, 351 + 100, accuracy=None))
    assert said(story.wait(2_060)) == [("out", 2_000.0, False)]


# ---- what can not be, and what contradicts itself ----


def test_a_jump_is_doubted_for_as_long_as_it_takes_to_get_there() -> None:
    """9 km in ten seconds: with another that agrees, 80 s more than a dwell; alone, a quarter of an hour more."""
    story = at_home()
    story.tell(at(0, 0), at(10, 9_000), at(30, 9_000))
    assert story.wait(145) == []
    assert said(story.wait(160)) == [("out", 10.0, False)]
    story = at_home()
    story.tell(at(0, 0), at(10, 9_000))
    assert story.wait(969) == []
    assert said(story.wait(970)) == [("out", 10.0, False)]
    story = at_home()
    story.tell(at(0, 0), at(10, 9_000), at(60, 10))
    assert story.wait(5_000) == []


def test_a_jump_home_opens_no_door() -> None:
    """Somebody at work whose hotspot once stood at home stays away, also when the phone says no more for a while."""
    story = away()
    story.tell(at(2_000, TO_WORK), *(at(2_000 + step, 5 if step % 60 else TO_WORK) for step in range(30, 600, 30)))
    assert story.wait(3_400) == []


def test_a_new_place_is_trusted_when_others_agree_for_long_enough() -> None:
    """After a flight the first positions are doubted, the ones five minutes later are not."""
    story = away()
    far = 5_000_000.0
    story.tell(*(at(1_000 + 60 * step, far) for step in range(6)))
    trusted = story.state.tracks["phone"].core.trusted
    assert trusted is not None
    assert trusted.at == T + 1_300


def test_evidence_that_contradicts_itself_does_nothing_alone() -> None:
    """A position far off whose list of regions says Home needs another, a minute later."""
    story = at_home()
    story.tell(at(0, 400, regions=("Home",)))
    story.tell(at(3_000, 10, regions=("Home",)))
    story.tell(at(4_000, 400, regions=("Home",)), at(4_030, 400, regions=("Home",)), at(4_100, 420, regions=("Home",)))
    assert story.wait(4_359) == []
    assert said(story.wait(4_360)) == [("out", 4_000.0, False)]


def test_a_transition_that_its_position_contradicts_does_nothing_alone() -> None:
    """The system says left, and the position that it gives is in the middle of the house."""
    story = at_home()
    story.tell(crossed(0, "Home", entered=False, latitude=48.2, longitude=16.37, accuracy=10.0))
    assert story.wait(3_000) == []
    story = away()
    story.tell(crossed(1_000, "Home", entered=True, latitude=48.25, longitude=16.37, accuracy=10.0))
    assert story.wait(3_000) == []


def test_inside_but_not_listed_yet_takes_five_minutes() -> None:
    """The phone's system lags behind its own positions, and may be right."""
    story = at_home()
    story.tell(crossed(0, "Home", entered=False), at(100, 2_000, regions=()), at(1_000, 10, regions=()))
    assert story.home() is False
    assert story.wait(1_309) == []
    assert said(story.wait(1_310)) == [("in", 1_000.0, False)]


# ---- regions, networks, hints ----


def test_transitions_count_by_name_in_any_case_or_by_id() -> None:
    """A region of another name is nothing."""
    story = away()
    story.tell(crossed(1_000, "Elsewhere", entered=True))
    assert story.wait(1_100) == []
    story.tell(crossed(1_200, "HOME", entered=True))
    (came,) = story.wait(1_210)
    assert came.reason == "home since 18:22: the phone itself noticed that it entered home for 10 s"
    story.tell(crossed(1_300, "Maison", region_id="home", entered=False))
    (left,) = story.wait(1_360)
    assert left.reason == "away since 18:23: the phone itself noticed that it left home for 1 min"


def test_a_lost_leave_is_healed_by_the_list_of_regions() -> None:
    """The list of a phone that watches home tells that it no longer is there, near the edge too."""
    story = at_home()
    story.tell(at(0, 20, regions=("Home",)), at(300, 350, accuracy=150, regions=()))
    (left,) = story.wait(360)
    assert said([left]) == [("out", 300.0, False)]
    assert left.reason.startswith("away since 18:07: the phone no longer counts home among the regions it is in")
    story.tell(at(900, 160, accuracy=150, regions=("home",)))
    assert said(story.wait(910)) == [("in", 900.0, False)]


def test_an_empty_list_of_a_phone_that_watches_nothing_says_nothing() -> None:
    """Only who ever named the zone can leave it out."""
    story = at_home()
    story.tell(*(at(60 * step, 200, regions=()) for step in range(10)))
    assert story.wait(2_000) == []


def test_the_homes_network_is_home() -> None:
    """Connected to the home's Wi-Fi, however inaccurate the position; not where the position is clear."""
    story = away()
    story.tell(at(1_000, 3_000, accuracy=2_000, networks=("Nest",)))
    (came,) = story.wait(1_010)
    assert came.reason == "home since 18:18: connected to the Wi-Fi Nest for 10 s"
    story = away()
    story.tell(at(1_000, 5_000, networks=("Nest",)))
    assert story.wait(2_000) == []


def test_what_is_told_counts_both_ways() -> None:
    """A feature such as mqtt:my-phone-presence needs no position."""
    story = Story()
    story.tell(hint(0, present=True))
    (came,) = story.wait(10)
    assert came.reason == "home since 18:02: told to be in home for 10 s"
    story.tell(hint(100, present=False))
    assert story.wait(159) == []
    assert said(story.wait(160)) == [("out", 100.0, False)]


def test_a_device_that_answers_is_there_and_one_that_does_not_says_nothing() -> None:
    """Phones sleep: no answer by mDNS makes nobody away."""
    story = away()
    story.tell(hint(1_000, present=True, kind="near"))
    (came,) = story.wait(1_010)
    assert came.reason == "home since 18:18: met on the network of home for 10 s"
    story.tell(hint(1_100, present=False, kind="near"))
    assert story.wait(9_000) == []


def test_a_hint_at_home_is_doubted_while_the_phone_is_far() -> None:
    """Told home ten seconds after a position 10 km off, and nothing else: not for a quarter of an hour."""
    story = away()
    story.tell(at(1_000, TO_WORK), hint(1_010, present=True))
    assert story.wait(1_900) == []
    assert said(story.wait(1_920)) == [("in", 1_010.0, False)]


def test_zones_may_nest_and_touch() -> None:
    """Each zone is decided by itself; leaving one says nothing of another."""
    garden = Zone(id="garden", name="Garden", latitude=48.2, longitude=16.37, radius=500)
    story = Story(Rules(zones=(HOME, garden)))
    story.tell(at(0, 10), at(20, 10))
    story.tell(crossed(100, "Home", entered=False))
    story.wait(200)
    assert (story.state.told["home"].inside, story.state.told["garden"].inside) == (False, True)
    assert story.why(200, garden) == "in Garden since 18:02: 10 m from Garden (radius 500 m) for 20 s, accuracy 12 m"


# ---- several phones ----


def test_a_phone_left_at_home_makes_nobody_home() -> None:
    """The phone that moved last is the one that is carried, however often the other speaks."""
    story = Story()
    story.tell(at(0, 10), at(1, 10, 30, source="tablet"), at(60, 10), at(61, 12, 30, source="tablet"))
    story.tell(*(at(100 + 30 * step, 300 + 400 * step) for step in range(4)))
    assert said(story.all[-1:]) == [("out", 100.0, False)]
    assert story.all[-1].reason.endswith("accuracy 12 m, says Jane's phone")
    assert story.tell(*(at(300 + 600 * step, 10, 30, source="tablet") for step in range(50))) == []
    assert story.home() is False


def test_whichever_phone_is_taken_counts() -> None:
    """Back with the one, and off again with the other, which then leads."""
    story = Story()
    story.tell(at(0, 10), at(1, 10, source="tablet"), at(60, 10), at(61, 10, source="tablet"))
    story.tell(at(100, 400), at(200, 2_000), at(1_000, 10), at(1_060, 10))
    assert story.home()
    story.tell(at(2_000, 500, source="tablet"), at(2_060, 900, source="tablet"), at(2_100, 10))
    assert story.home() is False
    assert said(story.tell(at(3_000, 20, source="tablet"), at(3_010, 20, source="tablet"))) == [("in", 3_000.0, False)]


def test_both_phones_carried_are_one_coming_and_going() -> None:
    """The first to notice decides, the second changes nothing, and it is so since the first."""
    story = Story()
    story.tell(at(0, 10), at(1, 10, source="tablet"), at(60, 10), at(61, 10, source="tablet"))
    decisions = story.tell(at(100, 400), at(130, 600, source="tablet"), at(170, 900), at(200, 900, source="tablet"))
    assert said(decisions) == [("out", 100.0, False)]
    assert story.state.told["home"].since == T + 100


def test_phones_that_disagree_and_never_moved_know_nothing() -> None:
    """Until one moves, nobody can say which one is carried."""
    story = Story()
    story.tell(at(0, 10), at(1, TO_WORK, source="tablet"), at(100, 10), at(101, TO_WORK, source="tablet"))
    assert story.why(200) == "unknown: Jane's phone and the tablet disagree, and none of them has moved yet"
    story.tell(at(300, 700), at(400, 900))
    assert story.home() is False
    assert story.state.told["work"].inside is None


def test_a_forgotten_phone_says_nothing_more() -> None:
    """A source that is no longer carried is dropped, and the others decide."""
    story = Story()
    story.tell(at(0, 10), at(1, TO_WORK, source="tablet"), at(100, 10), at(101, TO_WORK, source="tablet"))
    story.state = forget(story.state, "tablet")
    assert said(story.wait(200)) == [("in", 0.0, True)]


# ---- silence ----


def test_silence_is_unknown_and_never_away() -> None:
    """After twelve hours nobody knows, and the sentence says since when nothing was heard."""
    story = at_home()
    assert story.wait(43_169) == []
    (gone,) = story.wait(43_170)
    assert said([gone]) == [("unknown", 43_170.0, False)]
    assert gone.reason == (
        "unknown since 2026-09-22 06:01: Jane's phone has said nothing about home since 2026-09-21 18:01"
    ).replace("since 2026-09-22 06:01", "since 06:01")
    story.tell(at(50_000, 10))
    assert story.home()
    assert story.why(50_000).startswith("home since 2026-09-21 16:55: ")


def test_when_the_carried_phone_falls_silent_another_may_only_agree() -> None:
    """The phone that came home dies: the tablet at home keeps its person home; away, nobody knows."""
    story = Story()
    story.tell(at(0, 10), at(1, 10, source="tablet"), at(60, 10), at(61, 10, source="tablet"))
    story.tell(at(100, 600), at(200, 900), at(1_000, 10), at(1_010, 10))
    story.tell(at(40_000, 10, source="tablet"), at(45_000, 10, source="tablet"))
    assert story.home()
    story = Story()
    story.tell(at(0, 10), at(1, 10, source="tablet"), at(60, 10), at(61, 10, source="tablet"))
    story.tell(at(100, 600), at(200, 900), at(40_000, 10, source="tablet"), at(45_000, 10, source="tablet"))
    assert story.home() is None


# ---- late, and from the future ----


def test_a_flushed_queue_is_history_up_to_what_is_fresh() -> None:
    """Hours in flight mode: leaving is history, coming home just now is news."""
    story = at_home()
    queue = [at(60 * step, 500 + 100 * step) for step in range(20)] + [at(7_000, 10)]
    assert said(story.tell(*queue, now=7_020)) == [("out", 0.0, True), ("in", 7_000.0, False)]


def test_a_fresh_position_before_the_queue_changes_nothing_in_the_end() -> None:
    """The newest first, then hours of old ones: the same history, and home is never left for the old ones."""
    story = at_home()
    assert story.tell(at(7_000, 10), now=7_005) == []
    decisions = story.tell(*(at(60 * step, 500 + 100 * step) for step in range(20)), now=7_020)
    assert said(decisions) == [("out", 0.0, True), ("in", 7_000.0, False)]
    assert story.home()


def test_an_old_decision_that_becomes_known_is_late() -> None:
    """What was sure more than two minutes ago starts nothing."""
    story = at_home()
    assert said(story.tell(at(0, 640), now=179)) == [("out", 0.0, False)]
    story = at_home()
    assert said(story.tell(at(0, 640), now=181)) == [("out", 0.0, True)]


def test_late_evidence_corrects_since_when_without_a_word() -> None:
    """That somebody came a little earlier than it seemed is no second coming."""
    story = away()
    story.tell(at(1_000, 10))
    story.wait(1_020)
    assert story.tell(at(980, 60), now=1_030) == []
    assert story.state.told["home"].since == T + 980


def test_what_newer_evidence_decided_stays_decided() -> None:
    """A late position far off makes the arrival doubtful, not undone; a newer one can undo it."""
    story = away()
    story.tell(at(1_000, 10))
    assert story.wait(1_020) != []
    assert story.tell(at(995, 9_000), now=1_025) == []
    assert story.home()
    assert story.wait(2_000) == []
    assert story.home()


def test_evidence_from_the_future_is_none() -> None:
    """A clock that is over five minutes fast can not be put in order."""
    story = at_home()
    assert story.tell(at(1_000, 5_000, received=0)) == []
    assert story.wait(900) == []
    assert len(story.state.tracks["phone"].window) == 3
    story.tell(at(1_200, 700, received=1_000))
    assert said(story.wait(1_060)) == [("out", 1_000.0, False)]


def test_the_same_evidence_again_and_evidence_older_than_the_window_change_nothing() -> None:
    """A message that is sent twice, and one from before all that is remembered."""
    story = at_home()
    before = story.state.tracks
    story.tell(at(-30, 12), now=0)
    assert story.state.tracks == before
    story.tell(*(at(10 * step, 10) for step in range(100)))
    before = story.state.tracks
    assert story.tell(at(-5_000, 3_000), now=1_100) == []
    assert story.state.tracks == before


def test_a_clock_that_is_set_back_a_little_is_not_followed() -> None:
    """What was decided stays so while the clock catches up."""
    story = at_home()
    story.tell(at(0, 640))
    assert len(story.wait(60)) == 1
    state, decisions, _ = advance(story.state, T + 30, RULES)
    assert (decisions, state.now) == ((), T + 60)


# ---- storage ----


def test_a_state_is_small_and_survives() -> None:
    """It is JSON of a few kilobytes, and goes on as it was."""
    story = away()
    stored = dump(story.state)
    assert len(stored) < 20_000
    assert restore(stored, RULES) == story.state


@pytest.mark.parametrize("stored", [b"", b"[]", b'{"person": 5}', b'{"person": "jane", "version": 9}'])
def test_what_can_not_be_restored_says_so(stored: bytes) -> None:
    """A broken or newer state is an error, not a wrong presence."""
    with pytest.raises(ProtocolError, match="presence"):
        restore(stored, RULES)


def test_changed_zones_are_judged_anew() -> None:
    """With a larger home, who was outside it in the last positions is inside it."""
    story = away()
    larger = Zone(id="home", name="Home", latitude=48.2, longitude=16.37, radius=8_000, home=True)
    rules = Rules(zones=(larger,))
    state, decisions, _ = advance(restore(dump(story.state), rules), T + 400, rules)
    assert state.told["home"].inside
    assert [one.state for one in decisions] == ["in"]


def test_what_phones_send_becomes_evidence() -> None:
    """A fix and a transition of the protocol keep what counts."""
    fix = Fix(key="k", at=T, latitude=48.2, longitude=16.37, accuracy=5.0, ssid="Nest", bssid="0:1", regions=("Home",))
    assert position_of(fix, id="e", source="phone", received_at=T + 1) == Position(
        id="e", source="phone", at=T, received_at=T + 1, latitude=48.2, longitude=16.37, accuracy=5.0,
        regions=("Home",), networks=("Nest", "0:1"),
    )  # fmt: skip
    left = Transition(key="k", at=T, entered=False, region="Home", region_id="r", latitude=0.0, longitude=0.0)
    assert crossing_of(left, id="e", source="phone", received_at=T + 1) == Crossing(
        id="e", source="phone", at=T, received_at=T + 1, entered=False, region="Home", region_id="r", latitude=0.0,
        longitude=0.0,
    )  # fmt: skip


# ---- words and distances ----


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1 min"), (3_599, "59 min"), (3_600, "1 h"), (5_400, "1 h 30 min"),
     (86_400, "1 d"), (97_200, "1 d 3 h"), (-5, "0 s")],
)  # fmt: skip
def test_durations_have_one_or_two_units(seconds: float, words: str) -> None:
    """Seconds, minutes, hours and minutes, days and hours."""
    assert duration(seconds) == words


def test_words_for_places_and_times() -> None:
    """Home is home and away, other zones have their names; another day has its date; far is in kilometres."""
    assert [state_words(HOME, inside=one) for one in (True, False, None)] == ["home", "away", "unknown"]
    assert [state_words(WORK, inside=one) for one in (True, False)] == ["in Work", "outside Work"]
    assert clock_time(T, T + 60, "Europe/Paris") == "20:02"
    assert clock_time(T, T + 86_400, "UTC") == "2026-09-21 18:02"
    assert clock_time(T, T, "Middle/Earth") == clock_time(T, T, "../x") == "18:02"
    assert (metres(9_999), metres(12_345)) == ("9999 m", "12 km")
    assert why(Belief(None, 0, 0, 0), HOME, RULES) == "unknown: nothing has been heard yet"
    near = Belief(True, T, T, T, ("e",), ("phone",), Fact("listed"))  # noqa: FBT003 - inside
    assert why(near, WORK, RULES) == "in Work since 18:02: the phone counts Work among the regions it is in"


def test_the_exit_radius_is_wider_than_the_radius() -> None:
    """100 m or half the radius more, or as the user said, but never less than the radius."""
    assert HOME.outer == 250
    assert Zone(id="a", name="a", latitude=0, longitude=0, radius=1_000).outer == 1_500
    assert Zone(id="a", name="a", latitude=0, longitude=0, radius=100, exit_radius=120).outer == 120
    assert Zone(id="a", name="a", latitude=0, longitude=0, radius=100, exit_radius=20).outer == 100


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((48.2, 16.37), (48.2, 16.37), 0),
        ((0, 179.9995), (0, -179.9995), 111.2),
        ((0, 0), (0, 180), 20_015_115),
        ((90, 0), (90, 123), 0),
        ((89.9995, 0), (89.9995, 180), 111.2),
        ((-0.0005, 0), (0.0005, 0), 111.2),
        ((48.2082, 16.3738), (48.8566, 2.3522), 1_033_700),
    ],
)
def test_distances_across_the_date_line_and_at_the_poles(
    one: tuple[float, float], other: tuple[float, float], expected: float
) -> None:
    """Great circles know no edge of the map."""
    assert distance(*one, *other) == pytest.approx(expected, rel=2e-3, abs=0.1)
