from datetime import timedelta

import pytest

from digest import papers
from digest.models import Listing, Observation, Paper
from digest.sources.entry import Author, Entry, Organization
from tests import make
from tests.make import DAY, NOW

pytestmark = pytest.mark.django_db


def record(name, *entries, day=DAY, now=NOW):
    return papers.record(make.source(name), day, entries, now=now)


def everything():
    return [list(model.objects.order_by("pk").values()) for model in (Paper, Listing, Observation)]


def test_what_a_source_lists_becomes_a_paper_and_a_listing():
    done = record("huggingface", make.entry(votes=5, keywords=("robots",), ai_summary="Short."))

    assert (done.new_papers, done.new_listings) == (1, 1)
    paper = Paper.objects.get()
    assert (paper.votes, paper.keywords, paper.ai_summary) == (5, ["robots"], "Short.")
    assert Listing.objects.get().day == DAY


def test_recording_a_listing_twice_changes_nothing():
    entries = [make.entry(votes=3, organization=Organization(name="lab")), make.entry(announce="cross")]
    record("huggingface", *entries)
    before = everything()

    done = record("huggingface", *entries, now=NOW + timedelta(hours=1))

    assert done == papers.Recorded(0, 0, 0)
    assert everything() == before


def test_one_paper_of_two_sources_and_two_days_is_one_row():
    record("arxiv.cs.CL", make.entry(90555, version=1))
    record("huggingface", make.entry(90555, votes=4))
    record("huggingface", make.entry(90555, votes=9), day=DAY + timedelta(days=1))

    assert Paper.objects.count() == 1
    assert Listing.objects.count() == 3


@pytest.mark.parametrize("order", [("arxiv.cs.CL", "huggingface"), ("huggingface", "arxiv.cs.CL")])
def test_arxivs_text_stands_whichever_comes_first(order):
    for name in order:
        record(name, make.entry(90556, title=f"Title of {name}", authors=(Author(name=name),)))

    paper = Paper.objects.get()
    assert paper.title == "Title of arxiv.cs.CL"
    assert paper.visible_authors == ["arxiv.cs.CL"]


def test_a_new_version_replaces_the_text_and_an_old_one_does_not():
    record("arxiv.cs.CL", make.entry(90557, title="Two", version=2))
    record("arxiv.cs.CV", make.entry(90557, title="One", version=1))
    assert (Paper.objects.get().title, Paper.objects.get().version) == ("Two", 2)

    record("arxiv.cs.CL", make.entry(90557, title="Three", version=3, announce="replace"), day=DAY + timedelta(days=3))
    assert (Paper.objects.get().title, Paper.objects.get().version) == ("Three", 3)


def test_an_absent_field_never_erases_a_stored_one():
    record("huggingface", make.entry(90558, votes=5, ai_summary="Short.", code_url="https://example.org/c", stars=2))
    record("huggingface", make.entry(90558, abstract=""), day=DAY + timedelta(days=1))

    paper = Paper.objects.get()
    assert (paper.votes, paper.ai_summary, paper.stars) == (5, "Short.", 2)
    assert paper.abstract == "Nothing is claimed here."


def test_each_change_of_the_numbers_is_kept_so_that_a_rise_can_be_seen():
    for hours, votes in [(0, 0), (1, 0), (2, 4), (3, 9)]:
        record("huggingface", make.entry(90559, votes=votes), now=NOW + timedelta(hours=hours))

    assert list(Observation.objects.order_by("at").values_list("votes", flat=True)) == [0, 4, 9]


def test_a_paper_that_is_new_in_one_category_and_crossed_in_another_keeps_both_words():
    record("arxiv.cs.CV", make.entry(90560, announce="new", categories=("cs.CV", "cs.AI")))
    record("arxiv.cs.AI", make.entry(90560, announce="cross", categories=("cs.CV", "cs.AI")))

    assert set(Listing.objects.values_list("source__name", "announce")) == {
        ("arxiv.cs.CV", "new"), ("arxiv.cs.AI", "cross"),
    }  # fmt: skip


def test_an_entry_that_names_an_older_day_is_listed_under_it():
    record("arxiv.cs.CL", make.entry(day=DAY - timedelta(days=1)), make.entry(day=DAY + timedelta(days=9)))

    assert sorted(Listing.objects.values_list("day", flat=True)) == [DAY - timedelta(days=1), DAY]


def test_what_does_not_fit_is_cut_or_left_out_and_nothing_is_lost():
    record(
        "feed",
        Entry(
            identifier="web.0123456789abcdef",
            url="https://example.org/1",
            title="Long " * 100_000,
            abstract="with a NUL \x00 and half a pair \ud800",
            code_url="https://example.org/" + "x" * 5000,
            keywords=("fine", "y" * 10_000),
            organization=Organization(name="nul\x00lab"),
        ),
    )

    paper = Paper.objects.get()
    assert len(paper.title) == 300
    assert paper.code_url == ""
    assert paper.keywords == ["fine"]
    assert paper.organization["name"] == "nullab"
