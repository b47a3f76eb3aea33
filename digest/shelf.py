"""This process's index of all papers, made anew when papers have changed."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import BooleanField, ExpressionWrapper, Q

from digest import documents, stamps
from digest.index import Index, Row, Vocabulary, pack
from digest.models import Analysis, Listing, Paper
from subscriptions.query import Document

#: Papers up to which a search waits for the index to be made anew; with more it is made beside the searches.
WAITED_FOR = 20_000
CHUNK = 2_000
_PROPERTIES = {"code": "code_url", "project": "project_url", "summary": "ai_summary", "thumbnail": "thumbnail_url"}
_COLUMNS = ("pk", "identifier", "categories", "votes", "stars", "comments", "published_at", "created_at",
            "analysis__text_hash")  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Kept:
    stamp: tuple[int, str]
    index: Index


class _Read(NamedTuple):
    """What was read of a paper's text."""

    version: str
    packed: bytes
    vector: bytes


_vocabulary = Vocabulary()
_kept: _Kept | None = None
_making = Lock()


def index() -> Index:
    """The index as papers are now, or, where making it takes a while, as they were just now."""
    stamp = (stamps.read().papers, documents.reading())
    kept = _kept
    if kept is None or (kept.stamp != stamp and kept.index.count <= WAITED_FOR):
        with _making:
            return _made(stamp)
    if kept.stamp != stamp and _making.acquire(blocking=False):
        try:
            Thread(target=_make_beside, args=[stamp], daemon=True).start()
        except RuntimeError:  # no more threads: the next search tries again
            _making.release()
    return kept.index


def forget() -> None:
    """Make the index anew, whatever the stamps say: for tests, whose databases come and go."""
    global _kept  # noqa: PLW0603
    _kept = None


def _make_beside(stamp: tuple[int, str]) -> None:
    try:
        _made(stamp)
    finally:
        connection.close()  # this thread's own
        _making.release()


def _made(stamp: tuple[int, str]) -> Index:
    global _kept  # noqa: PLW0603  what a process keeps
    if _kept is None or _kept.stamp != stamp:
        before = _kept.index if _kept else None
        _kept = _Kept(stamp, Index(list(_rows(before)), _vocabulary, before).warm())
    return _kept.index


def _rows(before: Index | None) -> Iterator[Row]:
    """All papers that readers may find: invented ones only while there are no others."""
    papers = Paper.objects.filter(is_sample=not Paper.objects.filter(is_sample=False).exists())
    there = {name: ExpressionWrapper(~Q(**{column: ""}), BooleanField()) for name, column in _PROPERTIES.items()}
    facts = papers.annotate(**{f"has_{name}": value for name, value in there.items()}).order_by("pk")
    names = [f"has_{name}" for name in _PROPERTIES]
    sources: dict[int, set[str]] = defaultdict(set)
    for key, name in Listing.objects.order_by().values_list("paper_id", "source__name").distinct():
        sources[key].add(name)
    rows = list(facts.values_list(*_COLUMNS, *names))
    read = _read({row[0]: row[len(_COLUMNS) - 1] or "" for row in rows}, before)
    for key, identifier, categories, votes, stars, comments, published_at, created_at, text_hash, *has in rows:
        document = Document(
            identifier=identifier,
            categories=tuple(categories),
            sources=tuple(sources[key]),
            properties=frozenset(name for name, is_there in zip(_PROPERTIES, has, strict=True) if is_there),
            votes=votes or 0,
            stars=stars or 0,
            comments=comments or 0,
            day=(published_at or created_at).date(),
        )
        mine = read.get(key)
        yield Row(
            key=key,
            version=mine.version if mine else text_hash,
            packed=mine.packed if mine else b"",
            vector=mine.vector if mine else b"",
            labels=document.labels,
            numbers=document.numbers,
        )


def _read(versions: dict[int, str], before: Index | None) -> dict[int, _Read]:
    """What the index before does not hold: stored analyses, and papers that have none yet, read here and not stored."""
    reading = documents.reading()
    known = dict(zip(before.keys.tolist(), before.versions, strict=True)) if before else {}
    stale = [key for key, version in versions.items() if not version.startswith(reading)]
    new = [key for key, version in versions.items() if version.startswith(reading) and known.get(key) != version]
    found: dict[int, _Read] = {}
    for at in range(0, len(new), CHUNK):
        rows = Analysis.objects.filter(paper__among=new[at : at + CHUNK])
        for key, version, packed, vector in rows.values_list("paper_id", "text_hash", "words", "vector"):
            found[key] = _Read(version, bytes(packed), bytes(vector))
    for at in range(0, len(stale), CHUNK):
        papers: list[Any] = list(Paper.objects.filter(pk__among=stale[at : at + CHUNK]))
        plain = [documents.document(paper, ()) for paper in papers]
        for paper, document, vector in zip(papers, plain, documents.vectors(plain), strict=True):
            found[paper.pk] = _Read(documents.text_hash(document), pack(document), vector)
    return found
