"""Which papers a query means, and why."""

from datetime import date
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subscriptions.query import And, Document, Hit, Label, Not, Or, Range, Term, matches, parse
from subscriptions.query.match import fields_of, holds
from subscriptions.query.tree import all_of, any_of, none_of
from subscriptions.query.words import stem, words
from tests.subscriptions import queries

PAPER = Document(
    identifier="2606.90001",
    title="Diffusion Models for Pre-Training: a State-of-the-Art Analysis",
    abstract="We trained C++ agents on GPUs.\nA world model’s biases; vision/language. The Poincaré ball.",
    authors=("Émilie du Châtelet", "Lucas Robles"),
    organizations=("Institut d'Optique",),
    keywords=("world models", "3D"),
    categories=("cs.CL", "math.AG"),
    sources=("arxiv", "My Blog"),
    properties=frozenset({"code"}),
    votes=20,
    stars=101,
    comments=0,
    day=date(2026, 6, 2),
)


@pytest.mark.parametrize(
    "query",
    [
        "diffusion",
        "DIFFUSION model",
        "pretraining",
        "pre-training",
        "Pre–Training",
        '"pre training"',
        "training",
        "analyses",
        "state-of-the-art",
        "stateoftheart",
        "theart",
        "gpu",
        "bias",
        "poincare",
        "Poincaré",
        "c++",
        '"world model"',
        '"model biases"',
        "world-models",
        "vision-language",
        "diff*",
        "pretrain*",
        "pre-train*",
        "state-of-th*",
        "title:analysis",
        "keyword:3d",
        "abstract:(ball OR bat)",
        "author:chatelet",
        'author:"emilie du chatelet"',
        "author:robl*",
        "org:optique",
        "cat:cs",
        "cat:cs.CL cat:math",
        "source:arxiv",
        'source:"my blog"',
        "has:code",
        "id:2606.90001v3",
        "votes:>=20 votes:<=20 votes:20",
        "stars:>100",
        "comments:<1",
        "year:2026 date:2026-06 date:>=2026-06-02 date:<2026-06-03",
        "-fusion",
        "NOT (fusion OR bat)",
        "bat OR (ball -bat)",
        "NOT NOT ball",
    ],
)
def test_a_query_means_the_paper(query):
    assert matches(parse(query), PAPER)


@pytest.mark.parametrize(
    "query",
    [
        "fusion",
        "train",
        '"gpu"',
        '"model bias"',
        '"pretraining"',
        "statetheart",
        "c",
        '"world agents"',
        "models-diffusion",
        "diff",
        "usion*",
        "model-ba*",
        "robles",
        "chatelet",
        "title:ball",
        "author:roble",
        "author:robleses",
        'author:"chatelet lucas"',
        'keyword:"models 3d"',
        "optique",
        "cat:math.A",
        "cat:cl",
        "source:my",
        "has:project",
        "id:2606.9000",
        "2606.90002",
        "votes:>20",
        "comments:>=1",
        "date:>2026-06-02",
        "year:2025",
        "diffusion -models",
        "ball bat",
    ],
)
def test_a_query_does_not_mean_the_paper(query):
    assert matches(parse(query), PAPER) is None


@pytest.mark.parametrize("query", ["date:<=2026-06-02", "date:>=0001-01-01", "year:>=0", "year:2026"])
def test_a_paper_without_a_day_is_in_no_range_of_days(query):
    assert not matches(parse(query), Document("2606.90002"))
    assert matches(none_of(parse(query)), Document("2606.90002"))


def shown(query):
    """What the hits of a query say, as (field, text of the hit)."""
    match = matches(parse(query), PAPER)
    return [(hit.field, PAPER.texts(hit.field)[hit.part][hit.start : hit.end]) for hit in match.hits]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("model", [("title", "Models"), ("keyword", "models"), ("abstract", "model")]),
        ('"world model"', [("abstract", "world model")]),
        ("world-model", [("keyword", "world models"), ("abstract", "world model")]),
        ("pretraining", [("title", "Pre-Training")]),
        ("pre-train*", [("title", "Pre-Training")]),
        ("model-biases", [("abstract", "model’s biases")]),
        ("author:lucas", [("author", "Lucas")]),
        ("bat OR ball OR agents", [("abstract", "ball"), ("abstract", "agents")]),
        ("ball -bat", [("abstract", "ball")]),
        ("NOT (bat -ball)", [("abstract", "ball")]),
        ("NOT (bat ball)", []),
        ("NOT (-ball OR bat)", [("abstract", "ball")]),
        ("(bat ball) OR agents", [("abstract", "agents")]),
        ("ball ball", [("abstract", "ball")]),
    ],
)
def test_a_match_says_which_words_stand_where(query, expected):
    assert shown(query) == expected


def test_a_match_names_the_labels_and_ranges_that_hold():
    match = matches(parse("cat:cs -cat:econ votes:>=20"), PAPER)

    assert match.hits == (Hit(Label("cat", "cs"), "cat"), Hit(Range("votes", 20, None), "votes"))


@pytest.mark.parametrize("query", ["-fusion", "-cat:econ", "NOT (-cat:econ fusion)", "NOT (fusion OR votes:0)"])
def test_a_match_for_what_a_paper_is_not_has_no_hits(query):
    assert matches(parse(query), PAPER).hits == ()


