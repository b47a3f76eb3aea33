import gzip
import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.sources import huggingface
from digest.sources.entry import SourceError
from tests import recorded
from tests.digest.sources import as_json, expected, pairs

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
FIELDS = (
    "id authors mediaUrls mediaUrl publishedAt submittedOnDailyBy title summary upvotes discussionId projectPage"
    " githubRepo githubStars ai_summary ai_keywords organization thumbnail numComments submittedBy paper"
).split()
WRONG = st.dictionaries(st.sampled_from(FIELDS), JSON)


def test_a_page_of_a_day_is_asked_for_by_date() -> None:
    address = huggingface.url("https://huggingface.co/", date(2026, 1, 6), 2)
    assert address == "https://huggingface.co/api/daily_papers?date=2026-01-06&limit=100&p=2"


@pytest.mark.parametrize("answer", pairs("huggingface", ".json"), ids=lambda path: path.stem)
def test_an_answer_is_read_as_expected(answer: Path) -> None:
    assert as_json(huggingface.parse(answer.read_bytes())) == expected(answer)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty answer"),
        (b" \n", "empty answer"),
        (b"<!doctype html><title>Sign in</title>", "an HTML page came instead of JSON"),
        (b'[{"paper": {"id": "2601.9', "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"\xff\xfe[", "no JSON"),
        (b'{"error": "Invalid date"}', "Invalid date"),
        (b'{"papers": []}', "no list"),
        (b"7", "no list"),
        (b'[{"paper": {}}, {}]', "none of 2"),
    ],
)
def test_an_answer_that_is_no_list_is_refused_in_words(body: bytes, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        huggingface.parse(body)


@pytest.mark.parametrize(
    ("nested", "top", "shown"),
    [
        ("nabla^2Net", r"$\nabla^2$Net", "∇²Net"),
        ("AIEV Net", r"\textsc{AIEV} Net", "AIEV Net"),
        ("One Title", "Another Title", "One Title"),
        ("", "Only on Top", "Only on Top"),
        ("Only\n  Nested", None, "Only Nested"),
    ],
)
def test_the_title_with_tex_is_taken_only_where_it_is_the_same(nested: str, top: str | None, shown: str) -> None:
    item = {"paper": {"id": "2601.90001", "title": nested}, "title": top}
    assert huggingface.parse(json.dumps([item]).encode()).entries[0].title == shown


@given(st.lists(WRONG | JSON, max_size=4))
def test_a_good_entry_survives_any_neighbour(neighbours: list[object]) -> None:
    good = {"paper": {"id": "2601.90001", "title": "Good"}}
    parsed = huggingface.parse(json.dumps([good, *neighbours]).encode())
    assert parsed.entries[0].title == "Good"
    assert parsed.total == 1 + len(neighbours) == len(parsed.entries) + len(parsed.skipped)


@given(WRONG, WRONG)
def test_fields_of_wrong_types_are_ignored(nested: dict[str, object], top: dict[str, object]) -> None:
    item = {**top, "paper": {**nested, "id": "2601.90001", "title": "Good"}}
    assert huggingface.parse(json.dumps([item]).encode()).skipped == ()


def test_every_recorded_day_is_read_without_a_skip() -> None:
    for path in sorted(recorded.need("hf_daily").glob("*.json.gz")):
        body = gzip.decompress(path.read_bytes())
        parsed = huggingface.parse(body)
        items = json.loads(body)
        assert (parsed.skipped, len(parsed.entries)) == ((), len(items)), path.name
        assert [entry.identifier for entry in parsed.entries] == [item["paper"]["id"] for item in items]
        assert all(entry.published_at and entry.votes is not None for entry in parsed.entries)
