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


def rank(candidates: Iterable[Candidate]) -> list[Ranked]:
    """Order papers, best first, ranks from 1. The same candidates give the same order, however they come."""
    scored = sorted(((candidate, score(candidate)) for candidate in candidates), key=_order, reverse=True)
    free = [pair for pair in scored if pair[0].place is None]
    # Of two that were given one place, the better is put there last, and so stands first.
    placed = [pair for pair in reversed(scored) if pair[0].place is not None]
    placed.sort(key=lambda pair: pair[0].place or 0)
    order = free
    for pair in placed:
        order.insert((pair[0].place or 1) - 1, pair)
    return [Ranked(candidate.identifier, points, number) for number, (candidate, points) in enumerate(order, start=1)]


def _order(pair: tuple[Candidate, float]) -> tuple[float, int, str]:
    candidate, points = pair
    return points, candidate.votes, candidate.identifier
