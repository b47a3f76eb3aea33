"""A source at a time goes wrong in every way the replay server knows: what was good stays, and the others are read."""

from datetime import date, timedelta
from itertools import pairwise

import pytest

from digest import editions, intake
from digest.models import Edition, Fetch, Listing, Observation, Paper, Placement, Source
from tests.recorded import lines

pytestmark = pytest.mark.django_db
WEDNESDAY, THURSDAY = date(2026, 6, 3), date(2026, 6, 4)
NAMES = {"huggingface": "/api/daily_papers", "arxiv.cs.GT": "/atom/cs.GT"}
SAYS = {
    "http500": "answered 500",
    "http429": "answered 429",
    "http406": "answered 406",
    "timeout": "said nothing for",
    "truncate": "cut short",
    "empty": "an empty answer came",
    "html": "an HTML page came",
    "gzipbomb": "larger than",
    "huge": "larger than",
    "redirect-private": "not a public address",
    "redirect-loop": "redirects in a circle",
}
BOMBS = {"huggingface": "an HTML page came", "arxiv.cs.GT": "declares entities"}
CASES = [(fault, name, says) for fault, says in SAYS.items() for name in NAMES] + [
    ("bomb", name, says) for name, says in BOMBS.items()
]


@pytest.fixture(autouse=True)
def small(settings):
    settings.DIGEST_ARXIV_CATEGORIES = ["cs.GT", "cs.GR"]
    settings.DIGEST_REFRESH_DAYS = settings.DIGEST_EDITION_DAYS = 2


@pytest.fixture
def read(replay, clock, limits):
    """Read every source that may be asked, as at eight o'clock of the day or later."""

    def read(day):
        replay.today = day
        clock.at = max(clock.at, clock.at.replace(month=day.month, day=day.day, hour=8, minute=0))
        intake.prepare_sources()
        return intake.fetch(day, today=day, time=clock.time, sources=intake.enabled())

    clock.at = clock.at.replace(month=6, day=1)
    return read


def rows_of(day):
    """What is stored for a day and those before: papers and observations by paper, the rest by its own key."""
    papers = Paper.objects.filter(listings__day__lte=day).distinct()
    by_day = [
        Listing.objects.filter(day__lte=day),
        Edition.objects.filter(date__lte=day),
        Placement.objects.filter(edition__date__lte=day),
    ]
    observations = Observation.objects.filter(paper__in=papers).order_by("pk")
    return (
        {row["id"]: (row, [seen for seen in observations.values() if seen["paper_id"] == row["id"]])
         for row in papers.values()},
        [list(rows.order_by("pk").values()) for rows in by_day],
    )  # fmt: skip


def assert_kept(before, day=WEDNESDAY):
    """Nothing of a day has changed but papers that a source listed again later."""
    papers, others = before
    papers_now, others_now = rows_of(day)
    again = set(Listing.objects.filter(day__gt=day).values_list("paper_id", flat=True))
    assert others_now == others
    assert papers_now.keys() == papers.keys()
    assert len(papers.keys() - again) > 20
    for key in papers.keys() - again:
        assert papers_now[key] == papers[key]


def listed(name, day=THURSDAY):
    return Listing.objects.filter(source__name=name, day=day).count()


def expected(category, day=THURSDAY):
    papers = lines("arxiv_listing.jsonl.gz")
    return sum(paper["listed"] == str(day) and category in paper["categories"] for paper in papers)


def publish(day, now):
    editions.build(day, now=now)
    return editions.publish(day, by="clock", now=now)


@pytest.mark.parametrize(
    ("fault", "name", "says"),
    [case for case in CASES if case[:2] != ("http429", "arxiv.cs.GT")],
    ids=lambda value: value.replace(" ", "_"),
)
def test_a_source_that_fails_keeps_its_papers_stops_no_other_and_is_made_up_for(
    replay, clock, limits, read, fault, name, says
):
    read(WEDNESDAY)
    publish(WEDNESDAY, clock.at)
    before = rows_of(WEDNESDAY)
    limits(read_seconds=1 if fault == "timeout" else 20)
    replay.faults = [f"{fault}:{NAMES[name]}"]

    fetches = read(THURSDAY)

    # Nothing of it is stored, what was there stays, and the source's row says why.
    source = Source.objects.get(name=name)
    tries = [row for row in fetches if row.source == source]
    assert len(tries) == (2 if name == "huggingface" else 1)
    assert {(row.outcome, row.entries, row.new_papers, row.new_listings) for row in tries} == {
        (Fetch.Outcome.FAILED, 0, 0, 0)
    }
    assert says in source.last_error
    assert {row.message for row in tries} == {source.last_error}
    assert Fetch.objects.filter(pk__in=[row.pk for row in tries]).count() == len(tries)
    assert (source.state, source.failures, source.last_error_at) == (Source.State.FAILING, 1, tries[-1].at)
    assert source.not_before_at is not None and source.not_before_at > tries[-1].at
    assert source.last_day == WEDNESDAY
    assert listed(name) == 0
    assert_kept(before)

    # The others are read all the same, and the day goes out with a word about the missing one.
    for other in Source.objects.exclude(pk=source.pk):
        assert (other.state, other.failures, other.not_before_at) == (Source.State.FINE, 0, None)
        assert listed(other.name) > 0
    edition = publish(THURSDAY, clock.at)
    assert edition.warnings == [f"{source.label} could not be read."]
    new = Paper.objects.filter(placements__edition=edition).exclude(listings__day__lt=THURSDAY)
    assert new.exists()
    assert not new.exclude(listings__day=THURSDAY).exists()
    assert not new.filter(title="").exists()

    # A later reading repairs it.
    replay.faults = []
    clock.at = source.not_before_at
    read(THURSDAY)
    source.refresh_from_db()
    assert (source.state, source.failures, source.not_before_at) == (Source.State.FINE, 0, None)
    assert source.last_day == THURSDAY
    assert listed(name) == (33 if name == "huggingface" else expected("cs.GT"))
    assert_kept(before)
    assert editions.warnings(THURSDAY) == []


