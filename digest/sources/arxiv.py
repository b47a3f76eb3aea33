"""arXiv: the daily feed of a category, the query API for days that were missed, and the days arXiv announces."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from digest import prose
from digest.sources import xml
from digest.sources.entry import Announce, Author, Entry, Parsed, SourceError, collect
from digest.sources.identifiers import arxiv_id

EASTERN = ZoneInfo("America/New_York")
#: the most a feed holds, and the most the query API gives at once
LIMIT = 2000
#: the days of 2026 whose feed is empty though they are no Saturday or Sunday
HOLIDAYS = frozenset(
    date.fromisoformat(f"2026-{day}")
    for day in ("01-01", "01-19", "06-19", "07-03", "09-07", "11-26", "12-25", "12-29", "12-31")
)

_DEADLINE = time(14)
_KINDS: dict[str, Announce] = {"new": "new", "cross": "cross", "replace": "replace", "replace-cross": "replace"}
#: archives that are divided into classes
_DIVIDED = frozenset("astro-ph cond-mat cs econ eess math nlin physics q-bio q-fin stat".split())
_PREFIX = re.compile(r"\A\s*arXiv:\S+\s+Announce Type:\s*[\w-]+\s*\n?\s*(?:Abstract:\s*)?")
#: arXiv's own categories, which the query API mixes with those of ACM and MSC
_CATEGORY = re.compile(r"[a-z]+(?:-[a-z]+)*(?:\.[A-Za-z-]+)?")


def feed_url(base: str, category: str) -> str:
    """The address of a category's feed of today."""
    return f"{base.rstrip('/')}/atom/{quote(category, safe='.-')}"


def backfill_url(
    query_base: str, category: str, day: date, *, start: int = 0, holidays: frozenset[date] = HOLIDAYS
) -> str:
    """The query for what the feed dated `day` announced as new, cross-lists with it, from the `start`-th on.

    Raises ValueError for a day without a feed.
    """
    since, until = _window(day, holidays)
    window = f"{since:%Y%m%d%H%M} TO {until:%Y%m%d%H%M}"
    query = {
        "search_query": f"cat:{category}{'.*' if category in _DIVIDED else ''} AND submittedDate:[{window}]",
        "sortBy": "submittedDate",
        "sortOrder": "ascending",
        "start": start,
        "max_results": LIMIT,
    }
    return f"{query_base}?{urlencode(query)}"


def announces(day: date, holidays: frozenset[date] = HOLIDAYS) -> bool:
    """Whether the feed dated `day` holds papers: Monday to Friday but for arXiv's holidays."""
    return day.weekday() < 5 and day not in holidays


def parse_feed(body: bytes) -> Parsed:
    """The entries of a daily feed, which may be none.

    Raises SourceError for an error feed, and for XML that was cut: half an entry must not pass for one.
    """
    feed = _whole(body)
    title = prose.tidy(str(feed.feed.get("title", "")))
    if title.lower().startswith("feed error"):
        raise SourceError(f"arXiv answered: {title[:200]}")
    cut = ("the feed was cut at 2,000 entries: ask for smaller categories",) if len(feed.entries) >= LIMIT else ()
    return collect(feed.entries, _feed_entry, notes=cut)


def parse_query(body: bytes, *, day: date, category: str) -> Parsed:
    """The entries of a query for `category`, as if the feed dated `day` had listed them."""
    feed = _whole(body)
    for entry in feed.entries:
        if "/api/errors" in str(entry.get("id", "")):
            raise SourceError(f"arXiv answered: {prose.tidy(str(entry.get('summary', 'an error')))[:200]}")
    return collect(feed.entries, lambda entry: _query_entry(entry, day, category))


def _window(day: date, holidays: frozenset[date]) -> tuple[datetime, datetime]:
    """The first and the last minute, in UTC, of submissions the feed dated `day` announces."""
    if not announces(day, holidays):
        raise ValueError(f"arXiv has no feed dated {day.isoformat()}")
    before = day - timedelta(days=1)
    while not announces(before, holidays):
        before -= timedelta(days=1)
    return _closing(before), _closing(day) - timedelta(minutes=1)


def _closing(day: date) -> datetime:
    """When submissions for the feed dated `day` closed: 14:00 Eastern the day before, on Friday for Monday's."""
    closed = day - timedelta(days=3 if day.weekday() == 0 else 1)
    return datetime.combine(closed, _DEADLINE, EASTERN).astimezone(UTC)


def _whole(body: bytes) -> Any:
    feed = xml.read(body)
    if not xml.is_well_formed(feed):
        raise SourceError("a feed that is not well-formed came, or only a part of it")
    return feed


