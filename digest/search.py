"""Find papers by words, by meaning, or both: what a topic means exactly first, then what is close."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from digest import documents, meaning, shelf
from digest.index import Index, Mask
from digest.masks import mask
from digest.models import Paper
from subscriptions.query import And, Near, Not, Query, QueryError, Term, parse
from subscriptions.query.meaning import SCALE
from subscriptions.query.parse import LONGEST, MOST_TERMS
from subscriptions.query.tree import all_of
from subscriptions.query.words import words

#: What meaning weighs beside words where both order papers, in standard deviations of each.
MEANING = 0.3
#: Papers that have some of the words or are close in meaning, at most, beyond those that a query means exactly.
CLOSE_MOST = 200
#: A paper that lacks words is close all the same when its words weigh so much of the best one's.
SOME = 0.5
#: The least cosine of a similar paper, as a part of what `like:` asks.
SIMILAR = 0.8


class Tier(IntEnum):
    """How a paper was found: higher ones come first."""

    MEANING = 0
    SOME = 1
    WORDS = 2
    PHRASE = 3


@dataclass(frozen=True, slots=True)
class Found:
    """A paper's primary key, and how it was found. `score` orders papers of a tier; it has no unit."""

    paper: int
    tier: Tier
    score: float


@dataclass(frozen=True, slots=True)
class Results:
    """What was found, best first or as it was asked. `exact` of them a topic of this text would find too, the first.

    `query` is None and `error` says why where the text is no query; its words are looked for all the same.
    """

    text: str
    query: Query | None
    error: QueryError | None
    found: tuple[Found, ...]
    exact: int


def find(text: str, *, mode: str = "both", sort: str = "relevance", most: int = 1_000) -> Results:
    """Search. Raises QueryError for a text that is too long, or would take too long."""
    text = " ".join(text.split())
    query, error = _read(text)
    papers = shelf.index()
    wanted = query or _plain(text)
    if wanted is None or not papers.count:
        return Results(text, query, error, (), 0)
    asked = _Asked(papers, documents.resolved(wanted))
    order = asked.order(mode=mode)
    if sort != "relevance":
        value = papers.numbers["date" if sort == "newest" else "votes"]
        order = [*sorted(order[: asked.exact], key=lambda at: -value[at]), *order[asked.exact :]]
    found = tuple(Found(int(papers.keys[at]), asked.tier(at), float(asked.score[at])) for at in order[:most])
    return Results(text, query, error, found, min(asked.exact, most))


def understood(text: str) -> Query:
    """The query that a text is. Raises QueryError for one that cannot be read, or would take too long."""
    query = parse(text)
    mask(shelf.index(), documents.resolved(query))
    return query


def exact(query: Query) -> set[int]:
    """The primary keys of all papers that a query means, as a topic would. Raises QueryError as `understood` does."""
    papers = shelf.index()
    return set(papers.keys[mask(papers, documents.resolved(query))].tolist())


def similar(paper: Paper, *, most: int = 8) -> list[int]:
    """The papers closest in meaning, the closest first; none where meaning is off."""
    papers = shelf.index()
    at = papers.place.get(paper.pk)
    chosen = meaning.kind()
    if at is None or chosen is None:
        return []
    close = papers.close(papers.raw_vectors[at])
    close[at] = 0
    near = np.flatnonzero(close >= SIMILAR * chosen.like * SCALE**2)
    best = near[np.lexsort((-near, -close[near]))][:most]
    return [int(key) for key in papers.keys[best]]


def _read(text: str) -> tuple[Query | None, QueryError | None]:
    try:
        return parse(text), None
    except QueryError as error:
        if len(text) > LONGEST or sum(1 for _ in words(text)) > MOST_TERMS:
            raise
        return None, error


def _plain(text: str) -> Query | None:
    """The words of a text that is no query; None where there is none."""
    terms = [Term((word.exact,)) for word in words(text)]
    return all_of(terms) if terms else None


