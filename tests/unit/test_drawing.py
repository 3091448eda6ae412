"""What pages draw: steps of a history, and a map, whatever the numbers are."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gladys_companion.pages.drawing import HEIGHT, WIDTH, Zone, draw_map, draw_plot

NUMBERS = st.floats(min_value=-1e12, max_value=1e12)


def test_a_plot_has_steps() -> None:
    """Each value lasts until the next, and the last one until now."""
    plot = draw_plot([(0.0, 0.0), (50.0, 10.0)], 0.0, 100.0)
    assert plot is not None
    assert (plot.low, plot.high) == (0.0, 10.0)
    assert plot.path.startswith("M0.0 212.0H320.0V8.0")
    assert plot.path.endswith("H640.0")
    assert draw_plot([], 0.0, 1.0) is None


@given(st.lists(st.tuples(st.floats(min_value=0, max_value=100), NUMBERS), min_size=1, max_size=2_000))
def test_a_plot_stays_in_its_box(points: list[tuple[float, float]]) -> None:
    """Whatever was measured, the line is inside, and not longer than a screen can show."""
    plot = draw_plot(sorted(points), 0.0, 100.0)
    assert plot is not None
    numbers = [float(one) for one in re.findall(r"-?\d+\.?\d*(?:e[+-]\d+)?", plot.path)]
    assert all(-0.1 <= one <= max(WIDTH, HEIGHT) + 0.1 for one in numbers)
    assert plot.path.count("V") <= 802


def test_a_map_shows_the_way_and_the_zones_near_it() -> None:
    """A kilometre north is up; a zone on the other side of the earth is not drawn."""
    home, far = Zone("Home", 48.0, 2.0, 100.0), Zone("Far", -48.0, -178.0, 100.0)
    drawn = draw_map([(48.0, 2.0, 10.0), (48.009, 2.0, None)], [home, far])
    assert drawn is not None
    assert [zone.name for zone in drawn.zones] == ["Home"]
    assert drawn.last is not None
    assert drawn.last.y < drawn.zones[0].y
    assert drawn.metres == pytest.approx(1_400, rel=0.01)
    assert len(drawn.sure) == 1
    assert draw_map([], [home]) is None


@given(
    st.lists(
        st.tuples(
            st.floats(min_value=-90, max_value=90),
            st.floats(min_value=-180, max_value=180),
            st.none() | st.floats(min_value=0, max_value=1e6),
        ),
        min_size=1,
        max_size=50,
    )
)
def test_a_map_can_be_drawn_of_anywhere(positions: list[tuple[float, float, float | None]]) -> None:
    """At the poles and over the date line as well, with numbers that a browser can draw."""
    drawn = draw_map(positions, [Zone("Home", 0.0, 0.0, 100.0)])
    assert drawn is not None
    assert math.isfinite(drawn.metres)
    assert "nan" not in drawn.path
    assert "inf" not in drawn.path
