"""Entry: one paper as one source listed it, before we know it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, TypeVar

Announce = Literal["new", "cross", "replace"]


class SourceError(ValueError):
    """An answer that cannot be used as a whole; the message says what came instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    name: str
    hidden: bool = False
    #: what the source said besides (Hugging Face: `_id`, `status`, `user`), as JSON values
    extra: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    name: str
    fullname: str = ""
    avatar_url: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitter:
    name: str
    fullname: str = ""
    avatar_url: str = ""
    is_pro: bool = False
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Every field but identifier, url and title may be empty; empty never erases what is stored.

    `identifier` is the arXiv id without version, or "web." and 16 hex digits of the canonical URL's SHA-256.
    `title` and `abstract` are readable Unicode; `title_tex` and `abstract_tex` are the text as listed,
    white space mended, kept for showing mathematics on pages.
    `day` is the day the source says it listed the paper; None means the day that was asked for.
    """

    identifier: str
    url: str
    title: str
    title_tex: str = ""
    abstract: str = ""
    abstract_tex: str = ""
    version: int | None = None
    authors: tuple[Author, ...] = ()
    day: date | None = None
    published_at: datetime | None = None
    announce: Announce = "new"
    categories: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    votes: int | None = None
    comments: int | None = None
    stars: int | None = None
    organization: Organization | None = None
    submitter: Submitter | None = None
    ai_summary: str = ""
    code_url: str = ""
    project_url: str = ""
    thumbnail_url: str = ""
    media_urls: tuple[str, ...] = ()
    doi: str = ""
    journal_ref: str = ""
    license_url: str = ""
    #: Hugging Face's thread, for links to the discussion
    discussion_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What one answer held: the entries that could be read, and one line for each that could not."""

    entries: tuple[Entry, ...]
    skipped: tuple[str, ...] = ()
    #: all entries the answer had, read or not
    total: int = 0


_Item = TypeVar("_Item")


def collect(items: Sequence[_Item], read: Callable[[_Item], Entry], *, notes: tuple[str, ...] = ()) -> Parsed:
    """Read each item of an answer; one that cannot be read (ValueError), or stands there twice, is skipped and told.

    Raises SourceError where none of them could be read. `notes` are told before what was skipped.
    """
    entries: dict[str, Entry] = {}
    skipped: list[str] = []
    for number, item in enumerate(items, start=1):
        try:
            entry = read(item)
            if entry.identifier in entries:
                raise ValueError(f"{entry.url} stands here twice")
            entries[entry.identifier] = entry
        except ValueError as reason:
            skipped.append(f"entry {number}: {reason}")
    if items and not entries:
        raise SourceError(f"none of {len(items)} entries could be read; {skipped[0]}")
    return Parsed(entries=tuple(entries.values()), skipped=(*notes, *skipped), total=len(items))
