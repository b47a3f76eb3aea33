import importlib.util
import re
import sys
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.sources import arxiv
from digest.sources.entry import Parsed, SourceError
from tests import recorded
from tests.digest.sources import DATA, as_json, expected, pairs

TUESDAY = date(2026, 1, 6)


def parse(answer: Path) -> Parsed:
    if answer.name.startswith("query"):
        return arxiv.parse_query(answer.read_bytes(), day=TUESDAY, category="cs.AI")
    return arxiv.parse_feed(answer.read_bytes())


def window(day: date) -> str:
    query = parse_qs(urlsplit(arxiv.backfill_url("https://export.arxiv.org/api/query", "cs.AI", day)).query)
    found = re.search(r"submittedDate:\[(.*)\]", query["search_query"][0])
    assert found
    return found[1]


@pytest.mark.parametrize("answer", pairs("arxiv", ".xml"), ids=lambda path: path.stem)
def test_an_answer_is_read_as_expected(answer: Path) -> None:
    assert as_json(parse(answer)) == expected(answer)


@pytest.mark.parametrize(
    ("name", "words"),
    [("error.xml", "Feed error for query: cs.NOPE"), ("query_error.xml", "incorrect id format")],
)
def test_an_error_in_the_shape_of_a_feed_is_an_error(name: str, words: str) -> None:
    body = (DATA / "arxiv" / name).read_bytes()
    with pytest.raises(SourceError, match=words):
        arxiv.parse_query(body, day=TUESDAY, category="cs.AI") if "query" in name else arxiv.parse_feed(body)


@given(st.integers(min_value=1, max_value=(DATA / "arxiv" / "feed.xml").stat().st_size - 10))
def test_f1_a_feed_that_was_cut_gives_no_half_paper(length: int) -> None:
    with pytest.raises(SourceError):
        arxiv.parse_feed((DATA / "arxiv" / "feed.xml").read_bytes()[:length])


def test_a_feed_of_exactly_2000_entries_says_that_it_was_cut() -> None:
    entries = "".join(
        f"<entry><id>oai:arXiv.org:2601.{90001 + n}v1</id><title>Widget {n}</title></entry>" for n in range(2000)
    )
    parsed = arxiv.parse_feed(f'<feed xmlns="http://www.w3.org/2005/Atom">{entries}</feed>'.encode())
    assert len(parsed.entries) == parsed.total == 2000
    assert parsed.skipped == ("the feed was cut at 2,000 entries: ask for smaller categories",)


def test_a_feed_without_one_usable_entry_is_refused() -> None:
    with pytest.raises(SourceError, match="none of 1"):
        arxiv.parse_feed(b'<feed xmlns="http://www.w3.org/2005/Atom"><entry><title>x</title></entry></feed>')


@pytest.mark.parametrize(
    ("creators", "names"),
    [
        (r"Paulo Andr\'e Lima,  Deepti", ("Paulo André Lima", "Deepti")),
        ("Ada Example (Example Lab, Example Town), Ben Sample", ("Ada Example", "Ben Sample")),
        ("Ada ((Nested, Lab) Town), , Ben,", ("Ada", "Ben")),
        ("Ada (never, closed", ("Ada",)),
        ("Ben) Sample, Ada", ("Ben) Sample", "Ada")),
        ("", ()),
    ],
)
def test_creators_are_split_outside_parentheses(creators: str, names: tuple[str, ...]) -> None:
    assert arxiv.split_authors(creators) == names


def test_addresses_name_one_category() -> None:
    assert arxiv.feed_url("https://rss.arxiv.org/", "cs.AI") == "https://rss.arxiv.org/atom/cs.AI"
    assert arxiv.feed_url("https://rss.arxiv.org", "a/b+c") == "https://rss.arxiv.org/atom/a%2Fb%2Bc"


@pytest.mark.parametrize(
    ("day", "submitted"),
    [
        ("2026-06-01", "202605281800 TO 202605291759"),
        ("2026-06-02", "202605291800 TO 202606011759"),
        ("2026-06-03", "202606011800 TO 202606021759"),
        ("2026-06-04", "202606021800 TO 202606031759"),
        ("2026-06-05", "202606031800 TO 202606041759"),
        # Clocks go forward on 8 March: the window begins in winter and ends in summer time.
        ("2026-03-10", "202603061900 TO 202603091759"),
        # Nothing was announced on New Year's Day.
        ("2026-01-02", "202512301900 TO 202601011859"),
    ],
)
def test_a_missed_day_is_asked_for_by_its_window_of_submission(day: str, submitted: str) -> None:
    assert window(date.fromisoformat(day)) == submitted


def test_the_windows_of_a_year_leave_no_gap() -> None:
    days = [date(2026, 1, 2) + timedelta(days=offset) for offset in range(360)]
    windows = [window(day).split(" TO ") for day in days if arxiv.announces(day, arxiv.HOLIDAYS)]
    for (_, until), (since, _) in pairwise(windows):
        assert until[8:10] in ("17", "18") and until[10:] == "59"
        assert int(since) == int(until) + 41


def test_a_query_pages_through_archives_and_classes() -> None:
    address = arxiv.backfill_url("https://export.arxiv.org/api/query", "cs", TUESDAY, start=2000)
    query = parse_qs(urlsplit(address).query)
    assert query["search_query"][0].startswith("cat:cs.* AND submittedDate:[")
    assert (query["start"], query["max_results"], query["sortBy"]) == (["2000"], ["2000"], ["submittedDate"])
    assert "cat%3Ahep-th+AND" in arxiv.backfill_url("https://export.arxiv.org/api/query", "hep-th", TUESDAY)


@pytest.mark.parametrize("day", ["2026-01-03", "2026-01-04", "2026-01-19"])
def test_no_feed_is_expected_on_weekends_and_holidays(day: str) -> None:
    assert not arxiv.announces(date.fromisoformat(day), arxiv.HOLIDAYS)
    with pytest.raises(ValueError, match="no feed"):
        window(date.fromisoformat(day))


def test_papers_are_expected_on_working_days() -> None:
    assert all(arxiv.announces(TUESDAY + timedelta(days=offset), arxiv.HOLIDAYS) for offset in range(4))
    assert arxiv.announces(date(2026, 1, 19), frozenset())


def test_recorded_names_survive_the_accents_of_the_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The replay server writes recorded names with TeX accents, as arXiv does; they must come back unchanged."""
    folder = recorded.need("arxiv_listing.jsonl.gz").parent
    server = folder.parent / "replay" / "serve.py"
    if not server.exists():
        pytest.skip("the replay server is not beside the recordings")
    spec = importlib.util.spec_from_file_location("replay_serve", server)
    assert spec and spec.loader
    replay = importlib.util.module_from_spec(spec)
    # Leave no compiled file beside somebody else's script.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    spec.loader.exec_module(replay)
    recordings = replay.Recorded(folder, "2026-06-02")
    checked = 0
    for day in sorted(recordings.arxiv):
        recordings.today = day
        papers = {paper["id"]: paper for paper in recordings.arxiv[day]}
        for category in ("cs.AI", "cs.CV", "cs.CL"):
            for entry in arxiv.parse_feed(recordings.atom(category).encode()).entries:
                paper = papers[entry.identifier]
                recorded_names = [" ".join(name.split()) for name in paper["authors"]]
                assert [author.name for author in entry.authors] == recorded_names
                assert entry.categories == tuple(dict.fromkeys(paper["categories"]))
                assert entry.day == date.fromisoformat(day)
                assert not entry.abstract.startswith("arXiv:")
                checked += 1
    assert checked > 5000
