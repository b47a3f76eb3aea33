"""The compiled matcher gives the answers of the plain one."""

import itertools
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subscriptions import matching
from subscriptions.matching import ABSTRACT, KEYWORD, TITLE, Matcher, Matches
from subscriptions.query import Document, Term, matches, parse
from subscriptions.query.match import holds
from tests import recorded
from tests.subscriptions import queries


def rows(found):
    """Compressed rows as a list of {paper: tier}, one for each query."""
    assert len(found.papers) == len(found.tier) == found.starts[-1]
    answer = []
    for start, end in zip(found.starts[:-1], found.starts[1:], strict=True):
        papers = found.papers[start:end].tolist()
        assert papers == sorted(set(papers))
        answer.append(dict(zip(papers, found.tier[start:end].tolist(), strict=True)))
    return answer


def plain(asked, papers):
    """Which papers each query means, asked one by one."""
    return [{at for at, paper in enumerate(papers) if holds(query, paper)} for query in asked]


@settings(max_examples=60, deadline=None)
@given(st.lists(queries.trees, max_size=3), st.lists(queries.documents, max_size=4))
def test_the_compiled_matcher_agrees_with_the_plain_one(asked, papers):
    assert [set(row) for row in rows(Matcher(papers).match(asked))] == plain(asked, papers)


@pytest.mark.parametrize("seed", range(3))
def test_the_matchers_agree_on_thousands_of_queries(seed):
    random = Random(seed)
    papers = [queries.document(random) for _ in range(30 + seed)]
    asked = [queries.tree(random) for _ in range(1_000)]

    assert [set(row) for row in rows(Matcher(papers).match(asked))] == plain(asked, papers)


def test_queries_asked_later_are_added_as_further_rows():
    random = Random(2606)
    papers = [queries.document(random) for _ in range(33)]
    asked = [queries.tree(random) for _ in range(500)]
    whole = rows(Matcher(papers).match(asked))
    matcher, found = Matcher(papers), Matches.none()

    for start, end in itertools.pairwise((0, 0, 1, 1, 7, 250, 499, 500)):
        found += matcher.match(asked[start:end])
        assert rows(found) == whole[:end]


def test_queries_are_unpacked_in_blocks_of_any_size(monkeypatch):
    random = Random(2606)
    papers = [queries.document(random) for _ in range(17)]
    asked = [queries.tree(random) for _ in range(50)]
    whole = rows(Matcher(papers).match(asked))

    for cells in (1, 17, 40, 17 * 50):
        monkeypatch.setattr(matching, "CELLS", cells)
        assert rows(Matcher(papers).match(asked)) == whole


@pytest.mark.parametrize("query", ["pre-train*", "pretrain*", "pre-training", "pretraining", "PRE–TRAININGS"])
def test_a_compound_is_found_in_papers_that_know_only_its_other_spelling(query):
    papers = [Document("2606.90001", title="On pretraining"), Document("2606.90002", title="On pre-training")]

    assert rows(Matcher(papers).match([parse(query)])) == [{0: TITLE, 1: TITLE}]


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 64, 65])
def test_any_number_of_papers_can_be_asked(count):
    papers = [Document(f"2606.{90000 + at}", title="robots" if at % 2 else "cats") for at in range(count)]

    robots, cats, neither = rows(Matcher(papers).match([parse("robot"), parse("cat"), parse("-robot -cat")]))

    assert list(robots) == list(range(1, count, 2))
    assert list(cats) == list(range(0, count, 2))
    assert neither == {}


def test_no_papers_and_no_queries_match_nothing():
    assert rows(Matcher([]).match([parse("-a"), parse("ab*")])) == [{}, {}]
    assert rows(Matcher([Document("2606.90001")]).match([])) == []