def test_arxivs_429_rests_all_of_arxiv_and_hugging_face_goes_on(replay, clock, read):
    read(WEDNESDAY)
    before = rows_of(WEDNESDAY)
    replay.faults = ["http429:/atom/cs.GT"]
    replay.asked.clear()

    fetches = read(THURSDAY)
    started = fetches[0].at

    assert [path for path, _, _ in replay.asked if path.startswith("/atom/")] == ["/atom/cs.GT"]
    assert {row.source.name: row.source.state for row in fetches} == {
        "huggingface": Source.State.FINE,
        "arxiv.cs.GT": Source.State.FAILING,
        "arxiv.cs.GR": Source.State.FAILING,
    }
    assert Source.objects.get(name="arxiv.cs.GR").last_error == "arxiv is left alone until 08:10 UTC."
    assert (listed("huggingface"), listed("arxiv.cs.GT"), listed("arxiv.cs.GR")) == (33, 0, 0)
    assert_kept(before)
    assert len(publish(THURSDAY, clock.at).warnings) == 2

    replay.faults = []
    replay.asked.clear()
    for minute in range(1, 30):
        clock.at = started + timedelta(minutes=minute)
        read(THURSDAY)
        if minute < 6:
            assert not any(path.startswith("/atom/") for path, _, _ in replay.asked)
    assert all(source.state == Source.State.FINE for source in Source.objects.all())
    assert (listed("arxiv.cs.GT"), listed("arxiv.cs.GR")) == (expected("cs.GT"), expected("cs.GR"))


def test_a_stale_feed_keeps_what_was_read_and_readers_are_told(replay, clock, read):
    read(WEDNESDAY)
    publish(WEDNESDAY, clock.at)
    before = rows_of(WEDNESDAY)
    replay.faults = ["stale:/atom/cs.GT"]

    for _ in range(2):  # the second answer is "unchanged", which is no better
        read(THURSDAY)
        source = Source.objects.get(name="arxiv.cs.GT")
        row = source.fetches.order_by("-pk")[0]
        assert (row.outcome, row.new_papers, row.new_listings) == (Fetch.Outcome.STALE, 0, 0)
        assert row.message == "still the list of 2026-06-03"
        assert (source.state, source.failures, source.not_before_at) == (Source.State.STALE, 0, None)
    assert listed("arxiv.cs.GT") == 0
    assert listed("arxiv.cs.GR") == expected("cs.GR")
    assert_kept(before)

    edition = editions.build(THURSDAY, now=clock.at)
    assert edition.warnings == ["arXiv cs.GT still shows an older day."]
    replay.faults = []
    read(THURSDAY)
    edition = editions.build(THURSDAY, now=clock.at)
    assert edition.warnings == []
    assert Source.objects.get(name="arxiv.cs.GT").state == Source.State.FINE
    assert listed("arxiv.cs.GT") == expected("cs.GT")


def test_when_everything_is_down_there_is_no_edition_and_nothing_is_lost(replay, clock, read):
    read(WEDNESDAY)
    publish(WEDNESDAY, clock.at)
    before = rows_of(WEDNESDAY)
    replay.faults = ["http500"]

    read(THURSDAY)

    assert {source.state for source in Source.objects.all()} == {Source.State.FAILING}
    assert editions.build(THURSDAY, now=clock.at) is None
    assert_kept(before)


def test_arxiv_never_has_reason_to_say_that_we_ask_too_fast(replay, clock, read, settings):
    settings.DIGEST_ARXIV_CATEGORIES = ["cs.GR", "cs.GT", "cs.IT"]
    replay.reset(WEDNESDAY, strict=True)
    replay.monotonic = clock.monotonic
    read(date(2026, 6, 1))
    read(WEDNESDAY)  # with Tuesday, which was missed
    read(WEDNESDAY)

    arxiv = [(status, at) for path, status, at in replay.asked if not path.startswith("/api/daily")]
    assert len(arxiv) == 3 + 6 + 3
    assert {status for status, _ in arxiv} == {200, 304}
    assert all(later - earlier >= 3 for (_, earlier), (_, later) in pairwise(arxiv))
    assert sum(clock.waits) == 2 * 3 + 5 * 3 + 3 * 3  # the third reading begins when the second has just ended
    assert {source.state for source in Source.objects.all()} == {Source.State.FINE}


def test_a_busy_or_failing_service_is_asked_no_more_often_than_it_says(replay, clock, read):
    replay.faults = ["http429:/api/daily_papers"]
    read(WEDNESDAY)
    source = Source.objects.get(name="huggingface")
    assert source.not_before_at == source.last_error_at + timedelta(seconds=2)

    replay.faults = ["http500:/api/daily_papers"]
    clock.at = source.not_before_at
    read(WEDNESDAY)
    source.refresh_from_db()
    assert (source.failures, source.not_before_at) == (2, source.last_error_at + timedelta(minutes=10))
    replay.asked.clear()
    clock.at = source.not_before_at - timedelta(seconds=1)
    read(WEDNESDAY)
    assert not any(path.startswith("/api/daily") for path, _, _ in replay.asked)
