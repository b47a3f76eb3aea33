"""Listings to trending order.

    score = (base + signal) × 2^(−age / 2)
    signal = ln(1 + votes) + ln(1 + rise) + ½ ln(1 + comments) + ¼ ln(1 + stars)

`base` is 1 for a new paper, ½ for a cross-list, ¼ for a new version; `rise` is the votes of the last day; `age` is
in days since the paper was listed, so that a score halves every two days. Logarithms, because the tenth vote says more
than the hundredth; stars weigh least, because they are counted over a repository's whole life. Equal scores are
ordered by votes, then by identifier, newest first. The editor's hand comes last: a paper with a place stands there.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

BASE = {"new": 1.0, "cross": 0.5, "replace": 0.25}
HALF_LIFE_DAYS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What the score of one paper depends on. `age` in days; `place` is the editor's, from 1, or None."""

    identifier: str
    announce: str = "new"
    votes: int = 0
    rise: int = 0
    comments: int = 0
    stars: int = 0
    age: int = 0
    place: int | None = None


@dataclass(frozen=True, slots=True)
class Ranked:
    identifier: str
    score: float
    rank: int


def signal(candidate: Candidate) -> float:
    """What readers elsewhere have said about a paper; 0 where nobody has."""
    return (
        math.log1p(candidate.votes)
        + math.log1p(max(0, candidate.rise))
        + math.log1p(candidate.comments) / 2
        + math.log1p(candidate.stars) / 4
    )


def score(candidate: Candidate) -> float:
    age = max(0, candidate.age)
    return round((BASE[candidate.announce] + signal(candidate)) * math.pow(2, -age / HALF_LIFE_DAYS), 6)


class Scored(NamedTuple):
    """A paper with its score and what else decides its place."""

    identifier: str
    score: float
    votes: int
    place: int | None


def rank(candidates: Iterable[Candidate]) -> list[Ranked]:
    """Order papers, best first, ranks from 1. The same candidates give the same order, however they come."""
    scored = [Scored(paper.identifier, score(paper), paper.votes, paper.place) for paper in candidates]
    return [Ranked(paper.identifier, paper.score, number) for number, paper in enumerate(arrange(scored), start=1)]


def arrange(papers: Iterable[Scored]) -> list[Scored]:
    """Best first, ties broken; then those with a place are put there, the best of a shared place first."""
    best = sorted(papers, key=lambda paper: (paper.score, paper.votes, paper.identifier), reverse=True)
    order = [paper for paper in best if paper.place is None]
    # Of two that were given one place, the better is put there last, and so stands first.
    for paper in sorted((paper for paper in reversed(best) if paper.place), key=lambda paper: paper.place or 0):
        order.insert((paper.place or 1) - 1, paper)
    return order
