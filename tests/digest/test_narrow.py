"""Choices beside the search box, written in the topic language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.narrow import narrowed
from subscriptions.query import parse


@pytest.mark.parametrize(
    ("text", "chosen", "query"),
    [
        ("robot", {}, "robot"),
        ("", {"code": "yes"}, "has:code"),
        ("robot", {"since": "2026-06-01"}, "robot date:>=2026-06-01"),
        ("robot", {"until": "2026-06-02"}, "robot date:<=2026-06-02"),
        ("robot", {"since": "2026-06-01", "until": "2026-06-02"}, "robot date:2026-06-01..2026-06-02"),
        ("cat OR dog", {"category": " cs.CL "}, "(cat OR dog) cat:cs.CL"),
        ("robot", {"source": "arxiv.cs.CL", "votes": "20"}, "robot source:arxiv.cs.CL votes:>=20"),
        ("robot", {"votes": "0"}, "robot"),
        ("robot has:code", {"code": "yes"}, "robot has:code"),
        ('"never closed', {"code": "yes"}, '"never closed has:code'),
    ],
)
def test_what_is_chosen_is_added_to_the_query(text, chosen, query):
    assert narrowed(text, chosen) == query


@pytest.mark.parametrize(
    "chosen",
    [
        {"since": "yesterday"}, {"since": "2026-06-02", "until": "2026-06-01"}, {"category": "cs.CL)"},
        {"category": "a b"}, {"source": "x" * 100}, {"votes": "many"}, {"votes": "-1"}, {"votes": "1" * 30},
    ],
)  # fmt: skip
def test_what_is_no_choice_is_refused_with_a_sentence(chosen):
    with pytest.raises(ValueError, match=r"\.$"):
        narrowed("robot", chosen)


@given(st.sampled_from(["robot", "cat OR dog", "-x", "(a b) OR c", '"a b"']), st.dates(), st.integers(0, 10**9 - 1))
def test_what_comes_of_a_query_can_be_read(text, day, votes):
    made = narrowed(text, {"since": day.isoformat(), "votes": str(votes), "category": "cs.CL", "code": "yes"})

    assert "has:code" in str(parse(made))
    assert narrowed(made, {}) == made
