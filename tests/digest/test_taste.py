"""What readers said of papers, and how papers move for them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.taste import REACH, Opinions, shifts
from tests import recorded
from tests.benchmarks import tastes


@pytest.fixture(scope="module")
def recorded_days():
    recorded.need("papers.jsonl.gz")
    return tastes.days()


#: Two themes and something of neither.
ROBOT, SOUP, OTHER = [100, 0, 0, 5], [0, 100, 0, 5], [0, 0, 100, 5]
PAPERS = np.array([ROBOT, SOUP, OTHER, OTHER] * 25, np.int8)
MIDDLE = int(REACH * len(PAPERS))


def opinions(*said, count=1):
    """`said` are (reader, vector, more) in the order of readers."""
    return Opinions(
        count,
        np.array([reader for reader, _, _ in said], np.int32),
        np.array([vector for _, vector, _ in said], np.int8).reshape(len(said), 4),
        np.array([more for _, _, more in said], np.bool_),
    )


def order(*said):
    """The first four papers, what is most to the reader's taste first."""
    return np.argsort(shifts(opinions(*said), PAPERS)[0, :4], kind="stable").tolist()


def test_papers_like_those_wanted_come_first_and_like_those_unwanted_last():
    assert order((0, SOUP, True))[0] == 1
    assert order((0, ROBOT, False))[-1] == 0
    assert order((0, SOUP, True), (0, ROBOT, False)) == [1, 2, 3, 0]


def test_who_said_nothing_has_every_paper_in_its_place():
    assert set(shifts(opinions(), PAPERS)[0].tolist()) == {MIDDLE}
    assert set(shifts(opinions((1, SOUP, True), count=3), PAPERS)[[0, 2]].flat) == {MIDDLE}


def test_a_taste_reaches_farther_the_more_was_said():
    def farthest(times):
        return int(abs(shifts(opinions(*[(0, SOUP, True)] * times), PAPERS) - MIDDLE).max())

    assert 0 < farthest(1) < farthest(3) < farthest(30) <= MIDDLE


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([ROBOT, SOUP, OTHER]), st.booleans()), max_size=30))
def test_all_readers_at_once_get_what_each_would_get_alone(said):
    said.sort(key=lambda one: one[0])
    together = shifts(opinions(*said, count=5), PAPERS)

    for reader in range(5):
        alone = shifts(opinions(*((0, vector, more) for who, vector, more in said if who == reader)), PAPERS)
        assert together[reader].tolist() == alone[0].tolist()
    assert together.min() >= 0 and together.max() <= 2 * MIDDLE


def test_a_day_without_papers_or_with_equal_ones_moves_nothing():
    assert shifts(opinions((0, SOUP, True)), PAPERS[:0]).shape == (1, 0)
    assert set(shifts(opinions((0, SOUP, True)), PAPERS[[2, 2, 2]])[0].tolist()) == {3}


@pytest.mark.parametrize("theme", tastes.THEMES)
def test_a_reader_of_one_theme_finds_it_higher_after_five_letters(theme, recorded_days):
    """Measured where the theme's papers stand on ten recorded days after: 0 is the first place, 1 the last."""
    before, after = np.mean([tastes.simulated(theme, seed, recorded_days) for seed in range(5)], axis=0)

    assert after < before - 0.1
