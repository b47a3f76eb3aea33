from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest import plots

START = datetime(2026, 6, 2)


def test_bars_stand_side_by_side_as_high_as_they_count():
    plot = plots.bars([("Mon", 4), ("Tue", 0), ("Wed", 2)])

    assert [(bar.x, bar.y, bar.width, bar.height) for bar in plot.bars] == [
        (20, 0, 160, 120), (220, 120, 160, 0), (420, 60, 160, 60)]  # fmt: skip
    assert plot.most == 4


def test_one_among_many_is_still_seen():
    assert plots.bars([("Mon", 10_000), ("Tue", 1)]).bars[1].height == 2


def test_no_bars_are_a_plot_too():
    assert plots.bars([]).bars == ()


def test_votes_climb_in_steps_from_the_first_reading_to_the_last():
    plot = plots.votes([(START + timedelta(hours=6), 10), (START, 2), (START + timedelta(hours=12), 10)])

    assert plot.points == "0,96 300,96 300,0 600,0"
    assert (plot.first, plot.last, plot.most) == ((START, 2), (START + timedelta(hours=12), 10), 10)


@pytest.mark.parametrize("observed", [[], [(START, 3)], [(START, 3), (START, 4)]])
def test_one_moment_makes_no_line(observed):
    assert plots.votes(observed) is None


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=300))
def test_a_line_stays_in_its_box_and_has_few_points(observed):
    plot = plots.votes([(START + timedelta(seconds=at), votes) for at, votes in observed])

    if plot:
        points = [tuple(map(float, point.split(","))) for point in plot.points.split()]
        assert len(points) <= 2 * plots.MOST_POINTS
        assert all(0 <= x <= plot.width and 0 <= y <= plot.height for x, y in points)
        assert points[0][0] == 0
        assert points[-1][0] == plot.width
