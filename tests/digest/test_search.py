"""Search over papers in the database: what it finds, in which order, and that it keeps up with changes."""

import threading
from itertools import islice
from types import SimpleNamespace

import pytest

from digest import analysis, documents, papers, search, shelf, stamps
from digest.models import Analysis, Paper
from digest.search import Tier
from subscriptions.query import QueryError, matches, parse
from tests import make, recorded
from tests.make import DAY, NOW

pytestmark = pytest.mark.django_db
LAUNDRY = "A robot arm learns to fold laundry from video of people."
TRADE = "Medieval maps of the trade in salt are read by machines."


def identifiers(results):
    keys = [found.paper for found in results.found]
    names = dict(Paper.objects.filter(pk__in=keys).values_list("pk", "title"))
    return [names[key] for key in keys]


def test_the_phrase_comes_first_then_all_words_then_what_is_close():
    make.paper("Words Apart", abstract="A model of the language of whales.", votes=90)
    make.paper("In Phrase", abstract="We train a language model on whale song.", votes=1)
    make.paper("Language Alone", abstract="The language of whales is studied.", votes=50)
    make.paper("Nothing of It", abstract=TRADE, votes=99)

    results = search.find("language model")

    assert identifiers(results) == ["In Phrase", "Words Apart", "Language Alone"]
    assert [found.tier for found in results.found] == [Tier.PHRASE, Tier.WORDS, Tier.SOME]
    assert results.exact == 2


def test_what_is_close_in_meaning_is_found_without_a_word_of_it():
    make.paper("Machines That Tidy Clothes", abstract=LAUNDRY)
    make.paper("Old Maps", abstract=TRADE)

    results = search.find("garment folding robotics manipulators")

    assert identifiers(results) == ["Machines That Tidy Clothes"]
    assert results.exact == 0 and results.found[0].tier in {Tier.MEANING, Tier.SOME}
    assert search.find("garment folding robotics manipulators", mode="words").found == ()
    assert identifiers(search.find("clothes-tidying robot arms", mode="meaning")) == ["Machines That Tidy Clothes"]


def test_fields_labels_ranges_and_nots_bind_what_is_close_too():
    make.paper("Folding", abstract=LAUNDRY, categories=["cs.RO"], votes=5)
    make.paper("Folding Elsewhere", abstract=LAUNDRY, categories=["cs.CL"], votes=5)
    make.paper("Folding Unnoticed", abstract=LAUNDRY, categories=["cs.RO"], votes=0)

    assert identifiers(search.find("garment robot cat:cs.RO votes:>=1")) == ["Folding"]
    assert identifiers(search.find("robot laundry cat:cs.RO -unnoticed")) == ["Folding"]


def test_results_can_be_sorted_and_only_what_is_meant_is_in_that_order():
    old = make.paper("Robots of Old", published_at=NOW.replace(year=2024), votes=9)
    new = make.paper("Robots of Today", published_at=NOW, votes=3)

    assert [found.paper for found in search.find("robots", sort="newest").found] == [new.pk, old.pk]
    assert [found.paper for found in search.find("robots", sort="votes").found] == [old.pk, new.pk]


@pytest.mark.parametrize("text", ['"language model', "language AND OR model", "(language model", "langage: model :)"])
def test_a_text_that_is_no_query_is_explained_and_its_words_are_found_all_the_same(text):
    make.paper("A Language Model of Whales")

    results = search.find(text)

    assert results.query is None and results.error.message
    assert identifiers(results) == ["A Language Model of Whales"]


@pytest.mark.parametrize("text", ["word " * 500, "a b c d e " * 45, "x" * 2_001])
def test_a_text_that_is_too_long_is_refused(text):
    make.paper()

    with pytest.raises(QueryError, match="may have"):
        search.find(text)


@pytest.mark.parametrize("text", ["", "   ", "***", "-", "()", "\x00", "AND"])
def test_a_text_without_words_finds_nothing_and_raises_nothing(text):
    make.paper()

    assert search.find(text).found == ()


def test_nothing_is_found_where_there_are_no_papers(django_assert_max_num_queries):
    assert search.find("robots").found == ()
    assert search.similar(Paper(pk=1)) == []


def test_search_costs_one_query_while_nothing_changes(django_assert_num_queries):
    for _ in range(5):
        make.paper("Robots")
    search.find("robots")

    with django_assert_num_queries(1):
        assert len(search.find("robots").found) == 5


def test_new_changed_and_deleted_papers_are_found_as_they_are():
    source = make.source()
    papers.record(source, DAY, [make.entry(1, title="Robots"), make.entry(2, title="Whales")], now=NOW)
    assert len(search.find("robots").found) == 1

    papers.record(source, DAY, [make.entry(1, title="Turtles"), make.entry(3, title="Robots")], now=NOW)
    analysis.refresh(Paper.objects.all())
    assert identifiers(search.find("robots", mode="words")) == ["Robots"]
    assert identifiers(search.find("turtles", mode="words")) == ["Turtles"]

    Paper.objects.filter(title="Robots").delete()
    stamps.bump("papers")
    assert search.find("robots", mode="words").found == ()


