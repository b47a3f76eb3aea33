from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.sources import feed
from digest.sources.entry import SourceError
from tests.digest.sources import as_json, expected, pairs

BASE = "https://blog.example/feed.xml"


def rss(items: str) -> bytes:
    return f'<?xml version="1.0"?><rss version="2.0"><channel><title>x</title>{items}</channel></rss>'.encode()


@pytest.mark.parametrize("answer", pairs("feed", ".xml"), ids=lambda path: path.stem)
def test_a_feed_is_read_as_expected(answer: Path) -> None:
    assert as_json(feed.parse(answer.read_bytes(), base_url=BASE)) == expected(answer)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"<!doctype html><p>Not found", "HTML"),
        (rss("<item><title>No link</title></item>"), "none of 1"),
        (b'<rss version="2.0"><channel><title>Cut', "not well-formed"),
    ],
)
def test_a_feed_that_yields_nothing_is_refused_in_words(body: bytes, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        feed.parse(body, base_url=BASE)


@pytest.mark.parametrize(
    "link",
    [
        "https://arxiv.org/abs/2601.90001",
        "https://arxiv.org/pdf/2601.90001v3",
        "https://huggingface.co/papers/2601.90001",
        "https://doi.org/10.48550/arXiv.2601.90001",
    ],
)
def test_a_paper_of_arxiv_is_known_by_its_id_in_any_feed(link: str) -> None:
    (entry,) = feed.parse(rss(f"<item><title>x</title><link>{link}</link></item>"), base_url=BASE).entries
    assert (entry.identifier, entry.url) == ("2601.90001", "https://arxiv.org/abs/2601.90001")


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "data:text/html,x", "file:///etc/hostname", "https://a@b.example/"]
)
def test_f7_only_web_links_are_kept(link: str) -> None:
    good = "<item><title>y</title><link>https://blog.example/y</link></item>"
    parsed = feed.parse(
        rss(f"<item><title>x</title><link>{link}</link><guid>{link}</guid></item>{good}"), base_url=BASE
    )
    assert [entry.url for entry in parsed.entries] == ["https://blog.example/y"]
    assert parsed.skipped == ("entry 1: it has no web link",)


def test_f6_hostile_characters_leave_no_trace() -> None:
    item = "<item><title>a\u202eb</title><link>https://blog.example/1</link><description>x\u2066y</description></item>"
    (entry,) = feed.parse(rss(item), base_url=BASE).entries
    assert (entry.title, entry.abstract) == ("ab", "xy")


@given(st.text(max_size=200), st.text(max_size=50))
def test_any_text_in_a_feed_is_read_or_refused(text: str, link: str) -> None:
    body = rss(
        f"<item><title>{text}</title><link>{link}</link><pubDate>{text}</pubDate></item>".encode(
            errors="replace"
        ).decode()
    )
    with suppress(SourceError):
        parsed = feed.parse(body, base_url=BASE)
        assert all(entry.url.startswith(("http://", "https://")) and entry.title for entry in parsed.entries)
