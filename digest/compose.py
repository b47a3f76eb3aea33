"""Candidates, topics and what was sent already, to one digest for each reader.

A paper's worth to a reader is its rank in the edition plus how tellingly a topic met it; each paper stands in its best
section only, and only once in a reader's life. The best FAIR papers of each topic come before further ones, so that
none drowns another. All readers are ranked together, in arrays.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from subscriptions.matching import TITLE, Matches

#: What one step of `matching`'s tiers is worth beside the rank, which runs from 1 (first) down to 0.
TIER = 0.5
TIERS = TITLE + 1
#: Papers of the trending section beside a reader's topics, and how far down the edition they are looked for.
TRENDING = 5
TRENDING_DEPTH = 200
#: Papers of each topic that come before further papers of any.
FAIR = 3
#: A topic without a limit of its own.
NO_CAP = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """Who is to get a letter, R readers with T topics; readers are numbered 0 to R-1.

    most: int32 (R), papers a letter may have. votes: int32 (R), those a paper needs to stand in a topic.
    trending: bool (R). kind: int8 (R), row of `Candidates.visible`.
    reader: int32 (T) ascending, whose topic it is. query: int32 (T), row of the matches. cap: int32 (T), papers of
    this topic. Topics of one reader stand in the reader's own order.
    """

    most: NDArray[np.int32]
    votes: NDArray[np.int32]
    trending: NDArray[np.bool_]
    kind: NDArray[np.int8]
    reader: NDArray[np.int32]
    query: NDArray[np.int32]
    cap: NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """P papers in the order of the edition, best first.

    visible: bool (K, P): which papers a kind of reader wants at all (cross-lists, replacements).
    votes: int32 (P).
    """

    visible: NDArray[np.bool_]
    votes: NDArray[np.int32]

    @property
    def count(self) -> int:
        return int(self.visible.shape[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Tastes:
    """How far papers fall behind for readers who have a taste.

    row: int32 (R), the reader's row of `shift`, or -1. shift: int32 (rows, P), 0 to `most`.
    """

    row: NDArray[np.int32]
    shift: NDArray[np.int32]
    most: int

    @classmethod
    def none(cls, readers: int) -> Self:
        return cls(row=np.full(readers, -1, np.int32), shift=np.zeros((0, 0), np.int32), most=0)

    def of(self, reader: NDArray[np.integer], paper: NDArray[np.integer]) -> NDArray[np.int64]:
        """Ranks by which each of these papers falls behind; 0 for readers without a taste."""
        found = np.zeros(len(reader), np.int64)
        if len(self.shift):
            row = self.row[reader]
            has = row >= 0
            found[has] = self.shift[row[has], paper[has]]
        return found

    def order(self, row: NDArray[np.integer], depth: int) -> NDArray[np.int64]:
        """The first `depth` papers of the edition in the order of these tastes: int64 (rows, depth)."""
        return np.argsort(np.arange(depth) + self.shift[row, :depth], axis=1, kind="stable")


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen papers of all readers, ordered by reader, section and worth. Topic -1 is the trending section.

    reader, topic, paper: int64 (chosen).
    """

    reader: NDArray[np.int64]
    topic: NDArray[np.int64]
    paper: NDArray[np.int64]


def best_first(matches: Matches, papers: int) -> Matches:
    """The same rows, each with the papers that are worth most first, as `choose` wants them."""
    rows = len(matches.starts) - 1
    row = np.repeat(np.arange(rows), np.diff(matches.starts))
    step = (TITLE - matches.tier).astype(np.int64)
    key = _Key(rows, _ranks(papers), papers, TIERS)
    _, _, paper, step = key.sorted(row, _rank(matches.papers, step, papers), matches.papers, step)
    return Matches(matches.starts, paper.astype(np.int32), (TITLE - step).astype(np.int8))


