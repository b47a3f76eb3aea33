"""Any RSS or Atom feed, well-formed or nearly so, read into Entries."""

import re
from datetime import datetime
from typing import Any
from urllib.parse import urljoin

from digest import prose
from digest.sources import xml
from digest.sources.entry import Author, Entry, Parsed, SourceError, collect
from digest.sources.identifiers import arxiv_id, canonical_url, web_identifier

#: a longer link cannot be stored
URL_LENGTH = 500

_DOI = re.compile(r"10\.\d{4,9}/\S+")
_DOI_PLACES = ("prism_doi", "dc_identifier", "arxiv_doi", "doi")


def parse(body: bytes, *, base_url: str) -> Parsed:
    """The entries that have a title and a web link, each paper once; `base_url` completes relative links.

    A feed that is not well-formed is kept for what it yields. Raises SourceError where it yields nothing.
    Times are as the feed says, be they missing or in the future.
    """
    feed = xml.read(body)
    if not feed.entries and not xml.is_well_formed(feed):
        raise SourceError("a feed that is not well-formed came, and no entry could be read")
    return collect(feed.entries, lambda item: _entry(item, base_url))


def _entry(item: Any, base_url: str) -> Entry:
    title_tex = prose.tidy(_shown(item, "title"))
    title = prose.readable(title_tex)
    if not title:
        raise ValueError("it has no title")
    identifier, version, url = _identify(item, base_url)
    abstract_tex = prose.tidy(_summary(item), paragraphs=True)
    return Entry(
        identifier=identifier,
        version=version,
        url=url,
        title=title,
        title_tex=title_tex,
        abstract=prose.readable(abstract_tex, paragraphs=True),
        abstract_tex=abstract_tex,
        authors=tuple(Author(name=name) for name in _authors(item)),
        published_at=_published_at(item),
        keywords=_keywords(item),
        thumbnail_url=_thumbnail(item, base_url),
        doi=_doi(item),
        license_url=prose.link(str(item.get("license") or item.get("rights") or "")),
    )


def _identify(item: Any, base_url: str) -> tuple[str, int | None, str]:
    """The identifier, the version and the web address of an entry."""
    link, guid = str(item.get("link") or ""), str(item.get("id") or "")
    for place in (guid, link, *(str(item.get(key) or "") for key in _DOI_PLACES)):
        if found := arxiv_id(place):
            return *found, f"https://arxiv.org/abs/{found[0]}"
    address = _absolute(link, base_url) or (_absolute(guid, "") if guid.startswith("http") else "")
    if not address:
        raise ValueError("it has no web link")
    url = canonical_url(address)
    if len(url) > URL_LENGTH:
        raise ValueError("its web link is too long")
    return web_identifier(address), None, url


def _absolute(address: str, base_url: str) -> str:
    if not address.strip():
        return ""
    try:
        return prose.link(urljoin(base_url, address.strip()))
    except ValueError:
        return ""


def _shown(item: Any, key: str) -> str:
    """The text of an element, out of its HTML where feedparser takes it for HTML."""
    text, kind = str(item.get(key) or ""), str((item.get(f"{key}_detail") or {}).get("type", ""))
    return text if kind in ("", "text/plain") else prose.plain(text)


def _summary(item: Any) -> str:
    # Without a summary feedparser shows the content under that name, and keeps its type to itself.
    if item.get("summary_detail") and (summary := _shown(item, "summary")):
        return summary
    content: dict[str, Any] = next(iter(item.get("content") or []), {"value": item.get("summary")})
    text = str(content.get("value") or "")
    return text if content.get("type") == "text/plain" else prose.plain(text)


def _authors(item: Any) -> tuple[str, ...]:
    listed = [str(author.get("name") or "") for author in item.get("authors") or []]
    names = (prose.name(name) for name in listed or [str(item.get("author") or "")])
    return tuple(dict.fromkeys(name for name in names if name))


def _published_at(item: Any) -> datetime | None:
    return xml.moment(item, "published_parsed", "updated_parsed")


def _keywords(item: Any) -> tuple[str, ...]:
    words = (prose.readable(str(tag.get("label") or tag.get("term") or "")) for tag in item.get("tags") or [])
    return tuple(dict.fromkeys(word for word in words if word))


def _thumbnail(item: Any, base_url: str) -> str:
    pictures = item.get("media_thumbnail") or []
    return _absolute(str(pictures[0].get("url") or ""), base_url) if pictures else ""


def _doi(item: Any) -> str:
    for key in _DOI_PLACES:
        if found := _DOI.search(str(item.get(key) or "")):
            return found[0]
    return ""