# One search ---------------------------------------------------------------------------------------------------------


class _Asked:
    """A resolved query among the papers of an index, numbered as there."""

    def __init__(self, papers: Index, query: Query) -> None:
        self.papers = papers
        parts = query.parts if isinstance(query, And) else (query,)
        self.free = [part for part in parts if isinstance(part, Term) and not part.field] or list(_wanted(query))
        strict = [part for part in parts if not isinstance(part, Term) or part.field]
        self.strict = mask(papers, And(tuple(strict))) if strict and len(parts) > 1 else np.ones(papers.count, np.bool_)
        self.meant = mask(papers, query)
        self.phrase = self.meant & self._phrase()
        self.exact = int(np.count_nonzero(self.meant))
        self.words = papers.scores(word for term in self.free for word in term.words)
        self.meaning = self._meaning(query)
        self.score = self._standard(self.words) * (1 - MEANING) + self._standard(self.meaning) * MEANING

    def order(self, *, mode: str) -> list[int]:
        """Papers in order: those that are meant, the phrase first, then those that are close. `exact` are meant."""
        if mode == "meaning":
            self.exact = 0
            self.score = self.meaning
            return self._sorted(self._near() & self.strict)[:CLOSE_MOST]
        best = [*self._sorted(self.phrase), *self._sorted(self.meant & ~self.phrase)]
        return best if mode == "words" else [*best, *self._sorted(self._close())[:CLOSE_MOST]]

    def tier(self, at: int) -> Tier:
        if self.phrase[at]:
            return Tier.PHRASE
        if self.meant[at]:
            return Tier.WORDS
        return Tier.SOME if self.words[at] > 0 else Tier.MEANING

    def _sorted(self, which: Mask) -> list[int]:
        """By score, then votes, then the newest."""
        there = np.flatnonzero(which)
        order = np.lexsort((-there, -self.papers.numbers["votes"][there], -self.score[there].round(9)))
        found: list[int] = there[order].tolist()
        return found

    def _close(self) -> Mask:
        """Papers that are not meant but have the weightiest words, or are close in meaning."""
        if not self.free:
            return np.zeros(self.papers.count, np.bool_)
        best = float(self.words[self.strict].max(initial=0.0))
        some = self.words >= max(SOME * best, 1e-9)
        close: Mask = (some | self._near()) & self.strict & ~self.meant
        return close

    def _near(self) -> Mask:
        chosen = meaning.kind()
        if chosen is None:
            return np.zeros(self.papers.count, np.bool_)
        near: Mask = self.meaning >= chosen.about
        return near

    def _phrase(self) -> Mask:
        """Papers with all free words side by side."""
        said = [word for term in self.free for word in term.words]
        if len(said) < 2 or any(term.prefix for term in self.free):
            return np.zeros(self.papers.count, np.bool_)
        return mask(self.papers, Term(tuple(said), "", quoted=True))

    def _meaning(self, query: Query) -> NDArray[np.float64]:
        """The cosine of each paper to the free words, or to what a leaf of meaning asks for."""
        vector = query.vector if isinstance(query, Near) else b""
        vector = vector or meaning.of_text(" ".join(" ".join(term.words) for term in self.free))
        return self.papers.close(vector).astype(np.float64) / SCALE**2

    def _standard(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """In standard deviations from the mean of the papers that may be found."""
        there = values[self.strict]
        spread = float(there.std()) if len(there) else 0.0
        return (values - (there.mean() if len(there) else 0)) / spread if spread > 1e-9 else np.zeros(len(values))


def _wanted(query: Query) -> Iterator[Term]:
    """The words without a field that a query wants, wherever they stand in it but under NOT."""
    match query:
        case Term() if not query.field:
            yield query
        case Not() | Term():
            return
        case _:
            for part in getattr(query, "parts", ()):
                yield from _wanted(part)
