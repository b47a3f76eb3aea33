"""Reading sources: what is asked when, what is kept when it goes wrong, and when a source is left alone."""

import json
import threading
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import DataError

from digest import intake, papers
from digest.models import Fetch, Listing, Observation, Pace, Paper, Source
from tests import make
from tests.clocks import Clock

pytestmark = pytest.mark.django_db
MONDAY, TUESDAY, WEDNESDAY = date(2026, 6, 1), date(2026, 6, 2), date(2026, 6, 3)
FRIDAY, SATURDAY, NEXT_MONDAY = date(2026, 6, 5), date(2026, 6, 6), date(2026, 6, 8)
Outcome, State = Fetch.Outcome, Source.State


# A site to read -----------------------------------------------------------------------------------------------------


class Site:
    """Answers by path: `lists` for Hugging Face by day, `pages` for the rest, `refusals` before either.

    Every page has an ETag and is unchanged for those who know it.
    """

    def __init__(self):
        site = self
        self.lists, self.pages, self.refusals, self.queries = {}, {}, {}, {}
        self.asked, self.agents = [], set()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                site.asked.append(self.path)
                site.agents.add(self.headers["User-Agent"])
                status, body, headers = site.answer(self.path)
                if status == 200:
                    headers = {"ETag": f'"{hash(body)}"', **headers}
                    if headers["ETag"] == self.headers.get("If-None-Match"):
                        status, body = 304, b""
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *request: None  # whoever hangs up is no news
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def answer(self, path):
        url = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        for prefix, (status, headers) in self.refusals.items():
            if path.startswith(prefix):
                return status, b"<p>No.</p>", headers
        if url.path == "/api/daily_papers":
            items = self.lists.get(query["date"], [])
            start = int(query["p"]) * 100
            return 200, json.dumps(items[start : start + 100]).encode(), {}
        if url.path == "/api/query":
            return 200, query_answer(*self.queries.get(query["search_query"].split()[0], ())), {}
        return (200, self.pages[path], {}) if path in self.pages else (404, b"", {})

    def refuse(self, prefix, status, **headers):
        self.refusals[prefix] = status, {name.replace("_", "-"): value for name, value in headers.items()}

    def count(self, prefix):
        return sum(path.startswith(prefix) for path in self.asked)


def item(number, votes=1, **values):
    paper = {"id": f"2606.{number}", "title": f"Invented paper {number}", "summary": "Nothing.", "authors": []}
    return {"paper": {**paper, "upvotes": votes, **values}, "numComments": 0}


def atom(day, *numbers, category="cs.CL", title="", identifier="oai:arXiv.org:2606.{}v1"):
    entries = "".join(
        f"<entry><id>{identifier.format(number)}</id><title>{title or f'Invented paper {number}'}</title>"
        f'<link href="https://arxiv.org/abs/2606.{number}"/><category term="{category}"/>'
        f"<summary>arXiv:2606.{number}v1 Announce Type: new \nAbstract: Nothing.</summary>"
        f"<published>{day}T00:00:00-04:00</published><arxiv:announce_type>new</arxiv:announce_type></entry>"
        for number in numbers
    )
    return _feed(f"{category} updates on arXiv.org", entries)


def query_answer(*numbers):
    entries = "".join(
        f"<entry><id>http://arxiv.org/abs/2606.{number}v1</id><title>Invented paper {number}</title>"
        f"<summary>Nothing.</summary><published>2026-06-01T12:00:00Z</published>"
        f'<arxiv:primary_category term="cs.CL"/><category term="cs.CL"/></entry>'
        for number in numbers
    )
    return _feed("arXiv Query", entries)


def lab(*links):
    """A laboratory's own feed."""
    return _feed("Lab", "".join(f'<entry><id>{x}</id><title>T</title><link href="{x}"/></entry>' for x in links))


def _feed(title, entries):
    return (
        '<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom" '
        f'xmlns:arxiv="http://arxiv.org/schemas/atom"><title>{title}</title>{entries}</feed>'
    ).encode()


