from datetime import date, timedelta

import pytest

from digest import editions, papers
from digest.models import Edition, Source
from tests import make
from tests.make import DAY, NOW

pytestmark = pytest.mark.django_db
FRIDAY, SATURDAY, MONDAY = date(2026, 6, 5), date(2026, 6, 6), date(2026, 6, 8)


def titles(day=DAY):
    return [row.paper.title for row in Edition.objects.get(date=day).placements.order_by("rank")]


def test_an_edition_ranks_the_papers_of_the_last_days():
    make.paper("Fresh and loved", votes=40)
    make.paper("Fresh", votes=2)
    make.paper("Loved two days ago", votes=40, day=DAY - timedelta(days=2))
    make.paper("Out of the window", votes=900, day=DAY - timedelta(days=3))

    editions.build(DAY, now=NOW)

    assert titles() == ["Fresh and loved", "Loved two days ago", "Fresh"]


def test_a_day_has_one_edition_and_building_it_again_changes_nothing():
    make.paper("Robots")
    editions.build(DAY, now=NOW)
    before = list(Edition.objects.get().placements.values())

    editions.build(DAY, now=NOW)

    assert Edition.objects.count() == 1
    assert list(Edition.objects.get().placements.values()) == before


def test_there_is_no_empty_edition():
    make.paper("Friday's", day=FRIDAY)
    editions.build(FRIDAY, now=NOW)
    editions.publish(FRIDAY, by="clock", now=NOW)

    assert editions.build(SATURDAY, now=NOW) is None
    assert Edition.objects.count() == 1


def test_new_versions_alone_make_no_edition():
    make.paper("Third version", by="arxiv.cs.CL", announce="replace")

    assert editions.build(DAY, now=NOW) is None


def test_what_the_editor_did_survives_rebuilding():
    make.paper("First", votes=50)
    make.paper("Second", votes=20)
    make.paper("Third", votes=5)
    editions.build(DAY, now=NOW)
    placements = Edition.objects.get().placements
    placements.filter(paper__title="Third").update(place=1, note="Read this.")
    placements.filter(paper__title="First").update(is_hidden=True)

    make.paper("Late", votes=90)
    editions.build(DAY, now=NOW)

    assert titles() == ["Third", "Late", "First", "Second"]
    assert placements.get(paper__title="Third").note == "Read this."
    assert placements.get(paper__title="First").is_hidden


def test_reranking_puts_pinned_papers_at_their_places():
    for votes in (50, 20, 5):
        make.paper(f"{votes} votes", votes=votes)
    edition = editions.build(DAY, now=NOW)
    edition.placements.filter(paper__title="5 votes").update(place=2)

    editions.rerank(edition)

    assert titles() == ["50 votes", "5 votes", "20 votes"]


def test_a_published_edition_stays_as_it_is():
    make.paper("Robots")
    editions.build(DAY, now=NOW)
    editions.publish(DAY, by="editor", now=NOW)
    make.paper("Late")

    editions.build(DAY, now=NOW)

    assert titles() == ["Robots"]


def test_a_paper_nobody_noticed_stands_in_one_edition_only():
    make.paper("Quiet", votes=None, by="arxiv.cs.CL")
    make.paper("Loved", votes=9)
    editions.build(DAY, now=NOW)
    editions.publish(DAY, by="clock", now=NOW)
    make.paper("New", day=DAY + timedelta(days=1))

    editions.build(DAY + timedelta(days=1), now=NOW)

    assert "Quiet" not in titles(DAY + timedelta(days=1))
    assert "Loved" in titles(DAY + timedelta(days=1))


def test_a_paper_listed_late_for_a_past_day_is_in_the_next_edition():
    make.paper("In time")
    editions.build(DAY, now=NOW)
    editions.publish(DAY, by="clock", now=NOW)
    make.paper("Added to yesterday's list", votes=None, day=DAY)
    make.paper("New", day=DAY + timedelta(days=1))

    editions.build(DAY + timedelta(days=1), now=NOW)

    assert "Added to yesterday's list" in titles(DAY + timedelta(days=1))


def test_a_missed_day_is_built_later_and_oldest_first():
    make.paper("Tuesday's", day=DAY)
    make.paper("Wednesday's", day=DAY + timedelta(days=1))

    built = editions.build_open(DAY + timedelta(days=1), now=NOW)

    assert [edition.date for edition in built] == [DAY, DAY + timedelta(days=1)]


def test_votes_that_rose_lift_a_paper():
    risen, steady = make.paper("Risen", votes=10), make.paper("Steady", votes=10)
    source = make.source()
    for paper, before in ((risen, 1), (steady, 10)):
        paper.observations.create(at=NOW - timedelta(days=2), votes=before)
        paper.observations.create(at=NOW - timedelta(hours=1), votes=10)
    assert source.pk

    editions.build(DAY, now=NOW)

    assert titles() == ["Risen", "Steady"]


def test_the_clock_publishes_after_the_hour_and_not_before():
    make.paper("Robots")
    editions.build(DAY, now=NOW)

    assert editions.publish_due(DAY, now=NOW.replace(hour=5)) == []
    assert [row.date for row in editions.publish_due(DAY, now=NOW.replace(hour=6))] == [DAY]
    assert Edition.objects.get().published_by == "clock"
    assert editions.publish_due(DAY, now=NOW) == []


def test_the_hour_is_that_of_the_zone_in_the_settings(settings):
    settings.DIGEST_TIME_ZONE = "America/New_York"
    make.paper("Robots")
    editions.build(DAY, now=NOW)

    assert editions.publish_due(DAY, now=NOW.replace(hour=9)) == []
    assert len(editions.publish_due(DAY, now=NOW.replace(hour=10))) == 1


def test_the_clock_waits_for_a_source_that_is_late_but_not_for_ever():
    make.source("arxiv.cs.CL")
    make.paper("From Hugging Face")
    edition = editions.build(DAY, now=NOW)

    assert edition.warnings == ["arxiv.cs.CL has not listed anything for this day yet."]
    assert editions.publish_due(DAY, now=NOW.replace(hour=7)) == []
    assert len(editions.publish_due(DAY, now=NOW.replace(hour=8))) == 1


def test_readers_are_told_of_a_stale_or_failing_source():
    make.paper("From Hugging Face")
    make.source("arxiv.cs.CL", state=Source.State.STALE)
    make.source("feed.lab", state=Source.State.FAILING)

    edition = editions.build(DAY, now=NOW)

    assert edition.warnings == ["arxiv.cs.CL still shows an older day.", "feed.lab could not be read."]


def test_an_edition_with_everything_hidden_is_not_published():
    make.paper("Robots")
    edition = editions.build(DAY, now=NOW)
    edition.placements.update(is_hidden=True)

    with pytest.raises(editions.NotToPublish, match="never empty"):
        editions.publish(DAY, by="editor", now=NOW)


def test_publishing_what_was_not_built_says_so():
    with pytest.raises(editions.NotToPublish, match="There is no edition of 2026-06-02"):
        editions.publish(DAY, by="editor", now=NOW)


def test_building_takes_the_same_queries_for_many_papers(django_assert_max_num_queries):
    papers.record(make.source(), DAY, [make.entry(votes=n) for n in range(300)], now=NOW)

    with django_assert_max_num_queries(25):
        editions.build(DAY, now=NOW)
