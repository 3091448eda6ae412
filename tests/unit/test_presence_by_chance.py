"""What holds for presence whatever comes, in whatever order: the promises that a lock may depend on."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

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
    observe,
    restore,
)
from gladys_companion.presence.claims import claim, place
from gladys_companion.presence.geo import EARTH_RADIUS, distance
from gladys_companion.presence.people import believe
from gladys_companion.presence.track import WINDOW, standing

T = 1_790_000_000.0
HOME = Zone(id="home", name="Home", latitude=0.0, longitude=180.0, radius=100, home=True, networks=("Nest",))
INNER = Zone(id="desk", name="Desk", latitude=0.0002, longitude=180.0, radius=40)
WORK = Zone(id="work", name="Work", latitude=0.09, longitude=-179.97, radius=200)
RULES = Rules(zones=(HOME, INNER, WORK))
SETTLED = 1_000.0  # seconds after which nothing is pending any more
METRES_PER_DEGREE = 111_195.0

moments = st.integers(0, 900).map(float)
lists = st.none() | st.lists(st.sampled_from(["Home", "desk", "Work", "Elsewhere"]), max_size=2).map(tuple)
metres = st.sampled_from([0, 30, 60, 90, 110, 150, 190, 230, 400, 1_500, 6_000, 9_990, 10_100])
accuracies = st.sampled_from([None, 5, 15, 40, 65, 120, 200, 201, 2_000])


@st.composite
def evidences(draw: st.DrawFn, sources: Sequence[str] = ("phone",)) -> Evidence:
    at, source = draw(moments), draw(st.sampled_from(sources))
    common: dict[str, Any] = {"id": f"{draw(st.integers(0, 10**9))}", "source": source, "at": T + at,
                              "received_at": T + at + draw(st.sampled_from([-100, 0, 5]))}  # fmt: skip
    kind = draw(st.sampled_from(["position"] * 5 + ["crossing", "told", "near"]))
    if kind in {"told", "near"}:
        zone = draw(st.sampled_from(["home", "work"]))
        return Hint(**common, zone=zone, present=draw(st.booleans()), kind=kind)  # type: ignore[arg-type]
    place: dict[str, Any] = {
        "latitude": draw(metres) / METRES_PER_DEGREE,
        "longitude": 180 - draw(st.sampled_from([0, 0, 0.001])),
        "accuracy": draw(accuracies),
    }
    if kind == "crossing":
        if draw(st.booleans()):
            place = {}
        region = draw(st.sampled_from(["HOME", "Work", "Elsewhere"]))
        return Crossing(**common, **place, entered=draw(st.booleans()), region=region)
    networks = draw(st.sampled_from([(), (), ("Nest",), ("Other",)]))
    return Position(**common, **place, regions=draw(lists), networks=networks)


def several(*sources: str, min_size: int = 1, max_size: int = 14, **more: Any) -> st.SearchStrategy[list[Evidence]]:
    return st.lists(
        evidences(sources or ("phone",)), min_size=min_size, max_size=max_size, unique_by=lambda one: one.id, **more
    )


def play(
    arrivals: Sequence[tuple[float, Evidence]], rules: Rules = RULES, state: State | None = None
) -> tuple[State, list[Decision], float | None]:
    """Return what evidence comes to that arrives at these times, with a look at the clock whenever it is due."""
    state, wake = state or begin("jane"), None
    decisions: list[Decision] = []
    for at, evidence in arrivals:
        while wake is not None and wake < at:
            state, made, wake = advance(state, wake, rules)
            decisions += made
        state, made, wake = observe(state, evidence, at, rules)
        decisions += made
    return state, decisions, wake


def settle(state: State, rules: Rules = RULES, after: float = SETTLED) -> State:
    """Return the state when all that is under way is over."""
    return advance(state, T + 6_000 + after, rules).state


@settings(max_examples=300)
@given(several("phone", "tablet"), st.data())
def test_the_order_of_arrival_does_not_matter(found: list[Evidence], data: st.DataObject) -> None:
    """The same evidence, each piece delayed by chance, comes to the same state to the last bit."""
    delays = st.lists(st.floats(0, 2_000), min_size=len(found), max_size=len(found))
    ends = []
    for _ in range(2):
        arrivals = sorted(
            ((one.at + delay, one) for one, delay in zip(found, data.draw(delays), strict=True)),
            key=lambda arrival: arrival[0],
        )
        ends.append(settle(play(arrivals)[0]))
    assert ends[0] == ends[1]


@given(several("phone", "tablet"), st.randoms(use_true_random=False))
def test_all_at_once_in_any_order(found: list[Evidence], chance: Random) -> None:
    """A flushed queue comes to the same forwards, backwards and shuffled, also in what it says at once."""
    now = T + 2_000
    shuffled = list(found)
    chance.shuffle(shuffled)
    ends = [play([(now, one) for one in order])[0] for order in (found, found[::-1], shuffled)]
    ordered = [settle(end) for end in ends]
    assert ordered[0] == ordered[1] == ordered[2]


@given(several("phone", "tablet"), st.integers(0, 12))
def test_a_restart_changes_nothing(found: list[Evidence], after: int) -> None:
    """A state that is stored and restored anywhere goes on as the one that was not."""
    arrivals = [(one.at + 30, one) for one in sorted(found, key=lambda one: one.at)]
    state, before, _ = play(arrivals[:after])
    again = restore(dump(state), RULES)
    assert again == state
    one, two = play(arrivals[after:], state=state), play(arrivals[after:], state=again)
    assert one == two
    assert len(dump(state)) < 30_000
    assert all(decision.person == "jane" for decision in before)


@given(several(max_size=8), evidences(), st.floats(0, 2_000))
def test_late_evidence_undoes_nothing_newer(found: list[Evidence], late: Evidence, after: float) -> None:
    """While the newest evidence of all agrees with what was decided, and with itself, nothing older can change it."""
    now = T + 1_000 + after
    state = advance(play([(now, one) for one in found])[0], now, RULES).state
    track = state.tracks["phone"]
    ends = observe(state, late, now, RULES).state
    for zone in RULES.zones:
        stands = standing(track, zone.id, now)
        newest = track.window[-1]
        made = claim(newest, place(newest, RULES), zone, ())
        clear = made is not None and not made.contradicted and stands.agreed_id == newest.id
        if clear and late.moment < newest.moment:
            assert standing(ends.tracks["phone"], zone.id, now).inside is stands.inside


@given(several("phone", "tablet"), st.lists(evidences(("phone", "tablet")), max_size=4))
def test_inaccurate_positions_move_nobody(found: list[Evidence], more: list[Evidence]) -> None:
    """Positions of 201 m and more, anywhere and in between, change no state and no time, whatever regions they list."""
    useless = [
        replace(one, accuracy=2_000.0, networks=(), id=f"useless{index}")
        for index, one in enumerate(more)
        if isinstance(one, Position)
    ]
    now = T + 2_000
    without = settle(play([(now, one) for one in found])[0])
    with_them = settle(play([(now, one) for one in [*found, *useless]])[0])
    for zone in RULES.zones:
        assert believe(with_them.tracks, zone, 43_200, now) == believe(without.tracks, zone, 43_200, now)


@given(several("phone", "tablet"), st.floats(SETTLED, 10 * 86_400))
def test_silence_makes_nobody_away(found: list[Evidence], silence: float) -> None:
    """When nothing more comes, the only thing that is decided after a while is that nobody knows."""
    state = settle(play([(one.received_at, one) for one in sorted(found, key=lambda one: one.received_at)])[0])
    decisions = advance(state, T + 6_000 + silence, RULES).decisions
    assert {decision.state for decision in decisions} <= {"unknown"}
    gone = advance(state, T + 6_000 + 20 * 86_400, RULES).state
    assert all(believe(gone.tracks, zone, RULES.stale_after, gone.now).inside is None for zone in RULES.zones)


@given(several("phone", "tablet"), st.data())
def test_nothing_changes_before_it_is_due(found: list[Evidence], data: st.DataObject) -> None:
    """Between now and the time that the engine names, the clock decides nothing; looking often changes nothing."""
    arrivals = [(one.at, one) for one in sorted(found, key=lambda one: one.at)]
    state, _, wake = play(arrivals)
    for share in data.draw(st.lists(st.floats(0.01, 0.99), max_size=3)):
        until = min(wake or T + 9_000, state.now + 1_000)
        state, decisions, again = advance(state, state.now + share * (until - state.now), RULES)
        assert decisions == ()
        assert again == wake
    assert settle(state) == settle(play(arrivals)[0])


@given(several("phone", "tablet"))
def test_every_change_is_told(found: list[Evidence]) -> None:
    """What is believed changes only by a decision that says so, and no decision repeats what was said."""
    state, wake = begin("jane"), None
    for one in sorted(found, key=lambda one: one.at):
        moments_due = [one.at] if wake is None or wake >= one.at else [wake, one.at]
        for now in moments_due:
            before = state.told
            if now == one.at:
                state, decisions, wake = observe(state, one, now, RULES)
            else:
                state, decisions, wake = advance(state, now, RULES)
            for zone in RULES.zones:
                was = before[zone.id].inside if zone.id in before else None
                now_is = state.told[zone.id].inside
                said = [decision.state for decision in decisions if decision.zone == zone.id and not decision.late]
                assert was is now_is or {True: "in", False: "out", None: "unknown"}[now_is] in [
                    decision.state for decision in decisions if decision.zone == zone.id
                ]
                assert len(said) <= 1


@settings(max_examples=10)
@given(several("phone", min_size=5, max_size=5))
def test_memory_is_bounded(found: list[Evidence]) -> None:
    """However much comes, a window is kept, and what stands goes on to be right about the newest."""
    state = begin("jane")
    for number in range(60):
        for one in found:
            at = one.at + number * 1_000
            moved = replace(one, id=f"{number}-{one.id}", at=at, received_at=at)
            state = observe(state, moved, at, RULES).state
    assert len(state.tracks["phone"].window) == WINDOW
    assert len(dump(state)) < 30_000


degrees = st.floats(-90, 90)
longitudes = st.floats(-180, 180)


@given(degrees, longitudes, degrees, longitudes)
def test_distances_are_distances(latitude: float, longitude: float, other: float, far: float) -> None:
    """Never negative, never beyond half the earth, the same both ways, and the same once around."""
    metres = distance(latitude, longitude, other, far)
    assert 0 <= metres <= 3.1416 * EARTH_RADIUS
    assert abs(metres - distance(other, far, latitude, longitude)) < 1e-3
    assert abs(metres - distance(latitude, longitude + 360, other, far)) < 1e-2
    assert distance(latitude, longitude, latitude, longitude) == 0