def choose(
    readers: Readers,
    candidates: Candidates,
    matches: Matches,
    sent: NDArray[np.int64],
    tastes: Tastes | None = None,
) -> Choice:
    """Choose each reader's papers.

    `matches` come from `best_first`. `sent`: int64, sorted, reader × P + paper for each that a reader has had before.
    """
    count, papers, topics = len(readers.most), candidates.count, len(readers.query)
    tastes = tastes or Tastes.none(count)
    ranks = _ranks(papers) + tastes.most
    # Rows are sorted as whole numbers that carry their columns: three times as fast as sorting by several keys.
    by_paper = _Key(count, papers, TIERS, topics, 2)
    (topic, paper, step), cut = _wanted(readers, candidates, matches, sent, tastes)
    if tastes.most:  # else a topic's rows are in order
        rank = _rank(paper, step, papers) + tastes.of(readers.reader[topic], paper)
        topic, _, paper, step = _Key(topics, ranks, papers, TIERS).sorted(topic, rank, paper, step)
    further = (_number_in(topic) >= FAIR).astype(np.int64)
    if len(cut):
        near = further == 0
        more = _behind_cuts(readers, matches, papers, cut, near=(topic[near], paper[near]))
        topic, paper, step = (np.concatenate(both) for both in zip((topic, paper, step), more, strict=True))
        further = np.concatenate([further, np.ones(len(more[0]), np.int64)])
    reader, paper, step, topic, further = by_paper.sorted(readers.reader[topic], paper, step, topic, further)
    best = np.flatnonzero(_first_of(reader, paper))
    further = np.minimum.reduceat(further, best) if len(best) else further
    reader, topic, paper, rank = reader[best], topic[best], paper[best], _rank(paper, step, papers)[best]
    rank += tastes.of(reader, paper)
    if _capped(readers):
        topic, rank, paper, further = _Key(topics, ranks, papers, 2).sorted(topic, rank, paper, further)
        keep = _number_in(topic) < readers.cap[topic]
        topic, rank, paper, further = topic[keep], rank[keep], paper[keep], further[keep]
        reader = readers.reader[topic].astype(np.int64)
    reader, _, rank, paper, topic = _Key(count, 2, ranks, papers, topics).sorted(reader, further, rank, paper, topic)
    keep = _number_in(reader) < readers.most[reader]
    reader, rank, paper, topic = reader[keep], rank[keep], paper[keep], topic[keep]
    more_reader, more_paper = _trending(readers, candidates, sent, tastes, chosen=(reader, paper))
    reader, section, rank, paper = _Key(count, topics + 1, ranks, papers).sorted(
        np.concatenate([reader, more_reader]),
        np.concatenate([topic, np.full(len(more_reader), topics)]),
        np.concatenate([rank, more_paper + tastes.of(more_reader, more_paper)]),
        np.concatenate([paper, more_paper]),
    )
    return Choice(reader, np.where(section == topics, -1, section), paper)


def _rank(paper: NDArray[np.integer], step: NDArray[np.integer], papers: int) -> NDArray[np.int64]:
    """Worth as a whole number, the best lowest: the paper's rank, and TIER of all ranks for each step of tier."""
    return paper + step.astype(np.int64) * int(papers * TIER)


def _ranks(papers: int) -> int:
    return papers + TITLE * int(papers * TIER) + 1


def _capped(readers: Readers) -> bool:
    return bool((readers.cap < readers.most[readers.reader]).any())


_Rows = NDArray[np.int64]


class _Key:
    """Columns of bounded whole numbers as one int64, the first column weighing most."""

    def __init__(self, *sizes: int) -> None:
        self.sizes = [max(1, size) for size in sizes]
        if math.prod(self.sizes) >= 2**63:
            raise ValueError(f"Too many readers, topics and papers at once: {self.sizes}. Compose in smaller blocks.")

    def sorted(self, *columns: NDArray[np.integer]) -> list[_Rows]:
        key = np.zeros(len(columns[0]), np.int64)
        for size, column in zip(self.sizes, columns, strict=True):
            key *= size
            key += column
        key.sort()
        found: list[_Rows] = []
        for size in reversed(self.sizes):
            column = key % size
            key = key // size
            found.append(column)
        return found[::-1]


