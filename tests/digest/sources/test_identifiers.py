import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.sources.identifiers import arxiv_id, canonical_url, web_identifier


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2601.90001", ("2601.90001", None)),
        ("2601.90001v2", ("2601.90001", 2)),
        ("arXiv:2601.90001v12", ("2601.90001", 12)),
        ("oai:arXiv.org:2601.90001v1", ("2601.90001", 1)),
        ("https://arxiv.org/abs/2601.90001", ("2601.90001", None)),
        ("http://export.arxiv.org/abs/2601.90001v3", ("2601.90001", 3)),
        ("https://arxiv.org/pdf/2601.90001v2.pdf", ("2601.90001", 2)),
        ("https://huggingface.co/papers/2601.90001", ("2601.90001", None)),
        ("https://hf.co/papers/2601.90001#community", ("2601.90001", None)),
        ("10.48550/arXiv.2601.90001", ("2601.90001", None)),
        ("https://doi.org/10.48550/ARXIV.2601.90001", ("2601.90001", None)),
        ("oai:arXiv.org:hep-th/9901001v2", ("hep-th/9901001", 2)),
        ("https://arxiv.org/abs/math.GT/0309136", ("math/0309136", None)),
        ("0704.9001", ("0704.9001", None)),
        ("2613.90001", None),
        ("2601.900011", None),
        ("https://blog.example/2601.90001", None),
        ("https://notarxiv.org/abs/2601.90001", None),
        ("version 2601.90001 of us", None),
        ("", None),
    ],
)
def test_arxiv_ids_are_found_where_they_stand(text: str, found: tuple[str, int | None] | None) -> None:
    assert arxiv_id(text) == found


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("HTTPS://Blog.Example:443/Posts/1#top", "https://blog.example/Posts/1"),
        ("http://blog.example", "http://blog.example/"),
        ("http://blog.example:8080/x", "http://blog.example:8080/x"),
        ("https://blog.example/?utm_source=rss&b=2&a=&UTM_medium=x", "https://blog.example/?b=2&a="),
        ("https://blog.example/?b=%20x", "https://blog.example/?b=%20x"),
        ("https://[2001:DB8::1]:443/x", "https://[2001:db8::1]/x"),
    ],
)
def test_canonical_urls_forget_what_does_not_matter(url: str, canonical: str) -> None:
    assert canonical_url(url) == canonical
    assert canonical_url(canonical) == canonical


def test_one_address_has_one_identifier() -> None:
    identifier = web_identifier("https://blog.example/1")
    assert identifier == web_identifier("HTTPS://BLOG.example/1?utm_campaign=x#y")
    assert identifier != web_identifier("https://blog.example/2")
    assert identifier.startswith("web.") and len(identifier) == 20


@given(st.text(max_size=300))
def test_no_text_breaks_the_search(text: str) -> None:
    arxiv_id(text)
