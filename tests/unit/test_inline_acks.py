"""Answers find who asked, across two connections that count for themselves."""

from hypothesis import given
from hypothesis import strategies as st

from gladys_companion.inline.acks import Acks


def test_an_answer_counts_once() -> None:
    """An answer goes to who asked; the same again, or one to nothing, to nobody."""
    acks: Acks[str] = Acks(2, 10)
    number = acks.ask("a", 0)
    assert acks.answered(number) == "a"
    assert acks.answered(number) is None
    assert acks.answered(None) is None
    assert acks.answered(99) is None


def test_not_more_than_the_most() -> None:
    """Beyond the most nothing is taken, until one of them is answered."""
    acks: Acks[str] = Acks(1, 10)
    number = acks.ask("a", 0)
    assert acks.ask("b", 0) is None
    acks.answered(number)
    assert acks.ask("b", 0) not in {None, number}


def test_late_and_lost() -> None:
    """What took too long, or whose connection ended, is told once, the oldest first."""
    acks: Acks[str] = Acks(9, 10)
    numbers = [acks.ask(one, at) for at, one in enumerate("abcd")]
    assert acks.next_late() == 10
    assert acks.late(9) == []
    assert acks.late(11) == ["a", "b"]
    assert acks.answered(numbers[0]) is None
    assert acks.lost() == ["c", "d"]
    assert (acks.lost(), acks.next_late(), len(acks)) == ([], None, 0)


@given(st.lists(st.one_of(st.just("ask"), st.just("late"), st.just("lost"), st.integers(0, 30))))
def test_everybody_is_told_once(steps: list[str | int]) -> None:
    """Whatever happens in whatever order: who was taken hears exactly once what became of it."""
    acks: Acks[int] = Acks(5, 3)
    taken: list[int] = []
    told: list[int] = []
    for now, step in enumerate(steps):
        if step == "ask":
            if acks.ask(now, now) is not None:
                taken.append(now)
        elif step == "late":
            told += acks.late(now)
        elif step == "lost":
            told += acks.lost()
        else:
            answered = acks.answered(int(step))
            told += [] if answered is None else [answered]
        assert len(acks) <= 5
    told += acks.lost()
    assert sorted(told) == taken
