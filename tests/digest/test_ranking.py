from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.ranking import Candidate, rank, score


def identifiers(candidates):
    return [row.identifier for row in rank(candidates)]


@pytest.mark.parametrize(
    ("known", "points"),
    [
        ({}, 1.0),
        ({"announce": "cross"}, 0.5),
        ({"announce": "replace"}, 0.25),
        ({"votes": 1}, 1.693147),  # 1 + ln 2
        ({"rise": 1}, 1.693147),
        ({"comments": 3}, 1.693147),  # 1 + ½ ln 4
        ({"stars": 15}, 1.693147),  # 1 + ¼ ln 16
        ({"votes": 20, "rise": 4, "comments": 8, "stars": 100}, 7.906353),  # 1 + ln 21 + ln 5 + ½ ln 9 + ¼ ln 101
        ({"announce": "cross", "votes": 3}, 1.886294),
        ({"age": 2}, 0.5),
        ({"votes": 1, "age": 1}, 1.197236),  # 1.693147 / √2
        ({"announce": "replace", "age": 4}, 0.0625),
        ({"rise": -9}, 1.0),
        ({"age": -3}, 1.0),
        ({"age": 100_000}, 0.0),
    ],
)
def test_the_score_is_what_the_formula_says(known, points):
    assert score(Candidate(identifier="2606.90001", **known)) == points


@pytest.mark.parametrize("name", ["votes", "rise", "comments", "stars"])
def test_more_is_better_and_older_is_worse(name):
    less, more = (score(Candidate(identifier="2606.90001", **{name: count})) for count in (9, 10))
    older = score(Candidate(identifier="2606.90001", age=1, **{name: 10}))

    assert older < less < more


def test_the_best_come_first_and_ranks_count_from_one():
    found = rank([Candidate(identifier="2606.90001"), Candidate(identifier="2606.90002", votes=3)])

    assert [(row.identifier, row.rank) for row in found] == [("2606.90002", 1), ("2606.90001", 2)]
    assert found[1].score == 1.0


def test_nothing_is_ranked_as_nothing():
    assert rank([]) == []


def test_of_equal_scores_the_one_with_more_votes_comes_first_then_the_newest():
    one_vote = Candidate(identifier="2606.90001", votes=1)
    one_rise = Candidate(identifier="2606.90009", rise=1)
    newest = Candidate(identifier="2606.90003", votes=1)

    assert identifiers([one_rise, one_vote, newest]) == ["2606.90003", "2606.90001", "2606.90009"]


@pytest.mark.parametrize(
    ("places", "order"),
    [
        ({}, "abcdef"),
        ({"f": 1}, "fabcde"),
        ({"a": 6}, "bcdefa"),
        ({"a": 3}, "bcadef"),
        ({"e": 1, "f": 2}, "efabcd"),
        ({"f": 1, "e": 2}, "feabcd"),
        ({"a": 5, "b": 6}, "cdefab"),
        ({"a": 99}, "bcdefa"),
        ({"a": 99, "b": 98}, "cdefba"),
        ({"e": 2, "f": 2}, "aefbcd"),
        ({"f": 1, "e": 1, "d": 2}, "edfabc"),
    ],
)
def test_the_editors_hand_comes_last(places, order):
    candidates = [
        Candidate(identifier=name, votes=100 - at, place=places.get(name)) for at, name in enumerate("abcdef")
    ]

    assert "".join(identifiers(candidates)) == order


@st.composite
def candidates(draw):
    count = draw(st.integers(1, 12))
    places = draw(st.permutations(range(1, count + 1)))
    placed = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    few = st.integers(0, 2)
    return [
        Candidate(
            identifier=f"2606.900{at:02}",
            announce=draw(st.sampled_from(("new", "cross", "replace"))),
            votes=draw(few),
            rise=draw(few),
            comments=draw(few),
            stars=draw(few),
            age=draw(few),
            place=places[at] if placed[at] else None,
        )
        for at in range(count)
    ]


@settings(max_examples=150, deadline=None)
@given(candidates(), st.integers(0, 99))
def test_the_order_is_the_same_however_the_candidates_come(given_ones, seed):
    mixed = Random(seed).sample(given_ones, len(given_ones))

    assert rank(mixed) == rank(given_ones)


@settings(max_examples=150, deadline=None)
@given(candidates())
def test_who_was_given_a_place_stands_there_and_the_others_stand_by_score(given_ones):
    found = rank(given_ones)
    place = {candidate.identifier: candidate.place for candidate in given_ones}

    assert [row.rank for row in found] == list(range(1, len(given_ones) + 1))
    assert all(row.rank == place[row.identifier] for row in found if place[row.identifier])
    free = [row.score for row in found if not place[row.identifier]]
    assert free == sorted(free, reverse=True)


def test_two_with_one_place_are_ordered_the_same_however_they_come():
    pair = [Candidate(identifier=name, place=2) for name in ("2606.90001", "2606.90002")]
    free = [Candidate(identifier="2606.90003", votes=5), Candidate(identifier="2606.90004")]

    assert identifiers([*pair, *free]) == identifiers([*free, *pair[::-1]])