@pytest.mark.parametrize(
    ("query", "tier"),
    [
        ("robot", TITLE),
        ("rob*", TITLE),
        ('"robots that walk"', TITLE),
        ("title:robot", TITLE),
        ("gait", KEYWORD),
        ("keyword:gait", KEYWORD),
        ("author:ada", KEYWORD),
        ("org:institute", KEYWORD),
        ("cat:cs", KEYWORD),
        ("source:arxiv", KEYWORD),
        ("has:code", KEYWORD),
        ("terrain", ABSTRACT),
        ("abstract:robot", ABSTRACT),
        ("votes:>=0", ABSTRACT),
        ("-cats", ABSTRACT),
        ("NOT (cats OR dogs)", ABSTRACT),
        ("terrain robot", TITLE),
        ("terrain gait", KEYWORD),
        ("terrain OR robot", TITLE),
        ("terrain -cats", ABSTRACT),
        ("robot OR cats", TITLE),
        ("terrain OR (robot cats)", ABSTRACT),
    ],
)
def test_the_tier_says_how_telling_a_place_a_wanted_word_stands_in(query, tier):
    paper = Document(
        "2606.90001",
        title="Robots that walk",
        abstract="A robot crosses rough terrain.",
        keywords=("gait",),
        authors=("Ada Lovelace",),
        organizations=("Institute of Gaits",),
        categories=("cs.RO",),
        sources=("arxiv",),
        properties=frozenset({"code"}),
    )

    assert rows(Matcher([paper]).match([parse(query)])) == [{0: tier}]


def test_the_tier_of_a_term_is_that_of_the_best_field_it_is_found_in():
    random = Random(2606)
    papers = [queries.document(random) for _ in range(40)]
    asked = [term for term in (queries.leaf(random) for _ in range(1_500)) if isinstance(term, Term)]
    worth = {"title": TITLE, "abstract": ABSTRACT}

    for query, row in zip(asked, rows(Matcher(papers).match(asked)), strict=True):
        for paper, tier in row.items():
            hits = matches(query, papers[paper]).hits
            assert tier == max(worth.get(hit.field, KEYWORD) for hit in hits)


def _recorded_papers(count):
    for number, row in zip(range(count), recorded.lines("arxiv_listing.jsonl.gz"), strict=False):
        yield Document(
            identifier=row["id"],
            title=row["title"],
            abstract=row["summary"] or "",
            authors=tuple(row["authors"]),
            keywords=tuple(row["title"].split(":")[:-1]),
            categories=tuple(row["categories"]),
            votes=number % 30,
        )


def _query_of(random, papers):
    """A query of some words of recorded titles, as a reader might write it."""
    title = random.choice(papers).title.split()
    at = random.randrange(len(title))
    word = title[at].strip("\"'():,.;?!*-“”") or "robot"
    phrase = " ".join(title[at : at + random.randint(2, 3)]).replace('"', " ")
    compound = "-".join(part.strip("\"'():,.;?!*-“”$\\") for part in title[at : at + 2])
    choices = [word, word, f'"{phrase}"', f'"{word}"', compound, f'title:"{phrase}"', f"abstract:{word}"]
    if len(word) > 4 and word.isalnum():
        choices += [f"{word[:4]}*", f"author:{word[:4]}*"]
    if "-" in word and word[-3:].isalpha():
        choices += [word[:-1] + "*", word.replace("-", "")]
    return random.choice(choices)


def _asked(random, papers, count):
    for _ in range(count):
        parts = [_query_of(random, papers) for _ in range(random.choice((1, 1, 2, 3)))]
        yield random.choice(("{}", "-{}", "cat:cs.CL {}", "votes:>=20 OR {}", "NOT ({})")).format(
            random.choice((" ", " OR ", " -")).join(parts)
        )


def test_the_matchers_agree_on_recorded_papers():
    papers = list(_recorded_papers(300))
    random = Random(2606)
    asked = []
    for text in _asked(random, papers, 2_000):
        try:
            asked.append(parse(text))
        except ValueError:  # titles hold formulas, too
            continue
    assert len(asked) > 1_500

    found = [set(row) for row in rows(Matcher(papers).match(asked))]

    # Each query is asked again of every tenth paper, each paper by every tenth query.
    for number, (query, row) in enumerate(zip(asked, found, strict=True)):
        some = range(number % 10, len(papers), 10)
        assert row & set(some) == {at for at in some if holds(query, papers[at])}, str(query)