@pytest.fixture
def site(settings):
    settings.DIGEST_ARXIV_CATEGORIES = ["cs.CL"]
    settings.DIGEST_REFRESH_DAYS, settings.DIGEST_EDITION_DAYS = 1, 3
    site = Site()
    settings.DIGEST_HF_ENDPOINT = settings.DIGEST_ARXIV_FEED_URL = site.url
    settings.DIGEST_ARXIV_QUERY_URL = f"{site.url}/api/query"
    yield site
    site.close()


@pytest.fixture
def clock():
    return Clock(datetime(2026, 6, 2, 8, tzinfo=UTC))


@pytest.fixture
def read(site, clock):
    """Read a day as it is the present day, from one source or all that are enabled; returns the Fetch rows."""

    def read(day=TUESDAY, *, name="", today=None, force=False):
        intake.prepare_sources()
        clock.at = max(clock.at, datetime(day.year, day.month, day.day, 8, tzinfo=UTC))
        sources = intake.enabled().filter(name=name) if name else intake.enabled()
        return intake.fetch(day, today=today or day, time=clock.time, sources=sources, force=force)

    return read


@pytest.fixture
def feed(site):
    site.pages["/lab"] = lab("https://lab.example.org/1")
    return make.source("lab", label="The lab", url=f"{site.url}/lab")


def of(name):
    return Source.objects.get(name=name)


def listed(name, day=TUESDAY):
    rows = Listing.objects.filter(source__name=name, day=day).order_by("paper__identifier")
    return [identifier.removeprefix("2606.") for identifier in rows.values_list("paper__identifier", flat=True)]


# What is asked ------------------------------------------------------------------------------------------------------


def test_a_first_reading_stores_papers_listings_and_how_it_went(site, read, clock):
    site.lists["2026-06-02"] = [item(90001), item(90002)]
    site.pages["/atom/cs.CL"] = atom(TUESDAY, 90002, 90003)

    rows = read()

    assert [(row.source.name, row.outcome, row.entries, row.new_papers, row.new_listings) for row in rows] == [
        ("huggingface", Outcome.READ, 2, 2, 2),
        ("arxiv.cs.CL", Outcome.READ, 2, 1, 2),
    ]
    assert Paper.objects.count() == 3
    source = of("arxiv.cs.CL")
    assert (source.state, source.failures, source.last_day, source.not_before_at) == (State.FINE, 0, TUESDAY, None)
    assert (source.papers_count, source.listings_count, source.last_success_at) == (1, 2, clock.at)


def test_preparing_sources_again_keeps_what_an_editor_changed(site):
    intake.prepare_sources()
    Source.objects.filter(name="arxiv.cs.CL").update(label="Language", is_enabled=False)

    intake.prepare_sources()

    assert of("arxiv.cs.CL").label == "Language"
    assert [source.name for source in intake.enabled()] == ["huggingface"]


def test_servers_are_told_who_asks(site, read, settings):
    settings.DIGEST_CONTACT = "editor@example.org"
    read()

    assert site.agents == {"Paperboy/1.0 (daily papers; editor@example.org)"}


def test_a_full_page_is_followed_by_the_next(site, read):
    site.lists["2026-06-02"] = [item(90000 + number) for number in range(150)]

    row = read(name="huggingface")[0]

    assert (row.entries, len(listed("huggingface")), site.count("/api/daily_papers")) == (150, 150, 2)


def test_the_last_days_are_read_again_and_their_votes_kept_as_observations(site, read, settings):
    settings.DIGEST_REFRESH_DAYS = 7
    site.lists["2026-06-02"] = [item(90001, votes=3)]
    read(name="huggingface")
    site.lists["2026-06-02"] = [item(90001, votes=8), item(90002)]

    rows = read(WEDNESDAY, name="huggingface")

    assert [row.day for row in rows] == [WEDNESDAY - timedelta(days=back) for back in range(6, -1, -1)]
    assert listed("huggingface") == ["90001", "90002"]
    votes = Observation.objects.filter(paper__identifier="2606.90001").order_by("at").values_list("votes", flat=True)
    assert list(votes) == [3, 8]


