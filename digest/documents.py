"""Papers as the topic language sees them, and queries with what their leaves of meaning are close to."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace
from hashlib import blake2b

from digest import meaning
from digest.models import Analysis, Listing, Paper
from subscriptions.query import Document, Near, Query
from subscriptions.query.meaning import Point, nears, resolve
from subscriptions.query.tree import WORD_FIELDS

CHUNK = 1_000
#: Raised whenever words are read or packed in another way: every analysis is made anew then.
VERSION = 1


def documents(papers: Iterable[Paper]) -> list[Document]:
    """One document for each paper, in the same order; two queries for every thousand papers.

    Vectors that were not stored yet are made, and stored by `analysis.refresh` alone.
    """
    papers = list(papers)
    return [document for at in range(0, len(papers), CHUNK) for document in _chunk(papers[at : at + CHUNK])]


def _chunk(papers: list[Paper]) -> list[Document]:
    listed = sources(paper.pk for paper in papers)
    plain = [document(paper, listed[paper.pk]) for paper in papers]
    if not meaning.name():
        return plain
    rows = Analysis.objects.filter(paper__in=[paper.pk for paper in papers]).values_list(
        "paper_id", "text_hash", "vector"
    )
    stored = {key: (text_hash, bytes(vector)) for key, text_hash, vector in rows}
    keys = [text_hash(paper) for paper in plain]
    missing = [at for at, paper in enumerate(papers) if stored.get(paper.pk, ("",))[0] != keys[at]]
    made = dict(zip(missing, vectors(plain[at] for at in missing), strict=True))
    return [
        replace(paper, vector=made[at] if at in made else stored[papers[at].pk][1]) for at, paper in enumerate(plain)
    ]


def document(paper: Paper, sources: Iterable[str]) -> Document:
    """A paper without its vector."""
    organization = paper.organization or {}
    properties = {"code": paper.code_url, "project": paper.project_url, "summary": paper.ai_summary,
                  "thumbnail": paper.thumbnail_url}  # fmt: skip
    return Document(
        identifier=paper.identifier,
        title=paper.title,
        abstract=paper.abstract,
        authors=tuple(paper.visible_authors),
        organizations=tuple(dict.fromkeys(filter(None, [organization.get("fullname"), organization.get("name")]))),
        keywords=tuple(paper.keywords),
        categories=tuple(paper.categories),
        sources=tuple(sorted(sources)),
        properties=frozenset(name for name, value in properties.items() if value),
        votes=paper.votes or 0,
        stars=paper.stars or 0,
        comments=paper.comments or 0,
        day=(paper.published_at or paper.created_at).date(),
    )


def sources(papers: Iterable[int]) -> dict[int, set[str]]:
    """The names of the sources that listed each of these papers."""
    found: dict[int, set[str]] = defaultdict(set)
    rows = Listing.objects.filter(paper__in=list(papers)).order_by()
    for key, name in rows.values_list("paper_id", "source__name").distinct():
        found[key].add(name)
    return found


def vectors(papers: Iterable[Document]) -> list[bytes]:
    """What papers mean: their titles and abstracts do. Empty where meaning is off."""
    return meaning.vectors([f"{paper.title}\n{paper.abstract}" for paper in papers])


def text_hash(paper: Document) -> str:
    """Of what an analysis reads of a paper, and of the way of reading it: 32 characters, `reading()` first."""
    text = "\0".join("\1".join(paper.texts(field)) for field in WORD_FIELDS)
    return reading() + blake2b(text.encode("utf-8", "replace"), digest_size=12).hexdigest()


def reading() -> str:
    """The way of reading texts now: 8 characters."""
    return blake2b(f"{VERSION} {meaning.name()}".encode(), digest_size=4).hexdigest()


class Points:
    """What leaves of meaning are close to; asks once for each paper that a query names, and remembers."""

    def __init__(self) -> None:
        self._papers: dict[str, bytes] = {}

    def resolved(self, query: Query) -> Query:
        """The query, its leaves of meaning resolved. Other queries cost nothing."""
        return self.all_resolved([query])[0]

    def all_resolved(self, queries: Collection[Query]) -> list[Query]:
        """The same for many: one query of the database, or two, for all of them."""
        wanted = [leaf for query in queries for leaf in nears(query)]
        if not wanted:
            return list(queries)
        self._read({leaf.value for leaf in wanted if leaf.field == "like"} - self._papers.keys())
        return [resolve(query, self._point) for query in queries]

    def _read(self, identifiers: set[str]) -> None:
        if identifiers and meaning.name():
            found = documents(Paper.objects.filter(identifier__in=identifiers))
            self._papers |= dict.fromkeys(identifiers, b"") | {paper.identifier: paper.vector for paper in found}

    def _point(self, leaf: Near) -> Point | None:
        vector = self._papers.get(leaf.value, b"") if leaf.field == "like" else meaning.of_text(leaf.value)
        return meaning.point(leaf, vector)


def resolved(query: Query) -> Query:
    """The query, its leaves of meaning resolved."""
    return Points().resolved(query)
