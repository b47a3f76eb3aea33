"""What sources list becomes papers and listings. Recording the same thing twice changes nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from django.db import transaction

from digest import stamps
from digest.models import Announce, Listing, Observation, Paper, Source
from digest.sources.entry import Entry

CHUNK = 500
COUNTS = ("votes", "comments", "stars")
#: Columns that a later reading may fill or change, but never empty.
LATER = ("ai_summary", "code_url", "project_url", "thumbnail_url", "doi", "journal_ref", "license_url", "discussion_id")
TEXT = ("title", "title_tex", "abstract", "abstract_tex")
_RANK = {
    Source.Kind.ARXIV: Paper.TextFrom.ARXIV,
    Source.Kind.HUGGINGFACE: Paper.TextFrom.HUGGINGFACE,
    Source.Kind.FEED: Paper.TextFrom.FEED,
}
_PRECEDENCE = {Announce.NEW: 0, Announce.CROSS: 1, Announce.REPLACE: 2}


@dataclass(frozen=True, slots=True)
class Recorded:
    new_papers: int = 0
    new_listings: int = 0
    changed_papers: int = 0


@transaction.atomic
def record(source: Source, day: date, entries: Iterable[Entry], *, now: datetime) -> Recorded:
    """Store what a source listed for `day`: papers merged by identifier, one listing a day, numbers observed.

    An entry that names its own day is listed under it, unless that day is still to come.
    """
    best: dict[tuple[str, date], Entry] = {}
    for entry in entries:
        listed = entry.day if entry.day and entry.day <= day else day
        key = entry.identifier, listed
        if key not in best or _PRECEDENCE[Announce(entry.announce)] < _PRECEDENCE[Announce(best[key].announce)]:
            best[key] = entry
    rows = [(entry, listed) for (_, listed), entry in best.items()]
    done = [_chunk(source, rows[at : at + CHUNK], now=now) for at in range(0, len(rows), CHUNK)]
    recorded = Recorded(
        sum(part.new_papers for part in done),
        sum(part.new_listings for part in done),
        sum(part.changed_papers for part in done),
    )
    if recorded != Recorded():
        stamps.bump("papers")
    return recorded


def _chunk(source: Source, rows: Sequence[tuple[Entry, date]], *, now: datetime) -> Recorded:
    wanted = {entry.identifier for entry, _ in rows}
    known = set(Paper.objects.filter(identifier__in=wanted).values_list("identifier", flat=True))
    fresh: dict[str, Paper] = {}
    for entry, _ in rows:
        if entry.identifier not in known and entry.identifier not in fresh:
            fresh[entry.identifier] = _paper(entry, source, now=now)
    Paper.objects.bulk_create(fresh.values(), ignore_conflicts=True)
    papers = {paper.identifier: paper for paper in Paper.objects.filter(identifier__in=wanted)}

    changed: dict[Paper, set[str]] = {}
    observed = {}
    for entry, _ in rows:
        paper = papers[entry.identifier]
        before = {name: getattr(paper, name) for name in COUNTS}
        if names := _merge(paper, entry, source):
            paper.changed_at = now
            changed.setdefault(paper, {"changed_at"}).update(names)
        counts = {name: getattr(paper, name) for name in COUNTS}
        if counts != before or (entry.identifier in fresh and any(value is not None for value in counts.values())):
            observed[paper.pk] = Observation(paper=paper, at=now, **counts)
    if changed:
        Paper.objects.bulk_update(changed, sorted(set().union(*changed.values())))
    Observation.objects.bulk_create(observed.values(), ignore_conflicts=True)
    return Recorded(len(fresh), _list(source, rows, papers, now=now), len(changed))


def _list(source: Source, rows: Sequence[tuple[Entry, date]], papers: dict[str, Paper], *, now: datetime) -> int:
    """Add the listings that are not there; returns how many."""
    keys = {(papers[entry.identifier].pk, day) for entry, day in rows}
    there = set(
        Listing.objects.filter(source=source, paper__in=[key for key, _ in keys], day__in={day for _, day in keys})
        .values_list("paper_id", "day")
        .order_by()
    )
    listings = [
        Listing(
            paper=papers[entry.identifier],
            source=source,
            day=day,
            announce=entry.announce,
            submitter=storable(asdict(entry.submitter)) if entry.submitter else None,
            first_seen_at=now,
        )
        for entry, day in rows
        if (papers[entry.identifier].pk, day) not in there
    ]
    Listing.objects.bulk_create(listings, ignore_conflicts=True)
    return len(listings)


def _paper(entry: Entry, source: Source, *, now: datetime) -> Paper:
    """A paper as its first entry has it."""
    paper = Paper(
        identifier=entry.identifier,
        url=entry.url,
        text_from=_RANK[Source.Kind(source.kind)],
        created_at=now,
        changed_at=now,
        **{name: getattr(entry, name) for name in COUNTS},
        **_text(entry),
    )
    _merge(paper, entry, source)
    return paper


def _merge(paper: Paper, entry: Entry, source: Source) -> list[str]:
    """Take from an entry what is better than what is stored; returns the names of the fields that changed."""
    rank = _RANK[Source.Kind(source.kind)]
    new: dict[str, Any] = {name: getattr(entry, name) for name in (*LATER, *COUNTS)}
    # A listing's date may stand in for the paper's own: the earliest known is the closest to it.
    new["published_at"] = min(filter(None, [entry.published_at, paper.published_at]), default=None)
    if rank >= paper.text_from and (entry.version or 0) >= (paper.version or 0):
        new |= _text(entry) | {"text_from": rank, "authors": _authors(entry), "url": entry.url}
    new["version"] = max(entry.version or 0, paper.version or 0) or None
    new["categories"] = list(entry.categories)
    new["keywords"] = [word for word in entry.keywords if len(word) <= 100]
    new["media_urls"] = list(entry.media_urls)
    new["organization"] = asdict(entry.organization) if entry.organization else None
    if not paper.authors:
        new["authors"] = _authors(entry)
    if entry.announce != "new" and paper.categories:
        new["categories"] = []  # a cross-list's own category may stand first; the paper's primary one is known
    changed = []
    for name, value in new.items():
        value = _fit(name, storable(value))
        # Absent never erases; 0 votes are a reading, not an absence.
        if value in (None, "", [], {}) or value == getattr(paper, name):
            continue
        setattr(paper, name, value)
        changed.append(name)
    return changed


def _text(entry: Entry) -> dict[str, str]:
    title_tex = entry.title_tex if entry.title_tex != entry.title else ""
    abstract_tex = entry.abstract_tex if entry.abstract_tex != entry.abstract else ""
    values = {"title": entry.title, "title_tex": title_tex, "abstract": entry.abstract, "abstract_tex": abstract_tex}
    return {name: _fit(name, storable(value)) for name, value in values.items()}


def _authors(entry: Entry) -> list[dict[str, Any]]:
    return [{"name": author.name, "hidden": author.hidden, **dict(author.extra)} for author in entry.authors]


#: No title is longer; what claims to be is somebody's attack.
LONGEST_TITLE = 300


def _fit(name: str, value: Any) -> Any:
    """Cut text to its column; an address that does not fit is none."""
    if not isinstance(value, str):
        return value
    most = LONGEST_TITLE if name == "title" else getattr(Paper._meta.get_field(name), "max_length", None)
    if most is None or len(value) <= most:
        return value
    return "" if name.endswith("url") else value[: most - 1].rstrip() + "…"


def storable(value: Any) -> Any:
    """Foreign JSON without what PostgreSQL refuses in it: NULs and lone surrogates."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {storable(key): storable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [storable(inner) for inner in value]
    return value