def test_reading_twice_changes_nothing(site, read):
    site.lists["2026-06-02"] = [item(90001, votes=3)]
    site.pages["/atom/cs.CL"] = atom(TUESDAY, 90001, 90002)
    read()
    tables = (Paper, Listing, Observation)
    before = [list(table.objects.order_by("pk").values()) for table in tables]

    rows = read()

    assert [row.outcome for row in rows] == [Outcome.UNCHANGED] * 2
    assert [row.source.state for row in rows] == [State.FINE] * 2
    assert [list(table.objects.order_by("pk").values()) for table in tables] == before


@pytest.mark.parametrize("status", [400, 404])
def test_a_refused_day_of_hugging_face_is_a_day_without_a_list(site, read, status):
    site.refuse("/api/daily_papers", status)

    row = read(name="huggingface")[0]

    assert (row.outcome, row.message) == (Outcome.EMPTY, "no list yet")
    assert of("huggingface").state == State.FINE


def test_an_empty_list_keeps_what_was_listed(site, read):
    site.lists["2026-06-02"] = [item(90001)]
    read(name="huggingface")
    site.lists.clear()

    assert read(name="huggingface")[0].outcome == Outcome.EMPTY
    assert listed("huggingface") == ["90001"]


def test_a_saturday_without_announcement_is_no_trouble(site, read):
    site.pages["/atom/cs.CL"] = atom(SATURDAY)

    row = read(SATURDAY, name="arxiv.cs.CL")[0]

    assert (row.outcome, row.message, of("arxiv.cs.CL").state) == (Outcome.EMPTY, "nothing announced", State.FINE)


def test_a_feed_that_knows_the_present_only_is_not_asked_for_the_past(site, read, feed):
    read(MONDAY, today=TUESDAY)

    assert not site.count("/lab")
    assert not site.count("/atom/")
    assert site.count("/api/query") == 1


# Entries that cannot be read ----------------------------------------------------------------------------------------


def test_a_bad_entry_is_skipped_and_counted_and_the_others_are_stored(site, read):
    site.lists["2026-06-02"] = [item(90001), {"paper": {"title": "Nobody's"}}, item(90002), "rubbish"]
    site.pages["/atom/cs.CL"] = atom(TUESDAY, 90003).replace(b"</feed>", b"<entry><id>x</id></entry></feed>")

    hugging_face, arxiv = read()

    assert (hugging_face.outcome, hugging_face.entries, hugging_face.skipped) == (Outcome.READ, 2, 2)
    assert (arxiv.outcome, arxiv.entries, arxiv.skipped) == (Outcome.READ, 1, 1)
    assert "it has no usable id" in hugging_face.message
    assert "it has no arXiv id" in arxiv.message
    assert (listed("huggingface"), listed("arxiv.cs.CL")) == (["90001", "90002"], ["90003"])


def test_a_list_without_one_good_entry_is_an_error(site, read):
    site.lists["2026-06-02"] = [{"paper": {"title": "Nobody's"}}, "rubbish"]
    site.pages["/atom/cs.CL"] = atom(TUESDAY, 90003, identifier="x").replace(b"arxiv.org/abs", b"example.org")

    for row in read():
        assert (row.outcome, row.entries) == (Outcome.FAILED, 0)
        assert row.message.startswith("none of ")
        assert row.source.state == State.FAILING
    assert not Paper.objects.exists()


@pytest.mark.parametrize(
    "link",
    [
        "https://lab.example.org/" + "a" * 600,
        "https://lab.example.org/?utm_x=1&amp;q=" + "é" * 400,
        "https://arxiv.org/abs/" + "a" * 600 + "/0309136",
    ],
)
def test_an_entry_whose_link_is_too_long_to_store_is_skipped(site, read, feed, link):
    site.pages["/lab"] = lab("https://lab.example.org/1", link)

    row = read(name="lab")[0]

    assert (row.outcome, row.entries, row.skipped) == (Outcome.READ, 1, 1)


def test_what_the_database_refuses_fails_its_source_alone(site, read, monkeypatch):
    site.lists["2026-06-02"] = [item(90001)]
    site.pages["/atom/cs.CL"] = atom(TUESDAY, 90002)
    record = papers.record

    def refuse(source, *rest, **options):
        if source.name == "huggingface":
            raise DataError("value too long")
        return record(source, *rest, **options)

    monkeypatch.setattr(papers, "record", refuse)
    rows = read()

    assert [row.outcome for row in rows] == [Outcome.FAILED, Outcome.READ]
    assert of("huggingface").last_error == "value too long"


