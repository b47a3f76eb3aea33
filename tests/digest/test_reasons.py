from dataclasses import replace
from datetime import date

import pytest

from digest.reasons import MOST, Reason, reasons
from subscriptions.query import Document, matches, parse
from subscriptions.query.meaning import Point, resolve

PAPER = Document(
    identifier="2606.90001",
    title="World  Models\nfor Walking Robots",
    abstract="A world model and a robot that walks. Poincaré would agree.",
    authors=("Ada Lovelace", "Émilie du Châtelet"),
    organizations=("Institut d'Optique",),
    keywords=("world models", "robot"),
    categories=("cs.RO", "math.AG"),
    sources=("arxiv", "My Blog"),
    properties=frozenset({"code"}),
    votes=1,
    stars=1_234,
    comments=0,
    day=date(2026, 6, 2),
)


def lines(query, paper=PAPER):
    return [str(reason) for reason in reasons(matches(parse(query), paper), paper)]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("walking", ["Walking in the title"]),
        ("robot", ["Robots in the title, keywords and abstract"]),
        ("world-model", ["World Models in the title, keywords and abstract"]),
        ('"world model"', ["world model in the abstract"]),
        ("poincare", ["Poincaré in the abstract"]),
        ("keyword:robot", ["robot in the keywords"]),
        ("walk*", ["Walking in the title and abstract"]),
        ("author:lovelace", ["Lovelace among the authors"]),
        ("org:optique", ["Optique in the organization"]),
        ("cat:cs", ["category cs.RO"]),
        ("cat:math.ag", ["category math.AG"]),
        ('source:"my blog"', ["listed by My Blog"]),
        ("id:2606.90001", ["id 2606.90001"]),
        ("has:code", ["with code"]),
        ("votes:>=1", ["1 vote"]),
        ("stars:>100", ["1,234 stars"]),
        ("comments:<5", ["0 comments"]),
        ("year:2026", ["of 2026-06-02"]),
        ("year:2026 date:>2026-01", ["of 2026-06-02"]),
        ("poincare votes:>0", ["Poincaré in the abstract", "1 vote"]),
        ("cats OR walking", ["Walking in the title"]),
        ("walking -cats", ["Walking in the title"]),
        ("-cats", ["nothing you left out"]),
        ("walking walking", ["Walking in the title"]),
        ("title:robot robots", ["Robots in the title", "Robots in the title, keywords and abstract"]),
    ],
)
def test_a_match_is_told_in_words_with_the_papers_own_spelling(query, said):
    assert lines(query) == said


def test_a_line_has_a_few_reasons_at_most():
    assert len(lines("walking robot world poincare cat:cs has:code votes:>0")) == MOST


def test_a_reason_has_a_part_that_stands_out():
    (reason,) = reasons(matches(parse("walking"), PAPER), PAPER)

    assert reason == Reason("Walking", "in the title")


def test_a_category_of_its_own_name_is_told_before_one_inside_it():
    paper = Document("2606.90002", categories=("math.AG", "math"))

    assert lines("cat:math", paper) == ["category math"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("like:2606.90002", "close in meaning to 2606.90002"),
        ('about:"robots that walk"', "close in meaning to “robots that walk”"),
        ("about:" + "x" * 70, "close in meaning to “…”"),
        (f'about:"{"walking " * 20}"', f"close in meaning to “{'walking ' * 7}…”".replace(" …", "…")),
    ],
)
def test_closeness_in_meaning_is_told_with_what_was_asked_for(query, said):
    paper = replace(PAPER, vector=bytes([100, 0]))
    asked = resolve(parse(query), lambda leaf: Point(bytes([127, 0]), 0.1))

    assert [str(reason) for reason in reasons(matches(asked, paper), paper)] == [said]
