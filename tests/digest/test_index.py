"""The index against the plain matcher: the same yes and no for every query and paper."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest import masks
from digest.index import Index, Row, Vocabulary, pack
from subscriptions.query import Document, QueryError, Term, matches, parse
from tests.subscriptions import queries


def row(key, paper, version="1"):
    return Row(key, version, pack(paper), paper.vector, paper.labels, paper.numbers)


def made(papers, **more):
    return Index(
        [row(key, paper) for key, paper in enumerate(papers)], more.pop("vocabulary", None) or Vocabulary(), **more
    )


def meant(index, query):
    return index.keys[masks.mask(index, query)].tolist()


def plainly(papers, query):
    return [key for key, paper in enumerate(papers) if matches(query, paper)]


@settings(max_examples=400, deadline=None)
@given(st.lists(queries.documents, max_size=8), st.lists(queries.trees, min_size=1, max_size=8))
def test_a_query_means_the_same_papers_as_for_the_plain_matcher(papers, trees):
    index = made(papers)

    for tree in trees:
        assert meant(index, tree) == plainly(papers, tree), str(tree)


@settings(max_examples=100, deadline=None)
@given(st.lists(queries.documents, min_size=2, max_size=8), queries.trees, st.data())
def test_an_index_made_from_the_one_before_is_as_one_made_anew(papers, tree, data):
    vocabulary = Vocabulary()
    before = made(papers[: len(papers) // 2 + 1], vocabulary=vocabulary)
    changed = data.draw(st.integers(0, len(papers) - 1))
    now = [*papers[:changed], data.draw(queries.documents), *papers[changed + 1 :]]
    rows = [row(key, paper, version="2" if key == changed else "1") for key, paper in enumerate(now)][::-1]

    index = Index(rows, vocabulary, before)

    assert sorted(meant(index, tree)) == plainly(now, tree), str(tree)


@pytest.mark.parametrize(
    ("text", "query", "is_meant"),
    [
        ("Pre-training of vision-language models", "pretraining", True),
        ("Pretraining of models", "pre-training", True),
        ("Pre-trainings", "pretraining", True),
        ("state-of-the-art", "stateoftheart", True),
        ("a state-of-the-art-model", "stateoftheartmodel", False),
        ("vision-language-action", "vision-lang*", True),
        ("diffusion", "fusion", False),
        ("categories", "category*", True),
        ("world model", '"world models"', False),
        ("world models", "world-model", True),
        ("C++ and C#", "c++ -c", True),
    ],
)
def test_words_are_found_as_topics_find_them(text, query, is_meant):
    paper = Document("2606.90001", title=text)

    assert bool(matches(parse(query), paper)) is is_meant
    assert bool(meant(made([paper]), parse(query))) is is_meant


def test_phrases_span_neither_authors_nor_fields_nor_papers():
    papers = [
        Document("1", title="Deep robots", abstract="learn slowly", authors=("Ada Lovelace", "Ben Sample")),
        Document("2", title="quickly they move"),
    ]
    index = made(papers)

    for query in ('"robots learn"', '"slowly quickly"', 'author:"lovelace ben"', '"slowly ada"'):
        assert not meant(index, parse(query)), query
    assert meant(index, parse('author:"ben sample"')) == [0]


def test_an_empty_index_means_nothing():
    index = made([])

    for query in ("robot", '"two words"', "robot*", "votes:>=1", "-robot", "cat:cs"):
        assert meant(index, parse(query)) == []
    assert index.scores(["robot"]).tolist() == []


def test_stars_that_stand_for_too_many_words_are_refused(monkeypatch):
    monkeypatch.setattr(masks, "MOST_FORMS", 3)
    index = made([Document("1", title="trace track tract traffic trail")])

    with pytest.raises(QueryError, match="write more letters before the star"):
        masks.mask(index, parse("tra*"))
    assert meant(index, parse("trai*")) == [0]


def test_asking_for_a_word_does_not_make_it_one():
    vocabulary = Vocabulary()
    index = made([Document("1", title="robots")], vocabulary=vocabulary)
    size = len(vocabulary.numbers)

    assert meant(index, Term(("unheard",))) == [] and meant(index, Term(("unheard",), quoted=True)) == []
    assert len(vocabulary.numbers) == size