# Unchanged, stale, missed -------------------------------------------------------------------------------------------


def test_what_could_not_be_used_is_never_called_unchanged_later(site, read):
    site.lists["2026-06-02"] = ["rubbish"]
    read(name="huggingface")
    read(name="huggingface", force=True)

    assert [row.outcome for row in Fetch.objects.order_by("pk")] == [Outcome.FAILED] * 2


@pytest.mark.parametrize("more", [b"", b"\n"], ids=["not one byte changed", "built anew"])
def test_an_older_list_on_a_day_of_announcement_is_stale_however_often_it_is_read(site, read, more):
    site.pages["/atom/cs.CL"] = atom(MONDAY, 90001)
    read(MONDAY, name="arxiv.cs.CL")

    site.pages["/atom/cs.CL"] += more
    for _ in range(2):
        row = read(name="arxiv.cs.CL")[0]
        source = of("arxiv.cs.CL")
        assert (row.outcome, row.message) == (Outcome.STALE, "still the list of 2026-06-01")
        assert (source.state, source.failures, source.not_before_at) == (State.STALE, 0, None)
    assert listed("arxiv.cs.CL", MONDAY) == ["90001"]
    assert listed("arxiv.cs.CL") == []

    site.pages["/atom/cs.CL"] = atom(TUESDAY, 90002)
    read(name="arxiv.cs.CL")
    assert of("arxiv.cs.CL").state == State.FINE
    assert listed("arxiv.cs.CL") == ["90002"]


def test_a_missed_day_is_asked_again_once(site, read):
    site.pages["/atom/cs.CL"] = atom(MONDAY, 90001)
    read(MONDAY, name="arxiv.cs.CL")
    site.queries["cat:cs.CL"] = (90002, 90003)
    site.pages["/atom/cs.CL"] = atom(WEDNESDAY, 90004)

    missed, present = read(WEDNESDAY, name="arxiv.cs.CL")
    read(WEDNESDAY, name="arxiv.cs.CL")

    assert (missed.day, missed.outcome, missed.message) == (TUESDAY, Outcome.READ, "asked again for a missed day")
    assert (present.day, present.outcome) == (WEDNESDAY, Outcome.READ)
    assert (listed("arxiv.cs.CL"), listed("arxiv.cs.CL", WEDNESDAY)) == (["90002", "90003"], ["90004"])
    assert site.count("/api/query") == 1
    assert "submittedDate%3A%5B202605291800+TO+202606011759%5D" in site.asked[1]


def test_a_missed_day_that_had_nothing_is_asked_again_the_next_day_only(site, read, clock):
    site.pages["/atom/cs.CL"] = atom(MONDAY, 90001)
    read(MONDAY, name="arxiv.cs.CL")
    site.pages["/atom/cs.CL"] = atom(WEDNESDAY, 90004)

    for _ in range(3):
        read(WEDNESDAY, name="arxiv.cs.CL")
        clock.sleep(1800)
    assert site.count("/api/query") == 1

    site.pages["/atom/cs.CL"] = atom(date(2026, 6, 4), 90005)
    read(date(2026, 6, 4), name="arxiv.cs.CL")
    assert site.count("/api/query") == 2


def test_days_before_the_first_reading_and_days_off_are_not_missed(site, read):
    site.pages["/atom/cs.CL"] = atom(FRIDAY, 90001)
    read(FRIDAY, name="arxiv.cs.CL")
    site.pages["/atom/cs.CL"] = atom(NEXT_MONDAY, 90002)

    read(NEXT_MONDAY, name="arxiv.cs.CL")

    assert not site.count("/api/query")