def test_hits_of_one_author_say_which():
    (hit,) = matches(parse("author:lucas"), PAPER).hits

    assert (hit.part, hit.start, hit.end) == (1, 0, 5)


def test_both_spellings_of_a_compound_are_found_in_the_order_of_the_text():
    paper = Document("2606.90003", title="pre training, pretraining, pre-training")

    match = matches(parse("pre-training"), paper)

    assert [(hit.start, hit.end) for hit in match.hits] == [(0, 12), (14, 25), (27, 39)]


# Everything above, looked for in an obvious and slow way -----------------------------------------------------------


def spells(term, run, form):
    """Whether a run of words, as they stand side by side in a text, is what a term looks for."""
    exact = [word.exact for word in run]
    same = len(run) == len(term.words)
    if term.quoted:
        return exact == list(term.words)
    before, last = list(term.words[:-1]), term.words[-1]
    joined = len(run) <= 4 and all(word.hyphen for word in run[1:])
    if term.prefix:
        if same and [*map(form, exact[:-1])] == [*map(form, before)] and exact[-1].startswith(last):
            return True
        opening = "".join(term.words)
        spelled = {"".join([*exact[:-1], form(exact[-1])]), *(exact if len(exact) == 1 else ())}
        return joined and any(text.startswith(opening) for text in spelled)
    if same and [*map(form, exact)] == [*map(form, term.words)]:
        return True
    return joined and "".join([*exact[:-1], form(exact[-1])]) == "".join([*before, form(last)])


def places(term, paper):
    """(field, number of the text, start, end) of all runs that spell a term."""
    for field in fields_of(term):
        form = str if field in ("author", "org") else stem
        for part, text in enumerate(paper.texts(field)):
            found = list(words(text))
            for first in range(len(found)):
                for end in range(first + 1, min(len(found), first + max(4, len(term.words))) + 1):
                    if spells(term, found[first:end], form):
                        yield field, part, found[first].start, found[end - 1].end


def check_places(term, paper):
    match = matches(term, paper)

    expected = list(places(term, paper))
    assert [(hit.field, hit.part, hit.start, hit.end) for hit in (match.hits if match else ())] == expected


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False).map(queries.term), queries.documents)
def test_a_term_is_found_where_it_is_spelled_and_nowhere_else(term, paper):
    check_places(term, paper)


def test_thousands_of_terms_are_found_where_they_are_spelled_and_nowhere_else():
    random = Random(2606)
    papers = [queries.document(random) for _ in range(60)]
    for number in range(5_000):
        check_places(queries.term(random), papers[number % 60])


def pairs(count=2_000):
    """Two queries and a paper, again and again."""
    random = Random(90001)
    papers = [queries.document(random) for _ in range(50)]
    for number in range(count):
        yield queries.tree(random, 2), queries.tree(random, 2), papers[number % 50]


def test_the_laws_of_de_morgan_hold():
    for a, b, paper in pairs():
        assert holds(Not(And((a, b))), paper) == holds(Or((Not(a), Not(b))), paper)
        assert holds(Not(Or((a, b))), paper) == holds(And((Not(a), Not(b))), paper)
        assert holds(none_of(all_of([a, b])), paper) == holds(any_of([none_of(a), none_of(b)]), paper)
        assert holds(none_of(any_of([a, b])), paper) == holds(all_of([none_of(a), none_of(b)]), paper)


def test_two_negations_cancel_out_in_the_answer_and_in_its_reasons():
    for query, _, paper in pairs():
        assert matches(Not(Not(query)), paper) == matches(query, paper)
        assert holds(Not(query), paper) != holds(query, paper)


def test_and_and_or_commute():
    for a, b, paper in pairs():
        assert holds(And((a, b)), paper) == holds(And((b, a)), paper) == (holds(a, paper) and holds(b, paper))
        assert holds(Or((a, b)), paper) == holds(Or((b, a)), paper) == (holds(a, paper) or holds(b, paper))


def test_the_normal_form_and_its_print_mean_what_was_written():
    for a, b, paper in pairs(1_000):
        for query in (And((a, Or((b, Not(a))))), Or((Or((a, b)), Not(And((b, a)))))):
            assert holds(queries.read(str(query)), paper) == holds(query, paper)


def leaves_wanted(query, *, wanted=True):
    match query:
        case And(parts) | Or(parts):
            return {leaf for part in parts for leaf in leaves_wanted(part, wanted=wanted)}
        case Not(part):
            return leaves_wanted(part, wanted=not wanted)
        case _:
            return {query} if wanted else set()


def test_the_reasons_of_a_match_are_wanted_leaves_that_hold_in_the_order_of_the_text():
    for a, b, paper in pairs():
        query = all_of([a, b])
        match = matches(query, paper)
        assert (match is not None) == holds(query, paper)
        for hit in match.hits if match else ():
            assert hit.leaf in leaves_wanted(query)
            assert holds(hit.leaf, paper)
        hits = match.hits if match else ()
        for before, after in pairwise(hits):
            if isinstance(before.leaf, Term) and (before.leaf, before.field) == (after.leaf, after.field):
                assert (before.part, before.start, before.end) < (after.part, after.start, after.end)