def _wanted(
    readers: Readers, candidates: Candidates, matches: Matches, sent: _Rows, tastes: Tastes
) -> tuple[list[_Rows], _Rows]:
    """Every (topic, paper, step) that matches, is visible and was not sent, and may be chosen; topics best first.

    Of a topic's papers only as many of the best may be as the letter holds, besides those that fall away here; for a
    reader with a taste any may be. The topics that were cut so are told too.
    """
    first = matches.starts[readers.query]
    counts = there = matches.starts[readers.query + 1] - first
    if not _capped(readers):
        away = (~candidates.visible).sum(axis=1)[readers.kind]
        away += np.bincount(sent // max(1, candidates.count), minlength=len(readers.most))
        away += np.searchsorted(np.sort(candidates.votes), readers.votes)
        away[tastes.row >= 0] = candidates.count
        counts = np.minimum(counts, (readers.most + away)[readers.reader])
    topic = np.repeat(np.arange(len(readers.query)), counts)
    pair = _spread(first, counts)
    paper, tier, reader = matches.papers[pair], matches.tier[pair], readers.reader[topic]
    keep = np.ones(len(topic), np.bool_)
    if not candidates.visible.all():
        keep &= candidates.visible[readers.kind[reader], paper]
    if readers.votes.any():
        keep &= candidates.votes[paper] >= readers.votes[reader]
    if len(sent):
        key = reader.astype(np.int64) * candidates.count + paper
        keep &= sent[np.minimum(np.searchsorted(sent, key), len(sent) - 1)] != key
    rows = [column[keep].astype(np.int64) for column in (topic, paper, TITLE - tier)]
    return rows, np.flatnonzero(counts < there)


def _behind_cuts(
    readers: Readers, matches: Matches, papers: int, cut: _Rows, *, near: tuple[_Rows, _Rows]
) -> list[_Rows]:
    """Every (topic, paper, step) of the topics `cut` that meets one of the (topic, paper) `near` of the same reader.

    A paper that is among the first of one topic may be in the letter, and stand in another that met it better, however
    far down it is there.
    """
    reader = readers.reader[near[0]]
    first = np.searchsorted(readers.reader[cut], reader)
    counts = np.searchsorted(readers.reader[cut], reader, "right") - first
    topic, paper = cut[_spread(first, counts)], np.repeat(near[1], counts)
    if not len(topic):
        return [topic, topic, topic]
    queries, row = np.unique(readers.query[topic], return_inverse=True)
    sizes = np.diff(matches.starts)[queries]
    pair = _spread(matches.starts[queries], sizes)
    known = np.repeat(np.arange(len(queries)), sizes) * papers + matches.papers[pair]
    order = np.argsort(known)
    wanted = row * papers + paper
    at = order[np.minimum(np.searchsorted(known, wanted, sorter=order), len(known) - 1)]
    is_met = known[at] == wanted
    step = (TITLE - matches.tier[pair[at[is_met]]]).astype(np.int64)
    return [topic[is_met], paper[is_met], step]


def _spread(first: NDArray[np.integer], counts: NDArray[np.integer]) -> _Rows:
    """The numbers first, first + 1 … of each row, as many as it counts."""
    rows: _Rows = np.arange(int(counts.sum())) + np.repeat(first - np.cumsum(counts) + counts, counts)
    return rows


def _first_of(*columns: _Rows) -> NDArray[np.bool_]:
    """Whether a row of sorted rows differs from the one before it."""
    first = np.zeros(len(columns[0]), np.bool_)
    first[:1] = True
    for column in columns:
        first[1:] |= column[1:] != column[:-1]
    return first


def _number_in(group: _Rows) -> _Rows:
    """The number of each row within its group, from 0; rows are sorted by group."""
    starts = np.flatnonzero(_first_of(group))
    return np.arange(len(group)) - np.repeat(starts, np.diff(starts, append=len(group)))


def _trending(
    readers: Readers, candidates: Candidates, sent: _Rows, tastes: Tastes, *, chosen: tuple[_Rows, _Rows]
) -> tuple[_Rows, _Rows]:
    """The first papers of the edition that a reader has not had and does not get by a topic: not one of `chosen`."""
    reader, paper = chosen
    count, depth = len(readers.most), min(TRENDING_DEPTH, candidates.count)
    had = np.bincount(reader, minlength=count)
    has_topics = np.bincount(readers.reader, minlength=count) > 0
    room = np.minimum(readers.most - had, np.where(has_topics, TRENDING, readers.most)) * readers.trending
    free = candidates.visible[readers.kind, :depth]
    near = paper < depth
    free[reader[near], paper[near]] = False
    if len(sent):
        had_reader, had_paper = np.divmod(sent, candidates.count)
        near = had_paper < depth
        free[had_reader[near], had_paper[near]] = False
    first = np.cumsum(free, axis=1, dtype=np.int32) <= room[:, None]
    fond = np.flatnonzero(tastes.row >= 0)
    if len(fond):
        first[fond] = _first_free(free[fond], tastes.order(tastes.row[fond], depth), room[fond])
    more_reader, more_paper = np.nonzero(free & first)
    return more_reader.astype(np.int64), more_paper.astype(np.int64)


def _first_free(free: NDArray[np.bool_], order: NDArray[np.int64], room: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Of each row the first `room` that are free, taken in an order of the row's own."""
    inner = np.take_along_axis(free, order, axis=1)
    inner &= np.cumsum(inner, axis=1, dtype=np.int32) <= room[:, None]
    found = np.empty_like(free)
    np.put_along_axis(found, order, inner, axis=1)
    return found


class Section(NamedTuple):
    """Papers under one topic: its label and query as they were when the digest was composed. No label: trending."""

    label: str
    query: str
    papers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Digest:
    """What one subscriber reads on one day."""

    sections: tuple[Section, ...]

    @property
    def papers(self) -> tuple[int, ...]:
        return tuple(chain.from_iterable(section.papers for section in self.sections))


def digests(
    choice: Choice, count: int, *, labels: Sequence[str], queries: Sequence[str], papers: Sequence[int]
) -> list[Digest]:
    """One digest for each of `count` readers, empty where nothing was chosen.

    `labels` and `queries` are those of the topics, `papers` the papers' primary keys, in the order of the arrays.
    """
    sections: list[list[Section]] = [[] for _ in range(count)]
    starts = np.flatnonzero(_first_of(choice.reader, choice.topic))
    chosen = [papers[paper] for paper in choice.paper.tolist()]
    ends = np.append(starts[1:], len(chosen)).tolist()
    rows = zip(choice.reader[starts].tolist(), choice.topic[starts].tolist(), starts.tolist(), ends, strict=False)
    for reader, topic, start, end in rows:
        label, query = (labels[topic], queries[topic]) if topic >= 0 else ("", "")
        sections[reader].append(Section(label, query, tuple(chosen[start:end])))
    return [Digest(tuple(parts)) for parts in sections]