def test_a_query_api_that_is_down_does_not_keep_todays_feed_from_being_read(site, read):
    site.pages["/atom/cs.CL"] = atom(MONDAY, 90001)
    read(MONDAY, name="arxiv.cs.CL")
    site.refuse("/api/query", 503)
    thursday = date(2026, 6, 4)
    site.pages["/atom/cs.CL"] = atom(thursday, 90004)

    rows = read(thursday, name="arxiv.cs.CL")

    assert [(row.day, row.outcome) for row in rows] == [
        (TUESDAY, Outcome.FAILED),
        (WEDNESDAY, Outcome.FAILED),
        (thursday, Outcome.READ),
    ]
    assert listed("arxiv.cs.CL", thursday) == ["90004"]


# Failures -----------------------------------------------------------------------------------------------------------


def test_after_two_failures_the_other_days_of_a_source_are_not_tried(site, read, settings):
    settings.DIGEST_REFRESH_DAYS = 7
    site.refuse("/api/daily_papers", 500)

    assert [row.outcome for row in read(name="huggingface")] == [Outcome.FAILED] * 2
    assert of("huggingface").failures == 1


def test_one_day_that_fails_loses_no_other_day_and_counts_as_a_failure(site, read, settings):
    settings.DIGEST_REFRESH_DAYS = 3
    site.lists |= {"2026-05-31": [item(90001)], "2026-06-01": ["rubbish"], "2026-06-02": [item(90003)]}

    rows = read(name="huggingface")

    assert [row.outcome for row in rows] == [Outcome.READ, Outcome.FAILED, Outcome.READ]
    assert Listing.objects.count() == 2
    assert (of("huggingface").state, of("huggingface").failures) == (State.FAILING, 1)


def test_a_failing_source_is_left_alone_for_longer_each_time_and_forgiven_at_once(site, read, clock):
    site.refuse("/api/daily_papers", 500)
    for minutes in (5, 10, 20, 40):
        read(name="huggingface")
        assert of("huggingface").not_before_at == clock.at + timedelta(minutes=minutes)
        assert read(name="huggingface") == []
        clock.sleep(minutes * 60)

    site.refusals.clear()
    read(name="huggingface")
    source = of("huggingface")
    assert (source.state, source.failures, source.not_before_at) == (State.FINE, 0, None)
    assert source.last_error.endswith("answered 500 Internal Server Error")


def test_retry_after_is_honoured(site, read, clock):
    site.refuse("/api/daily_papers", 429, Retry_After="120")
    read(name="huggingface")

    assert of("huggingface").not_before_at == clock.at + timedelta(seconds=120)
    site.refusals.clear()
    clock.sleep(119)
    assert read(name="huggingface") == []
    clock.sleep(1)
    assert len(read(name="huggingface")) == 1


def test_whoever_insists_asks_a_source_that_is_left_alone(site, read):
    site.refuse("/api/daily_papers", 429, Retry_After="120")
    read(name="huggingface")

    assert len(read(name="huggingface", force=True)) == 1


def test_arxivs_429_gives_all_of_arxiv_ten_minutes_rest_even_from_those_who_insist(site, read, clock, settings):
    settings.DIGEST_ARXIV_CATEGORIES = ["cs.CL", "cs.AI", "cs.CV"]
    site.refuse("/atom/cs.CL", 429, Retry_After="2")
    for category in ("cs.AI", "cs.CV"):
        site.pages[f"/atom/{category}"] = atom(TUESDAY, 90001, category=category)
    start = clock.at

    rows = read()

    assert [row.outcome for row in rows] == [Outcome.EMPTY, *[Outcome.FAILED] * 3]
    assert [of(f"arxiv.{category}").last_error for category in ("cs.AI", "cs.CV")] == [
        "arxiv is left alone until 08:10 UTC."
    ] * 2
    assert Pace.objects.get(name="arxiv").free_at == start + timedelta(minutes=10)
    clock.sleep(300)
    read(force=True)
    assert site.count("/atom/") == 1

    site.refusals.clear()
    site.pages["/atom/cs.CL"] = atom(TUESDAY, 90001)
    clock.at = start + timedelta(hours=1)
    read()
    assert clock.at >= start + timedelta(hours=1, seconds=6)
    assert {source.state for source in Source.objects.all()} == {State.FINE}


