"""Papers as a feed: Atom (RFC 4287), RSS 2.0, JSON Feed 1.1."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.feedgenerator import Atom1Feed, Rss201rev2Feed, SyndicationFeed

from digest import prose

TYPES = {
    "atom": "application/atom+xml; charset=utf-8",
    "rss": "application/rss+xml; charset=utf-8",
    "json": "application/feed+json; charset=utf-8",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One paper. `html` is safe; `url` is its page here and its name for ever, `source` its page elsewhere."""

    url: str
    source: str
    title: str
    html: str
    authors: tuple[str, ...]
    categories: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """`url` is the page that the feed follows, `address` the feed's own; `at` is the time of an empty one."""

    language: str
    title: str
    description: str
    url: str
    address: str
    at: datetime
    entries: Sequence[Entry]

    @property
    def updated_at(self) -> datetime:
        return max((entry.at for entry in self.entries), default=self.at)


#: What XML 1.0 does not allow, and what turns the direction of the text around it.
_ILLEGAL = re.compile("[^\t\n -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]")


class _Atom(Atom1Feed):
    """Django's, with all authors of a paper, and where it comes from."""

    def add_item_elements(self, handler: Any, item: Any) -> None:
        for name in item["authors"]:
            handler.startElement("author", {})
            handler.addQuickElement("name", name)
            handler.endElement("author")
        if item["source"]:
            handler.addQuickElement("link", "", {"rel": "related", "href": item["source"]})
        super().add_item_elements(handler, item)


def written(feed: Feed, form: str) -> bytes:
    """The feed in one of TYPES."""
    return _json(feed) if form == "json" else _xml(feed, _Atom if form == "atom" else Rss201rev2Feed)


def _xml(feed: Feed, kind: type[SyndicationFeed]) -> bytes:
    made = kind(
        title=prose.tidy(feed.title),
        link=feed.url,
        description=prose.tidy(feed.description),
        language=feed.language,
        author_name=prose.tidy(feed.title) if kind is _Atom else None,
        feed_url=feed.address,
        feed_guid=feed.address,
    )
    made.latest_post_date = lambda: feed.updated_at  # type: ignore[method-assign]  # Django's asks the clock
    for entry in feed.entries:
        names = tuple(prose.tidy(name) for name in entry.authors)
        made.add_item(
            title=prose.tidy(entry.title),
            link=entry.url,
            description=_legal(entry.html),
            unique_id=entry.url,
            unique_id_is_permalink=True,
            author_name=None if kind is _Atom else ", ".join(names) or None,
            authors=names,
            source=entry.source,
            categories=[prose.tidy(name) for name in entry.categories],
            pubdate=entry.at,
            updateddate=entry.at,
        )
    text: str = made.writeString("utf-8")
    return text.encode()


def _json(feed: Feed) -> bytes:
    value = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": prose.tidy(feed.title),
        "description": prose.tidy(feed.description),
        "home_page_url": feed.url,
        "feed_url": feed.address,
        "language": feed.language,
        "items": [
            {
                "id": entry.url,
                "url": entry.url,
                **({"external_url": entry.source} if entry.source else {}),
                "title": prose.tidy(entry.title),
                "content_html": _legal(entry.html),
                "date_published": entry.at.isoformat(),
                "authors": [{"name": prose.tidy(name)} for name in entry.authors],
                "tags": [prose.tidy(name) for name in entry.categories],
            }
            for entry in feed.entries
        ],
    }
    return json.dumps(value, ensure_ascii=False, indent=1).encode()


def _legal(html: str) -> str:
    """HTML as it is, but for characters that no feed may hold."""
    return _ILLEGAL.sub("", html)
