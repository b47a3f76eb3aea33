from io import StringIO

import pytest
from django.core.management import CommandError, call_command, execute_from_command_line

from digest import intake
from digest.models import Delivery, Edition, Fetch, Listing, Paper, Source
from digest.sources.entry import SourceError
from subscriptions import clock
from tests import make
from tests.make import DAY

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def the_day(settings):
    settings.DIGEST_TODAY = DAY


@pytest.fixture(autouse=True)
def listings(monkeypatch):
    """Hugging Face lists two invented papers for every day; nothing else is asked."""

    def read(self, day):
        entries = (make.entry(90777, title="Robots", votes=5), make.entry(90778, title="Soup", votes=2))
        return intake.Day(outcome=Fetch.Outcome.READ, entries=entries if day == DAY else ())

    monkeypatch.setattr(intake._Reader, "_huggingface", read)
    monkeypatch.setattr(intake, "enabled", lambda: Source.objects.filter(name="huggingface"))


def run(*command, **options):
    out = StringIO()
    call_command(*command, stdout=out, **options)
    return out.getvalue()


def rows():
    return [model.objects.count() for model in (Paper, Listing, Fetch, Edition, Delivery)]


def test_daily_does_the_whole_job_and_says_what_came_of_it():
    make.subscriber(topics=["robot"])
    make.subscriber(topics=["unheard"], wants_trending=False)

    said = run("daily")

    assert "Fetched 2026-06-02: 2 new papers, 2 new listings." in said
    assert "The edition of 2026-06-02 is a draft, with 2 papers." in said
    assert "The edition of 2026-06-02 is published (by command" in said
    assert "Delivered 2026-06-02: 1 letter queued, 1 reader without a matching paper; 1 sent." in said


def test_daily_goes_on_with_what_is_there_when_no_source_can_be_read(monkeypatch):
    make.subscriber(topics=["robot"])
    run("fetch")

    def down(self, day):
        raise SourceError("nobody home")

    monkeypatch.setattr(intake._Reader, "_huggingface", down)

    said = StringIO()
    assert "1 letter queued" in run("daily", stderr=said)
    assert "nobody home\nGoing on with what was listed before." in said.getvalue()
    Listing.objects.all().delete()
    with pytest.raises(CommandError, match="nobody home"):
        run("daily")


def test_daily_a_second_time_sends_nothing_again():
    make.subscriber(topics=["robot"])
    run("daily")
    before = rows()

    said = run("daily")

    assert "0 letters queued, 0 readers without a matching paper; nothing to send." in said
    assert [now for now, then in zip(rows(), before, strict=True) if now != then] == [before[2] + 7]


@pytest.mark.parametrize("command", ["fetch", "build_edition", "publish", "deliver", "daily"])
def test_a_dry_run_stores_and_sends_nothing(command):
    make.subscriber(topics=["robot"])
    make.paper("Robots")
    before = rows()

    said = run(command, "--dry-run", "--date", "2026-06-02")

    assert "Dry run, nothing was stored or sent." in said
    assert rows() == before


def test_each_job_can_be_done_by_hand_one_after_the_other():
    make.subscriber(topics=["robot"], send_hour=clock.now().hour)

    assert "2 new papers" in run("fetch")
    assert "is a draft" in run("build_edition")
    assert "is published" in run("publish", "--date", "2026-06-02")
    assert "1 letter queued" in run("deliver")


def test_a_day_to_come_and_a_day_that_is_none_are_refused_in_words():
    with pytest.raises(CommandError, match="2026-06-03 is still to come; today is 2026-06-02"):
        run("fetch", "--date", "2026-06-03")
    with pytest.raises(CommandError, match="takes a day like 2026-06-02, not 'yesterday'"):
        run("fetch", "--date", "yesterday")


def test_a_wrong_day_on_the_command_line_shows_no_traceback(capsys):
    with pytest.raises(SystemExit):
        execute_from_command_line(["manage.py", "fetch", "--date", "yesterday"])

    assert "argument --date: it takes a day like 2026-06-02, not 'yesterday'" in capsys.readouterr().err


def test_a_day_without_papers_says_so():
    assert "No edition of 2026-06-01: no source listed a new paper." in run("build_edition", "--date", "2026-06-01")
    assert "There is no edition of 2026-06-01" in run("publish", "--date", "2026-06-01")


def test_the_sample_day_is_marked_and_gives_way_to_a_real_one(client):
    run("demo")
    assert Edition.objects.get().is_sample
    assert "these papers are invented" in client.get("/").content.decode()

    run("daily")

    assert not Edition.objects.get().is_sample
    page = client.get("/").content.decode()
    assert "Robots" in page
    assert "Counting Widgets" not in page


def test_the_sample_day_does_not_hide_a_real_one():
    run("daily")

    assert "nothing was invented" in run("demo")
    assert not Edition.objects.get().is_sample
