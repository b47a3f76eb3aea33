"""Many queries against many papers at once.

Each paper's words are read once, each distinct query is evaluated once, on bit masks over the papers: bit i of a mask
(a Python integer) stands for paper i. `query.matches` gives the same yes and no for one query and one paper.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from subscriptions.query import And, Document, Label, Near, Not, Or, Query, Range, Term
from subscriptions.query.match import fields_of, within
from subscriptions.query.tree import DEFAULT_FIELDS, WORD_FIELDS, Leaf

#: How well a match tells what a paper is about: words in the abstract; keywords, a label, the meaning; the title.
ABSTRACT, KEYWORD, TITLE = 0, 1, 2
#: Cells of the query × paper matrix that are unpacked at a time; bounds memory to some 25 MB.
CELLS = 8_000_000


class Masks(NamedTuple):
    """The papers a query means, and those among them where a wanted word stands in a telling place."""

    all: int
    keyword: int = 0
    title: int = 0


@dataclass(frozen=True, slots=True)
class Matches:
    """Compressed rows: query q means papers[starts[q]:starts[q+1]], in ascending order.

    starts: int64 (queries + 1), papers: int32 (pairs), tier: int8 (pairs), one of ABSTRACT, KEYWORD, TITLE.
    """

    starts: NDArray[np.int64]
    papers: NDArray[np.int32]
    tier: NDArray[np.int8]

    @classmethod
    def none(cls) -> Self:
        return cls(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int8))

    def __add__(self, other: "Matches") -> "Matches":
        """The rows of both, one after the other."""
        return Matches(
            np.concatenate([self.starts, other.starts[1:] + self.starts[-1]]),
            np.concatenate([self.papers, other.papers]),
            np.concatenate([self.tier, other.tier]),
        )


class Matcher:
    """Papers made ready to be asked; keeps what each term and query gave."""

    def __init__(self, papers: Sequence[Document]) -> None:
        self.papers = papers
        self.everything = (1 << len(papers)) - 1
        self._exact = {name: _masks(paper.fields[name].exact for paper in papers) for name in WORD_FIELDS}
        self._loose = {name: _masks(paper.fields[name].loose for paper in papers) for name in WORD_FIELDS}
        self._sorted: dict[str, list[str]] = {}
        self._labels: dict[str, dict[str, int]] = {
            name: _masks(paper.labels[name] for paper in papers) for name in ("cat", "source", "id", "has")
        }
        self._leaves: dict[Leaf, Masks] = {}
        self._vectors: dict[int, NDArray[np.float32]] = {}

    def match(self, queries: Sequence[Query]) -> Matches:
        """Evaluate each query over all papers."""
        if not self.papers or not queries:
            empty = np.zeros(0, np.int32)
            return Matches(np.zeros(len(queries) + 1, np.int64), empty, empty.astype(np.int8))
        step = max(1, CELLS // len(self.papers))
        blocks = [self._block(queries[at : at + step]) for at in range(0, len(queries), step)]
        counts = np.concatenate([counts for counts, _, _ in blocks])
        return Matches(
            np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]),
            np.concatenate([papers for _, papers, _ in blocks]),
            np.concatenate([tier for _, _, tier in blocks]),
        )

    def _block(self, queries: Sequence[Query]) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int8]]:
        masks = [self.evaluate(query) for query in queries]
        rows, papers = np.nonzero(self._unpack(mask.all for mask in masks))
        keyword = self._unpack(mask.keyword for mask in masks)[rows, papers]
        title = self._unpack(mask.title for mask in masks)[rows, papers]
        tier = np.maximum(keyword * KEYWORD, title * TITLE).astype(np.int8)
        return np.bincount(rows, minlength=len(queries)), papers.astype(np.int32), tier

    def _unpack(self, masks: Iterable[int]) -> NDArray[np.uint8]:
        """uint8 (queries, papers) of 0 and 1."""
        width = (len(self.papers) + 7) // 8
        packed = np.frombuffer(b"".join(mask.to_bytes(width, "little") for mask in masks), np.uint8)
        return np.unpackbits(packed.reshape(-1, width), axis=1, count=len(self.papers), bitorder="little")

    def evaluate(self, query: Query) -> Masks:
        """The papers that one query means."""
        if not isinstance(query, And | Or | Not):
            if isinstance(query, Near):  # two that say the same may have been resolved apart
                return self._leaf(query)
            leaf = self._leaves.get(query)
            if leaf is None:
                leaf = self._leaves[query] = self._leaf(query)
            return leaf
        if isinstance(query, And):
            masks, keyword, title = self.everything, 0, 0
            for part in query.parts:
                more = self.evaluate(part)
                masks, keyword, title = masks & more.all, keyword | more.keyword, title | more.title
            return Masks(masks, keyword & masks, title & masks)
        if isinstance(query, Or):
            masks = keyword = title = 0
            for part in query.parts:
                more = self.evaluate(part)
                masks, keyword, title = masks | more.all, keyword | more.keyword, title | more.title
            return Masks(masks, keyword, title)
        return Masks(self.everything & ~self.evaluate(query.part).all)

    def _leaf(self, leaf: Leaf) -> Masks:
        match leaf:
            case Near():
                found = self._near(leaf)
                return Masks(found, found)
            case Label(field, value):
                found = self._labels[field].get(value, 0)
                return Masks(found, found)
            case Range():
                return Masks(sum(1 << at for at, paper in enumerate(self.papers) if within(leaf, paper)))
        places = {name: self._term(leaf, name) for name in fields_of(leaf)}
        telling = reduce(or_, (mask for name, mask in places.items() if name not in ("title", "abstract")), 0)
        return Masks(reduce(or_, places.values()), telling, places.get("title", 0))

    def _near(self, leaf: Near) -> int:
        """The papers that are close in meaning, by whole numbers in float32: see `query.meaning`."""
        if not leaf.vector:
            return 0
        size = len(leaf.vector)
        vectors = self._vectors.get(size)
        if vectors is None:
            rows = (paper.vector if len(paper.vector) == size else bytes(size) for paper in self.papers)
            vectors = np.frombuffer(b"".join(rows), np.int8).reshape(-1, size).astype(np.float32)
            self._vectors[size] = vectors
        close = vectors @ np.frombuffer(leaf.vector, np.int8).astype(np.float32) >= leaf.least
        return int.from_bytes(np.packbits(close, bitorder="little").tobytes(), "little")

    def _term(self, term: Term, field: str) -> int:
        """The papers that have a term in one field: by words first, then, for a run of words, by looking."""
        loose, exact = self._loose[field], self._exact[field]
        opening = 0
        if term.prefix:
            forms = self._forms(field, "".join(term.words))
            opening = reduce(or_, (loose.get(form, 0) | exact.get(form, 0) for form in forms), 0)
        if len(term.words) == 1:
            word = term.words[0]
            if term.prefix:
                return opening
            return exact.get(word, 0) if term.quoted else loose.get(self._form(field, word), 0)
        if term.quoted:
            candidates = reduce(and_, (exact.get(word, 0) for word in term.words))
        else:
            *before, last = term.words
            singles = before if term.prefix else term.words
            candidates = reduce(and_, (loose.get(self._form(field, word), 0) for word in singles))
            candidates |= opening | loose.get("".join(before) + self._form(field, last), 0)
        return sum(1 << at for at in _bits(candidates) if self.papers[at].fields[field].find(term))

    def _form(self, field: str, word: str) -> str:
        return self.papers[0].fields[field].form(word) if self.papers else word

    def _forms(self, field: str, opening: str) -> list[str]:
        forms = self._sorted.get(field)
        if forms is None:
            forms = self._sorted[field] = sorted({*self._loose[field], *self._exact[field]})
        return forms[bisect_left(forms, opening) : bisect_left(forms, opening + "\U0010ffff")]


def _masks(papers: Iterable[Iterable[str]]) -> dict[str, int]:
    table: dict[str, int] = {}
    for at, forms in enumerate(papers):
        bit = 1 << at
        for form in forms:
            table[form] = table.get(form, 0) | bit
    return table


def _bits(mask: int) -> Iterable[int]:
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


assert set(DEFAULT_FIELDS) <= set(WORD_FIELDS)