def test_papers_are_read_once_and_again_only_when_their_text_changes(settings):
    paper = make.paper("Robots")
    assert (analysis.refresh(Paper.objects.all()), analysis.refresh(Paper.objects.all())) == (1, 0)
    stored = Analysis.objects.get()

    Paper.objects.update(votes=7)
    assert analysis.refresh(Paper.objects.all()) == 0
    Paper.objects.update(title="Whales")
    assert analysis.refresh(Paper.objects.all()) == 1
    assert Analysis.objects.get().vector != stored.vector

    settings.DIGEST_MEANING = "off"
    assert search.find("whales").found[0].paper == paper.pk
    assert (analysis.refresh_missing(), analysis.refresh_missing()) == (1, 0)
    assert not Analysis.objects.get().vector


def test_a_search_stores_nothing():
    make.paper("Robots")

    search.find("robots")

    assert not Analysis.objects.exists()


def test_invented_papers_are_found_only_while_there_are_no_others():
    make.paper("Invented Robots", is_sample=True)
    assert len(search.find("robots").found) == 1

    make.paper("Robots")
    assert identifiers(search.find("robots")) == ["Robots"]


def test_similar_papers_are_close_in_meaning_and_never_the_paper_itself(settings):
    paper = make.paper("Folding", abstract=LAUNDRY)
    alike = make.paper("Folding Clothes", abstract="Robot arms learn folding clothes by watching video of people.")
    make.paper("Old Maps", abstract=TRADE)

    assert search.similar(paper) == [alike.pk]
    settings.DIGEST_MEANING = "off"
    assert search.similar(paper) == []


def test_a_large_index_is_made_anew_beside_the_searches(monkeypatch):
    monkeypatch.setattr(shelf, "WAITED_FOR", 0)
    monkeypatch.setattr(shelf, "connection", SimpleNamespace(close=list))  # it is this thread's here
    made = []
    monkeypatch.setattr(threading.Thread, "start", lambda thread: made.append(thread))  # noqa: PLW0108  to be bound
    make.paper("Robots")
    assert len(search.find("robots").found) == 1

    make.paper("Robots Too")
    assert len(search.find("robots").found) == len(search.find("robots").found) == 1
    assert len(made) == 1
    made[0].run()
    assert len(search.find("robots").found) == 2


QUERIES = """
robot; robots video; "language model"; language-model; pretraining; pre-training; transformer*; trans*; GPU*; C++;
3D; gaussian OR splat*; diffusion -medical; diffusion NOT (medical OR clinical); (robot* OR drone) video;
title:survey; abstract:benchmark agent; keyword:reasoning; author:wang; author:"yang liu"; org:university;
cat:cs.CV; multi-*; LLMs; cat:cs -cat:cs.CL; votes:>=20; votes:3..9; comments:>1; stars:>100 has:code; has:summary;
date:2026-06; year:2025; date:>=2026-06-01 agent; NOT the; -model; title:(video OR image) -abstract:video;
"state of the art"; "we propose" novel; state-of-the-art; vision-language-action; "LLMs"; llm -llms; id:2606.01234;
source:arxiv; source:huggingface benchmark; chain-of-thought; "chain of thought"; self-supervised OR selfsupervised;
zero-shot few-shot; title:"large language"; about:"robots that learn from video";
about:"safety of language models" -survey; about:protein; medical about:imaging
"""


def test_a_query_means_the_same_recorded_papers_in_search_as_in_a_digest():
    """Over 1,500 recorded papers: what search finds exactly is what the plain matcher of digests accepts."""
    rows = list(islice((row for row in recorded.lines("papers.jsonl.gz") if row["date"] >= "2026-04"), 1_500))
    source = make.source("huggingface")
    made = Paper.objects.bulk_create(
        Paper(identifier=row["id"], url=f"https://arxiv.org/abs/{row['id']}", title=" ".join(row["title"].split()),
              abstract=row["summary"], text_from=2, created_at=NOW, votes=row["upvotes"], comments=row["numComments"],
              stars=row["githubStars"], code_url=row["githubRepo"] or "", ai_summary=row["ai_summary"] or "",
              keywords=row["ai_keywords"] or [], authors=[{"name": name} for name in row["authors"]],
              organization={"fullname": row["organization"]}, categories=["cs.CV" if number % 2 else "cs.CL"])
        for number, row in enumerate({row["id"]: row for row in rows}.values())
    )  # fmt: skip
    source.listings.bulk_create(make.Listing(paper=paper, source=source, day=DAY, first_seen_at=NOW) for paper in made)
    analysis.refresh(Paper.objects.all())
    listed = documents.documents(made)

    counts = []
    for text in filter(None, (one.strip() for one in QUERIES.split(";"))):
        query = documents.resolved(parse(text))
        meant = {paper.pk for paper, document in zip(made, listed, strict=True) if matches(query, document)}
        assert search.exact(parse(text)) == meant, text
        results = search.find(text, most=10_000)
        assert {found.paper for found in results.found[: results.exact]} == meant, text
        counts.append(len(meant))
    assert len(counts) > 50 and sum(0 < count < len(made) for count in counts) > 40
