"""What was published, as pages, feeds and the API find it."""

from datetime import date, timedelta

import pytest

from digest import archive, editions, papers, periods, stamps
from digest.models import Observation, Placement
from tests import make
from tests.make import DAY, NOW

YESTERDAY = DAY - timedelta(days=1)
WEEK = periods.of(periods.Kind.WEEK, DAY)


@pytest.mark.parametrize(
    ("kind", "text", "first", "last", "before", "after"),
    [
        ("day", "2026-06-02", date(2026, 6, 2), date(2026, 6, 2), "2026-06-01", "2026-06-03"),
        ("week", "2026-W23", date(2026, 6, 1), date(2026, 6, 7), "2026-W22", "2026-W24"),
        ("week", "2026-W53", date(2026, 12, 28), date(2027, 1, 3), "2026-W52", "2027-W01"),
        ("month", "2026-02", date(2026, 2, 1), date(2026, 2, 28), "2026-01", "2026-03"),
        ("month", "2024-12", date(2024, 12, 1), date(2024, 12, 31), "2024-11", "2025-01"),
    ],
)
def test_a_period_is_read_and_written_and_has_neighbours(kind, text, first, last, before, after):
    period = periods.parse(periods.Kind(kind), text)
    assert (period.first, period.last, str(period)) == (first, last, text)
    assert (str(period.before), str(period.after)) == (before, after)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("day", "2026-13-40"), ("day", "2026-6-2"), ("day", "0000-00-00"), ("day", "9999-12-31"), ("day", "today"),
        ("day", ""), ("day", "２０２６-06-02"), ("day", "2026-06-02\n"), ("week", "2025-W53"), ("week", "2026-W00"),
        ("week", "2026-23"), ("month", "2026-00"), ("month", "2026-13"), ("month", "2026-W23"),
    ],
)  # fmt: skip
def test_a_period_that_does_not_exist_is_refused_with_an_example(kind, text):
    with pytest.raises(ValueError, match=f"no such {kind}: write it like 20"):
        periods.parse(periods.Kind(kind), text)


@pytest.mark.django_db
def test_only_published_editions_until_today_are_seen():
    paper = make.paper()
    make.edition([paper], day=YESTERDAY)
    make.edition([paper], day=DAY, published=False)
    make.edition([paper], day=DAY + timedelta(days=1))

    assert [one.date for one in archive.published(DAY)] == [YESTERDAY]
    assert archive.edition(DAY, today=DAY) is None
    assert archive.after(YESTERDAY, today=DAY) is None
    assert archive.before(DAY, today=DAY).date == YESTERDAY
    assert archive.featured([paper.pk], today=DAY) == {paper.pk: YESTERDAY}


@pytest.mark.django_db
def test_a_week_has_each_paper_once_with_its_first_day_and_most_votes_first():
    twice, loved, hidden, renewed = (make.paper(votes=votes) for votes in (3, 8, 90, 70))
    make.edition([twice, hidden], day=YESTERDAY)
    make.edition([twice, loved, renewed], day=DAY)
    Placement.objects.filter(paper=hidden).update(is_hidden=True)
    Placement.objects.filter(paper=renewed).update(announce="replace")

    found = archive.ordered(archive.shown(WEEK.first, DAY), archive.VOTES)
    assert list(found) == [(loved.pk, DAY), (twice.pk, YESTERDAY)]


@pytest.mark.django_db
def test_trending_mixes_days_by_what_was_gained_and_how_old_it_is():
    old, risen, new, quiet = (make.paper(votes=votes) for votes in (40, 40, 12, 0))
    week_ago = DAY - timedelta(days=7)
    make.edition([old, risen], day=week_ago)
    make.edition([new, quiet], day=DAY)
    Observation.objects.create(paper=old, at=NOW - timedelta(days=2), votes=39)
    Observation.objects.create(paper=old, at=NOW - timedelta(hours=2), votes=40)
    Observation.objects.create(paper=risen, at=NOW - timedelta(days=2), votes=4)
    Observation.objects.create(paper=risen, at=NOW - timedelta(hours=2), votes=40)

    assert archive.trending(DAY, now=NOW) == [new.pk, risen.pk, old.pk]


@pytest.mark.django_db
def test_stamps_tell_that_papers_or_editions_changed_and_nothing_else():
    entries = [make.entry(votes=1)]
    source = make.source()
    before = stamps.read()
    papers.record(source, DAY, entries, now=NOW)
    recorded = stamps.read()
    assert (recorded.papers, recorded.editions) == (before.papers + 1, before.editions)

    papers.record(source, DAY, entries, now=NOW)
    assert stamps.read() == recorded

    editions.build(DAY, now=NOW)
    built = stamps.read()
    assert built.papers == recorded.papers and built.editions > recorded.editions
    editions.publish(DAY, by="test", now=NOW)
    assert stamps.read().editions > built.editions


@pytest.mark.django_db
def test_a_day_has_debuts_and_later_showings_are_none():
    again, old, new = make.paper(votes=9), make.paper(votes=2), make.paper(votes=1)
    make.edition([old, again], day=YESTERDAY)
    make.edition([again, new])
    make.edition([make.paper()], day=DAY + timedelta(days=1))

    assert archive.debuts(DAY) == {DAY: 1, YESTERDAY: 2}
    assert [row.paper_id for row in archive.debut(DAY)] == [new.pk]
    assert {row.paper_id for row in archive.debut(YESTERDAY)} == {again.pk, old.pk}


@pytest.mark.django_db
def test_the_papers_of_a_week_come_by_votes_by_day_or_by_place():
    first, second, later = make.paper(votes=1), make.paper(votes=9), make.paper(votes=5)
    make.edition([first, second], day=YESTERDAY)
    make.edition([later, first])

    def order(order):
        return list(archive.ordered(archive.shown(YESTERDAY, DAY), order))

    by_votes = [(second.pk, YESTERDAY), (later.pk, DAY), (first.pk, YESTERDAY)]
    assert order(archive.VOTES) == by_votes
    assert order(archive.DAYS) == [(later.pk, DAY), (second.pk, YESTERDAY), (first.pk, YESTERDAY)]
    assert order(archive.PLACES) == [(later.pk, DAY), (first.pk, YESTERDAY), (second.pk, YESTERDAY)]
