"""Words that were asked for, marked where they stand."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest import marks
from subscriptions.query import Document, parse

PAPER = Document("2606.90001", title="Robots & World Models", abstract="A robot has a world model. Models of worlds.")


@pytest.mark.parametrize(
    ("query", "title", "abstract"),
    [
        ("robot", ["Robots"], ["robot"]),
        ('"world models"', ["World Models"], []),
        ("world-model", ["World Models"], ["world model"]),
        ("title:robot", ["Robots"], []),
        ("mod*", ["Models"], ["model", "Models"]),
        ("robot -cat", ["Robots"], ["robot"]),
        ("robot cat", ["Robots"], ["robot"]),
        ("cat OR robot", ["Robots"], ["robot"]),
        ("-robot", [], []),
        ("votes:<5", [], []),
    ],
)
def test_the_words_of_a_query_are_found_where_they_stand_and_excluded_ones_nowhere(query, title, abstract):
    spans = marks.spans(parse(query), PAPER)

    assert [PAPER.title[start:end] for start, end in spans["title"]] == title
    assert [PAPER.abstract[start:end] for start, end in spans["abstract"]] == abstract


@given(st.lists(st.sampled_from(["robot", "paper", "of", "x" * 50]), max_size=60).map(" ".join), st.data())
def test_an_excerpt_holds_the_first_marked_word_and_is_cut_between_words(text, data):
    words = [match.span() for match in re.finditer("robot", text)]

    part, spans = marks.excerpt(text, words, before=20, size=80)

    assert len(part) <= 84 or part == text
    assert all(part[start:end] == "robot" for start, end in spans)
    assert bool(spans) == bool(words)
    assert part.removeprefix("… ").removesuffix(" …") in text