def test_requests_to_arxiv_keep_three_seconds_apart_and_others_do_not_wait(site, read, clock, settings):
    settings.DIGEST_ARXIV_CATEGORIES = ["cs.CL", "cs.AI", "cs.CV"]
    for category in settings.DIGEST_ARXIV_CATEGORIES:
        site.pages[f"/atom/{category}"] = atom(TUESDAY, 90001, category=category)

    read(name="huggingface")
    assert clock.waits == []
    read()

    assert sum(clock.waits) == 6
    assert Pace.objects.get(name="arxiv").free_at == clock.at + timedelta(seconds=3)


def test_a_rest_that_a_clock_set_back_since_has_written_holds_nobody_up(site, read, clock, settings):
    settings.DIGEST_ARXIV_CATEGORIES = ["cs.CL", "cs.AI"]
    Pace.objects.create(name="arxiv", free_at=clock.at + timedelta(days=300))
    for category in settings.DIGEST_ARXIV_CATEGORIES:
        site.pages[f"/atom/{category}"] = atom(TUESDAY, 90001, category=category)

    assert [row.outcome for row in read()[1:]] == [Outcome.READ] * 2
    assert sum(clock.waits) == 3


def test_a_feed_that_is_gone_is_asked_no_more(site, read, feed):
    site.refuse("/lab", 410)
    read(name="lab")

    feed.refresh_from_db()
    assert (feed.is_enabled, feed.state) == (False, State.FAILING)
    assert feed.last_error.endswith("answered 410 Gone")
    assert feed not in intake.enabled()


def test_a_feed_that_moved_for_good_is_asked_at_its_new_address_after_two_answers(site, read, feed):
    site.pages["/new"] = site.pages.pop("/lab")
    site.refuse("/lab", 301, Location="/new")
    old = feed.url

    read(name="lab")
    feed.refresh_from_db()
    assert feed.url == old

    read(name="lab")  # unchanged there, which is an answer too
    feed.refresh_from_db()
    assert feed.url == f"{site.url}/new"


def test_a_feed_that_says_two_addresses_or_means_it_for_a_while_stays(site, read, feed):
    site.pages |= {"/one": site.pages["/lab"], "/two": site.pages["/lab"]}
    old = feed.url

    for status, place in [(301, "/one"), (301, "/two"), (302, "/two"), (301, "/two"), (302, "/one"), (302, "/one")]:
        site.refuse("/lab", status, Location=place)
        read(name="lab")

    feed.refresh_from_db()
    assert feed.url == old


# Two at once, and half-way ------------------------------------------------------------------------------------------


def test_two_runs_at_once_ask_a_source_once(site, read, monkeypatch):
    site.lists["2026-06-02"] = [item(90001)]
    record, second = papers.record, []

    def meanwhile(*values, **options):
        second.append(read(name="huggingface"))
        return record(*values, **options)

    monkeypatch.setattr(papers, "record", meanwhile)
    read(name="huggingface")

    assert second == [[]]
    assert site.count("/api/daily_papers") == 1


def test_a_reading_that_stops_half_way_stores_nothing_of_its_day_and_is_made_up_for(
    site, read, clock, settings, monkeypatch
):
    settings.DIGEST_REFRESH_DAYS = 2
    site.lists |= {"2026-06-01": [item(90001)], "2026-06-02": [item(90002)]}
    record, add = papers.record, papers._list

    def stop(source, rows, *rest, **options):
        if rows[0][1] == TUESDAY:
            raise KeyboardInterrupt
        return add(source, rows, *rest, **options)

    monkeypatch.setattr(papers, "_list", stop)
    with pytest.raises(KeyboardInterrupt):
        read(name="huggingface")
    monkeypatch.undo()
    assert papers.record is record
    assert (listed("huggingface", MONDAY), listed("huggingface")) == (["90001"], [])
    assert not Paper.objects.filter(identifier="2606.90002").exists()
    assert not Observation.objects.filter(paper__identifier="2606.90002").exists()

    settings.DIGEST_REFRESH_DAYS = 2
    assert read(name="huggingface") == []
    clock.sleep(300)
    read(name="huggingface")
    assert (listed("huggingface", MONDAY), listed("huggingface")) == (["90001"], ["90002"])
    assert of("huggingface").state == State.FINE