def _feed_entry(item: Any) -> Entry:
    identifier, version = _identify(item)
    announced = str(item.get("arxiv_announce_type", "new")).strip().lower()
    if announced not in _KINDS:
        raise ValueError(f"{identifier} is announced as {announced[:40]!r}")
    listed_at = xml.moment(item, "published_parsed")
    # The feed knows the midnight of its listing only; of a first version that is close to the paper's own date.
    is_first = announced == "new" and version in (None, 1)
    return _entry(
        item,
        identifier,
        version,
        abstract=_PREFIX.sub("", str(item.get("summary", "")), count=1),
        authors=split_authors(_creators(item)),
        day=listed_at.astimezone(EASTERN).date() if listed_at else None,
        published_at=listed_at if is_first else None,
        announce=_KINDS[announced],
        categories=_terms(item),
        doi=str(item.get("arxiv_doi", "")),
        journal_ref=str(item.get("arxiv_journal_reference", "")),
    )


def _query_entry(item: Any, day: date, category: str) -> Entry:
    identifier, version = _identify(item)
    primary = str((item.get("arxiv_primary_category") or {}).get("term", ""))
    categories = tuple(dict.fromkeys((*([primary] if primary else []), *filter(_CATEGORY.fullmatch, _terms(item)))))
    is_ours = not categories or categories[0] == category or categories[0].startswith(f"{category}.")
    return _entry(
        item,
        identifier,
        version,
        abstract=str(item.get("summary", "")),
        authors=tuple(prose.name(str(author.get("name", ""))) for author in item.get("authors", [])),
        day=day,
        published_at=xml.moment(item, "published_parsed"),
        announce="new" if is_ours else "cross",
        categories=categories,
        doi=str(item.get("arxiv_doi", "")),
        journal_ref=str(item.get("arxiv_journal_ref", "")),
    )


def _entry(
    item: Any,
    identifier: str,
    version: int | None,
    *,
    abstract: str,
    authors: tuple[str, ...],
    day: date | None,
    published_at: datetime | None,
    announce: Announce,
    categories: tuple[str, ...],
    doi: str,
    journal_ref: str,
) -> Entry:
    title_tex = prose.tidy(str(item.get("title", "")))
    title = prose.readable(title_tex)
    if not title:
        raise ValueError(f"{identifier} has no title")
    abstract_tex = prose.tidy(_paragraphs(abstract), paragraphs=True)
    return Entry(
        identifier=identifier,
        version=version,
        url=f"https://arxiv.org/abs/{identifier}",
        title=title,
        title_tex=title_tex,
        abstract=prose.readable(abstract_tex, paragraphs=True),
        abstract_tex=abstract_tex,
        authors=tuple(Author(name=name) for name in authors if name),
        day=day,
        published_at=published_at,
        announce=announce,
        categories=categories,
        doi=prose.tidy(doi),
        journal_ref=prose.readable(journal_ref),
        license_url=prose.link(str(item.get("rights", ""))),
    )


def _identify(item: Any) -> tuple[str, int | None]:
    """The id and version of an entry; the version stands in the id, the link has none."""
    for place in ("id", "link"):
        if found := arxiv_id(str(item.get(place, ""))):
            return found
    raise ValueError("it has no arXiv id")


def _paragraphs(abstract: str) -> str:
    """arXiv begins a paragraph with an indented line; other line breaks are only where a line was full."""
    return re.sub(r"\n[ \t]{2,}(?=\S)", "\n\n", abstract.strip())


def _terms(item: Any) -> tuple[str, ...]:
    terms = (prose.tidy(str(tag.get("term") or "")) for tag in item.get("tags", []))
    return tuple(dict.fromkeys(term for term in terms if term))


def _creators(item: Any) -> str:
    names = [str(author.get("name", "")) for author in item.get("authors", [])]
    return ", ".join(names) if len(names) > 1 else str(item.get("author", ""))


def split_authors(creators: str) -> tuple[str, ...]:
    """The names in `dc:creator`: split at commas outside parentheses, which hold affiliations and go."""
    names = (prose.name(name) for name in "".join(_outside_parentheses(creators)).split("\0"))
    return tuple(name for name in names if name)


def _outside_parentheses(creators: str) -> Iterator[str]:
    """The characters outside parentheses, a NUL for each comma between names."""
    depth = 0
    for character in creators.replace("\0", ""):
        if character == "(":
            depth += 1
        elif character == ")" and depth:
            depth -= 1
        elif not depth:
            yield "\0" if character == "," else character
